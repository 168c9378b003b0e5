"""Routines of toy models that tell what they return, at each of their ends and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from genfscheck.checker.conform.telling import tell
from genfscheck.checker.lang.compile import CallSpec, ProgramSpec, ThreadSpec, compile_program
from genfscheck.checker.lang.errors import ModelError
from genfscheck.checker.lang.source import load, with_primitives

from ..lang.helpers import HEADER
from ..lang.running import finished

MODEL = """
@record
class S:
    n: int32

s: S = single(S)

@routine
def half(n: int32) -> int32:
    if n == 1:
        return 0
    elif n > 6:
        return _third(n)
    left: int32 = n // 2
    return left

@routine
def _third(n: int32) -> int32:
    s.n += 1
    return n // 3

@routine
def both(n: int32) -> tuple[int32, int32]:
    return n, n + s.n

@routine
def early(n: int32) -> None:
    if n > 0:
        return
    s.n = 5

@actor
def user() -> None:
    half(1)
    half(4)
    half(9)
    one: int32 = 0
    two: int32 = 0
    one, two = both(2)
    s.n = one + two
    early(0)
    early(1)
"""
WORDS = """
from .toy import s

LAST: Final = 3

@record
class Told:
    calls: int32
    values: Annotated[Array[int32], size(12)]

told: Told = single(Told)

@atomic
def say(value: int32) -> None:
    told.values[told.calls] = value
    told.calls += 1
"""


def run(calls: dict[str, str]) -> Any:
    texts = {"genfscheck.toy": ("toy.py", HEADER + MODEL),
             "genfscheck.words": ("words.py", HEADER + WORDS)}  # fmt: skip
    source = load(with_primitives(texts))
    digest = source.digest
    tell(source, "genfscheck.words", calls)
    assert source.digest != digest
    spec = ProgramSpec("toy", (ThreadSpec("user", (CallSpec("user", {}),)),))
    return finished(compile_program(source, spec))


def told(calls: dict[str, str]) -> list[int]:
    found = run(calls)
    return list(found.values("told.values")[: found.value("told.calls")])


def test_every_end_is_told_and_its_value_computed_once() -> None:
    assert told({"half": "say({0})"}) == [0, 2, 3]
    assert run({"half": "say({0})"}).value("s.n") == run({}).value("s.n")


def test_each_of_several_values_locals_and_constants() -> None:
    assert told({"both": "say({0} + 2 * {1})", "half": "say(n + LAST)"}) == [4, 7, 12, 8]


def test_a_routine_without_a_result_and_an_actor() -> None:
    assert told({"early": "say(n)", "user": "say(two)"}) == [0, 1, 3]


@pytest.mark.parametrize(
    ("calls", "why"),
    [({"third": "say(1)"}, "there are 0 routines"), ({"half": "say({1})"}, "index")],
)
def test_what_cannot_be_told(calls: dict[str, str], why: str) -> None:
    with pytest.raises((ValueError, IndexError), match=why):
        told(calls)


def test_a_name_that_is_not_known_there_is_an_error_of_the_model() -> None:
    with pytest.raises(ModelError, match="left"):
        told({"_third": "say(left)"})

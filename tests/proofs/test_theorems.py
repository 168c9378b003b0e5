"""Verdicts: what is proved, what fails at which lines and values, and what the parts promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import z3

from genfscheck.proofs.library import arithmetic, fixes
from genfscheck.proofs.source import load_with_contracts, source, texts
from genfscheck.proofs.theorem import Outcome, Proving, prove

from .helpers import proving, theorem


def outcome(name: str) -> Outcome:
    return prove(theorem(name), proving(name))


@pytest.mark.parametrize("name", ["putpages-cluster", "putpages-cluster-hardened"])
def test_the_cluster(name: str) -> None:
    found = outcome(name)
    assert (found.verdict, found.failures, found.open) == ("proved", (), ())
    assert found.obligations > 20


def test_past_the_end_of_the_file() -> None:
    """A request that begins where the file ends takes its whole length: findings F5 and F6."""
    found = outcome("do-io-inside-file")
    assert found.verdict == "fails"
    (failure,) = found.failures
    values = dict(failure.values)
    assert values["length"] == 1 and values["off"] == values["vnodes.v_writesize"] == 0


def test_a_chunk_of_direct_io_before_the_file() -> None:
    """1615 adds unsigned: with a negative offset the sum may be small."""
    found = outcome("directio-entry-offset")
    assert found.verdict == "fails"
    (failure,) = found.failures
    values = dict(failure.values)
    assert (values["uio.uio_offset"], values["uio.iov_len"]) == (-512, 512)


@pytest.mark.parametrize(
    "name", ["putpages-range", "putpages-range-hardened", "putpages-scan", "putpages-scan-hardened"]
)
def test_the_range_and_the_scan(name: str) -> None:
    found = outcome(name)
    assert (found.verdict, found.open) == ("proved", ())


@pytest.mark.parametrize(
    "name", sorted({each.unit.name for each in arithmetic() if each.variant == "1.18"})
)
def test_what_is_assumed_can_be(name: str) -> None:
    """Otherwise everything would follow."""
    unit = next(each.unit for each in arithmetic() if each.unit.name == name)
    of = Proving(unit, source())
    solver = z3.Solver()
    solver.add(*of.assumed)
    assert solver.check() == z3.sat


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["getpages-window", "getpages-array", "getpages-size-t", "getpages-no-overflow",
             "getpages-tail", "getpages-pieces", "getpages-bytes", "do-io-length",
             "do-io-pieces", "do-io-bytes", "directio-chunks", "directio-no-overflow",
             "directio-mapping", "directio-allocated"],
)  # fmt: skip
def test_proved(name: str) -> None:
    found = outcome(name)
    assert (found.verdict, found.open) == ("proved", ())


@pytest.mark.long
def test_the_centre_is_not_asserted() -> None:
    """165 lets through an index before the array: the request is empty then."""
    found = outcome("getpages-entry-centre")
    assert found.verdict == "fails"
    empty = next(each for each in found.failures if each.kind == "claim")
    assert dict(empty.values)["a_centeridx"] == -1
    assert dict(empty.values)["a_count"] == 1


def test_names_are_unique_and_every_variant_has_the_same_theorems() -> None:
    names = [each.name for each in arithmetic()]
    assert len(names) == len(set(names))
    plain = [each.name for each in arithmetic() if each.variant == "1.18"]
    assert [each.name for each in arithmetic() if each.variant == "hardened"] == [
        f"{name}-hardened" for name in plain
    ]


def test_all_fixes_are_known() -> None:
    assert "fresh-diskeof" in fixes(source())


def test_a_contract_for_nothing_is_refused() -> None:
    given = dict(texts())
    (key,) = [key for key in given if key.endswith("proofs.devices")]
    path, text = given[key]
    given[key] = (path, text.replace("def putiobuf(", "def putiobuff("))
    with pytest.raises(ValueError, match="putiobuff"):
        load_with_contracts(given)


def test_what_was_said_on_the_way_is_known() -> None:
    of = proving("do-io-length")
    said = [each for each in of.conditions.obligations if each.name == "bits"]
    assert said and all(of.known(each) for each in said)
    assert not any(of.known(replace(each, goal=z3.Not(each.goal))) for each in said)


def test_questions_are_exported() -> None:
    of = proving("putpages-cluster")
    chosen = of.selected(theorem("putpages-cluster"))
    text = of.question(chosen[0]).smt2("putpages-cluster")
    assert text.startswith("; putpages-cluster\n(set-logic QF_AUFBV)")
    assert "(check-sat)" in text

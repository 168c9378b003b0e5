"""Random walks: what they find is there, is short, and depends on the seed only."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.native.walks import WalkStats
from genfscheck.checker.explore.refine import Expander
from genfscheck.checker.explore.result import Found, Granularity, Result
from genfscheck.checker.explore.shrink import Shrinker
from genfscheck.checker.explore.swarm import Effort, estimate, explore_swarm
from genfscheck.checker.lang import ir

from ..build import counter, crossed
from ..randomised import random_program
from . import test_engine
from .test_search import late_break, masked, witnesses

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)

Cause = tuple[str, str, tuple[int, ...]]


def causes(found: Sequence[Found]) -> dict[Cause, int]:
    """Causes with their depths; threads that never finish are not looked for by walks."""
    return {
        (one.kind, one.property, one.lines): one.depth for one in found if one.kind != "progress"
    }


def plain(result: Result) -> Result:
    return replace(result, seconds=0, search_seconds=0, compile_seconds=0, memory=0)


def compare(
    program: ir.Program, granularity: Granularity, *, missed: bool = False
) -> tuple[Result, Result]:
    """Walks against the full search: nothing that is not there, at no smaller depth."""
    whole = explore(program, granularity="fine")
    walked = explore_swarm(program, Effort(300, 200, seed=1), granularity=granularity)
    there, found = causes(whole.violations), causes(walked.violations)
    assert set(found) <= set(there)
    assert missed or set(found) == set(there)
    assert all(found[cause] >= there[cause] for cause in found)
    assert walked.verdict == ("violated" if found else "inconclusive")
    assert all(own <= full for own, full in zip(walked.covered, whole.covered, strict=True))
    expander = Expander(program, walked.stops)
    for one in walked.violations:
        expander.confirm(one)
    return whole, walked


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
def test_finds_what_there_is(granularity: Granularity) -> None:
    for program in (masked(), late_break(), crossed()):
        whole, walked = compare(program, granularity)
        assert whole.violations
        assert not walked.complete and walked.note.startswith("random walks: 300 of ")


@pytest.mark.parametrize("seed", range(2))
def test_random_programs(seed: int) -> None:
    compare(random_program(seed), "fine", missed=True)
    compare(random_program(seed), "reduced", missed=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 100))
def test_more_random_programs(seed: int) -> None:
    compare(random_program(seed), "fine", missed=True)
    compare(random_program(seed), "reduced", missed=True)


def test_never_holds() -> None:
    walked = explore_swarm(counter(2, 1, True), Effort(50, 100))
    assert (walked.verdict, walked.complete, walked.bound) == ("inconclusive", False, "walks")


def test_seed_decides_and_workers_do_not() -> None:
    program = random_program(0)
    one = plain(explore_swarm(program, Effort(200, 60, seed=5), workers=1))
    assert plain(explore_swarm(program, Effort(200, 60, seed=5), workers=3)) == one
    other = plain(explore_swarm(program, Effort(200, 60, seed=6), workers=3))
    assert (other.states, other.transitions) != (one.states, one.transitions)


def test_bounds() -> None:
    program = counter(3, 3, False)
    short = explore_swarm(program, Effort(100, 4))
    assert (short.depth, short.transitions) == (4, 400)
    assert causes(short.violations) == {}
    timed = explore_swarm(program, Effort(10**9, 100, seconds=0.0))
    assert timed.bound == "max_seconds" and 0 < timed.transitions


def test_witnesses() -> None:
    walked = explore_swarm(witnesses(), Effort(100, 50), granularity="fine")
    both = walked.witnesses["both"]
    assert both is not None and len(both.blocks) == 2
    assert walked.witnesses["never"] is None


def test_shortened_to_the_shortest() -> None:
    """Of long walks nearly all decisions have nothing to do with the deadlock."""
    program = crossed()
    (whole,) = explore(program, granularity="fine").violations
    (walked,) = explore_swarm(program, Effort(200, 1000, seed=3), granularity="fine").violations
    assert walked.depth == whole.depth
    assert walked.path.switches == whole.path.switches


def test_estimate_is_near() -> None:
    for states in (100, 10_000, 200_000):
        bits, drawn = 1 << 16, random.Random(states)
        used = len({drawn.randrange(bits) for _ in range(states)})
        found = estimate(WalkStats(0, 0, 0, 0, used, bits, 0))
        assert abs(found - states) < 0.05 * states


# -------------------------------------------------------------------------- shortening


def test_shrinker() -> None:
    """Kept are the items that the test wants, in order; all else goes."""
    items = [(number % 3, number) for number in range(40)]
    wanted = [items[7], items[20], items[31]]

    def test(candidate: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
        rest = iter(candidate)
        return candidate if all(item in rest for item in wanted) else None

    assert Shrinker(test, lambda item: item[0]).shrink(items) == wanted
    with pytest.raises(ValueError, match="does not pass"):
        Shrinker(test, lambda item: item[0]).shrink(items[8:])


def test_shrinker_brings_threads_together() -> None:
    items = [(number % 2, number) for number in range(8)]

    def test(candidate: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
        by_kind = [[item for item in candidate if item[0] == kind] for kind in (0, 1)]
        whole = all(part == sorted(part) and len(part) == 4 for part in by_kind)
        return candidate if whole else None

    found = Shrinker(test, lambda item: item[0]).shrink(items)
    assert [kind for kind, _ in found] in ([0] * 4 + [1] * 4, [1] * 4 + [0] * 4)


def test_shrinker_keeps_to_its_budget() -> None:
    executed = 0

    def test(candidate: list[int]) -> list[int] | None:
        nonlocal executed
        executed += len(candidate)
        return candidate if sum(candidate) >= 5000 else None

    found = Shrinker(test, lambda item: item % 7, budget=3000).shrink([*range(150)])
    assert sum(found) >= 5000 and executed <= 3000 + 150


# -------------------------------------------------------------------------- sanitizers


@pytest.mark.parametrize(
    ("sanitizer", "toy"),
    [
        ("", "grid"),
        *(
            pytest.param(sanitizer, toy, marks=pytest.mark.long)
            for sanitizer in ("address,undefined", "thread")
            for toy in ("maze", "grid")
        ),
    ],
)
def test_without_python(sanitizer: str, toy: str, tmp_path: Path) -> None:
    """Walks, fingerprints, and a search that hops through checkpoints, by several workers."""
    source, built = tmp_path / "all.c", tmp_path / "run"
    parts = (f"{toy}.c", "engine.c", "modes.c")
    source.write_text("".join(f'#include "{part}"\n' for part in parts), encoding="utf-8")
    assert test_engine.COMPILER is not None
    command = [
        test_engine.COMPILER, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-DSMALL=8",
        "-I", str(test_engine.TOYS), "-I", str(test_engine.ENGINE),
        *([f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"] if sanitizer else []),
        str(source), "-o", str(built), "-lpthread",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "cannot find" in done.stderr:
        pytest.skip("the compiler has no such sanitizer")
    assert done.returncode == 0, done.stderr
    for seed in (2, 4, 7, 11, 42, 91) if toy == "maze" else (0,):
        said = set()
        for workers in (1, 3, 3, 3):
            ran = subprocess.run(
                [str(built), str(workers), str(seed)], capture_output=True, text=True, timeout=300
            )
            assert ran.returncode == 0, ran.stderr[-2000:]
            said.add(ran.stdout)
        assert len(said) == 1

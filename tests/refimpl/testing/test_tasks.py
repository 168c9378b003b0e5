"""Given what threads do, but not when, drawn schedules find the findings; hardened has none.

Each task is one in which a finding is possible; how many schedules it took to meet it is in
docs/testing.md.
"""

from __future__ import annotations

import dataclasses
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genfscheck.refimpl import Fixes
from genfscheck.refimpl.testing import (
    PROMISE,
    REMOUNT,
    Call,
    Drawn,
    Fault,
    Reference,
    Task,
    run_scheduled,
)

from .support import Found, looking, without


@dataclasses.dataclass
class Case:
    """A task, the machine it needs, and how the failure is told."""

    task: Task
    says: str
    knobs: dict[str, object] = dataclasses.field(default_factory=dict)
    end: str = REMOUNT

    def found(self, fixes: Fixes, schedules: int) -> str:
        """What went wrong under one of so many schedules, or nothing."""
        knobs = MACHINE | self.knobs | {"fixes": fixes}

        @looking(schedules)
        @given(st.data())
        def play(data: st.DataObject) -> None:
            fs = Reference(**knobs)  # type: ignore[arg-type]
            try:
                run = run_scheduled(fs, self.task, Drawn(data).chooser(), self.end)
            finally:
                fs.close()
            if run.failure is not None:
                raise Found(str(run.failure))

        try:
            play()
        except Found as found:
            return str(found)
        return ""


MACHINE: dict[str, object] = {
    "size": 32 * 1024,
    "files": 2,
    "block_size": 1024,
    "page_size": 1024,
    "memory_pages": 64,
    "maxphys": 4096,
    "window_pages": 2,
    "array_on_stack": 1,
    "io_threads": 1,
    "patience": 2.0,
}
PAGE, TWO = (1, 2, 3, 4), tuple(range(1, 9))
NO_SPACE = Fault("space", 1, answers=frozenset({errno.ENOSPC}))
LOAD, FSYNC = Call("load", (0,)), Call("fsync")
STORE = Call("store", (0, 30))
EVERYTHING = Call("msync", (0, 8, False))

CASES = {
    "glock_held": Case(  # F1
        Task(4, PAGE, {"user0": [Call("write", (0, (9,)))], "user1": [LOAD]}), "g_glock"
    ),
    "flags_under_lock": Case(  # F2
        Task(8, (), {"user0": [LOAD], "user1": [LOAD]}), "sleeps on page0"
    ),
    "startover_pgs": Case(  # F4
        Task(8, TWO, {"user0": [Call("load", (5,))], "user1": [Call("truncate", (0,))]}),
        "not allocated",
        {"block_size": 2048},
    ),
    "count_before_unlock": Case(  # F6
        Task(
            4, PAGE, {"user0": [Call("msync", (0, 4, True))], "user1": [FSYNC]}, before=[STORE]
        ),
        "record 0",
        end=PROMISE,
    ),
    "list_at_out": Case(  # F7
        Task(4, PAGE, {"user0": [Call("write", (4, (21, 22, 23, 24)))], "user1": [EVERYTHING]}),
        "record 4",
        {"journal": True},
        PROMISE,
    ),
    "fresh_diskeof": Case(  # F9
        Task(
            1,
            (1,),
            {
                "user0": [LOAD],
                "user1": [Call("write", (1, (21, 22, 23))), Call("msync", (0, 8, True))],
            },
        ),
        "record",
        {"block_size": 512},
    ),
    "transaction_first": Case(  # F10
        Task(
            8,
            (),
            {"user0": [STORE], "user1": [EVERYTHING], "user2": [Call("fsync_other")]},
            before=[Call("load", (4,))],
        ),
        "wl_rwlock",
        {"journal": True},
    ),
    "keep_zeroed": Case(  # F11
        Task(8, (), {"user0": [STORE], "user1": [LOAD]}, fault=NO_SPACE),
        "record",
        {"block_size": 512},
    ),
}
QUICK = {"glock_held", "flags_under_lock", "startover_pgs", "count_before_unlock", "keep_zeroed"}


@pytest.mark.parametrize(
    "fix", [pytest.param(one, marks=() if one in QUICK else pytest.mark.long) for one in CASES]
)
def test_a_finding(fix: str) -> None:
    assert CASES[fix].says in (CASES[fix].found(without(fix), 1000) or "nothing")


@pytest.mark.long
@pytest.mark.parametrize("fix", CASES)
def test_not_on_hardened(fix: str) -> None:
    assert CASES[fix].found(Fixes.of("hardened"), 300) == ""

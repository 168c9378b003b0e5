"""Given what threads do, but not when: the schedules that show the findings are found.

Each task is one in which a finding is possible.  `explore` tries all schedules with one
preemption, `Drawn` draws some; how many each took is in docs/testing.md.
"""

from __future__ import annotations

import dataclasses
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genfscheck.refimpl import Fixes
from genfscheck.refimpl.testing import (
    LAST,
    PROMISE,
    REMOUNT,
    UNMOUNT,
    Call,
    Drawn,
    Fault,
    Reference,
    Task,
    explore,
    places,
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

    def machine(self, fixes: Fixes) -> dict[str, object]:
        return MACHINE | self.knobs | {"fixes": fixes}

    def explored(self, fixes: Fixes) -> tuple[int, str]:
        """How many schedules were tried until one failed, and what went wrong."""
        tried = 0
        for run in explore(self.task, self.machine(fixes), self.end):
            tried += 1
            if run.failure is not None:
                return tried, str(run.failure)
        return tried, ""

    def drawn(self, fixes: Fixes, schedules: int) -> str:
        """What went wrong under one of so many schedules, or nothing."""
        machine = self.machine(fixes)
        where = places(self.task, machine, self.end)

        @looking(schedules)
        @given(st.data())
        def play(data: st.DataObject) -> None:
            fs = Reference(**machine)  # type: ignore[arg-type]
            try:
                run = run_scheduled(fs, self.task, Drawn(data, where).chooser(), self.end)
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
    "page_junk": b"\xee",
    "patience": 2.0,
}
PAGE, TWO = (1, 2, 3, 4), tuple(range(1, 9))
IO_ERROR = frozenset({errno.EIO})
NO_SPACE = Fault("space", 1, answers=frozenset({errno.ENOSPC}))
SHORT = Fault("short", errno=0, answers=IO_ERROR)  # without an error
PAGE_TWO = (4, (21, 22, 23, 24))
LOAD, FSYNC = Call("load", (0,)), Call("fsync")
STORE, STORE_NEXT = Call("store", (0, 30)), Call("store", (4, 31))
EVERYTHING, INVALIDATE = Call("msync", (0, 8, False)), Call("msync", (0, 8, True))
CUT = Call("truncate", (3,))
BLOCKS_OF_A_PAGE: dict[str, object] = {"block_size": 512, "page_size": 2048}

CASES = {
    "F1 glock_held": Case(
        Task(4, PAGE, {"user0": [Call("write", (0, (9,)))], "user1": [LOAD]}), "g_glock"
    ),
    "F2 flags_under_lock": Case(
        Task(8, (), {"user0": [LOAD], "user1": [LOAD]}), "sleeps on page0"
    ),
    "F4 startover_pgs": Case(
        Task(8, TWO, {"user0": [Call("load", (5,))], "user1": [Call("truncate", (0,))]}),
        "not allocated",
        {"block_size": 2048},
    ),
    "F5 sizes_under_lock": Case(
        Task(
            8,
            TWO,
            {"user0": [Call("msync", (0, 4, False))], "user1": [Call("truncate", (6,))]},
            before=[STORE],
        ),
        "genfs_io.c:1290",
    ),
    "F6 count_before_unlock": Case(
        Task(
            4, PAGE, {"user0": [Call("msync", (0, 4, True))], "user1": [FSYNC]}, before=[STORE]
        ),
        "record 0",
        end=PROMISE,
    ),
    "F7 list_at_out": Case(
        Task(4, PAGE, {"user0": [Call("write", PAGE_TWO)], "user1": [EVERYTHING]}),
        "record 4",
        {"journal": True},
        LAST,
    ),
    "F8 rescan_after_sleep": Case(
        Task(
            8,
            TWO,
            {"user0": [FSYNC], "user1": [LOAD]},
            before=[STORE, STORE_NEXT, EVERYTHING],
            after=[("user1", Call("store", (1, 40)))],
        ),
        "record 1",
        end=LAST,
    ),
    "F9 fresh_diskeof": Case(
        Task(
            1, (1,), {"user0": [LOAD], "user1": [Call("write", (1, (21, 22, 23))), INVALIDATE]}
        ),
        "record",
        {"block_size": 512},
    ),
    "F10 transaction_first": Case(
        Task(
            8,
            (),
            {"user0": [STORE], "user1": [EVERYTHING], "user2": [Call("fsync_other")]},
            before=[Call("load", (4,))],
        ),
        "wl_rwlock",
        {"journal": True},
    ),
    "F11 keep_zeroed": Case(
        Task(8, (), {"user0": [STORE], "user1": [LOAD]}, fault=NO_SPACE),
        "record",
        {"block_size": 512},
    ),
    "F12 alloc_within_file": Case(
        Task(16, (), {"user0": [STORE]}, before=[CUT]), "sizes of", BLOCKS_OF_A_PAGE
    ),
    "F13 grow_fills_last_page": Case(
        Task(
            1, (1,), {"user0": [LOAD, Call("truncate", (16,)), Call("store", (2, 30)), INVALIDATE]}
        ),
        "record 2",
        BLOCKS_OF_A_PAGE,
    ),
    "F15 reclaim_keeps_error": Case(
        Task(
            4,
            PAGE,
            {"user0": [LOAD]},
            before=[STORE],
            fault=Fault("write", answers=IO_ERROR),
        ),
        "nobody was told",
        end=UNMOUNT,
    ),
    "F16 debug_skips_markers": Case(
        Task(
            4,
            PAGE,
            {"user0": [EVERYTHING], "user1": [FSYNC]},
            before=[STORE, EVERYTHING],
        ),
        "genfs_io.c:1178",
        {"debug": True},
    ),
    "F17 grow_fills_new_page": Case(
        Task(0, (), {"user0": [Call("truncate", (4,)), STORE, INVALIDATE]}),
        "record 0",
        {"block_size": 512},
    ),
    "F18 short_is_error, read": Case(
        Task(4, PAGE, {"user0": [LOAD, Call("load", (3,))]}, fault=SHORT), "never written"
    ),
    "F18 short_is_error, write": Case(
        Task(4, PAGE, {"user0": [FSYNC]}, before=[Call("store", (3, 30))], fault=SHORT),
        "record 3",
        end=PROMISE,
    ),
    "F19 error_frees_fake_only": Case(
        Task(
            8,
            TWO,
            {"user0": [Call("willneed", (0, 8))]},
            before=[STORE],
            fault=Fault("read", answers=IO_ERROR),
        ),
        "cannot be freed",
    ),
    "F20 failed_write_stays_dirty": Case(
        Task(
            8,
            (),
            {"user0": [STORE, EVERYTHING]},
            after=[("user0", INVALIDATE)],
            fault=Fault("write", answers=IO_ERROR),
        ),
        "never written",
    ),
    "F21 clip_past_eof": Case(
        Task(4, PAGE, {"user0": [STORE_NEXT, EVERYTHING]}),
        "genfs_io.c:1303",
        {"block_size": 2048, "fragments": True},
    ),
    "F22 reclaim_waits": Case(
        Task(4, PAGE, {"user0": [LOAD], "user1": [Call("revoke")]}), "has pages"
    ),
    "F23 busyfail_keeps_list": Case(
        Task(
            8,
            TWO,
            {"user0": [Call("willneed", (0, 8))], "user1": [Call("flush_unless_busy")]},
            before=[STORE],
        ),
        "record 0",
        end=LAST,
    ),
    "F24 overwrite_from_page": Case(
        Task(0, (), {"user0": [Call("write", PAGE_TWO)], "user1": [Call("pageout")]}),
        "record 4",
        {"block_size": 512},
    ),
    "F25 free_still_cleans": Case(
        Task(4, PAGE, {"user0": [INVALIDATE], "user1": [STORE]}, before=[FSYNC, LOAD]),
        "record 0",
    ),
    "F26 zeros_are_written": Case(
        Task(
            8,
            TWO,
            {"user0": [Call("truncate", (2,)), Call("truncate", (8,))]},
            fault=Fault("write", answers=IO_ERROR),
        ),
        "record 4",
        {"block_size": 2048},
    ),
}
ONE_THREAD = {name for name, case in CASES.items() if len(case.task.programs) == 1}


def fix_of(name: str) -> str:
    return name.split()[1].rstrip(",")


@pytest.mark.parametrize("name", CASES)
def test_one_preemption_is_enough(name: str) -> None:
    """Of all schedules of these tasks with one preemption, one fails."""
    tried, wrong = CASES[name].explored(without(fix_of(name)))
    assert CASES[name].says in (wrong or f"nothing in {tried} schedules")
    assert (tried == 1) == (name in ONE_THREAD | {"F11 keep_zeroed"})


QUICK = {"F1 glock_held", "F11 keep_zeroed"}
quick = [pytest.param(one, marks=() if one in QUICK else pytest.mark.long) for one in CASES]


@pytest.mark.parametrize("name", quick)
def test_none_on_hardened(name: str) -> None:
    tried, wrong = CASES[name].explored(Fixes.of("hardened"))
    assert wrong == ""
    assert tried == 1 if name in ONE_THREAD else tried > 5


def test_every_finding_that_a_user_can_see() -> None:
    """F3 and F14 change nothing that a user sees."""
    known = {field.name for field in dataclasses.fields(Fixes)}
    unseen = {"dontcare_kept", "no_sleep"}
    assert {fix_of(name) for name in CASES} == known - unseen


@pytest.mark.parametrize("name", quick)
def test_drawn_schedules(name: str) -> None:
    assert CASES[name].says in (CASES[name].drawn(without(fix_of(name)), 1000) or "nothing")


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_drawn_schedules_on_hardened(name: str) -> None:
    assert CASES[name].drawn(Fixes.of("hardened"), 300) == ""

"""What an event says is compared: which of its values may differ, and the log still conforms."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from genfscheck.checker.conform.report import conforms
from genfscheck.refimpl.conformance.binding import (
    HIDDEN_EVENTS,
    HIDDEN_LOCKS,
    BindingError,
)
from genfscheck.refimpl.conformance.runs import Bench, Run
from genfscheck.refimpl.hook import Event

from .test_runs import bench

TIMES = 2  # of each value of each kind of event in a log

# Values that may be changed: those in `HIDDEN_CASES`, and no others.
FREE = {
    "biodone.done", "block_alloc.new", "block_free.block", "bmap.run", "fill.length",
    "fstrans_start.type within", "kva_free.pages", "nestiobuf_done.count",
    "nestiobuf_done.done", "nestiobuf_done.error", "pmap_protect.prot", "rw_exit.to",
    "user_load.number that fails", "user_load.offset that fails", "user_load.pmap that fails",
    "user_store.number that fails", "user_store.offset that fails", "user_store.pmap that fails",
    "user_load.length that fails", "user_store.length that fails", "wakeup.chan",
}  # fmt: skip
_SWAPPED = [("page0", "page1"), ("buf0", "buf1"), ("window0", "window1"),
            ("mapping0", "mapping1"), ("lazy", "shared"), ("reader", "writer")]  # fmt: skip


def others(value: object) -> list[object]:
    """Values of the same kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 512, value - 512] if value and not value % 512 else [value ^ 1, value + 2]
    if not isinstance(value, str):
        return []
    swaps = [*_SWAPPED, *((b, a) for a, b in _SWAPPED)]
    found: list[object] = [value.replace(a, b) for a, b in swaps if a in value]
    if value[:1].isdigit():
        found.append(",".join("7" for _ in value.split(",")))
    return found


def which(event: Event) -> str:
    """What makes a difference among events of a kind."""
    values = event.values
    if event.kind in ("user_load", "user_store") and not values["ok"]:
        return " that fails"
    if event.kind == "fstrans_start" and values["count"] != 1:
        return " within"
    return ""


def free(tested: Bench, done: Run) -> set[str]:
    """The values of this log's events that can be changed unnoticed."""
    assert conforms(tested.validate(done))
    tried: Counter[str] = Counter()
    found: set[str] = set()
    for place, event in enumerate(done.events):
        if event.kind in HIDDEN_EVENTS or any(
            str(event.values.get("lock")).startswith(lock) for lock in HIDDEN_LOCKS
        ):
            continue
        for key, value in event.values.items():
            name = f"{event.kind}.{key}{which(event)}"
            for other in others(value):
                if name in found or tried[name] >= TIMES:
                    break
                tried[name] += 1
                if accepted(tested, done, place, key, other):
                    found.add(name)
    assert len(tried) > 30
    return found


def accepted(tested: Bench, done: Run, place: int, key: str, value: object) -> bool:
    old = done.events[place]
    event = Event(old.number, old.thread, old.kind, old.at, {**old.values, key: value})
    events = [*done.events[:place], event, *done.events[place + 1 :]]
    try:
        return conforms(tested.validate(replace(done, events=events)))
    except BindingError:
        return False


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    ["hole-faults", "fsync-and-read-fault", "msync-and-truncate", "read-and-write",
     "suspend-and-write", "failed-write-of-new-block"],
)  # fmt: skip
def test_other_values_are_noticed(name: str) -> None:
    tested = bench(name, "1.18")
    for seed in range(8):
        done = tested.run(seed, patience=20.0)
        if not done.died:
            assert free(tested, done) <= FREE
            return
    pytest.fail("every run died")

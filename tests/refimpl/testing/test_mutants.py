"""The tests can fail: the reference implementation is broken on purpose, and they notice.

Each mutant is one mistake as somebody might make it.  The first ones are found by one
thread, the others need threads that meet.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from genfscheck.refimpl import (
    Config,
    File,
    Jitter,
    device,
    ffs,
    flush,
    kernel,
    kva,
    locks,
    ops,
    pages,
    pmap,
    sizes,
)
from genfscheck.refimpl import buf as buffers
from genfscheck.refimpl.genfs import directio
from genfscheck.refimpl.sync import WRITER
from genfscheck.refimpl.testing import (
    PROMISE,
    Broken,
    Call,
    Fault,
    Reference,
    ReferenceMachine,
    Task,
    Wrong,
    explain,
    explore,
    run_threads,
)
from genfscheck.refimpl.testing.meetings import meetings
from genfscheck.refimpl.testing.meetings import play as meet

from .support import hunt, looking

Patch = Callable[[pytest.MonkeyPatch], None]


def instead(owner: object, name: str, change: Callable[[Any], Any]) -> Patch:
    """Replaces an attribute by what ``change`` makes of it."""
    return lambda patch: patch.setattr(owner, name, change(getattr(owner, name)))


def nothing(result: object = None) -> Callable[[Any], Any]:
    return lambda right: lambda *arguments, **named: result


def result(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As before, with another result."""
    return lambda right: lambda *arguments, **named: change(right(*arguments, **named))


def sometimes_lost(right: Any) -> Any:
    """Writes to some places of the device are lost."""

    def put(self: Any, offset: int, data: bytes) -> None:
        if offset // 512 % 9 != 4:
            right(self, offset, data)

    return put


ONE_THREAD: dict[str, Patch] = {
    "modified bits are forgotten": instead(
        pmap.PmapSystem, "clear_modify", result(lambda _: False)
    ),
    "holes are not zeroed": instead(kva.Window, "zero", nothing()),
    "the rest of a cut page keeps its bytes": instead(sizes, "_zero_rest", nothing(0)),
    "a block has two owners": instead(
        ffs.Ffs, "_take", lambda right: lambda self, *before: self.free[0]
    ),
    "fsync does nothing": instead(File, "fsync", nothing()),
    "fsync hides errors": instead(
        Config, "reports_fsync", lambda right: property(lambda self: False)
    ),
    "blocks stay after a truncation": instead(ffs.Ffs, "free_blocks", nothing()),
    "some writes are lost": instead(device.Device, "_put", sometimes_lost),
    "a direct write leaves pages": instead(directio, "PGO_FREE", lambda right: 0),
    "inodes are not written": instead(ffs.Ffs, "_write", nothing(0)),
    "mappings stay writable": instead(pmap.PmapSystem, "page_protect", nothing()),
    "an array is not freed": instead(kernel.Kernel, "kmem_free", nothing()),
    "buffers are not given back": instead(buffers.Bufs, "put", nothing()),
    "pages are not woken": instead(
        pages.Uvm, "unbusy", lambda right: lambda self, pgs, at: right(self, pgs[1:], at)
    ),
}
QUICK = ["holes are not zeroed", "fsync does nothing", "inodes are not written"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
        for name in ONE_THREAD
    ],
)
def test_one_thread(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mutant(ReferenceMachine):
        def implementation(self, configuration: dict[str, object]) -> Any:
            return super().implementation(configuration | {"patience": 10.0})

    ONE_THREAD[name](monkeypatch)
    failure = hunt(Mutant, looking(400, 25))
    assert isinstance(failure, (AssertionError, Broken, OSError)), failure


def torn(right: Any) -> Any:
    """A store in two halves, and time between them."""

    def store(self: Any, number: int, offset: int, data: Any, at: Any) -> bool:
        half = len(data) // 2
        if not right(self, number, offset, data[:half], at):
            return False
        return bool(right(self, number, offset + half, data[half:], at))

    return store


def in_pieces(right: Any) -> Any:
    """A write that lets others at the file between two blocks."""

    def piece(vp: Any, uio: Any, *arguments: int) -> int:
        error = int(right(vp, uio, *arguments))
        if uio.resid:
            vp.v_lock.exit("write")
            vp.v_lock.enter(WRITER, "write")
        return error

    return piece


def test_a_write_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is right; only the file as a whole shows it."""
    task = Task(
        8,
        tuple(range(1, 9)),
        {
            "user0": [Call("write", (0, tuple(range(11, 19))))],
            "user1": [Call("read", (0, 8))],
        },
    )
    machine: dict[str, object] = {"page_size": 1024, "maxphys": 4096, "patience": 2.0}
    instead(ops, "_write_piece", in_pieces)(monkeypatch)
    failures = (run.failure for run in explore(task, machine) if run.failure is not None)
    failure = next(failures)
    assert isinstance(failure, Wrong) and failure.number is None


def test_threads_notice_torn_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads: whether one of them looks between the halves is a matter of chance."""
    instead(pmap.Pmap, "store", torn)(monkeypatch)
    stores = [Call("store", (0, tag)) for tag in range(10, 40)]
    loads = [Call("load", (0,))] * 60
    task = Task(4, (1, 2, 3, 4), {"one": stores, "two": loads, "three": loads}, cold=False)

    def noticed(seed: int) -> bool:
        fs = Reference(page_size=1024, maxphys=4096, hook=Jitter(seed, rate=0.3), patience=30.0)
        try:
            return "torn" in str(explain(run_threads(fs, task, 60.0), task, 1024))
        finally:
            fs.close()

    assert any(noticed(seed) for seed in range(20))


MEETING: dict[str, Patch] = {
    "stores are torn": instead(pmap.Pmap, "store", torn),
    "readers and writers do not exclude each other": instead(
        locks.RwLock, "_grantable", nothing(True)
    ),
}


def test_an_fsync_that_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PGO_SYNCIO it waits for what it wrote all the same, but hears of no error."""
    fault = Fault("write", answers=frozenset({errno.EIO}))
    calls = [Call("store", (0, 9))]
    task = Task(4, (1, 2, 3, 4), {"user0": [Call("fsync")]}, before=calls, fault=fault)
    machine: dict[str, object] = {"page_size": 1024, "maxphys": 4096, "patience": 2.0}
    assert [run.failure for run in explore(task, machine, PROMISE)] == [None]
    instead(flush, "PGO_SYNCIO", lambda right: 0)(monkeypatch)
    (failure,) = [run.failure for run in explore(task, machine, PROMISE)]
    assert isinstance(failure, Wrong) and failure.number == 0


def test_a_torn_store_between_its_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(
        4, (1, 2, 3, 4), {"user0": [Call("store", (0, 9))], "user1": [Call("load", (0,))]}
    )
    machine: dict[str, object] = {"page_size": 1024, "maxphys": 4096, "patience": 2.0}
    instead(pmap.Pmap, "store", torn)(monkeypatch)
    failures = (run.failure for run in explore(task, machine) if run.failure is not None)
    assert "torn, 256 bytes of #1, #9" in str(next(failures))


@pytest.mark.long
@pytest.mark.parametrize("name", MEETING)
def test_calls_that_meet(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of where to look."""
    MEETING[name](monkeypatch)
    assert any(meet(one, {})[1] for one in islice(meetings(1), 300))

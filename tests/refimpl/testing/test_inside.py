"""What a kernel does of its own accord, when a test orders it: `Inside` of the reference."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from genfscheck.refimpl.testing import Broken, Call, Player, Reference, Task, explore
from genfscheck.refimpl.testing.history import History
from genfscheck.refimpl.testing.player import FILE, Revoked
from genfscheck.refimpl.testing.records import RECORD, encode

Both = tuple[Reference, Player]
PAGE = 4


@pytest.fixture
def both() -> Iterator[Both]:
    """A file of two pages, the first record of each stored and dirty."""
    fs = Reference(page_size=PAGE * RECORD, maxphys=4096, syncer_delay=0.0, patience=5.0)
    try:
        tags = range(51, 51 + 2 * PAGE)
        fs.open(FILE, create=True).pwrite(b"".join(map(encode, tags)), 0)
        fs.sync()
        player = Player(fs, "user", History(), 2 * PAGE)
        player.play([Call("store", (0, 1)), Call("store", (PAGE, 2))])
        yield fs, player
    finally:
        fs.close()


def pages(fs: Reference) -> int:
    return fs.mounted.stat(FILE).pages


def stored(fs: Reference) -> list[int]:
    """The first byte's tag of each page on the device."""
    data = fs.stored(FILE)
    return [data[page * PAGE * RECORD + 1] for page in range(2)]


def test_what_is_not_written_is_not_stored(both: Both) -> None:
    fs, player = both
    assert stored(fs) == [51, 55]
    player.do(Call("msync", (0, PAGE, False)))
    assert stored(fs) == [1, 2]  # the next page is dirty, and goes with it
    assert fs.mounted.kernel.vnodes[0].uobj.npages.value == 2  # looking changes nothing


def test_the_page_daemon_frees_what_is_not_locked(both: Both) -> None:
    fs, player = both
    player.do(Call("lock", (0,)))
    player.do(Call("pageout"))
    fs.let_go()
    assert pages(fs) == 1
    assert stored(fs) == [1, 2]
    assert player.mapped.load(1, 1) == b"\1"
    player.do(Call("lock", (2 * PAGE + PAGE,)))  # past the end: ENOMEM, as mlock(2) has it
    with pytest.raises(OSError) as caught:
        fs.lock(player.mapped, 3 * PAGE * RECORD, 1)
    assert caught.value.errno == errno.ENOMEM


@pytest.mark.parametrize("name", ["background", "suspend", "flush_unless_busy"])
def test_flushes_of_the_kernel(both: Both, name: str) -> None:
    fs, player = both
    player.do(Call(name))
    fs.let_go()
    assert pages(fs) == 2
    assert stored(fs) == [1, 2]
    assert fs.mounted.kernel.fstrans.state == "normal"


def test_a_synchronous_write(both: Both) -> None:
    fs, player = both
    player.do(Call("fsync"))
    player.do(Call("write_sync", (0, (7,))))
    assert stored(fs) == [7, 2]


def test_a_file_that_is_revoked(both: Both) -> None:
    fs, player = both
    player.do(Call("revoke"))
    assert fs.revoked(FILE) and stored(fs) == [1, 2]
    for call in (Call("load", (0,)), Call("store", (0, 9)), Call("read", (0, 1))):
        with pytest.raises(Revoked):
            player.do(call)
    fs.let_go()
    again = Player(fs, "another", History(), 2 * PAGE)
    assert again.mapped.load(1, 1) == b"\1"
    fs.remount()
    assert not fs.revoked(FILE)


def test_a_dead_file_with_pages_is_noticed(both: Both) -> None:
    fs, player = both
    vp = fs.mounted.kernel.vnodes[0]
    player.do(Call("revoke"))
    vp.uobj.npages.value = 1
    with pytest.raises(Broken, match="is dead, and has pages"):
        fs.let_go()


def test_a_thread_that_is_preempted_in_a_scan_yields() -> None:
    """No fault is needed: as a thread that has run for long enough."""
    task = Task(
        2 * PAGE,
        tuple(range(1, 9)),
        {"user0": [Call("msync", (0, 2 * PAGE, False))], "user1": [Call("load", (0,))]},
        before=[Call("store", (0, 30)), Call("store", (PAGE, 31))],
    )
    machine: dict[str, object] = {"page_size": 1024, "maxphys": 4096, "patience": 2.0}
    yields = 0
    for run in explore(task, machine, first="user0"):
        assert run.failure is None, str(run)
        for number, event in enumerate(run.events):
            if event.kind == "should_yield" and event.values["yes"]:
                yields += 1
                rest = run.events[number + 1 :]
                turn = next(one for one in rest if one.thread != event.thread)
                assert turn.thread == "user1"
                before = [one.at for one in rest[: rest.index(turn)]]
                assert before[-1] == 954  # it lets go of the mutex
                assert any(one.thread == "user0" and one.at == 956 for one in rest)
    assert yields

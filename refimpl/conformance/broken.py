"""Deliberately broken reference implementations: what conformance must notice.

Each entry changes one thing for the time of a `with`; the scenarios named beside it are those in
whose logs the change shows.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from .. import buf, device, ops, pages, pmap, vnode
from ..genfs.getpages import _Getpages
from ..genfs.putpages import putpages
from ..kva import Window
from ..locks import Mutex, RwLock
from ..pages import PG_CLEAN, PG_RDONLY, PG_WANTED
from ..threads import Machine
from ..trans import LAZY, SHARED, Fstrans
from ..vm import VmMap
from ..words import Word


@dataclass(frozen=True)
class Broken:
    """What is changed, where that shows, and whether only by threads that hang."""

    what: str
    scenarios: tuple[str, ...]
    change: Callable[[], Any]
    hangs: bool = False


def _without_lock(at: int) -> Callable[[], Any]:
    """The mutex that is taken at a line, and given back next, is not."""

    @contextmanager
    def change() -> Iterator[None]:
        enter, leave = Mutex.enter, Mutex.exit

        def lax_enter(self: Mutex, where: int | str) -> None:
            if where != at:
                enter(self, where)

        def lax_exit(self: Mutex, where: int | str) -> None:
            if where != at + 2:
                leave(self, where)

        with mock.patch.object(Mutex, "enter", lax_enter):
            with mock.patch.object(Mutex, "exit", lax_exit):
                yield

    return change


def _lost_bits(bits: int, at: int | str) -> Callable[[], Any]:
    """A flag that is set at a line is forgotten."""

    def change() -> Any:
        on = Word.on

        def forgetful(self: Word, mask: int, where: int | str) -> None:
            on(self, mask & ~bits if where == at else mask, where)

        return mock.patch.object(Word, "on", forgetful)

    return change


def _kept_bits(bits: int, at: int | str) -> Callable[[], Any]:
    """A flag that is cleared at a line stays."""

    def change() -> Any:
        off = Word.off

        def forgetful(self: Word, mask: int, where: int | str) -> None:
            off(self, mask & ~bits if where == at else mask, where)

        return mock.patch.object(Word, "off", forgetful)

    return change


def _no_wakeup() -> Any:
    """A page's sleepers are not woken by a fault that maps it."""
    wakeup = Machine.wakeup

    def skipped(self: Machine, chan: object, at: int | str) -> None:
        if at != "uvm_fault":
            wakeup(self, chan, at)

    return mock.patch.object(Machine, "wakeup", skipped)


def _deaf_wakeup() -> Any:
    """A fault says that it wakes a page's sleepers, and does not."""
    wakeup = Machine.wakeup

    def deaf(self: Machine, chan: object, at: int | str) -> None:
        if at == "uvm_fault":
            self.step("wakeup", at, chan=chan)
        else:
            wakeup(self, chan, at)

    return mock.patch.object(Machine, "wakeup", deaf)


def _lost_completion() -> Any:
    """The device moves the bytes and tells nobody."""

    def nothing(bp: buf.Buf) -> None:
        return None

    return mock.patch.object(device, "biodone", nothing)


def _vain_assertion() -> Any:
    """The kernel panics where nothing is wrong."""
    load = pmap.Pmap.load

    def panics(self: pmap.Pmap, *rest: Any) -> bytes | None:
        self._system.machine.panic("nothing is wrong")
        return load(self, *rest)

    return mock.patch.object(pmap.Pmap, "load", panics)


def _write_elsewhere() -> Any:
    """Transfers go to the sector behind the right one."""
    strategy = device.Device.strategy

    def off_by_one(self: device.Device, bp: buf.Buf, at: int | str) -> None:
        if not bp.is_read:
            bp.blkno += 1
        strategy(self, bp, at)

    return mock.patch.object(device.Device, "strategy", off_by_one)


def _short_write() -> Any:
    """The last sector of a write is left out."""

    def short(window: Any, offset: int, length: int) -> bytes:
        data: bytes = read(window, offset, length)
        return data if len(data) <= 512 else data[:-512] + bytes(512)

    read = Window.read
    return mock.patch.object(Window, "read", short)


def _no_clear_modify() -> Any:
    """Modified bits are read and stay."""

    def lazy(self: pmap.PmapSystem, page: pages.Page, at: int | str) -> bool:
        with self.machine.service("pmap_clear_modify", at, page=page) as said:
            said["was"] = page.modified
        return page.modified

    return mock.patch.object(pmap.PmapSystem, "clear_modify", lazy)


def _no_protect() -> Any:
    """Pages stay mapped as they are."""

    def nothing(self: pmap.PmapSystem, page: pages.Page, prot: int, at: int | str) -> None:
        return None

    return mock.patch.object(pmap.PmapSystem, "page_protect", nothing)


def _dirty_is_clean() -> Any:
    """A store does not set the modified bit."""
    store = pmap.Pmap.store

    def silent(self: pmap.Pmap, number: int, *rest: Any) -> bool:
        pte = self.ptes.get(number)
        before = pte.page.modified if pte is not None else False
        done = store(self, number, *rest)
        if done and pte is not None:
            pte.page.modified = before
        return done

    return mock.patch.object(pmap.Pmap, "store", silent)


def _eager_output() -> Any:
    """A finished write is counted off twice."""
    output_done = vnode.Vnode.output_done

    def twice(self: vnode.Vnode) -> None:
        output_done(self)
        if self.v_numoutput.value > 0:
            self.v_numoutput.value -= 1

    return mock.patch.object(vnode.Vnode, "output_done", twice)


def _forgotten_ticket() -> Any:
    """A write is not counted."""
    add = Word.add

    def none(self: Word, amount: int, at: int | str) -> int:
        return self.value if at == 1307 else add(self, amount, at)

    return mock.patch.object(Word, "add", none)


def _always_writable() -> Any:
    """Faults enter writable mappings where stores must be announced."""

    def never(self: vnode.Vnode, at: int | str) -> bool:
        return False

    return mock.patch.object(vnode.Vnode, "needs_writefault", never)


def _never_listed() -> Any:
    """The syncer's list gets no vnode."""

    def nothing(self: vnode.Worklist, vp: vnode.Vnode, at: int | str) -> None:
        return None

    return mock.patch.object(vnode.Worklist, "add", nothing)


def _no_output_wait() -> Any:
    """Nobody waits for output."""

    def nothing(self: vnode.Vnode, at: int | str) -> None:
        return None

    return mock.patch.object(vnode.Vnode, "wait_output", nothing)


def _reader_for_writer() -> Any:
    """g_glock is taken as reader where it must be as writer."""
    enter = RwLock.enter

    def shared(self: RwLock, mode: str, at: int | str) -> None:
        enter(self, "reader" if at == 307 else mode, at)

    return mock.patch.object(RwLock, "enter", shared)


def _no_transaction() -> Any:
    """putpages enters no transaction."""
    start, done = Fstrans.start, Fstrans.done

    def no_start(self: Fstrans, kind: str, at: int | str) -> None:
        if at != 829:
            start(self, kind, at)

    def no_done(self: Fstrans, at: int | str) -> None:
        if at != 1213:
            done(self, at)

    @contextmanager
    def change() -> Iterator[None]:
        with mock.patch.object(Fstrans, "start", no_start):
            with mock.patch.object(Fstrans, "done", no_done):
                yield

    return change()


def _other_transaction(line: int, kind: str) -> Callable[[], Any]:
    """A transaction is begun as one of another kind."""

    def change() -> Any:
        start = Fstrans.start

        def other(self: Fstrans, given: str, at: int | str) -> None:
            start(self, kind if at == line else given, at)

        return mock.patch.object(Fstrans, "start", other)

    return change


def _error_forgotten() -> Any:
    """A buffer's error is lost when it is done."""
    complete = buf.complete

    def fine(bp: buf.Buf) -> bool:
        bp.error = 0
        return complete(bp)

    return mock.patch.object(buf, "complete", fine)


def _late_zero() -> Any:
    """Holes are not zeroed."""
    def nothing(self: Window, offset: int, length: int, at: int | str) -> None:
        pages_ = [page for page, _start, _stop in self._pieces(offset, length)]
        with self._machine.service("fill", at, pages=pages_, offset=offset, length=length):
            pass

    return mock.patch.object(Window, "zero", nothing)


def _silent_release() -> Any:
    """Pages of a failed read are let go as if they were valid."""
    on = Word.on

    def forgetful(self: Word, mask: int, at: int | str) -> None:
        if at == 637:
            self.off(pages.PG_FAKE, at)
        else:
            on(self, mask, at)

    return mock.patch.object(Word, "on", forgetful)


def _other_result(owner: type, name: str, lost: int) -> Callable[[], Any]:
    """A call does all it should, and returns success instead of one error."""

    def change() -> Any:
        method = getattr(owner, name)

        def fine(self: object, *rest: Any) -> int:
            error: int = method(self, *rest)
            return 0 if error == lost else error

        return mock.patch.object(owner, name, fine)

    return change


def _putpages_fine() -> Any:
    """putpages says nothing of writes that failed."""
    def fine(*given: Any) -> int:
        error = putpages(*given)
        return 0 if error == errno.EIO else error

    return mock.patch.object(vnode, "putpages", fine)


def _short_count() -> Any:
    """read(2) reads everything, and says that it was a sector less."""
    read = ops.read

    def short(*given: Any) -> tuple[int, int]:
        error, count = read(*given)
        return error, max(0, count - 512)

    return mock.patch.object(ops, "read", short)


BROKEN: Final[dict[str, Broken]] = {
    "count-without-lock": Broken(
        "v_numoutput is raised without the object lock", ("fsync-and-read-fault",),
        _without_lock(1306),
    ),
    "clean-forgotten": Broken(
        "a page under output is not marked CLEAN", ("fsync-and-read-fault",),
        _lost_bits(PG_CLEAN, 1007),
    ),
    "busy-forgotten": Broken(
        "a page under output is not marked BUSY", ("fsync-and-read-fault",),
        _lost_bits(pages.PG_BUSY, 1023),
    ),
    "rdonly-forgotten": Broken(
        "a page over a hole is not marked RDONLY", ("hole-faults",), _lost_bits(PG_RDONLY, 534)
    ),
    "wanted-stays": Broken(
        "a page that is let go stays WANTED", ("hole-faults", "three-on-a-hole"),
        _kept_bits(PG_WANTED, "uvm_fault"),
    ),
    "no-wakeup": Broken(
        "a fault does not wake who waits for its page", ("hole-faults", "three-on-a-hole"),
        _no_wakeup, True,
    ),
    "deaf-wakeup": Broken(
        "a fault that says it wakes sleepers does not", ("hole-faults", "three-on-a-hole"),
        _deaf_wakeup, True,
    ),
    "lost-completion": Broken(
        "transfers are never completed", ("readahead-beside-flush", "hole-faults"),
        _lost_completion, True,
    ),
    "vain-assertion": Broken(
        "a panic without a reason", ("hole-faults", "fsync-and-read-fault"), _vain_assertion
    ),
    "write-elsewhere": Broken(
        "writes go one sector too far", ("fsync-and-read-fault",), _write_elsewhere
    ),
    "short-write": Broken(
        "the last sector of a write is zero", ("fsync-and-read-fault",), _short_write
    ),
    "modified-stays": Broken(
        "the modified bit is not cleared", ("stale-modified", "deactivate-and-fault"),
        _no_clear_modify,
    ),
    "modified-unset": Broken(
        "a store does not set the modified bit", ("fsync-and-read-fault",), _dirty_is_clean
    ),
    "no-protect": Broken(
        "fsync leaves mappings writable", ("fsync-and-read-fault",), _no_protect
    ),
    "output-twice": Broken(
        "a finished write is counted off twice", ("fsync-and-read-fault",), _eager_output
    ),
    "output-uncounted": Broken(
        "a write is not counted", ("fsync-and-read-fault",), _forgotten_ticket
    ),
    "always-writable": Broken(
        "read faults allow stores nobody hears of", ("fsync-and-read-fault", "suspend-and-write"),
        _always_writable,
    ),
    "never-listed": Broken(
        "a vnode that gets dirty is not listed", ("suspend-and-write",), _never_listed
    ),
    "no-output-wait": Broken(
        "nobody waits for output", ("fsync-and-read-fault",), _no_output_wait
    ),
    "reader-for-writer": Broken(
        "blocks are given with the lock as reader", ("hole-store-and-fsync",), _reader_for_writer
    ),
    "flush-keeps-suspender-out": Broken(
        "putpages is in a SHARED transaction", ("msync-and-truncate",),
        _other_transaction(829, SHARED),
    ),
    "fault-ignores-suspender": Broken(
        "getpages is in a LAZY transaction", ("hole-faults",), _other_transaction(296, LAZY)
    ),
    "no-transaction": Broken(
        "putpages is in no transaction", ("fsync-and-read-fault",), _no_transaction
    ),
    "error-forgotten": Broken("read errors are lost", ("read-error",), _error_forgotten),
    "no-zeroes": Broken("holes keep old contents", ("hole-faults",), _late_zero),
    "released-as-valid": Broken(
        "pages of a failed read are let go as valid", ("read-error",), _silent_release
    ),
    "failed-write-is-fine": Broken(
        "putpages returns 0 for EIO", ("failed-write-of-new-block",), _putpages_fine
    ),
    "failed-msync-is-fine": Broken(
        "msync returns 0 for EIO", ("failed-write-of-new-block",),
        _other_result(VmMap, "sync", errno.EIO),
    ),
    "busy-is-fine": Broken(
        "getpages returns 0 for EBUSY", ("readahead-meets-busy",),
        _other_result(_Getpages, "run", errno.EBUSY),
    ),
    "no-space-is-fine": Broken(
        "a fault that finds no space returns 0 to its user", ("no-space",),
        _other_result(VmMap, "store", errno.ENOSPC),
    ),
    "short-count": Broken(
        "read returns fewer bytes than it has read", ("read-and-write",), _short_count
    ),
}  # fmt: skip

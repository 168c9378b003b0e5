"""What 1.18 allows to go wrong happens on real threads, and hardened forbids it.

Each test follows one schedule on both variants.  On hardened a turn may be impossible, and
is passed over; the outcome must be right all the same.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from genfscheck.refimpl import FileSystem, MachineDead, Panic, Stuck, Turn, Turns
from genfscheck.refimpl.config import Fixes
from genfscheck.refimpl.flush import destroy
from genfscheck.refimpl.genfs.flags import PGO_LOCKED
from genfscheck.refimpl.pages import PGO_DONTCARE, Slot
from genfscheck.refimpl.pmap import PROT_READ
from genfscheck.refimpl.sync import WRITER

from .support import formatted, mounted, together

BOTH = pytest.mark.parametrize("variant", ["1.18", "hardened"])
OLD, NEW = b"o" * 4096, b"n" * 4096
Body = Callable[[], object]


def opened(tmp_path: Path, variant: str, pages: int, **knobs: object) -> FileSystem:
    """A file system with "file", ``pages`` pages of OLD on the device, none in memory."""
    chosen: dict[str, object] = {"block_size": 1024, "syncer_period": 0.0, "patience": 1.0}
    chosen |= knobs
    block_size = chosen.pop("block_size")
    assert isinstance(block_size, int)
    fs = mounted(formatted(tmp_path, block_size=block_size), variant=variant, **chosen)
    with fs.open("file", "w+") as file:
        file.write(OLD * pages)
        file.fsync()
        if pages:
            with file.mmap() as mapped:
                mapped.sync(invalidate=True)
        assert file.stat().pages == 0
    return fs


def followed(fs: FileSystem, schedule: Sequence[Turn], bodies: Mapping[str, Body]) -> Turns:
    """Runs bodies in threads of these names, by the schedule."""
    turns = Turns(schedule)
    fs.kernel.machine.hook = turns

    def run(name: str) -> Callable[[], None]:
        def body() -> None:
            try:
                bodies[name]()
            finally:
                turns.finished(name)

        return body

    try:
        together(fs, [run(name) for name in bodies], names=list(bodies))
    finally:
        fs.kernel.machine.hook = None
    return turns


def after_crash(fs: FileSystem, tmp_path: Path, length: int, offset: int = 0) -> bytes:
    """What the file holds when the machine has lost its memory."""
    fs.crash()
    with mounted(tmp_path / "image") as again, again.open("file") as file:
        return file.pread(length, offset)


def fails(variant: str, fs: FileSystem, run: Body, how: type[MachineDead], why: str) -> None:
    """1.18 dies in ``run``; hardened does not, and can be unmounted."""
    if variant == "1.18":
        with pytest.raises(how, match=why):
            run()
        fs.crash()
    else:
        run()
        fs.unmount(force=True)


@BOTH
def test_f1_writer_and_fault_wait_for_each_other(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1)
    file = fs.open("file", "r+")
    mapped = file.mmap()
    schedule = [
        Turn("writer", "mutex_exit", "ufs_balloc_range", count=2),
        Turn("reader", "sleep", 319),
    ]
    bodies: dict[str, Body] = {
        "writer": lambda: file.pwrite(b"xx", 10),
        "reader": lambda: mapped[0],
    }
    fails(variant, fs, lambda: followed(fs, schedule, bodies), Stuck, "g_glock")


@BOTH
def test_f2_a_wanted_that_is_lost(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 0)
    file = fs.open("file", "r+")
    file.truncate(8192)
    mapped, other = file.mmap(), file.mmap()
    schedule = [Turn("first", "load", 534), Turn("second", "sleep", 319)]
    bodies: dict[str, Body] = {"first": lambda: mapped[0], "second": lambda: other[0]}
    fails(variant, fs, lambda: followed(fs, schedule, bodies), Stuck, "sleeps on page")


@BOTH
def test_f3_a_slot_that_must_not_be_touched(tmp_path: Path, variant: str) -> None:
    with opened(tmp_path, variant, 2) as fs, fs.open("file") as file:
        assert file.read() == OLD * 2
        vp = fs.kernel.getvnode(0)
        slots: list[Slot] = [PGO_DONTCARE, None]
        vp.g_glock.enter(WRITER, "test")
        vp.interlock.enter("test")
        error = vp.getpages(0, slots, 2, 1, PROT_READ, PGO_LOCKED)
        vp.interlock.exit("test")
        vp.g_glock.exit("test")
        assert error == errno.EBUSY and slots[1] is None
        assert slots[0] is (None if variant == "1.18" else PGO_DONTCARE)


@BOTH
def test_f4_an_array_freed_twice(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 4, block_size=8192, array_on_stack=1)
    file = fs.open("file", "r+")
    mapped = file.mmap()

    def load() -> None:
        with pytest.raises(OSError) as caught:
            mapped[8192]
        if isinstance(caught.value, MachineDead):
            raise caught.value
        assert caught.value.errno == errno.EFAULT

    schedule = [Turn("loader", "mutex_exit", 252), Turn("cutter", "return", "truncate")]
    bodies: dict[str, Body] = {"loader": load, "cutter": lambda: file.truncate(0)}
    fails(variant, fs, lambda: followed(fs, schedule, bodies), Panic, "freed at 692")


@BOTH
def test_f5_two_sizes_that_never_were_together(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 2)
    file = fs.open("file", "r+")
    mapped = file.mmap()
    mapped[0:4] = b"dirt"
    schedule = [Turn("flusher", "load", 1290), Turn("cutter", "return", "truncate")]
    bodies: dict[str, Body] = {
        "flusher": lambda: mapped.sync(0, 4096),
        "cutter": lambda: file.truncate(4096),
    }
    fails(variant, fs, lambda: followed(fs, schedule, bodies), Panic, "genfs_io.c:1290")


@BOTH
def test_f6_fsync_passes_over_a_page_on_its_way_out(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1)
    file = fs.open("file", "r+")
    mapped = file.mmap()
    mapped[0:4] = b"kept"
    seen: list[int] = []

    def sync() -> None:
        file.fsync()
        seen.append(fs.kernel.dev.writes)

    before = fs.kernel.dev.writes
    schedule = [Turn("invalidate", "mutex_exit", 1121), Turn("fsync", "return", "fsync")]
    bodies: dict[str, Body] = {
        "invalidate": lambda: mapped.sync(0, 4096, invalidate=True),
        "fsync": sync,
    }
    turns = followed(fs, schedule, bodies)
    if variant == "1.18":
        assert seen == [before]  # fsync returned, and nothing had been written
        assert not turns.skipped
    else:
        assert seen[0] > before
        assert turns.skipped
    fs.unmount(force=True)


@BOTH
def test_f7_dirty_and_on_no_list(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1, journal=True, block_size=4096)
    file = fs.open("file", "r+")
    mapped = file.mmap(8192)
    schedule = [
        Turn("writer", "mutex_exit", 252),
        Turn("flusher", "return", "msync"),
        Turn("writer", "return", "write"),
    ]
    bodies: dict[str, Body] = {
        "writer": lambda: file.pwrite(NEW, 4096),
        "flusher": lambda: mapped.sync(),
    }
    assert not followed(fs, schedule, bodies).skipped
    file.fsync()
    expected = b"\xee" * 4096 if variant == "1.18" else NEW
    assert after_crash(fs, tmp_path, 4096, 4096) == expected


@BOTH
def test_f8_mapped_writable_behind_the_scan(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 2)
    file = fs.open("file", "r+")
    mapped, other = file.mmap(), file.mmap()
    mapped[0:1] = b"1"
    mapped[4096:4097] = b"2"
    mapped.sync(0, 8192)  # clean, but listed still

    def load() -> None:
        next(lwp for lwp in fs.kernel.machine.lwps if lwp.name == "fsync").should_yield = True
        assert other[0] == b"1"

    schedule = [
        Turn("fsync", "pmap_protect", 996),
        Turn("reader", "call", "load"),
        Turn("fsync", "mutex_exit", 954),
        Turn("reader", "return", "load"),
        Turn("fsync", "return", "fsync"),
    ]
    # The reader's turn begins with the call, so that its flag is set while the scan waits.
    followed(fs, schedule, {"fsync": file.fsync, "reader": load})
    other[0:4] = b"kept"
    file.fsync()
    assert after_crash(fs, tmp_path, 4) == (b"1ooo" if variant == "1.18" else b"kept")


@BOTH
def test_f9_an_end_of_file_that_has_moved(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 0)
    file = fs.open("file", "r+")
    file.write(b"a" * 100)
    mapped = file.mmap(4096)
    mapped.sync(invalidate=True)

    def grow() -> None:
        file.pwrite(b"b" * 3000, 100)
        mapped.sync(invalidate=True)

    schedule = [Turn("reader", "mutex_exit", 252), Turn("writer", "return", "msync")]
    followed(fs, schedule, {"reader": lambda: mapped[0], "writer": grow})
    got = file.pread(3100, 0)
    fs.unmount(force=True)
    right = b"a" * 100 + b"b" * 3000
    assert got == (right[:1024] + bytes(3100 - 1024) if variant == "1.18" else right)


@BOTH
def test_f10_fault_flush_and_journal_in_a_ring(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 0, journal=True)
    file = fs.open("file", "r+")
    file.truncate(8192)
    mapped = file.mmap()
    assert mapped[4096] == b"\0"  # a page, so that the flush scans
    schedule = [
        Turn("fault", "fill", 525),
        Turn("flush", "sleep", 959),
        Turn("journal", "rw_enter", "fsync"),
    ]
    other = fs.open("other", "w")
    bodies: dict[str, Body] = {
        "fault": lambda: mapped.__setitem__(slice(0, 1), b"x"),
        "flush": lambda: mapped.sync(),
        "journal": lambda: other.fsync(),
    }
    fails(variant, fs, lambda: followed(fs, schedule, bodies), Stuck, "wl_rwlock")


@BOTH
def test_f11_half_an_allocation_shows_old_contents(tmp_path: Path, variant: str) -> None:
    with opened(tmp_path, variant, 0) as fs, fs.open("file", "r+") as file:
        file.truncate(8192)
        with file.mmap() as mapped:
            fs.faults.arm("space", skip=2)
            with pytest.raises(OSError) as caught:
                mapped[0:1] = b"x"
            assert caught.value.errno == errno.ENOSPC
            old = b"\xee" if variant == "1.18" else b"\0"
            assert mapped[:4096] == old * 2048 + bytes(2048)


@BOTH
def test_f12_a_store_makes_the_inode_longer(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 0)
    with fs.open("file", "r+") as file:
        file.truncate(8192)  # a hole, and a block at the end
        file.truncate(1500)  # the hole's first block, and a block behind it
        with file.mmap() as mapped:
            mapped.sync(invalidate=True)
            mapped[0:1] = b"x"
        file.fsync()
        assert file.stat().size == 1500
    fs.unmount()
    with mounted(tmp_path / "image") as fs:
        assert fs.stat("file").size == (4096 if variant == "1.18" else 1500)


@BOTH
@pytest.mark.parametrize("how", ["truncate", "write"])
def test_f13_a_hole_that_came_later(tmp_path: Path, variant: str, how: str) -> None:
    with opened(tmp_path, variant, 0) as fs, fs.open("file", "r+") as file:
        file.write(b"x" * 100)
        with file.mmap(4096) as mapped:
            assert mapped[0] == b"x"
            if how == "truncate":
                file.truncate(4000)
            else:
                file.pwrite(b"x", 3999)
            mapped[2000:2004] = b"kept"
            mapped.sync(invalidate=True)
            assert mapped[2000:2004] == (bytes(4) if variant == "1.18" else b"kept")


@BOTH
@pytest.mark.parametrize("how", ["truncate", "write"])
def test_f13_a_page_made_past_the_end_has_holes(tmp_path: Path, variant: str, how: str) -> None:
    with opened(tmp_path, variant, 0) as fs, fs.open("file", "r+") as file:
        if how == "truncate":
            file.truncate(4000)
        else:
            file.pwrite(b"x", 3999)
        with file.mmap() as mapped:
            mapped[0:4] = b"kept"
            mapped.sync(invalidate=True)
            assert mapped[0:4] == (bytes(4) if variant == "1.18" else b"kept")


@BOTH
def test_f14_advice_that_sleeps(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1)
    file = fs.open("file", "r+")
    mapped, other = file.mmap(), file.mmap()
    schedule = [Turn("reader", "strategy", 562), Turn("advisor", "return", "madvise")]
    bodies: dict[str, Body] = {"reader": lambda: mapped[0], "advisor": other.dontneed}
    turns = followed(fs, schedule, bodies)
    slept = [one for one in turns.events if one.thread == "advisor" and one.kind == "sleep"]
    assert bool(slept) == (variant == "1.18")
    fs.unmount(force=True)


@BOTH
def test_f15_reclaim_that_forgets_an_error(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1)
    with fs.open("file", "r+") as file:
        file.pwrite(b"lost", 0)
    fs.faults.arm("write")
    if variant == "1.18":
        fs.unmount()
    else:
        with pytest.raises(OSError) as caught:
            fs.unmount()
        assert caught.value.errno == errno.EIO
    assert fs.faults.fired["write"] == 1


@BOTH
def test_f16_the_debug_check_meets_a_marker(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1, debug=True)
    file = fs.open("file", "r+")
    with file.mmap() as mapped:
        mapped[0:1] = b"x"
        mapped.sync(0, 4096)  # clean, but listed still

    def flush() -> None:
        fs.kernel.machine.curlwp().should_yield = True
        vp = fs.kernel.getvnode(0)
        vp.interlock.enter("test")
        vp.putpages(0, 4096, 2)

    schedule = [Turn("scan", "mutex_exit", 954), Turn("fsync", "return", "fsync")]
    bodies: dict[str, Body] = {"scan": flush, "fsync": file.fsync}
    fails(variant, fs, lambda: followed(fs, schedule, bodies), Panic, "genfs_io.c:1178")


@BOTH
def test_f20_a_failed_write_that_looks_clean(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 0, block_size=4096)
    with fs.open("file", "r+") as file:
        file.truncate(8192)
        file.fsync()
        with file.mmap() as mapped:
            mapped[0:1] = b"x"  # gives the hole its block
            fs.faults.arm("write")
            with pytest.raises(OSError) as caught:
                mapped.sync(0, 4096)
            assert caught.value.errno == errno.EIO
            mapped.sync(0, 4096, invalidate=True)
            assert mapped[0:1] == (b"\xee" if variant == "1.18" else b"x")
        file.fsync()
    after = b"\xee" * 4096 if variant == "1.18" else b"x" + bytes(4095)
    assert after_crash(fs, tmp_path, 4096) == after


@BOTH
def test_f21_a_page_behind_what_the_file_stores(tmp_path: Path, variant: str) -> None:
    """Not with F12: a longer inode has more storage."""
    fixes = Fixes(alloc_within_file=True) if variant == "1.18" else None
    fs = opened(tmp_path, variant, 0, block_size=8192, fragments=True, fixes=fixes)
    file = fs.open("file", "r+")
    file.pwrite(OLD, 0)
    file.fsync()
    with file.mmap(8192) as mapped:
        mapped[4096:4097] = b"x"  # the file's only block goes on there, its storage does not
        fails(variant, fs, mapped.sync, Panic, "genfs_io.c:1303")


@BOTH
def test_f22_a_vnode_that_is_reclaimed_under_a_fault(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1)
    file = fs.open("file", "r+")
    mapped = file.mmap()
    vp = fs.kernel.getvnode(0)

    def load() -> None:
        try:
            assert mapped[0:1] == b"o"
        except OSError as error:
            assert error.errno == errno.EFAULT

    schedule = [Turn("loader", "fstrans_start", 296), Turn("revoke", "rw_exit", "vclean")]
    bodies: dict[str, Body] = {"loader": load, "revoke": lambda: destroy(vp)}
    followed(fs, schedule, bodies)
    assert vp.dead and vp.inside == 0
    assert bool(vp.uobj.npages.value) == (variant == "1.18")
    fs.crash()


@BOTH
def test_f26_zeros_that_are_freed_unwritten(tmp_path: Path, variant: str) -> None:
    """A truncation zeroes the rest of the last block, in a page behind the new end."""
    fs = opened(tmp_path, variant, 2, block_size=8192)
    with fs.open("file", "r+") as file:
        fs.faults.arm("write")
        if variant == "1.18":
            file.truncate(100)
        else:
            with pytest.raises(OSError) as caught:
                file.truncate(100)
            assert caught.value.errno == errno.EIO
            file.truncate(100)
        file.truncate(8192)
        file.fsync()
        assert file.pread(4096, 4096) == (OLD if variant == "1.18" else bytes(4096))
    fs.unmount()


@BOTH
def test_f24_half_a_page_that_nobody_read(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 0, page_junk=b"\xee")
    file = fs.open("file", "r+")
    mapped = file.mmap(4096)
    schedule = [
        Turn("writer", "mutex_exit", "setwritesize", count=2),  # before the second block
        Turn("flusher", "return", "msync"),
    ]
    bodies: dict[str, Body] = {
        "writer": lambda: file.pwrite(NEW, 0),
        "flusher": lambda: mapped.sync(invalidate=True),
    }
    assert not followed(fs, schedule, bodies).skipped
    assert (file.pread(1024, 0) == NEW[:1024]) == (variant == "hardened")
    assert file.pread(3072, 1024) == NEW[1024:]
    fs.unmount(force=True)


@BOTH
def test_f25_freed_by_who_found_nothing_dirty(tmp_path: Path, variant: str) -> None:
    fs = opened(tmp_path, variant, 1)
    file = fs.open("file", "r+")
    file.fsync()  # nothing is left: it is not listed any more
    mapped = file.mmap()
    assert mapped[0:4] == b"oooo"

    def flush() -> None:
        fs.kernel.machine.curlwp().should_yield = True
        mapped.sync(0, 4096, invalidate=True)

    schedule = [Turn("scan", "mutex_exit", 954), Turn("store", "return", "store")]
    bodies: dict[str, Body] = {
        "scan": flush,
        "store": lambda: mapped.__setitem__(slice(0, 4), b"kept"),
    }
    assert not followed(fs, schedule, bodies).skipped
    assert mapped[0:4] == (b"oooo" if variant == "1.18" else b"kept")
    fs.unmount(force=True)

"""Each fault is reported as the error a user expects, and harms nothing else."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from genfscheck.refimpl import FileSystem

from .support import formatted, mounted

DATA = bytes(range(1, 251)) * 40  # 10,000 bytes


def raises(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def filled(fs: FileSystem, name: str = "file") -> None:
    """A file of DATA, on the device and not in memory."""
    with fs.open(name, "w+") as file:
        file.write(DATA)
        with file.mmap() as mapped:
            mapped.sync(invalidate=True)
        assert file.stat().pages == 0


@pytest.mark.parametrize("fault", ["read", "short", "bmap"])
def test_a_failed_read_is_eio_and_the_next_one_works(tmp_path: Path, fault: str) -> None:
    with mounted(formatted(tmp_path)) as fs:
        filled(fs)
        with fs.open("file", "r+") as file:
            fs.faults.arm(fault)
            with raises(errno.EIO):
                file.pread(len(DATA), 0)
            assert fs.faults.fired[fault] == 1
            assert file.pread(len(DATA), 0) == DATA


def test_a_failed_read_behind_a_mapping(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path)) as fs:
        filled(fs)
        with fs.open("file", "r+") as file, file.mmap() as mapped:
            fs.faults.arm("read")
            with raises(errno.EIO):
                mapped[0]
            assert mapped[:] == DATA


@pytest.mark.parametrize("journal", [False, True])
def test_a_failed_write_is_reported_by_fsync_once(tmp_path: Path, journal: bool) -> None:
    with mounted(formatted(tmp_path), journal=journal, syncer_period=0.0) as fs:
        filled(fs)
        with fs.open("file", "r+") as file:
            file.pwrite(b"lost", 100)
            fs.faults.arm("write")
            with raises(errno.EIO):
                file.fsync()
            file.fsync()  # the page counts as clean: nobody keeps the error
            assert file.pread(4, 100) == b"lost"  # in memory


def test_1_18_without_a_journal_does_not_report_it(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path), variant="1.18", syncer_period=0.0) as fs:
        filled(fs)
        with fs.open("file", "r+") as file:
            file.pwrite(b"lost", 100)
            fs.faults.arm("write")
            file.fsync()
            assert fs.faults.fired["write"] == 1
            with file.mmap() as mapped:
                mapped.sync(invalidate=True)
            assert file.pread(4, 100) == DATA[100:104]


def test_a_write_that_fails_for_want_of_memory_is_tried_again(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path), syncer_period=0.0) as fs:
        filled(fs)
        with fs.open("file", "r+") as file:
            file.pwrite(b"kept", 100)
            fs.faults.arm("write", errno=errno.ENOMEM)
            with raises(errno.ENOMEM):
                file.fsync()
            file.fsync()
            with file.mmap() as mapped:
                mapped.sync(invalidate=True)
            assert file.pread(4, 100) == b"kept"


@pytest.mark.parametrize("journal", [False, True])
def test_no_space_leaves_the_file_as_it_was(tmp_path: Path, journal: bool) -> None:
    image = formatted(tmp_path, size=16 * 1024)
    with mounted(image, journal=journal) as fs:
        filled(fs)
        with fs.open("other", "w+") as other:
            with raises(errno.ENOSPC):
                while other.write(DATA) == len(DATA):
                    pass
            size = other.stat().size
            assert other.pread(size + 1, 0) == DATA[:size]
        with fs.open("file") as file:
            assert file.read() == DATA
        fs.remove("file")
        with fs.open("other", "a") as other:
            if journal:
                fs.sync()  # blocks are free when the journal knows
            assert other.write(DATA[:6000]) == 6000


@pytest.mark.parametrize("skip", range(4))
def test_a_compat_truncation_without_space_changes_no_size(tmp_path: Path, skip: int) -> None:
    """Zeroes go out behind the new end, and blocks with them; some are not to be had."""
    image = formatted(tmp_path, block_size=512)
    with mounted(image, compat=True) as fs:
        with fs.open("file", "w+") as file:
            file.truncate(885)
            fs.faults.arm("space", skip=skip)
            with raises(errno.ENOSPC):
                file.truncate(711)
            assert file.stat().size == 885
            file.fsync()
        fs.crash()
    with mounted(image, compat=True) as fs:
        assert fs.stat("file").size == 885


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_removal_that_fails_can_be_repeated(
    tmp_path: Path, journal: bool, again: bool
) -> None:
    """Whichever write of it fails: the file is there still, or gone, and its name never twice."""
    image, failed = formatted(tmp_path, files=3), 0
    for skip in range(12):
        with mounted(image, journal=journal) as fs:
            filled(fs)
            fs.sync()
            fs.faults.arm("write", skip=skip)
            try:
                fs.remove("file")
            except OSError as error:
                assert error.errno == errno.EIO
                failed += 1
                fs.faults.disarm()
                if again or not fs.exists("file"):  # the latter if only its blocks stay
                    if fs.exists("file"):
                        fs.remove("file")
                    assert fs.listdir() == []
                else:
                    assert fs.listdir() == ["file"]
                    with fs.open("file", "r+") as file:
                        file.truncate(0)
                        file.write(b"anew")
            fs.faults.disarm()
            with fs.open("other", "x") as other:
                other.write(b"other")
            names = fs.listdir()
        with mounted(image, journal=journal) as fs:
            assert fs.listdir() == names
            for name in names:
                with fs.open(name) as file:
                    assert file.read() == (b"other" if name == "other" else b"anew")
                fs.remove(name)
    assert failed >= 2


def test_a_store_into_a_hole_without_space(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path, block_size=1024)) as fs, fs.open("file", "w+") as file:
        file.truncate(8192)
        with file.mmap() as mapped:
            fs.faults.arm("space", skip=1)
            with raises(errno.ENOSPC):
                mapped[10:14] = b"gone"
            assert mapped[:4096] == bytes(4096)
            mapped.sync(invalidate=True)
            assert mapped[:4096] == bytes(4096)  # the block that was given shows nothing old
            mapped[10:14] = b"kept"
            mapped.sync(invalidate=True)
            assert mapped[10:14] == b"kept"


def test_no_memory_is_waited_for(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path)) as fs:
        filled(fs)
        with fs.open("file") as file:
            fs.faults.arm("page", count=5)
            assert file.read() == DATA
            assert fs.faults.fired["page"] == 5


def test_more_data_than_memory(tmp_path: Path) -> None:
    image = formatted(tmp_path, size=512 * 1024, block_size=4096)
    with mounted(image, memory_pages=24) as fs, fs.open("file", "w+") as file:
        for number in range(40):
            file.write(bytes([number]) * 8192)
        for number in range(40):
            assert file.pread(8192, number * 8192) == bytes([number]) * 8192
        assert fs.kernel.uvm.pdfreed or fs.kernel.dev.writes > 40


def test_readahead_without_an_array_is_no_error(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path), array_on_stack=1) as fs:
        filled(fs)
        with fs.open("file") as file, file.mmap(writable=False) as mapped:
            fs.faults.arm("heap", count=100)
            mapped.willneed()
            assert fs.faults.fired["heap"] >= 1
            assert mapped[:] == DATA


def test_a_journal_that_cannot_begin(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path), journal=True, syncer_period=0.0) as fs:
        with fs.open("file", "w+") as file:
            fs.faults.arm("journal")
            with raises(errno.EIO):
                file.write(DATA)
            assert file.stat().size == 0
            file.write(DATA)
            assert file.pread(len(DATA), 0) == DATA


def test_direct_transfers_report_through_the_page_cache(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path), syncer_period=0.0) as fs:
        filled(fs)
        with fs.open("file", "r+", direct=True) as file:
            before = fs.kernel.dev.writes
            assert file.pwrite(b"d" * 4096, 0) == 4096
            assert fs.kernel.dev.writes > before  # written already
            assert file.stat().pages == 0
            assert file.pread(4096, 0) == b"d" * 4096
            fs.faults.arm("read")
            assert file.pread(4096, 0) == b"d" * 4096  # the second try is buffered
            assert file.stat().pages > 0


def test_memory_that_a_direct_transfer_cannot_wire(tmp_path: Path) -> None:
    """1725: pages were written, and freed for a write, before; the rest goes through the cache."""
    with mounted(formatted(tmp_path), syncer_period=0.0) as fs:
        filled(fs)
        with fs.open("file", "r+", direct=True) as file, fs.open("file", "r+") as other:
            other.pwrite(b"c" * 4096, 0)
            fs.faults.arm("user")
            assert file.pread(4096, 0) == b"c" * 4096
            assert fs.faults.fired["user"] == 1
            other.pwrite(b"e", 0)
            before = fs.kernel.dev.writes
            fs.faults.arm("user")
            assert file.pwrite(b"d" * 4096, 0) == 4096
            assert fs.kernel.dev.writes > before  # the page, not what was written now
            assert fs.faults.fired["user"] == 2
            assert file.stat().pages > 0
            assert other.pread(4096, 0) == b"d" * 4096


def test_unmount_reports_what_could_not_be_written(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    fs = mounted(image, syncer_period=0.0)
    with fs.open("file", "w") as file:
        file.write(DATA)
    fs.faults.arm("write", count=1000)
    with raises(errno.EIO):
        fs.unmount()
    assert not fs.mounted
    mounted(image).unmount()  # it is free again


def test_a_fault_nobody_knows() -> None:
    from genfscheck.refimpl import Faults

    with pytest.raises(ValueError, match="no fault 'raed'"):
        Faults().arm("raed")

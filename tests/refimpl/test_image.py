"""Bad images, bad arguments, and images in use: a clear error, and nothing overwritten."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from genfscheck.refimpl import BadImage, Config, format_image, mount
from genfscheck.refimpl.image import Dinode

from .support import formatted, mounted


def damage(offset: int, data: bytes) -> Callable[[Path], None]:
    def body(image: Path) -> None:
        with open(image, "r+b") as file:
            file.seek(offset)
            file.write(data)

    return body


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damage(0, b"ELF"), "not a genfscheck image"),
        (damage(8, b"\x02"), "version 2, this reads version 1"),
        (damage(20, b"\xff"), "superblock is damaged"),
        (lambda image: os.truncate(image, 100_000), "truncated: 100000 bytes of"),
        (lambda image: os.truncate(image, 0), "not a genfscheck image"),
        (lambda image: os.truncate(image, 300), "not a genfscheck image"),
    ],
)
def test_a_bad_image_is_named_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    image = formatted(tmp_path)
    spoil(image)
    before = image.read_bytes()
    with pytest.raises(BadImage, match=why) as caught:
        mounted(image)
    assert caught.value.errno == errno.EINVAL and caught.value.filename == str(image)
    assert image.read_bytes() == before


def test_damaged_inodes(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    with mounted(image) as fs, fs.open("a", "w") as file:
        file.write(b"x" * 3000)
        file.fsync()
        slots = [fs.kernel.fs.sb.slot(0, parity) for parity in (0, 1)]
    for slot in slots:
        damage(slot + 8, b"\xff\xff")(image)
    with pytest.raises(BadImage, match="both copies of inode 0"):
        mounted(image)


def test_one_damaged_copy_is_survived(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    with mounted(image) as fs, fs.open("a", "w") as file:
        file.write(b"x" * 3000)
        file.fsync()
        generation = fs.kernel.fs.inodes[0].generation
        older = fs.kernel.fs.sb.slot(0, generation + 1)
    damage(older + 8, b"\xff\xff")(image)
    with mounted(image) as fs, fs.open("a") as file:
        assert file.read() == b"x" * 3000


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        mounted(tmp_path)
    with pytest.raises(FileNotFoundError):
        mounted(tmp_path / "absent")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadImage, match="not a regular file"):
        mounted(tmp_path / "fifo")


def test_an_image_in_use(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    with mounted(image) as fs, fs.open("a", "w") as file:
        file.write(b"mine")
        with pytest.raises(OSError, match="in use") as caught:
            mounted(image)
        assert caught.value.errno == errno.EBUSY
        program = (
            "import sys; from genfscheck.refimpl import mount\n"
            "try: mount(sys.argv[1])\n"
            "except OSError as error: sys.exit(error.errno)"
        )
        done = subprocess.run([sys.executable, "-c", program, str(image)], timeout=20)
        assert done.returncode == errno.EBUSY
    mounted(image).unmount()


def test_format_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"data")
    with pytest.raises(FileExistsError):
        format_image(tmp_path / "precious", 1 << 20)
    assert (tmp_path / "precious").read_bytes() == b"data"
    with pytest.raises(ValueError, match="block_size must be a power of two"):
        format_image(tmp_path / "new", 1 << 20, block_size=1000)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"variant": "1.19"}, "variant must be one of"),
        ({"page_size": 1000}, "page_size must be a power of two"),
        ({"maxphys": 512}, "maxphys 512 is below page_size"),
        ({"windows": 0}, "windows must be at least 1"),
        ({"memory_pages": 4}, "needs memory_pages of at least"),
        ({"compat": True, "journal": True}, "no journal"),
    ],
)
def test_bad_knobs(tmp_path: Path, knobs: dict[str, object], why: str) -> None:
    image = formatted(tmp_path)
    with pytest.raises(ValueError, match=why):
        mounted(image, **knobs)
    mounted(image).unmount()  # nobody holds it


def test_an_unknown_knob(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="colour"):
        mount(formatted(tmp_path), Config(), colour="red")


def test_files(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path), max_open=2) as fs:
        with fs.open("a", "x") as one, fs.open("b", "w"):
            with pytest.raises(OSError, match="too many open files") as caught:
                fs.open("a")
            assert caught.value.errno == errno.EMFILE
            with pytest.raises(OSError, match="not readable"):
                one.pread(1, 0)
        with pytest.raises(FileExistsError):
            fs.open("a", "x")
        with pytest.raises(FileNotFoundError):
            fs.open("absent")
        with pytest.raises(FileNotFoundError):
            fs.remove("absent")
        with pytest.raises(ValueError, match="invalid mode"):
            fs.open("a", "q")
        for name in ("", "x/y", "n" * 256):
            with pytest.raises(OSError):
                fs.open(name, "w")
        for name in ("c", "d"):
            fs.open(name, "w").close()
        with pytest.raises(OSError) as full:
            fs.open("e", "w")
        assert full.value.errno == errno.ENOSPC
        fs.remove("c")
        fs.open("e", "w").close()
        assert fs.listdir() == ["a", "b", "d", "e"]
        with fs.open("a", "r+") as file:
            with pytest.raises(OSError) as big:
                file.pwrite(b"x", 1 << 40)
            assert big.value.errno == errno.EFBIG
            with pytest.raises(OSError) as negative:
                file.truncate(-1)
            assert negative.value.errno == errno.EINVAL
        with pytest.raises(ValueError, match="closed file"):
            file.read()


@pytest.mark.parametrize("journal", [False, True])
def test_a_file_that_is_removed_while_the_syncer_has_it(tmp_path: Path, journal: bool) -> None:
    """It goes when the syncer gives it back; its name is not on the device twice."""
    image = formatted(tmp_path)
    with mounted(image, journal=journal, syncer_period=0.0) as fs:
        with fs.open("a", "w") as file:
            file.write(b"old")
        fs.sync()
        vp = fs.kernel.getvnode(0)  # as the syncer does
        fs.remove("a")
        with fs.open("a", "x") as file:
            file.write(b"new")
        assert vp.inode.size == 3 and len(fs.kernel.vnodes) == 2
        fs.kernel.unreferenced(vp)
        assert vp.inode.size == 0 and len(fs.kernel.vnodes) == 1
    with mounted(image, journal=journal) as fs, fs.open("a") as file:
        assert file.read() == b"new"


@pytest.mark.parametrize("journal", [False, True])
def test_a_crash_while_a_removed_file_is_open(tmp_path: Path, journal: bool) -> None:
    """Another has its name by then; its own blocks are free, and may be used."""
    image = formatted(tmp_path, size=32 * 1024)
    with mounted(image, journal=journal) as fs:
        old = fs.open("a", "w+")
        old.write(bytes(8192))
        old.fsync()
        fs.remove("a")
        with fs.open("a", "x") as new:
            new.write(b"new")
            new.fsync()
        assert old.read() == b"" and old.pread(8192, 0) == bytes(8192)
        fs.crash()
    for _ in range(2):
        with mounted(image, journal=journal) as fs:
            assert fs.listdir() == ["a"]
            with fs.open("a", "r+") as file:
                assert file.pread(3, 0) == b"new"
                file.pwrite(b"x" * 8192, 3)


def test_a_removed_file_lives_until_it_is_closed(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    with mounted(image) as fs:
        with fs.open("a", "w+") as file:
            file.write(b"still here")
            fs.remove("a")
            assert fs.listdir() == [] and not fs.exists("a")
            assert file.pread(20, 0) == b"still here"
        assert len(fs.kernel.fs.free) == fs.kernel.fs.sb.blocks
    with mounted(image) as fs:
        assert fs.listdir() == []


def test_unmount_with_open_files(tmp_path: Path) -> None:
    fs = mounted(formatted(tmp_path))
    file = fs.open("a", "w")
    with pytest.raises(OSError) as busy:
        fs.unmount()
    assert busy.value.errno == errno.EBUSY
    fs.unmount(force=True)
    assert file.closed
    with pytest.raises(ValueError, match="not mounted"):
        fs.open("a")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    """Text, an image of another kind, one that is all zeros: named, and not written to."""
    for name, content in {
        "text": b"#!/bin/sh\necho hello\n" * 100,
        "elf": b"\x7fELF" + bytes(2000),
        "zeros": bytes(100_000),
        "tar": bytes(257) + b"ustar" + bytes(1000),
        "swapped": b"GENFSREF"[::-1] + bytes(2000),
        "only the name": b"GENFSREF",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BadImage) as caught:
            mount(path)
        assert str(path) in str(caught.value) and caught.value.errno == errno.EINVAL
        assert path.read_bytes() == content
        with pytest.raises(FileExistsError):
            format_image(path, 1 << 20)
        assert path.read_bytes() == content


def test_an_image_cut_anywhere_is_never_mounted(tmp_path: Path) -> None:
    """By one byte, within the inodes, within the journal, within the superblock."""
    image = formatted(tmp_path, size=16 * 1024)
    whole = image.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 5000, 1500, 1024, 512, 511, 100, 9, 0):
        image.write_bytes(whole[:length])
        with pytest.raises(BadImage, match="truncated|not a genfscheck image"):
            mounted(image)
        assert image.read_bytes() == whole[:length]
    image.write_bytes(whole + b"more")  # a longer one has all that it needs
    mounted(image).unmount()


def test_every_damaged_byte_of_the_superblock_is_noticed(tmp_path: Path) -> None:
    image = formatted(tmp_path, size=16 * 1024)
    whole = image.read_bytes()
    for place in range(0, 512, 7):
        spoilt = bytearray(whole)
        spoilt[place] ^= 0x40
        image.write_bytes(spoilt)
        with pytest.raises(BadImage):
            mounted(image)
        assert image.read_bytes() == spoilt


def test_maps_that_contradict_each_other(tmp_path: Path) -> None:
    """Two inodes, each with a right checksum, that have the same block."""
    image = formatted(tmp_path)
    with mounted(image) as fs:
        sb = fs.kernel.fs.sb
    for ino, name in enumerate(["a", "b"]):
        inode = Dinode(ino, 7, name, 1024, [3])
        damage(sb.slot(ino, 7), inode.encode(sb.slot_size))(image)
    before = image.read_bytes()
    with pytest.raises(BadImage, match="inode 1 has block 3, which is not its own"):
        mounted(image)
    assert image.read_bytes() == before
    for ino, name in enumerate(["a", "a"]):
        inode = Dinode(ino, 8, name, 0, [])
        damage(sb.slot(ino, 8), inode.encode(sb.slot_size))(image)
    with pytest.raises(BadImage, match="two files are called 'a'"):
        mounted(image)


def test_an_image_locked_by_a_process_that_lives_on(tmp_path: Path) -> None:
    """The lock goes with the process, even if that is killed."""
    image = formatted(tmp_path)
    program = (
        "import sys, time; from genfscheck.refimpl import mount\n"
        "fs = mount(sys.argv[1]); print('mounted', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(image)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "mounted\n"
        before = image.read_bytes()
        with pytest.raises(OSError, match="in use") as caught:
            mounted(image)
        assert caught.value.errno == errno.EBUSY and str(image) in str(caught.value)
        assert image.read_bytes() == before
    finally:
        other.kill()
        other.communicate(timeout=20)
    mounted(image).unmount()


def test_a_failed_mount_leaves_nothing_behind(tmp_path: Path) -> None:
    """No descriptors, no threads, no lock."""
    image = formatted(tmp_path)
    bad = tmp_path / "bad"
    bad.write_bytes(image.read_bytes()[:4000])

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = held()
    for _ in range(10):
        with pytest.raises(BadImage):
            mounted(bad)
        with pytest.raises(ValueError):
            mounted(image, memory_pages=4)
        with pytest.raises(IsADirectoryError):
            mounted(tmp_path)
        mounted(image).unmount()
    deadline = 100
    while held() > before and deadline:
        threading.Event().wait(0.02)
        deadline -= 1
    assert held() == before


def test_when_the_process_has_no_descriptors_left(tmp_path: Path) -> None:
    """EMFILE from the host, as from any open(2); the image is as it was."""
    image = formatted(tmp_path)
    before = image.read_bytes()
    program = (
        "import os, resource, sys; from genfscheck.refimpl import mount\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
        "kept = []\n"
        "try:\n"
        "    while True: kept.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError: pass\n"
        "try: mount(sys.argv[1])\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(image)], timeout=20)
    assert done.returncode == errno.EMFILE
    assert image.read_bytes() == before


def test_too_many_open_files_name_the_file_and_harm_nobody(tmp_path: Path) -> None:
    with mounted(formatted(tmp_path, files=8), max_open=3) as fs:
        files = [fs.open(name, "w+") for name in ("a", "b", "c")]
        with pytest.raises(OSError) as caught:
            fs.open("d", "w")
        assert caught.value.errno == errno.EMFILE and caught.value.filename == "d"
        assert fs.listdir() == ["a", "b", "c"]  # it was not made either
        with pytest.raises(OSError):
            fs.open("a", "w")
        files[0].write(b"still")
        assert files[0].pread(9, 0) == b"still"  # and not cut
        files[1].close()
        fs.open("d", "w").close()

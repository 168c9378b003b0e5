"""A crash keeps what fsync reported, wherever it comes, torn writes included."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from genfscheck.refimpl import Crashed, FileSystem

from .support import formatted, mounted, together

NAMES = ("a", "b")


def workload(fs: FileSystem, seed: int, promised: dict[str, bytes], doubt: dict[str, bool]) -> None:
    """Writes, truncates and syncs; keeps in ``promised`` what the last fsync covers.

    ``doubt`` says of a file that it was changed since, so that newer bytes may be there.
    """
    chance = random.Random(seed)
    files = {name: fs.open(name, "w+") for name in NAMES}
    known = {name: bytearray() for name in NAMES}
    for _ in range(30):
        name = chance.choice(NAMES)
        file = files[name]
        doubt[name] = True
        if chance.random() < 0.2:
            size = chance.randrange(len(known[name]) + 1)
            file.truncate(size)
            del known[name][size:]
        else:
            offset = chance.randrange(len(known[name]) + 1)
            data = chance.randbytes(chance.randint(1, 5000))
            file.pwrite(data, offset)
            known[name][offset : offset + len(data)] = data
        if chance.random() < 0.5:
            file.fsync()
            promised[name] = bytes(known[name])
            doubt[name] = False


@pytest.mark.parametrize("tear", [None, 7])
@pytest.mark.parametrize(("journal", "block_size"), [(False, 1024), (True, 1024), (True, 8192)])
def test_a_crash_at_every_write(
    tmp_path: Path, journal: bool, block_size: int, tear: int | None
) -> None:
    fresh = formatted(tmp_path, block_size=block_size)
    image = tmp_path / "crashed"
    kept = crashes = 0
    for write in range(1, 80, 3):
        shutil.copy(fresh, image)
        promised: dict[str, bytes] = {}
        doubt: dict[str, bool] = {}
        fs = mounted(image, journal=journal, syncer_period=0.0, io_threads=2)
        fs.kernel.dev.crash_at(write, tear)
        try:
            workload(fs, write, promised, doubt)
        except Crashed:
            crashes += 1
        fs.crash()
        with mounted(image, journal=journal) as fs:
            for name, content in promised.items():
                if not doubt[name]:
                    with fs.open(name) as file:
                        assert file.read() == content, (write, name)
                        kept += 1
    assert crashes >= 8 and kept >= 8


def test_everybody_inside_is_thrown_out(tmp_path: Path) -> None:
    fs = mounted(formatted(tmp_path))

    def writer() -> None:
        with fs.open("a", "w+") as file, pytest.raises(Crashed):
            while True:
                file.pwrite(b"x" * 3000, 0)
                file.fsync()

    def crasher() -> None:
        with fs.open("b", "w+") as file:
            for _ in range(20):
                file.write(b"y" * 1000)
        fs.crash(tear=3)

    together(fs, [writer, crasher])
    assert not fs.mounted
    with pytest.raises(Crashed):
        fs.listdir()


def test_without_fsync_nothing_is_promised(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    fs = mounted(image, syncer_period=0.0)
    with fs.open("a", "w+") as file:
        file.write(b"old")
        file.fsync()
        file.pwrite(b"new", 0)
        fs.crash()
    with mounted(image) as fs, fs.open("a") as file:
        assert file.read() == b"old"  # memory is gone indeed


def test_the_syncer_saves_what_nobody_synced(tmp_path: Path) -> None:
    import time

    image = formatted(tmp_path)
    fs = mounted(image, syncer_period=0.01, syncer_delay=0.01)
    with fs.open("a", "w+") as file:
        file.write(b"kept")
    deadline = time.monotonic() + 5
    while fs.kernel.dev.writes < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    fs.crash()
    with mounted(image) as fs, fs.open("a") as file:
        assert file.read() == b"kept"


def test_a_snapshot_is_an_image_of_one_moment(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    with mounted(image, journal=True) as fs, fs.open("a", "w+") as file:
        file.write(b"then")
        fs.snapshot(tmp_path / "snapshot")
        file.pwrite(b"now!", 0)
    with mounted(tmp_path / "snapshot") as fs, fs.open("a") as file:
        assert file.read() == b"then"

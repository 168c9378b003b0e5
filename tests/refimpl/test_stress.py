"""Many threads at once; every byte is compared, while they run and at the end.

Each writer owns a stripe of the shared file and knows what must be there.  Stripes are
narrower than a page and cross blocks, so that threads keep meeting on pages.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from genfscheck.refimpl import FileSystem, Jitter

from .support import formatted, mounted, together

STRIPE = 700
STRIPES = 24
SIZE = STRIPE * STRIPES


class Writer:
    """Owns every stripe whose number is ``number`` modulo ``writers``."""

    def __init__(self, fs: FileSystem, number: int, writers: int, deadline: float) -> None:
        self.fs = fs
        self.random = random.Random(number)
        self.stripes = range(number, STRIPES, writers)
        self.known = {stripe: bytearray(STRIPE) for stripe in self.stripes}
        self.deadline = deadline
        self.rounds = 0

    def __call__(self) -> None:
        with self.fs.open("shared", "r+") as file, file.mmap() as mapped:
            while time.monotonic() < self.deadline:
                self.rounds += 1
                stripe = self.random.choice(self.stripes)
                start = self.random.randrange(STRIPE)
                length = self.random.randint(1, STRIPE - start)
                offset = stripe * STRIPE + start
                known = self.known[stripe]
                what = self.random.randrange(10)
                if what < 3:
                    data = self.random.randbytes(length)
                    assert file.pwrite(data, offset) == length
                    known[start : start + length] = data
                elif what < 6:
                    data = self.random.randbytes(length)
                    mapped[offset : offset + length] = data
                    known[start : start + length] = data
                elif what == 6:
                    assert file.pread(length, offset) == known[start : start + length]
                elif what == 7:
                    assert mapped[offset : offset + length] == known[start : start + length]
                elif what == 8:
                    mapped.sync(offset, length, invalidate=self.random.random() < 0.5)
                else:
                    file.fsync()


def grower(fs: FileSystem, deadline: float) -> Callable[[], None]:
    """Makes a file of its own longer and shorter, and reads all of it back."""

    def body() -> None:
        chance = random.Random(99)
        known = bytearray()
        with fs.open("own", "w+") as file:
            while time.monotonic() < deadline:
                offset = chance.randrange(len(known) + 3000)
                data = chance.randbytes(chance.randint(1, 5000))
                file.pwrite(data, offset)
                known.extend(bytes(max(0, offset + len(data) - len(known))))
                known[offset : offset + len(data)] = data
                if len(known) > 30000 or chance.random() < 0.2:
                    size = chance.randrange(len(known))
                    file.truncate(size)
                    del known[size:]
                assert file.pread(40000, 0) == known

    return body


@pytest.mark.parametrize(
    ("journal", "block_size", "memory", "jitter"),
    [(False, 1024, 48, False), (True, 8192, 64, False), (True, 1024, 48, True)],
)
def test_every_byte(
    tmp_path: Path, journal: bool, block_size: int, memory: int, jitter: bool
) -> None:
    image = formatted(tmp_path, 512 * 1024, block_size)
    knobs: dict[str, object] = {
        "journal": journal,
        "memory_pages": memory,
        "windows": 4,
        "array_on_stack": 1,
        "syncer_period": 0.02,
        "syncer_delay": 0.05,
        "hook": Jitter(1) if jitter else None,
    }
    with mounted(image, **knobs) as fs:
        with fs.open("shared", "w+") as file:
            file.truncate(SIZE)
        deadline = time.monotonic() + 1.2
        writers = [Writer(fs, number, 3, deadline) for number in range(3)]
        together(fs, [*writers, grower(fs, deadline)])
        assert sum(writer.rounds for writer in writers) > 20
        expected = bytearray(SIZE)
        for writer in writers:
            for stripe, known in writer.known.items():
                expected[stripe * STRIPE : (stripe + 1) * STRIPE] = known
        with fs.open("shared") as file:
            assert file.read() == bytes(expected)
    with mounted(image) as fs, fs.open("shared") as file:
        assert file.read() == bytes(expected)


def test_at_rest_nothing_is_held(tmp_path: Path) -> None:
    image = formatted(tmp_path)
    with mounted(image, array_on_stack=1) as fs:
        with fs.open("shared", "w+") as file:
            file.truncate(SIZE)
        deadline = time.monotonic() + 0.3
        together(fs, [Writer(fs, number, 2, deadline) for number in range(2)])
        fs.sync()
        kernel = fs.kernel
        assert kernel.bufs.value == 0
        assert kernel.heap.value == 0
        assert kernel.kva.free == kernel.kva.total
        for vp in kernel.vnodes.values():
            assert vp.v_numoutput.value == 0
            assert vp.v_size.value == vp.v_writesize.value == vp.inode.size
            assert vp.uobj.npages.value == len(vp.uobj.tree) == len(list(vp.uobj.memq))
            assert all(page.flags.value & 1 == 0 for page in vp.uobj.tree.values())

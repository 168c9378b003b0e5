"""One file, from format to remount, on both variants and all geometries."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import formatted, mounted


@pytest.mark.parametrize("variant", ["1.18", "hardened"])
@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize(("block_size", "page_size"), [(1024, 4096), (4096, 4096), (8192, 4096)])
def test_written_read_mapped_and_kept(
    tmp_path: Path, variant: str, journal: bool, block_size: int, page_size: int
) -> None:
    image = formatted(tmp_path, block_size=block_size)
    knobs = {"variant": variant, "journal": journal, "page_size": page_size}
    with mounted(image, **knobs) as fs, fs.open("notes", "w+") as file:
        assert file.write(b"hello" * 3000) == 15000
        file.fsync()
        assert file.pread(20000, 0) == b"hello" * 3000
        with file.mmap() as mapped:
            mapped[0:1] = b"J"
            mapped.sync()
        assert file.pread(5, 0) == b"Jello"
        assert file.stat().pages >= 4
    with mounted(image, **knobs) as fs:
        assert fs.listdir() == ["notes"]
        with fs.open("notes") as file:
            assert file.read() == b"Jello" + b"hello" * 2999

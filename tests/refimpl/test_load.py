"""Load on hardened: no hang, no lost byte, nothing that grows; and that it would be noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genfscheck.refimpl.load import Load, LoadFailure, Report, main
from genfscheck.refimpl.pmap import PmapSystem

THREADS, FILES = 16, 1000


def under_load(directory: Path, seconds: float, **knobs: object) -> Report:
    load = Load(directory, threads=THREADS, files=FILES, **knobs)  # type: ignore[arg-type]
    return load.run(seconds)


def judge(report: Report, operations: int) -> None:
    assert sum(report.operations.values()) > operations
    kinds = {"write", "read", "store", "load", "truncate", "fsync", "msync", "stripe"}
    assert set(report.operations) >= kinds
    assert report.image > 8 * report.memory
    assert report.compared > 4 * report.memory  # twice all files: they do not fit into memory
    assert len(report.samples) >= 3
    for sample in report.samples:
        assert (sample.buffers, sample.arrays, sample.pager_pages) == (0, 0, 0)
        assert sample.pages == report.samples[0].pages
        assert sample.threads <= report.samples[0].threads
        assert sample.descriptors <= report.samples[0].descriptors


def test_a_few_seconds(tmp_path: Path) -> None:
    judge(under_load(tmp_path, 3.0, memory_pages=256), 800)


@pytest.mark.long
@pytest.mark.parametrize(
    ("journal", "block_size", "knobs"),
    [(True, 1024, {}), (False, 8192, {"array_on_stack": 1, "windows": 4})],
)
def test_a_minute(tmp_path: Path, journal: bool, block_size: int, knobs: dict[str, object]) -> None:
    judge(under_load(tmp_path, 60.0, journal=journal, block_size=block_size, **knobs), 20_000)


def test_lost_stores_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modified bits of pages are forgotten."""
    right = PmapSystem.clear_modify

    def forgets(self: PmapSystem, *arguments: object) -> bool:
        right(self, *arguments)  # type: ignore[arg-type]
        return False

    monkeypatch.setattr(PmapSystem, "clear_modify", forgets)
    with pytest.raises(LoadFailure, match="differs"):
        Load(tmp_path, threads=4, files=40, memory_pages=128).run(1.0, every=0.4)


def test_a_leak_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of pages are never given back."""
    from genfscheck.refimpl.kernel import Kernel

    monkeypatch.setattr(Kernel, "kmem_free", lambda *arguments: None)
    with pytest.raises(LoadFailure, match="held at rest"):
        Load(tmp_path, threads=4, files=40, array_on_stack=1, block_size=8192).run(1.0, every=0.4)


def test_growth_is_noticed(tmp_path: Path) -> None:
    """A descriptor more in each sample."""
    kept = []
    load = Load(tmp_path, threads=2, files=20)
    try:
        with pytest.raises(LoadFailure, match="grown"):
            load.run(0.6, every=0.2, told=lambda line: kept.append(open(tmp_path / "load.img")))
    finally:
        for file in kept:
            file.close()


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "genfscheck.refimpl.load", "--seconds", "0.5"]
    command += ["--threads", "2", "--files", "20", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "bytes compared" in done.stdout and "operations" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--threads", "16", "--files", "10"]) == 2
    assert "too few" in capsys.readouterr().err
    assert main(["--threads", "2", "--files", "20", "--seconds", "0"]) == 2
    assert "seconds" in capsys.readouterr().err
    assert main(["--directory", "/absent"]) == 2
    assert "/absent" in capsys.readouterr().err

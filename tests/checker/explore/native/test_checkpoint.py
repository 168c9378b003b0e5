"""A search that is saved and taken up reports what it would have without the interruption."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genfscheck.checker.explore.errors import InternalError
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.kept import explore_kept
from genfscheck.checker.explore.native import checkpoint, search
from genfscheck.checker.explore.native.checkpoint import CheckpointError, Keeping
from genfscheck.checker.explore.result import Granularity, Result
from genfscheck.checker.explore.search import Bounds
from genfscheck.checker.lang import ir

from ..build import counter
from ..randomised import random_program
from .test_search import masked, witnesses

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here"
)


def plain(result: Result) -> Result:
    """A result without what depends on the clock and on memory."""
    return replace(
        result, seconds=0, search_seconds=0, compile_seconds=0, memory=0, stored_bytes=0
    )


def kept(
    program: ir.Program, keeping: Keeping, states: int | None = None,
    granularity: Granularity = "fine", workers: int = 1,
) -> Result:  # fmt: skip
    return explore_kept(
        program, keeping, granularity=granularity, workers=workers, bounds=Bounds(states=states)
    )


def go_on(path: Path, **more: object) -> Keeping:
    return Keeping("s", save=path, resume=path, every=0, **more)  # type: ignore[arg-type]


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine returns after few states, so that searches are saved inside layers."""
    monkeypatch.setattr(search, "_BUDGET", 3)


def every_checkpoint(
    program: ir.Program, granularity: Granularity, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """The checkpoints of one search, all of them, as a process that was killed would leave."""
    found: list[Path] = []
    write = checkpoint.write

    def copying(path: Path, *rest: object) -> None:
        write(path, *rest)  # type: ignore[arg-type]
        found.append(folder / f"copy-{len(found)}")
        shutil.copy(path, found[-1])

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", copying)
        patch.setattr(checkpoint, "_PATIENCE", 0)
        keeping = Keeping("s", save=folder / "saved", every=0)
        kept(program, keeping, None, granularity)
    assert not (folder / "saved").exists(), "the search has come to its end"
    return found


@pytest.mark.parametrize("granularity", ["fine", "reduced"])
@pytest.mark.parametrize("name", ["random", "masked", "witnesses"])
def test_resumed_is_uninterrupted(
    name: str, granularity: Granularity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    hops: None,
) -> None:  # fmt: skip
    program = {"random": random_program(0), "masked": masked(), "witnesses": witnesses()}[name]
    whole = plain(explore(program, granularity=granularity, engine="native"))
    saved = every_checkpoint(program, granularity, tmp_path, monkeypatch)
    assert len(saved) > (0 if name == "witnesses" else 3)
    for number, path in enumerate(saved[:: max(1, len(saved) // 5)]):
        resumed = kept(program, go_on(path), None, granularity, 1 + number % 3)
        assert plain(resumed) == whole
    assert whole.restarts or (name, granularity) != ("random", "reduced")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 40))
def test_resumed_random_programs(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hops: None
) -> None:
    program = random_program(seed)
    whole = plain(explore(program, engine="native"))
    for path in every_checkpoint(program, "reduced", tmp_path, monkeypatch)[::3]:
        assert plain(kept(program, go_on(path), None, "reduced", 2)) == whole


def test_in_many_pieces_with_workers(tmp_path: Path) -> None:
    program = random_program(0)
    whole = plain(explore(program, granularity="fine", engine="native"))
    path, pieces = tmp_path / "saved", 0
    result = kept(program, Keeping("s", save=path), 40, workers=3)
    while not result.complete:
        assert result.bound == "max_states" and path.exists()
        result = kept(program, go_on(path), result.states + 40, workers=1 + pieces % 3)
        pieces += 1
    assert plain(result) == whole and pieces > 3
    assert os.listdir(tmp_path) == []


def test_stopped_is_saved(tmp_path: Path, hops: None) -> None:
    program, path = counter(2, 1, False), tmp_path / "saved"
    saved: list[bool] = []
    keeping = Keeping("s", save=path, ended=saved.append)
    keeping.stopped = True
    result = kept(program, keeping)
    assert (result.bound, result.verdict, saved) == ("interrupted", "inconclusive", [True])
    assert plain(kept(program, go_on(path))) == plain(
        explore(program, granularity="fine", engine="native")
    )


# ------------------------------------------------------------------------- bad checkpoints


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved"
    kept(random_program(0), Keeping("s", save=path), 100)
    return path


def refused(path: Path, program: ir.Program | None = None, **more: object) -> str:
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(CheckpointError) as error:
        kept(program or random_program(0), go_on(path, **more))
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text
    assert before is None or path.read_bytes() == before
    return text


def test_cut_off_anywhere(saved: Path) -> None:
    data = saved.read_bytes()
    for size in (0, 5, 25, 40, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:size])
        assert ("is cut off" if size > 21 else "is not a checkpoint") in refused(saved)
    saved.write_bytes(data + b"x")
    assert f"{len(data) + 1} bytes, expected {len(data)}" in refused(saved)


def test_one_bit_anywhere(saved: Path) -> None:
    data = saved.read_bytes()
    for at in (*range(0, len(data), 311), len(data) - 1):
        saved.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        text = refused(saved)
        expected = ("is not a checkpoint", "is damaged", "is a checkpoint of format", "is cut off")
        assert any(words in text for words in expected), text


def test_another_version(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "VERSION", 2)
        assert "of format 1, expected 2" in refused(saved)
    monkeypatch.setattr(checkpoint, "engine_text", lambda: "another engine")
    assert "another version of genfscheck" in refused(saved)


def test_of_something_else(saved: Path) -> None:
    def asked(keeping: Keeping) -> str:
        with pytest.raises(CheckpointError) as error:
            kept(random_program(0), keeping)
        return str(error.value)

    assert "is of scenario s, expected other" in asked(Keeping("other", resume=saved))
    assert "is of variant , expected v" in asked(Keeping("s", "v", resume=saved))
    assert "is of fixes none, expected a, b" in asked(
        Keeping("s", fixes=("a", "b"), resume=saved)
    )
    assert "another revision of the model" in refused(saved, counter(2, 1, False))
    with pytest.raises(CheckpointError, match="is of granularity fine, expected reduced"):
        kept(random_program(0), Keeping("s", resume=saved), None, "reduced")


def test_consistent_nonsense_is_not_followed(saved: Path) -> None:
    """Right sums around wrong contents: numbers out of bounds, states that are there twice."""
    found = checkpoint.Saved(saved)
    sizes = found.header.pop("sizes")
    parts = [found._file.read(size) for size in sizes]
    found.close()

    def asked(part: int, at: int, word: bytes) -> str:
        changed = list(parts)
        changed[part] = parts[part][: 8 * at] + word + parts[part][8 * at + len(word) :]
        checkpoint.write(saved, found.header, changed)
        return refused(saved)

    refusals = [
        asked(1, 3, b"\xff" * 8),
        asked(1, 3, bytes(8)),
        asked(1, 3, parts[1][:8]),
        asked(len(parts) - 1, 1, b"\xff" * 8),
    ]
    accepted = 0
    for at in range(0, len(parts[0]) // 8, 11):
        try:
            refusals.append(asked(0, at, b"\xff" * 8))
        except pytest.fail.Exception:
            accepted += 1  # a count, or a set of invariants: it may be anything
            checkpoint.write(saved, found.header, parts)
    assert all("is damaged" in text or "needs more memory" in text for text in refusals)
    assert accepted < len(refusals)


def test_missing_or_a_folder(tmp_path: Path) -> None:
    assert "cannot be read: no such file" in refused(tmp_path / "none")
    assert "cannot be read: is a directory" in refused(tmp_path)


# ------------------------------------------------------------------------- failing saves


def failing(number: int) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_keeps_the_older_one(
    saved: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, said = saved.read_bytes(), list[str]()
    monkeypatch.setattr(f"os.{call}", failing(errno.ENOSPC))
    result = kept(random_program(0), go_on(saved, warn=said.append), 200)
    assert result.bound == "max_states" and result.states > 200, "the search went on"
    assert said and all(
        line == f"{saved}: the checkpoint cannot be written: no space left on device; "
        "the older checkpoint stays" for line in said
    )  # fmt: skip
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name], "nothing half written is left"


def test_folder_that_is_gone(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "none" / "saved"
    kept(random_program(0), Keeping("s", save=path, warn=said.append), 100)
    assert said == [f"{path}: the checkpoint cannot be written: no such file or directory"]


def test_memory_that_does_not_suffice(saved: Path) -> None:
    with pytest.raises((CheckpointError, InternalError), match="raise --max-memory"):
        explore_kept(
            random_program(0), go_on(saved), granularity="fine", bounds=Bounds(memory=1)
        )

"""What is kept on disk from one process to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from genfscheck.checker.conform.kept import KEPT, code_digest, kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GENFSCHECK_CACHE", str(folder))
    return folder


class Maker:
    """Counts how often something is made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> list[int]:
        self.made += 1
        return [self.made]


def refuse(line: str) -> None:
    raise AssertionError(line)


def test_made_once(cache: Path) -> None:
    maker = Maker()
    assert kept(["a"], maker, refuse) == kept(["a"], maker, refuse) == [1]
    assert kept(["b"], maker, refuse) == [2]
    assert len(list(cache.iterdir())) == 2


def test_an_entry_that_is_damaged_is_made_again(cache: Path) -> None:
    maker = Maker()
    kept(["a"], maker, refuse)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        entry.write_bytes(damaged)
        made = maker.made
        assert kept(["a"], maker, refuse) == [made + 1]


def test_a_folder_that_others_can_write_to_is_not_used(cache: Path) -> None:
    maker = Maker()
    cache.mkdir()
    cache.chmod(0o777)
    lines: list[str] = []
    assert kept(["c"], maker, lines.append) == [1]
    assert len(lines) == 1 and "others can write" in lines[0]
    assert not list(cache.iterdir())


def test_old_entries_go(cache: Path) -> None:
    for number in range(KEPT + 3):
        kept([str(number)], Maker(), refuse)
    assert len(list(cache.iterdir())) == KEPT


def test_the_digest_is_of_names_and_texts(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    file = folder / "one.py"
    seen = set()
    for text in ("a = 1", "a = 2"):
        file.write_text(text)
        seen |= {code_digest([folder]), code_digest([file])}
    file.rename(folder / "two.py")
    seen.add(code_digest([folder]))
    assert len(seen) == 5

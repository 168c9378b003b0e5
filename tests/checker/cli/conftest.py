"""The command on a toy model: ``toy/`` beside this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from genfscheck.checker.cli import Subject, run

TOY = Path(__file__).with_name("toy")


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def toy() -> Subject:
    return Subject("toy", TOY, "toy", variant="plain")


@pytest.fixture
def command(
    toy: Subject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Command:
    """Run ``genfscheck`` on the toy model in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str) -> Answer:
        status = run(toy, arguments)
        out, err = capfd.readouterr()
        return Answer(status, out, err)

    return invoke

"""The scenarios that documents show fit the model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genfscheck.__main__ import SUBJECT
from genfscheck.checker.cli.library import Library
from genfscheck.checker.lang.scenario import parse

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md"])
def test_shown_scenarios_compile(name: str) -> None:
    blocks = re.findall(r"```toml\n(schema.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        scenario = parse(block, name)
        program = Library(SUBJECT).compile(scenario, SUBJECT.variant, ())
        assert [thread.name for thread in program.threads if not thread.daemon] == [
            thread.name for thread in scenario.threads if not thread.daemon
        ]


def test_suite_is_named_after_its_files() -> None:
    for scenario in Library(SUBJECT).scenarios:
        assert Path(scenario.file).stem == scenario.name
        assert scenario.question.endswith((".", "?"))
        assert scenario.exercises

"""The table of findings: what it accepts, what it refuses, what it recognises."""

from __future__ import annotations

from pathlib import Path

import pytest

from genfscheck.checker.trace.errors import DataError
from genfscheck.checker.trace.findings import load_findings

GOOD = """
[[finding]]
id = "F1"
title = "t"
lines = [10, 20]
actors = ["a"]
consequence = "hang"
seen = "s"
property = "deadlock"
scenario = "one"
explanation = "e"
[[finding.match]]
lines = [10]

[[finding]]
id = "F2"
title = "t"
lines = [10]
actors = ["a"]
consequence = "panic"
seen = "s"
property = "deadlock"
scenario = "two"
explanation = "e"
[[finding.match]]
properties = ["deadlock", "progress"]
lines = [10, 30]
scenarios = ["two", "three"]
"""


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "findings.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("prop", "lines", "scenario", "found"),
    [
        ("deadlock", (10, 11), "one", "F1"),
        ("deadlock", (11,), "one", None),
        ("kassert", (10,), "one", None),
        ("deadlock", (10, 30), "two", "F2"),
        ("deadlock", (10, 30), "one", "F1"),
        ("progress", (10, 30), "three", "F2"),
    ],
)
def test_recognised(
    tmp_path: Path, prop: str, lines: tuple[int, ...], scenario: str, found: str | None
) -> None:
    finding = load_findings(table(tmp_path, GOOD)).find(prop, lines, scenario, ())
    assert (finding.id if finding else None) == found


def test_not_with_its_fix(tmp_path: Path) -> None:
    findings = load_findings(table(tmp_path, GOOD))
    first = findings.entries[0]
    assert findings.find("deadlock", (10, 11), "one", ()) is first
    assert findings.find("deadlock", (10, 11), "one", {"of-something-else"}) is first
    assert findings.find("deadlock", (10, 11), "one", {first.fix}) is None


def test_none_yet(tmp_path: Path) -> None:
    assert load_findings(tmp_path / "findings.toml").entries == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('consequence = "hang"', 'consequence = "doom"', ["finding[0].consequence", "'doom'"]),
        ('id = "F2"', 'id = "f1"', ["f1", "taken"]),
        ("lines = [10, 20]", "lines = []", ["finding[0].lines", "at least one"]),
        ("lines = [10, 20]", 'lines = ["x"]', ["finding[0].lines", "integers"]),
        ('title = "t"', "", ["finding[0].title", "missing"]),
        ('title = "t"', 'titel = "t"\ntitle = "t"', ["finding[0].titel", "unknown key"]),
        ("[[finding.match]]\nlines = [10]\n", "", ["finding[0].match", "at least one"]),
        ("lines = [10]\n", "", ["finding[0].match[0].lines", "lines or scenarios"]),
        ("[[finding]]", "[[", ["expected TOML"]),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    path = table(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        load_findings(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)

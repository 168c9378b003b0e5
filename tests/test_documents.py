"""Documents that a test can break."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_architecture_is_short_and_names_paths_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.splitlines()) <= 120
    named = re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.toml|run))`", text)
    assert len(named) > 20
    missing = [name for name in named if "/" in name and not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", *(
    str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))
)])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / name).parent / target).exists(), target


def test_readme_commands() -> None:
    text = (ROOT / "README.md").read_text()
    for command in (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/genfscheck check",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest",
    ):
        assert f"    {command}\n" in text


def test_examples_in_documents_are_toml() -> None:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL):
            tomllib.loads(block)


def imports(path: Path) -> list[tuple[int, str]]:
    """What a module imports: the number of dots, and the name behind them."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
        elif isinstance(node, ast.Import):
            found.extend((0, alias.name) for alias in node.names)
    return found


def test_checker_knows_nothing_of_the_model() -> None:
    for path in sorted((ROOT / "checker").rglob("*.py")):
        depth = len(path.relative_to(ROOT).parts)
        for level, name in imports(path):
            assert not (level >= depth and name.startswith("model")), path


def test_inside_the_package_imports_are_relative() -> None:
    for folder in ("checker", "model", "refimpl", "proofs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for level, name in imports(path):
                top = name.partition(".")[0]
                assert level or top not in ("genfscheck", "checker", "model", "refimpl"), path


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"## {project['version']}" in (ROOT / "CHANGES.md").read_text()

"""What bad input gets: one line with the file, the key and what was expected; status 2."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOY = Path(__file__).with_name("toy")
CAREFUL = (TOY / "scenarios" / "careful.toml").read_text()
Command = Callable[..., Any]


def refused(answer: Any, *words: str) -> None:
    """The command ended with status 2 and one line that holds all the words."""
    assert answer.status == 2, answer
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("genfscheck: ")
    for word in words:
        assert word in answer.err, answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], ["bogus"]),
        (["check", "nobody"], ["unknown scenario 'nobody'", "careful, crossed"]),
        (["check", "none.toml"], ["none.toml", "o such file"]),
        (["check", "--variant", "2.0"], ["'2.0'", "plain or hardened"]),
        (["check", "--fix", "luck"], ["'luck'", "one-order"]),
        (["check", "--engine", "magic"], ["magic", "python"]),
        (["check", "--max-states", "0"], ["--max-states", "0"]),
        (["check", "--max-states", "many"], ["--max-states", "many"]),
        (["check", "--workers", "0"], ["--workers"]),
        (["check", "--granularity", "coarse"], ["coarse", "fine"]),
        (["check", "--json", "no/such/out.json"], ["no/such/out.json", "not a directory"]),
        (["check", "--json", "."], ["it is a directory"]),
        (["show"], ["TRACE"]),
        (["show", "none.json"], ["none.json", "no such file"]),
        (["show", "B1"], ["B1", "no trace"]),
        (["show", "--ir", "nothing"], ["'nothing'", "deposit"]),
        (["findings", "B9"], ["'B9'", "B1"]),
    ],
)
def test_usage(command: Command, arguments: list[str], words: list[str]) -> None:
    refused(command(*arguments), *words)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("schema = 1", "schema = 7"), ["schema", "expected 1", "7"]),
        (("schema = 1", "schema = "), ["not TOML"]),
        (("schema = 1", 'schema = "1"'), ["schema"]),
        (('name = "careful"', "name = 3"), ["name"]),
        (("schema = 1", 'schema = 1\ntier = "huge"'), ["tier", "default or full"]),
        (("total = 1", "total = 99"), ["total", "0 to 20"]),
        (("total = 1", 'total = "much"'), ["total", "a number"]),
        (("total = 1", "sum = 1"), ["sum", "total"]),
        (('call = "careful"', 'call = "reckless"'), ["unknown actor 'reckless'", "careful"]),
        (('call = "careful"', 'call = "mover", swapped = 3'), ["swapped", "true or false"]),
        (('call = "careful"', 'call = "mover"'), ["swapped", "missing"]),
        (('program = [{ call = "careful" }]', "program = []"), ["program", "at least one"]),
        (('exercises = ["deposit", "left"]', "exercises = [1]"), ["exercises[0]"]),
        (("[setup]", "[parameters]\nNPAGES = 3\n[setup]"), ["unknown parameter 'NPAGES'"]),
        (("[setup]", "[parameters]\nNPAGES = true\n[setup]"), ["parameters.NPAGES", "number"]),
        (("[setup]", "[sutep]"), ["sutep", "unknown key"]),
    ],
)
def test_scenario(command: Command, change: tuple[str, str], words: list[str]) -> None:
    old, new = change
    assert old in CAREFUL
    Path("mine.toml").write_text(CAREFUL.replace(old, new))
    refused(command("check", "mine.toml", "--json", "out.json"), "mine.toml", *words)
    assert os.listdir() == ["mine.toml"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["mine.toml"]),
        (b"\xff\xfe\x00rubbish", ["mine.toml", "not a text file"]),
        (CAREFUL.partition("[[thread]]")[0].encode(), ["thread", "at least one"]),
        (b"\x00" * 64, ["mine.toml"]),
    ],
)
def test_rubbish(command: Command, content: bytes, words: list[str]) -> None:
    Path("mine.toml").write_bytes(content)
    refused(command("check", "mine.toml"), *words)


def test_failing_setup(command: Command) -> None:
    Path("mine.toml").write_text(CAREFUL.replace('call = "opening"\ntotal = 1', 'call = "broken"'))
    refused(command("check", "mine.toml"), "mine.toml", "setup")


def test_traces_is_a_file(command: Command) -> None:
    Path("here").write_text("")
    refused(command("check", "--traces", "here"), "here", "directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable(command: Command) -> None:
    Path("locked").mkdir(mode=0o500)
    refused(command("check", "--json", "locked/out.json"), "locked", "not writable")
    refused(command("check", "--traces", "locked/traces"), "locked")


# ------------------------------------------------------------------------------- traces


@pytest.fixture
def trace(command: Command) -> Path:
    assert command("check", "crossed").status == 1
    return Path("traces/crossed-1.json")


def edit(path: Path, change: Callable[[dict[str, Any]], None], *, reseal: bool = False) -> None:
    """Change a trace as somebody with an editor would; or as a forger who knows the seal."""
    value = json.loads(path.read_text())
    change(value)
    if reseal:
        seal = {key: item for key, item in value.items() if key != "seal"}
        value["seal"] = hashlib.sha256(json.dumps(seal, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(value))


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


EDITS = [
    (put("format", value="other"), "not a trace"),
    (put("schema", value=2), "another version"),
    (put("schema", value="1"), "schema"),
    (put("model", value="0" * 16), "another version of the model"),
    (put("steps", value={}), "steps"),
    (put("steps", 0, "thread", value=7), "steps[0].thread"),
    (put("steps", 0, "choices", value=["x"]), "steps[0].choices"),
    (put("more", value=1), "more"),
]
FORGERIES = [
    (put("steps", 0, "choices", value=[0]), "steps[0]"),
    (put("steps", 0, "choices", value=[5]), "steps[0]"),
    (put("steps", 1, "state", value="0" * 16), "steps[1]"),
    (put("steps", 1, "thread", value="ann"), "steps[1]"),
    (put("steps", 1, "thread", value="eve"), "steps[1]"),
    (put("steps", 1, "lines", value=[99]), "steps[1]"),
    (put("initial", "choice", value=4), "initial"),
    (put("initial", "state", value="0" * 16), "initial"),
    (put("parameters", value={"N": 1}), "parameters"),
    (put("violation", "property", value="money-is-kept"), "violation"),
    (put("fixes", value=["one-order"]), "steps[2]"),
    (put("fixes", value=["luck"]), "luck"),
    (put("variant", value="hardened"), "fixes"),
    (put("variant", value="2.0"), "variant"),
]


@pytest.mark.parametrize(("change", "word"), EDITS)
def test_not_a_trace_of_ours(command: Command, trace: Path, change: Any, word: str) -> None:
    edit(trace, change, reseal=True)
    refused(command("show", str(trace)), str(trace), word)


@pytest.mark.parametrize(("change", "word"), FORGERIES)
def test_edited(command: Command, trace: Path, change: Any, word: str) -> None:
    edit(trace, change)
    refused(command("show", str(trace)), str(trace), "edited")


@pytest.mark.parametrize(("change", "word"), FORGERIES)
def test_forged(command: Command, trace: Path, change: Any, word: str) -> None:
    edit(trace, change, reseal=True)
    refused(command("show", str(trace)), str(trace), word)


def test_shortened(command: Command, trace: Path) -> None:
    edit(trace, lambda value: value["steps"].pop(), reseal=True)
    refused(command("show", str(trace)), "violation")


@pytest.mark.parametrize("content", [b"", b"\xff\x00\x01", b"[]", b"{", b"[" * 100_000, b"{}"])
def test_rubbish_trace(command: Command, content: bytes) -> None:
    Path("t.json").write_bytes(content)
    refused(command("show", "t.json"), "t.json")


def test_unwritable_output(command: Command, trace: Path) -> None:
    refused(command("show", str(trace), "--output", "no/such/file"), "no/such/file")

"""Scenario files that cannot be used: the message names the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.lang.errors import ScenarioError
from genfscheck.checker.lang.scenario import compile_scenario, parse, read

from .helpers import source

MODEL = source("""
SIZE: Final = parameter("SIZE", default=2, low=1, high=3)

class How(Enum):
    READ = 0
    WRITE = 1

class F(Flags):
    A = 1
    B = 2

@record
class C:
    n: int32

cells = Pool(C, "SIZE")

@actor
def use(which: C, how: How, flags: F, count: int32, now: bool = False) -> None:
    for i in range(count):
        cells[0].n += 1
    if how == How.WRITE and flags & F.A and now:
        which.n = 0

@actor
def clean() -> None:
    rest_until(cells[0].n > 100, "work")

@setup
def start(values: tuple[int, ...]) -> None:
    for i in range(SIZE):
        cells[i].n = values[i]

@invariant("small")
def small() -> bool:
    return cells[0].n < 50

@witness
def some() -> bool:
    return cells[0].n == 9
""")

GOOD = """
schema = 1
name = "good"
question = "Is it?"
exercises = ["use"]
tier = "full"
properties = ["small"]
daemons = ["clean"]

[parameters]
SIZE = 2

[setup]
call = "start"
values = [7, 8]

[[thread]]
name = "t"
program = [{ call = "use", which = 1, how = "WRITE", flags = ["A", "B"], count = 2, now = true }]

[possible]
states = ["some"]
"""


def test_good() -> None:
    scenario = parse(GOOD, "good.toml")
    assert (scenario.name, scenario.tier, scenario.parameters) == ("good", "full", {"SIZE": 2})
    result = explore(compile_scenario(MODEL, scenario))
    assert result.verdict == "holds"
    assert result.witnesses["some"] is not None


CALL = 'program = [{ call = "use",'
# (what is replaced, by what, parts of the message)
BAD = [
    ("schema = 1", "schema = 2", ["schema: expected 1, found 2"]),
    ("schema = 1\n", "", ["schema: missing"]),
    ("schema = 1", "schema = true", ["schema", "True"]),
    ('name = "good"', 'name = "Good one"', ["name: expected lower-case"]),
    ('name = "good"', "name = 1", ["name: expected a name, found 1"]),
    ('name = "good"\n', "", ["name: missing"]),
    ('"full"', '"huge"', ["tier", "default or full", "'huge'"]),
    ('"Is it?"', "3", ["question: expected a sentence"]),
    ('["use"]', "[3]", ["exercises[0]", "3"]),
    ('["use"]', '"use"', ["exercises", "a list"]),
    ('["small"]', '"small"', ["properties", "a list"]),
    ('["small"]', '["tall"]', ["unknown property 'tall'", "small"]),
    ('["small"]', "[3]", ["properties[0]", "3"]),
    ("SIZE = 2", 'SIZE = "2"', ["parameters.SIZE: expected a number, found '2'"]),
    ("SIZE = 2", "SIZE = false", ["parameters.SIZE", "False"]),
    ("SIZE = 2", "SIZE = 9", ["parameters.SIZE", "from 1 to 3"]),
    ("SIZE = 2", "SIZES = 2", ["unknown parameter 'SIZES'", "SIZE"]),
    ("[parameters]\nSIZE = 2", "parameters = 2", ["parameters", "a table"]),
    ("[setup]", "[setups]", ["setups: unknown key", "setup"]),
    ('call = "start"', 'call = "begin"', ["unknown setup 'begin'", "start"]),
    ('call = "start"\n', "", ["setup.call: missing"]),
    ("values = [7, 8]", "values = 7", ["values = 7", "a list of numbers"]),
    ("values = [7, 8]", "values = [[7], 8]", ["setup.values", "a list"]),
    ("values = [7, 8]", "values = 1.5", ["setup.values", "1.5"]),
    ("values = [7, 8]", "valued = [7, 8]", ["start has no argument 'valued'", "values"]),
    ("values = [7, 8]", "", ["argument 'values' is missing"]),
    ("values = [7, 8]", 'values = ["x", "y"]', ["a list of numbers"]),
    ('name = "t"', 'names = "t"', ["thread[0].name: missing"]),
    ('name = "t"', "name = 4", ["thread[0].name", "4"]),
    ('name = "t"', 'name = "t"\ndaemons = 1', ["thread[0].daemons: unknown key"]),
    ('name = "t"', 'name = "t"\ndaemon = 1', ["thread[0].daemon", "true or false"]),
    ('name = "t"', 'name = "t"\ndaemon = true', ["thread", "not a daemon"]),
    ('name = "t"', 'name = "clean"', ["thread", "two threads are named 'clean'"]),
    (CALL, "programs = [{ ", ["program: missing"]),
    (CALL, 'program = ["use", { call = "use",', ["thread[0].program[0]"]),
    (CALL, "program = [{", ["thread[0].program[0].call: missing"]),
    (CALL, 'program = [{ call = "using",', ["unknown actor 'using'", "clean, use"]),
    (CALL, 'program = [{ call = "start",', ["unknown actor 'start'"]),
    ("which = 1", "which = 2", ["which = 2", "0 to 1"]),
    ("which = 1", "which = true", ["which = True"]),
    ("which = 1", 'which = "a"', ["which = 'a'"]),
    ("which = 1,", "", ["argument 'which' is missing"]),
    ('"WRITE"', '"APPEND"', ["how = 'APPEND'", "READ, WRITE"]),
    ('"WRITE"', "1", ["how = 1", "a name"]),
    ('["A", "B"]', '["A", "Z"]', ["flags", "'Z'", "A, B"]),
    ('["A", "B"]', "[1]", ["flags", "A, B"]),
    ('["A", "B"]', "3", ["flags = 3", "flag names"]),
    ("count = 2", "count = 200", ["count = 200", "from -8 to 119"]),
    ("count = 2", "count = true", ["count = True", "a number"]),
    ("now = true", "now = 1", ["now = 1", "true or false"]),
    ('["clean"]', '["sweep"]', ["unknown actor 'sweep'"]),
    ('["clean"]', "[1]", ["daemons[0]"]),
    ('["clean"]', '["clean", "clean"]', ["two threads are named 'clean'"]),
    ('["clean"]', "[" + '"clean", ' * 8 + "]", ["at most 8", "9"]),
    ('states = ["some"]', 'states = ["none"]', ["unknown witness 'none'", "some"]),
    ('states = ["some"]', "lines = [true]", ["possible.lines[0]", "True"]),
    ('states = ["some"]', "line = [1]", ["possible.line: unknown key", "lines, states"]),
    ("schema = 1", "schema = ", ["not TOML"]),
    ("schema = 1", "schema = 1\nschema = 1", ["not TOML"]),
]


@pytest.mark.parametrize(("old", "new", "words"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad(old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        compile_scenario(MODEL, parse(GOOD.replace(old, new, 1), "mine.toml"))
    message = str(caught.value)
    assert message.startswith("mine.toml: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_no_thread() -> None:
    text = GOOD[: GOOD.index("[[thread]]")]
    with pytest.raises(ScenarioError, match="mine.toml: thread: expected at least one"):
        parse(text, "mine.toml")
    with pytest.raises(ScenarioError, match=r"thread\[0\]|a \[\[thread\]\]"):
        parse(text.replace("[parameters]", "thread = [1]\n[parameters]"), "mine.toml")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x7fELF\x02\x01\x80\x00", b"\x00" * 9, b""])
def test_rubbish(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml", tmp_path / "none" / "none.toml"):
        with pytest.raises(ScenarioError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")

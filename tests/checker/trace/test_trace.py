"""Recording, storing, re-executing and telling traces, on a small program driven by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from genfscheck.checker.lang.compile import CallSpec, ProgramSpec, ThreadSpec, compile_program
from genfscheck.checker.lang.ir import Program
from genfscheck.checker.lang.source import load, with_primitives
from genfscheck.checker.trace.errors import DataError
from genfscheck.checker.trace.events import Event, Folded, fold
from genfscheck.checker.trace.formats import as_dot, as_itf, as_json, as_mermaid
from genfscheck.checker.trace.html import as_html
from genfscheck.checker.trace.listing import list_program, list_thread, routines
from genfscheck.checker.trace.names import line_ranges
from genfscheck.checker.trace.record import Broken, Trace, save
from genfscheck.checker.trace.record import load as load_trace
from genfscheck.checker.trace.replay import (
    Decision,
    Divergence,
    Replay,
    disproved,
    execute,
    record,
    reexecute,
)
from genfscheck.checker.trace.story import Story, tell
from genfscheck.checker.trace.text import read_source, render

MODEL = '''
from genfscheck.checker.lang.prelude import (
    Annotated, Any, CInt, Flags, List, Mutex, Pool, RW, RWLock, Thread, TypeAlias, WaitQueue,
    actor, choose, cv_wait, invariant, mutex_enter, mutex_exit, mutex_tryenter, record, routine,
    rw_enter, rw_exit, setup, single, size, wakeup,
)

small: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=9)]


class F(Flags):
    BUSY = 1
    WANTED = 2


@record
class Page:
    flags: F
    wanted: WaitQueue


@record
class Top:
    lock: Mutex
    rw: RWLock
    queue: Annotated[List[Page], size(2)]
    count: small


pages = Pool(Page, 2)
top: Top = single(Top)


@setup
def start() -> None:
    pages[1].flags = F.BUSY
    top.count = 1


@routine(seed=(100, 120))
def sleeper_body(pg: Page) -> None:
    mutex_enter(top.lock)  # 101
    while pg.flags & F.BUSY:  # 102
        pg.flags |= F.WANTED  # 103
        cv_wait(pg.wanted, top.lock)  # 104
    top.queue.insert_tail(pg)  # 105
    mutex_exit(top.lock)  # 106


@actor
def sleeper(pg: Page) -> None:
    sleeper_body(pg)


@actor
def waker(pg: Page) -> None:
    mutex_enter(top.lock)
    pg.flags &= ~F.BUSY
    wakeup(pg.wanted)
    mutex_exit(top.lock)


@actor
def reader() -> None:
    rw_enter(top.rw, RW.READER)
    top.count = choose(3, "how many")
    if mutex_tryenter(top.lock):
        mutex_exit(top.lock)
    rw_exit(top.rw)


@invariant("count-is-small")
def small_count() -> bool:
    """The count stays below two."""
    return top.count < 2
'''


def compiled(*threads: tuple[str, str, dict[str, int]]) -> Program:
    source = load(with_primitives({"m.m": ("m.py", MODEL)}))
    return compile_program(
        source,
        ProgramSpec(
            "toy",
            tuple(ThreadSpec(name, (CallSpec(call, given),)) for name, call, given in threads),
            CallSpec("start"),
            variant="plain",
        ),
    )


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled(
        ("s", "sleeper", {"pg": 1}), ("w", "waker", {"pg": 1}), ("r", "reader", {})
    )


def run_alone(program: Program, thread: int, choices: dict[int, tuple[int, ...]]) -> Replay:
    """Let one thread run as far as it can, choosing 0 where nothing else is said."""
    decisions: list[Decision] = []
    while True:
        wanted = choices.get(len(decisions), ())
        for attempt in (wanted, (0,)):
            try:
                replay = execute(program, 0, [*decisions, Decision(thread, attempt)])
            except Divergence:
                continue
            decisions.append(Decision(thread, attempt))
            break
        else:
            return replay_of(program, decisions)
        if replay.final.threads[thread].pc < 0:
            return replay


def replay_of(program: Program, decisions: list[Decision]) -> Replay:
    return execute(program, 0, decisions)


@pytest.fixture(scope="module")
def replay(program: Program) -> Replay:
    """The sleeper falls asleep; the reader makes the count too large."""
    first = run_alone(program, 0, {})
    decisions = [Decision(m.thread, m.choices) for m in first.moments]
    while True:
        for choices in ((), (2,)):
            try:
                result = execute(program, 0, [*decisions, Decision(2, choices)])
            except Divergence:
                continue
            decisions.append(Decision(2, choices))
            break
        if result.final.shared[names_of(program).index("top.count")] == (2,):
            return result


def names_of(program: Program) -> list[str]:
    return [var.name for var in program.shared]


BROKEN = Broken("count-is-small", "The count stays below two.", (), "")


@pytest.fixture(scope="module")
def trace(replay: Replay) -> Trace:
    return record(replay, BROKEN, model="m", scenario="toy", scenario_text="text")


@pytest.fixture(scope="module")
def story(trace: Trace, replay: Replay) -> Story:
    return tell(trace, replay, runs={"s": "sleeper(pg=1)"}, question="Is it small?")


def test_stored_and_loaded(trace: Trace, tmp_path: Path) -> None:
    save(trace, tmp_path / "t.json")
    assert load_trace(tmp_path / "t.json") == trace
    assert (tmp_path / "t.json").read_text().count('{"thread": ') == len(trace.steps)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_reexecuted(program: Program, trace: Trace, replay: Replay) -> None:
    assert reexecute(program, trace, "t").moments == replay.moments


@pytest.mark.parametrize("position", [0, 2, -1])
def test_one_corrupt_step_is_noticed(program: Program, trace: Trace, position: int) -> None:
    steps = list(trace.steps)
    steps[position] = replace(steps[position], state="0" * 16)
    with pytest.raises(DataError, match=r"steps\["):
        reexecute(program, replace(trace, steps=tuple(steps)), "t")


def test_a_violation_that_is_none(replay: Replay) -> None:
    assert disproved(replay, BROKEN) == ""
    assert disproved(replay, replace(BROKEN, property="deadlock"))
    assert disproved(replay, replace(BROKEN, property="kassert"))
    short = replace(replay, moments=replay.moments[:-1])
    assert "holds" in disproved(short, BROKEN)


def events(story: Story) -> list[str]:
    return [event.text for event in story.events]


def test_told_in_the_models_words(story: Story) -> None:
    texts = events(story)
    assert "mutex_enter(top.lock)" in texts
    assert "sleeps on page1.wanted, releasing top.lock" in texts
    assert "rw_enter(top.rw)" in texts
    flags = [c for e in story.events for c in e.changes if c.name == "page1.flags"]
    assert [(c.old, c.new) for c in flags] == [("BUSY", "BUSY|WANTED")]
    asleep = story.events[[e.text.startswith("sleeps") for e in story.events].index(True)]
    assert asleep.lines == (104,)
    assert asleep.routine == "sleeper_body"
    assert dict(story.initial) == {"page1.flags": "BUSY", "top.count": "1"}


def test_who_waits_and_who_holds(story: Story) -> None:
    (sleeping,) = [blocked for blocked in story.blocked if blocked.thread == "s"]
    assert sleeping.reason == "wakeup"
    assert sleeping.what == "page1.wanted"
    assert dict(story.held) == {"r": ("top.rw (reader)",)}


def test_folding_keeps_every_step(story: Story) -> None:
    for everything in (False, True):
        numbers: list[int] = []
        for run in fold(story.events, everything=everything):
            for entry in run.events:
                if isinstance(entry, Folded):
                    numbers.extend(range(entry.first, entry.last + 1))
                else:
                    assert isinstance(entry, Event)
                    numbers.append(entry.number)
        assert numbers == list(range(1, len(story.events) + 1))


def test_text(story: Story) -> None:
    text = "\n".join(render(story))
    assert text.startswith("toy: count-is-small is broken in ")
    assert "s  sleeper(pg=1)" in text
    assert "choice: how many = 2" in text
    assert "top.count: 1 -> 2" in text
    assert "BROKEN: count-is-small" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_source_lines_stand_beside_the_steps(story: Story) -> None:
    source = read_source("\n" * 103 + "\tmtsleep(pg, lock);\n")
    text = "\n".join(render(story, source=source))
    assert "104 |         mtsleep(pg, lock);" in text


def test_other_formats(story: Story, replay: Replay) -> None:
    document = json.loads(as_json(story))
    assert len(document["steps"]) == len(story.events)
    itf = json.loads(as_itf(story, replay))
    assert len(itf["states"]) == len(story.events) + 1
    assert itf["states"][0]["top.count"] == 1
    assert next(iter(as_mermaid(story))) == "sequenceDiagram"
    dot = "\n".join(as_dot(story))
    assert dot.count("{") == dot.count("}")
    page = "\n".join(as_html(story))
    assert page.startswith("<!doctype html>")
    assert "BUSY|WANTED" in page


def test_listing(program: Program) -> None:
    text = "\n".join(list_program(program))
    assert "wait until top.lock.owner == NOBODY or top.lock.owner == s (mutex)" in text
    assert "invariant count-is-small" in text
    assert "sleeper_body" in routines(program)
    part = list(list_thread(program, program.threads[0], "sleeper_body"))
    assert 1 < len(part) < len(list(list_thread(program, program.threads[0])))
    assert list(list_thread(program, program.threads[2], "sleeper_body"))[1:] == []


@pytest.mark.parametrize(
    ("lines", "text"),
    [((), ""), ((3,), "3"), ((3, 4), "3-4"), ((9, 3, 4, 5, 3), "3-5, 9")],
)
def test_line_ranges(lines: tuple[int, ...], text: str) -> None:
    assert line_ranges(lines) == text

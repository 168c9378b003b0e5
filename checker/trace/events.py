"""The fine steps of a trace, told one by one, and how they are grouped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..lang import ir
from .effects import Change, changes_of, reads_of
from .explain import locks_held
from .names import Names, line_ranges
from .primitive import describe
from .replay import Moment, Replay
from .stack import outside, primitive_of


@dataclass(frozen=True, slots=True)
class Event:
    """One fine step, told.

    ``lines`` are those of the statement that makes the step visible, ``passed`` all that it
    went through.  ``stack`` are the routines it is in, outermost first; ``text`` the statement
    as the model writes it; ``reads`` what it looked at; ``held`` the locks its thread holds
    afterwards.
    ``eventful``: it changed shared state, chose, used a primitive, or broke something;
    ``breaks`` is the statement that did, where ``text`` is another.
    """

    number: int
    thread: str
    lines: tuple[int, ...]
    passed: tuple[int, ...]
    stack: tuple[str, ...]
    text: str
    reads: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    choices: tuple[tuple[str, int], ...]
    held: tuple[str, ...]
    sync: str
    node: int
    eventful: bool
    primitive: str
    breaks: str

    @property
    def routine(self) -> str:
        return self.stack[-1].partition("@")[0] if self.stack else ""


def events_of(names: Names, replay: Replay) -> Iterator[Event]:
    """Every fine step, told."""
    memory = _Memory()
    for number, moment in enumerate(replay.moments, start=1):
        yield _event(names, number, moment, memory)


class _Memory:
    """Who last stored to what, and what each thread has loaded since: to notice lost updates."""

    def __init__(self) -> None:
        self._stores: dict[tuple[int, int], tuple[int, str]] = {}
        self._loads: dict[tuple[str, int, int], tuple[int, tuple[str, ...]]] = {}

    def loaded(
        self, thread: str, number: int, place: tuple[int, int], stack: tuple[str, ...]
    ) -> None:
        self._loads[thread, *place] = (number, stack)

    def stored(self, thread: str, number: int, change: Change, stack: tuple[str, ...]) -> Change:
        """The change, with a note if it overwrites a store that its load did not see."""
        last = self._stores.get(change.place)
        load = self._loads.get((thread, *change.place))
        self._stores[change.place] = (number, thread)
        if last is None or load is None or last[1] == thread:
            return change
        if load[0] < last[0] and load[1] == stack:
            return replace(change, note=f"loses the store of {last[1]} at step {last[0]}")
        return change


def _event(names: Names, number: int, moment: Moment, memory: _Memory) -> Event:
    program = names.program
    thread = program.threads[moment.thread]
    changes = tuple(changes_of(names, moment))
    instrs = [thread.code[node] for node in moment.nodes]
    lines: dict[int, None] = {}
    for instr in _leading(instrs):
        lines.update(dict.fromkeys(instr.where.lines))
    main = _main_instruction(program, instrs)
    found = list(reads_of(names, moment))
    for place, _ in found:
        memory.loaded(thread.name, number, place, main.where.stack)
    changes = tuple(
        change
        if change.local or change.sync or change.ghost
        else memory.stored(thread.name, number, change, main.where.stack)
        for change in changes
    )
    sync = next((instr.sync.kind for instr in instrs if instr.sync), "")
    primitive = primitive_of(main.where.stack)
    text = main.where.text
    if primitive:
        text = describe(
            names, primitive, main.where.routine, instrs, thread.index, moment.before, moment.after
        )
    choices = tuple(zip(_choice_labels(instrs), moment.choices, strict=False))
    shared_change = any(not change.local for change in changes)
    ended = any(isinstance(instr.action, ir.End) for instr in instrs)
    return Event(
        number=number,
        thread=thread.name,
        lines=main.where.lines,
        passed=tuple(lines),
        stack=outside(main.where.stack),
        text=text,
        reads=tuple((names.element(*place), shown) for place, shown in found),
        changes=changes,
        choices=choices,
        held=locks_held(names, moment.after, moment.thread),
        sync=sync,
        node=moment.before.threads[moment.thread].pc,
        eventful=shared_change or bool(choices) or ended or bool(primitive)
        or moment.violation is not None,
        primitive=primitive,
        breaks=_breaks(thread, moment, main),
    )


def _main_instruction(program: ir.Program, instrs: Sequence[ir.Instr]) -> ir.Instr:
    """The instruction that makes the step visible: its write, its read, or its last."""
    written = read = None
    for instr in instrs:
        for access in ir.accesses(instr.action):
            if program.shared[access.var].ghost:
                continue
            if access.write:
                written = written or instr
            else:
                read = read or instr
    acting = [instr for instr in instrs if not isinstance(instr.action, ir.Nop)]
    return written or read or (acting or list(instrs))[0]


def _breaks(thread: ir.Thread, moment: Moment, main: ir.Instr) -> str:
    """The statement that ran into the violation, where it is not the one told of anyway."""
    if moment.violation is None:
        return ""
    failing = thread.code[moment.violation.instr]
    if failing.where == main.where:
        return ""
    lines = line_ranges(failing.where.lines)
    return " ".join(filter(None, (lines, failing.where.routine + ":", failing.where.text)))


def _leading(instrs: Sequence[ir.Instr]) -> Sequence[ir.Instr]:
    """The instructions up to the last that does something; behind it the next statement begins."""
    end = len(instrs)
    while end > 1 and isinstance(instrs[end - 1].action, ir.Nop):
        end -= 1
    return instrs[:end]


def _choice_labels(instrs: Sequence[ir.Instr]) -> list[str]:
    return [instr.action.label for instr in instrs if isinstance(instr.action, ir.Choose)]


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive events of one thread; folded events are drawn together by ``fold``."""

    thread: str
    events: tuple[Event | Folded, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """Steps in a row that changed nothing shared."""

    first: int
    last: int
    lines: tuple[int, ...]
    routines: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]

    @property
    def count(self) -> int:
        return self.last - self.first + 1


def fold(events: Sequence[Event], *, everything: bool = False) -> list[Run]:
    """Group by thread; unless ``everything``, fold what changed nothing shared."""
    runs: list[Run] = []
    for position, event in enumerate(events):
        if not runs or runs[-1].thread != event.thread:
            runs.append(Run(event.thread, ()))
        last = position == len(events) - 1
        entries = runs[-1].events
        if everything or event.eventful or last:
            entries = (*entries, event)
        else:
            entries = _folded(entries, event)
        runs[-1] = replace(runs[-1], events=entries)
    return runs


def _folded(entries: tuple[Event | Folded, ...], event: Event) -> tuple[Event | Folded, ...]:
    previous = entries[-1] if entries else None
    if isinstance(previous, Folded):
        reads = dict(previous.reads) | dict(event.reads)
        joined = Folded(
            previous.first,
            event.number,
            tuple(dict.fromkeys((*previous.lines, *event.passed))),
            tuple(dict.fromkeys((*previous.routines, event.routine))),
            tuple(reads.items()),
        )
        return (*entries[:-1], joined)
    single = Folded(event.number, event.number, event.passed, (event.routine,), event.reads)
    return (*entries, single)

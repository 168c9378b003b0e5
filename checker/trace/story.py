"""A trace told: what every step did, in names, before any particular rendering.

A story is made from a trace that was just re-executed, so it cannot show what the
model does not do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..explore.interpret import State
from ..lang import ir
from .explain import Blocked, blocked_threads, evaluate, locks_held
from .findings import Finding, Findings, Promise
from .names import Names, line_ranges
from .primitive import describe, outside, primitive_of
from .record import Trace
from .replay import Moment, Replay


@dataclass(frozen=True, slots=True)
class Change:
    """One element of the shared state (or a local variable) that a step stored to.

    ``note`` tells of another thread's store that this one undoes unseen.
    """

    name: str
    old: str
    new: str
    ghost: bool = False
    local: bool = False
    sync: bool = False
    note: str = ""
    place: tuple[int, int] = (-1, -1)


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


@dataclass(frozen=True, slots=True)
class Actor:
    """A thread and the routine it runs."""

    name: str
    runs: str
    daemon: bool


@dataclass(frozen=True, slots=True)
class Story:
    """Everything a rendering needs.  ``final`` is what differs at the end from ``initial``."""

    trace: Trace
    title: str
    question: str
    actors: tuple[Actor, ...]
    initial: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]
    final: tuple[tuple[str, str], ...]
    doc: str
    promise: Promise | None
    finding: Finding | None
    blocked: tuple[Blocked, ...]
    held: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def deadlock(self) -> bool:
        return self.trace.broken.property in ("deadlock", "lost-wakeup", "progress")


def tell(
    trace: Trace,
    replay: Replay,
    *,
    findings: Findings | None = None,
    runs: dict[str, str] | None = None,
    question: str = "",
) -> Story:
    """Tell a re-executed trace.  ``runs`` says for each thread what it was given to do."""
    program = replay.program
    names = Names(program)
    broken = trace.broken
    table = findings or Findings()
    final = replay.final
    doc = next((inv.doc for inv in program.invariants if inv.name == broken.property), "")
    return Story(
        trace=trace,
        title=program.name,
        question=question,
        actors=tuple(_actor(thread, runs or {}) for thread in program.threads),
        initial=tuple(_notable(names, replay.initial)),
        events=tuple(_events(names, replay)),
        final=tuple(_difference(names, replay.initial, final)),
        doc=doc,
        promise=table.promise(broken.property),
        finding=table.find(broken.property, trace.lines, trace.scenario),
        blocked=tuple(blocked_threads(names, final)),
        held=tuple(
            (thread.name, locks)
            for thread in program.threads
            if (locks := locks_held(names, final, thread.index))
        ),
    )


def _actor(thread: ir.Thread, runs: dict[str, str]) -> Actor:
    default = ""
    for instr in thread.code:
        if instr.where.stack:
            default = instr.where.stack[0].partition("@")[0]
            break
    return Actor(thread.name, runs.get(thread.name, default), thread.daemon)


def _notable(names: Names, state: State) -> Iterator[tuple[str, str]]:
    """What differs from a state of all zeros and nones, records not in use left out."""
    program = names.program
    live = {
        var.name.partition(".")[0]: number
        for number, var in enumerate(program.shared)
        if var.name.partition(".")[2] in ("live", "b_live")
    }
    for number, var in enumerate(program.shared):
        if var.pure_sync:
            continue
        gate = live.get(var.name.partition(".")[0])
        if var.is_list:
            for base in range(0, var.length, max(var.width, 1)):
                text = _list_text(names, state, number, base)
                if text != "[]":
                    yield _list_name(names, number, base), text
            continue
        for element, value in enumerate(state.shared[number]):
            if gate is not None and not state.shared[gate][element // max(var.width, 1)]:
                continue
            if not _is_nothing(var.domain, value):
                yield names.element(number, element), names.show(var.domain, value)


def _difference(names: Names, old: State, new: State) -> Iterator[tuple[str, str]]:
    """What one state holds differently from another; locks and sleepers are told elsewhere."""
    for number, var in enumerate(names.program.shared):
        before, after = old.shared[number], new.shared[number]
        if var.pure_sync or before == after:
            continue
        if var.is_list:
            width = max(var.width, 1)
            for base in range(0, var.length, width):
                if before[base : base + width] != after[base : base + width]:
                    yield _list_name(names, number, base), _list_text(names, new, number, base)
            continue
        for element, (a, b) in enumerate(zip(before, after, strict=True)):
            if a != b:
                yield names.element(number, element), names.show(var.domain, b)


def _is_nothing(domain: ir.Domain, value: int) -> bool:
    match domain.kind:
        case "ref" | "thread":
            return domain.show(value) in ("none", "NULL", "NOBODY", "nobody", "-")
        case "enum":
            return value == 0
        case _:
            return value == 0


def _list_name(names: Names, var: int, base: int) -> str:
    return names.element(var, base).rpartition("[")[0] or names.element(var, base)


def _list_text(names: Names, state: State, var: int, base: int) -> str:
    shared = names.program.shared[var]
    width = max(shared.width, 1)
    values = [names.show(shared.domain, v) for v in state.shared[var][base : base + width]]
    entries = [v for v in values if v not in ("none", "NULL", "-")]
    return f"[{', '.join(entries)}]"


def _events(names: Names, replay: Replay) -> Iterator[Event]:
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
    changes = tuple(_changes(names, moment))
    instrs = [thread.code[node] for node in moment.nodes]
    lines: dict[int, None] = {}
    for instr in _leading(instrs):
        lines.update(dict.fromkeys(instr.where.lines))
    main = _main_instruction(program, instrs)
    found = list(_reads(names, moment))
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


def _changes(names: Names, moment: Moment) -> Iterator[Change]:
    program = names.program
    for number, var in enumerate(program.shared):
        old, new = moment.before.shared[number], moment.after.shared[number]
        if old == new:
            continue
        if var.is_list:
            width = max(var.width, 1)
            for base in range(0, var.length, width):
                if old[base : base + width] != new[base : base + width]:
                    yield Change(
                        _list_name(names, number, base),
                        _list_text(names, moment.before, number, base),
                        _list_text(names, moment.after, number, base),
                        var.ghost,
                    )
            continue
        for element, (a, b) in enumerate(zip(old, new, strict=True)):
            if a != b:
                yield Change(
                    names.element(number, element),
                    names.show(var.domain, a),
                    names.show(var.domain, b),
                    var.ghost,
                    sync=var.pure_sync,
                    place=(number, element),
                )
    yield from _vain(names, moment)
    thread = program.threads[moment.thread]
    stored = {
        target.var
        for node in moment.nodes
        if isinstance(target := getattr(thread.code[node].action, "target", None), ir.Local)
    }
    for number, local in enumerate(thread.locals):
        if number not in stored or local.name.startswith("$"):
            continue
        before = moment.before.threads[moment.thread].locals[number]
        after = moment.after.threads[moment.thread].locals[number]
        for element, (a, b) in enumerate(zip(before, after, strict=True)):
            if a != b:
                subscript = f"[{element}]" if local.is_array else ""
                yield Change(
                    local.name.rpartition(".")[2] + subscript,
                    names.show(local.domain, a),
                    names.show(local.domain, b),
                    local=True,
                )


def _vain(names: Names, moment: Moment) -> Iterator[Change]:
    """Stores of a value that was there already: how an update is lost."""
    program = names.program
    thread = program.threads[moment.thread]
    for node, state in _within(program, moment):
        action = thread.code[node].action
        if not (isinstance(action, ir.Assign) and isinstance(action.target, ir.Shared)):
            continue
        var = program.shared[action.target.var]
        element = evaluate(action.target.index, state, moment.thread)
        if var.pure_sync or element is None or not 0 <= element < var.length:
            continue
        before = moment.before.shared[action.target.var][element]
        if before == moment.after.shared[action.target.var][element]:
            shown = names.show(var.domain, before)
            name = names.element(action.target.var, element)
            place = (action.target.var, element)
            yield Change(name, shown, shown, var.ghost, place=place)


def _reads(names: Names, moment: Moment) -> Iterator[tuple[tuple[int, int], str]]:
    """What the step read of the shared state, with the values it found."""
    program = names.program
    thread = program.threads[moment.thread]
    seen: set[tuple[int, int]] = set()
    for node, state in _within(program, moment):
        for access in ir.accesses(thread.code[node].action):
            var = program.shared[access.var]
            if access.write or var.ghost or var.is_list:
                continue
            element = evaluate(access.index, state, moment.thread)
            if element is None or not 0 <= element < var.length:
                continue
            place = (access.var, element)
            if place not in seen:
                seen.add(place)
                yield place, names.show(var.domain, state.shared[access.var][element])


def _within(program: ir.Program, moment: Moment) -> Iterator[tuple[int, State]]:
    """The nodes of a step with the state before each; list operations are not followed."""
    thread = program.threads[moment.thread]
    state = moment.before
    choices = iter(moment.choices)
    for node in moment.nodes:
        yield node, state
        action = thread.code[node].action
        if isinstance(action, ir.Assign):
            value = evaluate(action.value, state, moment.thread)
        elif isinstance(action, ir.Choose):
            value = next(choices, None)
        else:
            continue
        if value is not None:
            state = _stored(state, moment.thread, action.target, value)


def _stored(state: State, thread: int, target: ir.Local | ir.Shared, value: int) -> State:
    index = 0 if target.index is None else evaluate(target.index, state, thread)
    memory = state.threads[thread].locals if isinstance(target, ir.Local) else state.shared
    if index is None or not 0 <= index < len(memory[target.var]):
        return state
    rows = list(memory)
    row = list(rows[target.var])
    row[index] = value
    rows[target.var] = tuple(row)
    if isinstance(target, ir.Shared):
        return replace(state, shared=tuple(rows))
    threads = list(state.threads)
    threads[thread] = replace(threads[thread], locals=tuple(rows))
    return replace(state, threads=tuple(threads))


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

"""A story as text for a terminal or a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from .effects import Change
from .events import Event, Folded, Run, fold
from .explain import circles
from .names import line_ranges
from .story import Story

WIDTH = 96
_DEPTH = 3  # innermost routines shown


def render(
    story: Story, *, everything: bool = False, source: Mapping[int, str] | None = None
) -> Iterator[str]:
    """The story's lines.  ``source`` are the user's own lines, printed beside the steps."""
    yield from _head(story)
    yield ""
    held: tuple[str, ...] = ()
    for run in fold(story.events, everything=everything):
        yield from _run(run, everything, source)
        held = _held_after(run, held)
    yield ""
    yield from ending(story)


def _head(story: Story) -> Iterator[str]:
    trace = story.trace
    fixes = f"  fixes {', '.join(trace.fixes)}" if trace.fixes else ""
    yield f"{story.title}: {trace.broken.property} is broken in {len(trace.steps)} steps"
    if story.question:
        yield from _wrap(story.question, "  ")
    yield ""
    yield f"variant     {trace.variant}{fixes}"
    if trace.parameters:
        parameters = ", ".join(f"{key}={value}" for key, value in sorted(trace.parameters.items()))
        yield from _wrap(parameters, "parameters  ", "            ")
    label = "threads     "
    width = max((len(actor.name) for actor in story.actors), default=0)
    for actor in story.actors:
        daemon = "  (daemon)" if actor.daemon else ""
        yield f"{label}{actor.name:{width}}  {actor.runs}{daemon}".rstrip()
        label = " " * 12
    initial = ", ".join(f"{name} = {value}" for name, value in story.initial)
    yield from _wrap(initial or "all zero", "at first    ", "            ")


def _run(run: Run, everything: bool, source: Mapping[int, str] | None) -> Iterator[str]:
    yield ""
    yield f"{run.thread}"
    place: tuple[str, ...] = ()
    for entry in run.events:
        if isinstance(entry, Folded):
            yield from _folded(entry)
            continue
        stack = tuple(frame.partition("@")[0] for frame in entry.stack)
        if stack != place and stack:
            place = stack
            yield f"    in {_place(stack)}"
        yield from _event(entry, everything, source)
    last = [entry for entry in run.events if isinstance(entry, Event)]
    if last and last[-1].held:
        yield f"    holds {', '.join(last[-1].held)}"


def _place(stack: tuple[str, ...]) -> str:
    return " > ".join(stack if len(stack) <= _DEPTH else ("...", *stack[-_DEPTH:]))


def _held_after(run: Run, before: tuple[str, ...]) -> tuple[str, ...]:
    for entry in reversed(run.events):
        if isinstance(entry, Event):
            return entry.held
    return before


def _folded(entry: Folded) -> Iterator[str]:
    number = f"{entry.first}-{entry.last}" if entry.count > 1 else str(entry.first)
    lines = line_ranges(entry.lines)
    noun = "line" if len(set(entry.lines)) == 1 else "lines"
    where = f"{noun} {lines}" if lines else ", ".join(filter(None, entry.routines))
    sees = ", ".join(f"{name} = {value}" for name, value in entry.reads[:6])
    more = ", ..." if len(entry.reads) > 6 else ""
    text = f"... {where}" + (f"; sees {sees}{more}" if sees else "")
    yield from _wrap(text, f"{number:>9}         ", " " * 22)


def _event(event: Event, everything: bool, source: Mapping[int, str] | None) -> Iterator[str]:
    wanted = event.passed if everything or event.breaks else event.lines
    cited = [line for line in wanted if source is None or line in source]
    lines = line_ranges(event.lines)
    text = event.text or event.sync or "runs"
    if source and cited:
        for position, line in enumerate(cited):
            number = str(event.number) if position == 0 else ""
            yield f"{number:>9}  {line:>6} | {source[line].rstrip()}"
    else:
        yield from _wrap(text, f"{event.number:>9}  {lines:>6}  ", " " * 23)
    for label, choice in event.choices:
        yield f"{'':19}choice: {label} = {choice}"
    shown = [c for c in event.changes if everything or _worth_telling(c)]
    for change in shown:
        yield f"{'':19}{_change(change)}"
    if event.breaks:
        if event.passed != event.lines and not (everything or source is not None):
            yield f"{'':19}passing {line_ranges(event.passed)}"
        yield from _wrap(event.breaks, f"{'':19}then: ", " " * 25)
    if everything:
        if event.passed != event.lines and not source:
            yield f"{'':19}passing {line_ranges(event.passed)}"
        changed = {change.name for change in event.changes}
        for name, value in event.reads:
            if name not in changed:
                yield f"{'':19}sees {name} = {value}"


def _worth_telling(change: Change) -> bool:
    if change.local or change.sync:
        return False
    return change.old != change.new or bool(change.note)


def _change(change: Change) -> str:
    mark = "  (ghost)" if change.ghost else "  (local)" if change.local else ""
    if change.note:
        mark += f"  <-- {change.note}"
    if change.old == change.new:
        return f"{change.name}: stays {change.new}{mark}"
    return f"{change.name}: {change.old} -> {change.new}{mark}"


def ending(story: Story) -> Iterator[str]:
    """The end of a trace: what is broken, who waits for what, what a user would see."""
    broken = story.trace.broken
    where = f" at {'line' if len(broken.lines) == 1 else 'lines'} {line_ranges(broken.lines)}" \
        if broken.lines else ""
    who = f", by {broken.thread}" if broken.thread else ""
    yield f"BROKEN: {broken.property}{where}{who}"
    if broken.message and broken.message != broken.property:
        yield from _wrap(broken.message, "  ")
    promise = story.promise
    said = promise.promise if promise else story.doc
    if said:
        yield from _wrap(said, "  promised   ", " " * 13)
    for name, locks in story.held:
        yield from _wrap(f"{name} holds {', '.join(locks)}", "  locks      ", " " * 13)
    for blocked in story.blocked:
        if blocked.rest:
            continue
        holders = f", held by {' and '.join(blocked.holders)}" if blocked.holders else ""
        what = f"{blocked.what} ({blocked.reason})" if blocked.what else \
            f"{blocked.reason}: {blocked.values}"
        lines = f" at {line_ranges(blocked.lines)}" if blocked.lines else ""
        place = _place(blocked.stack)
        yield from _wrap(
            f"{blocked.thread} in {place}{lines} waits for {what}{holders}",
            "  waits      ",
            " " * 13,
        )
    for circle in circles(story.blocked):
        yield f"  circle     {' -> '.join([*circle, circle[0]])}"
    final = ", ".join(f"{name} = {value}" for name, value in story.final)
    yield from _wrap(final or "nothing", "  differs    ", " " * 13)
    finding = story.finding
    seen = finding.seen if finding else promise.seen if promise else ""
    if seen:
        yield from _wrap(seen, "  the user   ", " " * 13)
    if finding:
        yield from _wrap(f"{finding.id}: {finding.title}", "  finding    ", " " * 13)
        if finding.fix:
            yield f"  fix        genfscheck check {story.trace.scenario} --fix {finding.fix}"


def _wrap(text: str, first: str, later: str | None = None) -> Iterator[str]:
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from lines or [first.rstrip()]


def read_source(text: str) -> dict[int, str]:
    """The numbered lines of a source file."""
    return {
        number: line.expandtabs(8)
        for number, line in enumerate(text.splitlines(), start=1)
    }

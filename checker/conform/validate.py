"""Is a log a behaviour of the model?  Depth first, event by event.

For each event the thread that caused it takes hidden steps, then one that has the event's
name, touches what the event says and leaves the values that the event says.  Where there are
several ways (choices of the model, a load that may have happened earlier or later) the first
is tried first, and the search comes back if it leads nowhere.  What failed once from a state
fails always, so that the search is linear in the log for practical purposes; what it cannot come
back over any more is forgotten, so that its memory does not grow with the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..lang import ir
from .steps import HARD, Label, Step, Stepper

# Events that the search may come back over.  A log that needs more is refused, never accepted.
WINDOW = 20_000
# Hidden steps in a row.
PATIENCE = 5_000
# States at the furthest event that are kept for the report.
SHOWN = 4

ENDED: Final = "ended"
STUCK: Final = "stuck"
BROKEN: Final = "broken"


@dataclass(slots=True)  # not frozen: there is one for each event, and that is four times as slow
class Pattern:
    """What the model must do for one event.

    ``threads``: one of these takes a step with one of ``names`` that touches all of
    ``touches`` (variable, read or written or None for either, element) and none of ``spares``
    (variable, written).  Pairs of an offset in the state and the bytes there: ``held`` before
    the step, ``holds`` after it.
    ``optional``: the step may be missing; the values hold even so.  ``decisions`` are outcomes of
    choices that the log tells.

    ``end``: no event, but how the program ended.  ENDED: one of ``threads`` has, after hidden
    steps.  STUCK: none of them comes to a step that shows, other than one of ``names``.
    BROKEN: one of them breaks a property, other than one of ``names``, before, or in, its next
    step that shows; or has done so with event ``since``, its last, or behind that.
    """

    threads: tuple[int, ...]
    names: frozenset[str] = frozenset()
    touches: tuple[tuple[int, bool | None, int], ...] = ()
    spares: tuple[tuple[int, bool], ...] = ()
    held: tuple[tuple[int, bytes], ...] = ()
    holds: tuple[tuple[int, bytes], ...] = ()
    optional: bool = False
    decisions: Mapping[str, int] | None = None
    end: str = ""
    since: int | None = None

    def agrees(self, state: bytes) -> bool:
        """Do the values hold in this state?"""
        for start, value in self.holds:
            if not state.startswith(value, start):
                return False
        return True


class Broken(NamedTuple):
    """A property that does not hold on the way that the log took."""

    event: int
    thread: int
    node: int


@dataclass(slots=True)
class Outcome:
    """What came of it.

    ``consumed`` patterns are a behaviour of the model, and ``whole`` says that these were all.
    If not, ``states`` are those in which the next one was found impossible.  ``stopped``: the
    model itself could not go on there, and why.  ``exhausted``: the search was given up, or cut
    where it may not be: the log may conform all the same.
    """

    consumed: int = 0
    whole: bool = False
    steps: int = 0
    states: list[bytes] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    stopped: str = ""
    exhausted: bool = False


class _Way(NamedTuple):
    """One way through an event: the state after it, and what was broken on it."""

    after: bytes | None
    thread: int = -1
    broken: tuple[int, ...] = ()
    stopped: str = ""


class _Place(NamedTuple):
    """Where the search is: before a pattern, in a state, with the ways that are left to try."""

    at: int
    state: bytes
    ways: Iterator[_Way]
    marks: tuple[Broken, ...]


class _Tape:
    """The patterns of a log, those that the search may still need; None among them is left out."""

    def __init__(self, patterns: Iterable[Pattern | None]) -> None:
        self._rest = iter(patterns)
        self._kept: deque[Pattern | None] = deque()
        self._first = 0

    def at(self, index: int) -> tuple[int, Pattern | None]:
        """The first pattern from ``index`` on and its place; at the end None and the length."""
        while True:
            place = index - self._first
            if place == len(self._kept):
                try:
                    self._kept.append(next(self._rest))
                except StopIteration:
                    return index, None
            found = self._kept[place]
            if found is not None:
                return index, found
            index += 1

    def forget(self, index: int) -> None:
        """Nobody asks for what is before ``index`` any more."""
        while self._first < index:
            self._kept.popleft()
            self._first += 1


class Validator:
    """Validates logs against one program; keep it for many logs."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self._steps = 0
        self._cut = False  # the search left something out

    def validate(
        self, patterns: Iterable[Pattern | None], budget: int | None = None
    ) -> Outcome:
        """``patterns``: one for each event; None for an event that the model does not have.

        They are taken one after the other, as the search comes to them.  ``budget`` bounds the
        states looked at; by default a multiple of the events consumed.
        """
        best = Outcome()
        initial = self.stepper.initial()
        if len(initial) > 1:
            patterns = list(patterns)
        for state in initial:
            outcome = self._from(state, _Tape(patterns), budget)
            if outcome.consumed >= best.consumed:
                best = outcome
            if outcome.whole:
                break
        return best

    def _from(self, initial: bytes, tape: _Tape, budget: int | None) -> Outcome:
        result = Outcome()
        self._steps, self._cut = 0, False
        failed: dict[int, set[bytes]] = {}
        path: deque[_Place] = deque()
        broken: list[Broken] = []  # of events that the search cannot come back over any more
        looked = 0
        dropped = False

        def marks() -> list[Broken]:
            return [*broken, *(one for place in path for one in place.marks)]

        index, pattern = tape.at(0)
        if pattern is None:
            result.consumed, result.whole = index, True
            return result
        path.append(_Place(index, initial, self._ways(pattern, initial), ()))
        furthest = index
        while path:
            place = path[-1]
            index = place.at
            way = next(place.ways, None)
            looked += 1
            spent = looked > (100_000 + 20 * furthest if budget is None else budget)
            if way is None or spent or way.after is None:
                if index > result.consumed or not result.states:
                    result.consumed, result.stopped = index, ""
                    result.states.clear()
                    result.broken = marks()
                if index == result.consumed:
                    if len(result.states) < SHOWN and place.state not in result.states:
                        result.states.append(place.state)
                    if way is not None and way.after is None:
                        result.stopped = result.stopped or way.stopped
                if spent:
                    self._cut = True
                    break
                if way is None:
                    failed.setdefault(index, set()).add(place.state)
                    path.pop()
                continue
            found = tuple(Broken(index, way.thread, node) for node in way.broken)
            following, pattern = tape.at(index + 1)
            if pattern is None:
                result.consumed, result.whole = following, True
                result.stopped = ""
                result.states.clear()
                result.broken = [*marks(), *found]
                break
            if way.after in failed.get(following, ()):
                continue
            furthest = max(furthest, following)
            ways = self._ways(pattern, way.after)
            if pattern.end == BROKEN and self._has_broken(pattern, [*marks(), *found]):
                ways = iter([_Way(way.after)])
            path.append(_Place(following, way.after, ways, found))
            if len(path) > WINDOW:
                over = path.popleft()
                broken += over.marks
                failed.pop(over.at, None)
                tape.forget(over.at + 1)
                dropped = True
        result.steps = self._steps
        result.exhausted = (self._cut or dropped) and not result.whole
        return result

    def _ways(self, pattern: Pattern, state: bytes) -> Iterator[_Way]:
        if len(pattern.threads) == 1 and not pattern.end and not pattern.optional:
            return self._reach(pattern, state, pattern.threads[0])  # mostly
        return self._several(pattern, state)

    def _several(self, pattern: Pattern, state: bytes) -> Iterator[_Way]:
        if pattern.end == STUCK:
            if not any(self._goes_on(pattern, state, thread) for thread in pattern.threads):
                yield _Way(state)
        elif pattern.end == BROKEN:
            for thread in pattern.threads:
                yield from self._breaks(pattern, state, thread)
        else:
            for thread in pattern.threads:
                yield from self._reach(pattern, state, thread)
        if pattern.optional and pattern.agrees(state):
            yield _Way(state)

    def _quiet(
        self, pattern: Pattern, state: bytes, thread: int
    ) -> Iterator[tuple[bytes, Step, tuple[int, ...]]]:
        """The steps that a thread can take behind hidden ones: where from, and what was broken.

        Depth first; those that need have no event are passed, and are among what it yields.
        """
        steps = self.stepper.steps
        seen = {state}
        todo: list[tuple[bytes, tuple[int, ...]]] = [(state, ())]
        while todo:
            if len(seen) >= PATIENCE:
                self._cut = True
                return
            before, broken = todo.pop()
            further: list[tuple[bytes, tuple[int, ...]]] = []
            for step in steps(before, thread, pattern.decisions):
                self._steps += 1
                wrong = broken + step.broken
                yield before, step, wrong
                if step.label.level == HARD or step.after is None or step.after in seen:
                    continue
                seen.add(step.after)
                further.append((step.after, wrong))
            todo += reversed(further)

    def _reach(self, pattern: Pattern, state: bytes, thread: int) -> Iterator[_Way]:
        """Hidden steps of the thread, then the one that the event is, or its end."""
        stands, names = self.stepper.stands, pattern.names
        ends = pattern.end == ENDED
        if ends and stands(state, thread) == -1:
            yield _Way(state, thread)
            return
        for before, step, broken in self._quiet(pattern, state, thread):
            label = step.label
            if label.name in names and self.matches(pattern, before, step):
                yield _Way(step.after, thread, broken, step.stopped)
            if ends and label.level != HARD and step.after is not None:
                if stands(step.after, thread) == -1:
                    yield _Way(step.after, thread, broken)

    def _goes_on(self, pattern: Pattern, state: bytes, thread: int) -> bool:
        return any(
            step.label.level == HARD and step.label.name not in pattern.names
            for _, step, _ in self._quiet(pattern, state, thread)
        )

    def _breaks(self, pattern: Pattern, state: bytes, thread: int) -> Iterator[_Way]:
        for _, step, broken in self._quiet(pattern, state, thread):
            if step.after is None or self._counts(pattern, thread, broken):
                yield _Way(state, thread, broken)

    def _has_broken(self, pattern: Pattern, marks: Iterable[Broken]) -> bool:
        since = pattern.since
        return since is not None and any(
            one.thread in pattern.threads
            and one.event >= since
            and self._counts(pattern, one.thread, (one.node,))
            for one in marks
        )

    def _counts(self, pattern: Pattern, thread: int, broken: Iterable[int]) -> bool:
        """Is one of these the check of a property that stops the program?"""
        code = self.stepper.program.threads[thread].code
        actions = (code[node].action for node in broken)
        return any(
            not (isinstance(action, ir.Check) and action.name in pattern.names)
            for action in actions
        )

    def matches(self, pattern: Pattern, before: bytes, step: Step) -> bool:
        """Does the step touch and leave what the pattern says?"""
        touched = step.touched
        for var, write, element in pattern.touches:
            for one in touched:
                if one[0] == var and one[2] == element and (write is None or one[1] == write):
                    break
            else:
                return False
        for var, write in pattern.spares:
            for one in touched:
                if one[0] == var and one[1] == write:
                    return False
        for start, value in pattern.held:
            if not before.startswith(value, start):
                return False
        return step.after is None or pattern.agrees(step.after)

    def allowed(self, state: bytes) -> list[tuple[int, Label]]:
        """For each thread the next steps that are not hidden, as the model allows them."""
        found: list[tuple[int, Label]] = []
        for thread in range(len(self.stepper.program.threads)):
            for _, step, _ in self._quiet(_ANY, state, thread):
                if step.label.level == HARD and (thread, step.label) not in found:
                    found.append((thread, step.label))
        return found


_ANY: Final = Pattern(())

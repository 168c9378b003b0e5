"""Is a log a behaviour of the model?  Depth first, event by event.

For each event the thread that caused it takes hidden steps, then one that has the event's
name, touches what the event says and leaves the values that the event says.  Where there are
several ways (choices of the model, a load that may have happened earlier or later) the first
is tried first, and the search comes back if it leads nowhere.  What failed once from a state
fails always, so that the search is linear in the log for practical purposes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .steps import HARD, Label, Step, Stepper

# Events that the search may come back over.  A log that needs more is refused, never accepted.
WINDOW = 20_000
# Hidden steps in a row.
PATIENCE = 5_000
# States at the furthest event that are kept for the report.
SHOWN = 4


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the model must do for one event.

    ``threads``: one of these takes a step with one of ``names`` that touches all of
    ``touches`` (variable, read or written or None for either, element) and none of ``spares``
    (variable, written).  Pairs of an offset in the state and the bytes there: ``held`` before
    the step, ``holds`` after it.
    ``optional``: the step may be missing; the values hold even so.  ``ends``: the thread has
    ended, after hidden steps.  ``decisions`` are outcomes of choices that the log tells.
    """

    threads: tuple[int, ...]
    names: frozenset[str] = frozenset()
    touches: tuple[tuple[int, bool | None, int], ...] = ()
    spares: tuple[tuple[int, bool], ...] = ()
    held: tuple[tuple[int, bytes], ...] = ()
    holds: tuple[tuple[int, bytes], ...] = ()
    optional: bool = False
    ends: bool = False
    decisions: Mapping[str, int] | None = None

    def agrees(self, state: bytes) -> bool:
        """Do the values hold in this state?"""
        return all(state.startswith(value, start) for start, value in self.holds)


@dataclass(frozen=True, slots=True)
class Broken:
    """A property that does not hold on the way that the log took."""

    event: int
    thread: int
    node: int


@dataclass(slots=True)
class Outcome:
    """What came of it.

    ``consumed`` events of ``total`` are a behaviour of the model.  If not all are, ``states``
    are those in which the next one was found impossible.  ``stopped``: the model itself cannot
    go on from there (the event is one of a violation).  ``exhausted``: the search was given up.
    """

    total: int
    consumed: int = 0
    steps: int = 0
    states: list[bytes] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    stopped: str = ""
    exhausted: bool = False
    final: bytes = b""

    @property
    def whole(self) -> bool:
        return self.consumed == self.total


@dataclass(frozen=True, slots=True)
class _Way:
    """One way through an event: the state after it, and what was broken on it."""

    after: bytes | None
    thread: int = -1
    broken: tuple[int, ...] = ()
    stopped: str = ""


class Validator:
    """Validates logs against one program; keep it for many logs."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self._steps = 0

    def validate(self, patterns: Sequence[Pattern | None], budget: int | None = None) -> Outcome:
        """``patterns``: one for each event; None for an event that the model does not have.

        ``budget`` bounds the states looked at; by default a multiple of the log's length.
        """
        best = Outcome(len(patterns))
        limit = budget if budget is not None else 100_000 + 20 * len(patterns)
        for initial in self.stepper.initial():
            outcome = self._from(initial, patterns, limit)
            if outcome.consumed >= best.consumed:
                best = outcome
            if outcome.whole:
                break
        return best

    def _from(
        self, initial: bytes, patterns: Sequence[Pattern | None], limit: int
    ) -> Outcome:
        result = Outcome(len(patterns))
        self._steps = 0
        total = len(patterns)
        failed: set[tuple[int, bytes]] = set()
        path: deque[tuple[int, bytes, Iterator[_Way], tuple[Broken, ...]]] = deque()
        broken: list[Broken] = []  # of events that the search cannot come back over any more
        index, state = self._skip(patterns, 0), initial
        marks: tuple[Broken, ...]
        if index == total:
            result.consumed, result.final = total, initial
            return result
        path.append((index, state, self._ways(patterns[index], state), ()))
        while path:
            index, state, ways, _ = path[-1]
            way = next(ways, None)
            limit -= 1
            if way is None or limit < 0:
                if index >= result.consumed and not result.stopped:
                    if index > result.consumed:
                        result.consumed = index
                        result.states.clear()
                        result.broken = [*broken, *(one for entry in path for one in entry[3])]
                    if len(result.states) < SHOWN and state not in result.states:
                        result.states.append(state)
                if limit < 0:
                    result.exhausted = True
                    break
                failed.add((index, state))
                path.pop()
                continue
            marks = tuple(Broken(index, way.thread, node) for node in way.broken)
            if way.after is None:
                if index >= result.consumed:
                    result.consumed, result.stopped, result.states = index, way.stopped, [state]
                    result.broken = [
                        *broken, *(one for entry in path for one in entry[3]), *marks
                    ]  # fmt: skip
                continue
            following = self._skip(patterns, index + 1)
            if following == total:
                result.consumed, result.final = total, way.after
                result.stopped = ""
                result.states.clear()
                result.broken = [
                    *broken, *(one for entry in path for one in entry[3]), *marks
                ]  # fmt: skip
                break
            if (following, way.after) in failed:
                continue
            path.append(
                (following, way.after, self._ways(patterns[following], way.after), marks)
            )
            if len(path) > WINDOW:
                broken += path.popleft()[3]
        result.steps = self._steps
        return result

    @staticmethod
    def _skip(patterns: Sequence[Pattern | None], index: int) -> int:
        while index < len(patterns) and patterns[index] is None:
            index += 1
        return index

    def _ways(self, pattern: Pattern | None, state: bytes) -> Iterator[_Way]:
        assert pattern is not None
        for thread in pattern.threads:
            yield from self._reach(pattern, state, thread)
        if pattern.optional and pattern.agrees(state):
            yield _Way(state)

    def _reach(self, pattern: Pattern, state: bytes, thread: int) -> Iterator[_Way]:
        """Hidden steps of the thread, then the one that the event is."""
        stands = self.stepper.stands
        if pattern.ends and stands(state, thread) == -1:
            yield _Way(state, thread)
            return
        seen = {state}
        todo: list[tuple[bytes, tuple[int, ...]]] = [(state, ())]
        while todo and len(seen) < PATIENCE:
            before, broken = todo.pop()
            further: list[tuple[bytes, tuple[int, ...]]] = []
            for step in self.stepper.steps(before, thread, pattern.decisions):
                self._steps += 1
                wrong = (*broken, *step.broken)
                label = step.label
                if label.name in pattern.names and self.matches(pattern, before, step):
                    yield _Way(step.after, thread, wrong, step.stopped)
                if label.level == HARD or step.after is None:
                    continue
                if pattern.ends and stands(step.after, thread) == -1:
                    yield _Way(step.after, thread, wrong)
                elif step.after not in seen:
                    seen.add(step.after)
                    further.append((step.after, wrong))
            todo += reversed(further)

    def matches(self, pattern: Pattern, before: bytes, step: Step) -> bool:
        """Does the step touch and leave what the pattern says?"""
        for var, write, element in pattern.touches:
            if not any(
                one[0] == var and one[2] == element and write in (None, one[1])
                for one in step.touched
            ):
                return False
        for var, write in pattern.spares:
            if any(one[0] == var and one[1] == write for one in step.touched):
                return False
        if any(not before.startswith(value, start) for start, value in pattern.held):
            return False
        return step.after is None or pattern.agrees(step.after)

    def allowed(self, state: bytes) -> list[tuple[int, Label]]:
        """For each thread the next steps that are not hidden, as the model allows them."""
        found: list[tuple[int, Label]] = []
        for thread in range(len(self.stepper.program.threads)):
            seen, todo = {state}, [state]
            while todo and len(seen) < PATIENCE:
                for step in self.stepper.steps(todo.pop(), thread):
                    if step.label.level != HARD:
                        if step.after is not None and step.after not in seen:
                            seen.add(step.after)
                            todo.append(step.after)
                    elif (thread, step.label) not in found:
                        found.append((thread, step.label))
        return found

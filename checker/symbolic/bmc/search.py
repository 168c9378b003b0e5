"""All schedules with few context switches, each for all inputs at once.

A symbolic state says where every thread stands, has a value for every element of memory, and a
condition: the inputs for which it is reached.  The threads' positions are plain numbers, the
schedule is explicit; only data is symbolic.  States that are equal but for their condition are
one (:class:`~.states.Entry`): what was done from it for some inputs is not done again for them.

Work is ordered by context switches and then by depth (Qadeer and Rehof, "Context-bounded model
checking of concurrent software", 2005: most errors need few switches), so what is found first
has the fewest.  A switch is a change of the running thread, whatever its reason.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from ...explore.asking import read_by
from ...explore.interpret import ENDED
from ...lang import ir
from .expressions import Function, Path, Places, Split, Translator
from .guards import Guard
from .instructions import Outcome
from .segment import Machine
from .states import Arrival, Bounds, Candidate, Entry, OutOfTime
from .values import Value, Values

_CHUNK = 256
_MORE = 1_000  # blocks that a search runs at least behind the first broken assumption


@dataclass(slots=True)
class _Predicate:
    """A formula over shared variables; its answers are remembered by the elements it reads."""

    function: Function
    cells: Callable[[tuple[Value, ...]], object]
    known: dict[object, Guard] = field(default_factory=dict)


class Search:
    """One search.  ``initial``: memory after the setup (for each choice in it), with its inputs.

    ``started``: when the first of several searches began (``restarts`` were before this one).
    """

    def __init__(
        self, program: ir.Program, values: Values, machines: Sequence[Machine],
        initial: Sequence[tuple[tuple[Value, ...], Guard]], bounds: Bounds,
        unsure: Callable[[Search], bool] | None = None,
        progress: Callable[[Search], None] | None = None, restarts: int = 0,
        started: float | None = None,
    ) -> None:
        self.program, self.values, self.machines = program, values, machines
        self.guards, self.bounds = values.guards, bounds
        self.unsure, self.progress, self.restarts = unsure, progress, restarts
        self.started = time.monotonic() if started is None else started
        self.entries: dict[tuple[object, ...], Entry] = {}
        self.candidates: dict[tuple[object, ...], Candidate] = {}
        self.witnesses: dict[int, Candidate] = {}
        self.wrong: set[tuple[int, int]] = set()
        self.bound = ""
        self.abandoned = False
        self.transitions = 0
        self.depth = 0
        self._queue: list[tuple[int, int, int, Arrival, int]] = []
        self._cut: list[tuple[Arrival, int]] = []
        self._count = 0
        self.initial = list(initial)
        self.refused = False
        places = Places.of([var.length for var in program.shared])
        self._translator = Translator(values, places, Places.of([]))
        self._tests = [
            (self._predicate(invariant.when), self._predicate(invariant.test))
            for invariant in program.invariants
        ]
        self._witnessed = [self._predicate(witness.test) for witness in program.witnesses]
        self._whens = [self._constantly(invariant.when) for invariant in program.invariants]

    # -------------------------------------------------------------------- predicates

    def _constantly(self, expr: ir.Expr) -> bool:
        return isinstance(expr, ir.Const) and bool(expr.value)

    def _predicate(self, expr: ir.Expr) -> _Predicate:
        places = self._translator.shared
        positions = [
            places.first[var] + element
            for var in sorted(read_by(expr))
            for element in range(places.length[var])
        ]
        cells: Callable[[tuple[Value, ...]], object] = (
            itemgetter(*positions) if positions else lambda shared: ()
        )
        return _Predicate(self._translator.function(expr), cells)

    def _true(self, predicate: _Predicate, shared: tuple[Value, ...], where: Guard) -> Guard:
        """The inputs among some for which a predicate holds."""
        key = (predicate.cells(shared), where.number)
        found = predicate.known.get(key)
        if found is None:
            found = predicate.known[key] = self._evaluate(predicate.function, shared, where)
        return found

    def _evaluate(self, function: Function, shared: tuple[Value, ...], where: Guard) -> Guard:
        guards = self.guards
        path = Path(0, list(shared), [], where, (), True, 1, set())
        try:
            return guards.both(where, self.values.truth(function(path)))
        except Split as split:
            yes = guards.both(where, split.guard)
            no = guards.without(where, split.guard)
            return guards.either(
                self._evaluate(function, shared, yes), self._evaluate(function, shared, no)
            )

    def narrow(self) -> None:
        """Leave out the inputs for which an initial state breaks an invariant.

        Where that would be all of them it is no matter of the inputs: they stay, and the search
        reports it (:mod:`...explore.openings`).
        """
        guards = self.guards
        asked = guards.any(condition for _, condition in self.initial)
        broken = guards.any(
            guards.without(condition, self.consistent(shared, condition))
            for shared, condition in self.initial
        )
        good = guards.without(asked, broken)
        if not guards.possible(good) or not guards.possible(broken):
            return
        self.refused = True
        kept = [(shared, guards.both(condition, good)) for shared, condition in self.initial]
        self.initial = [(shared, left) for shared, left in kept if guards.possible(left)]

    def consistent(self, shared: tuple[Value, ...], where: Guard) -> Guard:
        """The inputs for which every invariant that can be asked holds in a state."""
        guards, bad = self.guards, self.guards.false
        for which, invariant in enumerate(self.program.invariants):
            if not invariant.terminal_only:
                when, test = self._tests[which]
                asked = self._true(when, shared, where)
                good = self._true(test, shared, asked)
                bad = guards.either(bad, guards.without(asked, good))
        return guards.without(where, bad)

    # --------------------------------------------------------------------- searching

    def run(self) -> None:
        """Search until nothing is left within the bounds, or a bound ends it."""
        nodes = tuple(thread.entry for thread in self.program.threads)
        local = tuple(machine.initial for machine in self.machines)
        for shared, condition in self.initial:
            self._arrive(None, -1, (), condition, nodes, shared, local)
        try:
            while self._queue and not self.bound:
                self._some()
                self._check_bounds()
        except KeyboardInterrupt:
            self.bound = "interrupted"

    def _some(self) -> None:
        for _ in range(_CHUNK):
            if not self._queue:
                return
            switches, depth, _, arrival, thread = heapq.heappop(self._queue)
            self._expand(arrival, thread, switches)

    def _check_bounds(self) -> None:
        bounds = self.bounds
        if self.progress is not None:
            self.progress(self)
        if self._hopeless():
            self.bound = "assumption"
        elif bounds.first and self.candidates:
            self.bound = "first"
        elif not self._queue:
            return  # it is done: nothing was cut off by what follows
        elif bounds.states is not None and len(self.entries) > bounds.states:
            self.bound = "max_states"
        elif self._late():
            self.bound = "max_seconds"

    def _hopeless(self) -> bool:
        """Is an assumption broken?  Then go on for a while only, to find more such."""
        if not self.abandoned and self.unsure is not None and self.unsure(self):
            self.abandoned = True
            self._enough = 2 * self.transitions + _MORE
        return self.abandoned and self.transitions > self._enough

    _enough = 0

    def _late(self) -> bool:
        seconds = self.bounds.seconds
        return seconds is not None and time.monotonic() - self.started > seconds

    def _in_time(self) -> None:
        if self._late():
            raise OutOfTime

    def _expand(self, arrival: Arrival, thread: int, switches: int) -> None:
        """Run a thread from a state, for the inputs for which that was not done yet."""
        entry = arrival.entry
        need = self._undone(entry, thread, arrival)
        if not self.guards.possible(need):
            return
        steps = self.bounds.steps
        # At the last state that a schedule may have only whether it is terminal matters.
        last = steps is not None and arrival.depth >= steps
        outcomes = (self._peek if last else self._run)(entry, thread, need)
        blocked = need
        for outcome in outcomes:
            blocked = self.guards.without(blocked, outcome.condition)
        if last:
            self._cut.append((arrival, thread))
        else:
            entry.done[thread].append((arrival.depth, arrival.condition))
            for outcome in outcomes:
                self._outcome(arrival, thread, outcome, switches)
        if self.guards.possible(blocked):
            self._stuck(arrival, thread, blocked)

    def _run(self, entry: Entry, thread: int, condition: Guard) -> list[Outcome]:
        self.transitions += 1
        return self.machines[thread].run(
            entry.nodes[thread], entry.shared, entry.locals[thread], condition
        )

    def _peek(self, entry: Entry, thread: int, condition: Guard) -> list[Outcome]:
        """What a thread could do, without doing it: nothing of it counts as covered."""
        seen = self.machines[thread].seen
        covered = set(seen.covered)
        try:
            return self._run(entry, thread, condition)
        finally:
            seen.tried |= seen.covered - covered
            seen.covered = covered

    def _undone(self, entry: Entry, thread: int, arrival: Arrival) -> Guard:
        rest = arrival.condition
        limited = self.bounds.steps is not None
        for depth, guard in entry.done[thread]:
            if not limited or depth <= arrival.depth:
                rest = self.guards.without(rest, guard)
        return rest

    def _outcome(
        self, arrival: Arrival, thread: int, outcome: Outcome, switches: int
    ) -> None:
        entry = arrival.entry
        if outcome.broken:
            self.wrong.add((thread, outcome.node))
        elif outcome.failed:
            entry.stopped.append(outcome.condition)
            self._candidate(
                ("check", thread, outcome.node, outcome.failed),
                Candidate("check", outcome.failed, arrival, outcome.condition, thread,
                          outcome.choices, outcome.node),
            )  # fmt: skip
        else:
            nodes, locals_ = list(entry.nodes), list(entry.locals)
            nodes[thread], locals_[thread] = outcome.node, outcome.local
            self._arrive(
                arrival, thread, outcome.choices, outcome.condition, tuple(nodes),
                outcome.shared, tuple(locals_), switches,
            )

    def _arrive(
        self, before: Arrival | None, thread: int, choices: tuple[int, ...], condition: Guard,
        nodes: tuple[int, ...], shared: tuple[Value, ...],
        local: tuple[tuple[Value, ...], ...], switches: int = 0,
    ) -> None:  # fmt: skip
        guards = self.guards
        key = (nodes, shared, local)
        entry = self.entries.get(key)
        if entry is None:
            done: list[list[tuple[int, Guard]]] = [[] for _ in nodes]
            entry = self.entries[key] = Entry(nodes, shared, local, guards.false, done)
        if before is not None:
            before.entry.edges.append((condition, entry))
        depth = 0 if before is None else before.depth + 1
        self.depth = max(self.depth, depth)
        arrival = Arrival(
            entry, condition, before, thread, choices, switches, depth,
            self._masks(before, entry, condition),
        )
        self._judge(arrival)
        if guards.possible(guards.without(condition, entry.seen)):
            entry.arrivals.append(arrival)
        entry.seen = guards.either(entry.seen, condition)
        limit = self.bounds.switches
        for other in range(len(nodes)):
            if nodes[other] == ENDED and other != thread:
                continue
            cost = switches + (before is not None and other != thread)
            if any(
                guard is guards.true and (self.bounds.steps is None or first <= depth)
                for first, guard in entry.done[other]
            ):
                continue
            if limit is not None and cost > limit:
                self._cut.append((arrival, other))
                continue
            self._count += 1
            heapq.heappush(self._queue, (cost, depth, self._count, arrival, other))

    # -------------------------------------------------------------------- violations

    def _candidate(self, key: tuple[object, ...], candidate: Candidate) -> None:
        self.candidates.setdefault(key, candidate)

    def _masks(
        self, before: Arrival | None, entry: Entry, condition: Guard
    ) -> tuple[tuple[int, Guard], ...]:
        """Which invariants count as broken: those that are, and while they cannot be asked."""
        guards = self.guards
        past = {} if before is None else dict(before.masks)
        masks: list[tuple[int, Guard]] = []
        for which, invariant in enumerate(self.program.invariants):
            if invariant.terminal_only:
                continue
            when, test = self._tests[which]
            asked = condition if self._whens[which] else self._true(when, entry.shared, condition)
            bad = guards.without(asked, self._true(test, entry.shared, asked))
            if which in past:
                kept = guards.both(past[which], guards.without(condition, asked))
                bad = guards.either(bad, kept)
            if bad is not guards.false and guards.possible(bad):
                masks.append((which, bad))
        return tuple(masks)

    def _judge(self, arrival: Arrival) -> None:
        """Note the invariants that are newly broken, and the witnesses that are new."""
        guards, before = self.guards, arrival.before
        past = {} if before is None else dict(before.masks)
        for which, bad in arrival.masks:
            newly = guards.without(bad, past.get(which, guards.false))
            if guards.possible(newly):
                nodes = arrival.entry.nodes
                key = ("invariant", which, arrival.thread) if before is None else (
                    "invariant", which, arrival.thread, before.entry.nodes[arrival.thread],
                    nodes[arrival.thread],
                )  # fmt: skip
                name = self.program.invariants[which].name
                thread = None if before is None else arrival.thread
                self._candidate(
                    key, Candidate("invariant", name, arrival, newly, thread, which=which)
                )
        for which, predicate in enumerate(self._witnessed):
            if which not in self.witnesses:
                seen = self._true(predicate, arrival.entry.shared, arrival.condition)
                if guards.possible(seen):
                    name = self.program.witnesses[which].name
                    self.witnesses[which] = Candidate("invariant", name, arrival, seen)

    def _stuck(self, arrival: Arrival, thread: int, rest: Guard) -> None:
        """A thread cannot go on for some inputs: can any other?"""
        entry, guards = arrival.entry, self.guards
        for other in range(len(entry.nodes)):
            if other != thread and entry.nodes[other] != ENDED:
                for outcome in self._peek(entry, other, rest):
                    if outcome.broken:
                        self.wrong.add((other, outcome.node))
                    rest = guards.without(rest, outcome.condition)
                if not guards.possible(rest):
                    return
        unfinished = any(
            node != ENDED and not thread.daemon
            for node, thread in zip(entry.nodes, self.program.threads, strict=True)
        )
        if unfinished:
            entry.stopped.append(rest)
            self._candidate(
                ("deadlock", entry.nodes), Candidate("deadlock", "deadlock", arrival, rest)
            )
        masks = dict(arrival.masks)
        for which, invariant in enumerate(self.program.invariants):
            if unfinished and invariant.terminal_only:
                continue
            _, test = self._tests[which]
            bad = guards.without(rest, self._true(test, entry.shared, rest))
            bad = guards.without(bad, masks.get(which, guards.false))
            if guards.possible(bad):
                self._candidate(
                    ("end", which), Candidate("invariant", invariant.name, arrival, bad,
                                              which=which, at_end=True)
                )  # fmt: skip

    # -------------------------------------------------------------------- what is left

    def left(self) -> Iterator[tuple[Arrival, int]]:
        """What the bounds cut off and nothing else did: from which arrival, which thread."""
        for arrival, thread in self._cut:
            self._in_time()
            need = arrival.condition
            for _, guard in arrival.entry.done[thread]:
                need = self.guards.without(need, guard)
            if self.guards.possible(need) and self._peek(arrival.entry, thread, need):
                yield arrival, thread

    @property
    def complete(self) -> bool:
        """Was every behaviour of the program looked at?"""
        return not self.bound and next(self.left(), None) is None

    def never(self) -> Iterator[Candidate]:
        """After a complete search: threads that from some state on can never finish.

        For one choice of inputs the entries and the edges open to it are a graph, so the inputs
        for which an end can be reached are a least fixed point over guards.
        """
        guards = self.guards
        for thread in self.program.threads:
            if thread.daemon:
                continue
            good: dict[int, Guard] = {}
            for entry in self.entries.values():
                ended = entry.nodes[thread.index] == ENDED
                good[id(entry)] = entry.seen if ended else guards.any(entry.stopped)
            changed = True
            while changed:
                changed = False
                for entry in reversed(self.entries.values()):
                    self._in_time()
                    known = good[id(entry)]
                    more = known
                    for condition, target in entry.edges:
                        more = guards.either(more, guards.both(condition, good[id(target)]))
                    if more is not known and guards.possible(guards.without(more, known)):
                        good[id(entry)] = more
                        changed = True
            found = [
                Candidate("progress", "progress", at, where, thread.index)
                for entry in self.entries.values()
                for at in entry.arrivals
                if (where := guards.without(at.condition, good[id(entry)])) is not guards.false
                and guards.possible(where)
            ]
            if found:
                yield min(found, key=lambda one: (one.at.depth, one.at.switches))

    # ---------------------------------------------------- evidence about the reduction

    def news(self) -> tuple[int, ...]:
        """Something that changes whenever there is new evidence."""
        return (
            self.restarts,
            len(self.wrong),
            *(len(machine.seen.covered | machine.seen.tried) for machine in self.machines),
            *(len(machine.seen.strays) for machine in self.machines),
        )

    def tried(self, thread: int) -> set[int]:
        seen = self.machines[thread].seen
        return seen.covered | seen.tried

    def strays(self, thread: int) -> set[tuple[int, int]]:
        return self.machines[thread].seen.strays


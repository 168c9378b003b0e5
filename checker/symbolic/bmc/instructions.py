"""The instructions of one thread as Python functions over symbolic paths.

A function moves its path on; or, where it must be divided, gives the paths and the outcomes
that come of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...explore import semantics
from ...explore.interpret import ENDED
from ...explore.pygen import Checks
from ...lang import ir
from ...lang.compile import INPUT
from .expressions import Fault, Function, Path, Places, Split, Translator
from .guards import Guard
from .phases import OwnerStore, Phases
from .values import Cases, Value, Values


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way a block can go, for the inputs of ``condition``.

    ``node`` is where it stopped; or, with ``failed``, the instruction that breaks that property;
    or, with ``broken``, the wait inside the block that a reduction's assumption says is true.
    """

    condition: Guard
    choices: tuple[int, ...]
    node: int
    shared: tuple[Value, ...] = ()
    local: tuple[Value, ...] = ()
    failed: str = ""
    broken: bool = False


@dataclass(slots=True)
class Seen:
    """What one thread did so far, for coverage and for the reduction's assumptions."""

    covered: set[int] = field(default_factory=set)
    tried: set[int] = field(default_factory=set)
    strays: set[tuple[int, int]] = field(default_factory=set)


Step = Callable[[Path], "list[Path | Outcome] | None"]


class Instructions:
    """Translates a thread's instructions; ``seen`` is what they did so far."""

    def __init__(
        self, program: ir.Program, thread: ir.Thread, values: Values, checks: Checks
    ) -> None:
        self.program, self.thread, self.values = program, thread, values
        self.guards = values.guards
        self.shared = Places.of([var.length for var in program.shared])
        self.local = Places.of([var.length for var in thread.locals])
        self.translator = Translator(values, self.shared, self.local)
        self.phases = Phases(program, thread, checks)
        self.seen = Seen()

    def _narrowed(self, path: Path, condition: Guard) -> Path:
        """A copy for fewer inputs."""
        copy = path.copy(condition)
        under = self.values.under
        for cells in (copy.shared, copy.local):
            for at, value in enumerate(cells):
                if isinstance(value, Cases):
                    cells[at] = under(value, condition)
        return copy

    def _failed(self, path: Path, name: str, condition: Guard | None = None) -> Outcome:
        """The instruction at the path's node breaks a property (where the condition holds)."""
        self.seen.covered |= path.nodes
        return Outcome(condition or path.condition, path.choices, path.node, failed=name)

    def _step(self, node: int) -> Step:
        instr = self.thread.code[node]
        action, following = instr.action, instr.next
        function = self.translator.function
        match action:
            case ir.Assign(target, value):
                step = self._assign(node, target, function(value), following)
            case ir.Branch(test, other):
                step = self._branch(function(test), following, other)
            case ir.Choose(target, count, label):
                step = self._choose(target, function(count), label, following)
            case ir.Wait(guard):
                step = self._wait(function(guard), following)
            case ir.Check(test, name):
                step = self._check(function(test), name, following)
            case ir.ListInsert() | ir.ListRemove():
                step = self._list(action, following)
            case ir.Nop():
                step = _go(following)
            case ir.End():
                step = _go(ENDED)
        tests = [function(expr) for expr in self.phases.sites(node)]
        if not tests:
            return step
        return self._watched(node, tests, step)

    def _watched(self, node: int, tests: list[Function], step: Step) -> Step:
        """The instruction, with its accesses watched for the reduction's sake."""

        def watched(path: Path) -> list[Path | Outcome] | None:
            for test in tests:
                for level, guard in self.values.cases(test(path)):
                    if level < 2 and self.guards.possible(
                        self.guards.both(path.condition, guard)
                    ):
                        self.seen.strays.add((level, node))
            return step(path)

        return watched

    def _branch(self, test: Function, following: int, other: int) -> Step:
        guards, values = self.guards, self.values

        def branch(path: Path) -> list[Path | Outcome] | None:
            value = test(path)
            if not isinstance(value, Cases):
                path.node = following if value else other
                return None
            yes = guards.both(path.condition, values.truth(value))
            no = guards.both(path.condition, values.falsity(value))
            possible = guards.possible(yes)
            if not guards.possible(no):
                path.node = following
                return None
            if not possible:
                path.node = other
                return None
            one, two = self._narrowed(path, yes), self._narrowed(path, no)
            one.node, two.node = following, other
            return [one, two]

        return branch

    def _wait(self, test: Function, following: int) -> Step:
        guards, values = self.guards, self.values

        def wait(path: Path) -> list[Path | Outcome] | None:
            value = test(path)
            if not isinstance(value, Cases) and value:
                path.node = following
                return None
            result: list[Path | Outcome] = []
            no = guards.both(path.condition, values.falsity(value))
            if guards.possible(no):
                result += self._blocked(path, no)
            yes = guards.both(path.condition, values.truth(value))
            if guards.possible(yes):
                onward = self._narrowed(path, yes)
                onward.node = following
                result.append(onward)
            return result

        return wait

    def _blocked(self, path: Path, condition: Guard) -> list[Outcome]:
        """The path does not go on here: not enabled, or against the reduction's assumption."""
        self.seen.tried |= path.nodes
        if path.first:
            return []
        return [Outcome(condition, path.choices, path.node, broken=True)]

    def _check(self, test: Function, name: str, following: int) -> Step:
        guards, values = self.guards, self.values

        def check(path: Path) -> list[Path | Outcome] | None:
            value = test(path)
            if not isinstance(value, Cases) and value:
                path.node = following
                return None
            result: list[Path | Outcome] = []
            bad = guards.both(path.condition, values.falsity(value))
            if guards.possible(bad):
                result.append(self._failed(path, name, bad))
            good = guards.both(path.condition, values.truth(value))
            if guards.possible(good):
                onward = self._narrowed(path, good)
                onward.node = following
                result.append(onward)
            return result

        return check

    def _choose(
        self, target: ir.Local, count: Function, label: str, following: int
    ) -> Step:
        store = self._store(target)

        def choose(path: Path) -> list[Path | Outcome] | None:
            many = self.translator.concrete(path, count(path))
            which = self._input(label, many)
            if which is not None:
                store(path, which)
                path.node = following
                return None
            result: list[Path | Outcome] = []
            for choice in range(many):
                fork = path.copy(path.condition)
                fork.choices = (*path.choices, choice)
                try:
                    store(fork, choice)
                except Fault as fault:
                    result.append(self._failed(fork, fault.name))
                    continue
                fork.node = following
                result.append(fork)
            if many <= 0:
                result += self._blocked(path, path.condition)
            return result

        return choose

    def _input(self, label: str, count: int) -> Value | None:
        """The value of a choice that the scenario left open: the same wherever it is made."""
        if not label.startswith(INPUT) or count <= 0:
            return None
        made = self.guards.input(label.removeprefix(INPUT), count)
        literal = self.guards.literal
        return self.values.of((n, literal(made.number, 1 << n)) for n in range(count))

    # ------------------------------------------------------------------------ stores

    def _store(self, target: ir.Local | ir.Shared) -> Callable[[Path, Value], None]:
        is_local = isinstance(target, ir.Local)
        if isinstance(target, ir.Local):
            domain = self.thread.locals[target.var].domain
            places = self.local
        else:
            domain = self.program.shared[target.var].domain
            places = self.shared
        first, length = places.first[target.var], places.length[target.var]
        low, high = domain.low, domain.high
        index = self.translator.function(ir.Const(0) if target.index is None else target.index)
        decide, select = self.translator.decide, self.values.select

        def store(path: Path, value: Value) -> None:
            where = index(path)
            if isinstance(where, Cases):
                for element, guard in where.cases:
                    if not 0 <= element < length and decide(path, guard):
                        raise Fault("index")
            elif not 0 <= where < length:
                raise Fault("index")
            if isinstance(value, Cases):
                for one, guard in value.cases:
                    if not low <= one <= high and decide(path, guard):
                        raise Fault("range")
            elif not low <= value <= high:
                raise Fault("range")
            cells = path.local if is_local else path.shared
            if not isinstance(where, Cases):
                cells[first + where] = value
                return
            for element, guard in where.cases:
                if 0 <= element < length:
                    cells[first + element] = select(guard, value, cells[first + element])

        return store

    def _assign(
        self, node: int, target: ir.Local | ir.Shared, value: Function, following: int
    ) -> Step:
        store = self._store(target)
        watch = self.phases.store(node)
        if watch is not None:
            store = self._watch_store(node, watch, store)

        def assign(path: Path) -> None:
            store(path, value(path))
            path.node = following

        return assign

    def _watch_store(
        self, node: int, watch: OwnerStore, store: Callable[[Path, Value], None]
    ) -> Callable[[Path, Value], None]:
        function = self.translator.function
        levels = [function(expr) for expr in watch.levels]
        old = function(watch.target)

        def watched(path: Path, value: Value) -> None:
            before = [level(path) for level in levels]
            previous = old(path)
            store(path, value)
            try:
                after = [level(path) for level in levels]
            except Split:
                # Splitting here would do the store twice: take it for a stray.
                self.seen.strays.add((3, node))
                after = []
            for level in (*before, *after):
                self._stray(path, node, 3, level, lambda one: one > 1)
            if watch.fine is not None:
                fine = watch.fine
                for one in (previous, value):
                    self._stray(path, node, 4, one, lambda owner: owner in fine)

        return watched

    def _stray(
        self, path: Path, node: int, what: int, value: Value, good: Callable[[int], bool]
    ) -> None:
        for one, guard in self.values.cases(value):
            if not good(one) and self.guards.possible(self.guards.both(path.condition, guard)):
                self.seen.strays.add((what, node))

    def _list(self, action: ir.ListInsert | ir.ListRemove, following: int) -> Step:
        ref = action.list
        translator = self.translator
        base, node = translator.function(ref.base), translator.function(action.node)
        anchor: Function | None = None
        if isinstance(action, ir.ListInsert) and action.anchor is not None:
            anchor = translator.function(action.anchor)
        domain = self.program.shared[ref.var].domain

        def change(path: Path) -> None:
            at, items = translator.items(path, ref, base)
            one = translator.concrete(path, node(path))
            if isinstance(action, ir.ListRemove):
                changed = semantics.list_remove(items, one, ref.empty)
            else:
                near = None if anchor is None else translator.concrete(path, anchor(path))
                changed = semantics.list_insert(items, action.where, one, near, ref.empty)
            if changed is None:
                raise Fault("list")
            if any(not domain.low <= item <= domain.high for item in changed):
                raise Fault("range")
            path.shared[at : at + ref.capacity] = changed
            path.node = following

        return change


def _go(node: int) -> Step:
    def go(path: Path) -> None:
        path.node = node

    return go

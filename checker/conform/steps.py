"""Fine steps of a compiled program that say what they did: to which element of which variable.

The generated code of the python engine is used, with a line before each instruction that
touches a variable one wants to hear of.  What a step is called is static: the outermost
atomic service that it executes, or the plain load or store that it makes.

Checks of properties do not end a step here.  They are noted, and the step goes on: a real
program that breaks a promise goes on as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from ..explore.asking import guarded_reads
from ..explore.engine import Facts, facts, fine_stops
from ..explore.exprgen import OutOfBounds
from ..explore.interpret import FUEL
from ..explore.intervals import Env, Interval
from ..explore.layout import Layout
from ..explore.pygen import FORK, GOTO, STOP, VIOLATION, Checks, Leaf, ThreadCode, ThreadGen, _Pass
from ..lang import ir

HIDDEN, SOFT, HARD = range(3)
CHOICE: Final = "choose"

Touch = tuple[int, bool, int]  # variable, whether it was written, element


class Vocabulary(Protocol):
    """Which steps of a model are seen from outside, and by which names.

    ``services``: the atomic routines that can be named.  ``level(name)`` says for a service,
    for ``load VAR``, ``store VAR``, ``wait REASON`` and ``choose LABEL``, whether a step of that
    name is hidden (HIDDEN), may have an event (SOFT) or must have one (HARD); KeyError for a
    name that is not known.  ``by_effect(service)``: it counts only where it stores something.
    ``touched(service, variable, write)`` says which accesses of a service are reported.
    """

    @property
    def services(self) -> frozenset[str]: ...

    def level(self, name: str) -> int: ...

    def by_effect(self, service: str) -> bool: ...

    def touched(self, service: str, variable: str, write: bool) -> bool: ...


class Label(NamedTuple):
    """The static part of a step: its name, whether it shows, and where it is."""

    name: str
    level: int
    nodes: tuple[int, ...]


class Step(NamedTuple):
    """One outcome of a step.

    ``after`` is None where the model cannot go on (``stopped`` says why).  ``broken`` are
    the instructions of properties that did not hold.
    """

    after: bytes | None
    label: Label
    touched: tuple[Touch, ...]
    choices: tuple[int, ...]
    broken: tuple[int, ...] = ()
    stopped: str = ""


class _Tracer(ThreadGen):
    """Generates code that notes accesses in ``A``, and checks that do not hold in ``B``."""

    watch: Mapping[int, list[tuple[int, bool]]]

    def watching(
        self, vocabulary: Vocabulary, touched: list[Touch], broken: list[int]
    ) -> _Tracer:
        self.vocabulary, self.touched, self.broken = vocabulary, touched, broken
        return self

    def begin(self) -> ThreadCode:
        made = super().begin()
        self.scope["A"], self.scope["B"] = self.touched, self.broken
        return made

    def _races(self, work: _Pass, indent: int, node: int) -> None:
        if self.dry:
            return
        instr = self.thread.code[node]
        service = service_of(instr, self.vocabulary.services)
        gen = self._gen(node)
        for root in ir.action_reads(instr.action):
            for one, guards in guarded_reads(root):
                var = one.var if isinstance(one, ir.Shared) else one.list.var
                if isinstance(one, ir.Shared) and self._wanted(service, var, False):
                    tests = [
                        gen.test(test) if truth else f"not {gen.test(test)}"
                        for test, truth in guards
                    ]
                    value = gen.value(one.index)
                    condition = f"if {' and '.join(tests)}: " if tests else ""
                    self._line(work, indent, f"{condition}A.append(({var},False,{value}))")
        for access in ir.accesses(instr.action):
            if access.write and self._wanted(service, access.var, True):
                value = gen.value(access.index)
                self._line(work, indent, f"A.append(({access.var},True,{value}))")

    def _wanted(self, service: str, var: int, write: bool) -> bool:
        declared = self.program.shared[var]
        if declared.ghost:
            return False
        if service:
            return self.vocabulary.touched(service, declared.name, write)
        return self.vocabulary.level(f"{'store' if write else 'load'} {declared.name}") != HIDDEN

    def _unless(
        self, work: _Pass, indent: int, node: int, test: ir.Expr, leaf: Leaf, written: int
    ) -> None:
        if leaf.kind != VIOLATION:
            super()._unless(work, indent, node, test, leaf, written)
        elif not self.dry:
            condition = self._gen(node).test(test)
            self._line(work, indent, f"if not {condition}: B.append({node})")


def service_of(instr: ir.Instr, services: frozenset[str]) -> str:
    """The outermost service that an instruction belongs to, or ''."""
    for entry in instr.where.stack:
        name = entry.split("@")[0]
        if name in services:
            return name
    return ""


def _thrifty(known: Facts) -> Facts:
    """The same with one object for all equal ones: most nodes know what their neighbours know."""
    spans: dict[Interval, Interval] = {}
    same: dict[tuple[tuple[int, Interval], ...], Env] = {}
    masks: dict[int, int] = {}
    for row in known.envs:
        for node, env in enumerate(row):
            items = tuple((var, spans.setdefault(span, span)) for var, span in env.items())
            row[node] = same.setdefault(items, dict(items))
    for live in known.live:
        live.before[:] = [masks.setdefault(mask, mask) for mask in live.before]
    return known


class Stepper:
    """The fine steps of a program, with labels."""

    def __init__(self, program: ir.Program, vocabulary: Vocabulary) -> None:
        self.program = program
        self.vocabulary = vocabulary
        self.known: Facts = _thrifty(facts(program))
        # What no thread stores, the compiler has put in place: nobody reads it any more.
        self.stored = frozenset(
            access.var
            for thread in program.threads
            for instr in thread.code
            for access in ir.accesses(instr.action)
            if access.write
        )
        stops = fine_stops(program)
        self.layout = Layout(program, stops, self.known.live)
        pcs = [own.pc for own in self.layout.threads]
        self._pcs = [(pc.offset, pc.offset + pc.width) for pc in pcs]
        self._touched: list[Touch] = []
        self._broken: list[int] = []
        self._tracers = [self._tracer(number) for number in range(len(program.threads))]
        self._static()
        self._begin()

    def _tracer(self, number: int) -> _Tracer:
        env: list[Env] = self.known.envs[number]
        tracer = _Tracer(self.program, self.layout, number, env, Checks())
        tracer.watching(self.vocabulary, self._touched, self._broken).discover()
        return tracer

    def _begin(self) -> None:
        self._threads: list[ThreadCode] = [tracer.begin() for tracer in self._tracers]
        self._labels: dict[tuple[int, tuple[int, ...]], Label] = {}

    @property
    def written(self) -> int:
        """How much of the code was written so far: it is, when it is first run."""
        return sum(len(tracer.written) for tracer in self._tracers)

    def __getstate__(self) -> dict[str, Any]:
        """What takes time to find out, and the code that was written."""
        state = dict(vars(self))
        del state["_threads"], state["_labels"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # Each number that comes from a pickle is an object of its own: there are a million.
        nodes = list(range(max(len(thread.code) for thread in self.program.threads)))
        for tracer in self._tracers:
            for leaf in tracer.leaves:
                object.__setattr__(leaf, "path", tuple([nodes[node] for node in leaf.path]))
        self._begin()

    def _static(self) -> None:
        """Every instruction has a name that the vocabulary knows (KeyError)."""
        for thread in self.program.threads:
            for node in range(len(thread.code)):
                for name in self._names(thread, node):
                    self.vocabulary.level(name)

    def initial(self) -> list[bytes]:
        """The initial states."""
        return [self.layout.encode(state) for state in self.known.initial]

    def _names(self, thread: ir.Thread, node: int) -> list[str]:
        """The names of what an instruction does to shared state."""
        instr = thread.code[node]
        service = service_of(instr, self.vocabulary.services)
        shared = self.program.shared
        accesses = [one for one in ir.accesses(instr.action) if not shared[one.var].ghost]
        if service:
            writes = any(one.write for one in accesses)
            seen = writes or (accesses and not self.vocabulary.by_effect(service))
            return [service] if seen else []
        if isinstance(instr.action, ir.Choose):
            return [f"{CHOICE} {instr.action.label}"]
        if isinstance(instr.action, ir.Wait):
            return [f"wait {instr.action.reason}"]
        return [
            f"{'store' if one.write else 'load'} {shared[one.var].name}" for one in accesses
        ]

    def label(self, thread: int, leaves: tuple[int, ...]) -> Label:
        """What the step along these leaves is called: the most visible of its parts."""
        label = self._labels.get((thread, leaves))
        if label is None:
            code = self._threads[thread]
            nodes = tuple(node for leaf in leaves for node in code.leaves[leaf].path)
            names = [
                name for node in nodes for name in self._names(self.program.threads[thread], node)
            ]
            best = max(names, key=self.vocabulary.level, default="")
            level = self.vocabulary.level(best) if best else HIDDEN
            label = self._labels[thread, leaves] = Label(best, level, nodes)
        return label

    def stands(self, state: bytes, thread: int) -> int:
        """The node at which a thread stands, -1 where it has ended."""
        number = self._pc(state, thread)
        return -1 if number == 0 else self.layout.threads[thread].stops[number - 1]

    def _pc(self, state: bytes, thread: int) -> int:
        """As the layout has it, which is too general to be quick."""
        start, end = self._pcs[thread]
        return state[start] if end == start + 1 else state[start] | state[start + 1] << 8

    def steps(
        self, state: bytes, thread: int, decisions: Mapping[str, int] | None = None
    ) -> list[Step]:
        """Every outcome of the next step of a thread; none where it must wait or has ended.

        A choice whose label is in ``decisions`` has that outcome and no other.
        """
        found: list[Step] = []
        code = self._threads[thread]
        fragment = code.entry[self._pc(state, thread)]
        if fragment is None:
            return found
        vector, local = bytearray(state), [0] * code.scratch
        leaves: tuple[int, ...] = ()
        choices: tuple[int, ...] = ()
        touched, broken = self._touched, self._broken
        seen: tuple[Touch, ...] = ()
        wrong: tuple[int, ...] = ()
        todo: list[tuple[object, ...]] = []
        fuel = FUEL
        while True:
            touched.clear()
            broken.clear()
            stopped = ""
            try:
                end = fragment(vector, local)
            except OutOfBounds as error:
                end, stopped = -1, f"index at node {error.args[0]}"
            if touched:
                seen += tuple(touched)
            if broken:
                wrong += tuple(broken)
            if end >= 0:
                leaves += (end,)
                kind = code.kinds[end]
                if kind == STOP:
                    found.append(
                        Step(bytes(vector), self.label(thread, leaves), seen, choices, wrong)
                    )
                elif kind == GOTO:
                    target = code.targets[end]
                    assert target is not None
                    fragment = target
                    fuel -= 1
                    if fuel:
                        continue
                    stopped = "divergence"
                elif kind == FORK:
                    options = self._options(thread, code.leaves[end].node, local[0], decisions)
                    for choice in reversed(options):
                        fork = list(local)
                        fork[1] = choice
                        todo.append(
                            (code.targets[end], bytes(vector), fork, leaves, (*choices, choice),
                             seen, wrong)
                        )  # fmt: skip
                elif kind == VIOLATION:
                    leaf = code.leaves[end]
                    stopped = f"{leaf.name} at node {leaf.node}"
            if stopped:
                label = self.label(thread, leaves)
                found.append(Step(None, label, seen, choices, wrong, stopped))
            if not todo:
                return found
            fragment, data, local, leaves, choices, seen, wrong = todo.pop()  # type: ignore
            vector = bytearray(data)  # type: ignore[call-overload]
            fuel = FUEL

    def _options(
        self, thread: int, node: int, count: int, decisions: Mapping[str, int] | None
    ) -> range:
        if decisions:
            action = self.program.threads[thread].code[node].action
            assert isinstance(action, ir.Choose)
            wanted = decisions.get(action.label)
            if wanted is not None:
                return range(wanted, wanted + 1) if 0 <= wanted < count else range(0)
        return range(count)

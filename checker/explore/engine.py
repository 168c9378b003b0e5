"""The python engine: successors of a state given as bytes, through generated code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..lang import ir
from .errors import InternalError
from .exprgen import OutOfBounds
from .interpret import FUEL, Interpreter, State, Violation, fault_message
from .intervals import Env, analyse
from .layout import Layout
from .liveness import Liveness, liveness
from .predicates import Predicates, predicates
from .pygen import (
    BLOCKED,
    BLOCKED_DIRTY,
    FORK,
    GOTO,
    MIDBLOCK,
    STOP,
    VIOLATION,
    Checks,
    Leaf,
    ThreadCode,
    generate,
)

TAKEN, TRIED = 1, 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way a block can go: the state after it, or a violation, or a broken assumption.

    ``leaves`` are the numbers of the leaves passed through, which say what was executed;
    ``broken`` is the leaf where the block turned out to wait in its middle.
    """

    after: bytes | None
    choices: tuple[int, ...]
    leaves: tuple[int, ...]
    violation: Violation | None = None
    broken: Leaf | None = None


@dataclass(slots=True)
class Facts:
    """What is known of a program whatever its stops are.

    ``left_out``: choices of what the setup leaves open that are inconsistent (:mod:`.openings`).
    """

    program: ir.Program
    live: list[Liveness]
    envs: list[list[Env]]
    initial: list[State]
    left_out: int = 0


def facts(program: ir.Program) -> Facts:
    """Liveness and value ranges of every thread, and the initial states."""
    live = [liveness(thread) for thread in program.threads]
    envs = [
        analyse(program, thread, own) for thread, own in zip(program.threads, live, strict=True)
    ]
    beginning = Interpreter(program).begin()
    return Facts(program, live, envs, beginning.states, beginning.left_out)


class Engine:
    """A program compiled for given stops."""

    def __init__(
        self,
        known: Facts,
        stops: Sequence[Sequence[int]],
        checks: Mapping[int, Checks] | None = None,
    ) -> None:
        self.program = known.program
        self.known = known
        self.stops = [list(row) for row in stops]
        self.layout = Layout(self.program, stops, known.live)
        self.threads: list[ThreadCode] = generate(self.program, self.layout, known.envs, checks)
        self.predicates: Predicates = predicates(self.program, self.layout.shared)

    def initial(self) -> list[bytes]:
        """The initial states."""
        return [self.layout.encode(state) for state in self.known.initial]

    def violation(self, thread: int, instr: int, name: str) -> Violation:
        """The violation that a leaf stands for."""
        found = self.program.threads[thread].code[instr]
        if isinstance(found.action, ir.Check) and found.action.name == name:
            return Violation(name, found.action.message, thread, instr)
        return Violation(name, fault_message(self.program, found, name), thread, instr)

    def outcomes(
        self, state: bytes, thread: int, marks: bytearray | None = None
    ) -> list[Outcome]:
        """Every way the block of a thread can go; empty when it is not enabled.

        ``marks`` of the leaves tried, even in vain, get :data:`TRIED`; those on the way to
        an outcome, :data:`TAKEN`.
        """
        code = self.threads[thread]
        entry = code.entry[self.layout.threads[thread].pc.load(state)]
        if entry is None:
            return []
        results: list[Outcome] = []
        scratch = [0] * code.scratch
        todo: list[tuple[object, bytes, list[int], tuple[int, ...], tuple[int, ...]]] = [
            (entry, state, scratch, (), ())
        ]
        while todo:
            fragment, data, local, choices, leaves = todo.pop()
            vector = bytearray(data)
            fuel = FUEL
            while True:
                try:
                    end = fragment(vector, local)  # type: ignore[operator]
                except OutOfBounds as error:
                    found = self.violation(thread, error.args[0], "index")
                    results.append(Outcome(None, choices, leaves, found))
                    break
                leaves = (*leaves, end)
                leaf = code.leaves[end]
                if marks is not None:
                    marks[end] |= TRIED
                if leaf.kind == GOTO:
                    fragment = code.targets[end]
                    fuel -= 1
                    if fuel == 0:
                        found = self.violation(thread, leaf.node, "divergence")
                        results.append(Outcome(None, choices, leaves, found))
                        break
                    continue
                if leaf.kind == FORK:
                    count = int(local[0])
                    if count <= 0 and not leaf.first:
                        results.append(Outcome(None, choices, leaves, None, leaf))
                    for choice in reversed(range(count)):
                        fork = list(local)
                        fork[1] = choice
                        todo.append(
                            (code.targets[end], bytes(vector), fork, (*choices, choice), leaves)
                        )
                elif leaf.kind == STOP:
                    results.append(Outcome(bytes(vector), choices, leaves))
                elif leaf.kind == VIOLATION:
                    found = self.violation(thread, leaf.node, leaf.name)
                    results.append(Outcome(None, choices, leaves, found))
                elif leaf.kind == MIDBLOCK:
                    results.append(Outcome(None, choices, leaves, None, leaf))
                elif leaf.kind not in (BLOCKED, BLOCKED_DIRTY):
                    raise InternalError(f"unknown leaf {leaf}")
                break
        if marks is not None:
            for outcome in results:
                for end in outcome.leaves:
                    marks[end] |= TAKEN
        return results

    def executed(self, thread: int, leaves: Sequence[int]) -> list[int]:
        """The instructions along the leaves."""
        code = self.threads[thread]
        return [node for leaf in leaves for node in code.leaves[leaf].path]

    def covered(self, thread: int, marks: bytearray) -> set[int]:
        """The instructions that were executed, according to the marks of the leaves."""
        return self._marked(thread, marks, TAKEN)

    def tried(self, thread: int, marks: bytearray) -> set[int]:
        """The instructions that were executed or evaluated, be it in a step not enabled."""
        return self._marked(thread, marks, TAKEN | TRIED)

    def _marked(self, thread: int, marks: bytearray, wanted: int) -> set[int]:
        found: set[int] = set()
        for leaf, mark in zip(self.threads[thread].leaves, marks, strict=True):
            if mark & wanted:
                found.update(leaf.path)
        return found


def fine_stops(program: ir.Program) -> list[list[int]]:
    """The stops of the finest granularity: every node where another thread may run."""
    return [
        sorted({thread.entry, *(n for n, instr in enumerate(thread.code) if instr.fine_stop)})
        for thread in program.threads
    ]

"""Re-execution of a path by the interpreter, as fine steps.

Every counterexample passes through :func:`expand` before anyone sees it: each block must lead
to the state that the engine claims, and the claimed violation must be there at the end.
Anything else is an :class:`~.errors.InternalError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..lang import ir
from .errors import InternalError
from .interpret import ENDED, FUEL, Interpreter, State, StepResult, Violation, eval_expr
from .result import Found, Path


@dataclass(frozen=True, slots=True)
class FineStep:
    """One fine step: who, from which instruction, with which choices, through which ones.

    ``block`` is the number of the block that it belongs to.  The state after it and its
    digest are missing only for a last step that is itself a violation.
    """

    thread: int
    instr: int
    choices: tuple[int, ...]
    executed: tuple[int, ...]
    block: int
    state: State | None
    digest: str
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class FineTrace:
    """A path in fine steps, from an initial state."""

    initial: int
    start: State
    steps: tuple[FineStep, ...]

    @property
    def last_state(self) -> State:
        """The last state that exists: before the last step where that is a violation."""
        for step in reversed(self.steps):
            if step.state is not None:
                return step.state
        return self.start

    @property
    def violation(self) -> Violation | None:
        """What the last step violates, for failed checks."""
        return self.steps[-1].violation if self.steps else None


class Expander:
    """Expands paths of one program; keeps the interpreter."""

    def __init__(self, program: ir.Program, stops: Sequence[Sequence[int]]) -> None:
        self.program = program
        self.interpreter = Interpreter(program)
        self.stops = [frozenset(row) for row in stops]
        self._initial = self.interpreter.run_setup()

    def expand(self, path: Path) -> FineTrace:
        """Execute a path; an :class:`InternalError` where it does not do what it claims."""
        if not 0 <= path.initial < len(self._initial):
            raise InternalError(f"there is no initial state {path.initial}")
        state = start = self._initial[path.initial]
        if start.digest() != path.digest:
            raise InternalError("the initial state is not the one that was claimed")
        steps: list[FineStep] = []
        for number, block in enumerate(path.blocks):
            if not 0 <= block.thread < len(self.stops):
                raise InternalError(f"there is no thread {block.thread}")
            last = number == len(path.blocks) - 1
            choices = block.choices
            fuel = FUEL
            while True:
                result = self._step(state, block.thread, choices, number)
                choices = choices[len(result.choices) :]
                steps.append(_fine(state, block.thread, result, number))
                if result.state is None:
                    if not last or block.digest or choices:
                        raise InternalError(f"block {number} fails a check where none was claimed")
                    return FineTrace(path.initial, start, tuple(steps))
                state = result.state
                pc = state.threads[block.thread].pc
                fuel -= 1
                if fuel == 0:
                    diverges = Violation("divergence", "", block.thread, pc)
                    steps[-1] = FineStep(
                        block.thread, steps[-1].instr, (), (), number, None, "", diverges
                    )
                    if not last or block.digest:
                        raise InternalError(f"block {number} does not end")
                    return FineTrace(path.initial, start, tuple(steps))
                if pc == ENDED or pc in self.stops[block.thread]:
                    break
            if choices:
                raise InternalError(f"block {number} makes fewer choices than were claimed")
            if steps[-1].digest != block.digest:
                raise InternalError(f"block {number} leads to another state than was claimed")
        return FineTrace(path.initial, start, tuple(steps))

    def _step(
        self, state: State, thread: int, choices: tuple[int, ...], block: int
    ) -> StepResult:
        for result in self.interpreter.fine_step(state, thread):
            if choices[: len(result.choices)] == result.choices:
                return result
        name = self.program.threads[thread].name
        raise InternalError(f"block {block}: {name} cannot take the step that was claimed")

    def confirm(self, found: Found) -> FineTrace:
        """Expand a violation's path and see that the violation is really there."""
        trace = self.expand(found.path)
        check = getattr(self, f"_confirm_{found.kind}")
        if not check(found, trace):
            raise InternalError(f"{found.property}: the path does not show the violation")
        return trace

    def _confirm_check(self, found: Found, trace: FineTrace) -> bool:
        violation = trace.violation
        if violation is None or violation.thread != found.thread:
            return False
        if found.property == "divergence":
            return violation.property == "divergence"
        return (violation.property, violation.instr) == (found.property, found.instr)

    def _confirm_invariant(self, found: Found, trace: FineTrace) -> bool:
        state = trace.last_state
        for invariant in self.program.invariants:
            if invariant.name == found.property and not eval_expr(invariant.test, state):
                if not invariant.terminal_only and eval_expr(invariant.when, state):
                    return trace.violation is None
                if self._terminal(state):
                    return trace.violation is None
        return False

    def _terminal(self, state: State) -> bool:
        return not any(
            self.interpreter.fine_step(state, thread)
            for thread in range(len(self.program.threads))
        )

    def _confirm_deadlock(self, found: Found, trace: FineTrace) -> bool:
        state = trace.last_state
        unfinished = any(
            own.pc != ENDED and not thread.daemon
            for own, thread in zip(state.threads, self.program.threads, strict=True)
        )
        return unfinished and trace.violation is None and self._terminal(state)

    def _confirm_progress(self, found: Found, trace: FineTrace) -> bool:
        if found.thread is None or trace.violation is not None:
            return False
        return trace.last_state.threads[found.thread].pc != ENDED


def _fine(state: State, thread: int, result: StepResult, block: int) -> FineStep:
    digest = "" if result.state is None else result.state.digest()
    return FineStep(
        thread, state.threads[thread].pc, result.choices, result.executed, block,
        result.state, digest, result.violation,
    )  # fmt: skip


def expand(program: ir.Program, path: Path, stops: Sequence[Sequence[int]]) -> FineTrace:
    """Re-execute a path as fine steps (see :class:`Expander`)."""
    return Expander(program, stops).expand(path)

"""The one function that executes a counterexample again, step by step.

Nothing is shown, saved or reported that has not passed through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..explore.errors import InternalError
from ..explore.interpret import ENDED, Interpreter, State, StepResult, Violation, eval_expr
from ..lang import ir
from .errors import DataError
from .record import Broken, Step, Trace
from .within import within


@dataclass(frozen=True, slots=True)
class Decision:
    """Who makes the next fine step, and how its choices fall."""

    thread: int
    choices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """One executed fine step; where a violation ended it, ``after`` is how far it came."""

    thread: int
    choices: tuple[int, ...]
    nodes: tuple[int, ...]
    before: State
    after: State
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """An executed trace."""

    program: ir.Program
    start: int
    initial: State
    moments: tuple[Moment, ...]

    @property
    def final(self) -> State:
        return self.moments[-1].after if self.moments else self.initial

    @property
    def violation(self) -> Violation | None:
        """The violation that the last step ran into, if one did."""
        return self.moments[-1].violation if self.moments else None


# How many states are looked at to refute that a thread can never finish.
_LOOK_AHEAD = 3000


class Divergence(Exception):
    """The model does not do what was asked of it; ``step`` counts from 1, 0 is the start."""

    def __init__(self, step: int, message: str) -> None:
        super().__init__(f"step {step}: {message}")
        self.step, self.message = step, message


def execute(program: ir.Program, start: int, decisions: Iterable[Decision]) -> Replay:
    """Execute decisions from the ``start``-th initial state."""
    interpreter = Interpreter(program)
    initial = _initial(interpreter, start)
    return Replay(program, start, initial, tuple(_moments(interpreter, initial, decisions)))


def _initial(interpreter: Interpreter, start: int) -> State:
    states = interpreter.run_setup()
    if not 0 <= start < len(states):
        raise Divergence(0, f"there is no initial state {start}")
    return states[start]


def _moments(
    interpreter: Interpreter, state: State, decisions: Iterable[Decision]
) -> Iterator[Moment]:
    """Execute decision after decision; each moment is told before the next one is tried."""
    program = interpreter.program
    violated = False
    for number, decision in enumerate(decisions, start=1):
        if violated:
            raise Divergence(number, "goes on behind a violation")
        if not 0 <= decision.thread < len(program.threads):
            raise Divergence(number, f"there is no thread {decision.thread}")
        result = _outcome(interpreter, state, decision, number)
        violated = result.violation is not None
        after = result.state
        if after is None:
            nodes = result.executed
            *_, (_, after) = within(program, decision.thread, state, nodes, result.choices)
        yield Moment(
            decision.thread, result.choices, result.executed, state, after, result.violation
        )
        state = after


def _outcome(
    interpreter: Interpreter, state: State, decision: Decision, number: int
) -> StepResult:
    name = interpreter.program.threads[decision.thread].name
    try:
        results = interpreter.fine_step(state, decision.thread)
    except InternalError as error:
        raise Divergence(number, str(error)) from None
    for result in results:
        if result.choices == decision.choices:
            return result
    if not results:
        raise Divergence(number, f"{name} cannot take a step here")
    raise Divergence(number, f"{name} has no choice {list(decision.choices)} here")


# -------------------------------------------------------------------- to and from a file


def record(
    replay: Replay, broken: Broken, *, model: str, scenario: str, scenario_text: str
) -> Trace:
    """The trace to keep of an executed counterexample."""
    program = replay.program
    return Trace(
        model=model,
        scenario=scenario,
        scenario_text=scenario_text,
        variant=program.variant,
        fixes=program.fixes,
        parameters=dict(program.parameters),
        initial=replay.start,
        initial_state=replay.initial.digest(),
        steps=tuple(_step(program, moment) for moment in replay.moments),
        broken=broken,
    )


def _step(program: ir.Program, moment: Moment) -> Step:
    thread = program.threads[moment.thread]
    lines: dict[int, None] = {}
    for node in moment.nodes:
        lines.update(dict.fromkeys(thread.code[node].where.lines))
    return Step(
        thread=thread.name,
        node=moment.before.threads[moment.thread].pc,
        choices=moment.choices,
        lines=tuple(lines),
        state="" if moment.violation is not None else moment.after.digest(),
    )


def reexecute(program: ir.Program, trace: Trace, file: str) -> Replay:
    """Execute a stored trace; refuse it unless every step and the violation come out the same."""
    indices = {thread.name: thread.index for thread in program.threads}
    decisions = []
    for number, step in enumerate(trace.steps, start=1):
        if step.thread not in indices:
            raise _refused(file, number, f"the scenario has no thread {step.thread!r}")
        decisions.append(Decision(indices[step.thread], step.choices))
    if dict(program.parameters) != trace.parameters:
        raise DataError(file, "parameters", "differ from the scenario's: the trace was edited")
    interpreter = Interpreter(program)
    moments: list[Moment] = []
    try:
        initial = _initial(interpreter, trace.initial)
        if initial.digest() != trace.initial_state:
            raise Divergence(0, "another initial state")
        for moment in _moments(interpreter, initial, decisions):
            moments.append(moment)
            if _step(program, moment) != trace.steps[len(moments) - 1]:
                raise Divergence(len(moments), "the model does something else here")
    except Divergence as error:
        raise _refused(file, error.step, error.message) from None
    replay = Replay(program, trace.initial, initial, tuple(moments))
    problem = disproved(replay, trace.broken)
    if problem:
        raise DataError(file, "violation", f"is not what the trace shows: {problem}")
    return replay


def _refused(file: str, number: int, message: str) -> DataError:
    key = f"steps[{number - 1}]" if number else "initial"
    return DataError(
        file, key, f"{message}: the trace was edited, or made by another version of the model"
    )


def disproved(replay: Replay, broken: Broken) -> str:
    """Why an executed trace does not break what it should; empty when it does."""
    program = replay.program
    found = replay.violation
    if found is not None:
        thread = program.threads[found.thread]
        if found.property != broken.property:
            return f"it breaks {found.property}"
        if (found.message, thread.name) != (broken.message, broken.thread):
            return f"{thread.name}: {found.message}"
        if thread.code[found.instr].where.lines != broken.lines:
            return f"it breaks at other lines, {list(thread.code[found.instr].where.lines)}"
        return ""
    for invariant in program.invariants:
        if invariant.name == broken.property and _fails(replay, invariant):
            return ""
    if any(invariant.name == broken.property for invariant in program.invariants):
        return "the invariant holds in the last state"
    if broken.property == "deadlock":
        if enabled(program, replay.final):
            return "some thread can still take a step"
        return "" if unfinished(program, replay.final) else "every thread has finished"
    if broken.property == "progress":
        return _can_finish(program, replay.final, broken.message)
    return f"nothing in the last state breaks {broken.property}"


def _fails(replay: Replay, invariant: ir.Invariant) -> bool:
    state = replay.final
    if eval_expr(invariant.test, state):
        return False
    terminal = not enabled(replay.program, state)
    return terminal if invariant.terminal_only else bool(eval_expr(invariant.when, state)) or \
        terminal


def _can_finish(program: ir.Program, state: State, message: str) -> str:
    """Look for a continuation that finishes the thread the message names, up to a bound."""
    names = [t for t in unfinished(program, state) if message.startswith(f"{t.name} ")]
    if not names:
        return "the thread has finished"
    thread = names[0].index
    interpreter = Interpreter(program)
    seen = {state}
    todo = [state]
    while todo and len(seen) < _LOOK_AHEAD:
        here = todo.pop()
        for other in program.threads:
            for result in interpreter.fine_step(here, other.index):
                after = result.state
                if after is None or after in seen:
                    continue
                if after.threads[thread].pc == ENDED:
                    return f"{names[0].name} can still finish"
                seen.add(after)
                todo.append(after)
    return ""


def enabled(program: ir.Program, state: State) -> list[int]:
    """The threads that can take a step."""
    interpreter = Interpreter(program)
    return [t.index for t in program.threads if interpreter.fine_step(state, t.index)]


def unfinished(program: ir.Program, state: State) -> Sequence[ir.Thread]:
    """The threads that have work and have not ended."""
    return [
        thread
        for thread in program.threads
        if not thread.daemon and state.threads[thread.index].pc != ENDED
    ]

"""Running small models step by step, and looking at what they leave behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from genfscheck.checker.explore.interpret import ENDED, Interpreter, State, StepResult, Violation
from genfscheck.checker.explore.layout import Layout
from genfscheck.checker.explore.result import Result
from genfscheck.checker.lang import ir


class Run:
    """One execution: the caller says whose step is next."""

    def __init__(self, program: ir.Program, initial: int = 0) -> None:
        self.program = program
        self.interpreter = Interpreter(program)
        self.state: State = self.interpreter.run_setup()[initial]
        self.violation: Violation | None = None

    def ways(self, thread: int = 0) -> list[StepResult]:
        """The outcomes of the thread's next step: none where it waits or has ended."""
        return self.interpreter.fine_step(self.state, thread)

    def step(self, thread: int = 0, choice: int = 0) -> None:
        """Take one of the thread's next steps."""
        result = self.ways(thread)[choice]
        self.violation = result.violation
        if result.state is not None:
            self.state = result.state

    def finish(self, thread: int = 0) -> int:
        """Run a thread until it waits, ends or fails, first choices only; count its steps."""
        steps = 0
        while self.violation is None and self.ways(thread):
            self.step(thread)
            steps += 1
            assert steps < 1000
        return steps

    def ended(self, thread: int = 0) -> bool:
        return self.state.threads[thread].pc == ENDED

    def values(self, name: str) -> tuple[int, ...]:
        """The elements of a shared variable."""
        numbers = [n for n, var in enumerate(self.program.shared) if var.name == name]
        return self.state.shared[numbers[0]]

    def value(self, name: str) -> int:
        (only,) = self.values(name)
        return only


def finished(program: ir.Program) -> Run:
    """Run a program of one thread to its end."""
    run = Run(program)
    run.finish()
    assert run.violation is None, run.violation
    assert run.ended()
    return run


def failure(program: ir.Program) -> str:
    """The property that a program of one thread violates; empty when it ends well."""
    run = Run(program)
    run.finish()
    return run.violation.property if run.violation else ""


@dataclass
class Everything:
    """All that can be reached by fine steps."""

    states: set[State]
    failed: set[str] = field(default_factory=set)
    terminal: set[State] = field(default_factory=set)


def everything(program: ir.Program) -> Everything:
    """Search all fine states with the interpreter."""
    interpreter = Interpreter(program)
    found = Everything(set(interpreter.run_setup()))
    todo = list(found.states)
    while todo:
        state = todo.pop()
        ways = [
            way
            for thread in range(len(program.threads))
            for way in interpreter.fine_step(state, thread)
        ]
        if not ways:
            found.terminal.add(state)
        for way in ways:
            if way.violation is not None:
                found.failed.add(way.violation.property)
            elif way.state is not None and way.state not in found.states:
                found.states.add(way.state)
                todo.append(way.state)
    return found


def kept(program: ir.Program, result: Result) -> set[State]:
    """The states that a search kept."""
    assert result.kept is not None
    layout = Layout(program, result.stops)
    return {layout.decode(state) for state in result.kept}

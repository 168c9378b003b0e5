"""Exhaustive search by the interpreter alone, and the comparisons that tests make."""

from __future__ import annotations

from dataclasses import dataclass, field

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.interpret import ENDED, Interpreter, State
from genfscheck.checker.explore.layout import Layout
from genfscheck.checker.explore.result import Result
from genfscheck.checker.lang import ir


@dataclass
class Exhausted:
    """Everything there is: states, transitions, failed checks, terminal states."""

    states: set[State]
    transitions: int = 0
    failed: set[str] = field(default_factory=set)
    terminal: set[State] = field(default_factory=set)


def exhaust(program: ir.Program) -> Exhausted:
    """Search every fine state with the interpreter."""
    interpreter = Interpreter(program)
    result = Exhausted(set(interpreter.run_setup()))
    todo = list(result.states)
    while todo:
        state = todo.pop()
        enabled = False
        for thread in range(len(program.threads)):
            for step in interpreter.fine_step(state, thread):
                enabled = True
                result.transitions += 1
                if step.violation is not None:
                    result.failed.add(step.violation.property)
                elif step.state not in result.states:
                    assert step.state is not None
                    result.states.add(step.state)
                    todo.append(step.state)
        if not enabled:
            result.terminal.add(state)
    return result


def decoded(program: ir.Program, result: Result) -> set[State]:
    """The states that a search kept."""
    assert result.kept is not None
    layout = Layout(program, result.stops)
    return {layout.decode(state) for state in result.kept}


def at_stops(states: set[State], stops: list[list[int]]) -> set[State]:
    """The states in which every thread is at one of its stops or has ended."""
    sets = [set(row) for row in stops]
    return {
        state
        for state in states
        if all(
            thread.pc == ENDED or thread.pc in sets[number]
            for number, thread in enumerate(state.threads)
        )
    }


def causes(result: Result) -> set[tuple[object, ...]]:
    """What was violated, as far as it must not depend on the granularity."""
    found: set[tuple[object, ...]] = set()
    for one in result.violations:
        if one.kind == "deadlock":
            found.add((one.kind, one.message, one.lines))
        elif one.kind == "check":
            found.add((one.kind, one.property, one.lines))
        else:
            found.add((one.kind, one.property))
    return found


def both(program: ir.Program) -> tuple[Result, Result]:
    """A fine and a reduced search that kept their states."""
    return (
        explore(program, granularity="fine", keep_states=True),
        explore(program, keep_states=True),
    )

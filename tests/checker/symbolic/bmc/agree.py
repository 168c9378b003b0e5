"""A symbolic search beside an explicit one: the same states, the same verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from genfscheck.checker.explore.interpret import Interpreter, State, ThreadState
from genfscheck.checker.explore.result import Result
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import INPUT
from genfscheck.checker.symbolic.bmc.begin import concrete, memory
from genfscheck.checker.symbolic.bmc.concrete import schedule
from genfscheck.checker.symbolic.bmc.follow import Follower
from genfscheck.checker.symbolic.bmc.run import Bounded

from ...explore.build import Code, const, number, op, shared


def chooses(made: ir.Program, options: dict[int, tuple[int, ...]]) -> ir.Program:
    """The program with first elements of shared variables chosen by the setup, as inputs."""
    code = Code("setup")
    for var, values in options.items():
        which = code.local(f"choice{var}", number(len(values) - 1))
        code.add(ir.Choose(which, const(len(values)), f"{INPUT}{made.shared[var].name}"))
        value: ir.Expr = const(values[-1])
        for at in range(len(values) - 2, -1, -1):
            value = ir.Cond(op("==", which, at), const(values[at]), value)
        code.add(ir.Assign(shared(var), value))
    return replace(made, setup=code.thread())


def assignments(result: Bounded) -> Iterator[dict[int, int]]:
    ranges = [range(one.count) for one in result.guards.inputs]
    for values in product(*ranges):
        yield dict(enumerate(values))


def states(result: Bounded) -> set[State]:
    """All that a symbolic search's states stand for."""
    assert result.search is not None
    interpreter = Interpreter(result.program)
    found: set[State] = set()
    for inputs in assignments(result):
        for entry in result.search.entries.values():
            if not result.guards.holds(entry.seen, inputs):
                continue
            threads = []
            for thread, node, local in zip(
                result.program.threads, entry.nodes, entry.locals, strict=True
            ):
                rows, at = [], 0
                for declared in thread.locals:
                    cells = local[at : at + declared.length]
                    rows.append([concrete(cell, result.guards, inputs) for cell in cells])
                    at += declared.length
                threads.append(
                    ThreadState(node, interpreter.canonical(thread.index, node, rows))
                )
            shared_ = memory(result.program, entry.shared, result.guards, inputs)
            found.add(State(shared_, tuple(threads)))
    return found


def followed(result: Bounded) -> set[tuple[str, tuple[int, ...]]]:
    """Every candidate as the interpreter reports it: property and lines."""
    follower = Follower(result.program)
    return {
        (found.property, found.lines)
        for found in (
            follower.found(schedule(result.program, result.guards, one))
            for one in result.candidates
        )
    }


def reported(result: Result) -> set[tuple[str, tuple[int, ...]]]:
    return {(found.property, found.lines) for found in result.violations}


__all__ = ["assignments", "chooses", "followed", "reported", "states"]

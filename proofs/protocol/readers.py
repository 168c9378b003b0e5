"""Sets of threads in reader/writer locks, as one other thread sees its own bit of them.

Beside the executing thread's bit, which ``locks.py`` follows, that of one other thread
(:data:`OTHER`, any other) is followed.  Between two units the executing thread keeps of it what it
relies upon itself (``LockRules._hand_over``): nobody's lock is taken away; who waits goes on
waiting until the lock is given to it; and a lock that has a writer has no reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import z3

from ...checker.lang import ir
from ...checker.symbolic.obligations import NOBODY, State
from ...checker.symbolic.rules import Rules
from ...checker.symbolic.values import BITS, Value, as_bits, as_bool
from ...checker.symbolic.view import Execution

RWLOCKS: Final = ("vnodes.g_glock", "vnodes.v_lock", "mount.wl_rwlock")
SETS: Final = ("readers", "waiting_readers", "waiting_writers")
# The other thread; the bits of thread 0 (who executes), nobody and it are exact.
OTHER: Final = 2


def others(lock: str, part: str) -> str:
    """Where the view keeps the other thread's bit."""
    return f"{lock}.{part} other"


def exclusive(state: State, lock: str, kind: str = "S") -> z3.BoolRef:
    """Who writes excludes readers; ``kind``: "G" when the unit began."""
    return z3.Or(state[kind, f"{lock}.writer"] == NOBODY, z3.Not(z3.Or(
        as_bool(state[kind, f"{lock}.readers"]), as_bool(state[kind, others(lock, "readers")]))))


# What does not last from one unit to the next.
PASSING: Final = frozenset(others(lock, part) for lock in RWLOCKS for part in SETS)


def interfere(execution: ReadersExecution) -> None:
    """Others' bits may have changed: of the locks that the unit which begins here looks at."""
    for lock in execution.touched():
        for part in SETS:
            execution.state["S", others(lock, part)] = execution.truth(others(lock, part))
        execution.facts.append(exclusive(execution.state, lock))


def writes(execution: Execution, lock: str, value: Value) -> None:
    """The lock's writer is about to be this one.

    Handing over is compiled with one thread, for which the lock is free then: see README.
    """
    released = z3.is_int_value(value) and value.as_long() == NOBODY
    if not released or execution.thread.code[execution.node].where.routine == "_rw_hand_over":
        read = (f"{lock}.readers", others(lock, "readers"))
        execution.oblige(
            "guarantee", f"{lock}.writer",
            z3.Not(z3.Or([as_bool(execution.state["S", name]) for name in read])),
            "a lock is given to a writer, and has readers",
        )  # fmt: skip


def unit(execution: Execution) -> None:
    for lock in RWLOCKS:
        for key in _keys(lock):
            execution.state["G", key] = execution.state["S", key]


def guarantee(execution: Execution) -> None:
    """What the unit so far owes the other thread."""
    state = execution.state
    for lock in RWLOCKS:
        if all(state["G", key].eq(state["S", key]) for key in _keys(lock)):
            continue
        for text, formula in _owed(state, lock):
            execution.oblige("guarantee", f"{lock}.readers", formula, text)


def _keys(lock: str) -> Iterator[str]:
    yield f"{lock}.writer"
    yield f"{lock}.readers"
    for part in SETS:
        yield others(lock, part)


def _owed(state: State, lock: str) -> Iterator[tuple[str, z3.BoolRef]]:
    was, waited_to_read, waited_to_write = (
        as_bool(state["G", others(lock, part)]) for part in SETS)
    reads, waits_to_read, waits_to_write = (
        as_bool(state["S", others(lock, part)]) for part in SETS)
    wrote, writes = (state[kind, f"{lock}.writer"] == OTHER for kind in ("G", "S"))
    # (A unit that does not look at the lock was not told that it is so: :func:`interfere`.)
    yield "a lock has a writer and readers", z3.Implies(
        exclusive(state, lock, "G"), exclusive(state, lock))
    yield "a reader is thrown out", z3.Implies(was, reads)
    yield "a lock is taken from its holder", z3.Implies(wrote, writes)
    yield "a lock is given to who does not wait for it", z3.And(
        z3.Implies(z3.And(reads, z3.Not(was)), waited_to_read),
        z3.Implies(z3.And(writes, z3.Not(wrote)), waited_to_write))
    yield "who waits for a lock is forgotten", z3.And(
        waits_to_read == z3.And(waited_to_read, z3.Not(z3.And(reads, z3.Not(was)))),
        waits_to_write == z3.And(waited_to_write, z3.Not(z3.And(writes, z3.Not(wrote)))))


class ReadersExecution(Execution):
    """Follows the other thread's bits through loads and stores."""

    def __init__(self, program: ir.Program, rules: Rules) -> None:
        super().__init__(program, rules)
        self._touched: dict[int, list[str]] = {}

    def _initial(self) -> None:
        super()._initial()
        for lock in RWLOCKS:
            for part in SETS:
                self.state["S", others(lock, part)] = self.truth(others(lock, part))
            self.facts.append(exclusive(self.state, lock))

    def touched(self) -> list[str]:
        """The locks that the unit which begins at the present statement reads or changes."""
        if self.node not in self._touched:
            names = {self.program.shared[number].name.rpartition(".")[0]
                     for number in self._shared(self.node)}
            self._touched[self.node] = [lock for lock in RWLOCKS if lock in names]
        return self._touched[self.node]

    def _shared(self, start: int) -> Iterator[int]:
        """The shared variables of a unit."""
        left, seen = [start], {start}
        while left:
            instr = self.thread.code[left.pop()]
            yield from (each.var for each in ir.accesses(instr.action))
            for target in instr.successors():
                if target not in seen and not self.thread.code[target].fine_stop:
                    seen.add(target)
                    left.append(target)

    def _set(self, var: int) -> tuple[str, str] | None:
        """The lock and the part, if the variable is such a set."""
        lock, _, part = self.program.shared[var].name.rpartition(".")
        return (lock, part) if lock in RWLOCKS and part in SETS else None

    def eval(self, expr: ir.Expr) -> Value:
        value = super().eval(expr)
        match expr:
            case ir.Shared(var) if (found := self._set(var)) is not None:
                self._bit(value, OTHER, as_bool(self.state["S", others(*found)]))
            case ir.Binary("<<", ir.Const(1), amount) if not isinstance(amount, ir.Const):
                # The set of one thread.
                which = self.eval(amount)
                value = self.new("set", z3.BitVecSort(BITS))
                for thread in range(OTHER + 1):
                    self._bit(value, thread, which == thread)
        return value

    def _bit(self, word: Value, number: int, truth: z3.BoolRef) -> None:
        self.facts.append((z3.Extract(number, number, word) == 1) == truth)

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        match instr.action:
            case ir.Assign(ir.Shared(var), value) if (found := self._set(var)) is not None:
                word = as_bits(self, self.eval(value))
                result = super()._step(instr)
                self.state["S", others(*found)] = z3.Extract(OTHER, OTHER, word) == 1
                return result
        return super()._step(instr)

"""Counters: each is the sum of what threads, buffers and pages add to it.

A thread has a *ledger* for each counter: what it has added to the counter and not passed on.
When a step changes the counter, or what a buffer or page adds to it, the ledger changes so
that counter - ledger - additions stays as it was, by construction.  So the counter is at all
times the sum of all ledgers and additions, which are not negative; what is proved is that
ledgers are never negative between steps, and empty where a thread ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import z3

from ...checker.lang import ir
from ...checker.symbolic.contracts import KINDS, arguments
from ...checker.symbolic.obligations import FOCUS, ME, NOBODY, Atoms, Treatment
from ...checker.symbolic.values import Value, as_bool, as_int
from ...checker.symbolic.view import Execution
from .contract import Args
from .contracts import CONTRACTS
from .counter_loops import STARTS, made, of_reading, read_so_far, starting
from .counter_steps import CounterSteps
from .ledgers import ARRAYS, GENERATION, LEDGERS, LOCKED, OUTPUT, PAGES, WRITES, Role
from .locks import CALLED
from .page import IL
from .tickets import BUFFER, GHOSTS, Buffer, both
from .variables import Variables

CHECKS: Final = ("claim-8-counters", *KINDS)
PROVED: Final = (
    "biodone twice", "more is done than was asked for", "a buffer is freed that the device has",
    "an array is freed that was not allocated", "vwakeup: negative v_numoutput",
)  # fmt: skip
HEAP = 2  # of Pgs
ROLES: Final[Mapping[str, Role]] = {
    "of_gop_write": "starts", "of_gop_write_rwmap": "starts", "of_io": "starts",
    "of_read_loop": "starts",
    "device": "device", "disk": "disk", "aiodone": "finishes",
}  # fmt: skip
# Whose contracts stand for them in getpages and putpages.
WRITING: Final = ("genfs_gop_write", "genfs_gop_write_rwmap")
PARTS: Final = {"call_getpages": ("_io",), "call_putpages": WRITING, "of_io": ("_read_loop",)}
PARAMETERS: Final = (
    ("METADATA", 1), ("NBUFS", 3), ("NPAGES", 2), ("PAGEDAEMON", 1), ("RWMAP", 0),
    ("SHOULD_YIELD", 1), ("WAPBL", 1),
)  # fmt: skip
RWMAP: Final = tuple(dict(PARAMETERS, RWMAP=1).items())
SIZES: Final = (
    "any number of threads, pages and buffers; with a journal; without DEBUG; blocks as large as a "
    "page; one file"
)
NAME: Final = "protocol-counters"
STATEMENT: Final = (
    "v_numoutput is the number of writes that are counted and not done, as long as the completion "
    "thread has not finished a master counted once more, so it is never negative and no buffer is "
    "done twice; uo_npages is the number of pages, g_dirtygen only grows, an array from the heap "
    "is freed by who has it, once; no thread releases the object lock between making pages busy "
    "to write them and counting the write"
)


class CounterRules(CounterSteps):
    """Contracts, what others may do, and what the thread owes them."""

    def treat(self, check: ir.Check) -> Treatment:
        if check.name in KINDS:
            return "contract"
        if check.message in PROVED:
            return "prove"
        return "assume" if check.name in ("kassert", "panic", "lock-discipline") else "ignore"

    def other(self, execution: Execution, name: str) -> Value | None:
        # What the thread gets is the focus, or, when it has that, the latest one.
        return z3.BoolVal(True) if name == "bufs.live" else None

    # -------------------------------------------------------------------- contracts

    def changes(self, execution: Execution, check: ir.Check) -> tuple[list[int], list[str]]:
        buffer = BUFFER if self.transfers else ()
        return [], [IL, *LEDGERS, *buffer]

    def contract(self, execution: Execution, check: ir.Check) -> None:
        """A write begins with two tickets (with the fix), a read with none; both end with none."""
        state, write = execution.state, check.message in WRITING
        args = Args(CONTRACTS[check.message].arguments, arguments(execution, check))
        begins = z3.And(
            z3.Not(self._held(execution)),
            self._ledger(execution, OUTPUT) == (2 if write and self.counted else 0),
        )
        if check.name == "requires":
            if write and self.counted:
                state["S", OUTPUT] = z3.IntVal(2)
                state["S", WRITES] = z3.BoolVal(True)
            execution.assume(z3.Not(self._held(execution)))
            execution.facts.extend(self._known(execution))
            if check.message == "_read_loop":
                self._begins(execution, args)
        elif check.name == "ensures":
            if check.message == "_read_loop":
                for text, formula in read_so_far(execution, args, self._waits):
                    execution.oblige("end", "_read_loop", formula, text)
            execution.oblige("end", IL, self._held(execution) == _locks(check, args),
                             "the object lock is not as callers think")
        else:
            execution.oblige("call", check.message, begins,
                             "a write that is not counted is started, or with the object lock")
            self.guarantee(execution)
            if check.message == "_read_loop":
                execution.oblige("call", "_read_loop", made(execution, args),
                                 "the buffer is not as the loop wants it")
                waits = both(state)[0].waited_for
                self._unknown(execution, "")
                state["S", "bufs.mine"] = execution.truth("bufs.mine")
            self.interfere(execution, frozenset({IL}))
            if check.message == "_read_loop":
                for _, formula in read_so_far(execution, args, waits):
                    execution.assume(formula)
            state["S", OUTPUT] = z3.IntVal(0)
            state["S", WRITES] = z3.BoolVal(False)
            state["S", IL] = z3.If(_locks(check, args), z3.IntVal(ME), state["S", IL])
            self.unit(execution)

    def _begins(self, execution: Execution, args: Args) -> None:
        """The loop begins: the thread has the master, of which nothing is under way."""
        self._unknown(execution, "")
        execution.state["S", "bufs.mine"] = z3.BoolVal(True)
        execution.facts.extend(self._known(execution))
        execution.assume(made(execution, args))
        self._waits = both(execution.state)[0].waited_for
        self.unit(execution)

    # ------------------------------------------------------------- rely and guarantee

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        state = execution.state
        held = self._held(execution)
        kept = z3.BoolVal(False) if IL in assigned else held
        for name in (GENERATION, *LEDGERS):
            shared = execution.program.shared[execution.names[name]]
            fresh = execution.fresh(name, shared.domain)
            state["S", name] = z3.If(kept, state["S", name], fresh) if name in LOCKED else fresh
        other = execution.new(IL, z3.IntSort())
        execution.facts.append(other >= NOBODY)
        state["S", IL] = z3.If(held, z3.IntVal(ME), other)
        if self.transfers:
            self._buffers(execution)
        execution.facts.extend(self._known(execution))

    def _buffers(self, execution: Execution) -> None:
        """Others complete what was started, and take what is let go."""
        state = execution.state
        then = dict(state)
        focus, latest = both(then)
        # Who is about to start a nested buffer has its parent too, for that cannot be done.
        pending = z3.And(latest.mine, latest.truth("live"), latest.number("parent") == FOCUS)
        for was, suffix, more in ((focus, "", pending), (latest, "@", z3.BoolVal(False))):
            if suffix == "@" and self.role == "finishes":
                continue
            self._unknown(execution, suffix)
            if not self._followed(was):
                continue
            now = Buffer(state, suffix)
            mine = z3.And(was.mine, z3.Or(was.right, more))
            state["S", f"bufs.mine{suffix}"] = mine
            kept = z3.And([formula for _, formula in now.kept(was)])
            execution.facts.append(z3.Implies(mine, kept))
            if self.role == "device" and suffix == "":
                with_device = z3.And(was.truth("live"), z3.Not(was.idle))
                execution.facts.append(z3.Implies(with_device, z3.And(*(
                    now.value(name) == was.value(name)
                    for name in (*BUFFER, "bufs.out", "bufs.taken")))))
            if self.role == "starts" and suffix == "":
                # It is the free one that the thread will get.
                state["S", "bufs.live"] = z3.And(mine, now.truth("live"))

    def unit(self, execution: Execution) -> None:
        state = execution.state
        for suffix in self._suffixes():
            for name in (*BUFFER, *GHOSTS):
                state["G", f"{name}{suffix}"] = state["S", f"{name}{suffix}"]

    def guarantee(self, execution: Execution) -> None:
        state = execution.state
        for ledger in LEDGERS.values():
            if z3.is_int_value(state["S", ledger]) and state["S", ledger].as_long() == 0:
                continue
            execution.oblige("guarantee", ledger, self._ledger(execution, ledger) >= 0,
                             "more is taken off a counter than was added to it")
        if self.role in ("device", "disk"):
            execution.oblige("guarantee", "given back", self._ledger(execution, OUTPUT) == 0,
                             "a write is done, and v_numoutput says that it is not")
        if not z3.is_int_value(state["S", PAGES]):
            execution.oblige("guarantee", PAGES, self._ledger(execution, PAGES) == 0,
                             "uo_npages is not the number of pages")
        old = {("S", name): value for (kind, name), value in state.items() if kind == "G"}
        for suffix in self._suffixes():
            names = [f"{name}{suffix}" for name in (*BUFFER, *GHOSTS)]
            if all(state["S", name].eq(old["S", name]) for name in names):
                continue
            now, then = Buffer(state, suffix), Buffer(old, suffix)
            changed = z3.BoolVal(True)
            if self.role not in ("device", "disk"):
                changed = z3.simplify(z3.Or(now.mine, then.mine))
                if z3.is_false(changed):
                    continue
            for text, formula in now.holds():
                execution.oblige("guarantee", f"buffer{suffix}", z3.Implies(changed, formula),
                                 text)
            if self.role in ("device", "disk"):
                relied = z3.And(then.truth("live"), z3.Or(then.right, now.number("out") > 0))
                for text, formula in now.kept(then):
                    execution.oblige("guarantee", f"another's{suffix}",
                                     z3.Implies(relied, formula), text)

    def read(self, execution: Execution, name: str, value: Value) -> None:
        pass

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None:
        pass

    # -------------------------------------------------------------------- invariants

    def hints(self, execution: Execution, assigned: frozenset[int]) -> Mapping[str, z3.BoolRef]:
        """What may hold at the heads of loops."""
        state = execution.state
        found = {f"nothing in {ledger}": self._ledger(execution, ledger) == 0
                 for ledger in LEDGERS.values()}
        found["nothing is about to be written"] = z3.Not(as_bool(state["S", WRITES]))
        names = {var.name for var in execution.thread.locals}
        local = Variables(execution, assigned)
        for name in ("_getpages.pgs_at", "pgs_at"):
            if name in names:
                found[f"an array as long as {name} says so"] = self._ledger(
                    execution, LEDGERS[ARRAYS]) == z3.If(local(name) == HEAP, 1, 0)
        if not self.transfers:
            return found
        found["has no buffer"] = z3.Not(both(state)[0].mine)
        if "_io.bytes_" in names:
            focus = both(state)[0]
            found["the buffer is as it was made"] = z3.And(
                focus.mine, of_reading(focus), focus.untouched,
                focus.number("b_resid") == local("_io.bytes_"),
                focus.truth("b_async") == local.truth("async_"))
            found["the buffer is done with"] = z3.And(
                focus.mine, of_reading(focus), focus.waited_for, focus.idle,
                focus.number("out") == 0, focus.share == 0)
        for routine, asynchronous, begin, writes in STARTS:
            if f"{routine}.bytes_" in names:
                waits = z3.Not(local.truth(asynchronous)) if asynchronous else self._waits
                found |= starting(execution, routine, waits, begin, writes)
        return found

    def atoms(self, execution: Execution) -> Atoms:
        return {"object lock": (self._held(execution), frozenset({IL}))}

    def about_focus(self, atom: str) -> bool:
        return False

    def placed(self, atom: str) -> bool:
        return False

    def end(self, execution: Execution) -> None:
        for name, ledger in LEDGERS.items():
            execution.oblige("end", name, self._ledger(execution, ledger) == 0,
                             "something was added to a counter and is not passed on")


def _locks(check: ir.Check, args: Args) -> z3.BoolRef:
    """Does the routine come back with the object lock?"""
    if check.message != "_io":
        return z3.BoolVal(False)
    return z3.And(z3.Not(args.truth("async")), args.number("error") == 0)


class CountExecution(Execution):
    """Names the buffer that the device chooses."""

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        result = super()._step(instr)
        match instr.action:
            case ir.Choose(ir.Local(var), _, "which buffer"):
                chosen = as_int(self, self.state["L", var])
                return [(target, z3.And(reach, chosen == FOCUS)) for target, reach in result]
        return result


def units(
    actors: Iterable[str],
) -> Iterator[tuple[str, tuple[tuple[str, int], ...], tuple[str, ...]]]:
    """Every routine, its parameters, and whose contracts it uses; ``actors``: all that call."""
    for routine in (*CALLED, *ROLES):
        yield routine, PARAMETERS, PARTS.get(routine, ())
    yield CALLED[1], RWMAP, PARTS[CALLED[1]]
    for routine in actors:
        yield routine, PARAMETERS, CALLED


def rules(routine: str, fixes: Iterable[str]) -> CounterRules:
    """The rules for a routine."""
    return CounterRules(
        ROLES.get(routine, "calls"), routine in CALLED, "count-before-unlock" in fixes
    )

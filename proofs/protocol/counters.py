"""Counters: each is the sum of what threads, buffers and pages add to it.

A thread has a *ledger* for each counter: what it has added to the counter and not passed on.
When a step changes the counter, or what a buffer or page adds to it, the ledger changes so
that counter - ledger - additions stays as it was, by construction.  So the counter is at all
times the sum of all ledgers and additions, which are not negative; what is proved is that
ledgers are never negative between steps, and empty where a thread ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import z3

from ...checker.lang import ir
from ...checker.symbolic.contracts import KINDS, arguments
from ...checker.symbolic.obligations import FOCUS, ME, NOBODY, Atoms, Treatment
from ...checker.symbolic.values import Value, as_bool, as_int
from ...checker.symbolic.view import Execution
from .contract import Args
from .contracts import CONTRACTS
from .locks import CALLED
from .page import IL, NULL_BUF
from .rules import Variables
from .tickets import (
    BUFFER,
    GHOSTS,
    LATEST,
    NO_CALL,
    QUEUED,
    SUFFIXES,
    WRITE,
    Buffer,
    both,
    nesting,
)

NUMOUTPUT, NPAGES, GENERATION = "vnodes.v_numoutput", "vnodes.uo_npages", "vnodes.g_dirtygen"
ARRAYS, INSIDE = "uvm.heap_arrays", "vnodes.inside"
LEDGERS: Final = {NUMOUTPUT: "ledger.output", NPAGES: "ledger.pages", ARRAYS: "ledger.arrays",
                  INSIDE: "ledger.inside"}
OUTPUT, PAGES = LEDGERS[NUMOUTPUT], LEDGERS[NPAGES]
# Changed under the object lock, over more than one step.
LOCKED: Final = (NUMOUTPUT, GENERATION)
# The thread has made pages busy to write them, and no buffer has them yet.
WRITES: Final = "writes"
CHECKS: Final = ("claim-8-counters", *KINDS)
PROVED: Final = (
    "biodone twice", "more is done than was asked for", "a buffer is freed that the device has",
    "an array is freed that was not allocated", "vwakeup: negative v_numoutput",
)  # fmt: skip
HEAP = 2  # of Pgs
# Loops that start the transfers of a master: the routine, whether it does not wait, where they
# begin, and whether they write.
STARTS: Final = (
    ("genfs_do_io", "genfs_do_io.async_", "genfs_do_io.startoffset", True),
    ("_read_loop", "", "startoffset", False),
)
# What a routine does with buffers: nothing but by calls; starts transfers; the device's work, by a
# thread for each buffer or one for all; or finishes them.
Role: TypeAlias = Literal["calls", "starts", "device", "disk", "finishes"]
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
    "any number of threads, pages and buffers; with a journal; blocks as large as a page; one file"
)
NAME: Final = "protocol-counters"
STATEMENT: Final = (
    "v_numoutput is the number of writes that are counted and not done, as long as the completion "
    "thread has not finished a master counted once more, so it is never negative and no buffer is "
    "done twice; uo_npages is the number of pages, g_dirtygen only grows, an array from the heap "
    "is freed by who has it, once; no thread releases the object lock between making pages busy "
    "to write them and counting the write"
)


class CounterRules:
    """The view: the object lock, counters, two buffers, and what the thread's ledgers say."""

    pools = frozenset({"pages", "bufs"})
    switches: frozenset[str] = frozenset()
    arrays = False
    exact = True
    passing = frozenset(f"{name}@" for name in (*BUFFER, *GHOSTS)) - {"bufs.mine@"}
    latest: Mapping[str, int] = {"bufs": LATEST}

    def __init__(self, role: Role, called: bool, counted: bool = False) -> None:
        """``called``: the routine begins with the object lock.

        ``counted``: a write is counted before the object lock is released.
        """
        self.role, self.called, self.counted = role, called, counted
        self.transfers = role != "calls"
        self._then: tuple[z3.ArithRef, ...] = ()
        self._parts: tuple[tuple[z3.ArithRef, z3.ArithRef], ...] = ()
        # Does the thread wait for the master that it began with?
        self._waits = z3.BoolVal(False)

    # --------------------------------------------------------------------- the view

    def tracked(self, var: ir.SharedVar) -> bool:
        return var.name in (IL, GENERATION, *LEDGERS) or (
            self.transfers and var.name in BUFFER)

    def set_bit(self, var: ir.SharedVar) -> bool:
        return False

    def entry(self, execution: Execution) -> None:
        state = execution.state
        for ledger in LEDGERS.values():
            state["S", ledger] = z3.IntVal(0)
        state["S", WRITES] = z3.BoolVal(False)
        for suffix in self._suffixes():
            self._unknown(execution, suffix)
            state["S", f"bufs.mine{suffix}"] = z3.BoolVal(False)
        if self.called:
            execution.assume(self._held(execution))
        else:
            execution.assume(z3.Not(self._held(execution)))
        if self.role == "device":
            (slot,) = (number for number, var in enumerate(execution.thread.locals)
                       if var.name == "slot")
            execution.assume(as_int(execution, state["L", slot]) == FOCUS)
        execution.facts.extend(self._known(execution))

    def _suffixes(self) -> tuple[str, ...]:
        return SUFFIXES if self.transfers else ()

    def _held(self, execution: Execution) -> z3.BoolRef:
        return execution.shared(IL) == ME

    def _unknown(self, execution: Execution, suffix: str) -> None:
        """Any buffer."""
        state = execution.state
        for name in BUFFER:
            domain = execution.program.shared[execution.names[name]].domain
            state["S", f"{name}{suffix}"] = execution.fresh(f"{name}{suffix}", domain)
        state["S", f"bufs.out{suffix}"] = execution.new("bufs.out", z3.IntSort())
        state["S", f"bufs.taken{suffix}"] = execution.truth("bufs.taken")

    def _known(self, execution: Execution) -> list[z3.BoolRef]:
        """What holds between two steps of the two buffers, and of the sums that they are in."""
        state = execution.state
        known = [each for each in both(state) if self._followed(each)] if self.transfers else []
        found = [formula for each in known for _, formula in each.holds()]
        if len(known) > 1:
            found.append(nesting(state))
        total = sum((each.tickets for each in known), self._ledger(execution, OUTPUT))
        found.append(execution.shared(NUMOUTPUT) >= total)
        for name in (ARRAYS, INSIDE):
            found.append(execution.shared(name) >= self._ledger(execution, LEDGERS[name]))
        if self.role in ("device", "disk"):
            # The latest one is the focus' parent, if it has one.
            parent = both(state)[0].number("parent")
            found.append(z3.Or(parent == NULL_BUF, parent == LATEST))
        return found

    def _followed(self, buffer: Buffer) -> bool:
        """Is anything known of the buffer?"""
        return buffer.suffix == "" or self.role in ("device", "disk") or not z3.is_false(
            z3.simplify(buffer.mine))

    def _ledger(self, execution: Execution, name: str) -> z3.ArithRef:
        value = execution.state["S", name]
        assert isinstance(value, z3.ArithRef)
        return value

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
                for text, formula in _read(execution, args, self._waits):
                    execution.oblige("end", "_read_loop", formula, text)
            execution.oblige("end", IL, self._held(execution) == _locks(check, args),
                             "the object lock is not as callers think")
        else:
            execution.oblige("call", check.message, begins,
                             "a write that is not counted is started, or with the object lock")
            self.guarantee(execution)
            if check.message == "_read_loop":
                execution.oblige("call", "_read_loop", _made(execution, args),
                                 "the buffer is not as the loop wants it")
                waits = both(state)[0].waited_for
                self._unknown(execution, "")
                state["S", "bufs.mine"] = execution.truth("bufs.mine")
            self.interfere(execution, frozenset({IL}))
            if check.message == "_read_loop":
                for _, formula in _read(execution, args, waits):
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
        execution.assume(_made(execution, args))
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

    # ------------------------------------------------------------------------ stores

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        state = execution.state
        if name in LEDGERS:
            ledger = LEDGERS[name]
            assert isinstance(value, z3.ArithRef)
            state["S", ledger] = self._ledger(execution, ledger) + value - execution.shared(name)
            if name == ARRAYS:
                execution.oblige("ledger", name, self._ledger(execution, ledger) >= 0,
                                 "an array is freed that the thread has not")
        if name in LOCKED:
            lock = execution.shared(IL)
            execution.oblige("store", name, z3.Or(lock == ME, lock == NOBODY),
                             f"{name} is stored to without the object lock")
        if name == GENERATION:
            assert isinstance(value, z3.ArithRef)
            execution.oblige("store", "grows", value > execution.shared(name),
                             "g_dirtygen does not grow")
        if name == "pages.live":
            taken = z3.is_true(z3.simplify(as_bool(value)))
            state["S", PAGES] = self._ledger(execution, PAGES) + (-1 if taken else 1)
        if name == "pages.owner" and _in(execution, "_cluster"):
            state["S", WRITES] = z3.BoolVal(True)
        if name == IL and z3.is_int_value(value) and value.as_long() == NOBODY:
            execution.oblige("release", "counted", z3.Or(
                z3.Not(as_bool(state["S", WRITES])), self._ledger(execution, OUTPUT) >= 2),
                "the object lock is released before a write is counted")  # fmt: skip
        if name in BUFFER:
            if not self.transfers:
                raise ValueError(f"{execution.thread.name} stores to {name}: give it a role")
            self._store(execution, name, focus, value)

    def _store(
        self, execution: Execution, name: str, focus: z3.BoolRef, value: Value
    ) -> None:
        """A buffer is changed: one that is followed, and by its thread."""
        state = execution.state
        latest = self._is_latest(execution)
        one, two = both(state)
        execution.oblige("buffer", name, z3.Or(focus, latest),
                         "a buffer is changed that is not followed")
        if name == "bufs.live" and z3.is_true(z3.simplify(as_bool(value))):
            for which, each in ((focus, one), (latest, two)):
                execution.oblige("buffer", "taken", z3.Implies(which, z3.Not(each.truth("live"))),
                                 "a buffer is taken that is in use")
                execution.assume(z3.Implies(which, each.clean))
                mine = f"bufs.mine{each.suffix}"
                state["S", mine] = z3.Or(each.mine, which)
        elif self.role not in ("device", "disk"):
            for which, each in ((focus, one), (latest, two)):
                execution.oblige("buffer", name, z3.Implies(which, z3.And(each.mine, each.idle)),
                                 "a buffer of another is changed")
        if name == "bufs.dev" and z3.is_int_value(value) and value.as_long() == QUEUED:
            for which, each in ((focus, one), (latest, two)):
                execution.oblige("buffer", "whole", z3.Implies(
                    z3.And(which, z3.Not(each.nested)),
                    z3.And(each.truth("live"), each.untouched)),
                    "the device is given a buffer of which something is under way")  # fmt: skip
        self._then = (one.tickets, two.tickets)
        self._parts = ((one.part, one.number("parent")), (two.part, two.number("parent")))

    def _is_latest(self, execution: Execution) -> z3.BoolRef:
        action = execution.thread.code[execution.node].action
        assert isinstance(action, ir.Assign) and isinstance(action.target, ir.Shared)
        return z3.simplify(as_int(execution, execution.eval(action.target.index)) == LATEST)

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name not in BUFFER:
            return
        state = execution.state
        one, two = both(state)
        added = one.tickets + two.tickets - self._then[0] - self._then[1]
        state["S", OUTPUT] = z3.simplify(self._ledger(execution, OUTPUT) - added)
        parts = ((one.part, one.number("parent")), (two.part, two.number("parent")))
        for number, (buffer, other) in enumerate(((one, LATEST), (two, FOCUS))):
            (part, parent), (was, had) = parts[number], self._parts[number]
            changed = z3.If(parent == other, part, 0) - z3.If(had == other, was, 0)
            out = f"bufs.out{'@' if other == LATEST else ''}"
            state["S", out] = z3.simplify(self._ledger(execution, out) + changed)
            strange = z3.Or(z3.And(parent != other, part != 0), z3.And(had != other, was != 0))
            unchanged = z3.And(parent == had, part == was)
            if not z3.is_false(z3.simplify(z3.Not(unchanged))):
                execution.oblige("buffer", f"nested{buffer.suffix}",
                                 z3.Or(unchanged, z3.Not(strange)),
                                 "a buffer is nested in one that is not followed")
        if name == "bufs.dir":
            # From here on the buffer counts.
            state["S", WRITES] = z3.And(as_bool(state["S", WRITES]), z3.Not(z3.And(
                focus, one.number("dir") == WRITE)))
        if name == "bufs.live":
            for each in (one, two):
                state["S", f"bufs.mine{each.suffix}"] = z3.And(each.mine, each.truth("live"))
                # A buffer that is free again was taken by nobody.
                state["S", f"bufs.taken{each.suffix}"] = z3.And(
                    each.truth("taken"), each.truth("live"))

    def stored(self, execution: Execution, name: str, latest: z3.BoolRef, value: Value) -> None:
        pass

    def renamed(self, execution: Execution) -> None:
        """Another buffer is taken: the one taken last before it is one of the others now."""
        if self.role in ("device", "disk"):
            return  # it only looks
        state = execution.state
        for number, var in enumerate(execution.thread.locals):
            if var.domain.kind == "ref" and var.domain.pool.startswith("bufs") and not var.is_array:
                value = state["L", number]
                state["L", number] = z3.If(value == LATEST, z3.IntVal(0), value)
        execution.oblige("buffer", "nested", both(state)[0].number("parent") != LATEST,
                         "the parent of a buffer is not followed any more")
        self._unknown(execution, "@")
        state["S", "bufs.live@"] = state["S", "bufs.mine@"] = z3.BoolVal(False)
        for name in (*BUFFER, *GHOSTS):
            state["G", f"{name}@"] = state["S", f"{name}@"]

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        """The queue of the completion thread."""
        if name != "uvm.aiodone" or not self.transfers:
            return
        state = execution.state
        for number, each in ((FOCUS, both(state)[0]), (LATEST, both(state)[1])):
            here = node == number
            inside = z3.And(each.truth("live"), each.truth("done"), z3.Not(each.truth("taken")))
            mine = f"bufs.mine{each.suffix}"
            if insert:
                execution.oblige("buffer", "queued", z3.Implies(here, inside),
                                 "a buffer is queued that is not done, or was finished")
                state["S", mine] = z3.And(each.mine, z3.Not(here))
            elif number == FOCUS:
                execution.oblige("buffer", "one at a time", z3.And(
                    z3.Not(each.mine), self._ledger(execution, OUTPUT) == 0),
                    "a buffer is taken while another is not finished")  # fmt: skip
                execution.assume(z3.And(here, inside, z3.Not(each.nested)))
                was = each.tickets
                state["S", "bufs.taken"] = z3.BoolVal(True)
                state["S", mine] = z3.BoolVal(True)
                state["S", OUTPUT] = self._ledger(execution, OUTPUT) + was - each.tickets
        if insert:
            execution.oblige("buffer", "queued", z3.Or(node == FOCUS, node == LATEST),
                             "a buffer is queued that is not followed")

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
                focus.mine, _of_reading(focus), focus.untouched,
                focus.number("b_resid") == local("_io.bytes_"),
                focus.truth("b_async") == local.truth("async_"))
            found["the buffer is done with"] = z3.And(
                focus.mine, _of_reading(focus), focus.waited_for, focus.idle,
                focus.number("out") == 0, focus.share == 0)
        for routine, asynchronous, begin, writes in STARTS:
            if f"{routine}.bytes_" in names:
                waits = z3.Not(local.truth(asynchronous)) if asynchronous else self._waits
                found |= self._starting(execution, routine, waits, begin, writes)
        return found

    def _starting(
        self, execution: Execution, routine: str, wait: z3.BoolRef, begin: str, writes: bool
    ) -> Mapping[str, z3.BoolRef]:
        """Of the loop that starts the transfers of one master."""
        focus, _ = both(execution.state)
        local = Variables(execution)
        rest, skipped = local(f"{routine}.bytes_"), local(f"{routine}.skipbytes")
        hole = local(f"{routine}.iobytes")
        names = {var.name for var in execution.thread.locals}
        started = {f"{routine}: nothing is under way unless it was started": z3.Or(
            local.truth(f"{routine}.started"), focus.untouched, z3.Not(focus.mine)),
            f"{routine}: one page at least": local(f"{routine}.pcount") >= 1,
        } if f"{routine}.started" in names else {}
        return started | {
            f"{routine}: the share is what is left": focus.share == rest + skipped,
            f"{routine}: not less than nothing": z3.And(rest >= 0, skipped >= 0),
            f"{routine}: the share is what is left, but the hole": (
                focus.share == rest + skipped - hole),
            f"{routine}: a piece is something": hole > 0,
            f"{routine}: something is left": rest > 0,
            f"{routine}: skipped behind the begin": skipped <= (
                local(f"{routine}.offset") - local(begin)),
            f"{routine}: skipped behind the begin, but the hole": skipped - hole <= (
                local(f"{routine}.offset") - local(begin)),
            f"{routine}: nothing is started at the begin": z3.And(
                local(f"{routine}.offset") >= local(begin),
                z3.Or(local(f"{routine}.offset") > local(begin), focus.untouched)),
            f"{routine}: has the buffer": z3.Implies(
                z3.Or(focus.share > 0, wait), focus.mine),
            f"{routine}: the buffer is what it was made": z3.Implies(focus.mine, z3.And(
                focus.truth("live"), z3.Not(focus.nested), z3.Not(focus.truth("taken")),
                focus.truth("b_async") == z3.Not(wait),
                z3.Implies(wait, focus.number("b_iodone") == NO_CALL),
                (focus.number("dir") == WRITE) == z3.BoolVal(writes))),
        }

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


def _of_reading(buffer: Buffer) -> z3.BoolRef:
    """A master that is read into."""
    return z3.And(
        buffer.truth("live"), z3.Not(buffer.nested), z3.Not(buffer.truth("taken")),
        buffer.number("dir") != WRITE, z3.Or(buffer.waited_for, buffer.truth("b_async")),
    )  # fmt: skip


def _made(execution: Execution, args: Args) -> z3.BoolRef:
    """The master is the thread's, nothing of it is under way, and it has so many bytes."""
    focus = both(execution.state)[0]
    return z3.And(
        focus.mine, _of_reading(focus), focus.untouched, args.number("mbp") == FOCUS,
        focus.number("b_resid") == args.number("bytes"),
    )


def _read(
    execution: Execution, args: Args, waits: z3.BoolRef
) -> Iterator[tuple[str, z3.BoolRef]]:
    """The loop has ended: what it skipped is left to its caller."""
    focus, skipped = both(execution.state)[0], args.number("skipbytes")
    yield "less than nothing is skipped", skipped >= 0
    yield "the share is not what was skipped", focus.share == skipped
    yield "something is under way that was not started", z3.Or(
        args.truth("started"), focus.untouched, z3.Not(focus.mine))
    yield "the buffer is lost", z3.Implies(z3.Or(skipped > 0, waits), focus.mine)
    yield "the buffer is not what it was made", z3.Implies(focus.mine, z3.And(
        _of_reading(focus), waits == focus.waited_for))


class CountExecution(Execution):
    """Names the buffer that the device chooses."""

    def _step(self, instr: ir.Instr) -> list[tuple[int, z3.BoolRef]]:
        result = super()._step(instr)
        match instr.action:
            case ir.Choose(ir.Local(var), _, "which buffer"):
                chosen = as_int(self, self.state["L", var])
                return [(target, z3.And(reach, chosen == FOCUS)) for target, reach in result]
        return result


def _in(execution: Execution, routine: str) -> bool:
    stack = execution.thread.code[execution.node].where.stack
    return any(each.partition("@")[0] == routine for each in stack)


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

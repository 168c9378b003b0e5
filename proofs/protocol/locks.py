"""Lock discipline: what a thread holds, where it takes, releases, tries, sleeps and waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import z3

from ...checker.lang import ir
from ...checker.symbolic.values import Value, as_bool
from ...checker.symbolic.view import ME, NOBODY, Atoms, Execution, Treatment
from . import readers, waits
from .readers import RWLOCKS, SETS

MUTEXES = ("vnodes.interlock.owner", "uvm.pageqlock.owner")
LOCKS = (*(name.rpartition(".")[0] for name in MUTEXES), *RWLOCKS)
OWN = ("perthread.fstrans_count", "perthread.in_wapbl")
PROVED = ("lock-discipline", "claim-11-wapbl", "claim-11-fstrans")
# Of the contracts of getpages and putpages (checks around the calls), those about locks.
CONTRACT = {
    "called without the object lock", "called with locks of the file",
    "a lock or a transaction stays", "LOCKED, and the lock is gone",
    "returns with the object lock",
}  # fmt: skip

Enter = Callable[["LockRules", Execution], None]


class LockRules:
    """The view: locks of the executing thread, and its own counts of transactions."""

    pools: frozenset[str] = frozenset()
    switches = frozenset({"has_trans", "need_wapbl", "blockalloc"})
    arrays = False
    exact = False
    passing = readers.PASSING

    def __init__(
        self, enter: Enter, contract: bool = False, fixes: Iterable[str] = ()
    ) -> None:
        self.enter, self.contract, self.fixes = enter, contract, frozenset(fixes)

    def tracked(self, var: ir.SharedVar) -> bool:
        return (
            var.name in MUTEXES or var.name in OWN or var.name.rpartition(".")[0] in RWLOCKS
        )

    def set_bit(self, var: ir.SharedVar) -> bool:
        return var.name.rpartition(".")[2] in SETS

    def entry(self, execution: Execution) -> None:
        self.enter(self, execution)

    def treat(self, check: ir.Check) -> Treatment:
        if check.name in PROVED or check.message in CONTRACT:
            return "prove"
        return "assume" if check.name in ("kassert", "panic") else "ignore"

    def other(self, execution: Execution, name: str) -> Value | None:
        return None

    # ------------------------------------------------------------------------- locks

    def owns(self, execution: Execution, mutex: str) -> z3.BoolRef:
        return execution.shared(mutex) == ME

    def free(self, execution: Execution, lock: str) -> z3.BoolRef:
        """The thread neither holds nor waits for the reader/writer lock."""
        return z3.And(
            execution.shared(f"{lock}.writer") != ME,
            *(z3.Not(as_bool(execution.shared(f"{lock}.{part}")))
              for part in SETS),
        )  # fmt: skip

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        state = execution.state
        for name in MUTEXES:
            other = execution.new(name, z3.IntSort())
            execution.facts.append(other >= NOBODY)
            state["S", name] = z3.If(state["S", name] == ME, z3.IntVal(ME), other)
        for lock in RWLOCKS:
            self._hand_over(execution, lock)
        assert isinstance(execution, readers.ReadersExecution)
        readers.interfere(execution)

    def _hand_over(self, execution: Execution, lock: str) -> None:
        """Others may give it to this thread, if it waits; they do not take it away."""
        state = execution.state
        for kind in ("readers", "writers"):
            waiting = state["S", f"{lock}.waiting_{kind}"]
            given = z3.And(execution.truth("handed"), as_bool(waiting))
            state["S", f"{lock}.waiting_{kind}"] = z3.And(as_bool(waiting), z3.Not(given))
            if kind == "readers":
                state["S", f"{lock}.readers"] = z3.Or(as_bool(state["S", f"{lock}.readers"]), given)
                continue
            other = execution.new(lock, z3.IntSort())
            execution.facts.append(other >= NOBODY)
            state["S", f"{lock}.writer"] = z3.If(
                z3.Or(state["S", f"{lock}.writer"] == ME, given), z3.IntVal(ME), other
            )

    def unit(self, execution: Execution) -> None:
        readers.unit(execution)

    def guarantee(self, execution: Execution) -> None:
        readers.guarantee(execution)

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        if name in MUTEXES or name.endswith(".writer"):
            # Nobody's lock is taken away: the side condition of ``interfere``.
            old = execution.shared(name)
            execution.oblige("guarantee", name, z3.Or(old == NOBODY, old == ME),
                             "a lock is taken from its holder")
        lock, _, part = name.rpartition(".")
        if lock in RWLOCKS and part == "writer":
            readers.writes(execution, lock, value)

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        pass

    def read(self, execution: Execution, name: str, value: Value) -> None:
        pass

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        pass

    def held(self, execution: Execution) -> Iterator[tuple[str, z3.BoolRef]]:
        """Every lock, and whether the thread has it in any mode."""
        for name in MUTEXES:
            yield name.rpartition(".")[0], self.owns(execution, name)
        for lock in RWLOCKS:
            yield lock, z3.Or(execution.shared(f"{lock}.writer") == ME,
                              as_bool(execution.shared(f"{lock}.readers")))

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None:
        """Who waits for anything but a mutex holds no mutex; and the order of locks."""
        for each in ir.walk(wait.guard):
            if isinstance(each, ir.Shared):
                wanted = execution.program.shared[each.var].name.rpartition(".")[0]
                if wanted in LOCKS:
                    self._orders(execution, wanted, z3.BoolVal(True))
                    break
        other = waits.wanted(execution, wait)
        if other:
            self._orders(execution, other, waits.waits_for(execution, other))
        if wait.reason == "mutex":
            return
        for mutex in MUTEXES:
            execution.oblige("wait", mutex, z3.Not(self.owns(execution, mutex)),
                             f"waits for {wait.reason} with a mutex")

    def _orders(self, execution: Execution, wanted: str, really: z3.BoolRef) -> None:
        """What may be held meanwhile.  (Of pages by pages: lower offsets first, see README.)"""
        for lock, has in (*self.held(execution), *waits.held(execution)):
            if lock != wanted:
                execution.oblige("order", f"{lock} before {wanted}",
                                 z3.Not(z3.And(really, has)), f"waits for {wanted} and has {lock}")

    def atoms(self, execution: Execution) -> Atoms:
        found = {name: (self.owns(execution, name), frozenset({name})) for name in MUTEXES}
        for lock in RWLOCKS:
            about = frozenset(
                f"{lock}.{part}"
                for part in ("writer", "readers", "waiting_readers", "waiting_writers")
            )
            writer = execution.shared(f"{lock}.writer") == ME
            found[f"{lock} for writing"] = (writer, about)
            found[f"{lock} for reading"] = (as_bool(execution.shared(f"{lock}.readers")), about)
            found[f"{lock} not waited for"] = (z3.And(
                z3.Not(as_bool(execution.shared(f"{lock}.waiting_readers"))),
                z3.Not(as_bool(execution.shared(f"{lock}.waiting_writers")))), about)
        transaction = execution.shared("perthread.fstrans_count")
        entered = execution.entry.get(("S", "perthread.fstrans_count"), transaction)
        found["transactions as at entry"] = (transaction == entered,
                                             frozenset({"perthread.fstrans_count"}))
        found["transactions one more"] = (transaction == entered + 1,
                                          frozenset({"perthread.fstrans_count"}))
        found["journal"] = (as_bool(execution.shared("perthread.in_wapbl")),
                            frozenset({"perthread.in_wapbl"}))
        if ("S", waits.BUSY) in execution.state:
            found["owns no page"] = (
                z3.Not(as_bool(execution.state["S", waits.BUSY])), frozenset({waits.BUSY}))
        found["a transaction"] = (transaction > 0, frozenset({"perthread.fstrans_count"}))
        return found

    def about_focus(self, atom: str) -> bool:
        return atom == "owns no page"

    def placed(self, atom: str) -> bool:
        return False

    def end(self, execution: Execution) -> None:
        """Everything is as at entry, but the object lock where the contract says so."""
        now, then = execution.state, execution.entry
        for lock in RWLOCKS:
            kept = z3.And(
                (now["S", f"{lock}.writer"] == ME) == (then["S", f"{lock}.writer"] == ME),
                now["S", f"{lock}.readers"] == then["S", f"{lock}.readers"],
            )
            execution.oblige("end", lock, kept, "a lock is not as at entry")
        execution.oblige("end", "uvm.pageqlock", z3.Not(self.owns(execution, MUTEXES[1])),
                         "returns with the lock of the page queues")
        for name in OWN:
            execution.oblige("end", name, now["S", name] == then["S", name],
                             "a transaction is not as at entry")
        if not self.contract:
            execution.oblige("end", MUTEXES[0], z3.Not(self.owns(execution, MUTEXES[0])),
                             "ends with the object lock")


def names(execution: Execution) -> dict[str, int]:
    """The routine's arguments by name."""
    found: dict[str, int] = {}
    for number, var in enumerate(execution.thread.locals):
        found.setdefault(var.name, number)
    return found


def nothing_held(rules: LockRules, execution: Execution, *, but: Sequence[str] = ()) -> None:
    for mutex in MUTEXES:
        if mutex not in but:
            execution.assume(z3.Not(rules.owns(execution, mutex)))
    for lock in RWLOCKS:
        if lock not in but:
            execution.assume(rules.free(execution, lock))


CALLED = ("call_getpages", "call_putpages")
CHECKS = (*PROVED, "claim-11-getpages", "claim-11-putpages")
GLOCKHELD, JOURNALLOCKED, CLEANIT, NOBLOCKALLOC, LOCKED = 8192, 2048, 1, 1024, 32


def rules(routine: str, fixes: Iterable[str]) -> LockRules:
    """The rules for a routine: what its callers promise."""
    if routine in CALLED:
        return LockRules(_called, True, fixes)
    return LockRules(_begins, False, fixes)


def _begins(rules: LockRules, execution: Execution) -> None:
    """A thread begins: it holds nothing and is in no transaction."""
    nothing_held(rules, execution)
    execution.assume(execution.shared("perthread.fstrans_count") == 0)
    execution.assume(z3.Not(as_bool(execution.shared("perthread.in_wapbl"))))


def _called(rules: LockRules, execution: Execution) -> None:
    """getpages or putpages is called: ``services.py`` checks this of every caller."""
    number, state = names(execution), execution.state
    execution.assume(rules.owns(execution, MUTEXES[0]))
    execution.assume(z3.Not(rules.owns(execution, MUTEXES[1])))
    for lock in RWLOCKS:
        for part in ("waiting_readers", "waiting_writers"):
            execution.assume(z3.Not(as_bool(execution.shared(f"{lock}.{part}"))))
    held = as_bool(state["L", number.get("held", number.get("locked", -1))])
    flags = state["L", number["flags"]]
    execution.assume((execution.shared("vnodes.g_glock.writer") == ME) == held)
    execution.assume(z3.Not(as_bool(execution.shared("vnodes.g_glock.readers"))))
    transactions = execution.shared("perthread.fstrans_count")
    execution.assume(z3.And(transactions >= 0, transactions == state["L", number["depth"]]))
    journal = as_bool(execution.shared("perthread.in_wapbl"))
    execution.assume(z3.Implies(z3.Or(journal, held), transactions > 0))
    # Inside a journal transaction the thread has its lock as reader, else not at all.
    execution.assume(execution.shared("mount.wl_rwlock.writer") != ME)
    execution.assume(as_bool(execution.shared("mount.wl_rwlock.readers")) == journal)
    if "held" in number:
        if "glock-held" in rules.fixes:
            execution.assume(held == ((flags & GLOCKHELD) != 0))
        else:
            execution.assume(z3.Not(held))
        execution.assume(z3.Not(z3.And(held, (flags & LOCKED) != 0)))
        allocates = z3.And(as_bool(state["L", number["write"]]), (flags & NOBLOCKALLOC) == 0)
        execution.assume(z3.Not(z3.And(z3.Or(journal, held), allocates)))
    else:
        execution.assume(z3.Or(z3.Not(journal), (flags & JOURNALLOCKED) != 0,
                               (flags & CLEANIT) == 0))
        execution.assume(z3.Not(z3.And(held, (flags & CLEANIT) != 0)))

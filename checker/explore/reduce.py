"""Which steps may be merged: Lipton's movers, with assumptions that the search checks.

``docs/decisions/0001-reduction.md`` states the theorem and argues for every rule in here.
A unit is a both-mover, a right mover (it takes a lock), a left mover (it releases one) or
neither; a block is right movers, at most one other unit, left movers.  Three assumptions are
made and revised by :meth:`Reduction.learn`: code that was never executed does not exist; an
access to a record is made in the record's phase, and threads do not take records from each
other; a wait inside a block is never false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..lang import ir
from .asking import only_own, read_by
from .engine import Engine, Facts, fine_stops
from .intervals import Ranges
from .nesting import Lock, in_cycles
from .probe import every_check, probe
from .protect import Signature, Signed, conflict, exposed, protect
from .pygen import Checks
from .result import Race
from .units import Lockset, Unit, free_locks, locksets, units, units_of, waits_for_free

RIGHT, LEFT, NON = 1, 2, 4


@dataclass(slots=True)
class _UnitClass:
    """A unit's class, whether an invariant sees it, and the locks it takes by waiting."""

    mover: int = 0
    visible: bool = False
    takes: tuple[Lock, ...] = ()


@dataclass(frozen=True, slots=True)
class _Arrival:
    """How a block can have come to a unit."""

    left: bool
    visible: bool
    taken: frozenset[Lock]


class Evidence(Protocol):
    """What a search has seen so far."""

    @property
    def wrong(self) -> set[tuple[int, int]]:
        """The waits inside blocks that were false, as (thread, instruction)."""

    def news(self) -> tuple[int, ...]:
        """Something that changes whenever there is new evidence."""

    def tried(self, thread: int) -> set[int]:
        """The thread's instructions that were executed, or evaluated in vain."""

    def strays(self, thread: int) -> set[tuple[int, int]]:
        """What :class:`~.pygen.Checks` of the thread failed, as (kind, instruction)."""


class Reduction:
    """The block boundaries of a program under the present assumptions."""

    def __init__(self, known: Facts) -> None:
        self.known, self.program = known, known.program
        threads = self.program.threads
        self.units = [units(thread) for thread in threads]
        self.units_of = [units_of(found) for found in self.units]
        self.held = [locksets(thread) for thread in threads]
        self.free = [
            free_locks(self.program, thread, found)
            for thread, found in zip(threads, self.units, strict=True)
        ]
        self._lists = _list_capacities(self.program)
        self.forced: set[tuple[int, int]] = set()
        self.lost: dict[tuple[int, int], int] = {}
        self.foreign: set[tuple[int, int]] = set()
        self.owners_lost: set[tuple[int, int]] = set()
        walked = Engine(known, fine_stops(self.program), every_check(self.program))
        self.active = probe(walked)
        self._lose([code.strays for code in walked.threads])
        self.reads = {
            number: read_by(invariant.test) | read_by(invariant.when)
            for number, invariant in enumerate(self.program.invariants)
            if not invariant.terminal_only
        }
        self.quiet = {
            lock for number in self.reads for lock in self.program.invariants[number].quiet
        }
        self._accesses = [[ir.accesses(i.action) for i in thread.code] for thread in threads]
        self.rw = self._rw_locks()
        self._locks = self._all_locks()
        self._families = {lock: self._family(lock) for lock in self._locks}
        self._odd = [
            {start: self._odd_nodes(number, unit) for start, unit in found.items()}
            for number, found in enumerate(self.units)
        ]
        self.signatures: dict[int, dict[Signature, Signed]] = {}
        self._news: tuple[int, ...] = ()
        self.stops: list[list[int]] = []
        self.checks: dict[int, Checks] = {}
        self._compute()

    # ------------------------------------------------------------------ assumptions

    def unsure(self, seen: Evidence) -> bool:
        """Revise the assumptions; does that make the search useless that saw this?"""
        stops, checks = self.stops, self.checks
        if not self._gather(seen):
            return False
        self._compute()
        return self.stops != stops or not all(
            new.sites <= checks[thread].sites and new.owners <= checks[thread].owners
            for thread, new in self.checks.items()
        )

    def learn(self, seen: Evidence) -> None:
        """Revise the assumptions that a search found wrong."""
        self._gather(seen)
        self._compute()

    def assumptions(self) -> dict[str, list[list[int]]]:
        """What was learned so far, as plain lists."""
        return {
            "forced": sorted(map(list, self.forced)),
            "lost": sorted([*place, level] for place, level in self.lost.items()),
            "foreign": sorted(map(list, self.foreign)),
            "owners_lost": sorted(map(list, self.owners_lost)),
            "active": [sorted(nodes) for nodes in self.active],
        }

    def assume(self, learned: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """Go on from what was learned before (:meth:`assumptions`)."""
        self.forced = {(thread, node) for thread, node in learned["forced"]}
        self.lost = {(thread, node): level for thread, node, level in learned["lost"]}
        self.foreign = {(thread, node) for thread, node in learned["foreign"]}
        self.owners_lost = {(thread, node) for thread, node in learned["owners_lost"]}
        self.active = [set(nodes) for nodes in learned["active"]]
        self._compute()

    def _gather(self, seen: Evidence) -> bool:
        """Collect what the search found out; is anything of it new?"""
        news = seen.news()
        if news == self._news:
            return False
        self._news = news
        before = (len(self.forced), len(self.foreign), len(self.owners_lost), dict(self.lost))
        for thread, node in seen.wrong:
            self.forced.update((thread, start) for start in self.units_of[thread][node])
        self._lose([seen.strays(thread) for thread in range(len(self.units))])
        now = (len(self.forced), len(self.foreign), len(self.owners_lost), self.lost)
        return self._activate(seen) or before != now

    def _lose(self, strays: Sequence[set[tuple[int, int]]]) -> None:
        """Give up the assumption about phases where it was seen to be wrong."""
        for number, own in enumerate(strays):
            for what, node in own:
                if what == 4:
                    self.foreign.add((number, node))
                elif what == 3:
                    self.owners_lost.add((number, node))
                else:
                    self.lost[number, node] = min(what, self.lost.get((number, node), 2))

    def _activate(self, seen: Evidence) -> bool:
        changed = False
        for thread in range(len(self.units)):
            covered = seen.tried(thread)
            if not covered <= self.active[thread]:
                self.active[thread] |= covered
                changed = True
        return changed

    # -------------------------------------------------------------------- computing

    def _compute(self) -> None:
        self._tries, self._peeks = self._lock_users()
        self._sleeps = self._find_sleeps()
        non = self._sites()
        classes = [
            {start: self._classify(thread, unit, non) for start, unit in found.items()}
            for thread, found in enumerate(self.units)
        ]
        self.classes = classes
        ordered: set[tuple[int, int]] = set()
        while True:
            edges: dict[tuple[Lock, Lock], set[int]] = {}
            places: dict[tuple[int, int], set[tuple[Lock, ...]]] = {}
            self.stops = [
                self._cut(thread, classes[thread], ordered, edges, places)
                for thread in range(len(self.units))
            ]
            more = in_cycles(edges, places) - ordered
            if not more:
                break
            ordered |= more
        self.checks = self._make_checks()

    def _cut(
        self, number: int, classes: dict[int, _UnitClass], ordered: set[tuple[int, int]],
        edges: dict[tuple[Lock, Lock], set[int]],
        places: dict[tuple[int, int], set[tuple[Lock, ...]]],
    ) -> list[int]:  # fmt: skip
        """The block boundaries of one thread; also the order in which blocks nest locks."""
        found = self.units[number]
        stops = {self.program.threads[number].entry}
        for start in found:
            if (number, start) in self.forced | ordered or self._waits(number, found[start]):
                stops.add(start)
        fresh = _Arrival(False, False, frozenset())
        arrived: dict[int, set[_Arrival]] = {}
        todo: list[tuple[int, _Arrival]] = [(start, fresh) for start in sorted(stops)]
        while todo:
            start, arrival = todo.pop()
            own = classes[start]
            first = arrival is fresh
            if not first and start in stops:
                continue
            if not first and (
                (arrival.left and own.mover & (RIGHT | NON)) or (arrival.visible and own.visible)
            ):
                stops.add(start)
                todo.append((start, fresh))
                continue
            for held in arrival.taken:
                for lock in own.takes:
                    edges.setdefault((held, lock), set()).add(number)
                    places.setdefault((number, start), set()).add((held, lock))
            onward = _Arrival(
                arrival.left or bool(own.mover & (LEFT | NON)),
                arrival.visible or own.visible,
                arrival.taken | set(own.takes),
            )
            for following in found[start].following:
                known = arrived.setdefault(following, set())
                if following not in stops and onward not in known:
                    known.add(onward)
                    todo.append((following, onward))
        return sorted(stops)

    def _waits(self, number: int, unit: Unit) -> bool:
        """Does the unit wait for something other than a mutex?"""
        code = self.program.threads[number].code
        if not any(isinstance(code[node].action, ir.Wait) for node in unit.nodes):
            return False
        for node in unit.nodes:
            sync = code[node].sync
            if sync is not None and sync.kind == "acquire" and sync.lock is not None:
                if sync.lock not in self.rw or self._private(number, sync.lock):
                    return False
        return True

    # ------------------------------------------------------------------------ locks

    def _rw_locks(self) -> set[int]:
        """Locks that are more than a mutex: taken for reading, or taken without waiting."""
        found: set[int] = set()
        for thread, own in zip(self.program.threads, self.units, strict=True):
            for start, unit in own.items():
                for node in unit.nodes:
                    sync = thread.code[node].sync
                    if sync is None or sync.lock is None:
                        continue
                    waits = isinstance(thread.code[start].action, ir.Wait)
                    if sync.mode == "r" or (sync.kind == "acquire" and not waits):
                        found.add(sync.lock)
        return found

    def _private(self, number: int, lock: int) -> bool:
        """Does no other thread touch the lock?"""
        return not any(self._users.get(var, set()) - {number} for var in self._families[lock])

    def _lock_users(self) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
        """Which threads try each lock, and which look at it other than by its primitives."""
        tries: dict[int, set[int]] = {}
        peeks: dict[int, set[int]] = {}
        self._users: dict[int, set[int]] = {}
        for number in range(len(self.program.threads)):
            for node in self.active[number]:
                for access in self._accesses[number][node]:
                    if self.program.shared[access.var].pure_sync:
                        self._users.setdefault(access.var, set()).add(number)
        for number, thread in enumerate(self.program.threads):
            for node in self.active[number]:
                sync = thread.code[node].sync
                if sync is not None and sync.kind == "try" and sync.lock is not None:
                    tries.setdefault(sync.lock, set()).add(number)
            for odd in self._odd[number].values():
                for node, variables in odd.items():
                    if node not in self.active[number]:
                        continue
                    action = thread.code[node].action
                    for var in variables:
                        if isinstance(action, ir.Wait) and self._only_disables(number, action, var):
                            continue
                        peeks.setdefault(var, set()).add(number)
        return tries, peeks

    def _covered(self, number: int, unit: Unit) -> set[int]:
        """Variables of locks and queues that the unit's own primitives account for."""
        found: set[int] = set()
        code = self.program.threads[number].code
        queues = False
        for node in unit.nodes:
            sync = code[node].sync
            if sync is not None:
                queues = queues or sync.kind in ("sleep", "wakeup", "resume")
                if sync.lock is not None:
                    found.add(sync.lock)
                    if sync.lock in self.rw:
                        found |= self._families[sync.lock]
        if queues:
            found |= {
                var for var, shared in enumerate(self.program.shared)
                if shared.pure_sync and var not in self._locks
            }  # fmt: skip
        return found

    def _family(self, lock: int) -> set[int]:
        """The variables of the lock that this one belongs to, by name."""
        prefix = self.program.shared[lock].name.rpartition(".")[0] + "."
        return {
            var
            for var, shared in enumerate(self.program.shared)
            if shared.pure_sync and shared.name.startswith(prefix)
        }

    def _all_locks(self) -> set[int]:
        return {
            instr.sync.lock
            for thread in self.program.threads
            for instr in thread.code
            if instr.sync is not None and instr.sync.lock is not None
            and instr.sync.kind not in ("wakeup", "resume")
        }  # fmt: skip

    def _odd_nodes(self, number: int, unit: Unit) -> dict[int, set[int]]:
        """The nodes of a unit that touch locks and queues strangely, and which."""
        covered = self._covered(number, unit)
        found = {node: self._strange(number, node, covered) for node in unit.nodes}
        return {node: variables for node, variables in found.items() if variables}

    def _strange(self, number: int, node: int, covered: set[int]) -> set[int]:
        """Accesses to locks and queues other than by primitives and ``is it mine`` tests."""
        found: set[int] = set()
        action = self.program.threads[number].code[node].action
        for access in self._accesses[number][node]:
            if not self.program.shared[access.var].pure_sync:
                continue
            if access.var in covered:
                continue
            if access.write or not only_own(action, access.var, number, sets=True):
                found.add(access.var)
        return found

    def _only_disables(self, number: int, wait: ir.Wait, var: int) -> bool:
        """Can others' use of the lock or queue only decide when this wait ends?

        So it is where the wait asks for a lock to be free, or for the thread to be woken:
        then taking the lock can disable it and nothing else, releasing it only enable it.
        """
        nobody = len(self.program.threads)
        return waits_for_free(wait.guard, var, nobody) or (
            var not in self._locks and _own_element(wait, var, number)
        )

    def _find_sleeps(self) -> list[tuple[int, int, int, Lockset]]:
        """Every sleep: the thread, the channels that it may be on, and the locks held."""
        found: list[tuple[int, int, int, Lockset]] = []
        for number, thread in enumerate(self.program.threads):
            ranges = Ranges(self.program, thread)
            for unit in self.units[number].values():
                for node in unit.nodes:
                    sync = thread.code[node].sync
                    if sync is None or sync.kind != "sleep" or node not in self.active[number]:
                        continue
                    low, high = 1 << 30, -1
                    for other in unit.nodes:
                        action = thread.code[other].action
                        if isinstance(action, ir.Assign) and isinstance(action.target, ir.Shared):
                            var = action.target.var
                            if self.program.shared[var].pure_sync and var != sync.lock:
                                span = ranges.of(action.value, self.known.envs[number][other])
                                low, high = min(low, span[0]), max(high, span[1])
                    if low > high:
                        low, high = 0, 1 << 30
                    found.append((number, low, high, self.held[number][node]))
        return found

    def _wakeup(self, number: int, unit: Unit, node: int) -> int:
        """A wakeup is a left mover if a lock keeps everybody from falling asleep meanwhile."""
        thread = self.program.threads[number]
        ranges = Ranges(self.program, thread)
        low, high = 1 << 30, -1
        for other in unit.nodes:
            for root in ir.action_reads(thread.code[other].action):
                for expr in ir.walk(root):
                    if isinstance(expr, ir.Binary) and expr.op == "==":
                        if isinstance(expr.left, ir.Shared):
                            if self.program.shared[expr.left.var].pure_sync:
                                span = ranges.of(expr.right, self.known.envs[number][other])
                                low, high = min(low, span[0]), max(high, span[1])
        if low > high:
            low, high = 0, 1 << 30
        for access in (a for n in unit.nodes for a in self._accesses[number][n]):
            if self._peeks.get(access.var, set()) - {number}:
                return NON
        held = {token for token in self.held[number][node] if token[2] == "w"}
        for sleeper, first, last, locks in self._sleeps:
            if sleeper != number and first <= high and low <= last and not held & locks:
                return NON
        return LEFT

    def _sync_class(self, number: int, unit: Unit, node: int, sync: ir.Sync) -> int:
        if sync.kind == "wakeup":
            return self._wakeup(number, unit, node)
        if sync.kind == "resume":
            return 0
        if sync.kind == "sleep" or sync.lock is None:
            return NON
        if self._private(number, sync.lock):
            return 0
        if sync.kind == "try":
            return NON
        others = self._tries.get(sync.lock, set()) | self._peeks.get(sync.lock, set())
        if sync.lock in self.rw or others - {number}:
            return NON
        return RIGHT if sync.kind == "acquire" else LEFT

    # --------------------------------------------------------------------- accesses

    def _sites(self) -> dict[tuple[int, int], bool]:
        """The instructions that access something unprotected or seen by an invariant.

        The value says whether an invariant sees the instruction.
        """
        self.signatures = {}
        non: dict[tuple[int, int], bool] = {}
        shared = self.program.shared
        owners = {var.phase.owner for var in shared if var.phase is not None}
        for number, thread in enumerate(self.program.threads):
            ranges = Ranges(self.program, thread)
            for node in sorted(self.active[number]):
                instr = thread.code[node]
                for access in self._accesses[number][node]:
                    var = shared[access.var]
                    if var.pure_sync:
                        continue
                    low, high = ranges.of(access.index, self.known.envs[number][node])
                    if access.var in self._lists:
                        high += self._lists[access.var] - 1
                    phase = 0
                    if var.phase is not None:
                        phase = self.lost.get((number, node), 2)
                    own = access.var in owners and (
                        (number, node) not in self.foreign
                        if access.write
                        else only_own(instr.action, access.var, number)
                    )
                    signature = Signature(
                        number, low, high, access.write, self.held[number][node],
                        self.free[number].get(node, frozenset()), phase, own,
                    )  # fmt: skip
                    group = self.signatures.setdefault(access.var, {})
                    group.setdefault(signature, Signed()).sites.append(node)
                    if access.write and self._seen(access.var, self.held[number][node]):
                        non[number, node] = True
        for group in self.signatures.values():
            protect(group)
            for signature, signed in group.items():
                if signed.non:
                    for node in signed.sites:
                        non.setdefault((signature.thread, node), False)
        for place in self.owners_lost:
            non.setdefault(place, False)
        return non

    def _seen(self, var: int, held: Lockset) -> bool:
        """Does an invariant see a store to the variable made under these locks?"""
        for number, reads in self.reads.items():
            if var in reads:
                quiet = self.program.invariants[number].quiet
                if not any((lock, index, "w") in held for lock, index in quiet):
                    return True
        return False

    def _sees_lock(self, var: int, element: int | None) -> bool:
        """Does an invariant read a lock or queue that is not among its quiet locks?"""
        length = self.program.shared[var].length
        elements = range(length) if element is None else (element,)
        return any(
            var in reads
            and any((var, e) not in self.program.invariants[number].quiet for e in elements)
            for number, reads in self.reads.items()
        )

    def _classify(
        self, number: int, unit: Unit, non: dict[tuple[int, int], bool]
    ) -> _UnitClass:
        code = self.program.threads[number].code
        result = _UnitClass()
        odd = self._odd[number][unit.start]
        takes: set[Lock] = set()
        for node in unit.nodes:
            if (number, node) in non:
                result.mover |= NON
                result.visible = result.visible or non[number, node]
            sync = code[node].sync
            if sync is not None:
                result.mover |= self._sync_class(number, unit, node, sync)
                if sync.kind == "acquire" and sync.lock is not None:
                    if self._private(number, sync.lock):
                        continue
                    takes.add((sync.lock, sync.index))
                if sync.kind in ("release", "sleep"):
                    for lock, index in self.quiet:
                        if lock == sync.lock and sync.index in (None, index):
                            result.visible = True
            action = code[node].action
            for var in odd.get(node, ()):
                woken = isinstance(action, ir.Wait) and var not in self._locks
                if not (woken and _own_element(action, var, number)):
                    if not self._users.get(var, set()) <= {number}:
                        result.mover |= NON
                else:
                    result.mover |= RIGHT
            for access in self._accesses[number][node]:
                if access.write and self.program.shared[access.var].pure_sync:
                    if self._sees_lock(access.var, access.element):
                        result.mover |= NON
                        result.visible = True
        if result.mover & NON or result.mover == RIGHT | LEFT:
            result.mover = NON
        result.takes = tuple(sorted(takes, key=repr))
        return result

    def _make_checks(self) -> dict[int, Checks]:
        """What the search must verify: accesses that rely on their record's phase."""
        sites: dict[int, set[int]] = {}
        relied: set[ir.Phase] = set()
        asked: set[int] = set()
        for var, group in self.signatures.items():
            for signature, signed in group.items():
                phase = self.program.shared[var].phase
                if signed.relies and phase is not None:
                    sites.setdefault(signature.thread, set()).update(signed.sites)
                    relied.add(phase)
                if signature.own and not signature.write:
                    asked.add(var)
        ruling = {var for phase in relied for var in (phase.owner, phase.via) if var is not None}
        checks: dict[int, Checks] = {}
        for number, thread in enumerate(self.program.threads):
            owners: set[int] = set()
            for node in range(len(thread.code)):
                stored = {access.var for access in self._accesses[number][node] if access.write}
                if stored & (ruling | asked):
                    owners.add(node)
            checks[number] = Checks(frozenset(sites.get(number, ())), frozenset(owners))
        return checks

    # ----------------------------------------------------------------------- report

    def races(self) -> list[Race]:
        """Pairs of accesses that nothing protects from each other, one for each two places."""
        found: dict[tuple[object, ...], Race] = {}
        threads = self.program.threads
        for var, group in self.signatures.items():
            pairs = list(group.items())
            for at, (one, first) in enumerate(pairs):
                for two, second in pairs[at + 1 :]:
                    if not conflict(one, two) or exposed(one, two)[:2] != (True, True):
                        continue
                    name = self.program.shared[var].name
                    for a in first.sites:
                        for b in second.sites:
                            where_a = threads[one.thread].code[a].where
                            where_b = threads[two.thread].code[b].where
                            key = (name, where_a.lines, where_a.line, where_b.lines, where_b.line)
                            found.setdefault(
                                key,
                                Race(
                                    name,
                                    (threads[one.thread].name, threads[two.thread].name),
                                    (where_a.lines, where_b.lines),
                                    (a, b),
                                    (one.write, two.write),
                                ),
                            )
        return list(found.values())


def _list_capacities(program: ir.Program) -> dict[int, int]:
    """For each variable that holds lists how many elements one access may touch."""
    found: dict[int, int] = {}

    def note(ref: ir.ListRef) -> None:
        found[ref.var] = max(found.get(ref.var, 1), ref.capacity)

    for thread in program.threads:
        for instr in thread.code:
            if isinstance(instr.action, ir.ListInsert | ir.ListRemove):
                note(instr.action.list)
            for root in ir.action_reads(instr.action):
                for expr in ir.walk(root):
                    if isinstance(expr, ir.ListNext):
                        note(expr.list)
    return found


def _own_element(action: ir.Action, var: int, me: int) -> bool:
    """Are all accesses to the variable reads of this thread's element?"""
    return all(
        not access.write and access.element == me
        for access in ir.accesses(action)
        if access.var == var
    )

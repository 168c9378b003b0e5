"""What blocks read and write: sets of elements of shared variables, as bit masks.

A block is what a thread does from one stop to the next.  Its footprint is an upper bound:
everything that some path through it may access, whatever the state, with an element for each
access whose index is a constant and the interval of the index otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..lang import ir
from .asking import only_own, read_by
from .intervals import Env, Ranges
from .owners import Elements, Owners, required
from .pygen import Checks


@dataclass(frozen=True, slots=True)
class Footprint:
    """Masks over the elements of all shared variables (see :class:`Space`)."""

    reads: int = 0
    writes: int = 0

    def __or__(self, other: Footprint) -> Footprint:
        return Footprint(self.reads | other.reads, self.writes | other.writes)

    def conflicts(self, other: Footprint) -> bool:
        """Is there an element that both access and one of them writes?"""
        return bool(self.writes & (other.reads | other.writes) or self.reads & other.writes)


@dataclass(frozen=True, slots=True)
class Key:
    """A condition without which a wait does not end, and the shared elements that it reads."""

    test: ir.Expr
    reads: int


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a thread.

    ``following``: the stops at which it may end (none for the end of the thread).  ``held``:
    owner elements that certainly hold the thread while it stands at the start; ``needs``: those
    that must hold nobody, or the thread, for the block to be enabled.
    """

    start: int
    footprint: Footprint
    following: tuple[int, ...]
    held: Elements
    needs: Elements


class Space:
    """The elements of all shared variables of a program, numbered."""

    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.offset: list[int] = []
        total = 0
        for var in program.shared:
            self.offset.append(total)
            total += var.length

    def mask(self, var: int, low: int = 0, high: int | None = None) -> int:
        """The elements ``low`` to ``high`` of a variable, as far as there are such."""
        last = self.program.shared[var].length - 1
        low = max(low, 0)
        high = last if high is None else min(high, last)
        return ((1 << (high - low + 1)) - 1) << (self.offset[var] + low) if low <= high else 0

    def read_by(self, expr: ir.Expr) -> int:
        """The elements that an expression without locals may read."""
        return self._read(expr, Ranges(self.program), {})

    def _read(
        self, expr: ir.Expr, ranges: Ranges, env: Env, skipped: frozenset[int] = frozenset()
    ) -> int:
        mask = 0
        for sub in ir.walk(expr):
            if isinstance(sub, ir.Shared) and sub.var not in skipped:
                mask |= self.mask(sub.var, *ranges.of(sub.index, env))
            elif isinstance(sub, ir.ListNext):
                mask |= self._list(sub.list, ranges, env)
        return mask

    def _list(self, ref: ir.ListRef, ranges: Ranges, env: Env) -> int:
        low, high = ranges.of(ref.base, env)
        return self.mask(ref.var, low, high + ref.capacity - 1)

    def action(
        self, action: ir.Action, ranges: Ranges, env: Env, skipped: frozenset[int] = frozenset()
    ) -> Footprint:
        """What an action accesses; reads of the ``skipped`` variables are left out."""
        reads = writes = 0
        for root in ir.action_reads(action):
            reads |= self._read(root, ranges, env, skipped)
        match action:
            case ir.Assign(ir.Shared(var, index), _):
                writes |= self.mask(var, *ranges.of(index, env))
            case ir.ListInsert(ref) | ir.ListRemove(ref):
                writes |= self._list(ref, ranges, env)
        return Footprint(reads, writes)

    def keys(self, guard: ir.Expr, ranges: Ranges, env: Env) -> tuple[Key, ...]:
        """What a guard implies of one variable each, and the guard itself.

        None if evaluating it could leave a variable, for that would be seen.
        """
        found: dict[ir.Expr, None] = {guard: None}
        for sub in ir.walk(guard):
            length = capacity = 1
            match sub:
                case ir.Shared(var, index):
                    length = self.program.shared[var].length
                case ir.ListNext(ref, _):
                    var, index, capacity = ref.var, ref.base, ref.capacity
                    length = self.program.shared[var].length
                case ir.Local(local, index) if index is not None and ranges.thread is not None:
                    length = ranges.thread.locals[local].length
                case _:
                    continue
            low, high = ranges.of(index, env)
            if low < 0 or high + capacity > length:
                return ()
            if not isinstance(sub, ir.Local):
                part = _about(guard, var)
                if part is not None:
                    found[part] = None
        return tuple(Key(test, self._read(test, ranges, env)) for test in found)


def _about(guard: ir.Expr, var: int) -> ir.Expr | None:
    """A condition on one variable (and locals) that the guard implies; None if that is nothing."""
    match guard:
        case ir.Binary("and" | "or" as op, left, right, ctype):
            one, two = _about(left, var), _about(right, var)
            if one is None or two is None:
                return (one or two) if op == "and" else None
            return ir.Binary(op, one, two, ctype)
    return guard if read_by(guard) == {var} else None


class Blocks:
    """The blocks of one thread for given stops.

    ``active``: the instructions that count; others have no accesses and no successors.
    """

    def __init__(
        self,
        space: Space,
        thread: ir.Thread,
        stops: Sequence[int],
        envs: Sequence[Env],
        owners: Owners,
        active: Collection[int] | None = None,
        checks: Checks | None = None,
    ) -> None:
        self.space, self.thread, self.owners = space, thread, owners
        self.stops = frozenset(stops)
        self.envs, self.active, self.checks = envs, active, checks or Checks()
        self.ranges = Ranges(space.program, thread)
        self._nodes: dict[int, Footprint] = {}
        self.at: dict[int, Block] = {stop: self._block(stop) for stop in stops}

    def _counts(self, node: int) -> bool:
        return self.active is None or node in self.active

    def nodes(self, start: int) -> tuple[list[int], list[int]]:
        """The instructions of the block that starts at a stop, and the stops where it may end."""
        found = [start] if self._counts(start) else []
        seen = set(found)
        following: set[int] = set()
        for node in found:
            for successor in self.thread.code[node].successors():
                if successor in self.stops:
                    following.add(successor)
                elif successor not in seen and self._counts(successor):
                    seen.add(successor)
                    found.append(successor)
        return found, sorted(following)

    def _block(self, start: int) -> Block:
        found, following = self.nodes(start)
        footprint = Footprint()
        for node in found:
            footprint |= self.node(node)
        held = self.owners.held(self.thread.index, start)
        return Block(start, footprint, tuple(following), held, self._needs(start))

    def node(self, node: int) -> Footprint:
        """What one instruction accesses, and what its run-time checks of phases read.

        Questions of the form "is it mine" about an exclusive owner are left out, because no
        other thread changes the answer.
        """
        known = self._nodes.get(node)
        if known is None:
            action = self.thread.code[node].action
            me = self.thread.index
            asked = frozenset(
                var for var in self.owners.exclusive if only_own(action, var, me)
            )
            known = self.space.action(action, self.ranges, self.envs[node], asked)
            known |= Footprint(self._checked(node, action))
            self._nodes[node] = known
        return known

    def _checked(self, node: int, action: ir.Action) -> int:
        """What the checks of phases at an instruction read (see ``pygen.Checks``)."""
        shared = self.space.program.shared
        phases: set[ir.Phase] = set()
        if node in self.checks.sites:
            phases.update(
                phase for a in ir.accesses(action) if (phase := shared[a.var].phase) is not None
            )
        if node in self.checks.owners:
            stored = {access.var for access in ir.accesses(action) if access.write}
            phases.update(
                var.phase
                for var in shared
                if var.phase is not None and stored & {var.phase.owner, var.phase.via}
            )
        mask = 0
        for phase in phases:
            mask |= self.space.mask(phase.owner)
            if phase.via is not None:
                mask |= self.space.mask(phase.via)
            if phase.guard is not None and phase.guard not in self.owners.exclusive:
                mask |= self.space.mask(phase.guard)
        return mask

    def _needs(self, start: int) -> Elements:
        """The owners that the wait needs that the block begins with; none if it begins otherwise.

        Nor if its guard may fail, because a failure could be seen although the owners are missing.
        """
        action = self.thread.code[start].action
        if not isinstance(action, ir.Wait):
            return frozenset()
        if not keys_at(self.space, self.thread, start, self.envs[start]):
            return frozenset()
        allowed = (self.thread.index, len(self.space.program.threads))
        return required(action.guard, self.owners.exclusive, allowed)


def keys_at(space: Space, thread: ir.Thread, stop: int, env: Env) -> tuple[Key, ...]:
    """The keys of the wait at a stop; none if there is no wait, or its guard may fail.

    They depend on the program alone, not on what the other stops are.
    """
    action = thread.code[stop].action
    if not isinstance(action, ir.Wait):
        return ()
    return space.keys(action.guard, Ranges(space.program, thread), env)


def watched(space: Space, block: Block, exclusive: frozenset[int]) -> int:
    """What the invariants and witnesses read that the block may make false, or true.

    Invariants that are evaluated only at the end do not count; nor does one that need not hold
    while the thread stands where the block starts, because of a lock that it holds there.
    """
    program = space.program
    nobody = (len(program.threads),)
    tests = [space.read_by(witness.test) for witness in program.witnesses]
    tests += [
        space.read_by(invariant.test) | space.read_by(invariant.when)
        for invariant in program.invariants
        if not invariant.terminal_only
        and not required(invariant.when, exclusive, nobody) & block.held
    ]
    mask = 0
    for reads in tests:
        if reads & block.footprint.writes:
            mask |= reads
    return mask


def acyclic(following: Mapping[int, Collection[int]], wanted: Sequence[int]) -> set[int]:
    """Nodes that close no cycle among themselves: the wanted ones, as many as fit, in order."""
    chosen: set[int] = set()
    for node in wanted:
        seen: set[int] = set()
        todo = list(following[node])
        while todo:
            successor = todo.pop()
            if successor in chosen and successor not in seen:
                seen.add(successor)
                todo += following[successor]
            elif successor == node:
                break
        else:
            chosen.add(node)
    return chosen

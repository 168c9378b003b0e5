"""Symmetry of threads that run the same program: groups of them, proved, and representatives.

Two threads may be exchanged if that maps the program onto itself: the code of each onto that of
the other, with its constants permuted as their types say (:mod:`.thread_types`), and all other
threads, the invariants, the witnesses and the set of initial states onto themselves.  Then
states that differ by such exchanges have equal futures up to the same exchange, and one of them
stands for all.  ``docs/decisions/0006-ample-sets-and-symmetry.md`` has the theorem, and says what
is not preserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations, product

from ..lang import ir
from .engine import Facts
from .exchange import Exchanges
from .interpret import ENDED, State, ThreadState
from .thread_types import MASK, THREAD, NotSymmetric, Type, Types
from .unit_paths import TooComplex

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What an engine needs: the groups, and what each slot's values and indices are.

    ``values[var]`` and ``indices[var]`` for shared variables, ``locals[thread][var]``.  A
    permutation p takes element i of a variable indexed by thread to element p[i]; it takes the
    value t of a thread slot to p[t], bit t of a mask to bit p[t]; and the program counter and
    the live locals of thread t to thread p[t].
    """

    groups: tuple[tuple[int, ...], ...]
    values: tuple[Type, ...]
    indices: tuple[Type, ...]
    locals: tuple[tuple[Type, ...], ...]


@dataclass
class Symmetry:
    """The groups of a program, any permutation within which is a symmetry of it.

    ``reasons`` says why other threads that look alike are in no group.  ``uneven``: for each
    thread the instructions that an exchange does not map one to one (it maps what pieces of
    code made of them do); any other one it maps to the same number in the other thread's code.
    """

    known: Facts
    groups: tuple[tuple[int, ...], ...] = ()
    types: Types | None = None
    reasons: list[str] = field(default_factory=list)
    uneven: list[set[int]] = field(default_factory=list)

    @cached_property
    def orders(self) -> list[Order]:
        """Every permutation, the identity first: thread t becomes thread ``order[t]``."""
        count = len(self.known.program.threads)
        found: list[Order] = []
        for images in product(*(permutations(group) for group in self.groups)):
            order = list(range(count))
            for group, image in zip(self.groups, images, strict=True):
                for one, two in zip(group, image, strict=True):
                    order[one] = two
            found.append(tuple(order))
        return found

    def common_stops(self, stops: Sequence[Sequence[int]]) -> list[list[int]]:
        """Stops that the threads of each group share: all that any of them has."""
        result = [list(row) for row in stops]
        for group in self.groups:
            together = sorted({stop for thread in group for stop in stops[thread]})
            for thread in group:
                result[thread] = list(together)
        return result

    def representative(self, state: State) -> State:
        """The one state that stands for all that this one can be exchanged with."""
        if len(self.orders) == 1:
            return state
        return min((self.permuted(state, order) for order in self.orders), key=_content)

    def permuted(self, state: State, order: Sequence[int]) -> State:
        """The state after every thread t has become thread ``order[t]``."""
        types = self.types
        if types is None:
            return state
        shared: list[tuple[int, ...]] = []
        for var, values in enumerate(state.shared):
            kind = types.of(("value", var))
            moved = [types.value(value, kind, order) for value in values]
            if types.of(("index", var)) == THREAD:
                old = list(moved)
                for element in range(min(len(order), len(old))):
                    moved[order[element]] = old[element]
            shared.append(tuple(moved))
        threads: list[ThreadState] = list(state.threads)
        for number, own in enumerate(state.threads):
            threads[order[number]] = self._moved(number, own, order, types)
        return State(tuple(shared), tuple(threads))

    def _moved(
        self, number: int, own: ThreadState, order: Sequence[int], types: Types
    ) -> ThreadState:
        """A thread's state with the threads in it renamed; what is dead stays reset."""
        if own.pc == ENDED:
            return own
        live = self.known.live[number]
        rows: list[tuple[int, ...]] = []
        for var, values in enumerate(own.locals):
            kind = types.of(("local", number, var))
            rows.append(
                tuple(
                    types.value(value, kind, order) if live.is_live(own.pc, var, at) else value
                    for at, value in enumerate(values)
                )
                if kind in (THREAD, MASK)
                else values
            )
        return ThreadState(own.pc, tuple(rows))

    def describe(self) -> Description:
        """The tables for an engine."""
        program, types = self.known.program, self.types or Types(self.known.program, {})
        variables = range(len(program.shared))
        return Description(
            self.groups,
            tuple(types.of(("value", var)) for var in variables),
            tuple(types.of(("index", var)) for var in variables),
            tuple(
                tuple(types.of(("local", t.index, var)) for var in range(len(t.locals)))
                for t in program.threads
            ),
        )


def _content(state: State) -> tuple[object, ...]:
    return state.shared, tuple((own.pc, own.locals) for own in state.threads)


def symmetry(known: Facts) -> Symmetry:
    """Find the groups of threads of a program that may be exchanged."""
    result = Symmetry(known)
    alike: dict[object, list[int]] = {}
    for thread in known.program.threads:
        alike.setdefault(_shape(thread), []).append(thread.index)
    classes = [tuple(members) for members in alike.values() if len(members) > 1]
    if not classes:
        return result
    try:
        check = Exchanges(known, classes)
    except NotSymmetric as reason:
        result.reasons.append(str(reason))
        return result
    for members in classes:
        first, group = members[0], [members[0]]
        for other in members[1:]:
            try:
                check.exchange(first, other)
            except (NotSymmetric, TooComplex) as reason:
                result.reasons.append(f"threads {first} and {other}: {reason}")
            else:
                group.append(other)
        if len(group) > 1:
            result.groups += (tuple(group),)
    if result.groups:
        result.types = check.types
        result.uneven = check.uneven
        for found in result.groups:
            together = {node for member in found for node in check.uneven[member]}
            for member in found:
                result.uneven[member] = together
    return result


def _shape(thread: ir.Thread) -> object:
    """What threads that may be exchanged have in common at first sight."""
    return (
        thread.daemon,
        thread.entry,
        tuple((local.domain, local.length) for local in thread.locals),
        tuple((type(i.action).__name__, i.next, i.fine_stop) for i in thread.code),
    )

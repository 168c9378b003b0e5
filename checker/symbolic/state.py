"""Symbolic states: a term for each scalar, a z3 array for each array, and views by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import z3

from ..lang import ir
from .terms import Term, constant, select

INDEX = 32  # bits of an array's index: an int
EXACT = 64  # bits in which claims compute

# A variable: ("local", number) or ("shared", number).
Key = tuple[str, int]


@dataclass(slots=True)
class State:
    """The values at one point of a program.  Shared variables that are not here are not known."""

    scalars: dict[Key, Term] = field(default_factory=dict)
    arrays: dict[Key, z3.ArrayRef] = field(default_factory=dict)

    def copy(self) -> State:
        return State(dict(self.scalars), dict(self.arrays))


def merge(parts: list[tuple[z3.BoolRef, State]]) -> tuple[z3.BoolRef, State]:
    """The state where several edges meet, each taken under its condition (one at most holds).

    What all ways have come through is said once; only the rest tells them apart.
    """
    if len(parts) == 1:
        return parts[0][0], parts[0][1].copy()
    paths = [conjuncts(condition) for condition, _ in parts]
    common = 0
    while all(common < len(path) for path in paths) and all(
        path[common].eq(paths[0][common]) for path in paths
    ):
        common += 1
    ways = [z3.And(*path[common:]) for path in paths]
    result = parts[0][1].copy()
    for way, (_, state) in zip(ways[1:], parts[1:], strict=True):
        for key, term in state.scalars.items():
            known = result.scalars.get(key)
            # What only one side has is not read behind the join.
            result.scalars[key] = term if known is None else select(way, term, known)
        for key, array in state.arrays.items():
            old = result.arrays.get(key)
            if old is None or old is array:
                result.arrays[key] = array
            else:
                result.arrays[key] = z3.If(way, array, old)
    return z3.And(*paths[0][:common], z3.Or(*ways)), result


def conjuncts(formula: z3.BoolRef) -> list[z3.BoolRef]:
    """Its parts, in their order."""
    if not z3.is_and(formula):
        return [] if z3.is_true(formula) else [formula]
    return [part for each in formula.children() for part in conjuncts(each)]


@dataclass(frozen=True, slots=True)
class Names:
    """Numbers of variables by name, for one thread of a program.

    A routine that was inlined twice has variables of one name twice: then the one that
    ``within`` (what a loop changes) contains is meant.
    """

    locals: Mapping[str, tuple[int, ...]]
    shared: Mapping[str, int]
    types: Mapping[Key, ir.CType]

    @staticmethod
    def of(program: ir.Program, thread: ir.Thread) -> Names:
        numbers: dict[str, tuple[int, ...]] = {}
        types: dict[Key, ir.CType] = {}
        for number, var in enumerate(thread.locals):
            numbers[var.name] = (*numbers.get(var.name, ()), number)
            types["local", number] = var.domain.ctype
        for number, shared in enumerate(program.shared):
            types["shared", number] = shared.domain.ctype
        names = {shared.name: number for number, shared in enumerate(program.shared)}
        return Names(numbers, names, types)


class View:
    """A state by names, for invariants and claims, which compute with exact integers.

    ``view["routine.local"]`` and ``view["pool.field"]`` are bit-vectors of :data:`EXACT` bits,
    compared as signed numbers; ``view.true(name)`` is a truth value.  That is the width of the
    widest types themselves, so that z3 cancels terms that occur on both sides.  A claim is
    a formula with wrapping arithmetic; it means what it says where its own bounds exclude that.
    """

    def __init__(
        self,
        names: Names,
        state: State,
        parameters: Mapping[str, Term],
        within: Iterable[Key] = (),
    ) -> None:
        self._names, self._state = names, state
        self._parameters, self._within = parameters, frozenset(within)
        self._computed: dict[int, z3.BitVecRef] = {}

    def has_parameter(self, name: str) -> bool:
        """Does the routine read this parameter?"""
        return name in self._parameters

    def key(self, name: str) -> Key:
        """The variable of that name."""
        found = [("local", number) for number in self._names.locals.get(name, ())]
        if name in self._names.shared:
            found.append(("shared", self._names.shared[name]))
        if len(found) > 1:
            found = [key for key in found if key in self._within] or found
        if len(found) > 1:
            known = [k for k in found if k in self._state.scalars or k in self._state.arrays]
            found = known or found
        if len(found) != 1:
            raise KeyError(f"{name}: {len(found)} variables of that name here")
        return found[0]

    def term(self, name: str) -> Term:
        if name in self._parameters:
            return self._parameters[name]
        key = self.key(name)
        if key not in self._state.scalars:
            raise KeyError(f"{name} has no value here")
        return self._state.scalars[key]

    def __getitem__(self, name: str) -> z3.BitVecRef:
        term = self.term(name)
        value = term.value
        if isinstance(value, z3.BitVecRef) and value.num_args() > 0:
            self._computed[value.get_id()] = value
        return term.at(EXACT)

    @property
    def computed(self) -> list[z3.BitVecRef]:
        """Of the values asked for by name those that are no constants, in the order of asking."""
        return list(self._computed.values())

    def true(self, name: str) -> z3.BoolRef:
        return self.term(name).truth()

    def array(self, name: str) -> z3.ArrayRef:
        return self._state.arrays[self.key(name)]

    def element(self, name: str, index: z3.BitVecRef) -> z3.BitVecRef:
        """An element of an array, as it is stored."""
        return z3.Select(self.array(name), z3.Extract(INDEX - 1, 0, index))


def exact(value: int) -> z3.BitVecRef:
    """A number in claims."""
    return z3.BitVecVal(value, EXACT)


def from_bits(bits: z3.BitVecRef, ctype: ir.CType) -> Term:
    """An element of an array as a term."""
    return Term(bits == 1, ctype) if ctype.bits == 1 else Term(bits, ctype)


__all__ = ["EXACT", "INDEX", "Key", "Names", "State", "View", "constant", "exact", "from_bits",
           "merge"]

"""Conditions on the inputs: hash-consed formulas, decided by z3 where folding does not do it.

An :class:`Input` is something that a scenario leaves open: it has finitely many values, and a
*literal* says that its value is one of some of them (a bit mask over their positions).  Literals
of one input are merged as sets, so what depends on one input only is canonical, and a
conjunction of literals of different inputs is satisfiable: z3 is asked about the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import z3

Kind: TypeAlias = Literal["true", "false", "literal", "and", "or"]
Encoding: TypeAlias = Literal["bits", "integers", "booleans"]
Assignment: TypeAlias = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Input:
    """Something open: ``name`` says what, ``count`` how many values it has (at least one)."""

    number: int
    name: str
    count: int


class Guard:
    """A formula over inputs.  Equal formulas of one :class:`Guards` are the same object.

    ``parts`` of a conjunction or disjunction: at most one literal of each input, and formulas
    of the other kind.
    """

    __slots__ = ("input", "kind", "mask", "number", "opposite", "parts", "z3")

    def __init__(
        self, number: int, kind: Kind, which: int = -1, mask: int = 0,
        parts: tuple[Guard, ...] = (),
    ) -> None:
        self.number, self.kind, self.input, self.mask = number, kind, which, mask
        self.parts = parts
        self.opposite: Guard | None = None
        self.z3: z3.BoolRef | None = None

    def __repr__(self) -> str:
        if self.kind == "literal":
            values = [n for n in range(self.mask.bit_length()) if self.mask >> n & 1]
            return f"i{self.input} in {values}"
        if self.kind in ("and", "or"):
            return "(" + f" {self.kind} ".join(map(repr, self.parts)) + ")"
        return self.kind


_RECENT = 24


class Undecided(Exception):
    """z3 did not decide a question in its time."""


class Guards:
    """The formulas of one search: makes them, and says which can be true.

    ``milliseconds`` are what z3 gets for one question; then it raises :class:`Undecided`.
    ``queries`` counts what z3 was asked, ``seconds`` what that took.
    """

    def __init__(self, encoding: Encoding = "booleans", milliseconds: int = 10_000) -> None:
        self.encoding: Encoding = encoding
        self.inputs: list[Input] = []
        self.by_name: dict[str, Input] = {}
        self._nodes: dict[tuple[object, ...], Guard] = {}
        self._known: dict[int, bool] = {}
        self._restricted: dict[tuple[int, int], Guard] = {}
        self.true = Guard(0, "true")
        self.false = Guard(1, "false")
        self.true.opposite, self.false.opposite = self.false, self.true
        self.queries = 0
        self.seconds = 0.0
        logic = {"booleans": "QF_FD", "bits": "QF_BV", "integers": "QF_LIA"}[encoding]
        self._solver = z3.SolverFor(logic)
        self._solver.set("timeout", milliseconds)
        self._recent: list[tuple[dict[int, int], dict[int, bool]]] = []
        self._variables: list[list[z3.BoolRef] | z3.ExprRef] = []

    # ------------------------------------------------------------------- building

    def input(self, name: str, count: int) -> Input:
        """The input of a name; the same one for the same name."""
        known = self.by_name.get(name)
        if known is None:
            known = Input(len(self.inputs), name, count)
            self.inputs.append(known)
            self.by_name[name] = known
            self._declare(known)
            for values, _ in self._recent:
                values[known.number] = 0
        if known.count != count:
            raise ValueError(f"input {name} has {known.count} values, not {count}")
        return known

    def _node(self, kind: Kind, which: int, mask: int, parts: tuple[Guard, ...]) -> Guard:
        key = (kind, which, mask, tuple(part.number for part in parts))
        found = self._nodes.get(key)
        if found is None:
            found = Guard(len(self._nodes) + 2, kind, which, mask, parts)
            self._nodes[key] = found
        return found

    def literal(self, which: int, mask: int) -> Guard:
        """The input has one of the values whose bits are set."""
        full = (1 << self.inputs[which].count) - 1
        mask &= full
        if mask == 0:
            return self.false
        if mask == full:
            return self.true
        return self._node("literal", which, mask, ())

    def both(self, one: Guard, two: Guard) -> Guard:
        """The conjunction of two."""
        if one is self.true or one is two:
            return two
        if two is self.true:
            return one
        if one is self.false or two is self.false:
            return self.false
        return self._joined("and", (one, two))

    def either(self, one: Guard, two: Guard) -> Guard:
        """The disjunction of two."""
        if one is self.false or one is two:
            return two
        if two is self.false:
            return one
        if one is self.true or two is self.true:
            return self.true
        return self._joined("or", (one, two))

    def all(self, guards: Iterable[Guard]) -> Guard:
        result = self.true
        for guard in guards:
            result = self.both(result, guard)
        return result

    def any(self, guards: Iterable[Guard]) -> Guard:
        result = self.false
        for guard in guards:
            result = self.either(result, guard)
        return result

    def _joined(self, kind: Literal["and", "or"], guards: Iterable[Guard]) -> Guard:
        conjunction = kind == "and"
        zero = self.false if conjunction else self.true
        masks: dict[int, int] = {}
        others: dict[int, Guard] = {}
        for guard in guards:
            for part in guard.parts if guard.kind == kind else (guard,):
                if part.kind == "literal":
                    old = masks.get(part.input)
                    if old is None:
                        masks[part.input] = part.mask
                    else:
                        masks[part.input] = old & part.mask if conjunction else old | part.mask
                else:
                    others[part.number] = part
        literals: list[Guard] = []
        for which in sorted(masks):
            made = self.literal(which, masks[which])
            if made is zero:
                return zero
            if made.kind == "literal":
                literals.append(made)
        if others and literals:
            # A disjunct decided by the literals of the conjunction (and the other way round).
            again = False
            for number, part in list(others.items()):
                simpler = self._under(part, masks, conjunction)
                if simpler is not part:
                    del others[number]
                    again = True
                    if simpler is zero:
                        return zero
                    if simpler.kind not in ("true", "false"):
                        others[simpler.number] = simpler
            if again:
                return self._joined(kind, [*literals, *others.values()]) \
                    if others else self._closed(kind, literals)
        for part in others.values():
            if part.opposite is not None and part.opposite.number in others:
                return zero
        return self._closed(kind, [*literals, *(others[number] for number in sorted(others))])

    def _closed(self, kind: Literal["and", "or"], parts: list[Guard]) -> Guard:
        if not parts:
            return self.true if kind == "and" else self.false
        if len(parts) == 1:
            return parts[0]
        return self._node(kind, -1, 0, tuple(parts))

    def _under(self, part: Guard, masks: Mapping[int, int], conjunction: bool) -> Guard:
        """A part of a conjunction under its literals, of a disjunction under their negations."""
        if not any(sub.kind == "literal" and sub.input in masks for sub in part.parts):
            return part
        wanted = masks if conjunction else {
            which: ~mask & ((1 << self.inputs[which].count) - 1) for which, mask in masks.items()
        }
        made: list[Guard] = []
        changed = False
        for sub in part.parts:
            mask = wanted.get(sub.input) if sub.kind == "literal" else None
            if mask is None:
                made.append(sub)
            elif not sub.mask & mask:
                changed = True
                if part.kind == "and":
                    return self.false
            elif mask & ~sub.mask == 0:
                changed = True
                if part.kind == "or":
                    return self.true
            else:
                made.append(sub)
        return self._closed(part.kind, made) if changed else part  # type: ignore[arg-type]

    def negation(self, guard: Guard) -> Guard:
        """The opposite, with negations pushed down to the literals."""
        if guard.opposite is None:
            if guard.kind == "literal":
                made = self.literal(guard.input, ~guard.mask)
            else:
                flipped = self.either if guard.kind == "and" else self.both
                made = self.false if guard.kind == "and" else self.true
                for part in guard.parts:
                    made = flipped(made, self.negation(part))
            guard.opposite = made
            if made.opposite is None:
                made.opposite = guard
        return guard.opposite

    def without(self, one: Guard, two: Guard) -> Guard:
        """The first, but not the second."""
        return self.both(one, self.negation(two)) if two is not self.false else one

    def restrict(self, guard: Guard, condition: Guard) -> Guard:
        """Something simpler that is the same wherever the condition holds."""
        if guard.kind in ("true", "false") or condition is self.true:
            return guard
        key = (guard.number, condition.number)
        found = self._restricted.get(key)
        if found is None:
            found = self._restricted[key] = self._restrict(guard, condition)
        return found

    def _restrict(self, guard: Guard, condition: Guard) -> Guard:
        parts = condition.parts if condition.kind == "and" else (condition,)
        if guard.kind == "literal":
            for part in parts:
                if part.kind == "literal" and part.input == guard.input:
                    if not part.mask & guard.mask:
                        return self.false
                    if not part.mask & ~guard.mask:
                        return self.true
            return guard
        for part in parts:
            if part is guard:
                return self.true
            if part is guard.opposite:
                return self.false
        made = [self.restrict(part, condition) for part in guard.parts]
        return self.all(made) if guard.kind == "and" else self.any(made)

    # ------------------------------------------------------------------- deciding

    def possible(self, guard: Guard) -> bool:
        """Can it be true?  Raises :class:`Undecided`."""
        if guard.kind in ("true", "literal"):
            return True
        if guard is self.false:
            return False
        found = self._known.get(guard.number)
        if found is None:
            found = self._known[guard.number] = self._possible(guard)
        return found

    def _possible(self, guard: Guard) -> bool:
        if guard.kind == "or":
            if any(part.kind == "literal" for part in guard.parts):
                return True
            return any(self.possible(part) for part in guard.parts)
        if all(part.kind == "literal" for part in guard.parts):
            return True
        # Most formulas are true for one of the assignments that z3 gave last.
        for number, values in enumerate(self._recent):
            if self.holds(guard, *values):
                if number:
                    self._recent.insert(0, self._recent.pop(number))
                return True
        model = self._ask(guard)
        if model is None:
            return False
        self._recent.insert(0, (self._values(model), {}))
        del self._recent[_RECENT:]
        return True

    def _values(self, model: z3.ModelRef) -> dict[int, int]:
        """An assignment from z3's model; what it leaves open is the first value."""
        found: dict[int, int] = {}
        for one, variable in zip(self.inputs, self._variables, strict=True):
            found[one.number] = 0
            if isinstance(variable, list):
                for value, bit in enumerate(variable):
                    if z3.is_true(model[bit]):
                        found[one.number] = value
            elif model[variable] is not None:
                found[one.number] = model[variable].as_long()
        return found

    def _ask(self, guard: Guard) -> z3.ModelRef | None:
        self.queries += 1
        begun = time.perf_counter()
        try:
            answer = self._solver.check(self.formula(guard))
            if answer == z3.unknown:
                raise Undecided(f"z3: {self._solver.reason_unknown()}")
            return self._solver.model() if answer == z3.sat else None
        finally:
            self.seconds += time.perf_counter() - begun

    def assignment(self, guard: Guard) -> dict[int, int] | None:
        """For every input the position of a value, so that the guard holds; the least found."""
        chosen: dict[int, int] = {}
        rest = guard
        if not self.possible(rest):
            return None
        for one in self.inputs:
            for value in range(one.count):
                with_it = self.both(rest, self.literal(one.number, 1 << value))
                if self.possible(with_it):
                    chosen[one.number], rest = value, with_it
                    break
        return chosen

    def holds(
        self, guard: Guard, values: Assignment, known: dict[int, bool] | None = None
    ) -> bool:
        """Is it true for these values?

        Formulas share parts: written out as a tree, one can be exponentially larger than it is.
        So what is ``known`` of parts is kept, by their numbers; for the same values only.
        """
        if guard.kind == "literal":
            return bool(guard.mask >> values[guard.input] & 1)
        if not guard.parts:
            return guard is self.true
        known = {} if known is None else known
        found = known.get(guard.number)
        if found is None:
            quantifier = all if guard.kind == "and" else any
            found = quantifier(self.holds(part, values, known) for part in guard.parts)
            known[guard.number] = found
        return found

    # ------------------------------------------------------------------------- z3

    def _declare(self, one: Input) -> None:
        match self.encoding:
            case "booleans":
                bits = [z3.Bool(f"{one.name}={value}") for value in range(one.count)]
                self._solver.add(z3.PbEq([(bit, 1) for bit in bits], 1))
                self._variables.append(bits)
            case "bits":
                bits_needed = max(1, (one.count - 1).bit_length())
                word = z3.BitVec(one.name, bits_needed)
                if one.count != 1 << bits_needed:
                    self._solver.add(z3.ULT(word, one.count))
                self._variables.append(word)
            case "integers":
                number = z3.Int(one.name)
                self._solver.add(number >= 0, number < one.count)
                self._variables.append(number)

    def formula(self, guard: Guard) -> z3.BoolRef:
        """What z3 is asked for the guard: a Boolean of its own, which implies what it says.

        So z3 translates every formula once, however many questions it is part of.  That the
        Boolean is implied too is not needed: no formula has negations but in its literals.
        """
        if guard.z3 is None:
            match guard.kind:
                case "literal":
                    guard.z3 = self._named(guard, self._literal(guard))
                case "and":
                    guard.z3 = self._named(guard, z3.And([self.formula(p) for p in guard.parts]))
                case "or":
                    guard.z3 = self._named(guard, z3.Or([self.formula(p) for p in guard.parts]))
                case _:
                    guard.z3 = z3.BoolVal(guard is self.true)
        return guard.z3

    def _named(self, guard: Guard, formula: z3.BoolRef) -> z3.BoolRef:
        name = z3.Bool(f"formula {guard.number}")
        self._solver.add(z3.Implies(name, formula))
        return name

    def _literal(self, guard: Guard) -> z3.BoolRef:
        values = [n for n in range(self.inputs[guard.input].count) if guard.mask >> n & 1]
        variable = self._variables[guard.input]
        if isinstance(variable, list):
            return z3.Or([variable[value] for value in values])
        return z3.Or([variable == value for value in values])

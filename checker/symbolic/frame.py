"""What a proof says of a routine, and what becomes of it: frames, and obligations to prove."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import z3

from .state import View
from .terms import Term

Formula: TypeAlias = Callable[[View], z3.BoolRef]
Place: TypeAlias = Literal["each way", "before", "behind"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something to prove at the statement that cites ``line`` first of its lines."""

    name: str
    line: int
    formula: Formula


@dataclass(frozen=True, slots=True)
class Lemma:
    """A step of a proof: proved at the statement of ``line``, and known from there on.

    ``by`` names the lemmas of that line, proved before it, from which it follows without
    anything else; None: from all that is known there.  A formula about a few shifts and
    sums alone is decided at once where it is hopeless among everything else.  ``opaque``:
    terms that may have any value in it.  ``place``: ``each way``: proved of each way by itself
    where ways join at the statement, so that what is assigned on one of them is no ``If``
    yet; ``behind``: behind the statement's cut, so of its constants.
    """

    name: str
    line: int
    formula: Formula
    by: tuple[str, ...] | None = None
    opaque: Callable[[View], Sequence[z3.BitVecRef]] | None = None
    place: Place = "before"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a proof adds to a routine.

    ``invariants``: of the loop whose head cites this line.  ``cuts``: proved at a statement,
    where everything else is forgotten: what follows rests on the cut alone.  ``forgets``: at
    a cut, only these variables are forgotten, and what was known of the others still is
    (so that they are the same on all ways behind it).  ``claims``: what
    is to be proved at statements.  ``lemmas``: steps there, in their order.  ``given``: what
    defines the constants that the proof watches, at a line.  ``hints``: assumed for the
    obligations of one line only (they may only choose which element an arbitrary watched
    constant stands for).  ``tracked``: shared variables that no other thread changes.
    ``stable``: bits of a shared variable's elements that nobody changes; the routine's own
    stores must keep them.  ``lengths``: of local arrays whose length is a value.
    ``smashed``: local arrays of which a store makes all contents arbitrary (somebody else
    fills them).  ``reads``: what is known of every value read from a shared variable.
    """

    invariants: Mapping[int, Formula] = field(default_factory=dict)
    cuts: Mapping[int, Formula] = field(default_factory=dict)
    forgets: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    lemmas: tuple[Lemma, ...] = ()
    given: Mapping[int, Formula] = field(default_factory=dict)
    hints: Mapping[int, Formula] = field(default_factory=dict)
    tracked: frozenset[str] = frozenset()
    stable: Mapping[str, int] = field(default_factory=dict)
    lengths: Mapping[str, Callable[[View], z3.BitVecRef]] = field(default_factory=dict)
    smashed: frozenset[str] = frozenset()
    reads: Mapping[str, Callable[[Term], z3.BoolRef]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Obligation:
    """``reach`` implies ``goal``.

    ``kind``: a kind of doubt about arithmetic (:data:`.terms.DoubtKind`), ``index``,
    ``stable``, ``check``, ``claim``, ``lemma``, ``cut``, ``invariant`` (holds on entry),
    ``induction`` (is kept).  ``name``: the check's, claim's or array's.  ``file`` is the
    model's.  ``alone``: ``reach`` is not a path but other lemmas, and no fact is needed.  A
    counterexample to one behind a cut or a loop may start where no execution gets.
    """

    kind: str
    name: str
    lines: tuple[int, ...]
    text: str
    file: str
    node: int
    reach: z3.BoolRef
    goal: z3.BoolRef
    alone: bool = False

    @property
    def line(self) -> int:
        return self.lines[0] if self.lines else 0


@dataclass(slots=True)
class Conditions:
    """The obligations of a routine, what holds of its constants, and its inputs by name."""

    obligations: list[Obligation]
    facts: list[z3.BoolRef]
    inputs: dict[str, Term]
    parameters: dict[str, Term]
    entry: View
    reads: list[tuple[str, Term]]

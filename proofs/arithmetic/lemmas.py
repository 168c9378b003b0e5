"""Words for the steps of a proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import z3

from ...checker.symbolic.frame import Lemma
from ...checker.symbolic.state import View

Number: TypeAlias = Callable[[View], z3.BitVecRef]
Formula: TypeAlias = Callable[[View], z3.BoolRef]


def placed(line: int, parts: Sequence[Lemma]) -> tuple[Lemma, ...]:
    """Lemmas of one line, in their order."""
    return tuple(replace(each, line=line) for each in parts)


def stated(name: str, formula: Formula) -> Lemma:
    """A lemma that the path gives."""
    return Lemma(name, 0, formula)


def each_way(name: str, formula: Formula) -> Lemma:
    """A lemma that each of the ways that join there gives."""
    return Lemma(name, 0, formula, place="each way")


def behind(lemmas: Sequence[Lemma]) -> tuple[Lemma, ...]:
    """The same, behind the cut of their line."""
    return tuple(replace(each, place="behind") for each in lemmas)


def derived(name: str, formula: Formula, *by: str, opaque: Sequence[Number] = ()) -> Lemma:
    """A lemma that follows from others alone."""
    return Lemma(name, 0, formula, by, lambda view: [each(view) for each in opaque])

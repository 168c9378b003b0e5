"""Where pages change hands, and that each such place lies in a unit that is proved.

Every actor of the model is compiled whole, with everything inlined.  Each of its stores to a
page's flags, owner, buffer or life is looked for in the program of the unit it belongs to: that of
the innermost routine around it that has a contract, or of the actor itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ...checker.lang import ir
from ...checker.lang.compile import compile_routine
from ...checker.lang.source import Source
from . import listed_units, ownership
from .contracts import CONTRACTS
from .listed_contracts import LISTINGS
from .page import IL, PAGE

# The model's file and line, and the calls around, from a unit's own routine on.
Place: TypeAlias = tuple[str, int, tuple[str, ...]]
# With them every part of the model is compiled but DEBUG's, and one of the functions that write.
PARAMETERS: Final = (
    *(each for each in ownership.PARAMETERS if each[0] not in ("NKVA",)), ("RWMAP", 0),
)


@dataclass(frozen=True, slots=True)
class View:
    """What a proof follows, and in which units: ``subjects`` names the routine of each wrapper.

    ``parameters``: of a unit; ``whole``: of the actors, with everything inlined.
    """

    watched: frozenset[str]
    checks: tuple[str, ...]
    units: tuple[str, ...]
    subjects: Mapping[str, str]
    contracts: frozenset[str]
    parameters: Callable[[str], tuple[tuple[str, int], ...]]
    whole: tuple[tuple[str, int], ...]
    symbolic: Mapping[str, ir.CType] | None = None

    def subject(self, unit: str) -> str:
        """The routine that a unit is about."""
        return self.subjects.get(unit, unit)


OWNERSHIP: Final = View(
    frozenset(PAGE), ownership.CHECKS, tuple(name for name, _ in ownership.SUBJECTS),
    ownership.ROUTINES,
    frozenset(CONTRACTS), ownership.parameters, PARAMETERS,
)  # fmt: skip
LISTED: Final = View(
    frozenset(listed_units.TRACKED) - {IL} | {"vnodes.tree", "vnodes.memq"}, listed_units.CHECKS,
    tuple(name for name, _ in listed_units.UNITS if name not in listed_units.ACTORS),
    listed_units.SUBJECTS, frozenset(LISTINGS), listed_units.parameters,
    listed_units.PARAMETERS, listed_units.SYMBOLIC,
)  # fmt: skip


def stores(
    source: Source, routine: str, parameters: Iterable[tuple[str, int]], fixes: Sequence[str],
    view: View = OWNERSHIP,
) -> Iterator[ir.Where]:  # fmt: skip
    """Every store of a routine to what the proof follows, and every change of its lists."""
    program = compile_routine(
        source, routine, parameters=dict(parameters), fixes=fixes, properties=view.checks,
        symbolic=view.symbolic,
    )  # fmt: skip
    watched = {number for number, var in enumerate(program.shared) if var.name in view.watched}
    for instr in program.threads[0].code:
        match instr.action:
            case ir.Assign(ir.Shared(number)) if number in watched:
                yield instr.where
            case ir.ListInsert(ref) | ir.ListRemove(ref) if ref.var in watched:
                yield instr.where


def place(where: ir.Where, subjects: Iterable[str]) -> tuple[str, Place]:
    """The unit's routine that a store belongs to ("" for the root's), and its place there."""
    known = set(subjects)
    names = [entry.partition("@")[0] for entry in where.stack]
    inner = max((number for number, name in enumerate(names) if name in known), default=-1)
    owner = names[inner] if inner >= 0 else ""
    return owner, (where.file, where.line, tuple(names[inner + 1:] if inner >= 0 else names[1:]))


def uncovered(
    whole: Source, units: Iterable[tuple[str, Source]], actors: Iterable[str],
    fixes: Sequence[str], view: View = OWNERSHIP,
) -> tuple[list[str], int]:  # fmt: skip
    """Stores of the actors that lie in no unit, and how many there are in all.

    ``whole``: the model with no contracts; ``units``: each unit with its own source.
    """
    subjects = {view.subject(name) for name in view.units} & (set(view.contracts) | {"aiodone"})
    proved: dict[str, set[Place]] = {}
    for name, source in units:
        own = view.subject(name)
        found = proved.setdefault(own, set())
        for where in stores(source, name, view.parameters(name), fixes, view):
            owner, at = place(where, {own})
            if owner or own == name:
                found.add(at)
    missing: list[str] = []
    count = 0
    for actor in actors:
        for where in stores(whole, actor, view.whole, fixes, view):
            owner, at = place(where, subjects | {actor})
            count += 1
            if at not in proved.get(owner or actor, set()):
                missing.append(f"{actor}: {where.file}:{where.line} in {owner}, {at[2]}")
    return missing, count

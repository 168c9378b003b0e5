"""Where a thread's locals are kept in Promela.

A local that is live at a stop has a place among the proctype's variables; locals of one type
that are never live together share places (greedy colouring), so that a state is no longer
than it must be.  A place that holds nothing live is 0.  Locals that live between stops only
are kept in hidden variables, which all threads share and which are no part of a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..explore.layout import dynamic_locals
from ..explore.liveness import Liveness
from ..lang import ir
from .names import comment, type_of


@dataclass(frozen=True, slots=True)
class _Unit:
    """Elements of a local that are placed together: one, or a whole array."""

    var: int
    elements: tuple[int, ...]
    mask: int
    kind: str


@dataclass(slots=True)
class Storage:
    """The places of one thread's locals.

    ``cells`` maps (variable, element) to a place, ``arrays`` a variable that is accessed at
    an index that is not constant to the array it occupies; ``bytes`` is what the places take.
    """

    thread: ir.Thread
    live: Liveness
    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    arrays: dict[int, str] = field(default_factory=dict)
    dynamic: set[int] = field(default_factory=set)
    declarations: list[str] = field(default_factory=list)
    bytes: int = 0

    def at(self, node: int) -> set[str]:
        """The places that hold something live before a node."""
        return {
            place
            for (var, element), place in self.cells.items()
            if self.live.is_live(node, var, element)
        }


def _stored(thread: ir.Thread, live: Liveness, action: ir.Action) -> int:
    if isinstance(action, ir.Assign | ir.Choose) and isinstance(action.target, ir.Local):
        var = action.target.var
        return ((1 << thread.locals[var].length) - 1) << live.offset[var]
    return 0


def _units(
    thread: ir.Thread, live: Liveness, stops: Sequence[int], dynamic: set[int]
) -> list[_Unit]:
    at_stops = 0
    for stop in stops:
        at_stops |= live.before[stop]
    units: list[_Unit] = []
    for var, declared in enumerate(thread.locals):
        whole = (1 << declared.length) - 1
        offset = live.offset[var]
        mask = at_stops >> offset & whole
        if not mask:
            continue
        kind = type_of(declared.domain, f"{thread.name}: the local {declared.name}")
        if var in dynamic:
            elements = tuple(range(declared.length))
            units.append(_Unit(var, elements, whole << offset, kind))
        else:
            units += [
                _Unit(var, (element,), 1 << (offset + element), kind)
                for element in range(declared.length)
                if mask >> element & 1
            ]
    return units


def _conflicts(thread: ir.Thread, live: Liveness, units: list[_Unit]) -> list[int]:
    """For each unit the units that are live, or stored, where it is: as bit masks."""
    together = set(live.before)
    for instr in thread.code:
        stored = _stored(thread, live, instr.action)
        if stored:
            for successor in instr.successors():
                stored |= live.before[successor]
            together.add(stored)
    conflicts = [0] * len(units)
    for bits in {
        sum(1 << number for number, unit in enumerate(units) if unit.mask & mask)
        for mask in together
    }:
        for number in range(len(units)):
            if bits >> number & 1:
                conflicts[number] |= bits
    return conflicts


def place_locals(thread: ir.Thread, live: Liveness, stops: Sequence[int]) -> Storage:
    """Choose the places of a thread's locals.  Raises ExportError for values beyond an int."""
    storage = Storage(thread, live, dynamic=dynamic_locals(thread))
    units = _units(thread, live, stops, storage.dynamic)
    conflicts = _conflicts(thread, live, units)
    pools: dict[tuple[str, int], list[int]] = {}
    placed: list[tuple[str, str, int, list[str]]] = []
    for number, unit in enumerate(units):
        length = len(unit.elements) if unit.var in storage.dynamic else 0
        pool = pools.setdefault((unit.kind, length), [])
        colour = next((c for c, used in enumerate(pool) if not used & conflicts[number]), len(pool))
        if colour == len(pool):
            pool.append(0)
        pool[colour] |= 1 << number
        name = f"{unit.kind[:2]}{length or ''}_{colour}"
        if pool[colour] == 1 << number:
            placed.append((name, unit.kind, length, []))
        names = next(entry[3] for entry in placed if entry[0] == name)
        names.append(thread.locals[unit.var].name)
        if unit.var in storage.dynamic:
            storage.arrays[unit.var] = name
        for element in unit.elements:
            storage.cells[unit.var, element] = f"{name}[{element}]" if length > 1 else name
    sizes = {"bit": 1, "byte": 1, "short": 2, "int": 4}
    storage.bytes = sum(sizes[kind] * max(1, length) for _, kind, length, _ in placed)
    storage.declarations = [
        f"{kind} {name}{f'[{length}]' if length > 1 else ''};  "
        + comment(", ".join(dict.fromkeys(names)))
        for name, kind, length, names in sorted(placed)
    ]
    return storage

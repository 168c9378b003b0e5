"""States as ``bytes``: where each variable is kept.

Every slot holds a value minus its domain's low end, in 1 byte, or in 2, 4, ... bytes (little
endian) for wider domains.  Shared variables come first; then, for each thread, its program
counter and its local slots.  The program counter is 0 when the thread has ended, and
otherwise 1 + the index of the stop it stands at.

Only locals that are live at some stop have slots, and locals that are never live together
share them (greedy colouring).  Slots that hold no live value are zero, so that equal states
are equal bytes.  Locals that live only between stops are the code generator's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..lang import ir
from .interpret import ENDED, State, ThreadState
from .liveness import Liveness, liveness


def slot_width(domain: ir.Domain) -> int:
    """Bytes of one slot: the smallest power of two that the domain fits in."""
    width = 1
    while domain.high - domain.low >= 1 << (8 * width):
        width *= 2
    return width


@dataclass(frozen=True, slots=True)
class Slot:
    """Consecutive elements: the first one's offset, the width of each, the bias."""

    offset: int
    width: int
    low: int

    def at(self, element: int) -> int:
        return self.offset + element * self.width

    def load(self, data: bytes, element: int = 0) -> int:
        start = self.at(element)
        return int.from_bytes(data[start : start + self.width], "little") + self.low

    def store(self, data: bytearray, element: int, value: int) -> None:
        start = self.at(element)
        data[start : start + self.width] = (value - self.low).to_bytes(self.width, "little")


def dynamic_locals(thread: ir.Thread) -> set[int]:
    """The arrays that are accessed at an index that is not constant."""
    found: set[int] = set()
    for instr in thread.code:
        exprs = [sub for root in ir.action_reads(instr.action) for sub in ir.walk(root)]
        if isinstance(instr.action, ir.Assign | ir.Choose):
            exprs.append(instr.action.target)
        for expr in exprs:
            if isinstance(expr, ir.Local) and expr.index is not None:
                if not isinstance(expr.index, ir.Const):
                    found.add(expr.var)
    return found


@dataclass(slots=True)
class ThreadLayout:
    """One thread's part of a state.

    ``slots`` maps (variable, element) to the slot of that element alone.
    """

    thread: ir.Thread
    live: Liveness
    stops: list[int]
    index: dict[int, int] = field(default_factory=dict)
    pc: Slot = Slot(0, 1, 0)
    dynamic: set[int] = field(default_factory=set)
    slots: dict[tuple[int, int], Slot] = field(default_factory=dict)

    def live_slots(self, stop: int) -> list[tuple[int, int, Slot]]:
        """The elements that have a value where the thread stands at ``stop``."""
        return [
            (var, element, slot)
            for (var, element), slot in self.slots.items()
            if self.live.is_live(stop, var, element)
        ]


def _units(
    thread: ir.Thread, live: Liveness, stops: Sequence[int], dynamic: set[int]
) -> list[tuple[int, tuple[int, ...], int, int]]:
    """What gets slots together: (variable, elements, mask of elements, width)."""
    at_stops = 0
    for stop in stops:
        at_stops |= live.before[stop]
    units: list[tuple[int, tuple[int, ...], int, int]] = []
    for var, declared in enumerate(thread.locals):
        mask = at_stops >> live.offset[var] & ((1 << declared.length) - 1)
        width = slot_width(declared.domain)
        if var in dynamic and mask:
            whole = ((1 << declared.length) - 1) << live.offset[var]
            units.append((var, tuple(range(declared.length)), whole, width))
            continue
        for element in range(declared.length):
            if mask >> element & 1:
                units.append((var, (element,), 1 << (live.offset[var] + element), width))
    return units


def _written(thread: ir.Thread, live: Liveness) -> list[int]:
    """For each node the elements that it may store (they interfere with what is live after)."""
    masks: list[int] = []
    for instr in thread.code:
        mask = 0
        if isinstance(instr.action, ir.Assign | ir.Choose):
            target = instr.action.target
            if isinstance(target, ir.Local):
                length = thread.locals[target.var].length
                mask = ((1 << length) - 1) << live.offset[target.var]
        masks.append(mask)
    return masks


def _colour(layout: ThreadLayout, start: int) -> int:
    """Give slots to the thread's locals from ``start`` on; the offset behind them."""
    thread, live = layout.thread, layout.live
    units = _units(thread, live, layout.stops, layout.dynamic)
    written = _written(thread, live)
    after = [0] * len(thread.code)
    for node, instr in enumerate(thread.code):
        for successor in instr.successors():
            after[node] |= live.before[successor]
    together = set(live.before)
    together.update(mask | out for mask, out in zip(written, after, strict=True) if mask)
    unit_sets: list[int] = []
    for mask in together:
        bits = 0
        for index, (_, _, elements, _) in enumerate(units):
            if mask & elements:
                bits |= 1 << index
        unit_sets.append(bits)
    conflicts = [0] * len(units)
    for bits in set(unit_sets):
        rest = bits
        while rest:
            lowest = rest & -rest
            conflicts[lowest.bit_length() - 1] |= bits
            rest ^= lowest
    taken: list[set[int]] = [set() for _ in units]
    place: dict[int, int] = {}
    end = start
    order = sorted(range(len(units)), key=lambda i: (-len(units[i][1]) * units[i][3], i))
    for index in order:
        var, members, _, width = units[index]
        need = len(members) * width
        blocked: set[int] = set()
        for other in place:
            if conflicts[index] >> other & 1:
                blocked |= taken[other]
        offset = start
        while any(byte in blocked for byte in range(offset, offset + need)):
            offset += 1
        place[index] = offset
        taken[index] = set(range(offset, offset + need))
        end = max(end, offset + need)
        low = thread.locals[var].domain.low
        for position, element in enumerate(members):
            layout.slots[var, element] = Slot(offset + position * width, width, low)
    return end


class Layout:
    """The layout of a program's states for given stops.

    ``align``: the shared part and the part of each thread are padded with zeros to multiples
    of so many bytes.
    """

    def __init__(
        self,
        program: ir.Program,
        stops: Sequence[Sequence[int]],
        live: Sequence[Liveness] | None = None,
        align: int = 1,
    ) -> None:
        self.program = program
        self.align = align
        self.shared: list[Slot] = []
        offset = 0
        for var in program.shared:
            width = slot_width(var.domain)
            self.shared.append(Slot(offset, width, var.domain.low))
            offset += width * var.length
        offset = self._padded(offset)
        self.threads: list[ThreadLayout] = []
        for number, thread in enumerate(program.threads):
            own = ThreadLayout(
                thread,
                live[number] if live is not None else liveness(thread),
                list(stops[number]),
                dynamic=dynamic_locals(thread),
            )
            own.index = {stop: index + 1 for index, stop in enumerate(own.stops)}
            own.pc = Slot(offset, 1 if len(own.stops) < 256 else 2, 0)
            offset = self._padded(_colour(own, offset + own.pc.width))
            self.threads.append(own)
        self.size = offset

    def _padded(self, offset: int) -> int:
        return -(-offset // self.align) * self.align

    def encode(self, state: State) -> bytes:
        """The bytes of a canonical state whose threads all stand at stops."""
        data = bytearray(self.size)
        for slot, values in zip(self.shared, state.shared, strict=True):
            for element, value in enumerate(values):
                slot.store(data, element, value)
        for own, thread in zip(self.threads, state.threads, strict=True):
            if thread.pc == ENDED:
                continue
            own.pc.store(data, 0, own.index[thread.pc])
            for var, element, slot in own.live_slots(thread.pc):
                slot.store(data, 0, thread.locals[var][element])
        return bytes(data)

    def decode(self, data: bytes) -> State:
        """The state that the bytes stand for."""
        shared = tuple(
            tuple(slot.load(data, element) for element in range(var.length))
            for slot, var in zip(self.shared, self.program.shared, strict=True)
        )
        threads: list[ThreadState] = []
        for own in self.threads:
            number = own.pc.load(data)
            values = [[var.initial] * var.length for var in own.thread.locals]
            pc = ENDED if number == 0 else own.stops[number - 1]
            if pc != ENDED:
                for var, element, slot in own.live_slots(pc):
                    values[var][element] = slot.load(data)
            threads.append(ThreadState(pc, tuple(tuple(row) for row in values)))
        return State(shared, tuple(threads))

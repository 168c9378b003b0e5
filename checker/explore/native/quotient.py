"""What the native engine needs to keep one state of each orbit (``symmetry.c``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import factorial, prod

from ..layout import Layout, Slot, ThreadLayout
from ..pygen import Checks
from ..symmetry import Symmetry
from ..thread_types import MASK, PLAIN, THREAD, Type
from .tables import NativeModel

MOST_ORDERS = 720
_TYPES: dict[Type, int] = {PLAIN: 0, THREAD: 1, MASK: 2}

Row = tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Quotient:
    """The groups of threads that a search exchanges, and its tables.

    ``groups``: for each thread 0, or the number of its group from 1.  ``orders``: all
    permutations, each as what the threads become, the identity first.  ``shared`` and ``locals``
    are rows of (stop, byte, elements, width of each, type, whether element t is thread t's,
    lowest value), ``locals`` by stops, for what is not plain and live there; bytes of locals
    count from the beginning of the thread's part.  ``uneven`` marks the blocks that an exchange
    does not map to blocks.
    """

    symmetry: Symmetry
    groups: bytes
    orders: bytes
    shared: tuple[Row, ...]
    locals: tuple[Row, ...]
    uneven: bytes

    def members(self, thread: int) -> tuple[int, ...]:
        """The threads that a thread may be exchanged with, and itself."""
        for group in self.symmetry.groups:
            if thread in group:
                return group
        return (thread,)

    def images(self, thread: int, node: int) -> tuple[int, ...]:
        """The threads whose instruction of this number is an image of this thread's."""
        return (thread,) if node in self.symmetry.uneven[thread] else self.members(thread)

    def checks(self, checks: dict[int, Checks]) -> dict[int, Checks]:
        """Checks that the threads of each group share: all that any of them has."""
        result = dict(checks)
        for group in self.symmetry.groups:
            own = [checks.get(thread, Checks()) for thread in group]
            together = Checks(
                frozenset().union(*(one.sites for one in own)),
                frozenset().union(*(one.owners for one in own)),
            )
            result.update(dict.fromkeys(group, together))
        return result


def quotient(found: Symmetry, model: NativeModel) -> Quotient | None:
    """The tables for a program's symmetry; None if there is none that can be used.

    Groups are cut down to MOST_ORDERS permutations, and to threads whose locals are laid out in
    the same way; a part of a group is a group.  Shared values beyond 64 bits are not moved.
    """
    if any(slot.width > 8 for slot in model.layout.shared):
        return None
    usable = replace(found, groups=_few(_laid_out(group, model.layout) for group in found.groups))
    if not usable.groups or usable.types is None:
        return None
    described, program, layout = usable.describe(), model.program, model.layout
    shared = tuple(
        _row(model.stop_base[-1], slot, var.length, described.values[at], described.indices[at])
        for at, (var, slot) in enumerate(zip(program.shared, layout.shared, strict=True))
        if PLAIN != described.values[at] or described.indices[at] == THREAD
    )
    locals_ = tuple(
        _row(base + number, _own(slot, thread), 1, described.locals[thread.thread.index][var])
        for thread, base in zip(layout.threads, model.stop_base, strict=False)
        for number, stop in enumerate(thread.stops)
        for var, _, slot in thread.live_slots(stop)
        if described.locals[thread.thread.index][var] != PLAIN
    )
    groups = bytearray(len(program.threads))
    for number, group in enumerate(usable.groups, 1):
        for member in group:
            groups[member] = number
    orders = b"".join(map(bytes, usable.orders))
    uneven = bytes(
        not usable.uneven[block.thread].isdisjoint(block.nodes) for block in model.blocks
    )
    return Quotient(usable, bytes(groups), orders, shared, locals_, uneven)


def _row(stop: int, slot: Slot, elements: int, value: Type, index: Type = PLAIN) -> Row:
    return (
        stop, slot.offset, elements, slot.width, _TYPES[value], int(index == THREAD), slot.low
    )  # fmt: skip


def _own(slot: Slot, thread: ThreadLayout) -> Slot:
    """A slot counted from the beginning of the thread's part."""
    return replace(slot, offset=slot.offset - thread.pc.offset)


def _laid_out(group: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """The threads of a group whose parts of a state look like the first one's."""

    def shape(thread: int) -> object:
        own = layout.threads[thread]
        return own.pc.width, {place: _own(slot, own) for place, slot in own.slots.items()}

    return tuple(thread for thread in group if shape(thread) == shape(group[0]))


def _few(groups: Iterable[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """The groups, the largest ones cut off until there are few permutations, if need be."""
    sizes = [list(group) for group in groups]
    while prod(factorial(len(group)) for group in sizes) > MOST_ORDERS:
        max(sizes, key=len).pop()
    return tuple(tuple(group) for group in sizes if len(group) > 1)

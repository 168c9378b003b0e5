"""What a user finds in the file, beside what users put there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..hook import Event
from ..image import HOLE
from ..pages import PG_FAKE
from .world import FOREIGN, OLD, UNIT, UNSAVED, ZERO, World

_NAMES = {
    ZERO: "zeros",
    FOREIGN: "another file's bytes",
    OLD: "the old bytes",
    UNSAVED: "the dirty page's bytes",
}


@dataclass
class Unit:
    """One unit of the file: what a reader gets, what the device holds, what was put there.

    Tokens; -1 for bytes that nobody in the scenario stored, None for what is not known.
    """

    number: int
    read: int
    disk: int
    written: int | None = None

    @property
    def lost(self) -> bool:
        """Does a reader get something else than what was put there?"""
        return self.written is not None and self.read != self.written

    @property
    def unsaved(self) -> bool:
        """Does the device hold something else?"""
        return self.written is not None and self.disk != self.written


def token_name(token: int | None) -> str:
    """What a token's bytes are, in words."""
    if token is None:
        return "unknown"
    if token < 0:
        return "a mixture"
    return _NAMES.get(token, f"the bytes of store {token - UNSAVED - 1}")


def _token(data: bytes | bytearray) -> int:
    return data[0] if bytes(data) == bytes(data[:1]) * len(data) else -1


def contents(world: World) -> list[Unit]:
    """Every unit up to the end of the file."""
    vp, kernel = world.vp, world.fs.kernel
    fs, page_size = kernel.fs, kernel.page_size
    found = []
    for number in range(vp.v_size.value // UNIT):
        offset = number * UNIT
        lbn, inside = divmod(offset, fs.bsize)
        block = vp.inode.map[lbn] if lbn < len(vp.inode.map) else HOLE
        disk = ZERO
        if block != HOLE:
            place = fs.sb.data + block * fs.bsize + inside
            disk = _token(kernel.dev.peek(place, UNIT))
        read = disk
        page = vp.uobj.tree.get(offset - offset % page_size)
        if page is not None and not page.flags.value & PG_FAKE:
            start = offset % page_size
            read = _token(page.data[start : start + UNIT])
        found.append(Unit(number, read, disk))
    return found


def written(
    before: Sequence[Unit], events: Iterable[Event], world: World
) -> dict[int, int | None]:
    """What each unit should hold: what was there, then what the events stored or cut off.

    A unit is None where two stores of the log could both be the last.
    """
    units: dict[int, int | None] = {unit.number: unit.read for unit in before}
    per_page = world.fs.kernel.page_size // UNIT
    for event in events:
        values = event.values
        if event.kind in ("user_store", "page_store") and values.get("ok", True):
            number, offset = values["number"], values["offset"]
            assert isinstance(number, int) and isinstance(offset, int)
            first = number * per_page + offset // UNIT
            for place, token in enumerate(str(values["data"]).split(",")):
                units[first + place] = int(token) if token.isdigit() else None
        elif event.kind == "store" and values["field"] == "v_size":
            size = values["value"]
            assert isinstance(size, int)
            for number in units:
                if number >= size // UNIT:
                    units[number] = ZERO
    return units

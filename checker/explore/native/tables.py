"""The numbers that generated C code uses, and what they stand for.

A *block* is a straight run of instructions; one that a fault can leave early has its prefixes
as blocks of their own, so that what was executed is known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ...lang import ir
from ..layout import Layout
from ..pygen import Checks


class Fault(NamedTuple):
    """Why a step ended other than at a stop.

    ``fault``: a violation, ``name`` its property.  ``broken``: a wait behind the first unit
    that was false, or a choice there without an alternative (``name`` is ``wait``, ``choice``).
    """

    thread: int
    node: int
    name: str
    kind: Literal["fault", "broken"]


class Block(NamedTuple):
    """A block: the thread, and the instructions in the order of execution."""

    thread: int
    nodes: tuple[int, ...]


class Site(NamedTuple):
    """A race check at an instruction; ``code`` as in :class:`~..pygen.Checks`: 0, 1, 3 or 4.

    Codes 0 and 1 come from one evaluation and have consecutive numbers; the flag of the first
    asks for both.
    """

    thread: int
    node: int
    code: int


@dataclass(slots=True)
class Tables:
    """Numbers given out while a program's code is generated."""

    faults: dict[Fault, int] = field(default_factory=dict)
    blocks: dict[Block, int] = field(default_factory=dict)
    sites: dict[Site, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def fault(self, fault: Fault) -> int:
        return self.faults.setdefault(fault, len(self.faults))

    def block(self, block: Block) -> int:
        return self.blocks.setdefault(block, len(self.blocks))

    def site(self, site: Site) -> int:
        return self.sites.setdefault(site, len(self.sites))

    def place(self, name: str) -> int:
        """The number of a predicate, for the case that it reads outside a variable."""
        return self.places.setdefault(name, len(self.places))


@dataclass(frozen=True, slots=True)
class NativeModel:
    """A program's generated C code, and what its numbers mean.

    ``faults``, ``blocks`` and ``sites`` are indexed by the numbers of the C code; ``places``
    names the predicates (``misread`` holds 1 + its number when one reads outside a variable).
    ``stops`` are the fine stops of each thread; stop ``i`` of thread ``t`` has the number
    ``stop_base[t] + i``.  ``layout`` is that of the fine stops, aligned to words of 8 bytes.
    """

    program: ir.Program
    text: str
    layout: Layout
    stops: list[list[int]]
    stop_base: list[int]
    faults: list[Fault]
    blocks: list[Block]
    sites: list[Site]
    places: list[str]

    @property
    def words(self) -> int:
        """Words of a state."""
        return self.layout.size // 8

    def stop_flags(self, stops: Sequence[Sequence[int]]) -> bytes:
        """One byte for each fine stop: 1 where a search with these stops stops."""
        flags = bytearray(self.stop_base[-1])
        for thread, wanted in enumerate(stops):
            index = self.layout.threads[thread].index
            for node in wanted:
                flags[self.stop_base[thread] + index[node] - 1] = 1
        return bytes(flags)

    def site_flags(self, checks: Mapping[int, Checks]) -> bytes:
        """One byte for each race check: 1 where these checks want it evaluated."""
        flags = bytearray(len(self.sites))
        for number, (thread, node, code) in enumerate(self.sites):
            wanted = checks.get(thread, Checks())
            flags[number] = node in (wanted.sites if code < 2 else wanted.owners)
        return bytes(flags)

    def executed(self, path: Sequence[int]) -> list[int]:
        """The instructions of a path of block numbers."""
        return [node for block in path for node in self.blocks[block].nodes]

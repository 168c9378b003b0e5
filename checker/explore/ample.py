"""Ample sets of one thread: at which states the others need not be tried.

``docs/decisions/0006-ample-sets-and-symmetry.md`` states the theorem and argues for every
condition.  At a state a thread is expanded alone if its block is *eligible*, is enabled and
cannot fail here, and is *compatible* with the place of every other thread that could move
before it: nothing that such a thread may do from there on, as long as this one stays where it
is, touches what the block touches, nor what the block lets an invariant see.

Everything but the conditions of waits (:class:`~.footprint.Key`) comes from tables that depend
on the program and its stops only, so the graph does not depend on the order of the search.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from ..lang import ir
from .engine import Facts
from .footprint import Block, Blocks, Footprint, Space, acyclic, watched
from .owners import Elements, owners
from .pygen import Checks


@dataclass(slots=True)
class Ample:
    """The tables, by thread and by number of the stop among the thread's stops.

    ``eligible[t][p]``; ``compatible[t][p][u]`` has a byte for each stop of u (no rows for blocks
    that are not eligible, an empty one for u = t).  ``keys[t][p]``: conditions over the shared
    variables and the thread's locals, numbered from ``first[t][p]`` on through all threads; the
    block is disabled where one is false.  ``sets[t][p]``: bit k if what the thread may do from
    there on may make key k true.
    """

    stops: list[list[int]]
    eligible: list[list[bool]] = field(default_factory=list)
    compatible: list[list[list[bytes]]] = field(default_factory=list)
    keys: list[list[tuple[ir.Expr, ...]]] = field(default_factory=list)
    first: list[list[int]] = field(default_factory=list)
    sets: list[list[int]] = field(default_factory=list)

    def alone(
        self, at: Sequence[int | None], able: Sequence[bool], missing: Sequence[int]
    ) -> int | None:
        """The thread to expand alone, if any: the first one that may be.

        ``at``: for each thread the number of its stop, None where it has ended.  ``able``: it is
        enabled, and none of the ways that its block can go fails.  ``missing``: for each thread
        the keys of its stop that are false, as a bit mask of their numbers.
        """
        for thread, stop in enumerate(at):
            if stop is None or not able[thread] or not self.eligible[thread][stop]:
                continue
            rows = self.compatible[thread][stop]
            if all(rows[other][at[other] or 0] for other in self._moving(thread, at, missing)):
                return thread
        return None

    def _moving(
        self, thread: int, at: Sequence[int | None], missing: Sequence[int]
    ) -> list[int]:
        """The other threads that may move while this one does not.

        One that waits, with a condition missing that none of these may bring about, is not
        among them.
        """
        moving: list[int] = []
        waiting: list[int] = []
        coming = 0
        for other, stop in enumerate(at):
            if other == thread or stop is None:
                continue
            if missing[other]:
                waiting.append(other)
            else:
                moving.append(other)
                coming |= self.sets[other][stop]
        while True:
            woken = [other for other in waiting if not missing[other] & ~coming]
            if not woken:
                return moving
            waiting = [other for other in waiting if other not in woken]
            for other in woken:
                moving.append(other)
                coming |= self.sets[other][at[other] or 0]


class _Futures:
    """What a thread may do from a stop on while some owner elements hold another thread."""

    def __init__(self, blocks: Mapping[int, Block]) -> None:
        self.blocks = blocks
        self._known: dict[Elements, dict[int, Footprint]] = {}

    def all(self, held: Elements) -> dict[int, Footprint]:
        """The footprint of the future from every stop."""
        found = self._known.get(held)
        if found is None:
            can = {stop: block for stop, block in self.blocks.items() if not block.needs & held}
            found = {
                stop: can[stop].footprint if stop in can else Footprint() for stop in self.blocks
            }
            changed = True
            while changed:
                changed = False
                for stop in sorted(can, reverse=True):
                    total = found[stop]
                    for successor in can[stop].following:
                        total |= found[successor]
                    if total != found[stop]:
                        found[stop] = total
                        changed = True
            self._known[held] = found
        return found


def ample(
    known: Facts,
    stops: Sequence[Sequence[int]],
    checks: Mapping[int, Checks] | None = None,
    active: Sequence[Collection[int]] | None = None,
) -> Ample:
    """Compute the tables for given stops.

    ``checks``: the run-time checks of the search, whose reads count as accesses.  ``active``:
    for each thread the instructions that are taken to be all that is ever executed; the caller
    must verify that (None: every instruction counts).
    """
    program = known.program
    space = Space(program)
    facts = owners(program, stops, active)
    blocks = [
        Blocks(
            space, thread, stops[number], known.envs[number], facts,
            None if active is None else active[number], (checks or {}).get(number),
        ).at
        for number, thread in enumerate(program.threads)
    ]  # fmt: skip
    futures = [_Futures(own) for own in blocks]
    result = Ample([list(row) for row in stops])
    for thread, own in enumerate(blocks):
        rows: dict[int, list[bytes]] = {}
        for stop, block in own.items():
            seen = watched(space, block, facts.exclusive)
            rows[stop] = _compatible(thread, block, seen, stops, futures)
        wanted = sorted(rows, key=lambda stop: (-_use(rows[stop]), stop))
        chosen = acyclic(own, wanted)
        result.eligible.append([stop in chosen for stop in stops[thread]])
        result.compatible.append([rows[stop] if stop in chosen else [] for stop in stops[thread]])
    _number_keys(result, blocks, futures)
    return result


def _compatible(
    thread: int,
    block: Block,
    seen: int,
    stops: Sequence[Sequence[int]],
    futures: Sequence[_Futures],
) -> list[bytes]:
    """With which places of the other threads a block is compatible."""
    touched = Footprint(block.footprint.reads | seen, block.footprint.writes)
    row: list[bytes] = []
    for other, future in enumerate(futures):
        if other == thread:
            row.append(b"")
            continue
        coming = future.all(block.held)
        row.append(bytes(not touched.conflicts(coming[stop]) for stop in stops[other]))
    return row


def _use(row: Sequence[bytes]) -> int:
    """How often a block may be chosen, roughly: its compatible places, counted for all threads."""
    return prod(1 + sum(fits) for fits in row)


def _number_keys(
    result: Ample, blocks: Sequence[Mapping[int, Block]], futures: Sequence[_Futures]
) -> None:
    """Number the keys of all stops, and find out who may make them true."""
    reads: list[int] = []
    for own, row in zip(blocks, result.stops, strict=True):
        result.keys.append([tuple(key.test for key in own[stop].keys) for stop in row])
        result.first.append([])
        for stop in row:
            result.first[-1].append(len(reads))
            reads += [key.reads for key in own[stop].keys]
    for own_futures, row in zip(futures, result.stops, strict=True):
        coming = own_futures.all(frozenset())
        result.sets.append(
            [
                sum(1 << key for key, mask in enumerate(reads) if mask & coming[stop].writes)
                for stop in row
            ]
        )

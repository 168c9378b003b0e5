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
from .engine import Facts, fine_stops
from .footprint import Block, Blocks, Footprint, Key, Space, acyclic, keys_at, watched
from .owners import Elements, owners
from .pygen import Checks


@dataclass(slots=True)
class Ample:
    """The tables, by thread and by number of the stop among the thread's stops.

    ``eligible[t][p]``; ``compatible[t][p][u]`` has a byte for each stop of u (no rows for blocks
    that are not eligible, an empty one for u = t).  ``keys[t][p]``: conditions over the shared
    variables and the thread's locals; the block is disabled where one is false.  They are
    numbered through all fine stops of all threads, from ``first[t][p]`` on, ``total`` in all.
    ``sets[t][p]``: bit k if what the thread may do from there on may make key k true.
    """

    stops: list[list[int]]
    eligible: list[list[bool]] = field(default_factory=list)
    compatible: list[list[list[bytes]]] = field(default_factory=list)
    keys: list[list[tuple[ir.Expr, ...]]] = field(default_factory=list)
    first: list[list[int]] = field(default_factory=list)
    sets: list[list[int]] = field(default_factory=list)
    total: int = 0

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


@dataclass(slots=True)
class Tables:
    """The tables as bytes, for all fine stops of all threads, numbered through.

    ``eligible`` has a byte for each stop, ``compatible`` a row of such bytes for each stop,
    ``sets`` a row with a byte for each key.  What is not a stop of the graph has zeros.
    """

    stops: int
    keys: int
    eligible: bytearray
    compatible: bytearray
    sets: bytearray


def tables(found: Ample, program: ir.Program) -> Tables:
    """Lay the tables out for an engine that does not know which stops are used."""
    base = [0]
    place: list[list[int]] = []
    for all_stops, used in zip(fine_stops(program), found.stops, strict=True):
        index = {stop: number for number, stop in enumerate(all_stops)}
        place.append([base[-1] + index[stop] for stop in used])
        base.append(base[-1] + len(all_stops))
    count = base[-1]
    result = Tables(
        count, found.total, bytearray(count), bytearray(count * count),
        bytearray(count * found.total),
    )  # fmt: skip
    for thread, row in enumerate(place):
        for stop, source in enumerate(row):
            for key in range(found.total):
                result.sets[source * found.total + key] = found.sets[thread][stop] >> key & 1
            result.eligible[source] = found.eligible[thread][stop]
            for other, fits in enumerate(found.compatible[thread][stop]):
                for where, fit in enumerate(fits):
                    result.compatible[source * count + place[other][where]] = fit
    return result


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
    groups: Sequence[Sequence[int]] = (),
) -> Ample:
    """Compute the tables for given stops.

    ``checks``: the run-time checks of the search, whose reads count as accesses.  ``active``:
    for each thread the instructions that are taken to be all that is ever executed; the caller
    must verify that (None: every instruction counts).  ``groups``: threads that the search
    exchanges (:mod:`.symmetry`); they need the same stops.
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
    rows = [
        {
            stop: _compatible(
                thread, block, watched(space, block, facts.exclusive), stops, futures
            )
            for stop, block in own.items()
        }
        for thread, own in enumerate(blocks)
    ]
    chosen = _chosen(blocks, rows, groups)
    result = Ample([list(row) for row in stops])
    for thread, own_rows in enumerate(rows):
        may = chosen[thread]
        result.eligible.append([stop in may for stop in stops[thread]])
        result.compatible.append([own_rows[stop] if stop in may else [] for stop in stops[thread]])
    _add_keys(result, known, futures)
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


def _chosen(
    blocks: Sequence[Mapping[int, Block]],
    rows: Sequence[Mapping[int, list[bytes]]],
    groups: Sequence[Sequence[int]],
) -> list[set[int]]:
    """For each thread the blocks that may be expanded alone: they close no cycle.

    Threads that are exchanged take over each other's places, so they have the same ones.
    """
    grouped = {thread for group in groups for thread in group}
    single = [[thread] for thread in range(len(blocks)) if thread not in grouped]
    chosen: list[set[int]] = [set() for _ in blocks]
    for group in (*groups, *single):
        following = {
            stop: {other for thread in group for other in blocks[thread][stop].following}
            for stop in blocks[group[0]]
        }
        use = {stop: prod(_use(rows[thread][stop]) for thread in group) for stop in following}
        found = acyclic(following, sorted(following, key=lambda stop: (-use[stop], stop)))
        for thread in group:
            chosen[thread] = found
    return chosen


def _use(row: Sequence[bytes]) -> int:
    """How often a block may be chosen, roughly: its compatible places, counted for all threads."""
    return prod(1 + sum(fits) for fits in row)


def numbered_keys(known: Facts) -> list[dict[int, tuple[int, tuple[Key, ...]]]]:
    """For each thread and fine stop the number of its first key, and its keys."""
    space = Space(known.program)
    result: list[dict[int, tuple[int, tuple[Key, ...]]]] = []
    total = 0
    for number, (thread, row) in enumerate(
        zip(known.program.threads, fine_stops(known.program), strict=True)
    ):
        result.append({})
        for stop in row:
            keys = keys_at(space, thread, stop, known.envs[number][stop])
            result[-1][stop] = (total, keys)
            total += len(keys)
    return result


def _add_keys(result: Ample, known: Facts, futures: Sequence[_Futures]) -> None:
    """Add the keys of all stops, and who may make them true."""
    numbered = numbered_keys(known)
    reads = [key.reads for own in numbered for _, keys in own.values() for key in keys]
    result.total = len(reads)
    for own, future, row in zip(numbered, futures, result.stops, strict=True):
        coming = future.all(frozenset())
        result.keys.append([tuple(key.test for key in own[stop][1]) for stop in row])
        result.first.append([own[stop][0] for stop in row])
        result.sets.append(
            [
                sum(1 << key for key, mask in enumerate(reads) if mask & coming[stop].writes)
                for stop in row
            ]
        )

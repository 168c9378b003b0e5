"""The native search that keeps fingerprints only (``hashed.c``), driven as the lossless one is."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import c_uint8, c_uint64

from .build import NativeError
from .handle import Event, Library, NativeEngine, Stats
from .search import NativeSearch


class HashedEngine(NativeEngine):
    """One search with fingerprints; it has no states, events or paths to ask for."""

    def __init__(self, library: Library, workers: int = 1, max_memory: int = 0) -> None:
        self._functions = library.functions
        self._library = library
        self._words = library.model.words
        self._engine: int | None = library.functions.gh_new(workers, max_memory)
        if self._engine is None:
            raise NativeError("not enough memory to begin a search")

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            self._functions.gh_free(engine)

    def flags(self, stops: bytes, sites: bytes) -> None:
        self._functions.gh_flags(self._engine, stops, sites)

    def initial(self, state: bytes) -> bool:
        status = self._functions.gh_initial(self._engine, self._vector(state))
        if status < 0:
            raise NativeError("not enough memory for the initial states")
        return bool(status)

    def advance(self, budget: int) -> int:
        status = int(self._functions.gh_advance(self._engine, budget))
        self._library.check_predicates()
        return status

    def _numbers(self) -> list[int]:
        out = (c_uint64 * 8)()
        self._functions.gh_stats(self._engine, out)
        return list(out)

    def stats(self) -> Stats:
        states, transitions, failed, layers, queue, memory, _, _ = self._numbers()
        return Stats(states, transitions, failed, layers, queue, memory, memory, 0, 0, 0)

    @property
    def wrong(self) -> bool:
        """Has anything been found that a lossless search would report?"""
        return self._numbers()[6] != 0

    @property
    def witnesses(self) -> int:
        """The witnesses that were seen, as bits."""
        return self._numbers()[7]

    def coverage(self) -> tuple[bytes, bytes, bytes]:
        model = self._library.model
        sizes = (len(model.blocks), len(model.sites), len(model.faults))
        made = [(c_uint8 * max(1, size))() for size in sizes]
        self._functions.gh_coverage(self._engine, *made)
        blocks, strays, broken = (
            bytes(marks)[:size] for marks, size in zip(made, sizes, strict=True)
        )
        return blocks, strays, broken

    def events(self) -> Iterator[Event]:
        raise NotImplementedError("fingerprints do not say where anything happened")


class HashedSearch(NativeSearch):
    """One breadth-first search with fingerprints, up to the depth of the first violation."""

    native: HashedEngine

    def _new_engine(self, library: Library, workers: int) -> NativeEngine:
        return HashedEngine(library, workers, self._memory())

    @property
    def violated(self) -> bool:
        return self.native.wrong

    def _ended_early(self) -> bool:
        return not self.abandoned and self.violated

    def _find_stuck(self) -> None:
        """Progress needs the graph: it is not looked for."""

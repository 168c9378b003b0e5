"""The native engine of a program as Python objects: typed calls, nothing else.

:func:`build` makes a :class:`Library` of a program's model part and the engine, which lie in
one translation unit; a :class:`NativeEngine` is one search with it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import POINTER, c_char_p, c_int, c_int64, c_uint, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..ample import Tables
from ..engine import Facts
from .build import FLAGS, NativeError, Warn, engine_text, load_text, to_stderr
from .cgen import generate
from .quotient import Quotient
from .tables import NativeModel

API_VERSION = 1
NOBODY = 0xFFFFFFFF
_PIECE = 200_000
_U64 = POINTER(c_uint64)
_U32 = POINTER(c_uint32)
_I64 = POINTER(c_int64)
_MARKS = POINTER(c_uint8)

# The exported functions: result, arguments.
_API: dict[str, tuple[Any, list[Any]]] = {
    "ge_new": (c_void_p, [c_uint, c_uint64]),
    "ge_free": (None, [c_void_p]),
    "ge_constant": (c_uint32, [c_int]),
    "ge_flags": (None, [c_void_p, c_char_p, c_char_p]),
    "ge_ample": (c_int, [c_void_p, c_char_p, c_char_p, c_char_p]),
    "ge_symmetry": (
        c_int,
        [c_void_p, c_char_p, c_char_p, c_uint64, _I64, c_uint64, _I64, c_uint64, c_char_p],
    ),
    "ge_canonical": (None, [c_void_p, _U64]),
    "ge_limit": (None, [c_void_p, c_uint64]),
    "ge_initial": (c_int, [c_void_p, _U64]),
    "ge_advance": (c_int, [c_void_p, c_uint64]),
    "ge_stats": (None, [c_void_p, _U64]),
    "ge_layer": (c_uint64, [c_void_p, c_uint32]),
    "ge_root": (c_uint64, [c_void_p, c_uint64]),
    "ge_state": (None, [c_void_p, c_uint64, _U64]),
    "ge_find": (c_uint64, [c_void_p, _U64]),
    "ge_coverage": (None, [c_void_p, _MARKS, _MARKS, _MARKS]),
    "ge_event_class": (c_int, [c_void_p, c_uint64, _U64]),
    "ge_event_goals": (c_int, [c_void_p, c_uint64, _U64]),
    "ge_progress": (c_int, [c_void_p, c_uint64]),
    "ge_stuck": (None, [c_void_p, c_uint, _U64]),
    "ge_stuck_goals": (None, [c_void_p, c_uint, _U64]),
    "ge_paths": (c_int, [c_void_p, _U64, c_uint64]),
    "ge_paths_on": (c_int, [c_void_p, c_uint64]),
    "ge_switches": (c_uint32, [c_void_p, c_uint64, c_uint]),
    "ge_depth": (c_uint32, [c_void_p, c_uint64]),
    "ge_predecessors": (c_uint64, [c_void_p, c_uint64, c_uint, _U64, c_uint64]),
    "ge_notes": (c_void_p, [c_void_p, _U64]),
    "ge_forget": (None, [c_void_p]),
    "ge_sections": (c_uint32, [c_void_p]),
    "ge_section": (c_uint64, [c_void_p, c_uint32, POINTER(_MARKS)]),
    "ge_load": (c_int, [c_void_p, _U64, c_uint64]),
    "ge_loaded": (c_int, [c_void_p, _U64, c_uint64]),
    "gs_new": (
        c_void_p, [c_uint, c_uint64, c_uint64, c_uint, c_char_p, c_char_p, _U64, c_uint64]
    ),
    "gs_free": (None, [c_void_p]),
    "gs_run": (c_int, [c_void_p, c_uint64]),
    "gs_stats": (None, [c_void_p, _U64]),
    "gs_coverage": (None, [c_void_p, _MARKS]),
    "gs_class": (c_int, [c_void_p, c_uint64, _U64]),
    "gs_trace": (
        c_int, [c_void_p, c_uint64, c_uint64, c_uint64, c_uint64, _U32, c_uint64, _U64, _U64]
    ),
    "gs_replay": (
        c_int, [c_void_p, _U32, c_uint64, c_uint64, c_uint64, c_uint64, _U32, c_uint64, _U64]
    ),
    "gh_new": (c_void_p, [c_uint, c_uint64]),
    "gh_free": (None, [c_void_p]),
    "gh_flags": (None, [c_void_p, c_char_p, c_char_p]),
    "gh_initial": (c_int, [c_void_p, _U64]),
    "gh_advance": (c_int, [c_void_p, c_uint64]),
    "gh_stats": (None, [c_void_p, _U64]),
    "gh_coverage": (None, [c_void_p, _MARKS, _MARKS, _MARKS]),
    "gm_misread": (c_uint32, []),
}


@dataclass(frozen=True, slots=True)
class Library:
    """A program's native engine, loaded."""

    model: NativeModel
    functions: ctypes.CDLL

    def check_predicates(self) -> None:
        """Raise NativeError if an invariant or a witness has read outside a variable."""
        misread = self.functions.gm_misread()
        if misread:
            raise NativeError(f"{self.model.places[misread - 1]} reads outside a variable")


def load(known: Facts) -> Library:
    """A program's native engine: generated, and compiled or found in the cache."""
    return build(generate(known))


def build(
    model: NativeModel, flags: Sequence[str] = FLAGS, warn: Warn = to_stderr
) -> Library:
    """Compile and load, or load from the cache, a program's native engine.

    Raises NativeUnavailable without a C compiler, NativeError where something fails that
    should not; both say what in one line.
    """
    functions = load_text(model.text + engine_text(), flags, warn)
    for name, (result, arguments) in _API.items():
        try:
            function = getattr(functions, name)
        except AttributeError:
            raise NativeError(f"the compiled model has no {name}") from None
        function.restype, function.argtypes = result, arguments
    found = tuple(functions.ge_constant(which) for which in range(7))
    wanted = (
        API_VERSION, len(model.program.threads), model.words, model.stop_base[-1],
        len(model.blocks), len(model.sites), len(model.faults),
    )  # fmt: skip
    if found != wanted:
        raise NativeError(f"the compiled model is another one: {found} instead of {wanted}")
    return Library(model, functions)


class EventKind(IntEnum):
    """What kind of thing happened."""

    FAULT = 1
    INVARIANT = 2
    DEADLOCK = 3
    AT_END = 4
    WITNESS = 5


@dataclass(frozen=True, slots=True)
class Event:
    """A class of events: what, how often, the least depth, and where at that depth.

    ``which`` is the number of the fault, invariant or witness (for a deadlock, a hash of the
    threads' places); ``key`` tells apart classes of one kind.  A goal is (root of the source,
    thread, root of the state after it); the thread is :data:`NOBODY` where it is a state alone.
    """

    kind: EventKind
    which: int
    key: int
    count: int
    depth: int
    goals: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Stats:
    """How far a search is; ``memory`` and its parts in bytes, ``nodes`` of the state trees."""

    states: int
    transitions: int
    failed: int
    layers: int
    queue: int
    memory: int
    table_memory: int
    tree_memory: int
    classes: int
    nodes: int


class NativeEngine:
    """One search; states are named by their roots (64 bits, not 0).

    Raises NativeError when memory does not even suffice to begin.  Not to be used by several
    Python threads at once.
    """

    def __init__(self, library: Library, workers: int = 1, max_memory: int = 0) -> None:
        self._functions = library.functions
        self._library = library
        self._words = library.model.words
        self._engine: int | None = library.functions.ge_new(workers, max_memory)
        if self._engine is None:
            raise NativeError("not enough memory to begin a search")

    def close(self) -> None:
        """Give back the memory; the engine cannot be used any more."""
        engine, self._engine = self._engine, None
        if engine is not None:
            self._functions.ge_free(engine)

    def __del__(self) -> None:
        if getattr(self, "_engine", None) is not None:
            self.close()

    def _vector(self, state: bytes) -> ctypes.Array[c_uint64]:
        if len(state) != 8 * self._words:
            raise ValueError(f"a state of {len(state)} bytes instead of {8 * self._words}")
        return (c_uint64 * self._words).from_buffer_copy(state)

    # ---------------------------------------------------------------------- searching

    def flags(self, stops: bytes, sites: bytes) -> None:
        """Where the search stops, and which race checks it makes: before anything else."""
        model = self._library.model
        if len(stops) != model.stop_base[-1] or len(sites) != len(model.sites):
            raise ValueError("flags of another program")
        self._functions.ge_flags(self._engine, stops, sites)

    def ample(self, tables: Tables) -> None:
        """Expand single threads where these tables allow it."""
        keys = self._functions.ge_constant(7)
        if (tables.stops, tables.keys) != (self._library.model.stop_base[-1], keys):
            raise ValueError("tables of another program")
        made = (bytes(tables.eligible), bytes(tables.compatible), bytes(tables.sets))
        if self._functions.ge_ample(self._engine, *made):
            raise NativeError("not enough memory for the tables of the reduction")

    def symmetry(self, tables: Quotient) -> None:
        """Keep one state of each orbit: before anything is searched."""
        made = [
            (c_int64 * max(1, 7 * len(rows)))(*(number for row in rows for number in row))
            for rows in (tables.shared, tables.locals)
        ]
        threads = len(self._library.model.program.threads)
        if len(tables.groups) != threads or len(tables.uneven) != len(self._library.model.blocks):
            raise ValueError("tables of another program")
        if self._functions.ge_symmetry(
            self._engine, tables.groups, tables.orders, len(tables.orders) // threads,
            made[0], len(tables.shared), made[1], len(tables.locals), tables.uneven,
        ):  # fmt: skip
            raise NativeError("not enough memory for the tables of the reduction")

    def canonical(self, state: bytes) -> bytes:
        """The state that stands for one."""
        vector = self._vector(state)
        self._functions.ge_canonical(self._engine, vector)
        return bytes(vector)

    def limit(self, max_memory: int) -> None:
        """Another bound on the memory, in bytes (0: none)."""
        self._functions.ge_limit(self._engine, max_memory)

    def initial(self, state: bytes) -> bool:
        """Add an initial state; was it new?"""
        status = self._functions.ge_initial(self._engine, self._vector(state))
        if status < 0:
            raise NativeError("not enough memory for the initial states")
        return bool(status)

    def advance(self, budget: int) -> int:
        """Expand up to about so many states of the present layer.

        0: the layer is not finished; 1: it is; 2: the search is; 3: the memory is used up.
        """
        status = int(self._functions.ge_advance(self._engine, budget))
        self._library.check_predicates()
        return status

    def stats(self) -> Stats:
        out = (c_uint64 * 16)()
        self._functions.ge_stats(self._engine, out)
        return Stats(*out[:10])

    def layer(self, depth: int) -> int:
        """The number of the first state of a depth, in the order of discovery."""
        return int(self._functions.ge_layer(self._engine, depth))

    def root(self, number: int) -> int:
        """The root of the state that was discovered as this one, from 0 (0: there is none)."""
        return int(self._functions.ge_root(self._engine, number))

    def state(self, root: int) -> bytes:
        """A stored state."""
        vector = (c_uint64 * self._words)()
        self._functions.ge_state(self._engine, root, vector)
        return bytes(vector)

    def find(self, state: bytes) -> int | None:
        """The root of a state, if it is stored."""
        return int(self._functions.ge_find(self._engine, self._vector(state))) or None

    def coverage(self) -> tuple[bytes, bytes, bytes]:
        """Marks of blocks (1 taken, 2 tried), of strays, and of faults that were broken waits."""
        model = self._library.model
        sizes = (len(model.blocks), len(model.sites), len(model.faults))
        made = [(c_uint8 * max(1, size))() for size in sizes]
        self._functions.ge_coverage(self._engine, *made)
        blocks, strays, broken = (
            bytes(marks)[:size] for marks, size in zip(made, sizes, strict=True)
        )
        return blocks, strays, broken

    def events(self) -> Iterator[Event]:
        """What happened, class by class."""
        for index in range(self.stats().classes):
            out = (c_uint64 * 8)()
            self._functions.ge_event_class(self._engine, index, out)
            kind, which, key, count, depth, room = out[:6]
            goals = (c_uint64 * (3 * room + 1))()
            self._functions.ge_event_goals(self._engine, index, goals)
            flat = goals[: 3 * room]
            found = tuple(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
            yield Event(EventKind(kind), which, key, count, depth, found)

    # -------------------------------------------------------------- after the search

    def progress(self, budget: int) -> int:
        """Look for threads that can never finish.  0: not done yet; 2: done; 3: memory."""
        return int(self._functions.ge_progress(self._engine, budget))

    def stuck(self, thread: int) -> tuple[int, int, list[int]]:
        """Of the states from which a thread cannot finish: how many, the depth, the first."""
        out = (c_uint64 * 4)()
        self._functions.ge_stuck(self._engine, thread, out)
        roots = (c_uint64 * (out[2] + 1))()
        self._functions.ge_stuck_goals(self._engine, thread, roots)
        return out[0], out[1], roots[: out[2]]

    def paths(self, roots: Sequence[int]) -> None:
        """Prepare the shortest paths to some states."""
        wanted = (c_uint64 * max(1, len(roots)))(*roots)
        status = int(self._functions.ge_paths(self._engine, wanted, len(roots)))
        while status == 0:  # in pieces, so that it can be interrupted between them
            status = int(self._functions.ge_paths_on(self._engine, _PIECE))
        if status == 3:
            raise NativeError("not enough memory for the shortest paths")

    def switches(self, root: int, last: int) -> int | None:
        """The fewest switches of a shortest path whose last step is the thread's (-1: none)."""
        found = int(self._functions.ge_switches(self._engine, root, last & NOBODY))
        return None if found == NOBODY else found

    def depth(self, root: int) -> int:
        """The depth of a state on one of the shortest paths."""
        return int(self._functions.ge_depth(self._engine, root))

    def predecessors(self, root: int, last: int) -> list[int]:
        """The states before the last step, the thread's, of the best shortest paths to a state."""
        room = 16
        while True:
            out = (c_uint64 * room)()
            count = int(
                self._functions.ge_predecessors(self._engine, root, last & NOBODY, out, room)
            )
            if count <= room:
                return out[:count]
            room = count

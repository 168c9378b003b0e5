"""Random walks by the native engine (``walk.c``), as Python objects: typed calls, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ctypes import byref, c_uint8, c_uint32, c_uint64
from dataclasses import dataclass
from typing import NamedTuple

from .build import NativeError
from .handle import EventKind, Library

TABLE_BITS = 27
"""The table that states are counted with has so many bits, as a power of two: 16 MiB."""


class Decision(NamedTuple):
    """One fine step: the thread, and its choices."""

    thread: int
    choices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Walked:
    """A class of violations: what, how often, the fewest steps to it, and the walk of so few.

    ``which`` is the number of the fault, invariant or witness (for a deadlock, a hash of the
    threads' places); ``key`` says which step breaks an invariant.
    """

    kind: EventKind
    which: int
    key: int
    count: int
    steps: int
    walk: int


@dataclass(frozen=True, slots=True)
class WalkStats:
    """What the walks came to; ``ended`` of them came to where no thread can go on."""

    walks: int
    steps: int
    ended: int
    longest: int
    bits_set: int
    bits: int
    classes: int


@dataclass(frozen=True, slots=True)
class Execution:
    """An initial state's number, and the fine steps from there up to a violation."""

    initial: int
    decisions: list[Decision]
    key: int


class Walks:
    """Random walks of one program.  Raises NativeError when memory does not suffice."""

    def __init__(
        self,
        library: Library,
        initial: Sequence[bytes],
        stops: bytes,
        *,
        seed: int,
        steps: int,
        workers: int = 1,
        table_bits: int = TABLE_BITS,
    ) -> None:
        self._library, self._functions = library, library.functions
        model = library.model
        diverges = bytes(fault.name == "divergence" for fault in model.faults)
        data = b"".join(initial)
        vectors = (c_uint64 * (len(data) // 8)).from_buffer_copy(data)
        self._swarm: int | None = library.functions.gs_new(
            workers, seed & (1 << 64) - 1, steps, table_bits, stops, diverges, vectors,
            len(initial),
        )  # fmt: skip
        if self._swarm is None:
            raise NativeError("not enough memory to begin random walks")

    def close(self) -> None:
        """Give back the memory."""
        swarm, self._swarm = self._swarm, None
        if swarm is not None:
            self._functions.gs_free(swarm)

    def __del__(self) -> None:
        if getattr(self, "_swarm", None) is not None:
            self.close()

    def run(self, walks: int) -> None:
        """Do so many walks more."""
        if self._functions.gs_run(self._swarm, walks):
            raise NativeError("not enough memory for what random walks found")
        self._library.check_predicates()

    def stats(self) -> WalkStats:
        out = (c_uint64 * 8)()
        self._functions.gs_stats(self._swarm, out)
        return WalkStats(*out[:7])

    def coverage(self) -> bytes:
        """For each block 1 if it was executed."""
        marks = (c_uint8 * max(1, len(self._library.model.blocks)))()
        self._functions.gs_coverage(self._swarm, marks)
        return bytes(marks)[: len(self._library.model.blocks)]

    def classes(self) -> Iterator[Walked]:
        """What the walks came across, class by class."""
        for index in range(self.stats().classes):
            out = (c_uint64 * 8)()
            self._functions.gs_class(self._swarm, index, out)
            yield Walked(EventKind(out[0]), *out[1:6])

    def trace(self, found: Walked) -> Execution | None:
        """The walk to a violation in fine steps; its key is that of the last."""
        count, key, room = c_uint64(), c_uint64(), 1 << 12
        while True:
            out = (c_uint32 * room)()
            status = self._functions.gs_trace(
                self._swarm, found.walk, found.steps, found.kind, found.which, out, room,
                byref(count), byref(key),
            )  # fmt: skip
            if status == 1:
                return _execution(out[: count.value], key.value)
            if status == 0 or count.value <= room:
                return None
            room = count.value

    def replay(
        self, initial: int, decisions: Sequence[Decision], kind: int, which: int, key: int
    ) -> Execution | None:
        """What can be done of some decisions, up to a violation of this class; None: without it."""
        words = [initial]
        for thread, choices in decisions:
            words.append(thread | len(choices) << 16)
            words += choices
        room = len(words) + 64 * len(decisions)  # a step makes at most so many choices
        given, out, count = (c_uint32 * len(words))(*words), (c_uint32 * room)(), c_uint64()
        status = self._functions.gs_replay(
            self._swarm, given, len(words), kind, which, key, out, room, byref(count)
        )
        return _execution(out[: count.value], key) if status == 1 else None


def _execution(words: list[int], key: int) -> Execution:
    decisions: list[Decision] = []
    at = 1
    while at < len(words):
        thread, choices = words[at] & 0xFFFF, words[at] >> 16
        decisions.append(Decision(thread, tuple(words[at + 1 : at + 1 + choices])))
        at += 1 + choices
    return Execution(words[0], decisions, key)


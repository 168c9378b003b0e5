"""Checkpoints: a native search written to a file, and taken up again by another process.

A file is::

    magic, format version (4 bytes), size of the header (8 bytes), header (JSON),
    BLAKE2b-256 of all that, notes, sections, BLAKE2b-256 of everything before

Numbers are little endian.  The header says what was searched (:class:`Identity`), with which
stops and checks, what the reduction has learned, and the sizes of notes and sections; those
are what the engine gives out (``save.c``).  The sums find accidents, not intent: a checkpoint is
trusted as much as a program is.

A file is written beside its target, synced, and then renamed, so that the target is always
whole: the older checkpoint, or the newer one.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import POINTER, byref, c_uint8, c_uint64
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ..counted import Counted
from ..engine import Facts
from ..pygen import Checks
from ..reduce import Reduction
from ..result import Granularity
from .build import engine_text
from .handle import Library, NativeEngine
from .search import NativeSearch, Terms, Wanted

MAGIC = b"genfscheck checkpoint\n"
VERSION = 1
_PIECE = 16 << 20
_PATIENCE = 10  # a search goes on for so many times as long as saving it took
_MOST_HEADER = 1 << 28
_LOADED, _TOO_LARGE = 0, 3


class CheckpointError(Exception):
    """A checkpoint that cannot be used, or written: one line that begins with the file."""

    def __init__(self, file: Path, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file, self.message = file, message


# ---------------------------------------------------------------------- what was searched


@dataclass(frozen=True, slots=True)
class Identity:
    """What a search is of; two searches with equal identities may go on for each other.

    ``scenario``, ``variant`` and ``fixes`` are for people; ``reductions`` what the search may use
    (see :class:`..result.Result`); ``program`` and ``model`` are the digests of the compiled
    program and of its C text, ``engine`` that of the engine's text.
    """

    scenario: str
    variant: str
    fixes: tuple[str, ...]
    granularity: Granularity
    reductions: tuple[str, ...]
    program: str
    model: str
    engine: str

    def difference(self, found: Mapping[str, Any]) -> str:
        """How what a checkpoint says of itself differs from this ("" if it does not)."""
        own = json.loads(json.dumps(asdict(self)))
        for name in ("scenario", "variant", "fixes", "granularity", "reductions"):
            if found.get(name) != own[name]:
                return f"is of {name} {_said(found.get(name))}, expected {_said(own[name])}"
        if found.get("engine") != own["engine"]:
            return "was made by another version of genfscheck: begin anew"
        if found != own:
            return "was made from another revision of the model or scenario: begin anew"
        return ""


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def identity(
    library: Library, scenario: str, variant: str, fixes: Sequence[str], granularity: Granularity,
    reductions: Sequence[str],
) -> Identity:  # fmt: skip
    """The identity of a search of the library's program."""
    model = library.model
    return Identity(
        scenario, variant, tuple(fixes), granularity, tuple(reductions),
        _sum(repr(model.program)), _sum(model.text), _sum(engine_text()),
    )  # fmt: skip


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class Keeping:
    """How a search is kept: where and how often it is saved, and what it goes on from.

    ``save`` and ``resume`` may be the same file.  ``stopped`` may be set at any time, by a
    signal handler: the search then stops, and is saved.  ``warn`` is told of a save that
    failed (the search goes on); ``ended`` is called when a search that a bound or an
    interrupt has stopped was saved (or could not be: False).
    """

    scenario: str
    variant: str = ""
    fixes: tuple[str, ...] = ()
    save: Path | None = None
    resume: Path | None = None
    every: float = 60.0
    warn: Callable[[str], None] = lambda line: None
    ended: Callable[[bool], None] = lambda saved: None
    stopped: bool = False
    own: bool = field(default=False, init=False)  # the file to save to is this search's


# ------------------------------------------------------------------------- the engine


class KeptEngine(NativeEngine):
    """An engine whose whole search can be taken out and put in."""

    def _section(self, number: int) -> memoryview:
        at = POINTER(c_uint8)()
        size = int(self._functions.ge_section(self._engine, number, byref(at)))
        if not size:
            return memoryview(b"")
        return memoryview((c_uint8 * size).from_address(_address(at))).cast("B")

    def sections(self) -> list[memoryview]:
        """The engine's own memory: to be read, or (while loading) to be filled."""
        count = int(self._functions.ge_sections(self._engine))
        return [self._section(number) for number in range(count)]

    def notes(self) -> bytes | None:
        """All that is not in sections; None when the search cannot be saved any more."""
        count = c_uint64()
        at = self._functions.ge_notes(self._engine, byref(count))
        if not at:
            return None
        try:
            return ctypes.string_at(at, 8 * count.value)
        finally:
            self._functions.ge_forget(at)

    def load(self, notes: bytes) -> int:
        """Begin to load; afterwards the sections are to be filled."""
        return int(self._functions.ge_load(self._engine, _words(notes), len(notes) // 8))

    def loaded(self, notes: bytes) -> int:
        """The sections are filled."""
        return int(self._functions.ge_loaded(self._engine, _words(notes), len(notes) // 8))


def _address(pointer: Any) -> int:
    found = ctypes.cast(pointer, ctypes.c_void_p).value
    assert found is not None
    return found


def _words(notes: bytes) -> ctypes.Array[c_uint64]:
    return (c_uint64 * (len(notes) // 8)).from_buffer_copy(notes)


# --------------------------------------------------------------------------- the file


def write(path: Path, header: Mapping[str, Any], parts: Sequence[bytes | memoryview]) -> None:
    """Write a checkpoint; the target is replaced only when everything is on the disk."""
    sizes = [len(part) for part in parts]
    text = json.dumps({**header, "sizes": sizes}, sort_keys=True).encode()
    head = MAGIC + VERSION.to_bytes(4, "little") + len(text).to_bytes(8, "little") + text
    head += hashlib.blake2b(head, digest_size=32).digest()
    total = hashlib.blake2b(digest_size=32)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(beside, "wb") as file:
                for piece in _pieces([head, *parts]):
                    total.update(piece)
                    file.write(piece)
                file.write(total.digest())
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            _sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        stays = "; the older checkpoint stays" if path.exists() else ""
        message = f"the checkpoint cannot be written: {_reason(error)}{stays}"
        raise CheckpointError(path, message) from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _pieces(parts: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    for part in parts:
        for begin in range(0, len(part), _PIECE):
            yield memoryview(part)[begin : begin + _PIECE]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_checkpoint(path: Path) -> bool:
    """Does a file begin as checkpoints do?"""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class Saved:
    """A checkpoint that is being read: its header, checked; then its parts.

    Raises CheckpointError where the file is no checkpoint, or not a whole one, of this format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: IO[bytes] = open(path, "rb")  # noqa: SIM115 - closed by close()
            self.header = self._header(os.fstat(self._file.fileno()).st_size)
        except OSError as error:
            raise self.error(f"cannot be read: {_reason(error)}") from None
        except CheckpointError:
            self._file.close()
            raise

    def error(self, message: str) -> CheckpointError:
        return CheckpointError(self.path, message)

    def _header(self, size: int) -> dict[str, Any]:
        start = self._file.read(len(MAGIC) + 12)
        if not start.startswith(MAGIC):
            raise self.error("is not a checkpoint of genfscheck")
        if len(start) < len(MAGIC) + 12:
            raise self.error(f"is cut off after {size} bytes")
        version = int.from_bytes(start[len(MAGIC) : len(MAGIC) + 4], "little")
        if version != VERSION:
            raise self.error(f"is a checkpoint of format {version}, expected {VERSION}")
        length = int.from_bytes(start[len(MAGIC) + 4 :], "little")
        if length > min(size, _MOST_HEADER):
            raise self.error(f"is cut off or damaged: {size} bytes with a header of {length}")
        text, seal = self._file.read(length), self._file.read(32)
        if seal != hashlib.blake2b(start + text, digest_size=32).digest():
            raise self.error("is damaged: the checksum of its header is wrong")
        header = json.loads(text)
        assert isinstance(header, dict)
        expected = len(start) + length + 64 + sum(header["sizes"])
        if size != expected:
            what = "is cut off" if size < expected else "has been added to"
            raise self.error(f"{what}: {size} bytes, expected {expected}")
        self._total = hashlib.blake2b(start + text + seal, digest_size=32)
        return header

    def fill(self, engine: KeptEngine) -> None:
        """Read the search into an engine that has not begun."""
        sizes = self.header["sizes"]
        try:
            notes = bytearray(sizes[0])
            self._read(memoryview(notes))
            status = engine.load(bytes(notes))
            if status == _LOADED:
                places = engine.sections()
                if [len(place) for place in places] != sizes[1:]:
                    raise self.error("is damaged: its parts do not fit together")
                for place in places:
                    self._read(place)
                if self._file.read() != self._total.digest():
                    raise self.error("is damaged: its checksum is wrong")
                status = engine.loaded(bytes(notes))
        except OSError as error:
            raise self.error(f"cannot be read: {_reason(error)}") from None
        if status == _TOO_LARGE:
            raise self.error("needs more memory than is allowed: raise --max-memory")
        if status != _LOADED:
            raise self.error("is damaged: it is no search of this program")

    def _read(self, place: memoryview) -> None:
        for piece in _pieces([place]):
            if self._file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
                raise self.error("is cut off")
            self._total.update(piece)

    def searched(self) -> tuple[list[list[int]], dict[int, Checks], list[list[int]] | None]:
        """The search's own stops and checks, and what its ample sets count (None: it has none)."""
        header = self.header
        return header["stops"], _checks(header["checks"]), header["counted"]

    def close(self) -> None:
        self._file.close()


def resume(path: Path, own: Identity) -> Saved:
    """Open the checkpoint of a search, and see that it is this one."""
    saved = Saved(path)
    difference = own.difference(saved.header["identity"])
    if difference:
        saved.close()
        raise saved.error(difference)
    return saved


# ------------------------------------------------------------------------- the search


class KeptSearch(NativeSearch):
    """A native search that is saved from time to time, or goes on from a checkpoint.

    ``wanted`` and ``counted`` are the search's own (for one that goes on, what ``saved`` says):
    the reduction may have moved on while the search only looks for more of what broke its
    assumptions.
    """

    def __init__(
        self,
        library: Library,
        known: Facts,
        wanted: Wanted,
        terms: Terms,
        keeping: Keeping,
        own: Identity,
        reduction: Reduction | None,
        saved: Saved | None = None,
        counted: Counted | None = None,
    ) -> None:
        super().__init__(library, known, wanted, terms)
        self.keeping, self.own, self.reduction, self.counted = keeping, own, reduction, counted
        self._saved, self._resumed = saved, False
        self._next = time.monotonic() + keeping.every

    def _new_engine(self, library: Library, workers: int) -> NativeEngine:
        return KeptEngine(library, workers, self._memory())

    def _start(self) -> None:
        saved, self._saved = self._saved, None
        if saved is None:
            super()._start()
            return
        assert isinstance(self.native, KeptEngine)
        try:
            saved.fill(self.native)
        finally:
            saved.close()
        self.abandoned, self._enough = saved.header["abandoned"], saved.header["enough"]
        self._resumed = True

    def _advance(self) -> None:
        if self._resumed and self._at_layer() and self._hopeless():
            return  # it was saved before that was asked
        super()._advance()

    def _at_layer(self) -> bool:
        """Has no state of the present layer been expanded?"""
        stats = self.native.stats()
        return stats.layers > 0 and (
            stats.states - stats.queue == self.native.layer(stats.layers - 1)
        )

    def _between(self) -> None:
        if self.keeping.save is not None and time.monotonic() >= self._next:
            began = time.monotonic()
            self.save()
            now = time.monotonic()
            self._next = now + max(self.keeping.every, _PATIENCE * (now - began))

    def _check_bounds(self) -> None:
        super()._check_bounds()
        if self.keeping.stopped and not self.bound:
            self.bound = "interrupted"

    def save(self) -> bool:
        """Save the search as it is; False, after a warning, where that fails."""
        path = self.keeping.save
        assert path is not None and isinstance(self.native, KeptEngine)
        notes = self.native.notes()
        if notes is None:
            stays = "; the older checkpoint stays" if path.exists() else ""
            self.keeping.warn(f"{path}: there is no memory left to save the search{stays}")
            return False
        header = {
            "identity": asdict(self.own),
            "stops": self.stops,
            "checks": {
                str(thread): [sorted(checks.sites), sorted(checks.owners)]
                for thread, checks in sorted(self.checks.items())
            },
            "counted": None if self.counted is None else self.counted.active,
            "assumptions": None if self.reduction is None else self.reduction.assumptions(),
            "restarts": self.restarts,
            "seconds": time.monotonic() - self.started,
            "abandoned": self.abandoned,
            "enough": self._enough,
        }
        try:
            write(path, header, [notes, *self.native.sections()])
        except CheckpointError as error:
            self.keeping.warn(str(error))
            return False
        self.keeping.own = True
        return True


def _checks(saved: Mapping[str, Sequence[Sequence[int]]]) -> dict[int, Checks]:
    return {
        int(thread): Checks(frozenset(sites), frozenset(owners))
        for thread, (sites, owners) in saved.items()
    }


def finished(keeping: Keeping) -> None:
    """A search has come to its end: its checkpoint is of no more use."""
    if keeping.save is not None and keeping.own:
        keeping.save.unlink(missing_ok=True)


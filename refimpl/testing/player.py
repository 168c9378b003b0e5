"""What one thread of a task does: its calls, by the handles and the mapping that it has."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from .api import DIRECT, INSIDE, MMAP, Broken, Handle, Implementation, Inside, Mapped
from .history import History
from .records import RECORD, decode, encode, fault_name

FILE, OTHER = "shared", "other"
_SAME = {"read_direct": "read", "write_direct": "write", "write_sync": "write"}


class Revoked(Exception):
    """A call failed, and the file had been taken from its users (`Inside.revoke`)."""


@dataclass(frozen=True)
class Call:
    """One operation of a program: its name and its arguments, records and tags."""

    name: str
    arguments: tuple[object, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


class Player:
    """One thread's program: its own handle and mapping of the file."""

    def __init__(self, fs: Implementation, name: str, history: History, records: int) -> None:
        self.name = name
        self._history = history
        self._file: Handle = fs.open(FILE)
        self._other: Handle = fs.open(OTHER, create=True)
        self._direct: Handle | None = fs.open(FILE, direct=True) if DIRECT in fs.features else None
        self._inside = cast(Inside, fs) if INSIDE in fs.features else None
        self._synchronous = self._inside.open_sync(FILE) if self._inside is not None else None
        self._mapped: Mapped | None = None
        if MMAP in fs.features:
            self._mapped = self._file.mmap((records + 1) * RECORD)

    @property
    def mapped(self) -> Mapped:
        assert self._mapped is not None
        return self._mapped

    def play(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self.do(call)

    def do(self, call: Call) -> None:
        """Performs and notes one operation."""
        name = _SAME.get(call.name, call.name)
        body = getattr(self, f"_{call.name}")

        def run() -> object:
            try:
                return body(*call.arguments)
            except OSError as error:
                self._unless_revoked(error)
                raise

        self._history.run(self.name, name, call.arguments, run)

    def _unless_revoked(self, error: OSError) -> None:
        if self._inside is not None and self._inside.revoked(FILE):
            raise Revoked from error

    def close(self) -> None:
        if self._mapped is not None:
            self._mapped.close()
        self._file.close()
        self._other.close()
        for more in (self._direct, self._synchronous):
            if more is not None:
                more.close()

    def _read(self, first: int, count: int) -> tuple[str, ...]:
        return values_of(self._file.pread(count * RECORD, first * RECORD))

    def _read_direct(self, first: int, count: int) -> tuple[str, ...]:
        assert self._direct is not None
        return values_of(self._direct.pread(count * RECORD, first * RECORD))

    def _write(self, first: int, tags: tuple[int, ...]) -> None:
        _whole(self._file.pwrite(b"".join(map(encode, tags)), first * RECORD), tags)

    def _write_direct(self, first: int, tags: tuple[int, ...]) -> None:
        assert self._direct is not None
        _whole(self._direct.pwrite(b"".join(map(encode, tags)), first * RECORD), tags)

    def _write_sync(self, first: int, tags: tuple[int, ...]) -> None:
        assert self._synchronous is not None
        _whole(self._synchronous.pwrite(b"".join(map(encode, tags)), first * RECORD), tags)

    def _load(self, record: int) -> str:
        try:
            return decode(self.mapped.load(record * RECORD, RECORD))
        except OSError as error:
            self._unless_revoked(error)
            return fault_name(error)

    def _store(self, record: int, tag: int) -> str | None:
        try:
            self.mapped.store(record * RECORD, encode(tag))
        except OSError as error:
            self._unless_revoked(error)
            return fault_name(error)
        return None

    def _truncate(self, records: int) -> None:
        self._file.truncate(records * RECORD)

    def _fsync(self) -> None:
        self._file.fsync()

    def _fsync_other(self) -> None:
        """Of a file that nobody else uses; where there is a journal, it is common to both."""
        self._other.fsync()

    def _msync(self, first: int, count: int, invalidate: bool) -> None:
        self.mapped.sync(first * RECORD, count * RECORD, wait=True, invalidate=invalidate)

    def _msync_later(self, first: int, count: int) -> None:
        self.mapped.sync(first * RECORD, count * RECORD, wait=False, invalidate=False)

    def _willneed(self, first: int, count: int) -> None:
        self.mapped.willneed(first * RECORD, count * RECORD)

    def _dontneed(self, first: int, count: int) -> None:
        self.mapped.dontneed(first * RECORD, count * RECORD)

    # What a kernel does by itself (`Inside`).

    def _lock(self, record: int) -> None:
        assert self._inside is not None
        try:
            self._inside.lock(self.mapped, record * RECORD, RECORD)
        except OSError as error:
            self._unless_revoked(error)
            if error.errno != errno.ENOMEM:  # past the end of the file
                raise

    def _pageout(self) -> None:
        assert self._inside is not None
        self._inside.pageout(FILE)

    def _background(self) -> None:
        assert self._inside is not None
        self._inside.background()

    def _suspend(self) -> None:
        assert self._inside is not None
        self._inside.suspend()

    def _revoke(self) -> None:
        assert self._inside is not None
        self._inside.revoke(FILE)

    def _flush_unless_busy(self) -> None:
        assert self._inside is not None
        self._inside.flush_unless_busy(FILE)


def values_of(data: bytes) -> tuple[str, ...]:
    return tuple(decode(data[i : i + RECORD]) for i in range(0, len(data), RECORD))


def _whole(count: int, tags: Sequence[int]) -> None:
    if count != len(tags) * RECORD:
        raise Broken(f"{count} of {len(tags) * RECORD} bytes written, and no error")

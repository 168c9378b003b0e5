"""What a page cache must offer to be tested: `Implementation`, and what it hands out.

The protocols are small on purpose.  What an implementation does not have it leaves out of
`Implementation.features`, and the methods behind that feature are never called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

# Features.
MMAP = "mmap"  # Handle.mmap, and mappings that see the file as read(2) does
ADVICE = "advice"  # Mapped.willneed and dontneed
DIRECT = "direct"  # Implementation.open(direct=True)
REMOVE = "remove"  # Implementation.remove
CRASH = "crash"  # Implementation.crash
CRASH_AT = "crash-at"  # Implementation.crash_at
FEATURES = frozenset({MMAP, ADVICE, DIRECT, REMOVE, CRASH, CRASH_AT})
INSIDE = "inside"  # all of Inside; no machine asks for it, `meetings` does


class PowerLost(Exception):
    """An operation did not end because the machine lost its power (`Implementation.crash_at`)."""


class Broken(Exception):
    """The implementation itself says that it is broken: a panic, a hang, a leak.

    An OSError is an answer to the caller; this is a failure of the test.
    """


class Mapped(Protocol):
    """A shared, writable mapping of a file from its first byte on.  Offsets are bytes.

    An access past the end of the file is an OSError with EFAULT.
    """

    def load(self, offset: int, length: int) -> bytes: ...

    def store(self, offset: int, data: bytes) -> None: ...

    def sync(self, offset: int, length: int, *, wait: bool, invalidate: bool) -> None:
        """msync(2): MS_SYNC or MS_ASYNC, and MS_INVALIDATE."""

    def willneed(self, offset: int, length: int) -> None: ...

    def dontneed(self, offset: int, length: int) -> None: ...

    def close(self) -> None: ...


class Handle(Protocol):
    """An open file; every error is an OSError."""

    def pread(self, length: int, offset: int) -> bytes:
        """All bytes of the range that the file has."""

    def pwrite(self, data: bytes, offset: int) -> int:
        """How many bytes were written: all, unless an error came after the first."""

    def truncate(self, size: int) -> None:
        """Makes the file longer, by zeros, or shorter."""

    def fsync(self) -> None:
        """When it returns, contents and size survive a crash; otherwise it raises."""

    def size(self) -> int: ...

    def mmap(self, length: int) -> Mapped:
        """``length`` may lie past the end of the file."""

    def close(self) -> None: ...


class Implementation(Protocol):
    """One mounted file system, empty when the test begins.

    ``features`` is a subset of `FEATURES`.  ``faults`` says which faults can be ordered, and
    for each with which errnos operations may then fail (an empty set: it must stay unseen).
    ``write_faults`` are those after which written bytes may fall back to what they were.

    With ``background_writes`` something may write whenever it likes, as for want of memory:
    then an fsync need not hear of a write that failed before it came.

    ``stale_unit`` is 0 if a crash shows every byte as it was at some time since the last
    fsync.  Otherwise bytes written since, and zeros in an aligned unit of that many bytes
    with one that was written, may show anything, as in a file system that writes a block
    map before the block.
    """

    features: frozenset[str]
    faults: Mapping[str, frozenset[int]]
    write_faults: frozenset[str]
    background_writes: bool
    stale_unit: int

    def open(self, name: str, *, create: bool = False, direct: bool = False) -> Handle:
        """Opens for reading and writing; FileNotFoundError unless ``create``."""

    def remove(self, name: str) -> None:
        """Removes a file that is not open; it is gone even after a crash."""

    def sync(self) -> None:
        """As fsync of every file."""

    def remount(self) -> None:
        """Unmounts in order and mounts again; all handles and mappings are invalid.

        If writing fails, the error is raised when it is mounted again.
        """

    def crash(self, tear: int | None) -> None:
        """Loses its memory and mounts again; with a seed, writes under way may be torn."""

    def crash_at(self, writes: int, tear: int | None) -> None:
        """The ``writes``-th write to the device from now on is the last.

        The operation that is under way then raises `PowerLost`, and so do all later ones
        until `crash` is called.
        """

    def fault(self, kind: str, skip: int, count: int) -> None:
        """Lets ``skip`` occasions pass, then makes ``count`` fail."""

    def no_faults(self) -> None:
        """Forgets the faults that were ordered."""

    def fired(self) -> int:
        """How many faults have happened."""

    def at_rest(self) -> None:
        """Called when nothing runs: raises `Broken` if something is still held."""

    def close(self) -> None:
        """Ends it all; called once, even after a failure."""


class Inside(Protocol):
    """What a kernel does of its own accord, or for few, whenever a test wants it done."""

    def lock(self, mapped: Mapped, offset: int, length: int) -> None:
        """mlock(2)."""

    def open_sync(self, name: str) -> Handle:
        """Opens with O_SYNC."""

    def pageout(self, name: str) -> None:
        """What the page daemon does to the file's pages; nobody hears of an error."""

    def background(self) -> None:
        """What the syncer does, as if every file's time had come; nobody hears of an error."""

    def suspend(self) -> None:
        """Writes everything, keeps all writers out for a moment, and lets them in again."""

    def revoke(self, name: str) -> None:
        """Writes the file and takes it from its users: what they have open is of no use now."""

    def revoked(self, name: str) -> bool:
        """Whether that has begun."""

    def flush_unless_busy(self, name: str) -> None:
        """Writes the file, giving up silently at a page that is in use, as LFS does."""

    def stored(self, name: str) -> bytes:
        """What the file would hold if the power were cut now."""

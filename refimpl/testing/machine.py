"""`PageCacheMachine`: random operations of one thread against plain byte arrays."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from .api import ADVICE, CRASH, CRASH_AT, DIRECT, MMAP, REMOVE, Implementation, PowerLost
from .expected import Expected
from .trial import LIMIT, Trial

SECTOR = 512
_EDGES = [edge + by for edge in (512, 1024, 4096, 8192, 12288) for by in (-1, 0, 1)]
_SIZES = [512, 1024, 4096, 8192]
OFFSETS = st.one_of(st.sampled_from([0, 1, *_EDGES]), st.integers(0, LIMIT - 1))
LENGTHS = st.one_of(
    st.integers(1, 64), st.sampled_from(_SIZES), st.integers(1, 9000), st.just(LIMIT)
)
NAMES = ("a", "b")
FILES = st.sampled_from(NAMES)


# Kinds of rules that an example may do without (swarm testing, Groce et al. 2012): a file
# that was ever mapped, or a remount now and then, hides what goes wrong without.
_KINDS = [MMAP, DIRECT, REMOVE, CRASH, "faults", "remount"]


def _has(feature: str, kind: str | None = None) -> Callable[[Any], bool]:
    kind = kind or feature
    return lambda self: feature in self.fs.features and kind not in self.without


class PageCacheMachine(Trial, RuleBasedStateMachine):
    """Derive from this, say what to test, and collect ``YourMachine.TestCase``.

    A subclass defines `implementation`, and perhaps ``configurations``: a strategy whose
    values it is given.  Every read, size and error is compared at once; all contents again
    at the end, and once more after a remount.  ``docs/testing.md`` says what is checked.
    """

    configurations: ClassVar[st.SearchStrategy[Any]] = st.none()

    def implementation(self, configuration: Any) -> Implementation:
        """A new, empty, mounted file system."""
        raise NotImplementedError

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.fs = self.implementation(data.draw(self.configurations, label="configuration"))
        kinds = st.lists(st.sampled_from(_KINDS), unique=True)
        self.without = frozenset(data.draw(kinds, label="without"))
        self.ready = True
        for name in NAMES:
            self.handle(name, create=True).fsync()
            self.files[name] = Expected(name)

    # Operations.

    @rule(name=FILES, offset=OFFSETS, length=LENGTHS, direct=st.booleans(), inside=st.booleans())
    def pwrite(self, name: str, offset: int, length: int, direct: bool, inside: bool) -> None:
        direct, offset, length = self._way(name, direct, inside, offset, length)
        data = self._data(length)
        self._write(name, data, offset, lambda: self.handle(name, direct).pwrite(data, offset))

    @rule(name=FILES, length=LENGTHS)
    def append(self, name: str, length: int) -> None:
        offset = len(self.files[name].now)
        data = self._data(min(length, LIMIT - offset))
        if data:
            self._write(name, data, offset, lambda: self.handle(name).pwrite(data, offset))

    @rule(name=FILES, offset=OFFSETS, length=LENGTHS, direct=st.booleans(), inside=st.booleans())
    def pread(self, name: str, offset: int, length: int, direct: bool, inside: bool) -> None:
        direct, offset, length = self._way(name, direct, inside, offset, length)
        self._read(name, offset, length, lambda: self.handle(name, direct).pread(length, offset))

    @rule(name=FILES, size=st.one_of(st.sampled_from([0, 1, *_EDGES]), st.integers(0, LIMIT)))
    def truncate(self, name: str, size: int) -> None:
        self._change(
            name, self.files[name].truncated(size), lambda: self.handle(name).truncate(size)
        )

    @rule(name=FILES)
    def fsync(self, name: str) -> None:
        if self._attempt(self.handle(name).fsync, name):
            self.files[name].promised()

    @rule()
    def sync(self) -> None:
        if self._attempt(self.fs.sync):
            for file in self.files.values():
                file.promised()

    # Mappings.

    @precondition(_has(MMAP))
    @rule(name=FILES, offset=OFFSETS, length=LENGTHS)
    def store(self, name: str, offset: int, length: int) -> None:
        offset, length = self._inside(name, offset, length)
        if length:
            data, mapped = self._data(length), self._map(name)
            after = self.files[name].written(data, offset)
            self._change(name, after, lambda: mapped.store(offset, data))

    @precondition(_has(MMAP))
    @rule(name=FILES, offset=OFFSETS, length=LENGTHS)
    def load(self, name: str, offset: int, length: int) -> None:
        offset, length = self._inside(name, offset, length)
        if length:
            mapped = self._map(name)
            self._read(name, offset, length, lambda: mapped.load(offset, length))

    @precondition(_has(MMAP))
    @rule(name=FILES)
    def load_past_the_end(self, name: str) -> None:
        """Far behind it: a page that holds the end may be loaded from."""
        try:
            self._map(name).load(2 * LIMIT + (1 << 20) - 1, 1)
        except OSError as error:
            assert error.errno == errno.EFAULT, error
        else:
            raise AssertionError("a load past the end of the file succeeded")

    @precondition(_has(MMAP))
    @rule(name=FILES, offset=OFFSETS, length=LENGTHS, wait=st.booleans(), invalidate=st.booleans())
    def msync(self, name: str, offset: int, length: int, wait: bool, invalidate: bool) -> None:
        mapped = self._map(name)
        self._attempt(lambda: mapped.sync(offset, length, wait=wait, invalidate=invalidate), name)

    @precondition(_has(ADVICE, MMAP))
    @rule(name=FILES, offset=OFFSETS, length=LENGTHS, need=st.booleans())
    def advise(self, name: str, offset: int, length: int, need: bool) -> None:
        mapped = self._map(name)
        (mapped.willneed if need else mapped.dontneed)(offset, length)

    @precondition(_has(MMAP))
    @rule(name=FILES)
    def unmap(self, name: str) -> None:
        if name in self.maps:
            self.maps.pop(name).close()

    # Names.

    @precondition(lambda self: "remount" not in self.without)
    @rule(name=FILES)
    def close(self, name: str) -> None:
        self._close(name)

    @precondition(_has(REMOVE))
    @rule(name=FILES)
    def replace(self, name: str) -> None:
        """Removes a file and makes it again.  A removal that fails may have happened."""
        file = self.files[name]
        self._close(name)
        if not self._attempt(lambda: self.fs.remove(name), name, gone=True):
            self._settle()
            return
        file.found(b"")
        file.may_be_missing = True
        self.handle(name, create=True)

    # Ends.

    @precondition(lambda self: "remount" not in self.without)
    @rule()
    def remount(self) -> None:
        self._settle()

    @precondition(_has(CRASH))
    @rule(tear=st.none() | st.integers(0, 999))
    def crash(self, tear: int | None) -> None:
        self._crash(tear)

    @precondition(_has(CRASH_AT, CRASH))
    @rule(writes=st.integers(1, 12), tear=st.none() | st.integers(0, 999))
    def crash_at(self, writes: int, tear: int | None) -> None:
        self.fs.crash_at(writes, tear)

    @precondition(lambda self: self.fs.faults and "faults" not in self.without)
    @rule(data=st.data(), skip=st.integers(0, 4), count=st.integers(1, 3))
    def fault(self, data: st.DataObject, skip: int, count: int) -> None:
        """The next operations may fail."""
        if self.armed is None:
            self.armed = data.draw(st.sampled_from(sorted(self.fs.faults)), label="kind")
            self.fired = self.fs.fired()
            self.fs.fault(self.armed, skip, count)

    @precondition(lambda self: self.armed)
    @rule()
    def no_faults(self) -> None:
        self._disarm()

    @precondition(
        lambda self: "write" in self.fs.write_faults
        and self.armed is None
        and "faults" not in self.without
    )
    @rule(name=FILES, offset=OFFSETS, length=LENGTHS, last=st.booleans())
    def failing_fsync(self, name: str, offset: int, length: int, last: bool) -> None:
        """A write fails during fsync, or during unmount, and nothing else is under way.

        Whoever waits for the write must be told.
        """
        if not self._attempt(self.fs.sync):
            return
        self.pwrite(name, offset, length, False, False)
        handle, file = self.handle(name), self.files[name]
        before = self.fs.fired()
        self.fs.fault("write", 0, 1)
        try:
            if last:
                self._forget()
                self.fs.remount()
            else:
                handle.fsync()
            failed = False
        except OSError as error:
            assert error.errno == errno.EIO, error
            failed = True
        except PowerLost:
            self._crash(None)
            return
        fired = self.fs.fired() != before
        self.fs.no_faults()
        unseen = fired and not failed
        assert not (failed and not fired), f"{name}: an error was reported that never was"
        assert not unseen or self.fs.background_writes, (
            f"{'unmount' if last else 'fsync'} of {name} succeeded, but a write failed"
        )
        file.doubt = file.doubt or fired
        self._settle()

    # What holds at all times.

    @invariant()
    def sizes(self) -> None:
        if not self.ready:
            return
        for name in self.files:
            self._size(name)

    def teardown(self) -> None:
        if not self.ready:
            return
        try:
            if sys.exc_info()[0] is None:  # nothing has failed yet
                self._settle()
                self.fs.at_rest()
        finally:
            self.fs.close()

    def _way(
        self, name: str, direct: bool, inside: bool, offset: int, length: int
    ) -> tuple[bool, int, int]:
        """Direct transfers are made of whole sectors; ``inside``: of those that the file has."""
        if not direct or DIRECT not in self.fs.features or DIRECT in self.without:
            return False, offset, length
        if inside:
            within, much = self._inside(name, offset, length)
            first, end = within & -SECTOR, within + much & -SECTOR
            if first < end:
                return True, first, end - first
        return True, offset & -SECTOR, length + SECTOR - 1 & -SECTOR

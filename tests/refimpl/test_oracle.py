"""The public API against plain byte arrays, one thread at a time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from genfscheck.refimpl import FileSystem, Mapping

from .support import formatted, mounted

LIMIT = 12 * 1024
OFFSETS = st.integers(0, LIMIT - 1)
LENGTHS = st.one_of(st.integers(1, 64), st.integers(1, 6000), st.sampled_from([512, 1024, 4096]))
NAMES = st.sampled_from(["a", "b"])


class Oracle(RuleBasedStateMachine):
    """Files are byte arrays; a mapping shows its file."""

    @initialize(
        block_size=st.sampled_from([512, 1024, 4096, 8192]),
        page_size=st.sampled_from([512, 1024, 4096]),
        mode=st.sampled_from(["plain", "plain", "journal", "journal", "compat"]),
        windows=st.sampled_from([1, 4]),
        memory=st.sampled_from([0, 1024]),
    )
    def format(self, block_size: int, page_size: int, mode: str, windows: int, memory: int) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.image = formatted(Path(self.directory.name), 160 * 1024, block_size)
        least = 4 * max(2, block_size // page_size) + 2 * (4096 // page_size)
        self.knobs: dict[str, object] = {
            "page_size": page_size,
            "journal": mode == "journal",
            "compat": mode == "compat",
            "windows": windows,
            "memory_pages": memory or least,
            "maxphys": 4096,
            "array_on_stack": 1,
            "io_threads": 2,
            "syncer_period": 0.0,
        }
        self.fs: FileSystem = mounted(self.image, **self.knobs)
        self.files = {name: self.fs.open(name, "w+") for name in ("a", "b")}
        self.bytes = {name: bytearray() for name in ("a", "b")}
        self.maps: dict[str, Mapping] = {}

    def _data(self, length: int) -> bytes:
        self.stamp = getattr(self, "stamp", 0) + 1
        return bytes((self.stamp * 7 + i) % 255 + 1 for i in range(length))

    @rule(name=NAMES, offset=OFFSETS, length=LENGTHS, direct=st.booleans())
    def pwrite(self, name: str, offset: int, length: int, direct: bool) -> None:
        if direct:
            offset, length = offset & -512, (length + 511) & -512
        data = self._data(length)
        self.files[name]._direct = direct
        assert self.files[name].pwrite(data, offset) == length
        known = self.bytes[name]
        known.extend(bytes(max(0, offset + length - len(known))))
        known[offset : offset + length] = data

    @rule(name=NAMES, offset=OFFSETS, length=LENGTHS, direct=st.booleans())
    def pread(self, name: str, offset: int, length: int, direct: bool) -> None:
        if direct:
            offset, length = offset & -512, (length + 511) & -512
        self.files[name]._direct = direct
        got = self.files[name].pread(length, offset)
        assert got == bytes(self.bytes[name][offset : offset + length])

    @rule(name=NAMES, size=st.integers(0, LIMIT))
    def truncate(self, name: str, size: int) -> None:
        self.files[name].truncate(size)
        known = self.bytes[name]
        del known[size:]
        known.extend(bytes(size - len(known)))

    @precondition(lambda self: any(self.bytes.values()))
    @rule(name=NAMES, offset=OFFSETS, length=LENGTHS)
    def store(self, name: str, offset: int, length: int) -> None:
        known = self.bytes[name]
        if not known:
            return
        offset %= len(known)
        length = min(length, len(known) - offset)
        data = self._data(length)
        self._map(name)[offset : offset + length] = data
        known[offset : offset + length] = data

    @rule(name=NAMES, offset=OFFSETS, length=LENGTHS)
    def load(self, name: str, offset: int, length: int) -> None:
        known = self.bytes[name]
        if offset < len(known):
            length = min(length, len(known) - offset)
            got = self._map(name)[offset : offset + length]
            assert got == bytes(known[offset : offset + length])

    @rule(name=NAMES, invalidate=st.booleans(), wait=st.booleans())
    def msync(self, name: str, invalidate: bool, wait: bool) -> None:
        self._map(name).sync(invalidate=invalidate, wait=wait)

    @rule(name=NAMES)
    def unmap(self, name: str) -> None:
        if name in self.maps:
            self.maps.pop(name).close()

    @rule(name=NAMES)
    def fsync(self, name: str) -> None:
        self.files[name].fsync()

    @rule()
    def sync(self) -> None:
        self.fs.sync()

    @rule(force=st.booleans())
    def remount(self, force: bool) -> None:
        self.fs.unmount(force=True)
        self.fs = mounted(self.image, **self.knobs)
        self.files = {name: self.fs.open(name, "r+") for name in ("a", "b")}
        self.maps = {}

    @rule()
    def fsync_and_crash(self) -> None:
        for file in self.files.values():
            file.fsync()
        self.fs.crash()
        self.fs = mounted(self.image, **self.knobs)
        self.files = {name: self.fs.open(name, "r+") for name in ("a", "b")}
        self.maps = {}

    @invariant()
    def sizes(self) -> None:
        for name, file in getattr(self, "files", {}).items():
            assert file.stat().size == len(self.bytes[name])

    def teardown(self) -> None:
        if hasattr(self, "fs"):
            for name, file in self.files.items():
                file._direct = False
                assert file.pread(2 * LIMIT, 0) == bytes(self.bytes[name])
            self.fs.unmount(force=True)
            with mounted(self.image, **self.knobs) as fs:
                for name, known in self.bytes.items():
                    with fs.open(name) as file:
                        assert file.read() == bytes(known)
            self.directory.cleanup()

    def _map(self, name: str) -> Mapping:
        if name not in self.maps:
            self.maps[name] = self.files[name].mmap(2 * LIMIT)
        return self.maps[name]


TestOracle = Oracle.TestCase
TestOracle.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)

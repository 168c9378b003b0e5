"""Testing a page cache of your own with `genfscheck.refimpl.testing`.

`WriteBackCache` is a small write-back cache of pages over a "device", a dictionary of
sectors.  To have it tested, one writes an `Implementation` that mounts it (`Mounted`), and
a subclass of `PageCacheMachine`.  Run it with pytest:

    python -m pytest examples/own_implementation.py

``WriteBackCache(careless=True)`` has a mistake that is easy to make: fsync writes the pages
but not the size.  ``tests/examples`` shows how it is found.
"""

from __future__ import annotations

import copy
import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st

from genfscheck.refimpl.testing import CRASH, REMOVE, Broken, Mapped, PageCacheMachine

PAGE = 512


@dataclass
class Device:
    """What survives a crash: for each file its size and its pages."""

    sizes: dict[str, int] = field(default_factory=dict)
    pages: dict[tuple[str, int], bytes] = field(default_factory=dict)
    failing: int = 0  # so many writes fail
    failed: int = 0

    def write(self, name: str, number: int, data: bytes) -> None:
        if self.failing:
            self.failing -= 1
            self.failed += 1
            raise OSError(errno.EIO, "write failed", name)
        self.pages[name, number] = data


class WriteBackCache:
    """One file: pages are changed in memory, and written by fsync."""

    def __init__(self, device: Device, name: str, careless: bool) -> None:
        self._device = device
        self._name = name
        self._careless = careless
        self._size = device.sizes.setdefault(name, 0)
        self._dirty: dict[int, bytearray] = {}

    def size(self) -> int:
        return self._size

    def pread(self, length: int, offset: int) -> bytes:
        end = min(offset + length, self._size)
        data = bytearray()
        while offset < end:
            start = offset % PAGE
            part = self._page(offset // PAGE)[start : min(PAGE, start + end - offset)]
            data += part
            offset += len(part)
        return bytes(data)

    def pwrite(self, data: bytes, offset: int) -> int:
        done = 0
        while done < len(data):
            number, start = divmod(offset + done, PAGE)
            part = data[done : done + PAGE - start]
            page = self._dirty.setdefault(number, bytearray(self._page(number)))
            page[start : start + len(part)] = part
            done += len(part)
        self._size = max(self._size, offset + len(data))
        return len(data)

    def truncate(self, size: int) -> None:
        if size < self._size:
            for number in range(size // PAGE, -(-self._size // PAGE)):
                page = self._dirty.setdefault(number, bytearray(self._page(number)))
                keep = max(0, size - number * PAGE)
                page[keep:] = bytes(PAGE - keep)
        self._size = size

    def fsync(self) -> None:
        """A page whose write fails stays dirty, so that the next fsync tries again."""
        for number in sorted(self._dirty):
            self._device.write(self._name, number, bytes(self._dirty[number]))
            del self._dirty[number]
        if not self._careless:
            self._device.sizes[self._name] = self._size

    def mmap(self, length: int) -> Mapped:
        raise NotImplementedError("not among the features")

    def close(self) -> None:
        """Everybody shares one object for a file: nothing is lost."""

    def _page(self, number: int) -> bytes | bytearray:
        clean = self._device.pages.get((self._name, number), bytes(PAGE))
        return self._dirty.get(number, clean)


class Mounted:
    """The `Implementation`: how to open, lose power, fail, and look for leaks."""

    features = frozenset({CRASH, REMOVE})
    faults: Mapping[str, frozenset[int]] = {"write": frozenset({errno.EIO})}
    write_faults = frozenset({"write"})
    background_writes = False
    stale_unit = 0  # a crash shows bytes as they were at some time since the last fsync

    def __init__(self, careless: bool = False) -> None:
        self._careless = careless
        self.device = Device()
        self._files: dict[str, WriteBackCache] = {}

    def open(self, name: str, *, create: bool = False, direct: bool = False) -> WriteBackCache:
        if name not in self._files:
            if not create and name not in self.device.sizes:
                raise FileNotFoundError(errno.ENOENT, "no such file", name)
            self._files[name] = WriteBackCache(self.device, name, self._careless)
        return self._files[name]

    def remove(self, name: str) -> None:
        self._files.pop(name, None)
        del self.device.sizes[name]
        for key in [key for key in self.device.pages if key[0] == name]:
            del self.device.pages[key]

    def sync(self) -> None:
        for file in self._files.values():
            file.fsync()

    def remount(self) -> None:
        failure: OSError | None = None
        try:
            self.sync()
        except OSError as error:
            failure = error
        self._files.clear()
        if failure is not None:
            raise failure

    def crash(self, tear: int | None) -> None:
        self.device = copy.deepcopy(self.device)  # nobody else may write to it any more
        self._files.clear()

    def crash_at(self, writes: int, tear: int | None) -> None:
        raise NotImplementedError("not among the features")

    def fault(self, kind: str, skip: int, count: int) -> None:
        self.device.failing = count  # `skip` is a wish: here none is skipped

    def no_faults(self) -> None:
        self.device.failing = 0

    def fired(self) -> int:
        return self.device.failed

    def at_rest(self) -> None:
        unknown = {name for name, _number in self.device.pages} - set(self.device.sizes)
        if unknown:
            raise Broken(f"pages of files that are gone: {sorted(unknown)}")

    def close(self) -> None:
        self._files.clear()


class WriteBackMachine(PageCacheMachine):
    """All that is needed.  ``configurations`` draws what `implementation` is given."""

    configurations = st.just(False)

    def implementation(self, configuration: Any) -> Mounted:
        return Mounted(careless=configuration)


TestWriteBackCache = WriteBackMachine.TestCase

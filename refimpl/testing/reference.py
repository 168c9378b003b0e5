"""The reference implementation as an `Implementation`, and its own machine."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st

from ..config import Config
from ..errors import Crashed, MachineDead
from ..file import File
from ..file import Mapping as FileMapping
from ..flush import reclaim
from ..genfs.flags import PGO_ALLPAGES, PGO_BUSYFAIL, PGO_CLEANIT, VI_ONWORKLST
from ..image import format_image
from ..mount import FileSystem, mount
from ..vnode import Vnode
from .api import (
    ADVICE,
    CRASH,
    CRASH_AT,
    DIRECT,
    INSIDE,
    MMAP,
    REMOVE,
    Broken,
    Implementation,
    Mapped,
    PowerLost,
)
from .machine import PageCacheMachine
from .trial import LIMIT


@contextmanager
def _answers() -> Iterator[None]:
    """A machine that has stopped is no answer to the caller."""
    try:
        yield
    except Crashed as crashed:
        raise PowerLost(crashed.why) from crashed
    except MachineDead as dead:
        raise Broken(f"{type(dead).__name__}: {dead.why}") from dead


class ReferenceMapping:
    """A `Mapped`."""

    def __init__(self, mapping: FileMapping) -> None:
        self._mapping = mapping

    def load(self, offset: int, length: int) -> bytes:
        with _answers():
            return self._mapping[offset : offset + length]

    def store(self, offset: int, data: bytes) -> None:
        with _answers():
            self._mapping[offset : offset + len(data)] = data

    def sync(self, offset: int, length: int, *, wait: bool, invalidate: bool) -> None:
        with _answers():
            self._mapping.sync(offset, length, wait=wait, invalidate=invalidate)

    def willneed(self, offset: int, length: int) -> None:
        with _answers():
            self._mapping.willneed(offset, length)

    def dontneed(self, offset: int, length: int) -> None:
        with _answers():
            self._mapping.dontneed(offset, length)

    def lock(self, offset: int, length: int) -> None:
        with _answers():
            self._mapping.lock(offset, length)

    def close(self) -> None:
        with _answers():
            self._mapping.close()


class ReferenceFile:
    """A `Handle`."""

    def __init__(self, file: File) -> None:
        self._file = file

    def pread(self, length: int, offset: int) -> bytes:
        with _answers():
            return self._file.pread(length, offset)

    def pwrite(self, data: bytes, offset: int) -> int:
        with _answers():
            return self._file.pwrite(data, offset)

    def truncate(self, size: int) -> None:
        with _answers():
            self._file.truncate(size)

    def fsync(self) -> None:
        with _answers():
            self._file.fsync()

    def size(self) -> int:
        with _answers():
            return self._file.stat().size

    def mmap(self, length: int) -> ReferenceMapping:
        with _answers():
            return ReferenceMapping(self._file.mmap(length))

    def close(self) -> None:
        with _answers():
            self._file.close()


@cache
def _formatted(size: int, block_size: int, files: int) -> bytes:
    """An image: formatting one takes longer than most tests."""
    with tempfile.TemporaryDirectory(prefix="genfscheck-") as directory:
        image = Path(directory) / "image"
        format_image(image, size, block_size, files, fill=b"\xee")
        return image.read_bytes()


class Reference:
    """An `Implementation`: an image in a directory of its own, mounted with ``config``.

    Free blocks hold 0xEE, so that contents that nobody wrote are seen.
    """

    features = frozenset({MMAP, ADVICE, DIRECT, REMOVE, CRASH, CRASH_AT, INSIDE})
    faults: Mapping[str, frozenset[int]] = {
        "read": frozenset({errno.EIO}),
        "write": frozenset({errno.EIO}),
        "short": frozenset({errno.EIO}),
        "bmap": frozenset({errno.EIO}),
        "space": frozenset({errno.ENOSPC}),
        "journal": frozenset({errno.EIO}),
        "page": frozenset(),
        "heap": frozenset(),
    }
    write_faults = frozenset({"write", "short", "bmap", "journal"})

    def __init__(
        self,
        config: Config | None = None,
        *,
        size: int = 256 * 1024,
        block_size: int = 1024,
        files: int = 8,
        **knobs: object,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="genfscheck-")
        self.image = Path(self._directory.name) / "image"
        self.image.write_bytes(_formatted(size, block_size, files))
        chosen: dict[str, object] = {"durable": False, "patience": 5.0, "syncer_period": 0.0}
        self._config = config
        self._knobs = (chosen | knobs) if config is None else knobs
        self._fired = 0
        self._revoked: dict[str, Vnode] = {}
        self.mounted: FileSystem = self._mount()
        self.stale_unit = max(block_size, self.mounted.kernel.page_size)
        chosen_config = self.mounted.kernel.config
        memory = chosen_config.memory_pages * chosen_config.page_size
        self.background_writes = bool(chosen_config.syncer_period) or memory < 4 * LIMIT

    def _mount(self) -> FileSystem:
        self._revoked.clear()
        return mount(self.image, self._config, **self._knobs)

    def open(self, name: str, *, create: bool = False, direct: bool = False) -> ReferenceFile:
        with _answers():
            try:
                return ReferenceFile(self.mounted.open(name, "r+", direct=direct))
            except FileNotFoundError:
                if not create:
                    raise
            return ReferenceFile(self.mounted.open(name, "x+", direct=direct))

    # What a kernel does by itself (`Inside`).

    def lock(self, mapped: Mapped, offset: int, length: int) -> None:
        assert isinstance(mapped, ReferenceMapping)
        mapped.lock(offset, length)

    def open_sync(self, name: str) -> ReferenceFile:
        with _answers():
            return ReferenceFile(self.mounted.open(name, "r+", sync=True))

    def pageout(self, name: str) -> None:
        vp = self._vnode(name)
        lwp = self.mounted.kernel.machine.curlwp()
        lwp.pagedaemon = True
        try:
            with self._called("pageout"):
                for _offset, page in sorted(vp.uobj.tree.items()):
                    self.mounted.kernel.pagedaemon.look(page)
        finally:
            lwp.pagedaemon = False

    def background(self) -> None:
        with self._called("syncer"):
            self.mounted.kernel.syncer.visit()

    def suspend(self) -> None:
        with self._called("suspend"), self.mounted.suspended():
            pass

    def revoke(self, name: str) -> None:
        vp, kernel = self._vnode(name), self.mounted.kernel
        with self._called("revoke"):
            self._revoked[name] = vp
            error = reclaim(vp)
            kernel.vnodes_lock.enter("revoke")
            kernel.vnodes.pop(vp.inode.ino, None)
            kernel.vnodes_lock.exit("revoke")
            self.mounted.raise_errno(error, name)

    def revoked(self, name: str) -> bool:
        return name in self._revoked

    def flush_unless_busy(self, name: str) -> None:
        vp = self._vnode(name)
        with self._called("segwrite"):
            vp.interlock.enter("segwrite")
            vp.putpages(0, 0, PGO_ALLPAGES | PGO_CLEANIT | PGO_BUSYFAIL)

    def stored(self, name: str) -> bytes:
        image = self.image.with_name("copy")
        image.write_bytes(self.image.read_bytes())
        size = self.mounted.kernel.page_size
        few: dict[str, Any] = {"memory_pages": 64, "io_threads": 1, "small": True}
        copy = mount(image, page_size=size, syncer_period=0.0, pagedaemon=False, **few)
        try:
            with copy.open(name) as file:
                return file.read() or b""
        finally:
            copy.crash()

    @contextmanager
    def _called(self, op: str) -> Iterator[None]:
        """Between two steps, as the calls of a user are: nothing is done before the first."""
        machine = self.mounted.kernel.machine
        with _answers():
            machine.step("call", op, op=op)
            yield
            machine.step("return", op, op=op)

    def _vnode(self, name: str) -> Vnode:
        """Of a file that is open, or was until it was revoked."""
        if name in self._revoked:
            return self._revoked[name]
        vnodes = self.mounted.kernel.vnodes.values()
        return next(vp for vp in vnodes if vp.inode.name == name)

    def remove(self, name: str) -> None:
        with _answers():
            self.mounted.remove(name)

    def sync(self) -> None:
        with _answers():
            self.mounted.sync()

    def remount(self) -> None:
        failed: OSError | None = None
        with _answers():
            try:
                self.mounted.unmount(force=True)
            except MachineDead:
                raise
            except OSError as error:
                failed = error
        self._fired = self.fired()
        self.mounted = self._mount()
        if failed is not None:
            raise failed

    def crash(self, tear: int | None) -> None:
        self.mounted.crash(tear)
        if not isinstance(self.mounted.kernel.machine.dead, Crashed):
            with _answers():
                self.mounted.kernel.machine.check()
        self._fired = self.fired()
        self.mounted = self._mount()

    def crash_at(self, writes: int, tear: int | None) -> None:
        device = self.mounted.kernel.dev
        with _answers():
            device.crash_at(device.writes + writes - 1, tear)

    def fault(self, kind: str, skip: int, count: int) -> None:
        self.mounted.faults.arm(kind, skip, count)

    def no_faults(self) -> None:
        self.mounted.faults.disarm()

    def fired(self) -> int:
        return self._fired + sum(self.mounted.faults.fired.values())

    def at_rest(self) -> None:
        """Everything is written, and `let_go`."""
        self.sync()
        self.let_go()

    def let_go(self) -> None:
        """Nothing is BUSY, counted, mapped for a transfer or on the heap.

        Nobody waits for what was read ahead: it may take a moment.
        """
        kernel = self.mounted.kernel
        deadline = time.monotonic() + 10.0
        while kernel.bufs.value and time.monotonic() < deadline:
            time.sleep(0.001)
        wrong = [
            f"{kernel.bufs.value} buffers" if kernel.bufs.value else "",
            f"{kernel.heap.value} arrays" if kernel.heap.value else "",
            f"{kernel.kva.total - kernel.kva.free} pages of the pager map"
            if kernel.kva.free != kernel.kva.total
            else "",
        ]
        for vp in [*kernel.vnodes.values(), *self._revoked.values()]:
            if vp.dead and (vp.uobj.npages.value or vp.v_iflag.value & VI_ONWORKLST):
                wrong.append(f"{vp} is dead, and has pages or is listed")
            if vp.v_numoutput.value:
                wrong.append(f"v_numoutput {vp.v_numoutput.value} of {vp}")
            if not vp.dead and not vp.v_size.value == vp.v_writesize.value == vp.inode.size:
                wrong.append(f"sizes of {vp} differ")
            if not vp.uobj.npages.value == len(vp.uobj.tree) == len(list(vp.uobj.memq)):
                wrong.append(f"pages of {vp} are miscounted")
            wrong.extend(page.describe() for page in vp.uobj.tree.values() if page.flags.value & 1)
        if any(wrong):
            raise Broken("still held at rest: " + "; ".join(one for one in wrong if one))

    def close(self) -> None:
        try:
            self.mounted.crash()
        finally:
            self._directory.cleanup()


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, object]:
    """Arguments of `Reference`: sizes of pages and blocks, memory just enough or ample, ..."""
    block_size = draw(st.sampled_from([1024, 512, 4096, 8192]))
    page_size = draw(st.sampled_from([1024, 512, 4096]))
    mode = draw(st.sampled_from(["plain", "journal", "compat"]))
    windows = draw(st.sampled_from([4, 1]))
    window_pages = draw(st.sampled_from([2, 1]))
    scarce = draw(st.booleans())
    maxphys = 4096
    pages = max(block_size // page_size, window_pages)
    return {
        "block_size": block_size,
        "page_size": page_size,
        "journal": mode == "journal",
        "compat": mode == "compat",
        "windows": windows,
        "window_pages": window_pages,
        "memory_pages": 4 * pages + 2 * (maxphys // page_size) if scarce else 1024,
        "maxphys": maxphys,
        "array_on_stack": 1,
        "io_threads": 2,
    }


class ReferenceMachine(PageCacheMachine):
    """The reference implementation on trial, "hardened" unless a subclass says otherwise."""

    variant: ClassVar[str] = "hardened"
    configurations: ClassVar[st.SearchStrategy[dict[str, object]]] = geometries()

    def implementation(self, configuration: dict[str, object]) -> Implementation:
        return Reference(variant=self.variant, **configuration)  # type: ignore[arg-type]

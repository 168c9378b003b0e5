"""Open files and mappings, as a user sees them."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from . import flush, ops, sizes
from .genfs.flags import VI_WRMAP, VV_MAPPED
from .pmap import PROT_READ, PROT_WRITE
from .sync import WRITER, Mutex
from .vm import VmMap

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from .mount import FileSystem, Stat
    from .vnode import Vnode


class File(io.RawIOBase):
    """An unbuffered binary file; `io.BufferedRandom` can be put on top.

    Reads are whole as far as the file goes; a write is whole unless an error comes after
    the first bytes, and then returns how many there were.
    """

    def __init__(
        self, fs: FileSystem, vp: Vnode, name: str, mode: str, direct: bool, sync: bool
    ) -> None:
        super().__init__()
        self.name = name
        self.mode = mode
        self._fs = fs
        self._vp = vp
        self._direct = direct
        self._sync = sync
        self._readable = mode[0] == "r" or "+" in mode
        self._writable = mode != "r"
        self._append = mode[0] == "a"
        self._offset = 0
        self._offset_lock = Mutex(vp.mnt.machine, f"offset in {name}")
        self._maps: set[Mapping] = set()

    # What io wants.

    def readable(self) -> bool:
        return self._readable

    def writable(self) -> bool:
        return self._writable

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        with self._offset_held():
            count = self.preadinto(buffer, self._offset)
            self._offset += count
        return count

    def write(self, data: ReadableBuffer) -> int:
        with self._offset_held():
            count, self._offset = self._write(data, None if self._append else self._offset)
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check()
        with self._offset_held():
            base = {
                os.SEEK_SET: 0,
                os.SEEK_CUR: self._offset,
                os.SEEK_END: self._vp.v_size.value,
            }.get(whence)
            if base is None:
                raise ValueError(f"invalid whence {whence}")
            if base + offset < 0:
                raise OSError(errno.EINVAL, "negative offset", self.name)
            self._offset = base + offset
            return self._offset

    @contextmanager
    def _offset_held(self) -> Iterator[None]:
        self._offset_lock.enter("offset")
        try:
            yield
        finally:
            if self._fs.kernel.machine.dead is None:
                self._offset_lock.exit("offset")

    def tell(self) -> int:
        self._check()
        return self._offset

    def truncate(self, size: int | None = None) -> int:
        """Makes the file ``size`` bytes long, by default up to the current offset."""
        self._check(write=True)
        wanted = self._offset if size is None else size
        if wanted < 0:
            raise OSError(errno.EINVAL, "negative size", self.name)
        self._raise(self._fs.run("truncate", self._vp, lambda: sizes.truncate(self._vp, wanted)))
        return wanted

    def close(self) -> None:
        """Closes the file and its mappings; what is dirty is written later."""
        if self.closed:
            return
        try:
            for mapping in list(self._maps):
                mapping.close()
            super().close()
        finally:
            self._fs.release(self._vp, self)

    # Positional, and what else a kernel offers.

    def pread(self, length: int, offset: int) -> bytes:
        """Up to ``length`` bytes at ``offset``."""
        buffer = bytearray(length)
        count = self.preadinto(buffer, offset)
        return bytes(buffer[:count])

    def preadinto(self, buffer: WriteableBuffer, offset: int) -> int:
        self._check(read=True, offset=offset)
        view = memoryview(buffer).cast("B")
        error, count = self._fs.run(
            "read", self._vp, lambda: ops.read(self._vp, offset, view, self._direct)
        )
        if not count:
            self._raise(error)
        return count

    def pwrite(self, data: ReadableBuffer, offset: int) -> int:
        """Writes at ``offset``; returns how many bytes."""
        return self._write(data, offset)[0]

    def fsync(self) -> None:
        """Returns when everything is on the device; OSError if something is not."""
        self._check()
        self._raise(self._fs.run("fsync", self._vp, lambda: flush.fsync(self._vp)))

    def stat(self) -> Stat:
        from .mount import Stat

        self._check()
        vp, fs = self._vp, self._vp.mnt.fs
        blocks = sum(block >= 0 for block in vp.inode.map)
        return Stat(vp.v_size.value, blocks * fs.bsize, vp.mtime, vp.atime, vp.uobj.npages.value)

    def mmap(
        self,
        length: int | None = None,
        offset: int = 0,
        *,
        writable: bool = True,
        private: bool = False,
    ) -> Mapping:
        """Maps a range, by default to the end of the file; ``offset`` at a page.

        Shared writable mappings need a file opened for writing.
        """
        self._check(read=True, write=writable and not private, offset=offset)
        if offset % self._vp.mnt.page_size:
            raise OSError(errno.EINVAL, "offset is not at a page", self.name)
        size = self._vp.v_size.value - offset if length is None else length
        if size <= 0:
            raise OSError(errno.EINVAL, "nothing to map", self.name)
        mapping = self._fs.run(
            "mmap", self._vp, lambda: Mapping(self._fs, self._vp, offset, size, writable, private)
        )
        self._maps.add(mapping)
        return mapping

    def abandon(self) -> None:
        """The machine is gone: nothing can be closed properly any more."""
        super().close()

    def _write(self, data: ReadableBuffer, offset: int | None) -> tuple[int, int]:
        self._check(write=True, offset=offset)
        view = memoryview(data).cast("B")
        error, count, end = self._fs.run(
            "write",
            self._vp,
            lambda: ops.write(self._vp, offset, view, self._direct, self._sync),
        )
        if error and (not count or self._sync):
            self._raise(error)
        return count, end

    def _check(self, read: bool = False, write: bool = False, offset: int | None = 0) -> None:
        if self.closed:
            self._fs.kernel.machine.check()
            raise ValueError("I/O operation on closed file")
        if read and not self._readable:
            raise io.UnsupportedOperation("not readable")
        if write and not self._writable:
            raise io.UnsupportedOperation("not writable")
        if offset is not None and offset < 0:
            raise OSError(errno.EINVAL, "negative offset", self.name)

    def _raise(self, error: int) -> None:
        self._fs.raise_errno(error, self.name)


class Mapping:
    """A mapped range of a file: index or slice it like a bytearray of fixed length.

    An access past the end of the file is an OSError with EFAULT, where a process would
    get a signal; so is one whose page cannot be read (EIO) or has no block (ENOSPC).
    """

    def __init__(
        self, fs: FileSystem, vp: Vnode, offset: int, length: int, writable: bool, private: bool
    ) -> None:
        self._fs = fs
        self._vp = vp
        self._closed = False
        vp.v_lock.enter(WRITER, "mmap")
        vp.interlock.enter("mmap")
        vp.v_vflag.on(VV_MAPPED, "mmap")
        # 1442-1444 never set VI_WRMAPDIRTY: with VI_WRMAP a store would fault for ever.
        if writable and not private and not vp.mnt.config.compat:
            vp.v_iflag.on(VI_WRMAP, "mmap")
        vp.interlock.exit("mmap")
        vp.v_lock.exit("mmap")
        prot = PROT_READ | (PROT_WRITE if writable else 0)
        self._map = VmMap(vp, offset, length, prot, private)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._map.length

    def __getitem__(self, key: int | slice) -> bytes:
        """Bytes; of length one for an index."""
        offset, length = self._range(key)
        error, data = self._fs.run("load", self._vp, lambda: self._map.load(offset, length))
        self._faulted(error)
        return data

    def __setitem__(self, key: int | slice, data: ReadableBuffer) -> None:
        offset, length = self._range(key)
        view = memoryview(data).cast("B")
        if len(view) != length:
            raise ValueError(f"{len(view)} bytes for {length}")
        error = self._fs.run("store", self._vp, lambda: self._map.store(offset, view))
        self._faulted(error)

    def _faulted(self, error: int) -> None:
        self._fs.raise_errno(errno.EFAULT if error == errno.EINVAL else error, str(self._vp))

    def sync(
        self,
        offset: int = 0,
        length: int | None = None,
        *,
        wait: bool = True,
        invalidate: bool = False,
    ) -> None:
        """msync: writes a range; with ``invalidate`` its pages are freed too."""
        self._check()
        size = len(self) - offset if length is None else length
        error = self._fs.run(
            "msync", self._vp, lambda: self._map.sync(offset, size, wait, invalidate)
        )
        self._fs.raise_errno(error, str(self._vp))

    def willneed(self, offset: int = 0, length: int | None = None) -> None:
        """madvise: reads ahead."""
        self._check()
        size = len(self) - offset if length is None else length
        self._fs.run("madvise", self._vp, lambda: self._map.advise_willneed(offset, size))

    def dontneed(self, offset: int = 0, length: int | None = None) -> None:
        """madvise: these pages may be replaced first."""
        self._check()
        size = len(self) - offset if length is None else length
        self._fs.run("madvise", self._vp, lambda: self._map.advise_dontneed(offset, size))

    def lock(self, offset: int = 0, length: int | None = None) -> None:
        """mlock: the pages of a range are in memory until `unlock`; ENOMEM past the end."""
        self._wire("mlock", offset, length, True)

    def unlock(self, offset: int = 0, length: int | None = None) -> None:
        """munlock."""
        self._wire("munlock", offset, length, False)

    def _wire(self, op: str, offset: int, length: int | None, on: bool) -> None:
        self._check()
        size = len(self) - offset if length is None else length
        if offset < 0 or offset + size > len(self):
            raise OSError(errno.ENOMEM, "not mapped", str(self._vp))
        error = self._fs.run(op, self._vp, lambda: self._map.wire(offset, size, on))
        if error in (errno.EINVAL, errno.EFAULT):
            error = errno.ENOMEM  # as mlock(2) calls it
        self._fs.raise_errno(error, str(self._vp))

    def close(self) -> None:
        """Unmaps; what is dirty is written later."""
        if not self._closed:
            self._closed = True
            self._map.unmap()

    def _check(self) -> None:
        if self._closed:
            raise ValueError("the mapping is closed")

    def _range(self, key: int | slice) -> tuple[int, int]:
        self._check()
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                raise ValueError("a mapping has no steps")
            return start, max(0, stop - start)
        index = key + len(self) if key < 0 else key
        if not 0 <= index < len(self):
            raise IndexError("mapping index out of range")
        return index, 1

"""Read and write of a file system that does not use the page cache itself (compat mounts)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from .device import SECTOR
from .sync import WRITER

if TYPE_CHECKING:
    from .kernel import Kernel
    from .vnode import Vnode


class RawIo:
    """Synchronous transfers of whole blocks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def read(self, vp: Vnode, offset: int, length: int) -> tuple[int, bytes]:
        """(errno, bytes up to the end of the file)."""
        fs = self._kernel.fs
        end = min(offset + length, vp.v_size.get("rawio"))
        parts: list[bytes] = []
        while offset < end:
            count = min(fs.bsize - offset % fs.bsize, end - offset)
            error, data = self._block(vp, offset >> fs.bshift)
            if error:
                return error, b"".join(parts)
            parts.append(data[offset % fs.bsize :][:count])
            offset += count
        return 0, b"".join(parts)

    def write(self, vp: Vnode, offset: int, data: bytes, pager: bool = False) -> int:
        """Writes; an errno.  The pager's writes end with the file, a user's extend it."""
        kernel, fs = self._kernel, self._kernel.fs
        if pager:
            data = data[: max(0, vp.v_size.get("rawio") - offset)]
        done = 0
        while done < len(data):
            lbn, start = divmod(offset + done, fs.bsize)
            count = min(fs.bsize - start, len(data) - done)
            error, block = self._block(vp, lbn)
            if error:
                return error
            vp.g_glock.enter(WRITER, "rawio")
            error = fs.gop_alloc(vp, offset + done, count, "rawio")
            vp.g_glock.exit("rawio")
            if error:
                return error
            block = block[:start] + data[done : done + count] + block[start + count :]
            error, blkno, _run = fs.bmap(vp, lbn, "rawio")
            if error:
                return error
            try:
                kernel.dev.write(blkno * SECTOR, block)
            except OSError as failed:
                kernel.machine.check()
                return failed.errno or errno.EIO
            done += count
        return 0

    def _block(self, vp: Vnode, lbn: int) -> tuple[int, bytes]:
        kernel, fs = self._kernel, self._kernel.fs
        error, blkno, _run = fs.bmap(vp, lbn, "rawio")
        if error or blkno == -1:
            return error, bytes(fs.bsize)
        try:
            return 0, kernel.dev.read(blkno * SECTOR, fs.bsize)
        except OSError as failed:
            return failed.errno or errno.EIO, b""

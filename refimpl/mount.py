"""The public face of a mounted image."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

from . import flush
from .config import Config
from .errors import MachineDead
from .faults import Faults
from .file import File
from .image import NAME_MAX, open_image
from .kernel import Kernel
from .trans import NORMAL, SUSPENDED, SUSPENDING
from .vnode import Vnode

_T = TypeVar("_T")

_MODES = {
    "r": (False, False),
    "r+": (False, False),
    "w": (True, True),
    "w+": (True, True),
    "a": (True, False),
    "a+": (True, False),
    "x": (True, False),
    "x+": (True, False),
}  # without "b": (create, truncate)


@dataclass(frozen=True)
class Stat:
    """What is known of a file: sizes in bytes, times in seconds since the epoch."""

    size: int
    allocated: int
    mtime: float
    atime: float
    pages: int  # resident


def mount(
    path: str | os.PathLike[str], config: Config | None = None, **knobs: object
) -> FileSystem:
    """Mounts an image made by `format_image`.

    ``knobs`` are fields of `Config`.  Errors, all before anything is written: `BadImage`
    (not an image, another version, truncated, damaged), OSError with EBUSY for an image in
    use, FileNotFoundError, IsADirectoryError, PermissionError; ValueError for a knob.
    """
    chosen = replace(config or Config(), **knobs)  # type: ignore[arg-type]
    fd, sb = open_image(path)
    try:
        kernel = Kernel(fd, sb, chosen, os.fspath(path))
    except BaseException:
        os.close(fd)
        raise
    return FileSystem(kernel, fd, os.fspath(path))


class FileSystem:
    """A flat directory of files.  Use as a context manager; every method is thread-safe."""

    def __init__(self, kernel: Kernel, fd: int, path: str) -> None:
        self.kernel = kernel
        self.path = path
        self._fd: int | None = fd
        self._open: set[File] = set()
        self._gone: set[int] = set()  # removed while open
        self._finishing: set[int] = set()  # of these, those that somebody makes go
        kernel.unreferenced = self._unreferenced

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._fd is None:
            return
        try:
            self.unmount(force=True)
        except OSError:
            if kind is None:
                raise

    def __repr__(self) -> str:
        return f"<FileSystem {self.path} {'mounted' if self._fd is not None else 'unmounted'}>"

    @property
    def faults(self) -> Faults:
        """Where tests order faults."""
        return self.kernel.faults

    @property
    def mounted(self) -> bool:
        return self._fd is not None

    # Files.

    def open(self, name: str, mode: str = "r", *, direct: bool = False, sync: bool = False) -> File:
        """Opens a file in a mode of the builtin `open`; all are binary.

        ``direct`` transfers bypass the page cache where they can, ``sync`` writes return
        when the data are on the device.  Errors: FileNotFoundError, FileExistsError,
        OSError with EMFILE (too many open files), ENOSPC (no inode), ENAMETOOLONG.
        """
        plain = mode.replace("b", "")
        if plain not in _MODES or mode.count("b") > 1:
            raise ValueError(f"invalid mode {mode!r}")
        create, cut = _MODES[plain]
        self._check_mounted()
        self._check_name(name)
        kernel = self.kernel
        kernel.vnodes_lock.enter("open")
        try:
            if len(self._open) >= kernel.config.max_open:
                raise OSError(errno.EMFILE, "too many open files", name)
            ino = self._find(name)
            if ino is not None and plain[0] == "x":
                raise FileExistsError(errno.EEXIST, "file exists", name)
            if ino is None:
                if not create:
                    raise FileNotFoundError(errno.ENOENT, "no such file", name)
                ino = self._create(name)
        finally:
            if kernel.machine.dead is None:
                kernel.vnodes_lock.exit("open")
        vp = kernel.getvnode(ino)
        file = File(self, vp, name, plain, direct=direct, sync=sync)
        self._open.add(file)
        try:
            if cut:
                file.truncate(0)
            if plain[0] == "a":
                file.seek(0, os.SEEK_END)
        except BaseException:
            file.close()
            raise
        return file

    def listdir(self) -> list[str]:
        """The names of all files, sorted."""
        self._check_mounted()
        inodes = self.kernel.fs.inodes
        return sorted(one.name for one in inodes if one.name and one.ino not in self._gone)

    def exists(self, name: str) -> bool:
        self._check_mounted()
        return bool(name) and self._find(name) is not None

    def stat(self, name: str) -> Stat:
        """Size and the like of a file."""
        with self.open(name) as file:
            return file.stat()

    def remove(self, name: str) -> None:
        """Removes a name, durably; the file goes when nobody has it open any more.

        If that fails, an OSError says so.  The file is still there then; or only its blocks
        could not be given back, which are free when the image is mounted again.
        """
        self._check_mounted()
        kernel = self.kernel
        kernel.vnodes_lock.enter("remove")
        ino = self._find(name) if name else None
        if ino is None:
            kernel.vnodes_lock.exit("remove")
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        self._gone.add(ino)
        kernel.vnodes_lock.exit("remove")
        vp = kernel.getvnode(ino)
        error = flush.unname(vp)
        if error:
            kernel.vnodes_lock.enter("remove")
            if self._find(name) is None:  # nobody has used the name meanwhile
                self._gone.discard(ino)
            else:
                vp.inode.name, vp.inode_dirty = "", True  # this is written later
            kernel.vnodes_lock.exit("remove")
            self.release(vp)
            self.raise_errno(error, name)
        self.release(vp)

    # The whole file system.

    def sync(self) -> None:
        """Writes everything."""
        self._check_mounted()
        first = 0
        for vp in self._vnodes():
            first = flush.fsync(vp) or first
        self.raise_errno(first, self.path)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Everything is written and nobody changes anything until the block ends."""
        self._check_mounted()
        fstrans = self.kernel.fstrans
        fstrans.setstate(SUSPENDING, "suspend")
        try:
            for vp in self._vnodes():
                # Without the vnode lock: its holder may wait for the suspension to end.
                error = flush.flush_vnode(vp, wait=True, at="suspend")
                self.raise_errno(error, self.path)
            fstrans.setstate(SUSPENDED, "suspend")
            if self.kernel.wapbl is not None:
                self.raise_errno(self.kernel.wapbl.flush(True, "suspend"), self.path)
            yield
        finally:
            if self.kernel.machine.dead is None:
                fstrans.setstate(NORMAL, "resume")

    def snapshot(self, path: str | os.PathLike[str]) -> None:
        """Copies the image, as of one moment, to a new file."""
        with self.suspended(), open(path, "xb") as target, open(self.path, "rb") as source:
            shutil.copyfileobj(source, target)

    def crash(self, tear: int | None = None) -> None:
        """Loses the memory of the machine at once; the image holds what was written.

        With ``tear``, a seed, queued writes have reached arbitrary sectors of theirs.  All
        threads inside get `Crashed`.  Mount the image again to see what is left.
        """
        try:
            self.kernel.dev.crash(tear)
        except MachineDead:
            pass  # it was dead already
        self._close_image()

    def unmount(self, force: bool = False) -> None:
        """Writes everything and lets the image go.

        OSError with EBUSY if files are open, unless ``force``, which closes them.  The
        image is released even if a write fails, and the error raised afterwards.
        """
        self._check_mounted()
        if self._open and not force:
            raise OSError(errno.EBUSY, f"{len(self._open)} files are open", self.path)
        first = 0
        try:
            for file in list(self._open):
                file.close()
            kernel = self.kernel
            kernel.syncer.frozen.enter("unmount")
            for vp in list(kernel.vnodes.values()):
                first = flush.reclaim(vp) or first
                kernel.vnodes.pop(vp.inode.ino)
            kernel.syncer.frozen.exit("unmount")
        finally:
            self._close_image()
        self.raise_errno(first, self.path)

    def run(self, op: str, vp: Vnode, body: Callable[[], _T]) -> _T:
        """Runs an operation of a user between two steps of its own."""
        self._check_mounted()
        machine = self.kernel.machine
        machine.step("call", op, op=op, vp=vp)
        result = body()
        machine.step("return", op, op=op, vp=vp)
        return result

    def release(self, vp: Vnode, file: File | None = None) -> None:
        """A reference to ``vp`` goes; with the last one a removed file goes."""
        kernel = self.kernel
        if file is not None:
            self._open.discard(file)
        if self._fd is None or kernel.machine.dead is not None:
            return
        kernel.vnodes_lock.enter("vrele")
        vp.v_usecount -= 1
        last = vp.v_usecount == 0
        going = self._going(vp)
        if last:
            flush.inactive(vp)
        kernel.vnodes_lock.exit("vrele")
        if going:
            self.raise_errno(self._finish(vp), str(vp))

    def _unreferenced(self, vp: Vnode) -> None:
        """The syncer's reference goes; the file may have been removed meanwhile."""
        kernel = self.kernel
        kernel.vnodes_lock.enter("syncer")
        vp.v_usecount -= 1
        going = self._going(vp)
        kernel.vnodes_lock.exit("syncer")
        if going:
            self._finish(vp)

    def _going(self, vp: Vnode) -> bool:
        """Whether a removed file is the caller's to finish; vnodes are locked."""
        ino = vp.inode.ino
        going = vp.v_usecount == 0 and ino in self._gone and ino not in self._finishing
        if going:
            self._finishing.add(ino)
        return going

    def _finish(self, vp: Vnode) -> int:
        """The last reference to a removed file is gone; an errno."""
        kernel, ino = self.kernel, vp.inode.ino
        error = flush.remove(vp)
        kernel.vnodes_lock.enter("vrele")
        if not error:
            self._gone.discard(ino)
            kernel.vnodes.pop(ino, None)
        self._finishing.discard(ino)
        kernel.vnodes_lock.exit("vrele")
        return error

    def raise_errno(self, error: int, name: str) -> None:
        if error:
            raise OSError(error, os.strerror(error), name)

    # Inside.

    def _check_mounted(self) -> None:
        if self._fd is None:
            self.kernel.machine.check()
            raise ValueError("the file system is not mounted")
        self.kernel.machine.check()

    def _check_name(self, name: str) -> None:
        if not name or "/" in name or "\0" in name:
            raise OSError(errno.EINVAL, "not a file name", name)
        if len(name.encode()) > NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, "file name too long", name)

    def _find(self, name: str) -> int | None:
        for one in self.kernel.fs.inodes:
            if one.name == name and one.ino not in self._gone:
                return one.ino
        return None

    def _create(self, name: str) -> int:
        for one in self.kernel.fs.inodes:
            if not one.name and one.ino not in self.kernel.vnodes:
                one.name, one.size = name, 0
                vp = self.kernel.vnodes[one.ino] = Vnode(self.kernel, one)
                vp.inode_dirty = True
                return one.ino
        raise OSError(errno.ENOSPC, "no inode is free", name)

    def _vnodes(self) -> list[Vnode]:
        self.kernel.vnodes_lock.enter("sync")
        vnodes = list(self.kernel.vnodes.values())
        self.kernel.vnodes_lock.exit("sync")
        return vnodes

    def _close_image(self) -> None:
        fd, self._fd = self._fd, None
        for file in list(self._open):
            file.abandon()
        self._open.clear()
        if fd is not None:
            try:
                self.kernel.stop()
            finally:
                os.close(fd)

"""The block device: a real file, and threads that complete transfers in any order."""

from __future__ import annotations

import os
import random

from .buf import Buf, biodone, complete
from .errors import Crashed
from .faults import Faults
from .hook import At
from .sync import Machine

SECTOR = 512  # bytes, DEV_BSIZE
SECTOR_SHIFT = 9


class Device:
    """Transfers in sectors to and from ``fd``.  A sector is written whole or not at all."""

    def __init__(
        self, machine: Machine, fd: int, faults: Faults, threads: int, seed: int, durable: bool
    ) -> None:
        self._machine = machine
        self._fd = fd
        self._faults = faults
        self._durable = durable
        self._queue: list[Buf] = []
        self._random = random.Random(seed)
        self._stop = False
        self._torn_seed: int | None = None
        self._tear: random.Random | None = None
        self._last: int | None = None  # the write, by number, that a crash interrupts
        self.writes = 0
        self.working: dict[str, Buf] = {}  # by thread, what it has taken from the queue
        for number in range(threads):
            machine.spawn(f"disk{number}", self._work)

    def strategy(self, bp: Buf, at: At) -> None:
        """Submits ``bp``; `biodone` follows, perhaps before this returns.

        For a write of the page daemon there may be no memory: it is over at once.
        """
        machine = self._machine
        refused = 0
        if machine.curlwp().pagedaemon and not bp.is_read:
            refused = self._faults.hit("nomem", bp.blkno) or 0
        said: dict[str, object] = {"buf": bp, "write": not bp.is_read, "blkno": bp.blkno}
        said["count"] = bp.bcount
        mutex = bp.objlock if refused else None
        with machine.service("strategy", at, None, mutex, **said, refused=bool(refused)):
            if refused:
                bp.error = refused
                complete(bp)
            else:
                bp.device = "queued"
                self._queue.append(bp)
                machine.wake(self)

    def read(self, offset: int, length: int) -> bytes:
        """Metadata, synchronously; OSError on a fault or a short image."""
        error = self._faults.hit("read", offset >> SECTOR_SHIFT)
        if error:
            raise OSError(error, os.strerror(error))
        data = os.pread(self._fd, length, offset)
        return data + bytes(length - len(data))

    def write(self, offset: int, data: bytes) -> None:
        """Metadata, synchronously; OSError on a fault, `MachineDead` after a crash."""
        error = self._faults.hit("write", offset >> SECTOR_SHIFT)
        if error:
            raise OSError(error, os.strerror(error))
        with self._machine.guard:
            self._machine.check()
            self._put(offset, data)

    def peek(self, offset: int, length: int) -> bytes:
        """What is there now, without a transfer."""
        return os.pread(self._fd, length, offset)

    def scribble(self, offset: int, data: bytes) -> None:
        """Somebody else writes; inside a service."""
        os.pwrite(self._fd, data, offset)

    def flush(self) -> None:
        """What was written before is on stable storage afterwards."""
        self._machine.check()
        if self._durable:
            os.fdatasync(self._fd)

    def crash(self, tear: int | None) -> None:
        """From now on nothing is written.

        With ``tear``, a seed, every transfer still queued has reached an arbitrary set of
        its sectors.
        """
        with self._machine.guard:
            if tear is not None:
                self._tear = random.Random(tear)
                for bp in [*self._queue, *self.working.values()]:
                    if bp.device == "queued" and not bp.is_read and bp.data is not None:
                        self._put(bp.blkno * SECTOR, bp.data.read(bp.base, bp.bcount))
                self._queue.clear()
            self._machine.die(Crashed("the machine was crashed"))

    def crash_at(self, write: int, tear: int | None) -> None:
        """Arms a crash: the write that finds `writes` at ``write`` is the last one.

        It is whole, or with ``tear``, a seed, an arbitrary set of its sectors.
        """
        with self._machine.guard:
            self._last = write
            self._torn_seed = tear

    def stop(self) -> None:
        """Ends the threads; nothing may be queued any more."""
        with self._machine.guard:
            self._stop = True
            self._machine.wake(self)

    def _put(self, offset: int, data: bytes) -> None:
        last = self._last is not None and self.writes >= self._last
        if last and self._torn_seed is not None:
            self._tear = random.Random(self._torn_seed)
        self._write(offset, data)
        self.writes += 1
        if last:
            self._machine.die(Crashed("the machine was crashed"))
            self._machine.check()

    def _write(self, offset: int, data: bytes) -> None:
        if self._tear is None:
            done = 0
            while done < len(data):
                done += os.pwrite(self._fd, data[done:], offset + done)
            return
        for start in range(0, len(data), SECTOR):
            if self._tear.random() < 0.5:
                os.pwrite(self._fd, data[start : start + SECTOR], offset + start)

    def _work(self) -> None:
        name = self._machine.curlwp().name
        while True:
            taken = self._machine.rest(self, self._next, "disk")
            if not taken:
                return
            self._transfer(taken[0])
            biodone(taken[0])
            self.working.pop(name)

    def _next(self) -> list[Buf] | None:
        """A transfer; an empty list when none will come any more, None if one may."""
        if not self._queue:
            return [] if self._stop else None
        bp = self._queue.pop(self._random.randrange(len(self._queue)))
        self.working[self._machine.curlwp().name] = bp
        return [bp]

    def _transfer(self, bp: Buf) -> None:
        assert bp.data is not None
        said: dict[str, object] = {"buf": bp, "write": not bp.is_read, "blkno": bp.blkno}
        with self._machine.service("transfer", "disk", **said) as told:
            self._machine.check()
            error, short = self._faulty(bp)
            length = 0 if error and not short else bp.bcount
            if short:
                length -= SECTOR
            data = b""
            if length and bp.is_read:
                data = os.pread(self._fd, length, bp.blkno * SECTOR)
                data += bytes(length - len(data))
                bp.data.write(bp.base, data)
            elif length:
                data = bp.data.read(bp.base, length)
                self._put(bp.blkno * SECTOR, data)
            bp.error = error
            bp.resid = bp.bcount - length
            bp.device = "moved"
            if self._machine.hook is not None:
                told.update(count=length, error=error, data=self._machine.contents(data))

    def _faulty(self, bp: Buf) -> tuple[int, bool]:
        """(errno, whether all but the last sector moves all the same)."""
        error = self._faults.hit("read" if bp.is_read else "write", bp.blkno) or 0
        short = self._faults.hit("short", bp.blkno)
        if short is None or error:
            return error, False
        return short, True

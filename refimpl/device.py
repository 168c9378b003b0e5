"""The block device: a real file, and threads that complete transfers in any order."""

from __future__ import annotations

import os
import random

from .buf import Buf, biodone
from .errors import Crashed
from .faults import Faults
from .sync import Machine, Mutex

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
        self._lock = Mutex(machine, "disk queue")
        self._media = Mutex(machine, "disk media")  # the moment of a transfer; crash
        self._random = random.Random(seed)
        self._stop = False
        self._torn_seed: int | None = None
        self._tear: random.Random | None = None
        self._last: int | None = None  # the write, by number, that a crash interrupts
        self.writes = 0
        for number in range(threads):
            machine.spawn(f"disk{number}", self._work)

    def strategy(self, bp: Buf, at: int | str) -> None:
        """Submits ``bp``; `biodone` follows, perhaps before this returns."""
        self._machine.step(
            "strategy", at, buf=bp, write=not bp.is_read, blkno=bp.blkno, count=bp.bcount
        )
        self._lock.enter(at)
        self._queue.append(bp)
        self._machine.wakeup(self, at)
        self._lock.exit(at)

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
        self._media.enter("device write")
        self._machine.check()
        self._put(offset, data)
        self._media.exit("device write")

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
        self._media.enter("crash")
        if tear is not None:
            self._tear = random.Random(tear)
            self._lock.enter("crash")
            for bp in self._queue:
                if not bp.is_read and bp.data is not None:
                    self._put(bp.blkno * SECTOR, bp.data.read(bp.base, bp.bcount))
            self._queue.clear()
            self._lock.exit("crash")
        self._machine.die(Crashed("the machine was crashed"))

    def crash_at(self, write: int, tear: int | None) -> None:
        """Arms a crash: the write that finds `writes` at ``write`` is the last one.

        It is whole, or with ``tear``, a seed, an arbitrary set of its sectors.
        """
        self._media.enter("crash_at")
        self._last = write
        self._torn_seed = tear
        self._media.exit("crash_at")

    def stop(self) -> None:
        """Ends the threads; nothing may be queued any more."""
        self._lock.enter("device stop")
        self._stop = True
        self._machine.wakeup(self, "device stop")
        self._lock.exit("device stop")

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
        while True:
            self._lock.enter("disk")
            while not self._queue:
                if self._stop:
                    self._lock.exit("disk")
                    return
                self._machine.sleep(self, self._lock, "disk", seconds=3600.0)
                self._lock.enter("disk")
            bp = self._queue.pop(self._random.randrange(len(self._queue)))
            self._lock.exit("disk")
            self._transfer(bp)
            biodone(bp)

    def _transfer(self, bp: Buf) -> None:
        assert bp.data is not None
        offset = bp.blkno * SECTOR
        length = bp.bcount
        bp.error = self._faults.hit("read" if bp.is_read else "write", bp.blkno) or 0
        if bp.error:
            length = 0
        short = self._faults.hit("short", bp.blkno)
        if short is not None:
            length = length // 2 // SECTOR * SECTOR
            bp.error = bp.error or short
        self._media.enter("disk")
        self._machine.check()
        if length:
            if bp.is_read:
                data = os.pread(self._fd, length, offset)
                bp.data.write(bp.base, data + bytes(length - len(data)))
            else:
                self._put(offset, bp.data.read(bp.base, length))
        bp.resid = bp.bcount - length
        self._machine.step(
            "transfer",
            "disk",
            buf=bp,
            write=not bp.is_read,
            blkno=bp.blkno,
            count=length,
            error=bp.error,
        )
        self._media.exit("disk")

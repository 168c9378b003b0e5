"""Faults that a test can order: each is armed for some of the next occasions.

All of them count down: ``faults.arm("read", skip=2, count=1)`` fails the third read of the
device.  ``errno`` says how it fails; for "short" transfers it is what the driver reports
beside the residual count, 0 for nothing.
"""

from __future__ import annotations

import errno as _errno
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .threads import Machine

KINDS = {
    "read": _errno.EIO,  # the device fails a read
    "write": _errno.EIO,  # the device fails a write
    "short": _errno.EIO,  # the device moves all of a transfer but the last sector
    "bmap": _errno.EIO,  # a block of the map cannot be read
    "space": _errno.ENOSPC,  # a block is not to be had
    "page": _errno.ENOMEM,  # no page to be had without waiting
    "heap": _errno.ENOMEM,  # kmem_zalloc that may not sleep
    "journal": _errno.EIO,  # a journal transaction cannot begin
    "full": _errno.ENOSPC,  # the journal must be flushed before a transaction
    "nomem": _errno.ENOMEM,  # the device has no memory for a write of the page daemon
    "user": _errno.EFAULT,  # the memory of a user who writes, or of one of a direct transfer
    "yield": _errno.EAGAIN,  # a long scan is asked to let others run
}


@dataclass
class _Armed:
    skip: int
    count: int
    errno: int
    blkno: int | None
    maybe: bool


class Faults:
    """The faults of one machine; safe to use from any thread."""

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        self._armed: dict[str, list[_Armed]] = {}
        self.fired: dict[str, int] = dict.fromkeys(KINDS, 0)

    def arm(
        self,
        kind: str,
        skip: int = 0,
        count: int = 1,
        errno: int | None = None,
        blkno: int | None = None,
        maybe: bool = False,
    ) -> None:
        """Lets ``skip`` occasions pass, then makes ``count`` fail.

        With ``blkno``, a device block, only transfers that start there are occasions.  With
        ``maybe`` the machine's hook decides each time (`Hook.pick`), until ``count`` failed.
        """
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
        with self._lock:
            error = KINDS[kind] if errno is None else errno
            self._armed.setdefault(kind, []).append(_Armed(skip, count, error, blkno, maybe))

    def disarm(self) -> None:
        """Forgets everything that is armed."""
        with self._lock:
            self._armed.clear()

    def hit(self, kind: str, blkno: int | None = None) -> int | None:
        """The errno with which this occasion fails, or None."""
        if not self._armed:
            return None
        with self._lock:
            for armed in self._armed.get(kind, []):
                if armed.blkno is not None and armed.blkno != blkno:
                    continue
                if armed.skip > 0:
                    armed.skip -= 1
                elif armed.count > 0:
                    if armed.maybe and not self._chosen(kind):
                        return None
                    armed.count -= 1
                    self.fired[kind] += 1
                    return armed.errno
        return None

    def _chosen(self, kind: str) -> bool:
        return self._machine is not None and bool(self._machine.pick(f"fault: {kind}", 2))

"""What can end a machine, and what a bad image is called.

A *machine* is the small kernel behind one mounted image.  It ends early in three ways: it
panics (an assertion of the protocol failed), it crashes (a test asked for that), or nobody
makes progress within the patience it was given.  From then on every operation fails with
the same reason; the image holds what had been written until then.
"""

from __future__ import annotations

import errno


class MachineDead(OSError):
    """The machine behind the file system has stopped; errno is EIO."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EIO, why)
        self.why = why

    def again(self) -> MachineDead:
        """The same reason, as an exception of its own for another thread."""
        return type(self)(self.why)


class Panic(MachineDead):
    """An assertion of the protocol failed, or a thread of the machine died."""


class Crashed(MachineDead):
    """The machine was crashed on purpose: its memory is gone, the image is not."""


class Stuck(MachineDead):
    """A wait lasted longer than the machine's patience; the text says who waits for what."""


class BadImage(OSError):
    """The file is no image, or a damaged one, or one of another version; errno is EINVAL."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EINVAL, why, path)

"""The executable reference of the protocol: real threads, real locks, bytes in a real file.

An image is formatted once and mounted like a file system::

    from genfscheck.refimpl import format_image, mount

    format_image("disk.img", 4 << 20, block_size=1024)
    with mount("disk.img") as fs:
        with fs.open("notes", "w+") as file:
            file.write(b"hello")
            file.fsync()
            with file.mmap() as mapped:
                mapped[0:1] = b"J"
                mapped.sync()
            assert file.pread(5, 0) == b"Jello"

Every mount is a small kernel of its own (`Config` has its knobs), in one of two variants:
"1.18" does what the lines of genfs_io.c 1.18 say, "hardened" has every fix that
docs/findings.md tells of.  `docs/refimpl.md` describes the parts, the faults that can be
ordered, and the hook that logs steps or makes threads wait for their turn.
"""

from .config import VARIANTS, Config, Fixes
from .errors import BadImage, Crashed, MachineDead, Panic, Stuck
from .faults import Faults
from .file import File, Mapping
from .hook import KINDS, Event, Hook, Jitter, Log, Turn, Turns
from .image import format_image
from .mount import FileSystem, Stat, mount
from .schedule import Chooser, Outcome, Ready

__all__ = [
    "KINDS",
    "VARIANTS",
    "BadImage",
    "Chooser",
    "Config",
    "Crashed",
    "Event",
    "File",
    "FileSystem",
    "Faults",
    "Fixes",
    "Hook",
    "Jitter",
    "Log",
    "MachineDead",
    "Mapping",
    "Outcome",
    "Panic",
    "Ready",
    "Stat",
    "Stuck",
    "Turn",
    "Turns",
    "format_image",
    "mount",
]

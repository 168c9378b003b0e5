"""The format of an image: superblock, journal, inodes, blocks of data.

::

    sector 0        superblock
    journal         one sector of header, then one inode slot for each file
    inodes          two slots for each file, each a whole number of sectors
    data            blocks

All integers are little-endian.  An inode is written to the slot that does not hold its
latest generation, and each slot carries a checksum: a torn write leaves the older one.
Which blocks are free is not stored; it follows from the inodes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from .device import SECTOR
from .errors import BadImage

MAGIC = b"GENFSREF"
VERSION = 1
NAME_MAX = 255  # bytes of UTF-8
HOLE = -1

_SUPER = struct.Struct("<8sIIIIIIQQQ")
_JOURNAL = struct.Struct("<8sQII")
_JOURNAL_MAGIC = b"GENFSJNL"
_INODE = struct.Struct(f"<4sIQIQH{NAME_MAX}sI")
_INODE_MAGIC = b"INOD"


@dataclass(frozen=True)
class Super:
    """The superblock: the geometry of an image, offsets in bytes."""

    block_size: int
    blocks: int
    files: int
    map_entries: int  # the largest file, in blocks
    slot_size: int
    journal: int
    inodes: int
    data: int

    @property
    def length(self) -> int:
        """Bytes that the image must have."""
        return self.data + self.blocks * self.block_size

    def slot(self, ino: int, generation: int) -> int:
        """Where the given generation of an inode is."""
        return self.inodes + (2 * ino + generation % 2) * self.slot_size

    def encode(self) -> bytes:
        head = _SUPER.pack(
            MAGIC,
            VERSION,
            self.block_size,
            self.blocks,
            self.files,
            self.map_entries,
            self.slot_size,
            self.journal,
            self.inodes,
            self.data,
        )
        return _sealed(head, SECTOR)

    @classmethod
    def geometry(cls, blocks: int, block_size: int, files: int, map_entries: int) -> Super:
        slot = _round(_INODE.size + 4 * map_entries + 4, SECTOR)
        inodes = SECTOR + SECTOR + files * slot
        data = _round(inodes + 2 * files * slot, block_size)
        return cls(block_size, blocks, files, map_entries, slot, SECTOR, inodes, data)


@dataclass
class Dinode:
    """What is stored of one file."""

    ino: int
    generation: int = 0
    name: str = ""  # empty: the inode is free
    size: int = 0
    map: list[int] = field(default_factory=list)  # device-independent block numbers, or HOLE

    def encode(self, slot_size: int) -> bytes:
        name = self.name.encode()
        head = _INODE.pack(
            _INODE_MAGIC,
            self.ino,
            self.generation,
            bool(self.name),
            self.size,
            len(name),
            name,
            len(self.map),
        )
        return _sealed(head + struct.pack(f"<{len(self.map)}i", *self.map), slot_size)

    @classmethod
    def decode(cls, slot: bytes) -> Dinode | None:
        """None if the slot's checksum is wrong; a slot of zeros is none either."""
        if not _is_sealed(slot):
            return None
        magic, ino, generation, used, size, length, name, entries = _INODE.unpack_from(slot)
        if magic != _INODE_MAGIC or _INODE.size + 4 * entries + 4 > len(slot):
            return None
        blocks = list(struct.unpack_from(f"<{entries}i", slot, _INODE.size))
        return cls(ino, generation, name[:length].decode() if used else "", size, blocks)


def encode_journal(sequence: int, slots: list[bytes]) -> bytes:
    """One journal record: a header that covers the slots with a checksum."""
    body = b"".join(slots)
    head = _JOURNAL.pack(_JOURNAL_MAGIC, sequence, len(slots), zlib.crc32(body))
    return _sealed(head, SECTOR) + body


def format_image(
    path: str | os.PathLike[str],
    size: int,
    block_size: int = 4096,
    files: int = 16,
    max_file_size: int | None = None,
    fill: bytes = b"",
) -> None:
    """Creates an image with ``size`` bytes of data blocks; never overwrites a file.

    ``fill`` is repeated over all blocks, as a disk that was used before.  Errors:
    FileExistsError, or ValueError for an impossible geometry.
    """
    if block_size < SECTOR or block_size > 1 << 20 or block_size & (block_size - 1):
        raise ValueError(f"block_size must be a power of two from {SECTOR} on, not {block_size}")
    blocks = size // block_size
    if blocks < 1 or blocks >= 1 << 31 or not 1 <= files <= 1 << 16:
        raise ValueError(f"no image of {blocks} blocks and {files} files")
    limit = size if max_file_size is None else max_file_size
    geometry = Super.geometry(blocks, block_size, files, max(1, -(-limit // block_size)))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.ftruncate(fd, geometry.length)
        for ino in range(files):
            os.pwrite(fd, Dinode(ino).encode(geometry.slot_size), geometry.slot(ino, 0))
        if fill:
            block = (fill * (block_size // len(fill) + 1))[:block_size]
            for number in range(blocks):
                os.pwrite(fd, block, geometry.data + number * block_size)
        os.fsync(fd)
        os.pwrite(fd, geometry.encode(), 0)  # last: before it, this is no image
        os.fsync(fd)
    finally:
        os.close(fd)


def open_image(path: str | os.PathLike[str]) -> tuple[int, Super]:
    """Opens, locks and checks an image; nothing is written.

    Errors: `BadImage`; OSError with EBUSY if somebody else has it; what open(2) reports.
    """
    name = os.fspath(path)
    fd = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadImage(name, "not a regular file")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EBUSY, "the image is in use", name) from None
        return fd, _read_super(fd, name)
    except BaseException:
        os.close(fd)
        raise


def _read_super(fd: int, name: str) -> Super:
    sector = os.pread(fd, SECTOR, 0)
    if len(sector) < SECTOR or sector[: len(MAGIC)] != MAGIC:
        raise BadImage(name, "not a genfscheck image")
    fields = _SUPER.unpack_from(sector)
    if fields[1] != VERSION:
        raise BadImage(name, f"image of version {fields[1]}, this reads version {VERSION}")
    if not _is_sealed(sector):
        raise BadImage(name, "the superblock is damaged")
    geometry = Super(*fields[2:])
    if geometry != Super.geometry(
        geometry.blocks, geometry.block_size, geometry.files, geometry.map_entries
    ):
        raise BadImage(name, "the superblock contradicts itself")
    length = os.fstat(fd).st_size
    if length < geometry.length:
        raise BadImage(name, f"truncated: {length} bytes of {geometry.length}")
    return geometry


def read_journal(sb: Super, read: Callable[[int, int], bytes]) -> list[Dinode]:
    """The inodes of a complete journal record, to be written again; [] if there is none."""
    header = read(sb.journal, SECTOR)
    if not _is_sealed(header):
        return []
    magic, _sequence, count, crc = _JOURNAL.unpack_from(header)
    if magic != _JOURNAL_MAGIC or count > sb.files:
        return []
    body = read(sb.journal + SECTOR, count * sb.slot_size)
    if zlib.crc32(body) != crc:
        return []
    slots = [body[i * sb.slot_size : (i + 1) * sb.slot_size] for i in range(count)]
    return [inode for inode in map(Dinode.decode, slots) if inode is not None]


def read_inodes(sb: Super, read: Callable[[int, int], bytes], name: str) -> list[Dinode]:
    """The latest valid generation of every inode, checked against each other."""
    inodes = []
    owner: dict[int, int] = {}
    names: set[str] = set()
    for ino in range(sb.files):
        slots = [read(sb.slot(ino, parity), sb.slot_size) for parity in (0, 1)]
        found = [inode for inode in map(Dinode.decode, slots) if inode is not None]
        if not found:
            raise BadImage(name, f"both copies of inode {ino} are damaged")
        inode = max(found, key=lambda one: one.generation)
        if inode.ino != ino or len(inode.map) > sb.map_entries:
            raise BadImage(name, f"inode {ino} is damaged")
        if not inode.name:  # free, though it may have been removed while it was open
            inode.size, inode.map = 0, []
        for block in inode.map:
            if block == HOLE:
                continue
            if not 0 <= block < sb.blocks or block in owner:
                raise BadImage(name, f"inode {ino} has block {block}, which is not its own")
            owner[block] = ino
        if inode.name in names and inode.name:
            raise BadImage(name, f"two files are called {inode.name!r}")
        names.add(inode.name)
        inodes.append(inode)
    return inodes


def _round(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _sealed(data: bytes, length: int) -> bytes:
    padded = data.ljust(length - 4, b"\0")
    return padded + struct.pack("<I", zlib.crc32(padded))


def _is_sealed(data: bytes) -> bool:
    return any(data) and struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])

"""genfs_directio (1556-1642) and genfs_do_directio (1666-1765): chunks, mapping, blocks.

The routines are ``proofs/directio.py``'s, since the model has none.
"""

from __future__ import annotations

import z3

from ...checker.symbolic.conditions import Claim, Frame
from ...checker.symbolic.state import INDEX, View, exact
from .common import (
    BUFFERS,
    FILE_MAX,
    LLONG_MAX,
    REQUEST_MAX,
    SECTOR_MAX,
    SIZES_READ,
    WATCH,
    aligned,
    between,
    page,
    sizes,
    within_files,
)
from .lemmas import derived, each_way, placed, stated

ZERO, ONE = exact(0), exact(1)
WRITE = 1
UIO = frozenset(
    f"uio.{name}"
    for name in ("uio_offset", "uio_resid", "uio_iovcnt", "iov_base", "iov_len", "behind", "end")
)
# The vnode lock is held, and with it nobody else changes the size.
STABLE_SIZE = z3.Array("stable.vnodes.v_size", z3.BitVecSort(INDEX), z3.BitVecSort(64))


def entry(view: View) -> z3.BoolRef:
    """Types and parameters."""
    return z3.And(
        sizes(view), (view["MAXPHYS_PAGES"] << view["PAGE_SHIFT"]) <= exact(REQUEST_MAX),
        between(-1, view["watch.blkno"], 2 * SECTOR_MAX), between(0, view["watch.file"], LLONG_MAX),
    )  # fmt: skip


def request(view: View) -> list[z3.BoolRef]:
    """What is left of the request: its vectors hold it, and it ends where it always did."""
    length, behind, resid = view["uio.iov_len"], view["uio.behind"], view["uio.uio_resid"]
    count = view["uio.uio_iovcnt"]
    return [
        view["uio.uio_offset"] >= ZERO, resid >= ZERO, length >= ZERO, behind >= ZERO,
        length + behind == resid, view["uio.end"] == view["uio.uio_offset"] + resid,
        between(1, count, 1024), z3.Implies(count == ONE, behind == ZERO),
    ]  # fmt: skip


def callers(view: View) -> z3.BoolRef:
    """What read(2) and write(2) have checked: no negative offset, no more than SSIZE_MAX bytes."""
    return z3.And(*request(view))


def vectors(view: View) -> z3.BoolRef:
    """The vectors alone: of the offset nothing."""
    return z3.And(*request(view)[1:])


def sector(view: View) -> z3.BitVecRef:
    return ONE << view["DEV_BSHIFT"]


def _size(view: View) -> z3.BitVecRef:
    return z3.Select(STABLE_SIZE, z3.BitVecVal(0, INDEX))


def _compared(view: View) -> z3.BoolRef:
    """1615: what was computed there, unsigned."""
    end = view["uio.uio_offset"] + view["_chunk.length"]
    return z3.And(z3.ULE(end, _size(view)), between(0, _size(view), FILE_MAX))


def _some_bytes(view: View) -> z3.BoolRef:
    return z3.And(
        between(1, view["_chunk.length"], REQUEST_MAX), view["uio.uio_offset"] >= ZERO
    )


def _before_end(view: View) -> z3.BoolRef:
    """It is what was meant."""
    return view["uio.uio_offset"] <= _size(view) - view["_chunk.length"]


def chunk(view: View) -> z3.BoolRef:
    """1629: whole sectors, of one vector, before the end of the file, at a sector."""
    offset, length = view["uio.uio_offset"], view["_chunk.length"]
    return z3.And(
        ONE <= length, length <= view["MAXPHYS_PAGES"] << view["PAGE_SHIFT"],
        aligned(length, sector(view)), aligned(offset, sector(view)),
        aligned(view["_chunk.va"], sector(view)), length <= view["uio.iov_len"],
        ZERO <= offset, _before_end(view),
    )  # fmt: skip


def _here(view: View) -> list[z3.BoolRef]:
    """In genfs_do_directio: the chunk."""
    off, length = view["uio.uio_offset"], view["_chunk.length"]
    return [
        ONE <= length, length <= exact(REQUEST_MAX), aligned(length, sector(view)),
        ZERO <= off, off <= exact(FILE_MAX) - length, aligned(off, sector(view)),
    ]


def mapping(view: View) -> z3.BoolRef:
    """1748: the mapping holds the chunk; and what genfs_do_io asks of its callers."""
    klen, koff = view["genfs_do_directio.klen"], view["genfs_do_directio.koff"]
    length = view["_chunk.length"]
    return z3.And(
        aligned(klen, page(view)), klen < length + (page(view) << 1),
        ZERO <= koff, koff < page(view), koff + length <= klen, *_here(view),
    )  # fmt: skip


def _inside(view: View) -> z3.BoolRef:
    """Is the watched byte in the chunk?"""
    off, length = view["uio.uio_offset"], view["_chunk.length"]
    return z3.And(off <= view["watch.file"], view["watch.file"] < off + length)


def allocated(view: View) -> z3.BoolRef:
    """1748: every byte that is written has its block on disk."""
    writing = view["rw"] == exact(WRITE)
    return z3.Implies(z3.And(writing, _inside(view)), view["watch.blkno"] >= ZERO)


def _blocks(view: View) -> list[z3.BoolRef]:
    """1695: the blocks before ``lbn`` are on disk."""
    lbn, last = view["genfs_do_directio.lbn"], view["genfs_do_directio.elbn"]
    first, mine = view["uio.uio_offset"] >> view["FS_BSHIFT"], _mine(view)
    return [
        first <= lbn, between(0, lbn, exact((1 << 55) + (1 << 22))), between(0, last, 1 << 55),
        z3.Implies(z3.And(first <= mine, mine < lbn), view["watch.blkno"] >= ZERO),
    ]  # fmt: skip


def _mine(view: View) -> z3.BitVecRef:
    """The watched byte's block."""
    return view["watch.file"] >> view["FS_BSHIFT"]


def _pages(view: View) -> list[z3.BoolRef]:
    """1736: pages of the mapping."""
    poff, klen = view["genfs_do_directio.poff"], view["genfs_do_directio.klen"]
    return [
        between(0, poff, klen), aligned(poff, page(view)), aligned(klen, page(view)),
        klen <= exact(REQUEST_MAX + (1 << 17)),
    ]  # fmt: skip


def _bits(view: View) -> z3.BoolRef:
    return between(9, view["PAGE_SHIFT"], 16)


def _block(view: View) -> z3.BoolRef:
    return between(1 << 9, view["genfs_do_directio.bsize"], 1 << 16)


def _chunk_here(view: View) -> z3.BoolRef:
    return z3.And(*_here(view))


def _end(view: View) -> z3.BitVecRef:
    """Where the chunk ends."""
    return view["uio.uio_offset"] + view["_chunk.length"]


def _range(view: View) -> z3.BoolRef:
    """1712-1713: the pages of the chunk."""
    mask = page(view) - ONE
    return (view["uio.uio_offset"] & ~mask) < ((_end(view) + mask) & ~mask)


def _page_start(view: View, address: z3.BitVecRef) -> z3.BitVecRef:
    return address & ~(page(view) - ONE)


def _user(view: View) -> z3.BoolRef:
    """1725: the addresses are a user's; and the chunk is not large."""
    va, length = view["_chunk.va"], view["_chunk.length"]
    return z3.And(between(0, va, 1 << 47), between(1, length, REQUEST_MAX))


def _mapped(view: View) -> z3.BoolRef:
    """1672: the pages of the chunk in memory."""
    va, length = view["_chunk.va"], view["_chunk.length"]
    top = _page_start(view, va + length + page(view) - ONE)
    return view["genfs_do_directio.klen"] == top - _page_start(view, va)


def _whole(view: View) -> z3.BoolRef:
    """They hold it, and no page more."""
    va, length = view["_chunk.va"], view["_chunk.length"]
    klen, first = view["genfs_do_directio.klen"], va - _page_start(view, va)
    return z3.And(
        aligned(klen, page(view)), between(1, klen, REQUEST_MAX + (1 << 17)),
        klen < length + (page(view) << 1), between(0, first, page(view) - ONE),
        first + length <= klen,
    )  # fmt: skip


def _offset_in_page(view: View) -> z3.BoolRef:
    """1747."""
    va = view["_chunk.va"]
    return view["genfs_do_directio.koff"] == va - _page_start(view, va)


def _shift(view: View) -> z3.BoolRef:
    """The routine's own names of the block's size."""
    shift = view["genfs_do_directio.bshift"]
    return z3.And(
        between(9, shift, 16), shift == view["FS_BSHIFT"],
        view["genfs_do_directio.bsize"] == ONE << view["FS_BSHIFT"],
    )  # fmt: skip


def _last(view: View) -> z3.BoolRef:
    """1694: the block behind the chunk's last one, shifted as an unsigned number."""
    size, last = view["genfs_do_directio.bsize"], view["genfs_do_directio.elbn"]
    return last == z3.LShR(_end(view) + size - ONE, view["genfs_do_directio.bshift"])


def _covers(view: View) -> z3.BoolRef:
    """The blocks asked for are those of the chunk."""
    first = view["uio.uio_offset"] >> view["FS_BSHIFT"]
    return z3.Implies(
        _inside(view),
        z3.And(first <= _mine(view), _mine(view) < view["genfs_do_directio.elbn"]),
    )


def _vector(view: View) -> z3.BoolRef:
    """1634: the chunk is of the first vector, which is of what is left."""
    length, resid = view["_chunk.length"], view["uio.uio_resid"]
    first, behind = view["uio.iov_len"], view["uio.behind"]
    return z3.And(
        ONE <= length, length <= first, behind >= ZERO, first + behind == resid, resid >= ZERO,
    )  # fmt: skip


def _left(view: View) -> z3.BoolRef:
    """So it is no more than is left."""
    left = view["uio.uio_resid"] - view["_chunk.length"]
    return z3.And(view["_chunk.length"] <= view["uio.uio_resid"], left >= ZERO)


LEMMAS = (
    *placed(1626, [stated("compared", _compared), stated("some-bytes", _some_bytes),
                   derived("before-end", _before_end, "compared", "some-bytes")]),
    *placed(1695, [stated("shift", _shift), stated("here", _chunk_here), stated("last", _last),
                   derived("covers", _covers, "shift", "here", "last")]),
    *placed(1712, [each_way("on-disk", allocated)]),
    *placed(1736, [stated("bits", _bits), stated("user", _user), stated("mapped", _mapped),
                   derived("whole", _whole, "bits", "user", "mapped")]),
    *placed(1282, [stated("here", _chunk_here), stated("whole", _whole),
                   stated("offset-in-page", _offset_in_page)]),
    *placed(1694, [stated("here", _chunk_here), stated("block", _block)]),
    *placed(1714, [stated("bits", _bits), stated("here", _chunk_here),
                   derived("range", _range, "bits", "here")]),
    *placed(1634, [stated("vector", _vector), derived("left", _left, "vector")]),
)


# (1282 is where genfs_do_io begins, which 1748 calls)
CLAIMS = (Claim("chunk", 1629, chunk), Claim("mapping", 1282, mapping),
          Claim("allocated", 1282, allocated))
INVARIANTS = {1695: lambda v: z3.And(*_blocks(v)), 1736: lambda v: z3.And(*_pages(v))}
STABLE = {"vnodes.v_size": (1 << 64) - 1}
FRAME = Frame(
    invariants={1599: lambda v: z3.And(*request(v)), **INVARIANTS},
    cuts={1629: lambda v: z3.And(chunk(v), *_here(v))},
    forgets={1629: ("_chunk.length",)},
    claims=CLAIMS,
    lemmas=LEMMAS,
    tracked=WATCH | BUFFERS | UIO,
    stable=STABLE,
    reads={name: within_files for name in SIZES_READ},
)
# A chunk of any request: nothing is cut before the claim.
ENTRY_FRAME = Frame(
    claims=CLAIMS[:1],
    tracked=WATCH | BUFFERS | UIO,
    stable=STABLE,
    reads={name: within_files for name in SIZES_READ},
)

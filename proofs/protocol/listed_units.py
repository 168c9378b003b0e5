"""The units of theorem protocol-dirty-implies-listed, and what is followed in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...checker.lang import ir
from .page import IL

TRACKED: Final = (
    IL, "pages.flags", "pages.owner", "pages.io", "pages.live", "pages.modified", "pages.pte",
    "pages.offset", "vnodes.v_iflag", "vnodes.g_dirtygen",
)  # fmt: skip
FINDING: Final = ("uvn_findpages",)
CALLS: Final = ("call_getpages", "call_putpages")
# What the actors call that touches pages.
PARTS: Final = (*CALLS, "fault", "ubc_fault", "copy_over", "ufs_balloc_range")
ACTORS: Final = (
    "mapped_store", "mapped_load", "mlock", "read", "write", "truncate", "extend", "fsync",
    "fsync_range", "syncer", "msync", "flush", "null_flush", "pagedaemon", "readahead", "reclaim",
    "suspend",
)  # fmt: skip
UNITS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("listed_findpages", ()),
    ("listed_read_loop", ()),
    ("listed_io", ("_read_loop",)),
    ("listed_getpages", ("uvn_findpages", "_io")),
    ("listed_cluster", FINDING),
    ("listed_gop_write", ()),
    ("listed_gop_write_rwmap", ()),
    ("listed_scan", ("_cluster", "genfs_gop_write", "genfs_gop_write_rwmap")),
    ("listed_putpages", ("_scan",)),
    *((routine, CALLS) for routine in PARTS if routine not in CALLS),
    ("aiodone", ()),
    *((actor, PARTS) for actor in ACTORS),
)
# The routine that each unit calls between what its contract requires and ensures.
SUBJECTS: Final[Mapping[str, str]] = {
    "listed_findpages": "uvn_findpages", "listed_read_loop": "_read_loop", "listed_io": "_io",
    "listed_getpages": "call_getpages", "listed_cluster": "_cluster", "listed_scan": "_scan",
    "listed_gop_write": "genfs_gop_write", "listed_gop_write_rwmap": "genfs_gop_write_rwmap",
    "listed_putpages": "call_putpages",
}  # fmt: skip
PAGE_SHIFT: Final = 1
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PARAMETERS: Final = (
    ("FILE_PAGES", 2), ("FS_BSHIFT", 2), ("MAXPHYS_PAGES", 2), ("METADATA", 1), ("NBUFS", 3),
    ("NKVA", 1), ("NMAPPINGS", 1), ("NPAGES", 2), ("PAGEDAEMON", 1), ("PAGE_SHIFT", PAGE_SHIFT),
    ("SHOULD_YIELD", 1), ("WAPBL", 1),
)  # fmt: skip
# putpages has no offsets but those of pages: they are counted in pages.
SCANNING: Final = ("listed_cluster", "listed_scan", "listed_putpages")
SYMBOLIC: Final = {"LLONG_MAX": ir.CType("off_t", 64, True),
                   "FILE_UNITS": ir.CType("off_t", 64, True)}
STATEMENT: Final = (
    "whenever the object lock is free, a page that is not busy and is dirty (not PG_CLEAN, or "
    "modified), and at any time one that somebody can store to without a fault, belongs to a "
    "vnode with VI_ONWORKLST"
)
# A theorem of its own: the kind of its obligations.
LOST: Final = "lost"
LOST_STATEMENT: Final = (
    "a call of putpages that was asked to clean frees a page itself only if it is clean (PG_CLEAN, "
    "and not modified)"
)
SIZES: Final = (
    "any number of threads, of pages in memory and in the file, of mappings, and of slots of "
    "arrays and windows; blocks of two pages; one file; with a journal; without DEBUG"
)
CHECKS: Final = ("call", "requires", "ensures", "claim-1-ownership")
# What is replaced so that one mapping stands for any number of them.
MAPPINGS: Final = ("pmap_enter", "user_store", "window_store", "user_load")


def parameters(routine: str) -> tuple[tuple[str, int], ...]:
    """What a unit is compiled with."""
    if routine in SCANNING:
        return tuple(dict(PARAMETERS, PAGE_SHIFT=0, FS_BSHIFT=0).items())
    return PARAMETERS

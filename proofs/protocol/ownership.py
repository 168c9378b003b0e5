"""Exclusive ownership of busy pages: which routines, with whose contracts in their places."""

from __future__ import annotations

from typing import Final

from .rules import PageRules

CHECKS: Final = ("claim-1-ownership", "call", "requires", "ensures")
PARAMETERS: Final = (
    ("FILE_PAGES", 2), ("FS_BSHIFT", 2), ("MAXPHYS_PAGES", 2), ("METADATA", 1), ("NBUFS", 3),
    ("NKVA", 1), ("NPAGES", 2), ("PAGEDAEMON", 1), ("SHOULD_YIELD", 1), ("WAPBL", 1),
)  # fmt: skip
SIZES: Final = (
    "any number of threads, of pages in memory, and of slots of arrays and windows; blocks of two "
    "pages, clusters of eight; one file; with a journal; without DEBUG, and transfers without the "
    "page daemon's window"
)
NAME: Final = "protocol-ownership"
STATEMENT: Final = (
    "a page is BUSY exactly while one thread or one buffer owns it, whenever the object lock is "
    "free; nobody takes BUSY on an owned page, un-busies or frees another's, or changes its BUSY, "
    "FAKE, CLEAN or RDONLY; getpages returns what it leaves owned, putpages leaves nothing owned"
)

# The unit about a routine, or the actor, and whose contracts it uses.
FINDING: Final = ("uvn_findpages", "genfs_rel_pages")
CALLS: Final = ("call_getpages", "call_putpages")
# What the actors call that touches pages; where these have contracts, the rest touches none.
PARTS: Final = (*CALLS, "fault", "ubc_fault", "copy_over", "ufs_balloc_range")
ACTORS: Final = (
    "mapped_store", "mapped_load", "mlock", "read", "write", "truncate", "extend", "fsync",
    "fsync_range", "syncer", "msync", "flush", "null_flush", "pagedaemon", "readahead", "reclaim",
    "suspend", "journal_flusher",
)  # fmt: skip
SUBJECTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("of_uvn_findpages", ()),
    ("of_genfs_rel_pages", ()),
    ("of_locked", FINDING),
    ("of_release", ()),
    ("of_read_loop", ()),
    ("of_io", ("_read_loop",)),
    ("of_getpages", (*FINDING, "_locked", "_release", "_io")),
    ("of_cluster", FINDING),
    ("of_gop_write", ()),
    ("of_gop_write_rwmap", ()),
    ("of_scan", ("_cluster", "genfs_gop_write", "genfs_gop_write_rwmap")),
    ("of_putpages", ("_scan",)),
    ("of_fault", CALLS),
    ("of_ubc_fault", CALLS),
    ("of_copy_over", CALLS),
    ("of_ufs_balloc_range", CALLS),
    ("of_aiodone", ()),
)
# What a unit is about, where its name is not made of the routine's.
_NAMED: Final = {
    "of_getpages": "call_getpages", "of_putpages": "call_putpages", "of_locked": "_locked",
    "of_release": "_release", "of_read_loop": "_read_loop", "of_io": "_io",
    "of_cluster": "_cluster", "of_scan": "_scan", "of_gop_write": "genfs_gop_write",
    "of_gop_write_rwmap": "genfs_gop_write_rwmap",
}  # fmt: skip
# The routine that each unit calls between what its contract requires and ensures.
ROUTINES: Final = {unit: _NAMED.get(unit, unit.removeprefix("of_")) for unit, _ in SUBJECTS}
# Those that have buffers and windows of their own.
TRANSFERS: Final = ("of_read_loop", "of_io", "of_gop_write", "of_gop_write_rwmap", "of_aiodone")
UNITS: Final = (*SUBJECTS, *((actor, PARTS) for actor in ACTORS))


def parameters(routine: str) -> tuple[tuple[str, int], ...]:
    """What a unit is compiled with: clusters large enough for all that is done to them."""
    if routine == "of_cluster":
        return tuple(dict(PARAMETERS, MAXPHYS_PAGES=8).items())
    if routine in TRANSFERS:
        # One window and no other: assumptions "refuse" and "naming".
        return tuple(dict(PARAMETERS, PAGEDAEMON=0).items())
    return PARAMETERS


def rules(routine: str) -> PageRules:
    """The rules for a routine."""
    return PageRules(
        ("claim-1-ownership",), transfers=routine in TRANSFERS, finishes=routine == "of_aiodone",
        begins=routine in ACTORS,
    )  # fmt: skip

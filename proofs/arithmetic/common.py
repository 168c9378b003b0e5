"""Words that the theorems share: sizes, alignment, and what callers and the kernel guarantee."""

from __future__ import annotations

from typing import Final

import z3

from ...checker.lang import ir
from ...checker.symbolic.state import EXACT, View, exact
from ...checker.symbolic.terms import Term

INT: Final = ir.INT32
OFF: Final = ir.CType("off_t", 64, True)

# Constants of the model that stay symbolic, with their C types.
SYMBOLIC: Final = {
    "PAGE_SHIFT": INT, "FS_BSHIFT": INT, "DEV_BSHIFT": INT, "UBC_MAX_PAGES": INT,
    "MAXPHYS_PAGES": INT, "TREE_PENALTY": INT, "FRAGMENTS": INT, "DEBUG": INT, "DIAGNOSTIC": INT,
    "WAPBL": INT, "RWMAP": INT, "LLONG_MAX": OFF,
}  # fmt: skip
# The contracts' checks (proofs/services.py, proofs/devices.py).
CHECKS: Final = ("request", "window", "transfer", "address", "accounting")

SHIFTS: Final = range(9, 17)  # 512 bytes to 64 KiB
LLONG_MAX: Final = (1 << 63) - 1
# No file, and no request, reaches the last 4 GiB of the 64-bit offsets.
FILE_MAX: Final = LLONG_MAX - (1 << 32)
# No request is for more than 1 GiB (the kernel's: MAXPHYS, a UBC window, or one block).
REQUEST_MAX: Final = 1 << 30
SECTOR_MAX: Final = 1 << 46

WATCH: Final = frozenset(
    f"watch.{name}"
    for name in ("position", "file", "blkno", "window", "transferred", "reads", "zeroes", "asked")
)
BUFFERS: Final = frozenset({"bufs.koff", "bufs.b_bcount", "bufs.b_blkno"})
FAKE: Final = 4


def page(view: View) -> z3.BitVecRef:
    """The page size."""
    return exact(1) << view["PAGE_SHIFT"]


def block(view: View) -> z3.BitVecRef:
    """The block size."""
    return exact(1) << view["FS_BSHIFT"]


def pages(view: View, count: z3.BitVecRef) -> z3.BitVecRef:
    """The bytes of so many pages."""
    return count << view["PAGE_SHIFT"]


def page_of(view: View, position: z3.BitVecRef) -> z3.BitVecRef:
    """The number of the page that holds a byte of the window."""
    return position >> view["PAGE_SHIFT"]


def aligned(value: z3.BitVecRef, size: z3.BitVecRef) -> z3.BoolRef:
    """Is it a multiple of a power of two?"""
    return value & (size - exact(1)) == exact(0)


def between(low: int | z3.BitVecRef, value: z3.BitVecRef, high: int | z3.BitVecRef) -> z3.BoolRef:
    """``low <= value <= high``."""
    one = exact(low) if isinstance(low, int) else low
    two = exact(high) if isinstance(high, int) else high
    return z3.And(one <= value, value <= two)


def small(value: z3.BitVecRef) -> z3.BoolRef:
    """From 0 to 2**31 - 1, said of the bits: that helps a SAT solver more than bounds do."""
    return z3.Extract(EXACT - 1, 31, value) == z3.BitVecVal(0, EXACT - 31)


def sizes(view: View) -> z3.BoolRef:
    """Pages and blocks from 512 bytes to 64 KiB; sectors of at least 512 bytes, no larger."""
    limits = {
        "PAGE_SHIFT": (9, 16), "FS_BSHIFT": (9, 16), "UBC_MAX_PAGES": (1, 1024),
        "MAXPHYS_PAGES": (1, 1 << 20), "TREE_PENALTY": (1, 64), "FRAGMENTS": (0, 1),
        "DEBUG": (0, 1), "DIAGNOSTIC": (0, 1), "WAPBL": (0, 1), "RWMAP": (0, 1),
        "LLONG_MAX": (LLONG_MAX, LLONG_MAX),
    }  # fmt: skip
    parts = [between(low, view[name], high) for name, (low, high) in limits.items()
             if view.has_parameter(name)]
    if view.has_parameter("DEV_BSHIFT"):
        parts.append(exact(9) <= view["DEV_BSHIFT"])
        for other in ("PAGE_SHIFT", "FS_BSHIFT"):
            if view.has_parameter(other):
                parts.append(view["DEV_BSHIFT"] <= view[other])
    return z3.And(parts)


def not_negative(term: Term) -> z3.BoolRef:
    """Sizes of files are not negative."""
    return term.at(EXACT) >= exact(0)


def within_files(term: Term) -> z3.BoolRef:
    """Sizes of files are not negative, and end before the last offsets."""
    return between(0, term.at(EXACT), FILE_MAX)


SIZES_READ: Final = ("vnodes.v_size", "vnodes.v_writesize", "vnodes.i_size")


def fake(view: View, slot: z3.BitVecRef, array: str = "_getpages.pgs") -> z3.BoolRef:
    """Is the page in that slot FAKE?  Nobody changes that while the caller has it BUSY."""
    ref = view.element(array, slot)
    return z3.Select(STABLE_FLAGS, ref) & z3.BitVecVal(FAKE, 32) != z3.BitVecVal(0, 32)


STABLE_FLAGS: Final = z3.Array("stable.pages.flags", z3.BitVecSort(32), z3.BitVecSort(32))

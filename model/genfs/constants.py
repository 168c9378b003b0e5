"""What the seed takes from headers and from the mount: constants, macros, array types."""

from __future__ import annotations

from ...checker.lang.prelude import (
    Annotated,
    Array,
    Enum,
    Final,
    TypeAlias,
    pure,
    size,
)
from ..kernel.state import PageOrDontcare
from ..kernel.types import MAXPHYS_PAGES, PAGE_MASK, UBC_MAX_PAGES, off_t

# Every vnode of a scenario is a regular file, on one mount without noatime or nodevmtime.
VREG: Final = 1
VDIR: Final = 2
VBLK: Final = 3
VLNK: Final = 5
V_TYPE: Final[int] = VREG
MNT_NOATIME: Final = 0
MNT_NODEVMTIME: Final = 0
GOP_UPDATE_ACCESSED: Final = 1
GOP_UPDATE_MODIFIED: Final = 2

# Sizes in bytes of the arrays of page pointers.
SIZEOF_PTR: Final = 8
SIZEOF_ONSTACK: Final = UBC_MAX_PAGES * SIZEOF_PTR

# The cluster of putpages: MAXPHYS >> PAGE_SHIFT (768).
MAXPAGES: Final = MAXPHYS_PAGES

# The array of getpages itself (whole blocks), and that of one cluster.
PgsArray: TypeAlias = Annotated[Array[PageOrDontcare], size("WINDOW_PAGES")]
Cluster: TypeAlias = Annotated[Array[PageOrDontcare], size("MAXPHYS_PAGES")]


class Pgs(Enum):
    """Where the pointer ``pgs`` of getpages points: nowhere, at the stack, at the heap."""

    NOWHERE = 0
    ONSTACK = 1
    HEAP = 2


@pure
def trunc_page(x: off_t) -> off_t:
    """The start of the page that holds ``x``."""
    return x & ~PAGE_MASK


@pure
def round_page(x: off_t) -> off_t:
    """``x`` rounded up to a page."""
    return (x + PAGE_MASK) & ~PAGE_MASK

"""genfs_gop_write (1219-1240): the output of a cluster of dirty pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..pages import Page
from .do_io import do_io

if TYPE_CHECKING:
    from ..vnode import Vnode


@dataclass(frozen=True)
class Gop:
    """How a file system writes pages, and how much v_numoutput each call is worth."""

    write: Callable[[Vnode, list[Page], int], int]
    tickets: int


def gop_write(vp: Vnode, pgs: list[Page], flags: int) -> int:
    """Writes BUSY pages that lie side by side; the completion thread lets go of them.

    genfs_gop_write_rwmap (1242-1263) differs in the rights of the pager's window only,
    which have no meaning here.
    """
    kernel = vp.mnt
    window = kernel.kva.mapin(pgs, 1232)
    window.take()
    length = len(pgs) << kernel.page_shift
    return do_io(vp, pgs[0].offset, window, length, flags, True, kernel.aiodone.biodone)


GENFS_GOP = Gop(gop_write, tickets=2)

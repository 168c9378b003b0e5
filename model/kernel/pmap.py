"""The pmap of pages: mappings, the modified bit, and the user's own loads and stores.

``Page.pte[m]`` is the entry of mapping ``m`` for the page: a process's shared mapping of the
file, or the UBC windows on it (which map number is which, the scenario says).  Windows of the
pager map are not here: their kernel entries are exempt from protection changes.
"""

from __future__ import annotations

from ...checker.lang.prelude import NULL, atomic, check, int32, pure
from .data import judge_load, note_store
from .state import Page, Vnode
from .types import (
    NMAPPINGS, PAGE_MASK, PAGE_SHIFT, PG, VI, Prot, off_t, token,
)  # fmt: skip


@atomic
def pmap_page_protect(pg: Page, prot: Prot) -> None:
    """Remove every mapping of the page, or the right to write from every mapping."""
    for m in range(NMAPPINGS):
        if prot == Prot.NONE or pg.pte[m] == Prot.WRITE:
            pg.pte[m] = prot


@atomic
def pmap_clear_modify(pg: Page) -> bool:
    """Test and clear the modified bit."""
    modified: bool = pg.modified
    pg.modified = False
    return modified


@atomic
def pmap_is_modified(pg: Page) -> bool:
    """The modified bit."""
    return pg.modified


@atomic
def pmap_enter(pg: Page, m: int32, prot: Prot) -> None:
    """Make ``prot`` the entry of mapping ``m`` for the page."""
    pg.pte[m] = prot


@pure
def needs_writefault(vp: Vnode) -> bool:
    """Must the next store to a page of the vnode fault, so that getpages hears of it?"""
    return (vp.v_iflag & VI.ONWORKLST) == 0 or (
        vp.v_iflag & (VI.WRMAP | VI.WRMAPDIRTY)
    ) == VI.WRMAP


@pure
def mapping_protection(entry: Prot, readonly: bool) -> Prot:
    """What a fault enters: the map entry's protection, without WRITE where it must not."""
    return Prot.READ if readonly else entry


@atomic
def user_store(vp: Vnode, u: off_t, m: int32, value: token) -> bool:
    """A store through a process's mapping, in one step; False where it faults instead.

    The hardware looks at the entry, changes the data and sets the modified bit, and takes no
    lock.
    """
    pg: Page = vp.tree[u >> PAGE_SHIFT]
    if pg is NULL:
        return False
    if pg.pte[m] != Prot.WRITE:
        return False
    pg.data[u & PAGE_MASK] = value
    pg.modified = True
    note_store(vp, u, value)
    return True


@atomic
def user_load(vp: Vnode, u: off_t, m: int32) -> bool:
    """A load through a process's mapping, in one step; False where it faults instead."""
    pg: Page = vp.tree[u >> PAGE_SHIFT]
    if pg is NULL:
        return False
    if pg.pte[m] == Prot.NONE:
        return False
    judge_load(vp, u, pg.data[u & PAGE_MASK])
    return True


@atomic
def window_store(vp: Vnode, u: off_t, m: int32, value: token) -> bool:
    """As ``user_store``, by the kernel through a UBC window: part of a write(2)."""
    pg: Page = vp.tree[u >> PAGE_SHIFT]
    if pg is NULL:
        return False
    if pg.pte[m] != Prot.WRITE:
        return False
    pg.data[u & PAGE_MASK] = value
    pg.modified = True
    return True


@atomic
def page_store(pg: Page, u: off_t, value: token) -> None:
    """A store by the kernel through its own entry for a page that it keeps BUSY."""
    check("claim-1-ownership", bool(pg.flags & PG.BUSY), "writes a page that is not BUSY")
    pg.data[u & PAGE_MASK] = value

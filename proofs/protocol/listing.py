"""What the routines of theorem ``protocol-dirty-implies-listed`` run in the place of others.

``pte[0]`` is the strongest entry that any mapping has of the page, however many there are: a
new entry may or may not be the strongest, and a user's own entry may be weaker than that
(``tests/proofs/protocol/test_listed.py`` compares these with the model's own on every case of
two mappings).  Data, and what a user may see, are not followed.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL,
    atomic,
    choose_bool,
    int32,
)
from ...model.kernel.state import Page, Vnode
from ...model.kernel.types import (
    PAGE_SHIFT,
    Prot,
    off_t,
    token,
)


@atomic
def pmap_enter(pg: Page, m: int32, prot: Prot) -> None:
    """A writable entry is the strongest; another may leave the strongest as it was."""
    if prot == Prot.WRITE or choose_bool("the strongest entry of the page"):
        pg.pte[0] = prot


@atomic
def user_store(vp: Vnode, u: off_t, m: int32, value: token) -> bool:
    """A store through an entry that is no stronger than the strongest."""
    pg: Page = vp.tree[u >> PAGE_SHIFT]
    if pg is NULL:
        return False
    if pg.pte[0] != Prot.WRITE or choose_bool("its own entry is weaker"):
        return False
    pg.modified = True
    return True


@atomic
def window_store(vp: Vnode, u: off_t, m: int32, value: token) -> bool:
    """The same, through a window."""
    return user_store(vp, u, m, value)


@atomic
def user_load(vp: Vnode, u: off_t, m: int32) -> bool:
    """A load changes nothing here."""
    return choose_bool("mapped")

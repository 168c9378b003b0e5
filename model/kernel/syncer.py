"""The syncer's list of vnodes that may be dirty (the syncer itself is an actor)."""

from __future__ import annotations

from ...checker.lang.prelude import atomic
from .state import Vnode
from .types import VI


@atomic
def vn_syncer_add_to_worklist(vp: Vnode) -> None:
    """List the vnode (object lock held).  How long it stays there is not modelled."""
    vp.v_iflag |= VI.ONWORKLST


@atomic
def vn_syncer_remove_from_worklist(vp: Vnode) -> None:
    """Take it off (object lock held); no effect if it is not listed."""
    vp.v_iflag &= ~VI.ONWORKLST

"""What the steps of the model are called, which of them show in a log, and which do not.

Every name that a compiled scenario can produce is here; one that is missing is an error when
a log is opened, never a silent pass.  A step that shows must have an event (HARD), or may have
one (SOFT: loads, of which the two sides may make different numbers; an event for one is
compared by value with the state in any case).
"""

from __future__ import annotations

from typing import Final

from ...checker.conform.steps import HARD, HIDDEN, SOFT
from ...checker.lang.compile import INPUT

# Properties that nothing in the program asserts: what breaks one goes on.
UNASSERTED: Final = frozenset(
    {"claim-4-read", "claim-5-foreign", "claim-6-integrity", "claim-6-error-reported"}
)
# Kinds of transactions, as the model numbers them.
TRANSACTIONS: Final[dict[str, int]] = {"lazy": 0, "shared": 1}

# Services whose steps have an event, with the variables whose elements identify them.
SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "mutex_enter": (".owner",),
    "mutex_exit": (".owner",),
    "mutex_tryenter": (".owner",),
    "_rw_arrive": (".writer", ".readers", ".waiting_writers", ".waiting_readers"),
    "_rw_granted": (".writer", ".readers"),
    "rw_tryenter": (".writer", ".readers"),
    "rw_exit": (".writer", ".readers"),
    "_fall_asleep": (".owner", ".wchan"),
    "wakeup": (),
    "uvm_pagealloc": ("pages.live", "faults.no_memory"),
    "uvm_pagefree": ("pages.live",),
    "uvm_page_unbusy": ("pages.flags", "pages.live"),
    "uvm_pagezero": ("pages.data",),
    "uvm_pagermapin": ("kvas.live",),
    "uvm_pagermapout": ("kvas.live",),
    "kva_zero": ("pages.data",),
    "getiobuf": ("bufs.live",),
    "putiobuf": ("bufs.live",),
    "nestiobuf_setup": ("bufs.parent",),
    "nestiobuf_done": ("bufs.b_resid",),
    "vwakeup": ("vnodes.v_numoutput",),
    "uvm_aio_biodone": ("bufs.b_iodone",),
    "biowait": ("bufs.done",),
    "_submit": ("bufs.dev",),
    "_refuse": ("faults.write_nomem", "bufs.b_iodone"),
    "_move": ("bufs.dev", "faults.read_error", "faults.write_error", "faults.short_transfer"),
    "_complete": ("bufs.dev",),
    "_biodone": ("bufs.b_iodone",),
    "biodone": ("bufs.b_iodone",),
    "_next_done": ("bufs.b_iodone",),
    "VOP_BMAP": ("vnodes.bmap", "faults.bmap_error"),
    "_alloc_block": ("vnodes.bmap", "faults.no_space"),
    "_free_block": ("vnodes.bmap",),
    "fstrans_start": ("perthread.fstrans_count",),
    "fstrans_start_nowait": ("perthread.fstrans_count",),
    "fstrans_done": ("perthread.fstrans_count",),
    "_announce": ("mount.fstrans",),
    "kmem_zalloc": ("faults.no_array",),
    "pmap_page_protect": ("pages.pte",),
    "pmap_clear_modify": ("pages.modified",),
    "pmap_enter": ("pages.pte",),
    "user_load": ("pages.data", "pages.pte"),
    "user_store": ("pages.data", "pages.pte"),
    "window_store": ("pages.data", "pages.pte"),
    "page_store": ("pages.data",),
    "vn_syncer_add_to_worklist": ("vnodes.v_iflag",),
    "vn_syncer_remove_from_worklist": ("vnodes.v_iflag",),
    "returned": ("results.call",),
    "moved": ("results.call",),
    "ended": ("results.call",),
}

# The steps that tell what a call returned; the last one is a user's.
RETURNED: Final = ("returned", "moved", "ended")
# Calls within the kernel whose results are told (`results.py`), by number, and the model's
# routines that they are: what each of these tells at its end.  A user's calls that return nothing.
RESULTS: Final[dict[str, int]] = {
    "getpages": 1, "putpages": 2, "fsync": 3, "fault": 4, "ubc_fault": 5, "balloc": 6,
    "read": 7, "write": 8, "cut": 9, "extend": 10, "vclean": 11,
}  # fmt: skip
NO_RESULT: Final = frozenset({"null_flush", "readahead", "journal_flusher", "pagedaemon"})
TELLS: Final[dict[str, str]] = {
    "call_getpages": "returned(1, {0})",
    "call_putpages": "returned(2, {0})",
    "fsync_vnode": "returned(3, {0})",
    "fault": "returned(4, {0})",
    "ubc_fault": "returned(5, {0})",
    "ufs_balloc_range": "returned(6, {0})",
    "_copy_out": "moved(7, {0}, at - off)",
    "_write": "moved(8, {0}, {1} - off)",
    "shrink": "returned(9, {0})",
    "_grow": "returned(10, error)",
    "_clean": "returned(11, error)",
    # A user's calls: what they return is what the last call within them did, or their own error.
    **dict.fromkeys(
        ("mapped_load", "mapped_store", "mlock", "read", "fsync", "fsync_range", "msync", "flush",
         "null_flush", "readahead", "journal_flusher", "reclaim", "syncer", "pagedaemon"),
        "ended(0)",
    ),
    **dict.fromkeys(("write", "change", "suspend"), "ended(error)"),
}  # fmt: skip

# They show only where they store: with nothing to do they are no step at all.
BY_EFFECT: Final = frozenset({"nestiobuf_done", "_free_block"})

HIDDEN_SERVICES: Final[dict[str, str]] = {
    "_woken": "a sleeper goes on: what it does next has an event",
    "_take_pages": "reads the buffer, and ghosts: who owns a page",
    "_device_step": "looks at a buffer with which nothing is to be done",
    "_reassign": "dirty metadata: the world's file system keeps none",
    "_drained": "a wait for a ghost: who is inside a vnode's operations",
    "_destroy": "the vnode's end has no event",
    "_journal_fails": "whether the journal fails is seen by what its user does",
    "_journal_full": "as _journal_fails",
    "pmap_is_modified": "of interest to an assertion under DEBUG only",
    "should_yield": "whether a thread yields is seen by its next event",
    "uvm_pageactivate": "order and kind of the replacement queues are not modelled",
    "uvm_pageenqueue": "as uvm_pageactivate",
    "uvm_pagedeactivate": "as uvm_pageactivate",
    "uvm_pagedequeue": "as uvm_pageactivate",
    "uvm_pageout_start": "the counter is compared at the end",
    "uvm_pageout_done": "the counter is compared at the end",
    "uvm_page_own": "a ghost: who owns a page",
    "uvm_page_disown": "a ghost: who owns a page",
    "kmem_free": "a ghost: how many arrays there are",
    "begin_flush": "a ghost: what must be on disk",
    "end_flush": "a ghost: what must be on disk",
    "begin_write": "a ghost: what a reader may see",
    "end_write": "a ghost: what a reader may see",
    "begin_truncate": "a ghost: what a reader may see",
    "end_truncate": "a ghost: what a reader may see",
    "judge_load": "a ghost: what a reader may see",
    "note_store": "a ghost: what a reader may see",
    "excuse": "a ghost: what a reader may see",
    "_add": "a ghost: what must be on disk",
}

# Plain words with load and store events.
WORDS: Final = frozenset(
    {"pages.flags", "vnodes.v_size", "vnodes.v_writesize", "vnodes.i_size",
     "vnodes.v_numoutput", "vnodes.v_iflag", "vnodes.v_mapped", "vnodes.uo_npages",
     "vnodes.g_dirtygen", "mount.journal_pending"}
)  # fmt: skip

HIDDEN_LOADS: Final[dict[str, str]] = {
    "pages.uobject": "constant while the thread may look at the page",
    "pages.offset": "constant while the thread may look at the page",
    "pages.live": "asked by the language at each access, not by the program",
    "pages.wired": "under the object lock",
    "pages.queued": "under the lock of the queues",
    "pages.pte": "by the scenario's own callers",
    "vnodes.memq": "the list is under the object lock; what is found there is used next",
    "vnodes.tree": "as vnodes.memq",
    "vnodes.dead": "under the object lock; what a dead vnode answers has events",
    "vnodes.reclaimer": "as vnodes.dead",
    "vnodes.dirtyblk": "under the object lock",
    "mount.fstrans": "read by waits only",
    "perthread.fstrans_count": "a thread's own",
    "perthread.fstrans_type": "a thread's own",
    "faults.user_fault": "a budget of faults: no state of the program",
    "faults.write_nomem": "a budget of faults: no state of the program",
    "uvm.aiodone": "read by a wait only",
    "vnodes.v_lock.writer": "asked by contracts only",
    "vnodes.v_lock.readers": "asked by contracts only",
    "vnodes.g_glock.writer": "asked by contracts only",
    "vnodes.g_glock.readers": "asked by contracts only",
    "vnodes.interlock.owner": "asked by contracts only",
    "uvm.pageqlock.owner": "asked by contracts only",
}
_BUF: Final = (
    "a buffer's field is its owner's; address, length and direction are compared when it is "
    "submitted, its error when it was moved and by who waits for it"
)

HIDDEN_STORES: Final[dict[str, str]] = {
    "perthread.fstrans_count": "the suspender's own transaction",
    "perthread.fstrans_type": "the suspender's own transaction",
    "faults.user_fault": "a budget of faults: no state of the program",
    "vnodes.dead": "the vnode's end has no event",
    "vnodes.reclaimer": "as vnodes.dead: what the vnode answers then has events",
    "pages.wired": "compared at the end",
}

WAITS: Final[dict[str, int]] = {
    "free memory": HARD,
    "fstrans holders (SHARED)": HARD,
    "fstrans holders (LAZY)": HARD,
    "a transfer": HIDDEN,
    "finished I/O": HIDDEN,
}

CHOICES: Final[dict[str, str]] = {
    "which buffer": "which transfer the device serves: the event names it",
    "no memory to copy": "the event of the submission says it",
    "EFAULT": "whether the user's memory faults is seen by what follows",
    "which page": "which page the page daemon looks at is seen by what follows",
}


class Names:
    """The vocabulary of the genfs model (see `checker.conform.steps.Vocabulary`)."""

    services = (frozenset(SERVICES) | frozenset(HIDDEN_SERVICES)) - {"_device_step"}

    def __init__(self) -> None:
        self._levels: dict[str, int] = {}

    def level(self, name: str) -> int:
        level = self._levels.get(name)
        if level is None:
            level = self._levels[name] = self._level(name)
        return level

    def _level(self, name: str) -> int:
        if name in SERVICES:
            return HARD
        if name in HIDDEN_SERVICES:
            return HIDDEN
        verb, _, what = name.partition(" ")
        if verb == "wait" and what in WAITS:
            return WAITS[what]
        if verb == "choose":
            if what in CHOICES:
                return HIDDEN
            if what.startswith(INPUT):
                return HIDDEN  # the world has the scenario with these arguments
            if what.startswith("workload"):
                return HARD if what == "workload operation" else HIDDEN
        if verb in ("load", "store"):
            if what in WORDS:
                return HARD if verb == "store" else SOFT
            if what == "vnodes.memq" and verb == "store":
                return HARD
            if what.startswith(("bufs.", "kvas.")):
                return HIDDEN
            if what in (HIDDEN_LOADS if verb == "load" else HIDDEN_STORES):
                return HIDDEN
        raise KeyError(name)

    def by_effect(self, service: str) -> bool:
        return service in BY_EFFECT

    def touched(self, service: str, variable: str, write: bool) -> bool:
        return any(
            variable == one or (one.startswith(".") and variable.endswith(one))
            for one in SERVICES.get(service, ())
        )


def hidden() -> dict[str, str]:
    """Every step of the model that shows in no log, and why."""
    return {
        **HIDDEN_SERVICES,
        **{f"load {name}": why for name, why in HIDDEN_LOADS.items()},
        "load and store bufs.*, kvas.*": _BUF,
        **{f"store {name}": why for name, why in HIDDEN_STORES.items()},
        **{f"wait {name}": "the daemon's next event says it" for name, level in WAITS.items()
           if level == HIDDEN},
        **{f"choose {name}": why for name, why in CHOICES.items()},
        "choose workload *": "all but the operation: the log's call events tell them",
    }  # fmt: skip

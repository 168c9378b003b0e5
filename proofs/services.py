"""What the proofs assume of the services around the file: contracts, in the model's language.

The functions of ``model/genfs`` are compiled as they are; the routines below take the place
of the services of the same name (:mod:`.source`).  ``wait_until`` is what a proof may assume
of a service, ``check`` what it has to prove of the caller; every read of ``some`` gives any
value of its type.  Each contract is KERNEL.md's, section 2, as far as arithmetic goes.

Windows, buffers and the file system are in :mod:`.devices`.
"""

from __future__ import annotations

from ..checker.lang.prelude import (
    NULL,
    RW,
    Mutex,
    RWLock,
    WaitQueue,
    check,
    int32,
    record,
    routine,
    single,
    wait_until,
)
from ..model.kernel.state import (
    Page,
    PageArray,
    PageOrDontcare,
    PageOrMarker,
    Vnode,
)
from ..model.kernel.types import (
    LLONG_MAX,
    UFP,
    Lock,
    Prot,
    daddr_t,
    errno,
    off_t,
)


@record
class Some:
    """Any values: nothing keeps them from one read to the next."""

    truth: bool
    error: errno
    count: int32
    block: daddr_t
    page: PageOrDontcare


some: Some = single(Some)


# ------------------------------------------------------------- locks and transactions
#
# Whoever holds what: every shared variable may change at any time anyway.


@routine
def mutex_enter(m: Mutex) -> None:
    pass


@routine
def mutex_exit(m: Mutex) -> None:
    pass


@routine
def rw_enter(lock: RWLock, how: RW) -> None:
    pass


@routine
def rw_exit(lock: RWLock) -> None:
    pass


@routine
def rw_tryenter(lock: RWLock, how: RW) -> bool:
    return some.truth


@routine
def sleep_on(queue: WaitQueue, m: Mutex) -> None:
    pass


@routine
def cv_wait(queue: WaitQueue, m: Mutex) -> None:
    pass


@routine
def wakeup(queue: WaitQueue) -> None:
    pass


@routine
def fstrans_start(kind: Lock) -> None:
    pass


@routine
def fstrans_start_nowait(kind: Lock) -> errno:
    return some.error


@routine
def fstrans_done() -> None:
    pass


@routine
def WAPBL_BEGIN() -> errno:
    return some.error


@routine
def WAPBL_END() -> None:
    pass


@routine
def kmem_zalloc(sleep: bool) -> bool:
    return sleep or some.truth


@routine
def kmem_free() -> None:
    pass


@routine
def vn_syncer_add_to_worklist(vp: Vnode) -> None:
    pass


@routine
def vn_syncer_remove_from_worklist(vp: Vnode) -> None:
    pass


@routine
def should_yield() -> bool:
    return some.truth


# ----------------------------------------------------------------------------- pages


@routine
def uvn_findpages(
    vp: Vnode, off: off_t, n: int32, pgs: PageArray, flags: UFP
) -> tuple[int32, int32]:
    """``n`` slots from the array's first are looked at; with DIRTYONLY perhaps fewer.

    The two ends of the range stand for the slots between them.
    """
    found: int32 = some.count
    wait_until(found >= 0 and (found <= n or found == 0), "what was found")
    gone: int32 = n
    if n > 0:
        check("request", off >= 0 or (flags & UFP.BACKWARD) != 0, "pages at negative offsets")
        pgs[0] = some.page
        pgs[n - 1] = some.page
        if flags & UFP.DIRTYONLY:
            gone = found
    return found, gone


@routine
def uvm_pagelookup(vp: Vnode, off: off_t) -> Page:
    """A page at that offset, or none: there is none behind the last offsets of files."""
    pg: PageOrDontcare = some.page
    wait_until(pg is NULL or (off >= 0 and off <= LLONG_MAX - (1 << 32)), "a page of the file")
    return pg


@routine
def uvm_page_unbusy(pgs: PageArray, npgs: int32) -> None:
    """Looks at ``npgs`` slots."""
    if npgs > 0:
        first: PageOrDontcare = pgs[0]  # noqa: F841
        last: PageOrDontcare = pgs[npgs - 1]  # noqa: F841


@routine
def uvm_page_own(pg: PageOrMarker) -> None:
    pass


@routine
def uvm_page_disown(pg: Page) -> None:
    pass


@routine
def uvm_pagefree(pg: Page) -> None:
    pass


@routine
def uvm_pagezero(pg: Page) -> None:
    pass


@routine
def uvm_pageenqueue(pg: Page) -> None:
    pass


@routine
def uvm_pagedeactivate(pg: Page) -> None:
    pass


@routine
def uvm_pagedequeue(pg: Page) -> None:
    pass


@routine
def uvm_pageout_start(npages: int32) -> None:
    pass


@routine
def UVM_UNLOCK_AND_WAIT(pg: Page, vp: Vnode) -> None:
    pass


@routine
def pmap_clear_modify(pg: Page) -> bool:
    return some.truth


@routine
def pmap_is_modified(pg: Page) -> bool:
    return some.truth


@routine
def pmap_page_protect(pg: Page, prot: Prot) -> None:
    pass

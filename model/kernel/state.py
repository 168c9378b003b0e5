"""The shared state: pages, vnodes, buffers, pager windows, mount, disk, and ghosts."""

from __future__ import annotations

from ...checker.lang.prelude import (
    Annotated,
    Any,
    Array,
    List,
    Mutex,
    Pool,
    RWLock,
    Thread,
    TypeAlias,
    WaitQueue,
    exclusive,
    ghost,
    initial,
    marker,
    no_lost_update,
    record,
    single,
    size,
    special,
)
from .types import (
    PG,
    VI,
    Dev,
    Dir,
    FsTrans,
    Iodone,
    Lock,
    Prot,
    budget,
    counter,
    daddr_t,
    errno,
    mask,
    off_t,
    size_t,
    token,
)


@record
class Page:
    """A physical page.  ``owner``/``io`` are ghosts: who owns it while it is BUSY."""

    uobject: Vnode
    offset: off_t
    flags: Annotated[PG, no_lost_update("claim-2-flags")]
    wired: bool
    queued: bool
    # Per-page state of the pmap: the modified bit, and the entry of each mapping.  Which
    # mapping is a process's and which stands for the UBC windows, the scenario says.
    modified: bool
    pte: Annotated[Array[Prot], size("NMAPPINGS")]
    data: Annotated[Array[token], size("PAGE_SIZE")]
    wanted: WaitQueue
    live: bool
    owner: Annotated[Thread, ghost]
    io: Annotated[Buf, ghost]


@record
class Vnode:
    """A vnode with its uvm_object, genfs_node and inode."""

    interlock: Mutex  # vmobjlock and v_interlock: one mutex
    v_lock: RWLock
    v_size: off_t
    v_writesize: off_t
    i_size: off_t
    v_numoutput: Annotated[counter, no_lost_update("claim-8-counters")]
    v_iflag: Annotated[VI, no_lost_update("claim-2-flags")]
    v_mapped: bool  # VV_MAPPED
    dirtyblk: bool  # LIST_FIRST(v_dirtyblkhd) != NULL
    v_cv: WaitQueue
    uo_npages: counter
    memq: Annotated[List[PageOrMarker], size("MEMQ_CAP")]
    tree: Annotated[Array[Page], size("FILE_PAGES")]
    g_glock: RWLock
    g_dirtygen: Annotated[counter, no_lost_update("claim-8-counters")]
    bmap: Annotated[Array[daddr_t], size("FILE_BLOCKS"), initial(-1)]
    # Reclaimed, so that its operations do nothing; who is about to do that, with the fix
    # reclaim-waits; and how many threads are in the midst of an operation.
    dead: bool
    reclaimer: Thread
    inside: Annotated[counter, ghost]
    # What the user may see (data.py): for each unit the tokens that are right, those from
    # before the unfinished write, and those that a flush under way must put on disk; and the
    # range of the unfinished write or truncation.
    legal: Annotated[Array[mask], size("FILE_UNITS"), ghost]
    before: Annotated[Array[mask], size("FILE_UNITS"), ghost]
    durable: Annotated[Array[mask], size("SYNC_UNITS"), ghost]
    unfinished_low: Annotated[off_t, ghost]
    unfinished_high: Annotated[off_t, ghost]


@record
class Buf:
    """A buffer.  ``kva`` and ``koff`` stand for b_data; ``parent`` for a nested b_private."""

    live: bool
    vp: Vnode
    dir: Dir
    b_async: bool  # B_ASYNC
    age: bool  # BC_AGE
    b_bufsize: size_t
    b_bcount: size_t
    b_resid: size_t
    b_error: errno
    b_blkno: daddr_t
    kva: Kva
    koff: size_t
    b_iodone: Iodone
    parent: Buf
    done: bool  # BO_DONE
    dev: Dev
    owner: Annotated[Thread, ghost]


@record
class Kva:
    """A window of the pager map: the pages it maps, in order."""

    live: bool
    emergency: bool
    npages: counter
    map: Annotated[Array[Page], size("WINDOW_PAGES")]


@record
class Mount:
    """The mount: transactions and journal."""

    fstrans: FsTrans
    wl_rwlock: RWLock
    journal_pending: bool


@record
class PerThread:
    """What a thread carries from call to call."""

    fstrans_count: counter
    fstrans_type: Lock
    in_wapbl: Annotated[bool, ghost]
    no_sleep: Annotated[bool, ghost]  # inside a call that promises not to sleep
    io_failed: Annotated[bool, ghost]  # a transfer that the thread waited for has failed


@record
class Uvm:
    """The page queues' lock, the pageout counter, heap arrays in use, the aiodone queue."""

    pageqlock: Mutex
    paging: counter
    heap_arrays: Annotated[counter, ghost]
    aiodone: Annotated[List[Buf], size("NBUFS")]


@record
class Faults:
    """How often each fault may still happen; all zero unless the scenario says otherwise."""

    read_error: budget
    write_error: budget
    write_nomem: budget
    short_transfer: budget
    bmap_error: budget
    no_space: budget
    no_memory: budget
    no_array: budget
    user_fault: budget
    journal_error: budget
    journal_full: budget
    yields: budget


@record
class Block:
    """A disk block and which file owns it (none: free)."""

    data: Annotated[Array[token], size("FS_BSIZE")]
    vp: Vnode


PageOrMarker: TypeAlias = Annotated[Page, marker]
PageOrDontcare: TypeAlias = Annotated[Page, special]
# The pages of a pager map window, and what getpages fills for its caller.
WindowArray: TypeAlias = Annotated[Array[PageOrDontcare], size("WINDOW_PAGES")]
PageArray: TypeAlias = Annotated[Array[PageOrDontcare], size("GETPAGES_SLOTS")]

pages = Pool(
    Page,
    "NPAGES",
    live="live",
    specials=("PGO_DONTCARE",),
    markers=2,
    marker_fields={"uobject": 0, "offset": -1, "flags": PG.BUSY},
)
PGO_DONTCARE: Any = pages.special("PGO_DONTCARE")
vnodes = Pool(Vnode, "NVNODES")
bufs = Pool(Buf, "NBUFS", live="live")
kvas = Pool(Kva, "KVA_WINDOWS", live="live")
blocks = Pool(Block, "NBLOCKS")
perthread = Pool(PerThread, "NTHREADS")
mount: Mount = single(Mount)
uvm: Uvm = single(Uvm)
faults: Faults = single(Faults)

exclusive(Page, owner="owner", guard="uobject.interlock")
exclusive(Buf, owner="owner")

"""C types, constants and flag words of the kernel around the file."""

from __future__ import annotations

from ...checker.lang.prelude import Annotated, CInt, Enum, Final, Flags, TypeAlias, parameter

# Scaled geometry.  A unit is the smallest addressable piece of a file (a "byte").
PAGE_SHIFT: Final = parameter("PAGE_SHIFT", default=1, low=0, high=3, doc="log2 units per page")
FS_BSHIFT: Final = parameter("FS_BSHIFT", default=1, low=0, high=4, doc="log2 units per block")
DEV_BSHIFT: Final = parameter("DEV_BSHIFT", default=0, low=0, high=2, doc="log2 units per sector")
NPAGES: Final = parameter("NPAGES", default=3, low=1, high=6, doc="physical pages")
FILE_PAGES: Final = parameter("FILE_PAGES", default=3, low=1, high=8, doc="legal page offsets")
NBLOCKS: Final = parameter("NBLOCKS", default=3, low=1, high=8, doc="disk blocks")
NVNODES: Final = parameter("NVNODES", default=1, low=1, high=2)
NBUFS: Final = parameter("NBUFS", default=3, low=1, high=8)
NKVA: Final = parameter("NKVA", default=2, low=1, high=8, doc="pager map windows for all")
PAGEDAEMON: Final = parameter(
    "PAGEDAEMON", default=0, low=0, high=1, doc="keep queues and an emergency pager window"
)
NMAPPINGS: Final = parameter(
    "NMAPPINGS", default=1, low=1, high=4, doc="user mappings and UBC window sets"
)
USER_MAPPINGS: Final = parameter(
    "USER_MAPPINGS", default=1, low=0, high=4, doc="of them, processes': the first ones"
)
FAULT_SLOTS: Final = parameter(
    "FAULT_SLOTS", default=1, low=1, high=8, doc="pages that one fault asks for"
)
UBC_MAX_PAGES: Final = parameter("UBC_MAX_PAGES", default=8, low=1, high=8)
UBC_WINSHIFT: Final = parameter(
    "UBC_WINSHIFT", default=2, low=0, high=5, doc="log2 units per UBC window"
)
MAXPHYS_PAGES: Final = parameter("MAXPHYS_PAGES", default=2, low=1, high=8)
TREE_PENALTY: Final = parameter(
    "TREE_PENALTY", default=4, low=0, high=8,
    doc="pages of a range for which scanning by offset costs as much as one in the list; 0 as if "
    "the file had many more pages, for flushes of a range",
)  # fmt: skip
FRAGMENTS: Final = parameter("FRAGMENTS", default=0, low=0, high=1, doc="GOP_SIZE(0) rounds to 1")
DEBUG: Final = parameter("DEBUG", default=0, low=0, high=1)
DIAGNOSTIC: Final = parameter("DIAGNOSTIC", default=1, low=0, high=1)
WAPBL: Final = parameter("WAPBL", default=0, low=0, high=1, doc="journalled mount")
METADATA: Final = parameter(
    "METADATA", default=0, low=0, high=1, doc="allocation dirties metadata buffers of the vnode"
)
RWMAP: Final = parameter(
    "RWMAP", default=0, low=0, high=1, doc="GOP_WRITE is the function that maps for reading"
)
SHOULD_YIELD: Final = parameter(
    "SHOULD_YIELD", default=0, low=0, high=1, doc="SPCF_SHOULDYIELD may be seen"
)
STALE_MODIFIED: Final = parameter(
    "STALE_MODIFIED", default=1, low=0, high=1, doc="a new page's modified bit"
)
MAX_STORES: Final = parameter("MAX_STORES", default=3, low=1, high=6, doc="tokens of stores")
SCANS: Final = parameter(
    "SCANS", default=2, low=1, high=8, doc="scans by list at one time that the list has room for"
)
NSYNCS: Final = parameter("NSYNCS", default=1, low=1, high=3, doc="flushes judged at one time")

PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGE_MASK: Final = PAGE_SIZE - 1
FS_BSIZE: Final = 1 << FS_BSHIFT
UBC_WINSIZE: Final = 1 << UBC_WINSHIFT
FILE_UNITS: Final = FILE_PAGES * PAGE_SIZE
FILE_BLOCKS: Final = (FILE_UNITS + FS_BSIZE - 1) // FS_BSIZE
OFF_MAX: Final = 2 * FILE_UNITS + 8
# The largest offset stands for LLONG_MAX; no file reaches it.
LLONG_MAX: Final = OFF_MAX - 1
# Two markers for each scan by the list.
MEMQ_CAP: Final = NPAGES + 2 * SCANS
# One window maps at most every page of the file.
WINDOW_PAGES: Final = FILE_PAGES
KVA_WINDOWS: Final = NKVA + PAGEDAEMON
MAXPHYS: Final = MAXPHYS_PAGES << PAGE_SHIFT
# The caller's array of a getpages: a fault's, a block's, or a window's pages.
GETPAGES_SLOTS: Final = max(
    FAULT_SLOTS, max(FS_BSIZE >> PAGE_SHIFT, max(UBC_WINSIZE >> PAGE_SHIFT, MAXPHYS_PAGES))
)
SYNC_UNITS: Final = NSYNCS * FILE_UNITS

# Tokens of file data: zero, somebody else's, what the file held at first, what an initially
# dirty page holds, then each store's own.
ZERO: Final = 0
FOREIGN: Final = 1
OLD: Final = 2
UNSAVED: Final = 3
FIRST_STORE: Final = 4
TOKEN_MAX: Final = FIRST_STORE + MAX_STORES - 1
# A mask with every token's bit: anything may be there, nothing is judged.
ANYTHING: Final = (1 << (FIRST_STORE + MAX_STORES)) - 1

off_t: TypeAlias = Annotated[int, CInt(64, signed=True, low=-8, high="OFF_MAX")]
size_t: TypeAlias = Annotated[int, CInt(64, signed=False, low=0, high="OFF_MAX")]
daddr_t: TypeAlias = Annotated[int, CInt(64, signed=True, low=-1, high=62)]
token: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high="TOKEN_MAX")]
mask: TypeAlias = Annotated[int, CInt(32, signed=False, low=0, high="ANYTHING")]
counter: TypeAlias = Annotated[int, CInt(32, signed=True, low=-2, high=29)]
budget: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=3)]
errno: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=63)]

EIO: Final = 5
EDEADLK: Final = 11
ENOMEM: Final = 12
EFAULT: Final = 14
EBUSY: Final = 16
EINVAL: Final = 22
ENOSPC: Final = 28


class PG(Flags):
    """Flags of a page."""

    BUSY = 1
    WANTED = 2
    FAKE = 4
    CLEAN = 8
    RDONLY = 16
    RELEASED = 32
    PAGEOUT = 64


PG_NONE: Final = PG.BUSY & ~PG.BUSY


class PGO(Flags):
    """Flags of getpages and putpages."""

    CLEANIT = 1
    SYNCIO = 2
    DEACTIVATE = 4
    FREE = 8
    ALLPAGES = 16
    LOCKED = 32
    BUSYFAIL = 64
    NOTIMESTAMP = 128
    OVERWRITE = 256
    PASTEOF = 512
    NOBLOCKALLOC = 1024
    JOURNALLOCKED = 2048
    RECLAIM = 4096
    GLOCKHELD = 8192  # only with the fix glock-held


# No flags at all.
PGO_NONE: Final = PGO.CLEANIT & ~PGO.CLEANIT


class UFP(Flags):
    """Flags of uvn_findpages; UFP_ALL is the empty set."""

    NOWAIT = 1
    NOALLOC = 2
    NOCACHE = 4
    NORDONLY = 8
    DIRTYONLY = 16
    BACKWARD = 32


class VI(Flags):
    """Flags of a vnode's v_iflag."""

    ONWORKLST = 1
    WRMAP = 2
    WRMAPDIRTY = 4


class Prot(Enum):
    """A mapping of a page: none, readable, or readable and writable."""

    NONE = 0
    READ = 1
    WRITE = 2


class FsTrans(Enum):
    """State of a mount's file-system transactions."""

    NORMAL = 0
    SUSPENDING = 1
    SUSPENDED = 2


class Lock(Enum):
    """Type of a file-system transaction; the thread that suspends the mount has its own."""

    LAZY = 0
    SHARED = 1
    SUSPENDER = 2


class Iodone(Enum):
    """A buffer's completion routine."""

    NONE = 0
    AIO_BIODONE = 1
    AIO_AIODONE = 2
    NESTED = 3


class Dev(Enum):
    """Where a buffer's transfer stands."""

    IDLE = 0
    QUEUED = 1
    MOVED = 2


class Dir(Enum):
    """Direction of a transfer."""

    READ = 0
    WRITE = 1

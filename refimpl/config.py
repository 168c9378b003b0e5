"""The knobs of one machine, and the fixes that tell "hardened" from "1.18"."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .hook import Hook

VARIANTS = ("1.18", "hardened")


@dataclass(frozen=True)
class Fixes:
    """One switch for each finding that docs/findings.md tells of; the names are its names."""

    glock_held: bool = False  # F1
    flags_under_lock: bool = False  # F2
    dontcare_kept: bool = False  # F3
    startover_pgs: bool = False  # F4
    sizes_under_lock: bool = False  # F5
    count_before_unlock: bool = False  # F6
    list_at_out: bool = False  # F7
    rescan_after_sleep: bool = False  # F8
    fresh_diskeof: bool = False  # F9
    transaction_first: bool = False  # F10
    keep_zeroed: bool = False  # F11
    alloc_within_file: bool = False  # F12
    grow_fills_last_page: bool = False  # F13
    no_sleep: bool = False  # F14
    reclaim_keeps_error: bool = False  # F15
    debug_skips_markers: bool = False  # F16
    grow_fills_new_page: bool = False  # F17
    short_is_error: bool = False  # F18
    error_frees_fake_only: bool = False  # F19
    failed_write_stays_dirty: bool = False  # F20
    clip_past_eof: bool = False  # F21
    reclaim_waits: bool = False  # F22
    busyfail_keeps_list: bool = False  # F23
    overwrite_from_page: bool = False  # F24
    free_still_cleans: bool = False  # F25
    zeros_are_written: bool = False  # F26

    @classmethod
    def of(cls, variant: str) -> Fixes:
        """The fixes of a variant: none for "1.18", all for "hardened"."""
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {VARIANTS}, not {variant!r}")
        return cls(**{field.name: variant == "hardened" for field in fields(cls)})


@dataclass(frozen=True)
class Config:
    """How to run one image.  Sizes are bytes unless the comment says otherwise."""

    variant: str = "hardened"
    page_size: int = 4096
    memory_pages: int = 1024  # physical memory
    maxphys: int = 64 * 1024  # the largest cluster, and the readahead unit
    window_pages: int = 2  # pages in one window of read(2) and write(2)
    windows: int = 8  # how many windows there are
    flush_shift: int | None = 16  # a writer starts output at multiples of 1 << this; None: never
    array_on_stack: int = 16  # UBC_MAX_PAGES: larger arrays of pages come from the heap
    pager_pages: int = 256  # address space for pages under transfer
    pager_windows: int | None = None  # how many windows that may hold; None for any number
    small: bool = False  # allow geometries in which some operation may wait for ever
    tree_penalty: int = 4  # UVM_PAGE_TREE_PENALTY
    io_threads: int = 4
    io_seed: int = 0  # which queued transfer is taken next
    syncer_period: float = 0.25  # seconds; 0 for no syncer
    syncer_delay: float = 0.5  # seconds a vnode stays listed before it is written
    pagedaemon: bool = True  # keep queues of replacement, and run the page daemon
    buffers: int | None = None  # how many buffers there are; None for enough
    readahead: bool = True  # for who reads one page after the other
    fault_back: int = 3  # neighbours in memory that a fault maps as well
    fault_ahead: int = 4
    copy_unit: int | None = None  # bytes that a copy in or out moves in one step; None for a page
    page_junk: bytes | None = None  # what a new page holds; None for what its last use left
    stale_modified: bool | None = None  # and its modified bit
    first_fit: bool = False  # allocate the first free block, not one behind the block before
    fragments: bool = False  # the end of storage is told in sectors, not in whole blocks
    block_junk: bytes | None = None  # what a sector holds after its file has lost it
    metadata: bool = True  # maps of blocks are dirty buffers of their vnode until they are written
    journal: bool = False
    compat: bool = False  # a file system without getpages of its own
    fsync_reports: bool | None = None  # fsync returns the pages' errors; None: if hardened
    max_open: int = 256  # files
    zero_past_end: bool = True  # truncation zeroes to the end of the block, not of the file
    durable: bool = True  # flush the host's cache where the device's cache is flushed
    debug: bool = False  # the DEBUG code of the checked file
    patience: float | None = None  # seconds a wait may last; None for ever
    hook: Hook | None = None
    fixes: Fixes | None = None  # instead of the variant's

    def __post_init__(self) -> None:
        for name in ("page_size", "maxphys"):
            value = getattr(self, name)
            odd = value & (value - 1) and not (self.small and name == "maxphys")
            if value < 512 or odd:
                raise ValueError(f"{name} must be a power of two of at least 512, not {value}")
        if self.maxphys < self.page_size:
            raise ValueError(f"maxphys {self.maxphys} is below page_size {self.page_size}")
        for name in ("window_pages", "windows", "array_on_stack", "io_threads", "max_open"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.pager_pages < 2 * self.max_cluster and not self.small:
            raise ValueError(f"pager_pages must be at least {2 * self.max_cluster}")
        if self.compat and self.journal:
            raise ValueError("a compat mount has no journal")
        Fixes.of(self.variant)

    @property
    def max_cluster(self) -> int:
        """Pages in the largest cluster."""
        return self.maxphys // self.page_size

    @property
    def reports_fsync(self) -> bool:
        if self.fsync_reports is None:
            return self.variant == "hardened"
        return self.fsync_reports

    @property
    def effective_fixes(self) -> Fixes:
        return self.fixes if self.fixes is not None else Fixes.of(self.variant)

"""One mounted image's kernel: the subsystems, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .buf import Buf, Bufs
from .config import Config
from .daemons import Aiodone, PageDaemon, Syncer, aiodone
from .device import Device
from .faults import Faults
from .ffs import Ffs
from .genfs.compat import COMPAT_GOP, compat_getpages
from .genfs.getpages import getpages
from .genfs.gop_write import GENFS_GOP
from .image import Super
from .kva import PagerMap
from .pages import Uvm
from .pmap import PmapSystem
from .rawio import RawIo
from .sync import Counter, Machine, Mutex
from .trans import Fstrans, Wapbl
from .ubc import Ubc
from .vnode import Vnode, Worklist

if TYPE_CHECKING:
    from .hook import At


class Kernel:
    """Everything that the vnodes of one image share; the checked code's ``v_mount``."""

    def __init__(self, fd: int, sb: Super, config: Config, name: str) -> None:
        self.config = config
        self.fixes = config.effective_fixes
        self.page_size = config.page_size
        self.page_shift = config.page_size.bit_length() - 1
        self.machine = Machine(None, config.patience)
        self.faults = Faults(self.machine)
        threads = config.io_threads
        self.dev = Device(self.machine, fd, self.faults, threads, config.io_seed, config.durable)
        self.pmaps = PmapSystem(self.machine)
        self.uvm = Uvm(self.machine, self.faults, self.pmaps, config)
        self.kva = PagerMap(
            self.machine, config.pager_pages, config.pager_windows, config.page_size
        )
        self.bufs = Bufs(self.machine, config.buffers)
        self.heap = Counter("arrays")
        self.fstrans = Fstrans(self.machine)
        self.worklist = Worklist(self.machine, config.syncer_delay)
        self.fs = Ffs(self, sb)
        self.wapbl: Wapbl | None = None
        self.aiodone = Aiodone(self)
        self.ubc = Ubc(self)
        self.rawio = RawIo(self)
        self.getpages = compat_getpages if config.compat else getpages
        self.gop = COMPAT_GOP if config.compat else GENFS_GOP
        self.syncer = Syncer(self)
        self.pagedaemon = PageDaemon(self)
        self.vnodes: dict[int, Vnode] = {}
        self.unreferenced: Callable[[Vnode], None]  # gives the syncer's reference back
        self.vnodes_lock = Mutex(self.machine, "vnodes")
        try:
            self.fs.load(name)
            self._check_geometry(name)
        except BaseException:
            self.dev.stop()
            self.aiodone.stop()
            raise
        if config.journal:
            self.wapbl = Wapbl(self.machine, self.faults, sb.files, self.fs.commit)
        self.machine.hook = config.hook
        if config.pagedaemon:
            self.pagedaemon.start()
        if config.syncer_period:
            self.syncer.start()

    def stop(self) -> None:
        """Ends the machine's threads, after everything was written or the machine died."""
        if self.machine.dead is None:
            for one in (self.syncer, self.pagedaemon, self.dev, self.aiodone):
                one.stop()
        self.machine.join(10.0)

    def finish_pages(self, bp: Buf) -> None:
        """What the completion thread does, by the caller (uvm_aio_aiodone)."""
        aiodone(self, bp)

    def getvnode(self, ino: int) -> Vnode:
        """The vnode of a file, with one more reference."""
        self.vnodes_lock.enter("getvnode")
        vp = self.vnodes.get(ino)
        if vp is None:
            vp = self.vnodes[ino] = Vnode(self, self.fs.inodes[ino])
        vp.v_usecount += 1
        self.vnodes_lock.exit("getvnode")
        return vp

    # Arithmetic of pages.

    def trunc_page(self, offset: int) -> int:
        return offset & -self.page_size

    def round_page(self, offset: int) -> int:
        return offset + self.page_size - 1 & -self.page_size

    # Arrays of pages from the heap: nothing is stored there, but they are counted.

    def kmem_alloc(self, size: int, wait: bool, at: At) -> bool:
        """Whether an array of ``size`` slots is to be had."""
        with self.machine.service("heap_alloc", at, size=size) as said:
            got = said["got"] = wait or not self.faults.hit("heap")
            if got:
                self.heap.add(1)
        return got

    def kmem_free(self, size: int, at: At) -> None:
        with self.machine.service("heap_free", at, size=size):
            if self.heap.add(-1) < 0:
                self.machine.panic(f"an array is freed at {at} that was not allocated")

    def should_yield(self, at: At) -> bool:
        """Whether a long scan of the calling thread should let others run."""
        lwp = self.machine.curlwp()
        with self.machine.service("should_yield", at) as said:
            yes = said["yes"] = lwp.should_yield or bool(self.faults.hit("yield"))
            lwp.should_yield = False
        return yes

    def _check_geometry(self, name: str) -> None:
        """Memory must suffice for a few blocks and windows at once."""
        if self.config.small:
            return
        pages = max(1, self.fs.bsize // self.page_size)
        need = 4 * max(pages, self.config.window_pages) + 2 * self.config.max_cluster
        if self.config.memory_pages < need:
            raise ValueError(f"{name} needs memory_pages of at least {need}")
        if self.config.pager_pages < 2 * pages:
            raise ValueError(f"{name} needs pager_pages of at least {2 * pages}")

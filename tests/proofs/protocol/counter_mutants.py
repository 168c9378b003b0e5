"""Mistakes in the model that the theorems about counters and about mappings notice."""

from __future__ import annotations

from .mutants import GETPAGES, PAGES, PUTPAGES, Mutant
from .ownership_mutants import BUF, DO_IO, FAULT, UBC


def _counter(
    name: str, module: str, old: str, new: str, routine: str, kind: str, long: bool = True
) -> Mutant:
    return Mutant(name, module, old, new, "counters", routine, kind, long)


def _mapping(
    name: str, module: str, old: str, new: str, routine: str, kind: str, long: bool = True
) -> Mutant:
    return Mutant(name, module, old, new, "mappings", routine, kind, long)


COUNTERS = (
    _counter("counted-once", PUTPAGES,
             "                vp.v_numoutput += 2  # 1121",
             "                vp.v_numoutput += 1  # 1121",
             "call_putpages", "call"),
    _counter("counted-too-late", PUTPAGES,
             "                vp.v_numoutput += 2  # 1121\n"
             "            mutex_exit(vp.interlock)  # 1121\n",
             "                pass  # 1121\n            mutex_exit(vp.interlock)  # 1121\n"
             "            vp.v_numoutput += 2  # 1121\n",
             "call_putpages", "release"),
    _counter("counted-twice", DO_IO,
             "    if write and not ("
             "fixed(\"count-before-unlock\") and iodone == Iodone.AIO_BIODONE):",
             "    if write:", "of_gop_write", "end"),
    _counter("nested-write-not-counted", BUF,
             "        bp.vp.v_numoutput += 1\n", "        pass\n", "of_gop_write", "guarantee"),
    _counter("bytes-skipped-and-forgotten", DO_IO,
             "            skipbytes += iobytes  # 1351\n", "            pass  # 1351\n",
             "of_gop_write", "buffer"),
    _counter("done-before-all-is-done", BUF,
             "    if mbp.b_resid == 0:\n        if mbp.b_error",
             "    if mbp.b_resid >= 0:\n        if mbp.b_error",
             "device", "guarantee", False),
    _counter("queued-and-not-done", BUF,
             "    mbp.done = True\n", "    pass\n", "disk", "buffer"),
    _counter("not-given-back", BUF,
             "        if bp.dir == Dir.WRITE:\n            vwakeup(bp.vp)\n        putiobuf(bp)",
             "        putiobuf(bp)", "device", "guarantee", False),
    _counter("given-back-twice", BUF,
             "    if write and age:\n", "    if write:\n", "aiodone", "guarantee"),
    _counter("finished-and-not-given-back", BUF,
             "        vwakeup(vp)\n        mutex_exit(vp.interlock)\n    putiobuf(bp)",
             "        mutex_exit(vp.interlock)\n    putiobuf(bp)", "aiodone", "buffer"),
    _counter("freed-and-counted", PAGES,
             "    vp.uo_npages -= 1\n", "", "mlock", "guarantee", False),
    _counter("array-freed-twice", GETPAGES,
             "                pgs_at = Pgs.NOWHERE  # 315", "                pass  # 315",
             "call_getpages", "ledger"),
    _counter("array-kept", GETPAGES,
             "        kmem_free()  # 692", "        pass  # 692", "call_getpages", "end"),
    _counter("generation-goes-back", GETPAGES,
             "        vp.g_dirtygen += 1  # 202", "        vp.g_dirtygen -= 1  # 202",
             "call_getpages", "store"),
)  # fmt: skip

MAPPINGS = (
    _mapping("neighbour-freed-and-mapped", PUTPAGES,
             "                pmap_page_protect(tpg, Prot.NONE)  # 1084",
             "                pass  # 1084",
             "call_putpages", "release"),
    _mapping("rdonly-mapped-for-writing", FAULT,
             "mapping_protection(entry, rdonly or needs_writefault(vp))",
             "mapping_protection(entry, needs_writefault(vp))", "mapped_load", "release", False),
    _mapping("neighbour-mapped-for-writing", FAULT,
             "    readonly: bool = bool(pg.flags & PG.RDONLY) or needs_writefault(vp)",
             "    readonly: bool = needs_writefault(vp)", "mlock", "release", False),
    _mapping("mapped-without-the-lock", FAULT,
             "    _map_page(vp, found, mapping, write, entry, wire)\n    mutex_exit(vp.interlock)",
             "    mutex_exit(vp.interlock)\n    _map_page(vp, found, mapping, write, entry, wire)",
             "mlock", "store", False),
    _mapping("read-error-frees-valid-pages", BUF,
             "            elif pg.flags & PG.FAKE:\n", "            elif pg.flags & PG.CLEAN:\n",
             "aiodone", "check", False),
    _mapping("valid-pages-freed", GETPAGES,
             "            if pgs[j].flags & PG.FAKE:  # 636",
             "            if pgs[j].flags & PG.BUSY:  # 636",
             "call_getpages", "check"),
    _mapping("window-maps-what-is-to-be-freed", UBC,
             "    if pg.flags & PG.RELEASED:\n        mutex_enter(uvm.pageqlock)",
             "    if pg.flags & PG.PAGEOUT:\n        mutex_enter(uvm.pageqlock)",
             "read", "release"),
)  # fmt: skip

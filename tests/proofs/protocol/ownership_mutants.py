"""Mistakes in the model that the proof of exclusive ownership notices, unit by unit."""

from __future__ import annotations

from .mutants import GETPAGES, PAGES, PUTPAGES, Mutant

BUF = "model/kernel/buf.py"
DO_IO = "model/genfs/do_io.py"
FAULT = "model/actors/fault.py"
UBC = "model/actors/ubc.py"
SIZES = "model/actors/sizes.py"


def _mutant(
    name: str, module: str, old: str, new: str, routine: str, kind: str, long: bool = True
) -> Mutant:
    return Mutant(name, module, old, new, "ownership", routine, kind, long)


_CHANGES_ANOTHERS = (
    "        other: Page = uvm_pagelookup(vp, where)\n"
    "        if other is not NULL:\n"
    "            other.flags ^= PG.CLEAN\n"
)

MUTANTS = (
    # The unit that ends at a loop's head owes what every unit owes.
    _mutant("another's-page-at-the-end-of-a-round", PAGES,
            "        where += -PAGE_SIZE if flags & UFP.BACKWARD else PAGE_SIZE\n        i += 1\n",
            "        where += -PAGE_SIZE if flags & UFP.BACKWARD else PAGE_SIZE\n        i += 1\n"
            + _CHANGES_ANOTHERS,
            "of_uvn_findpages", "guarantee", False),
    _mutant("another's-page-before-the-loop", PAGES,
            "    where: off_t = off\n    while i < n:",
            "    where: off_t = off\n    if n > 0:\n" + _CHANGES_ANOTHERS + "    while i < n:",
            "of_uvn_findpages", "guarantee", False),
    # Flags change under the object lock only.
    _mutant("flags-of-a-busy-page-without-the-lock", UBC,
            "    mutex_enter(vp.interlock)\n    if pg.flags & PG.WANTED:",
            "    pg.flags |= PG.CLEAN\n    mutex_enter(vp.interlock)\n    if pg.flags & PG.WANTED:",
            "of_ubc_fault", "guarantee", False),
    # getpages.
    _mutant("found-in-part-and-kept", GETPAGES,
            "        genfs_rel_pages(pgs[ridx:], orignpages)  # 323", "        pass  # 323",
            "of_getpages", "end"),
    _mutant("given-back-too-short", GETPAGES,
            "            genfs_rel_pages(pgs[ridx:], orignpages)  # 380",
            "            genfs_rel_pages(pgs[ridx:], orignpages - 1)  # 380",
            "of_getpages", "call"),
    _mutant("array-not-emptied", GETPAGES,
            "            pgs.fill(NULL)  # 381\n", "", "of_getpages", "call"),
    _mutant("locked-and-kept", GETPAGES,
            "        genfs_rel_pages(a_m, npages)  # 233", "        pass  # 233",
            "of_locked", "end"),
    _mutant("released-and-owned", GETPAGES,
            "            uvm_page_disown(pg)  # 680", "            pass  # 680",
            "of_release", "end"),
    _mutant("read-error-keeps-pages", GETPAGES,
            "        uvm_page_unbusy(pgs, npages)  # 641", "        pass  # 641",
            "of_io", "end"),
    _mutant("buffer-kept", GETPAGES, "    putiobuf(mbp)  # 617", "    pass  # 617", "of_io", "end"),
    _mutant("window-kept", GETPAGES,
            "    uvm_pagermapout(kva, npages)  # 618", "    pass  # 618", "of_io", "end"),
    _mutant("unbusied-while-being-read", GETPAGES,
            "            VOP_STRATEGY(bp)  # 562\n",
            "            VOP_STRATEGY(bp)  # 562\n            pgs[0].flags &= ~PG.BUSY  # 562\n",
            "of_read_loop", "guarantee"),
    # Transfers.
    _mutant("asynchronous-read-not-handed-over", BUF,
            "    if mbp.b_async or mbp.dir == Dir.WRITE:", "    if mbp.dir == Dir.WRITE:",
            "of_read_loop", "end"),
    _mutant("handed-over-and-kept", BUF,
            "                mbp.kva.map[i].owner = NOBODY\n", "", "of_read_loop", "guarantee"),
    _mutant("touched-after-it-was-let-go", DO_IO,
            "    nestiobuf_done(mbp, skipbytes, error)  # 1378\n",
            "    nestiobuf_done(mbp, skipbytes, error)  # 1378\n    mbp.b_async = False  # 1378\n",
            "of_gop_write", "buffer"),
    _mutant("not-finished", DO_IO,
            "    uvm_aio_biodone(mbp)  # 1386\n", "", "of_gop_write", "end"),
    _mutant("bytes-forgotten", DO_IO,
            "            skipbytes += iobytes  # 1351\n", "            pass  # 1351\n",
            "of_gop_write", "end"),
    _mutant("taken-and-still-the-buffer's", BUF,
            "            pg.io = NULL\n", "", "of_aiodone", "guarantee"),
    _mutant("finished-and-busy", BUF,
            "    uvm_page_unbusy(pgs, npages)\n    if paged_out", "    if paged_out",
            "of_aiodone", "buffer"),
    _mutant("finished-twice", BUF,
            "    uvm.aiodone.remove(bp)\n", "", "of_aiodone", "buffer"),
    # putpages.
    _mutant("busy-not-waited-for", PUTPAGES,
            "        if pg.flags & PG.BUSY or yld:  # 932", "        if yld:  # 932",
            "of_scan", "call"),
    _mutant("busy-page-freed", PUTPAGES,
            "                if tpg.flags & PG.BUSY:  # 1085",
            "                if tpg.flags & PG.FAKE:  # 1085", "of_scan", "call"),
    _mutant("error-keeps-no-page-but-loses-the-lock", PUTPAGES,
            "            mutex_enter(vp.interlock)  # 1123", "            pass  # 1123",
            "of_scan", "end"),
    _mutant("cluster-not-owned", PUTPAGES,
            "    uvm_page_own(pg)  # 1024\n", "", "of_cluster", "call", False),
    _mutant("moved-and-left", PUTPAGES,
            "                pgs[npages - nback + k] = NULL  # 1041-1042",
            "                pass  # 1041-1042", "of_cluster", "end", False),
    _mutant("written-and-twice-in-the-cluster", PUTPAGES,
            "            if RWMAP:  # 1122\n",
            "            if npages == 1:  # 1122\n                pgs[1] = pgs[0]  # 1122\n"
            "                npages = 2  # 1122\n            if RWMAP:  # 1122\n",
            "of_scan", "call"),
    _mutant("an-array-that-is-not-to-be-changed", GETPAGES,
            "    readable: bool = not error  # 585\n",
            "    readable: bool = not error  # 585\n    if npages == 1 and not error:  # 585\n"
            "        pgs[1] = pgs[0]  # 585\n        pgs[0] = pgs[1]  # 585\n",
            "of_io", "end"),
    _mutant("clean-cleared-of-another's-page", PUTPAGES,
            "            wasclean = False  # 1021\n",
            "            wasclean = False  # 1021\n            pg.flags &= ~PG.CLEAN  # 1021\n",
            "of_scan", "clears"),
    # Callers.
    _mutant("centre-is-a-neighbour-too", FAULT,
            "        if i != behind and pg is not NULL", "        if pg is not NULL",
            "of_fault", "check", False),
    _mutant("slow-fault-keeps-the-page", FAULT,
            "    else:\n        _map_page(vp, pg, mapping, write, entry, wire)\n"
            "    mutex_exit(vp.interlock)\n    return 0\n\n\n@routine\ndef fault(",
            "    mutex_exit(vp.interlock)\n    return 0\n\n\n@routine\ndef fault(",
            "of_fault", "end"),
    _mutant("window-page-kept", UBC,
            "        uvm_page_disown(pg)\n    mutex_exit(vp.interlock)\n\n\n@routine\ndef ubc",
            "        pass\n    mutex_exit(vp.interlock)\n\n\n@routine\ndef ubc",
            "of_ubc_fault", "release"),
    _mutant("copied-and-kept", UBC,
            "    uvm_page_unbusy(pgs, n)\n", "", "of_copy_over", "end"),
    _mutant("no-space-keeps-pages", SIZES,
            "    rw_exit(vp.g_glock)\n    eob:",
            "    rw_exit(vp.g_glock)\n    if error:\n        return error\n    eob:",
            "of_ufs_balloc_range", "end"),
)  # fmt: skip

"""Mistakes in the model that the proof of "dirty implies listed" notices, unit by unit."""

from __future__ import annotations

from .mutants import GETPAGES, PAGES, PUTPAGES, Mutant

BUF = "model/kernel/buf.py"
FAULT = "model/actors/fault.py"
FSYNC = "model/actors/fsync.py"
PAGEDAEMON = "model/actors/pagedaemon.py"
UBC = "model/actors/ubc.py"


def _mutant(
    name: str, module: str, old: str, new: str, routine: str, kind: str, long: bool = True
) -> Mutant:
    return Mutant(name, module, old, new, "listed", routine, kind, long)


MUTANTS = (
    # The scan's history.
    _mutant("not-write-protected", PUTPAGES,
            "                    pmap_page_protect(pg, Prot.READ)  # 996-997",
            "                    pass  # 996-997", "listed_scan", "unlist"),
    _mutant("wired-pages-stay-writable", PUTPAGES,
            "                    cleanall = False  # 999", "                    pass  # 999",
            "listed_scan", "unlist"),
    _mutant("dirty-page-forgotten", PUTPAGES,
            "            wasclean = False  # 1021", "            pass  # 1021",
            "listed_scan", "unlist"),
    _mutant("pages-being-freed-forgotten", PUTPAGES,
            "                    wasclean = False  # 908", "                    pass  # 908",
            "listed_scan", "unlist"),
    _mutant("from-anywhere", PUTPAGES, "and wasclean and startoff == 0\n", "and wasclean\n",
            "listed_scan", "unlist"),
    _mutant("one-offset-left-out", PUTPAGES,
            "            off += (npages - nback) << PAGE_SHIFT  # 1148",
            "            off += (npages - nback + 1) << PAGE_SHIFT  # 1148",
            "listed_scan", "unlist"),
    _mutant("one-page-of-the-list-left-out", PUTPAGES,
            "                pg = vp.memq.next(pg)  # 1145",
            "                pg = vp.memq.next(pg)  # 1145\n"
            "                pg = vp.memq.next(pg)  # 1145",
            "listed_scan", "unlist"),
    _mutant("stops-at-the-first-page-of-another-offset", PUTPAGES,
            "                pg = vp.memq.next(pg)  # 910\n                continue  # 911\n"
            "            off = pg.offset  # 913",
            "                break  # 911\n            off = pg.offset  # 913",
            "listed_scan", "unlist"),
    # putpages and its callers.
    _mutant("unlisted-with-pages", PUTPAGES,
            "        if vp.uo_npages == 0:  # 803", "        if vp.uo_npages != 0:  # 803",
            "listed_putpages", "unlist"),
    _mutant("unlisted-with-pages-by-buffers", FSYNC,
            "    if vp.uo_npages == 0 and (vp.v_iflag", "    if (vp.v_iflag",
            "fsync", "unlist", False),
    _mutant("page-daemon-asks-for-everything", PAGEDAEMON,
            "vp, off, off + PAGE_SIZE, PGO.CLEANIT", "vp, off, 0, PGO.CLEANIT",
            "pagedaemon", "call", False),
    # getpages.
    _mutant("stale-modified-bit", GETPAGES,
            "            pmap_clear_modify(pg)  # 661", "            pass  # 661",
            "listed_getpages", "release"),
    _mutant("hole-of-valid-pages", GETPAGES,
            "            while pidx + pcount < npages and pgs[pidx + pcount].flags & PG.FAKE:",
            "            while pidx + pcount < npages:", "listed_read_loop", "end"),
    _mutant("not-dirty-when-allocated", GETPAGES,
            "        if not (vp.v_iflag & VI.ONWORKLST):  # 203\n"
            "            vn_syncer_add_to_worklist(vp)  # 204\n",
            "", "listed_getpages", "end"),
    # Finding, completion, mapping.
    _mutant("new-page-not-clean", PAGES,
            "pg.flags = PG.BUSY | PG.FAKE | PG.CLEAN", "pg.flags = PG.BUSY | PG.FAKE",
            "listed_findpages", "end"),
    _mutant("failed-write-not-listed", BUF,
            "        vp.g_dirtygen += 1\n        vn_syncer_add_to_worklist(vp)\n",
            "        vp.g_dirtygen += 1\n", "aiodone", "release"),
    _mutant("mapped-for-writing-unheard", FAULT,
            "mapping_protection(entry, rdonly or needs_writefault(vp))",
            "mapping_protection(entry, rdonly)",
            "fault", "map", False),
    _mutant("window-mapped-for-writing-unheard", UBC,
            "        readonly = readonly or needs_writefault(vp)\n", "",
            "ubc_fault", "map"),
    _mutant("mapped-without-the-lock", UBC,
            "    mutex_enter(vp.interlock)\n    if pg.flags & PG.WANTED:",
            "    if pg.flags & PG.WANTED:", "ubc_fault", "map"),
    _mutant("reads-to-write-over", UBC,
            "        vp, start, pgs, n, 0, True,\n        PGO.SYNCIO | PGO.OVERWRITE",
            "        vp, start, pgs, n, 0, False,\n        PGO.SYNCIO | PGO.OVERWRITE",
            "copy_over", "call", False),
)  # fmt: skip

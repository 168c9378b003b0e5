"""Mutants of the hardened model: one small mistake each, and the promise that it breaks.

``old`` stands once in the module and becomes ``new``; then the scenario must show a violation
of the property (at the line, where one is given).  They are written by hand: a forgotten lock,
wakeup, flag or count, two steps or tests exchanged, a wrong bound or offset.
"""

from __future__ import annotations

from dataclasses import dataclass

GETPAGES = "genfs/getpages.py"
PUTPAGES = "genfs/putpages.py"
DO_IO = "genfs/do_io.py"
GOP_WRITE = "genfs/gop_write.py"
REL_PAGES = "genfs/rel_pages.py"
BUF = "kernel/buf.py"
PAGES = "kernel/pages.py"
PMAP = "kernel/pmap.py"
FAULT = "actors/fault.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit of one module, and what catches it; ``long`` ones belong to the long tier."""

    name: str
    module: str
    old: str
    new: str
    scenario: str
    property: str
    line: int | None = None
    long: bool = False


# fmt: off
MUTANTS = [
    Mutant(
        "cached-pages-keep-glock", GETPAGES,
        ("    if i == npages:  # 341\n"
         "        if not glock_held:  # 342\n"
         "            rw_exit(vp.g_glock)  # 342\n"),
        "    if i == npages:  # 341\n",
        "hole-faults", "claim-11-getpages",
    ),
    Mutant(
        "read-keeps-glock", GETPAGES,
        ("    if not glock_held:  # 615\n"
         "        rw_exit(vp.g_glock)  # 615\n"),
        "",
        "read-error", "claim-11-getpages", long=True,
    ),
    Mutant(
        "async-read-keeps-glock", GETPAGES,
        ("        if not glock_held:  # 569\n"
         "            rw_exit(vp.g_glock)  # 569\n"),
        "",
        "readahead-and-truncate", "claim-11-getpages",
    ),
    Mutant(
        "glock-not-taken", GETPAGES,
        "rw_enter(vp.g_glock, RW.READER)  # 309",
        "pass  # 309",
        "read-error", "lock-discipline", line=615, long=True,
    ),
    Mutant(
        "startover-not-taken", GETPAGES,
        "if not (vp.v_size < origvsize):  # 312",
        "if not (vp.v_size < 0):  # 312",
        "startover-and-truncate", "claim-7-truncation",
    ),
    Mutant(
        "unrequested-waiter-not-woken", GETPAGES,
        ("            if pg.flags & PG.WANTED:  # 667\n"
         "                wakeup(pg.wanted)  # 668\n"),
        "",
        "block-of-two-pages", "deadlock", long=True,
    ),
    Mutant(
        "unrequested-stays-busy", GETPAGES,
        "pg.flags &= ~(PG.WANTED | PG.BUSY | PG.FAKE)  # 679",
        "pg.flags &= ~(PG.WANTED | PG.FAKE)  # 679",
        "block-of-two-pages", "claim-1-ownership", long=True,
    ),
    Mutant(
        "unrequested-stays-wanted", GETPAGES,
        "pg.flags &= ~(PG.WANTED | PG.BUSY | PG.FAKE)  # 679",
        "pg.flags &= ~(PG.BUSY | PG.FAKE)  # 679",
        "block-of-two-pages", "claim-2-flags", long=True,
    ),
    Mutant(
        "pages-before-request-kept", GETPAGES,
        "if i < ridx or i >= ridx + orignpages or async_:  # 664",
        "if i >= ridx + orignpages or async_:  # 664",
        "block-of-two-pages", "claim-11-getpages", long=True,
    ),
    Mutant(
        "pages-after-request-kept", GETPAGES,
        "if i < ridx or i >= ridx + orignpages or async_:  # 664",
        "if i < ridx or async_:  # 664",
        "block-of-two-pages", "claim-11-getpages", long=True,
    ),
    Mutant(
        "wrong-pages-returned", GETPAGES,
        "a_m[j] = pgs[ridx + j]",
        "a_m[j] = pgs[j]",
        "block-of-two-pages", "claim-11-getpages", long=True,
    ),
    Mutant(
        "one-page-of-several", GETPAGES,
        "= min(orignpages, round_page(memeof - origoffset) >> PAGE_SHIFT)  # 268-269",
        "= 1  # 268-269",
        "read-of-two-pages", "claim-11-getpages",
    ),
    Mutant(
        "array-not-cleared", GETPAGES,
        "            pgs.fill(NULL)  # 381\n",
        "",
        "block-of-two-pages", "kassert", line=389, long=True,
    ),
    Mutant(
        "allocated-pages-stay-clean", GETPAGES,
        "pgs[i].flags &= ~(PG.CLEAN | PG.RDONLY)  # 609",
        "pgs[i].flags &= ~PG.RDONLY  # 609",
        "hole-of-two-pages-dropped", "claim-5-foreign", long=True,
    ),
    Mutant(
        "allocated-pages-stay-rdonly", GETPAGES,
        "pgs[i].flags &= ~(PG.CLEAN | PG.RDONLY)  # 609",
        "pgs[i].flags &= ~PG.CLEAN  # 609",
        "hole-half-resident", "kassert", line=663, long=True,
    ),
    Mutant(
        "resident-hole-not-seen", GETPAGES,
        "                sawhole = True  # 466",
        "                sawhole = False  # 466",
        "hole-of-two-pages-dropped", "kassert", line=663, long=True,
    ),
    Mutant(
        "rdonly-not-filled", GETPAGES,
        "(blockalloc and pg1.flags & PG.RDONLY)",
        "(overwrite and pg1.flags & PG.RDONLY)",
        "hole-of-two-pages-dropped", "kassert", line=663, long=True,
    ),
    Mutant(
        "fast-fault-takes-rdonly", GETPAGES,
        "(UFP.NORDONLY if write else UFP(0))",
        "(UFP.NORDONLY if not write else UFP(0))",
        "hole-of-two-pages-dropped", "claim-11-getpages", long=True,
    ),
    Mutant(
        "hole-not-rdonly", GETPAGES,
        "                    pgs[pidx + i].flags |= PG.RDONLY  # 534",
        "                    pass  # 534",
        "half-hole-page", "claim-10-rdonly", long=True,
    ),
    Mutant(
        "rdonly-test-negated", GETPAGES,
        "if not blockalloc:  # 533",
        "if blockalloc:  # 533",
        "half-hole-page", "claim-10-rdonly", long=True,
    ),
    Mutant(
        "hole-one-page-short", GETPAGES,
        "round_page(offset + iobytes) - trunc_page(offset)",
        "trunc_page(offset + iobytes) - trunc_page(offset)",
        "half-hole-page", "claim-10-rdonly", long=True,
    ),
    Mutant(
        "hole-bytes-not-counted", GETPAGES,
        "            skipbytes += iobytes  # 527\n",
        "",
        "half-hole-page", "deadlock", line=574,
    ),
    Mutant(
        "piece-at-wrong-offset", GETPAGES,
        "nestiobuf_setup(mbp, bp, offset - startoffset, iobytes, Dir.READ)",
        "nestiobuf_setup(mbp, bp, 0, iobytes, Dir.READ)",
        "half-hole-page", "claim-5-foreign", long=True,
    ),
    Mutant(
        "wrong-sector-in-block", GETPAGES,
        "bp.b_blkno = blkno + ((offset - (lbn << fs_bshift)) >> dev_bshift)",
        "bp.b_blkno = blkno",
        "readahead-beside-flush", "claim-4-at-rest", long=True,
    ),
    Mutant(
        "read-over-valid-page", GETPAGES,
        "if offset + iobytes > round_page(offset):  # 503",
        "if offset + iobytes > round_page(offset) + iobytes:  # 503",
        "block-half-resident", "claim-6-integrity", long=True,
    ),
    Mutant(
        "read-clipped-short", GETPAGES,
        "iobytes, (pcount << PAGE_SHIFT) - (offset - trunc_page(offset))",
        "iobytes, ((pcount + 1) << PAGE_SHIFT) - (offset - trunc_page(offset))",
        "block-half-resident", "claim-6-integrity", long=True,
    ),
    Mutant(
        "skipped-page-not-counted", GETPAGES,
        "            skipbytes += b  # 471\n",
        "",
        "block-half-resident", "deadlock", line=574, long=True,
    ),
    Mutant(
        "tail-not-zeroed", GETPAGES,
        "while tailbytes > 0:  # 434",
        "while tailbytes > totalbytes:  # 434",
        "sparse-growth", "claim-4-at-rest", long=True,
    ),
    Mutant(
        "read-window-kept", GETPAGES,
        "    uvm_pagermapout(kva, npages)  # 618\n",
        "",
        "read-error", "claim-8-quiescence",
    ),
    Mutant(
        "read-buffer-kept", GETPAGES,
        "    putiobuf(mbp)  # 617\n",
        "",
        "read-error", "claim-8-quiescence",
    ),
    Mutant(
        "no-object-lock-after-read", GETPAGES,
        "    mutex_enter(vp.interlock)  # 620\n",
        "",
        "read-error", "lock-discipline", line=684,
    ),
    Mutant(
        "failed-page-not-released", GETPAGES,
        ("            if pgs[j].flags & PG.FAKE:  # 636\n"
         "                pgs[j].flags |= PG.RELEASED  # 637\n"),
        "",
        "read-error", "kassert", line=641,
    ),
    Mutant(
        "valid-page-stays-fake", GETPAGES,
        "            pg.flags &= ~PG.FAKE  # 660\n",
        "            pass  # 660\n",
        "read-error", "claim-11-getpages",
    ),
    Mutant(
        "read-not-awaited", GETPAGES,
        ("    if started:  # 573\n"
         "        error = biowait(mbp)  # 574\n"),
        "",
        "read-error", "claim-5-foreign",
    ),
    Mutant(
        "fault-not-listed", GETPAGES,
        "            vn_syncer_add_to_worklist(vp)  # 204",
        "            pass  # 204",
        "hole-store-and-fsync", "claim-3-wrmapdirty-listed", long=True,
    ),
    Mutant(
        "wrmapdirty-not-set", GETPAGES,
        "            vp.v_iflag |= VI.WRMAPDIRTY  # 207",
        "            pass  # 207",
        "lazy-syncer", "range", line=202, long=True,
    ),
    Mutant(
        "trylock-not-released", GETPAGES,
        "        rw_exit(vp.g_glock)  # 247",
        "        pass  # 247",
        "fast-fault-and-truncate", "claim-11-getpages",
    ),
    Mutant(
        "fast-fault-keeps-pages", GETPAGES,
        "        genfs_rel_pages(a_m, npages)  # 233\n",
        "",
        "fast-fault-and-truncate", "claim-11-getpages",
    ),
    Mutant(
        "fast-fault-returns-released", GETPAGES,
        ("                    a_m[j] = NULL  # 243\n"
         "            elif"),
        ("                    pass  # 243\n"
         "            elif"),
        "fast-fault-and-truncate", "claim-11-getpages", long=True,
    ),
    Mutant(
        "async-busy-keeps-pages", GETPAGES,
        "        genfs_rel_pages(pgs[ridx:], orignpages)  # 323\n",
        "",
        "readahead-meets-busy", "claim-11-getpages", long=True,
    ),
    Mutant(
        "released-without-contents", REL_PAGES,
        "            pg.flags |= PG.RELEASED  # 80",
        "            pass  # 80",
        "readahead-meets-busy", "kassert", line=84, long=True,
    ),
    Mutant(
        "expansion-busy-keeps-pages", GETPAGES,
        "                genfs_rel_pages(pgs, npages)  # 390\n",
        "",
        "readahead-beside-flush", "claim-11-getpages", long=True,
    ),
    Mutant(
        "async-busy-keeps-lock", GETPAGES,
        "        mutex_exit(vp.interlock)  # 324\n",
        "",
        "readahead-and-fault-in-block", "claim-11-getpages", long=True,
    ),
    Mutant(
        "stale-modified-bit", GETPAGES,
        "            pmap_clear_modify(pg)  # 661\n",
        "            pass  # 661\n",
        "stale-modified", "claim-3-dirty-listed", long=True,
    ),
    Mutant(
        "stale-modified-async", BUF,
        ("            uvm_pageenqueue(pg)\n"
         "            pmap_clear_modify(pg)\n"),
        "            uvm_pageenqueue(pg)\n",
        "stale-modified", "claim-3-dirty-listed", long=True,
    ),
    Mutant(
        "marker-left", PUTPAGES,
        "                vp.memq.remove(curmp)  # 966",
        "                pass  # 966",
        "scan-sleeps-and-read-fault", "claim-11-putpages", long=True,
    ),
    Mutant(
        "write-marker-left", PUTPAGES,
        "                vp.memq.remove(curmp)  # 1126",
        "                pass  # 1126",
        "invalidate-and-msync", "claim-11-putpages",
    ),
    Mutant(
        "end-marker-left", PUTPAGES,
        "        vp.memq.remove(endmp)  # 1155",
        "        pass  # 1155",
        "invalidate-and-msync", "claim-11-putpages",
    ),
    Mutant(
        "sleeper-not-noted", PUTPAGES,
        "                pg.flags |= PG.WANTED  # 958\n",
        "",
        "invalidate-and-msync", "deadlock", line=959,
    ),
    Mutant(
        "no-lock-after-sleep", PUTPAGES,
        "                mutex_enter(vp.interlock)  # 960\n",
        "                pass  # 960\n",
        "invalidate-and-msync", "lock-discipline", line=1198,
    ),
    Mutant(
        "write-under-lock", PUTPAGES,
        ("            mutex_exit(vp.interlock)  # 1121\n"
         "            if RWMAP:"),
        "            if RWMAP:",
        "wired-and-fsync", "lock-discipline", line=1290, long=True,
    ),
    Mutant(
        "freed-page-stays-mapped", PUTPAGES,
        "            pmap_page_protect(pg, Prot.NONE)  # 979",
        "            pass  # 979",
        "invalidate-mapped", "claim-4-at-rest", long=True,
    ),
    Mutant(
        "freed-neighbour-stays-mapped", PUTPAGES,
        "                pmap_page_protect(tpg, Prot.NONE)  # 1084",
        "                pass  # 1084",
        "invalidate-mapped", "freed-while-mapped", long=True,
    ),
    Mutant(
        "modified-bit-not-asked", PUTPAGES,
        "needs_clean = pmap_clear_modify(pg) or not (pg.flags & PG.CLEAN)",
        "needs_clean = not (pg.flags & PG.CLEAN)",
        "lazy-syncer", "claim-3-dirty-listed",
    ),
    Mutant(
        "clean-flag-not-asked", PUTPAGES,
        "needs_clean = pmap_clear_modify(pg) or not (pg.flags & PG.CLEAN)",
        "needs_clean = pmap_clear_modify(pg)",
        "invalidate-and-msync", "claim-6-integrity",
    ),
    Mutant(
        "wasclean-kept", PUTPAGES,
        "            wasclean = False  # 1021\n",
        "",
        "fsync-and-read-fault", "claim-3-dirty-listed", long=True,
    ),
    Mutant(
        "wired-page-ignored", PUTPAGES,
        "                    cleanall = False  # 999",
        "                    pass  # 999",
        "wired-and-two-fsyncs", "claim-6-integrity", long=True,
    ),
    Mutant(
        "wired-page-unlists", PUTPAGES,
        "                    cleanall = False  # 999",
        "                    pass  # 999",
        "wired-and-fsync", "claim-3-dirty-listed", long=True,
    ),
    Mutant(
        "mapping-not-protected", PUTPAGES,
        "                    pmap_page_protect(pg, Prot.READ)  # 996-997",
        "                    pass  # 996-997",
        "lazy-syncer", "claim-3-dirty-listed",
    ),
    Mutant(
        "cleanall-not-asked", PUTPAGES,
        "        cleanall and wasclean and vp.g_dirtygen == dirtygen and vp.v_iflag",
        "        wasclean and vp.g_dirtygen == dirtygen and vp.v_iflag",
        "scan-sleeps-and-read-fault", "claim-3-dirty-listed", long=True,
    ),
    Mutant(
        "output-not-awaited", PUTPAGES,
        ("            while vp.v_numoutput != 0:  # 1194\n"
         "                cv_wait(vp.v_cv, vp.interlock)  # 1195\n"),
        "            pass  # 1194\n",
        "invalidate-and-msync", "claim-6-integrity",
    ),
    Mutant(
        "output-counted-once", PUTPAGES,
        "vp.v_numoutput += 2  # 1121",
        "vp.v_numoutput += 1  # 1121",
        "invalidate-and-msync", "panic",
    ),
    Mutant(
        "output-not-counted", PUTPAGES,
        "                vp.v_numoutput += 2  # 1121\n",
        "                pass  # 1121\n",
        "invalidate-and-msync", "claim-6-integrity", long=True,
    ),
    Mutant(
        "busy-page-not-freed", PUTPAGES,
        "                    tpg.flags |= freeflag  # 1086\n",
        "                    pass  # 1086\n",
        "pagedaemon-and-truncate", "claim-8-quiescence", long=True,
    ),
    Mutant(
        "pageout-not-counted", PUTPAGES,
        "                        uvm_pageout_start(1)  # 1088\n",
        "                        pass  # 1088\n",
        "pagedaemon-and-suspend", "claim-8-counters", long=True,
    ),
    Mutant(
        "queues-lock-kept", PUTPAGES,
        "            mutex_exit(uvm.pageqlock)  # 1107\n",
        "            pass  # 1107\n",
        "invalidate-and-msync", "deadlock",
    ),
    Mutant(
        "cluster-forward-offset", PUTPAGES,
        "vp, off + PAGE_SIZE, npages, pgs[nback + 1:]",
        "vp, off + 2 * PAGE_SIZE, npages, pgs[nback + 1:]",
        "cluster-then-neighbour", "claim-6-integrity", long=True,
    ),
    Mutant(
        "cluster-page-not-busy", PUTPAGES,
        "    pg.flags |= PG.BUSY  # 1023\n",
        "    pass  # 1023\n",
        "cluster", "claim-1-ownership", long=True,
    ),
    Mutant(
        "transaction-left-open", PUTPAGES,
        "        fstrans_done()  # 1213\n",
        "        pass  # 1213\n",
        "invalidate-and-msync", "claim-11-putpages", long=True,
    ),
    Mutant(
        "empty-file-keeps-transaction", PUTPAGES,
        "                fstrans_done()  # 812\n",
        "                pass  # 812\n",
        "journal-error-and-empty-file", "claim-11-putpages",
    ),
    Mutant(
        "journal-left-open", PUTPAGES,
        "            WAPBL_END()  # 1212\n",
        "            pass  # 1212\n",
        "journal-fault-and-fsync", "claim-11-putpages", long=True,
    ),
    Mutant(
        "journal-left-open-without-pages", PUTPAGES,
        "                    WAPBL_END()  # 811\n",
        "                    pass  # 811\n",
        "journal-error-and-empty-file", "claim-11-putpages",
    ),
    Mutant(
        "journal-error-keeps-transaction", PUTPAGES,
        "                    fstrans_done()  # 833\n",
        "                    pass  # 833\n",
        "journal-error-and-empty-file", "claim-11-putpages",
    ),
    Mutant(
        "object-lock-kept", PUTPAGES,
        "        mutex_exit(vp.interlock)  # 1198\n",
        "",
        "invalidate-and-msync", "claim-11-putpages", long=True,
    ),
    Mutant(
        "offset-step-too-long", PUTPAGES,
        "            off += (npages - nback) << PAGE_SHIFT  # 1148",
        "            off += (npages + nback) << PAGE_SHIFT  # 1148",
        "scan-by-offset", "claim-6-integrity", long=True,
    ),
    Mutant(
        "write-from-last-page", GOP_WRITE,
        "    off: off_t = pgs[0].offset  # 1231",
        "    off: off_t = pgs[npages - 1].offset  # 1231",
        "cluster-then-neighbour", "claim-6-integrity", long=True,
    ),
    Mutant(
        "write-past-eof", DO_IO,
        "bytes_: size_t = min(length, eof - startoffset)  # 1301",
        "bytes_: size_t = length  # 1301",
        "cut-inside-a-page", "claim-7-truncation", long=True,
    ),
    Mutant(
        "write-piece-at-start", DO_IO,
        "nestiobuf_setup(mbp, bp, offset - startoffset, iobytes, rw)",
        "nestiobuf_setup(mbp, bp, 0, iobytes, rw)",
        "cluster-then-neighbour", "claim-6-integrity", long=True,
    ),
    Mutant(
        "write-wrong-sector", DO_IO,
        "bp.b_blkno = blkno + ((offset - (lbn << fs_bshift)) >> dev_bshift)",
        "bp.b_blkno = blkno",
        "block-half-resident", "claim-6-integrity", long=True,
    ),
    Mutant(
        "write-not-started", DO_IO,
        "            VOP_STRATEGY(bp)  # 1373\n",
        "            pass  # 1373\n",
        "invalidate-and-msync", "deadlock", line=1384,
    ),
    Mutant(
        "write-not-aged", DO_IO,
        "    mbp.age = True  # 1316\n",
        "    mbp.age = False  # 1316\n",
        "invalidate-and-msync", "claim-8-quiescence",
    ),
    Mutant(
        "write-not-awaited", DO_IO,
        "    error = biowait(mbp)  # 1384\n",
        "",
        "invalidate-and-msync", "claim-6-integrity", long=True,
    ),
    Mutant(
        "write-error-bytes-lost", DO_IO,
        "            skipbytes += bytes_  # 1339\n",
        "            pass  # 1339\n",
        "lookup-error", "deadlock", line=1384, long=True,
    ),
    Mutant(
        "queues-lock-not-taken", REL_PAGES,
        "    mutex_enter(uvm.pageqlock)  # 83\n",
        "",
        "block-of-two-pages", "lock-discipline", line=85, long=True,
    ),
    Mutant(
        "window-leak", BUF,
        "    uvm_pagermapout(bp.kva, npages)\n",
        "",
        "invalidate-and-msync", "claim-8-quiescence",
    ),
    Mutant(
        "buffer-leak", BUF,
        ("        mutex_exit(vp.interlock)\n"
         "    putiobuf(bp)\n"),
        "        mutex_exit(vp.interlock)\n",
        "invalidate-and-msync", "claim-8-quiescence", long=True,
    ),
    Mutant(
        "output-waiter-not-woken", BUF,
        ("    if vp.v_numoutput == 0:\n"
         "        wakeup(vp.v_cv)\n"),
        "",
        "invalidate-and-msync", "deadlock", line=1195,
    ),
    Mutant(
        "output-waiter-woken-early", BUF,
        ("    if vp.v_numoutput == 0:\n"
         "        wakeup(vp.v_cv)\n"),
        ("    if vp.v_numoutput == 1:\n"
         "        wakeup(vp.v_cv)\n"),
        "invalidate-and-msync", "deadlock", line=1195, long=True,
    ),
    Mutant(
        "waiter-not-woken", PAGES,
        ("            if pg.flags & PG.WANTED:\n"
         "                wakeup(pg.wanted)\n"),
        "",
        "invalidate-and-msync", "deadlock", line=959,
    ),
    Mutant(
        "wanted-not-cleared", PAGES,
        ("                pg.flags &= ~(PG.BUSY | PG.WANTED)\n"
         "                uvm_page_disown"),
        ("                pg.flags &= ~PG.BUSY\n"
         "                uvm_page_disown"),
        "invalidate-and-msync", "claim-2-flags",
    ),
    Mutant(
        "busy-not-cleared", PAGES,
        ("                pg.flags &= ~(PG.BUSY | PG.WANTED)\n"
         "                uvm_page_disown"),
        ("                pg.flags &= ~PG.WANTED\n"
         "                uvm_page_disown"),
        "invalidate-and-msync", "claim-1-ownership", long=True,
    ),
    Mutant(
        "async-page-stays-fake", BUF,
        ("            pg.flags &= ~PG.FAKE\n"
         "            uvm_pageenqueue"),
        "            uvm_pageenqueue",
        "readahead-and-truncate", "kassert", long=True,
    ),
    Mutant(
        "read-error-lost", BUF,
        ("    if error != 0:\n"
         "        mbp.b_error = error\n"),
        "",
        "lookup-error", "claim-6-integrity", long=True,
    ),
    Mutant(
        "pageout-not-cleared", BUF,
        ("            pg.flags &= ~PG.PAGEOUT\n"
         "            pg.flags |= PG.RELEASED"),
        "            pg.flags |= PG.RELEASED",
        "pagedaemon-and-suspend", "kassert", long=True,
    ),
    Mutant(
        "pageout-not-released", BUF,
        ("            pg.flags &= ~PG.PAGEOUT\n"
         "            pg.flags |= PG.RELEASED"),
        "            pg.flags &= ~PG.PAGEOUT",
        "pagedaemon-and-truncate", "claim-7-truncation",
    ),
    Mutant(
        "done-too-early", BUF,
        ("    mbp.b_resid -= donebytes\n"
         "    if mbp.b_resid == 0:"),
        ("    mbp.b_resid -= donebytes\n"
         "    if True:"),
        "block-half-resident", "claim-8-counters", long=True,
    ),
    Mutant(
        "finder-not-noted", PAGES,
        ("            pg.flags |= PG.WANTED\n"
         "            sleep_on(pg.wanted, vp.interlock)\n"),
        "            sleep_on(pg.wanted, vp.interlock)\n",
        "read-error", "deadlock", line=319,
    ),
    Mutant(
        "found-page-not-busy", PAGES,
        ("        pg.flags |= PG.BUSY\n"
         "        uvm_page_own(pg)\n"
         "        return pg"),
        ("        uvm_page_own(pg)\n"
         "        return pg"),
        "lazy-syncer", "claim-11-getpages",
    ),
    Mutant(
        "fault-waiter-not-woken", FAULT,
        ("    if pg.flags & PG.WANTED:\n"
         "        wakeup(pg.wanted)\n"
         "    pg.flags"),
        "    pg.flags",
        "read-error", "deadlock", line=319, long=True,
    ),
    Mutant(
        "mapping-always-writable", PMAP,
        "return Prot.READ if readonly else entry",
        "return entry",
        "scan-sleeps-and-read-fault", "claim-3-dirty-listed", long=True,
    ),
    Mutant(
        "fragment-not-filled", "actors/sizes.py",
        "if old < size and old != eob",
        "if size < old and old != eob",
        "fragment-outgrown", "claim-6-integrity", long=True,
    ),
]
# fmt: on

"""Mistakes in the model, and the theorem, unit and line that notice each."""

from __future__ import annotations

from dataclasses import dataclass

PAGES = "model/kernel/pages.py"
REL = "model/genfs/rel_pages.py"
PUTPAGES = "model/genfs/putpages.py"
GETPAGES = "model/genfs/getpages.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` stands once in the module and becomes ``new``; then the unit has a failure."""

    name: str
    module: str
    old: str
    new: str
    view: str
    routine: str
    kind: str
    long: bool = False
    # What the unit is compiled with beside the others' parameters, and a fix that is left out.
    parameters: tuple[tuple[str, int], ...] = ()
    without: str = ""


RWMAP = (("RWMAP", 1),)
RWMAP_WRITES = (
    "                error = genfs_gop_write_rwmap(vp, pgs, npages, flags, pagedaemon)  # 1122\n"
)
MUTANTS = (
    Mutant("busy-not-looked-at", PAGES,
           "        if pg.flags & PG.BUSY:\n            if flags & UFP.NOWAIT:",
           "        if pg.flags & PG.WANTED:\n            if flags & UFP.NOWAIT:",
           "ownership", "of_uvn_findpages", "check"),
    Mutant("busy-not-owned", PAGES,
           "        pg.flags |= PG.BUSY\n        uvm_page_own(pg)\n",
           "        pg.flags |= PG.BUSY\n",
           "ownership", "of_uvn_findpages", "release", True),
    Mutant("allocated-not-busy", PAGES,
           "pg.flags = PG.BUSY | PG.FAKE | PG.CLEAN", "pg.flags = PG.CLEAN",
           "ownership", "of_uvn_findpages", "end", True),
    Mutant("slept-and-not-looked-again", PAGES,
           "            mutex_enter(vp.interlock)\n            continue\n"
           "        if flags & UFP.NORDONLY:",
           "            mutex_enter(vp.interlock)\n        if flags & UFP.NORDONLY:",
           "ownership", "of_uvn_findpages", "check"),
    Mutant("found-and-not-returned", PAGES,
           "            pgs[slot] = pg\n            found += 1", "            found += 1",
           "ownership", "of_uvn_findpages", "end", True),
    Mutant("one-page-too-few", PAGES,
           "    for i in range(npgs):\n        pg: PageOrDontcare = pgs[i]",
           "    for i in range(npgs - 1):\n        pg: PageOrDontcare = pgs[i]",
           "ownership", "of_genfs_rel_pages", "end"),
    Mutant("un-busied-and-still-owned", PAGES,
           "                uvm_page_disown(pg)\n\n\n@routine\ndef UVM_UNLOCK",
           "                pass\n\n\n@routine\ndef UVM_UNLOCK",
           "ownership", "of_genfs_rel_pages", "end"),
    Mutant("same-page-twice", PAGES,
           "        pg: PageOrDontcare = pgs[i]\n"
           "        if pg is not NULL and pg is not PGO_DONTCARE:",
           "        pg: PageOrDontcare = pgs[0]\n"
           "        if pg is not NULL and pg is not PGO_DONTCARE:",
           "ownership", "of_genfs_rel_pages", "check"),
    Mutant("queue-lock-kept", REL, "    mutex_exit(uvm.pageqlock)  # 85", "    pass  # 85",
           "locks", "genfs_rel_pages", "end"),
    Mutant("queue-lock-taken-twice", REL, "    for i in range(npages):  # 74",
           "    mutex_enter(uvm.pageqlock)  # 74\n    for i in range(npages):  # 74",
           "locks", "genfs_rel_pages", "check"),
    Mutant("flags-without-the-lock", "model/actors/fault.py",
           "    _map_page(vp, found, mapping, write, entry, wire)\n    mutex_exit(vp.interlock)",
           "    mutex_exit(vp.interlock)\n    _map_page(vp, found, mapping, write, entry, wire)",
           "words", "mlock", "store"),
    Mutant("fast-fault-unlists", GETPAGES,
           "            error = _locked(vp, origoffset, a_m, a_count, a_centeridx, write)  # 215\n",
           "            error = _locked(vp, origoffset, a_m, a_count, a_centeridx, write)  # 215\n"
           "            vp.v_iflag &= ~VI.ONWORKLST  # 215\n"
           "            vp.v_iflag |= VI.WRMAPDIRTY  # 215\n",
           "words", "call_getpages", "end", True),
    Mutant("sleeps-with-the-lock", "model/actors/fsync.py",
           "        cv_wait(vp.v_cv, vp.interlock)", "        sleep_on(vp.v_cv, vp.interlock)",
           "locks", "fsync", "check"),
    Mutant("vnode-lock-kept", "model/actors/fsync.py",
           "    fsync_vnode(vp, True, 0, slot)\n    rw_exit(vp.v_lock)",
           "    fsync_vnode(vp, True, 0, slot)", "locks", "fsync", "end"),
    Mutant("g_glock-kept", GETPAGES,
           "    if i == npages:  # 341\n        if not glock_held:  # 342\n"
           "            rw_exit(vp.g_glock)  # 342\n", "    if i == npages:  # 341\n",
           "locks", "call_getpages", "check", True),
    Mutant("putpages-keeps-the-lock", PUTPAGES,
           "        mutex_exit(vp.interlock)  # 1198", "        pass  # 1198",
           "locks", "call_putpages", "check", True),
    # Behind each of the parameters.
    Mutant("yields-and-forgets-the-lock", PUTPAGES,
           "                mutex_enter(vp.interlock)  # 956", "                pass  # 956",
           "locks", "call_putpages", "check", True),
    Mutant("yields-and-forgets-the-lock, pages", PUTPAGES,
           "                mutex_enter(vp.interlock)  # 956", "                pass  # 956",
           "ownership", "of_scan", "end", True),
    Mutant("rwmap-comes-back-with-the-lock", PUTPAGES,
           RWMAP_WRITES, RWMAP_WRITES + "                mutex_enter(vp.interlock)  # 1122\n",
           "locks", "call_putpages", "check", True, RWMAP),
    Mutant("rwmap-writes-nothing", PUTPAGES, RWMAP_WRITES, "                error = 0  # 1122\n",
           "ownership", "of_scan", "call", True, RWMAP),
    Mutant("journal-error-keeps-pages", GETPAGES,
           "            error = WAPBL_BEGIN()  # 591\n",
           "            error = WAPBL_BEGIN()  # 591\n            if error:  # 591\n"
           "                return error  # 591\n",
           "ownership", "of_io", "end", True, without="transaction-first"),
    Mutant("no-pages-and-the-lock-kept", "model/genfs/null_putpages.py",
           "    mutex_exit(vp.interlock)  # 1408\n", "", "locks", "null_flush", "end"),
)  # fmt: skip

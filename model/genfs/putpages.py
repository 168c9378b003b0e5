"""genfs_putpages and genfs_do_putpages (746-1217): clean, free or deactivate a range of pages.

The seed's one function is cut in three: the scan of the pages (872-1186, what ``skip_scan``
skips), the cluster around one dirty page (1022-1060), and the rest with its ``retry`` loop.
"""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL,
    array,
    cv_wait,
    fixed,
    int32,
    kassert,
    marker,
    mutex_enter,
    mutex_exit,
    routine,
)
from ..kernel.fs import (
    GOP_MARKUPDATE,
    WAPBL_BEGIN,
    WAPBL_END,
    fstrans_done,
    fstrans_start,
    fstrans_start_nowait,
    vn_syncer_remove_from_worklist,
)
from ..kernel.pages import (
    UVM_UNLOCK_AND_WAIT,
    uvm_page_own,
    uvm_pagedeactivate,
    uvm_pagedequeue,
    uvm_pagefree,
    uvm_pagelookup,
    uvm_pageout_start,
    uvn_findpages,
)
from ..kernel.pmap import pmap_clear_modify, pmap_is_modified, pmap_page_protect
from ..kernel.sched import should_yield
from ..kernel.state import PageOrDontcare, PageOrMarker, Vnode, pages, uvm
from ..kernel.types import (
    DEBUG,
    EDEADLK,
    LLONG_MAX,
    PAGE_MASK,
    PAGE_SHIFT,
    PAGE_SIZE,
    PG,
    PGO,
    RWMAP,
    TREE_PENALTY,
    UFP,
    VI,
    WAPBL,
    Lock,
    Prot,
    counter,
    errno,
    off_t,
)
from .constants import MAXPAGES, MNT_NODEVMTIME, V_TYPE, VBLK, Cluster, trunc_page
from .gop_write import genfs_gop_write, genfs_gop_write_rwmap


@routine(seed=(746, 758))
def genfs_putpages(
    vp: Vnode, a_offlo: off_t, a_offhi: off_t, a_flags: PGO, pagedaemon: bool
) -> errno:
    return genfs_do_putpages(vp, a_offlo, a_offhi, a_flags, pagedaemon)  # 756-757


@routine(seed=(760, 1217))
def genfs_do_putpages(
    vp: Vnode, startoff: off_t, endoff: off_t, origflags: PGO, pagedaemon: bool
) -> errno:
    """Entered with the object lock, returns without it.

    ``pagedaemon`` is 774's test, a constant of the calling thread.  ``busypg`` is NULL.
    """
    async_: bool = not (origflags & PGO.SYNCIO)  # 773
    kassert(origflags & (PGO.CLEANIT | PGO.FREE | PGO.DEACTIVATE))  # 787
    kassert((startoff & PAGE_MASK) == 0 and (endoff & PAGE_MASK) == 0)  # 788
    kassert(startoff < endoff or endoff == 0)  # 789
    has_trans: bool = False  # 794
    need_wapbl: bool = (
        not pagedaemon and WAPBL != 0 and not (origflags & PGO.JOURNALLOCKED)
    )  # 795-796
    flags: PGO = origflags  # 800
    error: errno = 0  # 842
    while True:  # 798
        flags = origflags  # 800
        kassert(vp.v_iflag & VI.ONWORKLST or not (vp.v_iflag & VI.WRMAPDIRTY))  # 801-802
        if vp.uo_npages == 0:  # 803
            if vp.v_iflag & VI.ONWORKLST:  # 804
                vp.v_iflag &= ~VI.WRMAPDIRTY  # 805
                if not vp.dirtyblk:  # 806
                    vn_syncer_remove_from_worklist(vp)  # 807
            if has_trans:  # 809
                if need_wapbl:  # 810
                    WAPBL_END()  # 811
                fstrans_done()  # 812
            mutex_exit(vp.interlock)  # 814
            return 0  # 815

        if not has_trans and flags & PGO.CLEANIT:  # 822
            mutex_exit(vp.interlock)  # 823
            if pagedaemon:  # 824
                error = fstrans_start_nowait(Lock.LAZY)  # 825
                if error:  # 826
                    return error  # 827
            else:
                fstrans_start(Lock.LAZY)  # 829
            if need_wapbl:  # 830
                error = WAPBL_BEGIN()  # 831
                if error:  # 832
                    fstrans_done()  # 833
                    return error  # 834
            has_trans = True  # 837
            mutex_enter(vp.interlock)  # 838
            continue  # 839

        error = 0  # 842
        # Computed once for each pass; the scan drops the lock.
        wasclean: bool = vp.v_numoutput == 0  # 843
        if endoff == 0 or flags & PGO.ALLPAGES:  # 845
            endoff = trunc_page(LLONG_MAX)  # 846
        by_list: bool = (
            vp.uo_npages <= ((endoff - startoff) >> PAGE_SHIFT) * TREE_PENALTY
        )  # 848-849
        scan: bool = True  # 857
        if not DEBUG:  # 851
            if not (vp.v_iflag & VI.ONWORKLST):  # 857
                if not (flags & (PGO.FREE | PGO.DEACTIVATE)):  # 858
                    scan = False  # 859
                elif not fixed("free-still-cleans"):  # 861
                    flags &= ~PGO.CLEANIT  # 861
        if scan:  # 859
            error, wasclean = _scan(
                vp, startoff, endoff, flags, origflags, by_list, wasclean, pagedaemon
            )  # 872

        if not wasclean and not async_ and vp.v_numoutput != 0:  # 1193
            while vp.v_numoutput != 0:  # 1194
                cv_wait(vp.v_cv, vp.interlock)  # 1195
        onworklst: bool = bool(vp.v_iflag & VI.ONWORKLST)  # 1197
        mutex_exit(vp.interlock)  # 1198
        if not (flags & PGO.RECLAIM and onworklst):  # 1200
            break  # 1200
        if fixed("reclaim-keeps-error"):  # 1200
            if error:  # 1200
                break  # 1200
        mutex_enter(vp.interlock)  # 1206
        continue  # 1207

    if has_trans:  # 1210
        if need_wapbl:  # 1211
            WAPBL_END()  # 1212
        fstrans_done()  # 1213
    return error  # 1216


@routine(seed=(760, 1217))
def _scan(
    vp: Vnode,
    startoff: off_t,
    endoff: off_t,
    flags: PGO,
    origflags: PGO,
    by_list: bool,
    wasclean: bool,
    pagedaemon: bool,
) -> tuple[errno, bool]:
    """The pages one after the other, by list or by offset: the error, and ``wasclean``."""
    modified: bool = False  # 799
    error: errno = 0  # 842
    off: off_t = startoff  # 844
    cleanall: bool = (
        bool(flags & PGO.CLEANIT) and wasclean and startoff == 0
        and endoff == trunc_page(LLONG_MAX) and bool(vp.v_iflag & VI.ONWORKLST)
    )  # 872-874  # fmt: skip
    dirtygen: counter = vp.g_dirtygen  # 875
    freeflag: PG = PG.PAGEOUT if pagedaemon else PG.RELEASED  # 876
    curmp: PageOrMarker = marker(pages, 0)  # 878-880
    endmp: PageOrMarker = marker(pages, 1)  # 881-883
    pgs: Cluster = array(NULL)  # 771
    pg: PageOrMarker = NULL  # 884
    npages: int32 = 0  # 1063
    nback: int32 = 0  # 1064
    if by_list:  # 877
        pg = vp.memq.first()  # 884
        vp.memq.insert_tail(endmp)  # 885
    else:
        pg = uvm_pagelookup(vp, off)  # 888
    nextpg: PageOrMarker = NULL  # 890
    while by_list or off < endoff:  # 891
        # Pages of no interest.
        # A marker (offset -1) belongs to the vnode in whose list it stands (878, 881).
        kassert(pg is NULL or pg.uobject is vp or pg.offset == -1)  # 897
        kassert(
            pg is NULL or not (pg.flags & (PG.RELEASED | PG.PAGEOUT)) or pg.flags & PG.BUSY
        )  # 898-900
        if by_list:  # 901
            if pg is endmp:  # 902
                break  # 903
            if (
                pg.offset < startoff or pg.offset >= endoff
                or pg.flags & (PG.RELEASED | PG.PAGEOUT)
            ):  # 905-906  # fmt: skip
                if pg.flags & (PG.RELEASED | PG.PAGEOUT):  # 907
                    wasclean = False  # 908
                pg = vp.memq.next(pg)  # 910
                continue  # 911
            off = pg.offset  # 913
        elif pg is NULL or pg.flags & (PG.RELEASED | PG.PAGEOUT):  # 914
            if pg is not NULL:  # 915
                wasclean = False  # 916
            off += PAGE_SIZE  # 918
            if off < endoff:  # 919
                pg = uvm_pagelookup(vp, off)  # 920
            continue  # 922

        # Busy: wait, keeping the place in the list.
        if fixed("no-sleep"):  # 930
            if pg.flags & PG.BUSY and not (origflags & (PGO.CLEANIT | PGO.SYNCIO)):  # 930
                if by_list:  # 910
                    pg = vp.memq.next(pg)  # 910
                else:
                    off += PAGE_SIZE  # 918
                    pg = uvm_pagelookup(vp, off) if off < endoff else NULL  # 919-920
                continue  # 911
        yld: bool = should_yield() and not pagedaemon  # 930-931
        if pg.flags & PG.BUSY or yld:  # 932
            if flags & PGO.BUSYFAIL and pg.flags & PG.BUSY:  # 934
                error = EDEADLK  # 936
                if fixed("busyfail-keeps-list"):  # 937
                    cleanall = False  # 937
                break  # 939
            if pagedaemon:  # 941
                break  # 946
            if by_list:  # 948
                vp.memq.insert_before(pg, curmp)  # 949
            if yld:  # 953
                mutex_exit(vp.interlock)  # 954-955
                mutex_enter(vp.interlock)  # 956
            else:
                pg.flags |= PG.WANTED  # 958
                UVM_UNLOCK_AND_WAIT(pg, vp)  # 959
                mutex_enter(vp.interlock)  # 960
            if fixed("rescan-after-sleep"):  # 960
                cleanall = False  # 960
            if by_list:  # 962
                pg = vp.memq.next(curmp)  # 965
                vp.memq.remove(curmp)  # 966
            else:
                pg = uvm_pagelookup(vp, off)  # 968
            continue  # 970

        # Freeing: no mappings.  Cleaning: perhaps no writable ones.
        if flags & PGO.FREE:  # 978
            pmap_page_protect(pg, Prot.NONE)  # 979
        elif flags & PGO.CLEANIT:  # 980
            if cleanall and wasclean and vp.g_dirtygen == dirtygen:  # 987-988
                if not pg.wired:  # 995
                    pmap_page_protect(pg, Prot.READ)  # 996-997
                else:
                    cleanall = False  # 999
        needs_clean: bool = False  # 1009
        if flags & PGO.CLEANIT:  # 1004
            needs_clean = pmap_clear_modify(pg) or not (pg.flags & PG.CLEAN)  # 1005-1006
            pg.flags |= PG.CLEAN  # 1007
        if needs_clean:  # 1019
            if DEBUG:  # 1020
                kassert(vp.v_iflag & VI.ONWORKLST)  # 1020
            wasclean = False  # 1021
            npages, nback = _cluster(vp, pgs, pg, off)  # 1022
        else:
            pgs[0] = pg  # 1062
            npages = 1  # 1063
            nback = 0  # 1064

        # Free or deactivate.
        if flags & (PGO.DEACTIVATE | PGO.FREE):  # 1071
            mutex_enter(uvm.pageqlock)  # 1072
        for i in range(npages):  # 1074
            tpg: PageOrDontcare = pgs[i]  # 1075
            kassert(tpg.uobject is vp)  # 1076
            if by_list and tpg is vp.memq.next(pg):  # 1077
                pg = tpg  # 1078
            if tpg.offset < startoff or tpg.offset >= endoff:  # 1079
                continue  # 1080
            if flags & PGO.DEACTIVATE and not tpg.wired:  # 1081
                uvm_pagedeactivate(tpg)  # 1082
            elif flags & PGO.FREE:  # 1083
                pmap_page_protect(tpg, Prot.NONE)  # 1084
                if tpg.flags & PG.BUSY:  # 1085
                    tpg.flags |= freeflag  # 1086
                    if pagedaemon:  # 1087
                        uvm_pageout_start(1)  # 1088
                        uvm_pagedequeue(tpg)  # 1089
                else:
                    nextpg = vp.memq.next(tpg)  # 1099
                    uvm_pagefree(tpg)  # 1100
        if flags & (PGO.DEACTIVATE | PGO.FREE):  # 1106
            mutex_exit(uvm.pageqlock)  # 1107
        if needs_clean:  # 1109
            modified = True  # 1110
            if by_list:  # 1117
                vp.memq.insert_after(pg, curmp)  # 1118-1119
            if fixed("count-before-unlock"):  # 1121
                vp.v_numoutput += 2  # 1121
            mutex_exit(vp.interlock)  # 1121
            if RWMAP:  # 1122
                error = genfs_gop_write_rwmap(vp, pgs, npages, flags, pagedaemon)  # 1122
            else:
                error = genfs_gop_write(vp, pgs, npages, flags, pagedaemon)  # 1122
            mutex_enter(vp.interlock)  # 1123
            if by_list:  # 1124
                pg = vp.memq.next(curmp)  # 1125
                vp.memq.remove(curmp)  # 1126
            if error:  # 1128
                break  # 1129
            if by_list:  # 1131
                continue  # 1132

        # The next page.
        if by_list:  # 1140
            if nextpg is not NULL:  # 1141
                pg = nextpg  # 1142
                nextpg = NULL  # 1143
            else:
                pg = vp.memq.next(pg)  # 1145
        else:
            off += (npages - nback) << PAGE_SHIFT  # 1148
            if off < endoff:  # 1149
                pg = uvm_pagelookup(vp, off)  # 1150
    if by_list:  # 1154
        vp.memq.remove(endmp)  # 1155

    if (
        modified and vp.v_iflag & VI.WRMAPDIRTY and (V_TYPE != VBLK or MNT_NODEVMTIME == 0)
    ):  # 1159-1161
        GOP_MARKUPDATE(vp)  # 1162

    # Nothing was dirty, nothing was dirtied: off the syncer's list.
    if (
        cleanall and wasclean and vp.g_dirtygen == dirtygen and vp.v_iflag & VI.ONWORKLST
    ):  # 1171-1172
        if DEBUG:  # 1173
            pg = vp.memq.first()  # 1174
            while pg is not NULL:  # 1174
                if fixed("debug-skips-markers"):  # 1174
                    if pg.offset == -1:  # 1174
                        pg = vp.memq.next(pg)  # 1174
                        continue  # 1174
                if not (pg.flags & PG.CLEAN):  # 1175
                    pass  # 1176
                if pmap_is_modified(pg):  # 1178
                    pass  # 1179
                pg = vp.memq.next(pg)  # 1174
        vp.v_iflag &= ~VI.WRMAPDIRTY  # 1183
        if not vp.dirtyblk:  # 1184
            vn_syncer_remove_from_worklist(vp)  # 1185
    return error, wasclean  # 1193


@routine(seed=(760, 1217))
def _cluster(vp: Vnode, pgs: Cluster, pg: PageOrMarker, off: off_t) -> tuple[int32, int32]:
    """Make the page busy and gather its dirty neighbours: ``npages`` and ``nback``."""
    pgs.fill(NULL)  # 1022
    pg.flags |= PG.BUSY  # 1023
    uvm_page_own(pg)  # 1024

    # Backward: the pages found lie at the end of the part looked at; move them to the front.
    npages: int32 = min(MAXPAGES >> 1, off >> PAGE_SHIFT)  # 1030
    nback: int32 = npages  # 1031
    nfound: int32 = 0  # 1032
    nfound, nback = uvn_findpages(
        vp, off - PAGE_SIZE, nback, pgs,
        UFP.NOWAIT | UFP.NOALLOC | UFP.DIRTYONLY | UFP.BACKWARD,
    )  # 1032-1033  # fmt: skip
    if nback != 0:  # 1034
        for i in range(nback):  # 1035-1036
            pgs[i] = pgs[npages - nback + i]  # 1035-1036
        if npages - nback < nback:  # 1037
            for j in range(npages - nback):  # 1038-1039
                pgs[nback + j] = NULL  # 1038-1039
        else:
            for k in range(nback):  # 1041-1042
                pgs[npages - nback + k] = NULL  # 1041-1042
    pgs[nback] = pg  # 1049

    # Forward.
    npages = MAXPAGES - nback - 1  # 1056
    nfound, npages = uvn_findpages(
        vp, off + PAGE_SIZE, npages, pgs[nback + 1:], UFP.NOWAIT | UFP.NOALLOC | UFP.DIRTYONLY
    )  # 1057-1059  # fmt: skip
    npages += nback + 1  # 1060
    return npages, nback  # 1060

"""genfs_do_io (1271-1390): the I/O of mapped, busy pages, block run by block run."""

from __future__ import annotations

from ...checker.lang.prelude import (
    NULL,
    fixed,
    int32,
    kassert,
    mutex_enter,
    mutex_exit,
    routine,
)
from ..kernel.buf import (
    VOP_STRATEGY,
    biodone,
    biowait,
    getiobuf,
    kva_zero,
    nestiobuf_done,
    nestiobuf_setup,
    uvm_aio_biodone,
)
from ..kernel.fs import VOP_BMAP, gop_size
from ..kernel.state import Buf, Kva, Vnode
from ..kernel.types import (
    DEV_BSHIFT,
    FS_BSHIFT,
    PGO,
    Dir,
    Iodone,
    daddr_t,
    errno,
    off_t,
    size_t,
)
from .constants import V_TYPE, VBLK


@routine(seed=(1271, 1390))
def genfs_do_io(
    vp: Vnode, off: off_t, kva: Kva, length: size_t, flags: PGO, rw: Dir, iodone: Iodone
) -> errno:
    async_: bool = not (flags & PGO.SYNCIO)  # 1282
    write: bool = rw == Dir.WRITE  # 1283-1284
    # Two loads, then a third, all without the object lock.
    if fixed("sizes-under-lock"):  # 1290
        mutex_enter(vp.interlock)  # 1290
    kassert(vp.v_size <= vp.v_writesize)  # 1290
    eof: off_t = gop_size(vp, vp.v_writesize, False)  # 1291
    if fixed("sizes-under-lock"):  # 1291
        mutex_exit(vp.interlock)  # 1291
    fs_bshift: int32 = FS_BSHIFT if V_TYPE != VBLK else DEV_BSHIFT  # 1292-1293, 1296
    dev_bshift: int32 = DEV_BSHIFT  # 1294, 1297
    error: errno = 0  # 1299
    startoffset: off_t = off  # 1300
    # Past the end the difference is negative, which the unsigned MIN takes for huge.
    bytes_: size_t = min(length, eof - startoffset)  # 1301
    if fixed("clip-past-eof"):  # 1301
        bytes_ = 0 if eof <= startoffset else min(length, eof - startoffset)  # 1301
    skipbytes: size_t = 0  # 1302
    if not fixed("clip-past-eof"):  # 1303
        kassert(bytes_ != 0)  # 1303
    # With the fix, putpages has counted the write already, before it let the lock go.
    if write and not (fixed("count-before-unlock") and iodone == Iodone.AIO_BIODONE):  # 1305
        mutex_enter(vp.interlock)  # 1306
        vp.v_numoutput += 2  # 1307
        mutex_exit(vp.interlock)  # 1308
    mbp: Buf = getiobuf(vp)  # 1310
    mbp.b_bufsize = length  # 1313
    mbp.kva = kva  # 1314
    mbp.b_bcount = bytes_  # 1315
    mbp.b_resid = bytes_  # 1315
    mbp.age = True  # 1316
    mbp.dir = rw  # 1317-1318, 1321
    if async_:  # 1317
        mbp.b_async = True  # 1318
        mbp.b_iodone = iodone  # 1319
    else:
        mbp.b_async = False  # 1321
        mbp.b_iodone = Iodone.NONE  # 1322
    if fixed("clip-past-eof") and bytes_ == 0:  # 1303
        # A legal page wholly behind what the file stores: done, with nothing to write.
        biodone(mbp)  # 1303
        if not async_:  # 1303
            error = biowait(mbp)  # 1303
            uvm_aio_biodone(mbp)  # 1303
        return error  # 1303
    bp: Buf = NULL  # 1331
    offset: off_t = startoffset  # 1332
    blkno: daddr_t = 0  # 1336
    run: int32 = 0  # 1336
    while bytes_ > 0:  # 1333
        lbn: daddr_t = offset >> fs_bshift  # 1335
        error, blkno, run = VOP_BMAP(vp, lbn)  # 1336
        if error:  # 1337
            skipbytes += bytes_  # 1339
            bytes_ = 0  # 1340
            break  # 1341
        iobytes: size_t = min(((lbn + 1 + run) << fs_bshift) - offset, bytes_)  # 1344-1345
        if blkno == -1:  # 1346
            if not write:  # 1347
                kva_zero(kva, offset - startoffset, iobytes)  # 1348-1349
            skipbytes += iobytes  # 1351
        else:
            if offset == startoffset and iobytes == bytes_:  # 1356
                bp = mbp  # 1357
            else:
                bp = getiobuf(vp)  # 1361
                nestiobuf_setup(mbp, bp, offset - startoffset, iobytes, rw)  # 1362
            bp.b_blkno = blkno + ((offset - (lbn << fs_bshift)) >> dev_bshift)  # 1367-1368
            VOP_STRATEGY(bp)  # 1373
        offset += iobytes  # 1334, 1352
        bytes_ -= iobytes  # 1334, 1352
    nestiobuf_done(mbp, skipbytes, error)  # 1378
    if async_:  # 1379
        return 0  # 1381
    error = biowait(mbp)  # 1384
    uvm_aio_biodone(mbp)  # 1386
    return error  # 1389

"""Every theorem notices a broken formula."""

from __future__ import annotations

import pytest

from genfscheck.proofs.library import arithmetic

from .helpers import answers, mutated

# theorem, file, formula, broken formula
MUTANTS = [
    ("getpages-window", "getpages", "origoffset & ~(fs_bsize - 1)",
     "(origoffset + fs_bsize - 1) & ~(fs_bsize - 1)"),
    ("getpages-window", "getpages", "endoffset = min(endoffset, round_page(memeof))",
     "endoffset = endoffset"),
    ("getpages-window", "getpages", "ridx: int32 = (origoffset - startoffset) >> PAGE_SHIFT",
     "ridx: int32 = (origoffset - startoffset) >> fs_bshift"),
    ("getpages-array", "getpages", "pg1: PageOrDontcare = pgs[ridx + i]",
     "pg1: PageOrDontcare = pgs[ridx + i + 1]"),
    ("getpages-no-overflow", "getpages", "min(totalbytes, max(diskeof - startoffset, 0))",
     "min(totalbytes, diskeof - startoffset)"),
    ("getpages-size-t", "getpages",
     "pgs_size = SIZEOF_PTR * ((endoffset - startoffset) >> PAGE_SHIFT)",
     "pgs_size = SIZEOF_PTR * ((endoffset - startoffset) >> (PAGE_SHIFT + 1))"),
    ("getpages-tail", "getpages", "PAGE_SIZE - (tailstart & PAGE_MASK)", "PAGE_SIZE"),
    ("getpages-pieces", "getpages",
     "iobytes: size_t = min(((lbn + 1 + run) << fs_bshift) - offset, bytes_)",
     "iobytes: size_t = ((lbn + 1 + run) << fs_bshift) - offset"),
    ("getpages-bytes", "getpages", "pcount: int32 = 1  # 504", "pcount: int32 = 2  # 504"),
    ("getpages-bytes", "getpages", "kva_zero(kva, offset - startoffset, iobytes)  # 525-526",
     "kva_zero(kva, offset - startoffset, iobytes - 1)  # 525-526"),
    ("do-io-length", "do_io", "bytes_: size_t = min(length, eof - startoffset)",
     "bytes_: size_t = length"),
    ("do-io-pieces", "do_io", "(lbn + 1 + run) << fs_bshift) - offset, bytes_)",
     "(lbn + run) << fs_bshift) - offset, bytes_)"),
    ("do-io-bytes", "do_io", "(lbn << fs_bshift)) >> dev_bshift",
     "(lbn << fs_bshift)) >> fs_bshift"),
    ("do-io-bytes", "do_io", "skipbytes += iobytes  # 1351", "skipbytes += bytes_  # 1351"),
    ("gop-write-length", "gop_write", "length: size_t = npages << PAGE_SHIFT  # 1234",
     "length: size_t = npages << (PAGE_SHIFT + 2)  # 1234"),
    ("gop-write-rwmap-length", "gop_write", "length: size_t = npages << PAGE_SHIFT  # 1257",
     "length: size_t = npages << (PAGE_SHIFT + 2)  # 1257"),
    ("putpages-cluster", "putpages", "npages = MAXPAGES - nback - 1", "npages = MAXPAGES - nback"),
    ("putpages-cluster", "putpages", "min(MAXPAGES >> 1, off >> PAGE_SHIFT)", "MAXPAGES >> 1"),
    ("putpages-range", "putpages", "((endoff - startoff) >> PAGE_SHIFT) * TREE_PENALTY",
     "((endoff - startoff) * TREE_PENALTY) >> PAGE_SHIFT"),
    ("putpages-scan", "putpages", "off += (npages - nback) << PAGE_SHIFT  # 1148",
     "off += (npages - nback) << (PAGE_SHIFT + 8)  # 1148"),
    ("directio-chunks", "directio", "length &= ~mask  # 1608", "length &= ~(mask >> 1)  # 1608"),
    ("directio-chunks", "directio", "or uio.uio_offset + length > vp.v_size", ""),
    ("directio-no-overflow", "directio", "uio.iov_len -= length  # 1635",
     "uio.iov_len -= length + 1  # 1635"),
    ("directio-mapping", "directio", "koff: int32 = uva - (uva", "koff: int32 = uva + 1 - (uva"),
    ("directio-allocated", "directio", "lbn += 1 + run  # 1703", "lbn += 2 + run  # 1703"),
]  # fmt: skip
QUICK = ("gop-write-length", "gop-write-rwmap-length", "putpages-cluster", "putpages-range",
         "putpages-scan")


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [pytest.param(*each, id=f"{each[0]}-{number}",
                  marks=[] if each[0] in QUICK else [pytest.mark.long])
     for number, each in enumerate(MUTANTS)],
)  # fmt: skip
def test_a_broken_formula_fails(name: str, file: str, old: str, new: str) -> None:
    found = answers(name, mutated(name, file, old, new))
    assert "false" in found, found


def test_every_theorem_that_should_hold_has_a_mutant() -> None:
    fails = {"getpages-entry-overflow", "getpages-entry-centre", "do-io-inside-file",
             "putpages-entry-range", "directio-entry-offset"}
    wanted = {each.name for each in arithmetic() if each.variant == "1.18"} - fails
    assert wanted == {name for name, *_ in MUTANTS}

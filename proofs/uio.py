"""A uio, and what the proofs assume of the services that only direct I/O calls.

As in ``services.py``: ``wait_until`` is assumed of a service, ``check`` is to be proved of the
caller.
"""

from __future__ import annotations

from ..checker.lang.prelude import check, int32, record, routine, single, wait_until
from ..model.kernel.state import Vnode
from ..model.kernel.types import PAGE_MASK, PAGE_SIZE, PGO, errno, off_t, size_t
from .services import some


@record
class Uio:
    """A uio, and of its vectors the first.  Addresses are numbers of 64 bits.

    ``behind``: the bytes of the vectors behind the first.  ``end``: where the whole request
    ends in the file.
    """

    uio_offset: off_t
    uio_resid: size_t
    uio_iovcnt: int32
    iov_base: size_t
    iov_len: size_t
    behind: size_t
    end: size_t


@record
class Vector:
    """Any values: nothing keeps them from one read to the next."""

    base: size_t
    length: size_t


uio: Uio = single(Uio)
vector: Vector = single(Vector)


@routine
def next_vector() -> None:
    """``uio_iov++``: there is one more, and its bytes are of those behind the first.

    Behind the last there are none.
    """
    check("request", uio.uio_iovcnt > 1, "there is no vector left")
    length: size_t = vector.length
    wait_until(length <= uio.behind, "the vector's bytes")
    wait_until(uio.uio_iovcnt > 2 or length == uio.behind, "the last vector's bytes")
    uio.behind -= length
    uio.iov_len = length
    uio.iov_base = vector.base


@routine
def VOP_PUTPAGES(vp: Vnode, startoff: off_t, endoff: off_t, flags: PGO) -> errno:
    """What 787-789 assert."""
    check("request", (flags & (PGO.CLEANIT | PGO.FREE | PGO.DEACTIVATE)) != 0, "nothing to do")
    check("request", (startoff & PAGE_MASK) == 0 and (endoff & PAGE_MASK) == 0, "parts of pages")
    check("request", startoff >= 0 and startoff < endoff, "an empty range")
    return some.error


@routine
def uvm_vslock(uva: size_t, length: size_t) -> errno:
    """Without an error the range is in the user's addresses, which end at 2**47."""
    error: errno = some.error
    wait_until(
        error != 0 or (uva <= (1 << 47) and length <= (1 << 47) - uva), "a user's addresses"
    )
    return error


@routine
def enter_page(poff: int32, klen: size_t) -> None:
    """A page of the mapping."""
    check("request", (poff & PAGE_MASK) == 0, "a part of a page")
    check("window", poff >= 0 and poff + PAGE_SIZE <= klen, "maps behind the addresses taken")

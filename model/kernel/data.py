"""What users may see: file contents as regular registers, and what a flush must save.

Each unit of the file holds a token.  ``legal[u]`` is the set (a bit for each token) that is
right for unit ``u`` now: the last completed store, or each of several that overlapped.  A
store through a mapping is one instruction, so it is complete at once.  A write(2) or a
truncation takes time: its range is ``unfinished_low`` to ``unfinished_high``, and nothing in
there is judged (there is at most one, for both hold the vnode lock exclusively).  A load is
judged at the instant at which it succeeds.  What is past the end of the file is not judged,
except that FOREIGN data may never be seen at all.

``durable`` has one part for each flush that is being judged: for each unit in its range, the
tokens that the disk may hold when it returns success; zero elsewhere.
"""

from __future__ import annotations

from ...checker.lang.prelude import NULL, atomic, check, int32, pure
from .state import Vnode, blocks
from .types import (
    ANYTHING, FILE_UNITS, FOREIGN, FS_BSHIFT, FS_BSIZE, NSYNCS, OFF_MAX, PAGE_MASK, PAGE_SHIFT,
    PAGE_SIZE, PG, ZERO, mask, off_t, token,
)  # fmt: skip


@pure
def token_bit(value: token) -> mask:
    """The set that holds one token."""
    return 1 << value


@pure
def disk_token(vp: Vnode, u: off_t) -> token:
    """What the disk holds for unit ``u``; a hole reads as zero."""
    return (
        ZERO
        if vp.bmap[u >> FS_BSHIFT] < 0
        else blocks[vp.bmap[u >> FS_BSHIFT]].data[u & (FS_BSIZE - 1)]
    )


@pure
def rest_token(vp: Vnode, u: off_t) -> token:
    """What a reader would find at rest: the page if it is resident and valid, else the disk."""
    return (
        disk_token(vp, u)
        if vp.tree[u >> PAGE_SHIFT] is NULL or vp.tree[u >> PAGE_SHIFT].flags & PG.FAKE
        else vp.tree[u >> PAGE_SHIFT].data[u & PAGE_MASK]
    )


@pure
def unfinished(vp: Vnode, u: off_t) -> bool:
    """Is the unit inside an unfinished write or truncation?"""
    return vp.unfinished_low <= u and u < vp.unfinished_high


@pure
def contents_right(vp: Vnode) -> bool:
    """For terminal states: every unit of the file holds what was stored last."""
    return all(
        u >= vp.v_size or unfinished(vp, u) or (vp.legal[u] & token_bit(rest_token(vp, u))) != 0
        for u in range(FILE_UNITS)
    )


@pure
def _being_written(vp: Vnode, u: off_t) -> bool:
    """Is the unit inside an unfinished write, not truncation?"""
    return vp.before[u] != 0 and vp.unfinished_high < OFF_MAX


@atomic
def _add(vp: Vnode, u: off_t, more: mask) -> None:
    """Flushes under way may save these tokens too: they are newer."""
    for s in range(NSYNCS):
        if vp.durable[s * FILE_UNITS + u] != 0:
            vp.durable[s * FILE_UNITS + u] |= more


@atomic
def note_store(vp: Vnode, u: off_t, value: token) -> None:
    """A store through a mapping was done."""
    if u < vp.v_size and not unfinished(vp, u):
        vp.legal[u] = token_bit(value)
    else:
        vp.legal[u] |= token_bit(value)
    _add(vp, u, token_bit(value))


@atomic
def judge_load(vp: Vnode, u: off_t, value: token) -> None:
    """A user was shown this token."""
    check("claim-5-foreign", value != FOREIGN, "a user sees data that are not the file's")
    check(
        "claim-4-read",
        u >= vp.v_size or unfinished(vp, u) or (vp.legal[u] & token_bit(value)) != 0,
        "a user reads something else than the last store",
    )


@atomic
def begin_write(vp: Vnode, low: off_t, high: off_t, value: token) -> None:
    """A write(2) of ``value`` to every unit from ``low`` up to ``high`` begins."""
    for u in range(FILE_UNITS):
        if low <= u and u < high:
            vp.before[u] = vp.legal[u]
            vp.legal[u] = token_bit(value)
            _add(vp, u, token_bit(value))
    vp.unfinished_low = low
    vp.unfinished_high = high


@atomic
def user_failed(vp: Vnode, low: off_t, high: off_t) -> None:
    """The user's memory failed: the kernel put zeros where this part of a write was to go."""
    for u in range(FILE_UNITS):
        if low <= u and u < high:
            vp.before[u] |= token_bit(ZERO)
            _add(vp, u, token_bit(ZERO))


@atomic
def end_write(vp: Vnode, done: off_t) -> None:
    """It ends; what it did not reach, from ``done`` on, is what was there, or not."""
    for u in range(FILE_UNITS):
        if u >= done:
            vp.legal[u] |= vp.before[u]
        vp.before[u] = 0
    vp.unfinished_low = 0
    vp.unfinished_high = 0


@atomic
def _begin_change(vp: Vnode, length: off_t) -> None:
    """Whatever is at or past ``length`` is in flux."""
    for u in range(FILE_UNITS):
        if u >= length:
            _add(vp, u, ANYTHING)
    vp.unfinished_low = length
    vp.unfinished_high = OFF_MAX


@atomic
def begin_truncate(vp: Vnode, length: off_t) -> None:
    """What is cut off is to be zero, whenever the file grows again.

    Behind the old end there may also be what a mapping stored: a truncation does not clear that.
    """
    for u in range(FILE_UNITS):
        if u >= length:
            vp.before[u] = vp.legal[u]
            vp.legal[u] = token_bit(ZERO) if u < vp.i_size else vp.legal[u] | token_bit(ZERO)
    _begin_change(vp, length)


@atomic
def begin_extend(vp: Vnode, length: off_t) -> None:
    """The file grows from ``length`` on, or keeps that length.

    There is zero, or what was stored through a mapping behind the end, in the last page.
    """
    _begin_change(vp, length)


@atomic
def end_truncate(vp: Vnode, success: bool) -> None:
    """The truncation, or extension, is over; a failed one may have zeroed something, or not."""
    for u in range(FILE_UNITS):
        if not success:
            vp.legal[u] |= vp.before[u]
        vp.before[u] = 0
    vp.unfinished_low = 0
    vp.unfinished_high = 0


@atomic
def excuse(vp: Vnode, u: off_t) -> None:
    """A write of this unit failed: nobody can tell any more what should be there."""
    vp.legal[u] = ANYTHING
    _add(vp, u, ANYTHING)


@atomic
def excuse_flushes(vp: Vnode, off: off_t) -> None:
    """A write of the page at this offset failed, and it stays dirty.

    Who only waited for that write, and flushes, is not told: no error is kept for it.
    """
    for j in range(PAGE_SIZE):
        _add(vp, off + j, ANYTHING)


@atomic
def begin_flush(vp: Vnode, slot: int32, low: off_t, high: off_t) -> None:
    """A flush of this range begins: remember what is stored now.

    Of an unfinished write either what was there or what is being written will do; what it puts
    behind the end, and what an unfinished truncation is about to cut off, is not judged.  Nor is
    what no finished store ever reached: a hole may get a block, with old contents, while the
    flush runs.
    """
    for u in range(FILE_UNITS):
        inside: bool = u < vp.v_size and _being_written(vp, u)
        if low <= u and u < high and (inside or not unfinished(vp, u)):
            expected: mask = vp.legal[u] | vp.before[u]
            stored: mask = vp.before[u] if _being_written(vp, u) else vp.legal[u]
            if (stored & token_bit(ZERO)) == 0 or vp.bmap[u >> FS_BSHIFT] >= 0:
                check(
                    "scenario",
                    vp.durable[slot * FILE_UNITS + u] == 0,
                    "two flushes that can run at once have the same slot: the scenario is wrong",
                )
                vp.durable[slot * FILE_UNITS + u] = expected


@atomic
def end_flush(vp: Vnode, slot: int32, success: bool) -> None:
    """It returns; if with success, then the disk holds that, or something newer."""
    for u in range(FILE_UNITS):
        expected: mask = vp.durable[slot * FILE_UNITS + u]
        check(
            "claim-6-integrity",
            not success
            or expected == 0
            or u >= vp.v_size
            or (expected & token_bit(disk_token(vp, u))) != 0,
            "a flush returns success and the disk does not hold the data",
        )
        vp.durable[slot * FILE_UNITS + u] = 0

"""Contracts about the ownership of pages: what a routine requires and ensures, said once.

Both sides use them: a unit calls the routine between the two, and the proof assumes what is
required and shows what is ensured; for a caller it is the other way round (``wrappers.py`` makes
what is compiled for both).  Everything is said of one page, any one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import z3

from .contract import (
    Alike,
    Args,
    Claims,
    Contract,
    Local,
    free,
    locked_still,
    owns_array,
    owns_nothing,
    still_free,
    with_lock,
)
from .page import BUSY, FAKE, FOCUS, NULL_PAGE, WANTED, Seen
from .transfer_contracts import (
    done_hints,
    fill_hints,
    read_hints,
    start_ensures,
    start_hints,
    start_requires,
)
from .wrappers import NOTHING

# ------------------------------------------------------------- finding, giving back


def _find_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    pgs = args.slots("pgs")
    yield "a page of another stands in the array", z3.Implies(now.anywhere(pgs), now.mine)
    yield "a page stands twice in the array", now.once(pgs)


def _find_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield from locked_still(now)
    pgs, n, slots = args.slots("pgs"), args.number("n"), args.number("slots")
    alloc, wait = z3.Not(args.truth("noalloc")), z3.Not(args.truth("nowait"))
    partly = args.truth("dirtyonly")
    yield "a page of the caller has changed", z3.Implies(
        then.mine, z3.And(now.kept(then), now.as_in(then, pgs)))
    yield "a page stands twice", now.once(pgs)
    found = z3.And(z3.Not(then.mine), now.mine)
    yield "the array is not what the caller owns", z3.Implies(
        z3.Not(then.mine), now.mine == now.anywhere(pgs))
    place = now.at(pgs)
    yield "a page outside of the part of the array", z3.Implies(found, z3.And(
        place >= 0, place < n,
        z3.Implies(z3.And(partly, z3.Not(args.truth("backward"))), place < slots),
        z3.Implies(z3.And(partly, args.truth("backward")), place >= n - slots),
    ))  # fmt: skip
    yield "a found page is not as it should be", z3.Implies(found, z3.And(
        now.valid, z3.Or(wait, z3.Not(now.has(WANTED))), z3.Or(alloc, z3.Not(now.has(FAKE)))))
    yield "a wrong number of slots", z3.And(
        z3.Or(partly, slots == n), z3.Implies(n >= 0, z3.And(slots >= 0, slots <= n)))


def _find_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    pgs, n = args.slots("pgs"), args.number("n")
    found = z3.And(z3.Not(then.mine), now.mine)
    yield "own pages are as before", z3.Implies(
        then.mine, z3.And(now.kept(then), now.as_in(then, pgs)))
    yield "found pages are in the array", z3.Implies(
        z3.Not(then.mine), now.mine == now.anywhere(pgs))
    yield "found pages are in its part", z3.Implies(
        found, z3.And(now.at(pgs) >= 0, now.at(pgs) < n))
    yield "found pages are as they should be", z3.Implies(found, z3.And(
        now.valid, z3.Or(z3.Not(args.truth("nowait")), z3.Not(now.has(WANTED))),
        z3.Or(z3.Not(args.truth("noalloc")), z3.Not(now.has(FAKE)))))
    yield "all so far were found", z3.Implies(args.truth("dirtyonly"), local("found") == local("i"))
    yield "so far", z3.And(local("i") >= 0, z3.Or(n < 0, local("i") <= n))


def _give_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    pgs = args.slots("pgs")
    yield "gives back a page of another", z3.Implies(
        now.inside(pgs, 0, args.number("npages")), now.mine)
    yield "a page stands twice in the array", now.once(pgs)


def _give_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield from locked_still(now)
    given = then.inside(args.slots("pgs"), 0, args.number("npages"))
    yield "a page is still the caller's, or another is not", now.mine == z3.And(
        then.mine, z3.Not(given))
    yield "a page of the caller has changed", z3.Implies(now.mine, now.kept(then))


def _give_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    given = then.inside(args.slots("pgs"), 0, args.number("npages"))
    yield "others are as before", z3.Implies(
        z3.And(then.mine, z3.Not(given)), now.kept(then))


# ------------------------------------------------------------------------- getpages


def _look_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    yield from owns_nothing(now)
    yield "a page stands in the array", z3.Not(now.anywhere(args.slots("a_m")))


def _look_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield from locked_still(now)
    pgs = args.slots("a_m")
    yield from owns_array(now, pgs, args.number("a_count"))
    yield "a found page is not valid, or wanted", z3.Implies(
        now.mine, z3.Not(now.has(FAKE | WANTED)))


def _fill_requires(now: Seen, args: Args) -> Claims:
    yield "begins with the object lock", z3.Not(now.held)
    yield from owns_array(now, args.slots("pgs"), args.number("npages"))


def _fill_assumed(args: Args) -> z3.BoolRef:
    """Assumption "something to read"."""
    return z3.Implies(args.truth("async"), z3.And(
        args.number("diskeof") > args.number("startoffset"), args.number("npages") > 0))


def _fill_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    done = z3.And(z3.Not(args.truth("async")), args.number("error") == 0)
    yield "ends with the object lock, or without", now.held == done
    yield "a page is out of order", z3.Implies(done, now.resource)
    yield "a page is lost, or kept", now.mine == z3.And(done, then.mine)
    yield "a page is to be freed", now.valid


def _release_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    yield from owns_array(now, args.slots("pgs"), args.number("npages"))
    yield "a page stands in the caller's array", z3.Implies(
        args.truth("have_m"), z3.Not(now.anywhere(args.slots("a_m"))))
    yield "pages are kept that are not returned", z3.Or(args.truth("have_m"), args.truth("async"))


def _release_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield "ends with the object lock", z3.Not(now.held)
    first, count = args.number("ridx"), args.number("orignpages")
    asked = z3.And(then.inside(args.slots("pgs"), first, first + count),
                   z3.Not(args.truth("async")))
    yield "a page is kept that was not asked for, or is not kept", now.mine == asked
    a_m = args.slots("a_m")
    yield "a page is not returned", z3.Implies(now.mine, now.inside(a_m, 0, count))
    yield "a page of another is returned", z3.Implies(z3.And(
        args.truth("have_m"), z3.Not(args.truth("async")), now.anywhere(a_m)), now.mine)
    yield "a page stands twice in the array", z3.Implies(args.truth("have_m"), now.once(a_m))
    yield "a page is to be freed", now.valid
    yield "a page is returned that is not valid", z3.Implies(
        z3.And(now.mine, z3.Not(args.truth("overwrite"))), z3.Not(now.has(FAKE)))


def _release_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    pgs, a_m = args.slots("pgs"), args.slots("a_m")
    first, count = args.number("ridx"), args.number("orignpages")
    i, j, at = local("i"), local("j"), then.at(pgs)
    asked = z3.And(then.inside(pgs, first, first + count), z3.Not(args.truth("async")))
    yield "those passed are released", now.mine == z3.And(then.mine, z3.Or(at >= i, asked))
    yield "those passed are valid", z3.Implies(
        z3.And(now.mine, at < i, z3.Not(args.truth("overwrite"))), z3.Not(now.has(FAKE)))
    yield "returned as far as passed", z3.Implies(now.mine, z3.Implies(
        at < first + j, z3.And(now.anywhere(a_m), now.at(a_m) == at - first)))
    yield "nothing else is returned", z3.Implies(z3.And(
        now.anywhere(a_m), z3.Not(args.truth("async"))), now.mine)
    yield "returned once", z3.And(
        now.once(a_m), z3.Implies(now.anywhere(a_m), now.at(a_m) == at - first))
    yield "not returned beyond", z3.Implies(now.anywhere(a_m), at < first + j)
    yield "still in the array", now.as_in(then, pgs)


def _get_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    yield from owns_nothing(now)
    yield "a page stands in the array", z3.Implies(
        args.truth("have_m"), z3.Not(now.anywhere(args.slots("pgs"))))
    yield "a request for pages without an array", z3.Or(args.truth("have_m"), z3.Not(
        z3.Or(args.truth("syncio"), args.truth("locked"))))


def _get_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    locked, pgs = args.truth("locked"), args.slots("pgs")
    yield "ends with the object lock, or without", now.held == locked
    yield "a page is out of order", z3.Implies(locked, now.resource)
    yield "owns pages after a failure, or a request that does not wait", z3.Implies(
        z3.And(z3.Not(locked), z3.Or(args.number("error") != 0, z3.Not(args.truth("syncio")))),
        z3.Not(now.mine))
    yield "the array is not what the caller owns", z3.Implies(now.mine, z3.And(
        now.inside(pgs, 0, args.number("n")), now.once(pgs), now.valid))
    yield "a page of another is returned", z3.Implies(
        z3.And(now.anywhere(pgs), z3.Or(locked, z3.And(
            args.truth("syncio"), args.number("error") == 0))), now.mine)
    yield "a page is returned that is not valid", z3.Implies(
        z3.And(now.mine, z3.Or(locked, z3.Not(args.truth("overwrite")))), z3.Not(now.has(FAKE)))
    yield "a page is wanted though nobody can have looked", z3.Implies(
        z3.And(now.mine, locked), z3.Not(now.has(WANTED)))


# ------------------------------------------------------------------------- putpages


def _gather_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    yield from owns_nothing(now)
    yield "the page is busy", z3.Implies(
        args.number("pg") == FOCUS, z3.And(now.live, z3.Not(now.has(BUSY))))


def _gather_assumed(args: Args) -> z3.BoolRef:
    """Assumption "page"."""
    return args.number("off") >= 0


def _gather_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield from locked_still(now)
    yield from owns_array(now, args.slots("pgs"), args.number("npages"))
    yield "the page is not in the cluster", z3.Implies(args.number("pg") == FOCUS, now.mine)


def _gather_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    """Where a page found backwards stands while those found are moved to the front."""
    pgs, back = args.slots("pgs"), local("_cluster.nback")
    gap = local("_cluster.npages") - back
    one, two = now.at(pgs), now.again_at(pgs)
    some, once = now.anywhere(pgs), now.once(pgs)

    def twice(old_from: z3.ArithRef, new_to: z3.ArithRef) -> z3.BoolRef:
        """It stands in a new place and still in the old one."""
        return z3.And(gap > 0, z3.Or(*(
            z3.And(old == new + gap, new >= 0, new < new_to, old >= old_from, new < back)
            for new, old in ((one, two), (two, one)))))

    for i in local.each("_cluster.i"):
        yield "moved so far", z3.Implies(some, z3.If(
            once,
            z3.And(one >= 0, one < gap + back, z3.Or(one - gap >= i, z3.And(
                one < i, z3.Or(one + gap < i, gap == 0)))),
            twice(i, i)))
        yield "moved up to", z3.And(i >= 0, i <= back)
    for j in local.each("_cluster.j"):
        yield "emptied behind them", z3.Implies(some, z3.If(
            once, z3.And(one >= 0, one < back, z3.Or(one + gap < back + j, gap == 0)),
            twice(back + j, back)))
    for k in local.each("_cluster.k"):
        yield "emptied where they stood", z3.Implies(some, z3.If(
            once, z3.And(one >= 0, one < back, one < k), twice(gap + k, back)))


def _write_requires(now: Seen, args: Args) -> Claims:
    yield "begins with the object lock", z3.Not(now.held)
    yield "the array is not what the thread owns", now.mine == now.inside(
        args.slots("pgs"), 0, args.number("npages"))
    yield "a page of the array is not busy", z3.Implies(now.mine, z3.And(now.has(BUSY), now.live))
    yield "a page stands twice in the array", z3.Implies(now.mine, now.once(args.slots("pgs")))


def _scan_requires(now: Seen, args: Args) -> Claims:
    yield from with_lock(now)
    yield from owns_nothing(now)


def _scan_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield from locked_still(now)
    yield from owns_nothing(now)


def _scan_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    pgs, npages, dirty = local.slots("pgs"), local("npages"), local.truth("needs_clean")
    by_list = local.truth("by_list")
    goes_on = z3.Or(by_list, local("off") < local("endoff"))
    yield "the page at hand is in use", z3.Implies(
        z3.And(goes_on, local("pg") == FOCUS), now.live)
    yield "the page behind is in use", z3.Implies(
        z3.And(by_list, local("nextpg") == FOCUS), now.live)
    yield "nothing is left behind", z3.Implies(by_list, local("nextpg") == NULL_PAGE)
    yield "what is being written is not freed", z3.Implies(
        z3.And(by_list, dirty), local("nextpg") == NULL_PAGE)
    yield "at most twice, then first", z3.Or(
        now.once(pgs), now.at(pgs) == 0, now.again_at(pgs) == 0)
    yield "the cluster is the thread's", z3.Implies(dirty, z3.And(
        now.once(pgs), now.valid_to_write,
        now.mine == now.anywhere(pgs), z3.Implies(now.mine, now.inside(pgs, 0, npages))))
    yield "a clean page is not busy", z3.Implies(z3.Not(dirty), z3.And(
        npages == 1, z3.Implies(now.first_in(pgs), z3.Not(now.has(BUSY)))))
    for i in local.each("_scan.i"):
        yield "a clean page is in use until it is freed", z3.Implies(z3.And(
            z3.Not(dirty), i <= 0, now.first_in(pgs)), now.live)


def _fault_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    pgs, i, at = local.slots("pgs"), local("i"), now.at(local.slots("pgs"))
    yield "the array holds what is left", z3.Implies(now.mine, z3.And(
        now.anywhere(pgs), now.valid, z3.Not(now.has(FAKE | WANTED))))
    yield "those passed are given back", now.mine == z3.And(
        now.anywhere(pgs), z3.Or(at >= i, at == local("behind")))


FREE: Final = Contract(NOTHING, free, still_free)

CONTRACTS: Final[Mapping[str, Contract]] = {
    "uvn_findpages": Contract(
        ("n", "noalloc=flags & UFP.NOALLOC", "nowait=flags & UFP.NOWAIT",
         "dirtyonly=flags & UFP.DIRTYONLY", "backward=flags & UFP.BACKWARD", "pgs", "slots"),
        _find_requires, _find_ensures, ("pgs",), _find_hints, results=("", "slots")),
    "genfs_rel_pages": Contract(
        ("pgs", "npages"), _give_requires, _give_ensures, (), _give_hints),
    "_locked": Contract(("a_m", "a_count"), _look_requires, _look_ensures, ("a_m",)),
    "_io": Contract(
        ("pgs", "npages", "startoffset", "diskeof", "async=async_", "error"),
        _fill_requires, _fill_ensures, (), fill_hints, assumed=_fill_assumed,
        results=("error",)),
    "_read_loop": Contract(
        ("pgs", "npages", "bytes=bytes_", "mbp", "skipbytes", "started"),
        start_requires, start_ensures, (), read_hints, transfers=True,
        results=("", "skipbytes", "", "started")),
    "_release": Contract(
        ("pgs", "npages", "ridx", "orignpages", "a_m", "overwrite", "async=async_",
         "have_m"),
        _release_requires, _release_ensures, ("a_m",), _release_hints),
    "call_getpages": Contract(
        ("pgs", "n", "locked=flags & PGO.LOCKED", "syncio=flags & PGO.SYNCIO",
         "overwrite=flags & PGO.OVERWRITE", "have_m", "error"),
        _get_requires, _get_ensures, ("pgs",), results=("error",)),
    "_cluster": Contract(
        ("pgs", "pg", "off", "npages", "nback"), _gather_requires, _gather_ensures, ("pgs",),
        _gather_hints, assumed=_gather_assumed, results=("npages", "nback")),
    "genfs_gop_write": Contract(
        ("pgs", "npages"), _write_requires, still_free, (),
        start_hints("genfs_do_io", "genfs_do_io.startoffset", True, "!genfs_do_io.async_")),
    "genfs_gop_write_rwmap": Contract(
        ("pgs", "npages"), _write_requires, still_free, (),
        start_hints("genfs_do_io", "genfs_do_io.startoffset", True, "!genfs_do_io.async_")),
    "_scan": Contract(NOTHING, _scan_requires, _scan_ensures, (), _scan_hints,
                      Alike(1085, "tpg", "needs_clean", BUSY)),
    "call_putpages": Contract(NOTHING, _scan_requires, still_free),
    "fault": Contract(NOTHING, free, still_free, (), _fault_hints),
    "ubc_fault": FREE,
    "copy_over": FREE,
    "ufs_balloc_range": FREE,
    "aiodone": Contract(NOTHING, free, still_free, (), done_hints),
}  # fmt: skip

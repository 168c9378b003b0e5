"""Starting transfers and finishing them: contracts, and what may be invariants of their loops."""

from __future__ import annotations

import z3

from ...checker.symbolic.values import as_bool
from .contract import Args, Claims, Hints, Local, owns_array
from .page import BUSY, FOCUS, NULL_BUF, PAGEOUT, RELEASED, Seen, Slots
from .transfers import MAP, NO_CALL, WRITE, Buffer


def _window(now: Seen) -> z3.BoolRef:
    return as_bool(now.state["S", "window.mine"])


def _made(now: Seen, waits: z3.BoolRef, writes: bool) -> z3.BoolRef:
    """The buffer is as it was made."""
    buffer = Buffer(now)
    return z3.And(
        buffer.field("parent") == NULL_BUF, as_bool(buffer.field("live")),
        buffer.field("kva") == 0, as_bool(buffer.field("b_async")) == z3.Not(waits),
        z3.Implies(waits, buffer.field("b_iodone") == NO_CALL),
        (buffer.field("dir") == WRITE) == z3.BoolVal(writes),
    )


def _maps(now: Seen, then: Seen, pgs: Slots, count: z3.ArithRef) -> z3.BoolRef:
    """The window maps the pages that the array had."""
    return z3.And(
        now.anywhere(MAP) == then.mine, now.once(MAP), Buffer(now).count == count,
        z3.Implies(now.anywhere(MAP), now.at(MAP) == then.at(pgs)))


def _under_way(
    then: Seen, now: Seen, waits: z3.BoolRef, left: z3.ArithRef, writes: bool
) -> Claims:
    """While transfers are started; ``left``: so many bytes are still the thread's business."""
    buffer = Buffer(now)
    yield "has the window as long as the buffer", _window(now) == buffer.mine
    yield "has the buffer as long as there is something left", z3.Implies(
        z3.Or(left > 0, waits), z3.And(buffer.mine, buffer.right))
    yield "the buffer is what it was made", z3.Implies(buffer.mine, _made(now, waits, writes))
    yield "no other pages", z3.And(z3.Implies(now.mine, then.mine), z3.Implies(
        z3.And(buffer.mine, buffer.has_page), then.mine))
    yield "pages are the thread's or the buffer's", z3.Implies(z3.And(
        buffer.mine, then.mine), z3.And(z3.Or(now.mine, buffer.has_page), now.has(BUSY)))
    yield "pages are gone with the buffer", z3.Or(buffer.mine, z3.Not(now.mine))
    yield "pages are kept", z3.Implies(then.valid, now.valid)
    yield "pages have been handed over", z3.Implies(z3.And(
        buffer.mine, z3.Not(buffer.private), buffer.passes), z3.Not(now.mine))
    yield "pages have not been handed over", z3.Implies(z3.And(
        buffer.mine, z3.Or(buffer.private, z3.Not(buffer.passes))), now.mine == then.mine)
    yield "the share is what is left", buffer.share == left
    yield "nothing is handed over, and all is left", z3.Implies(z3.And(
        buffer.mine, buffer.private), z3.And(
            buffer.share == buffer.field("b_resid"),
            z3.Or(buffer.share > 0, z3.Not(buffer.passes))))


def start_hints(routine: str, begin: str, writes: bool, waits: str) -> Hints:
    """For the loop that starts transfers, at the variable ``begin`` first."""

    def hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
        pgs, npages, buffer = args.slots("pgs"), args.number("npages"), Buffer(now)
        rest, skipped = local(f"{routine}.bytes_"), local(f"{routine}.skipbytes")
        wait = local.truth(waits) if waits[0] != "!" else z3.Not(local.truth(waits[1:]))
        yield from _under_way(then, now, wait, rest + skipped, writes)
        yield from _outside(then, now, pgs, npages, local)
        yield "nothing less than nothing is left", z3.And(rest >= 0, skipped >= 0)
        yield "skipped behind the begin", skipped <= local(f"{routine}.offset") - local(begin)
        for i in local.each("_hand_over.i"):
            yield "handed over so far", z3.Implies(
                z3.And(buffer.in_window, now.at(MAP) < i), buffer.has_page)

    return hints


def _outside(
    then: Seen, now: Seen, pgs: Slots, npages: z3.ArithRef, local: Local
) -> Claims:
    """Before there is a buffer, and when it has been given back."""
    buffer = Buffer(now)
    yield "has the window", _window(now)
    yield "has the buffer", buffer.mine
    yield "has no buffer", z3.Not(buffer.mine)
    yield "the window maps the array's pages", z3.Implies(
        _window(now), _maps(now, then, pgs, npages))
    yield "still in the array", now.as_in(then, pgs)
    yield "pages stay with the thread", now.mine == then.mine
    for i in local.each("uvm_pagermapin.i"):
        yield "mapped so far", z3.And(
            now.once(MAP), now.anywhere(MAP) == now.inside(pgs, 0, i),
            z3.Implies(now.anywhere(MAP), now.at(MAP) == now.at(pgs)))


def fill_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    pgs, npages, buffer = args.slots("pgs"), args.number("npages"), Buffer(now)
    waits = z3.Not(args.truth("async"))
    yield from _outside(then, now, pgs, npages, local)
    yield from _under_way(then, now, waits, local("_io.skipbytes"), False)
    for i in local.each("_hand_over.i"):
        yield "handed over so far", z3.Implies(
            z3.And(buffer.in_window, now.at(MAP) < i), buffer.has_page)
    for j in local.each("_io.j"):
        yield "looked at so far", z3.Implies(z3.And(
            now.mine, now.at(pgs) >= j), z3.Not(now.has(RELEASED | PAGEOUT)))
    for k in local.each("uvm_page_unbusy.i"):
        yield "given back so far", now.mine == z3.And(then.mine, now.at(pgs) >= k)


def start_requires(now: Seen, args: Args) -> Claims:
    yield "begins with the object lock", z3.Not(now.held)
    pgs, npages, buffer = args.slots("pgs"), args.number("npages"), Buffer(now)
    yield from owns_array(now, pgs, npages)
    waits = z3.Not(as_bool(buffer.field("b_async")))
    yield "has no buffer of its own", z3.And(buffer.mine, buffer.private, buffer.right,
                                             _made(now, waits, False), z3.Not(buffer.has_page))
    yield "has no window, or another", z3.And(_window(now), _maps(now, now, pgs, npages))
    yield "the buffer has another residue", z3.And(
        buffer.share == buffer.field("b_resid"), buffer.share == args.number("bytes"),
        buffer.share >= 0, z3.Or(waits, buffer.share > 0))
    yield "not the buffer", args.number("mbp") == FOCUS


def start_ensures(then: Seen, now: Seen, args: Args) -> Claims:
    yield "ends with the object lock", z3.Not(now.held)
    waits, skipped = z3.Not(as_bool(Buffer(then).field("b_async"))), args.number("skipbytes")
    yield from _under_way(then, now, waits, skipped, False)
    yield "less than nothing is skipped", skipped >= 0
    yield "a buffer is let go too late", z3.Implies(Buffer(now).mine, Buffer(now).right)


def read_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    pgs, buffer = args.slots("pgs"), Buffer(now)
    waits = z3.Not(as_bool(Buffer(then).field("b_async")))
    rest, skipped = local("_read_loop.bytes_"), local("_read_loop.skipbytes")
    yield from _under_way(then, now, waits, rest + skipped, False)
    yield "still in the array", now.as_in(then, pgs)
    yield "nothing less than nothing is left", z3.And(rest >= 0, skipped >= 0)
    yield "skipped behind the begin", (
        skipped <= local("_read_loop.offset") - local("startoffset"))
    for i in local.each("_hand_over.i"):
        yield "handed over so far", z3.Implies(
            z3.And(buffer.in_window, now.at(MAP) < i), buffer.has_page)
    yield "has the buffer", buffer.mine


def done_hints(then: Seen, now: Seen, args: Args, local: Local) -> Claims:
    buffer, pgs = Buffer(now), local.slots("uvm_aio_aiodone.pgs")
    npages = local("uvm_aio_aiodone.npages")
    yield "between two buffers", z3.Not(
        z3.Or(now.held, now.mine, buffer.mine, _window(now)))
    yield "has the buffer", z3.And(
        buffer.mine, buffer.private, buffer.field("parent") == NULL_BUF)
    yield "has the window", as_bool(now.state["S", "window.mine"])
    yield "nothing is left to the buffer", z3.Not(buffer.has_page)
    yield "the array is what the thread has", z3.And(
        now.once(pgs), now.mine == now.anywhere(pgs),
        z3.Implies(now.mine, z3.And(now.has(BUSY), now.live)))
    yield "the array's part", z3.Implies(now.mine, now.inside(pgs, 0, npages))
    i = local("_take_pages.i")
    yield "taken so far", z3.And(
        now.once(MAP), now.once(pgs), now.mine == now.anywhere(pgs),
        now.anywhere(pgs) == now.inside(MAP, 0, i),
        z3.Implies(now.anywhere(pgs), now.at(pgs) == now.at(MAP)),
        z3.Implies(z3.And(buffer.in_window, now.at(MAP) >= i), buffer.has_page))
    for number, j in enumerate(local.each("uvm_page_unbusy.i")):
        yield f"given back so far {number}", now.mine == z3.And(
            now.anywhere(pgs), now.at(pgs) >= j)

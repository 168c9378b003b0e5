"""Exclusive ownership of busy pages: which routines, and what their callers promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import z3

from ...checker.symbolic.values import as_bool
from ...checker.symbolic.view import Execution
from .rules import BUSY, FAKE, FOCUS, PAGEOUT, RELEASED, WANTED, PageRules, bits

CHECKS = ("claim-1-ownership", "claim-11-getpages", "claim-11-putpages")
PARAMETERS = (
    ("FILE_PAGES", 2), ("FS_BSHIFT", 2), ("MAXPHYS_PAGES", 2), ("NBUFS", 2), ("NKVA", 1),
    ("NPAGES", 2), ("PAGEDAEMON", 0), ("WAPBL", 0),
)  # fmt: skip
SIZES = "any number of threads and of pages in memory; arrays and blocks of two pages; one file"


def rules(routine: str) -> PageRules:
    """The rules for a routine: what its callers promise."""
    return PageRules(("claim-1-ownership",), ENTER[routine], LEAVE.get(routine))


def _locked(execution: Execution, rules: PageRules) -> int:
    """The object lock is held, and everything in order.  Returns the number of the array."""
    for fact in (rules.held(execution), rules.resource(execution), rules.exclusive(execution)):
        execution.assume(fact)
    execution.assume(z3.Not(as_bool(execution.shared("bufs.live"))))
    for number, var in enumerate(execution.thread.locals):
        if var.name == "pgs":
            return number
    return -1


def _array_is_own(execution: Execution, rules: PageRules) -> None:
    """What is in the array belongs to the caller, and nothing else does."""
    array = _locked(execution, rules)
    execution.assume(as_bool(execution.state["in", array]) == rules.mine(execution))


def _array(execution: Execution) -> int:
    return next(n for n, var in enumerate(execution.thread.locals) if var.name == "pgs")


def _array_is_own_still(execution: Execution, rules: PageRules) -> None:
    """At the end the caller owns exactly what is in the array, and nothing is there twice."""
    array = _array(execution)
    execution.oblige("end", "array", z3.And(
        as_bool(execution.state["in", array]) == rules.mine(execution),
        z3.Not(as_bool(execution.state["in2", array])),
    ), "the array is not what the caller owns")  # fmt: skip
    execution.oblige("end", "order", z3.And(rules.held(execution), rules.resource(execution)),
                     "ends without the object lock, or with a page out of order")


def _given_back(execution: Execution, rules: PageRules) -> None:
    """Of the array's pages only those past the first ``n`` are still the caller's."""
    array, then = _array(execution), execution.entry
    number = {var.name: n for n, var in reversed(list(enumerate(execution.thread.locals)))}
    count = then["L", number.get("npages", number.get("npgs", -1))]
    at = then["at", array]
    kept = z3.And(as_bool(then["in", array]), z3.Or(at < 0, at >= count))
    execution.oblige("end", "array", rules.mine(execution) == kept,
                     "a page of the array is still the caller's, or another is not")
    execution.oblige("end", "order", z3.And(rules.held(execution), rules.resource(execution)),
                     "ends without the object lock, or with a page out of order")


def _local(execution: Execution, name: str) -> int:
    return next(n for n, var in enumerate(execution.thread.locals) if var.name == name)


def _page_is_own(execution: Execution, rules: PageRules) -> None:
    """The page that is handed in belongs to the caller, who owns no other; with the lock."""
    _locked(execution, rules)
    page = execution.state["L", _local(execution, "pg")]
    execution.assume((page == FOCUS) == rules.mine(execution))
    # The callers have looked: a page to be freed takes another way.
    absent = FAKE | RELEASED | PAGEOUT | (WANTED if _is_neighbour(execution) else 0)
    execution.assume(z3.Not(bits(execution.shared("pages.flags"), absent)))


def _is_neighbour(execution: Execution) -> bool:
    """Found and mapped without letting the lock go: nobody can have come to wait."""
    return execution.thread.name == "_map_neighbour"


def _page_is_own_unlocked(execution: Execution, rules: PageRules) -> None:
    """The same, without the object lock."""
    execution.assume(z3.Not(rules.held(execution)))
    execution.assume(rules.exclusive(execution))
    execution.assume(z3.Implies(rules.mine(execution), bits(execution.shared("pages.flags"), BUSY)))
    execution.assume(z3.Implies(rules.mine(execution), as_bool(execution.shared("pages.live"))))
    execution.assume(z3.Not(bits(execution.shared("pages.flags"), PAGEOUT)))
    page = execution.state["L", _local(execution, "pg")]
    execution.assume((page == FOCUS) == rules.mine(execution))


def _owns_nothing_more(execution: Execution, rules: PageRules) -> None:
    execution.oblige("end", "page", z3.Not(rules.mine(execution)), "a page is still the caller's")
    execution.oblige(
        "end", "order", z3.Or(z3.Not(rules.held(execution)), rules.resource(execution)),
        "a page is out of order")  # fmt: skip


def _filled(execution: Execution, rules: PageRules) -> None:
    """PGO_LOCKED begins: the caller owns nothing, its array holds no pages."""
    _locked(execution, rules)
    execution.assume(z3.Not(rules.mine(execution)))
    execution.assume(z3.Not(as_bool(execution.state["in", _local(execution, "a_m")])))


def _returned(execution: Execution, rules: PageRules) -> None:
    """PGO_LOCKED ends: the caller owns what is in its array."""
    array = _local(execution, "a_m")
    execution.oblige("end", "array", as_bool(execution.state["in", array])
                     == rules.mine(execution), "the array is not what the caller owns")
    execution.oblige("end", "order", z3.And(rules.held(execution), rules.resource(execution)),
                     "ends without the object lock, or with a page out of order")


def _kept_request(execution: Execution, rules: PageRules) -> None:
    """Of the window's pages only those that were asked for are still the caller's."""
    then, array = execution.entry, _local(execution, "pgs")
    first = then["L", _local(execution, "ridx")]
    count = then["L", _local(execution, "orignpages")]
    at = then["at", array]
    execution.oblige("end", "request", z3.Implies(
        rules.mine(execution),
        z3.And(as_bool(then["in", array]), at >= first, at < first + count,
               z3.Not(as_bool(then["L", _local(execution, "async_")]))),
    ), "a page is kept that was not asked for")  # fmt: skip
    execution.oblige("end", "lock", z3.Not(rules.held(execution)), "ends with the object lock")


def _window_is_own(execution: Execution, rules: PageRules) -> None:
    """As :func:`_array_is_own`; the window's pages are the first ``npages`` slots."""
    _array_is_own(execution, rules)
    array = _local(execution, "pgs")
    execution.assume(z3.Not(bits(execution.shared("pages.flags"), PAGEOUT)))
    execution.assume(z3.Not(as_bool(execution.state["in", _local(execution, "a_m")])))
    execution.assume(execution.state["at", array]
                     < execution.state["L", _local(execution, "npages")])


LEAVE: dict[str, Callable[[Execution, PageRules], None]] = {
    "uvn_findpages": _array_is_own_still,
    "genfs_rel_pages": _given_back,
    "_map_page": _owns_nothing_more,
    "_map_neighbour": _owns_nothing_more,
    "_map_window_page": _owns_nothing_more,
    "_locked": _returned,
    "_release": _kept_request,
}
ENTER: dict[str, Callable[[Execution, PageRules], None]] = {
    "uvn_findpages": _array_is_own,
    "genfs_rel_pages": _array_is_own,
    "_map_page": _page_is_own,
    "_map_neighbour": _page_is_own,
    "_map_window_page": _page_is_own_unlocked,
    "_locked": _filled,
    "_release": _window_is_own,
}


def claims() -> Iterator[tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...], bool]]:
    """Name, statement, units (a routine, and whose contracts it uses), long."""
    yield (
        "protocol-ownership",
        "the routines that find, return, map and give back pages (uvn_findpages, uvm_page_unbusy, "
        "genfs_rel_pages, the PGO_LOCKED part and the end of getpages, what maps pages), run by "
        "any thread among others that keep to the same rules: a page is BUSY exactly while one "
        "thread or one buffer owns it, whenever the object lock is free; nobody takes BUSY on an "
        "owned page, un-busies or frees another's, or changes its BUSY, FAKE, CLEAN or RDONLY",
        tuple((routine, ()) for routine in ENTER),
        False,
    )

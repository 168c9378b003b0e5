"""Exclusive ownership of busy pages: which routines, and what their callers promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import z3

from ...checker.symbolic.values import as_bool
from ...checker.symbolic.view import Execution
from .rules import PageRules

CHECKS = ("claim-1-ownership", "claim-11-getpages", "claim-11-putpages")
PARAMETERS = (
    ("FILE_PAGES", 2), ("FS_BSHIFT", 2), ("MAXPHYS_PAGES", 2), ("NBUFS", 2), ("NKVA", 1),
    ("NPAGES", 2), ("PAGEDAEMON", 0), ("WAPBL", 0),
)  # fmt: skip
SIZES = ("any number of threads, of pages in memory and of pages asked for; one file")


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


def _owns_none(execution: Execution, rules: PageRules) -> None:
    """The caller owns nothing, and its array is empty."""
    array = _locked(execution, rules)
    execution.assume(z3.Not(rules.mine(execution)))
    if array >= 0:
        execution.assume(z3.Not(as_bool(execution.state["in", array])))


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


LEAVE: dict[str, Callable[[Execution, PageRules], None]] = {
    "uvn_findpages": _array_is_own_still,
    "genfs_rel_pages": _given_back,
}
ENTER: dict[str, Callable[[Execution, PageRules], None]] = {
    "uvn_findpages": _array_is_own,
    "genfs_rel_pages": _array_is_own,
    "uvm_page_unbusy": _array_is_own,
    "call_getpages": _owns_none,
    "_cluster": _owns_none,
}


def claims() -> Iterator[tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...], bool]]:
    """Name, statement, units (a routine, and whose contracts it uses), long."""
    yield (
        "protocol-ownership",
        "uvn_findpages, uvm_page_unbusy and genfs_rel_pages, run by any thread among any others: a "
        "page is BUSY exactly while one thread or one buffer in flight owns it whenever the object "
        "lock is free; nobody takes BUSY on an owned page, un-busies or frees another's, or changes "
        "BUSY, FAKE, CLEAN or RDONLY of it; BUSY changes only under the object lock",
        (("uvn_findpages", ()), ("genfs_rel_pages", ())),
        False,
    )

"""What is said of one page, and of the list, by the routines that have contracts.

``requires`` and ``ensures`` are obligations of the caller and of the routine; ``known`` is what
theorem protocol-ownership proves of the same call, assumed here by both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import z3

from ...checker.symbolic.obligations import FOCUS, NOBODY
from ...checker.symbolic.values import BITS, as_bool
from .contract import Args, Claims
from .page import BUSY, CLEAN, FAKE, NULL_BUF, Seen
from .wrappers import NOTHING

ONWORKLST = 1
WRITE_ENTRY = 2
# The offset that a scan of everything ends at; no page is so far.
LAST: Final = z3.Int("LLONG_MAX")


class Look(Seen):
    """Predicates about one state of the page and of its vnode."""

    @property
    def listed(self) -> z3.BoolRef:
        return (self.state["S", "vnodes.v_iflag"] & z3.BitVecVal(ONWORKLST, BITS)) != 0

    @property
    def writable(self) -> z3.BoolRef:
        """Can somebody store to the page without a fault?"""
        return self.state["S", "pages.pte"] == WRITE_ENTRY

    @property
    def modified(self) -> z3.BoolRef:
        return as_bool(self.state["S", "pages.modified"])

    @property
    def has_buffer(self) -> z3.BoolRef:
        return self.state["S", "pages.io"] != NULL_BUF

    @property
    def at_rest(self) -> z3.BoolRef:
        """Whenever the object lock is free; with ``always``, claim 3 of ``properties.py``."""
        return z3.Or(z3.Not(self.live), self.has(BUSY), self.listed,
                     z3.And(self.has(CLEAN), z3.Not(self.modified)))

    @property
    def kept(self) -> z3.BoolRef:
        """Of a busy page: to un-busy it is no harm.  Who fills a FAKE page clears the bit."""
        return z3.Or(self.listed, z3.And(
            self.has(CLEAN), z3.Or(self.has(FAKE), z3.Not(self.modified))))

    @property
    def always(self) -> z3.BoolRef:
        """What no step breaks."""
        return z3.And(
            z3.Implies(self.writable, z3.And(self.listed, self.live)),
            z3.Implies(self.has_buffer, self.kept),
        )

    @property
    def clean(self) -> z3.BoolRef:
        """Nothing can be lost, now or without a fault: what makes it safe to unlist."""
        return z3.And(z3.Not(self.writable), z3.Or(z3.Not(self.live), z3.And(
            z3.Not(self.owned), self.has(CLEAN), z3.Not(self.modified))))

    @property
    def safe(self) -> z3.BoolRef:
        """The thread's own page, if it is one, may be un-busied."""
        return z3.Implies(self.mine, self.kept)

    def safe_or(self, other: z3.BoolRef) -> z3.BoolRef:
        return z3.Implies(self.mine, z3.Or(self.kept, other))

    @property
    def owned_in_use(self) -> z3.BoolRef:
        """Of theorem protocol-ownership: who owns a page."""
        return z3.And(
            self.exclusive,
            z3.Implies(self.has_buffer, z3.And(
                self.has(BUSY), self.live, self.state["S", "pages.owner"] == NOBODY)),
        )  # fmt: skip


def locked(now: Look) -> Claims:
    yield "without the object lock", now.held
    yield "a page is dirty, and the vnode is not listed", now.at_rest


def unlocked(now: Look) -> Claims:
    yield "with the object lock", z3.Not(now.held)


def _nothing(then: Look, now: Look, args: Args) -> z3.BoolRef:
    return z3.BoolVal(True)


def _owns_none(then: Look, now: Look, args: Args) -> z3.BoolRef:
    return z3.Not(now.mine)


Before: TypeAlias = Callable[[Look, Args], Claims]
Behind: TypeAlias = Callable[[Look, Look, Args], Claims]


@dataclass(frozen=True, slots=True)
class Listing:
    """A contract.  ``known``: proved by protocol-ownership; ``alone``: it begins with no page."""

    arguments: tuple[str, ...]
    requires: Before
    ensures: Behind
    known: Callable[[Look, Look, Args], z3.BoolRef] = _nothing
    alone: bool = False
    results: tuple[str, ...] = ()


# ------------------------------------------------------------------------- getpages


def _find_requires(now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "a page of the caller is dirty, and the vnode is not listed", now.safe


def _find_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "a page is found dirty, and the vnode is not listed", now.safe
    yield "unlisted, though the lock is kept", z3.Implies(
        z3.And(args.truth("nowait"), then.listed), now.listed)


def _start_requires(now: Look, args: Args) -> Claims:
    yield from unlocked(now)
    yield "a page of the caller is dirty, and the vnode is not listed", now.safe
    yield "an offset that is negative", args.number("startoffset") >= 0
    yield "allocates blocks to read", z3.Implies(args.truth("blockalloc"), args.truth("write"))


def _start_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield from unlocked(now)
    yield "a page is made dirty, and the vnode is not listed", now.safe_or(
        z3.And(args.truth("write"), now.has(FAKE)))


def _fill_requires(now: Look, args: Args) -> Claims:
    yield from _start_requires(now, args)
    yield "a write access that does not wait", z3.Not(
        z3.And(args.truth("write"), args.truth("async")))


def _filled(now: Look, args: Args) -> z3.BoolRef:
    return z3.And(z3.Not(args.truth("async")), args.number("error") == 0)


def _fill_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield "with the object lock, or without", now.held == _filled(now, args)
    yield "a page is dirty, and the vnode is not listed", z3.Implies(now.held, now.at_rest)
    yield "a page is made dirty, and the vnode is not listed", now.safe_or(args.truth("write"))


def _fill_known(then: Look, now: Look, args: Args) -> z3.BoolRef:
    return z3.Implies(now.mine, z3.And(_filled(now, args), then.mine))


def _get_requires(now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "a write access that does not wait", z3.Implies(args.truth("write"), z3.Or(
        args.truth("syncio"), args.truth("locked")))
    yield "reads to overwrite", z3.Implies(args.truth("overwrite"), args.truth("write"))


def _get_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield "with the object lock, or without", now.held == args.truth("locked")
    yield "a page is dirty, and the vnode is not listed", z3.Implies(now.held, now.at_rest)
    yield "a page is returned to be written, and the vnode is not listed", z3.Implies(
        z3.And(now.mine, args.truth("write")), now.listed)
    yield "a page is returned dirty, and the vnode is not listed", now.safe


def _get_known(then: Look, now: Look, args: Args) -> z3.BoolRef:
    return z3.Implies(now.mine, z3.And(
        now.has(BUSY), now.live,
        z3.Or(args.truth("locked"), z3.And(args.truth("syncio"), args.number("error") == 0)),
        z3.Or(z3.Not(now.has(FAKE)), z3.And(
            args.truth("overwrite"), z3.Not(args.truth("locked"))))))


# ------------------------------------------------------------------------- putpages


def _gather_requires(now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "the page may be lost", z3.Implies(args.number("pg") == FOCUS, now.kept)


def _gather_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "a page is found dirty, and the vnode is not listed", now.safe


def _write_requires(now: Look, args: Args) -> Claims:
    yield from unlocked(now)
    yield "a page is written that is dirty, and the vnode is not listed", now.safe


def _write_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield from unlocked(now)


def _scan_requires(now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "the page daemon asks for everything", z3.Not(z3.And(
        args.truth("pagedaemon"), args.number("startoff") == 0, args.number("endoff") == LAST))
    yield "cleans though it was not asked to", z3.Implies(
        args.truth("clean"), args.truth("asked to clean"))


def _scan_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield from locked(now)


def _put_requires(now: Look, args: Args) -> Claims:
    yield from locked(now)
    yield "the page daemon asks for everything", z3.Implies(args.truth("pagedaemon"), z3.And(
        args.number("high") != 0, args.number("high") < LAST, z3.Not(args.truth("allpages"))))


def _put_ensures(then: Look, now: Look, args: Args) -> Claims:
    yield from unlocked(now)


FREE: Final = Listing(
    NOTHING, lambda now, args: unlocked(now), lambda then, now, args: unlocked(now), _owns_none,
    alone=True)
WRITE: Final = Listing(NOTHING, _write_requires, _write_ensures, _owns_none)

LISTINGS: Final[Mapping[str, Listing]] = {
    "uvn_findpages": Listing(("nowait=flags & UFP.NOWAIT",), _find_requires, _find_ensures),
    "_read_loop": Listing(
        ("pgs", "startoffset", "write", "blockalloc"), _start_requires, _start_ensures),
    "_io": Listing(
        ("startoffset", "write", "blockalloc", "async=async_", "error"), _fill_requires,
        _fill_ensures, _fill_known, results=("error",)),
    "call_getpages": Listing(
        ("write", "locked=flags & PGO.LOCKED", "syncio=flags & PGO.SYNCIO",
         "overwrite=flags & PGO.OVERWRITE", "error"), _get_requires, _get_ensures, _get_known,
        alone=True, results=("error",)),
    "_cluster": Listing(("pg",), _gather_requires, _gather_ensures, alone=True),
    "genfs_gop_write": WRITE,
    "genfs_gop_write_rwmap": WRITE,
    "_scan": Listing(
        ("startoff", "endoff", "clean=flags & PGO.CLEANIT",
         "asked to clean=origflags & PGO.CLEANIT", "pagedaemon"), _scan_requires,
        _scan_ensures, _owns_none, alone=True),
    "call_putpages": Listing(
        ("high", "allpages=flags & PGO.ALLPAGES", "pagedaemon"), _put_requires, _put_ensures,
        _owns_none, alone=True),
    # These are proved as a thread that begins with them: with nothing.
    "fault": FREE,
    "ubc_fault": FREE,
    "copy_over": FREE,
    "ufs_balloc_range": FREE,
}  # fmt: skip

"""genfs_getpages (94-696), one execution of the whole routine: every flag, size, offset is open."""

from __future__ import annotations

from dataclasses import replace

import z3

from ...checker.symbolic.conditions import Claim, Frame
from ...checker.symbolic.state import exact
from .common import BUFFERS, SIZES_READ, WATCH, not_negative, within_files
from .hole_steps import hole_pages, marked
from .lemmas import each_way, placed
from .loop_steps import forgotten
from .page_steps import at_count, at_window, page_new, reached, run_new, run_of_pages
from .piece import READ, so_far
from .reading import (
    BYTES,
    at_402,
    at_434,
    at_486,
    at_519,
    at_562,
    at_565,
    both,
    never_valid,
    of_byte,
    read_loop,
    skip_loop,
    tail,
    watched,
)
from .request import (
    as_size_t,
    at_266,
    at_271,
    at_275,
    at_279,
    callers,
    entry,
    given_back,
    legal_window,
    near,
    slots,
)
from .skip_steps import at_skip, at_skipped, at_valid
from .window_steps import at_end, at_length, at_request, at_slots

ZERO, ONE = exact(0), exact(1)

FRAME = Frame(
    invariants={
        74: lambda v: ZERO <= v["genfs_rel_pages.i"],
        220: lambda v: ZERO <= v["_locked.i"],
        239: lambda v: ZERO <= v["_locked.j"],
        333: lambda v: z3.And(
            ZERO <= v["_getpages.i"], v["_getpages.i"] <= v["_getpages.npages"]
        ),
        356: lambda v: ZERO <= v["_getpages.k"],
        434: tail,
        453: both(read_loop, of_byte),
        461: both(skip_loop, of_byte),
        505: lambda v: z3.And(*run_of_pages(v), run_new(v)),
        529: lambda v: z3.And(ZERO <= v["_read_loop.i"], marked(v)),
        605: lambda v: ZERO <= v["_io.i"],
        630: lambda v: ZERO <= v["_io.j"],
        652: lambda v: ZERO <= v["_release.i"],
        686: lambda v: ZERO <= v["_release.j"],
    },
    cuts={
        266: at_266, 271: at_271, 275: at_275, 279: at_279, 402: at_402, 434: at_434,
        486: both(at_486, of_byte, lambda v: [page_new(v)]),
        519: both(at_519, of_byte, reached),
        562: lambda v: z3.And(*at_562(v)),
    },
    forgets={562: forgotten(READ)},
    claims=(
        Claim("window", 275, legal_window), Claim("size-t", 279, as_size_t),
        Claim("hole-pages", 529, hole_pages),
        Claim("filled", 565, at_565), Claim("valid-kept", 565, never_valid),
    ),
    lemmas=(
        *at_request(271), *at_end(274, 275), *at_length(277), *at_slots(279),
        *at_valid(468), *at_skipped(469), *at_skip(475), *READ.at_run(501), *READ.at_size(503),
        *at_count(509), *at_window(519), *READ.at_end(519), *BYTES,
        *placed(648, [each_way("slots", given_back)]),
    ),
    given={402: lambda v: z3.And(*watched(v))},
    # KASSERT(464) is about any page: take the watched byte to be the one at ``offset``.
    hints={464: lambda v: v["watch.position"] == so_far(v)},
    tracked=WATCH | BUFFERS,
    stable={"pages.flags": 4},
    lengths={"_getpages.pgs": slots, "a_m": lambda v: v["a_count"]},
    smashed=frozenset({"_getpages.pgs", "a_m"}),
    reads={name: within_files for name in SIZES_READ},
)  # fmt: skip
# What the entry assertions alone allow: nothing is cut, so that failures are executions.
ENTRY_FRAME = Frame(
    tracked=WATCH | BUFFERS,
    lengths={"_getpages.pgs": slots, "a_m": lambda v: v["a_count"]},
    smashed=frozenset({"_getpages.pgs", "a_m"}),
    reads={name: not_negative for name in SIZES_READ},
)
CENTRE_FRAME = replace(
    ENTRY_FRAME,
    claims=(Claim("not-empty", 271, lambda v: v["_getpages.orignpages"] >= ONE),),
    reads={name: within_files for name in SIZES_READ},
)

__all__ = ["CENTRE_FRAME", "ENTRY_FRAME", "FRAME", "callers", "entry", "near"]

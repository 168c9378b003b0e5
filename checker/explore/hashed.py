"""Exploring with fingerprints: 64 bits for each visited state, and a number for what that risks.

A violation that is found is real, since every expanded state is there as a whole; its trace
comes from a lossless search of the same depth.  "holds" comes with a bound on the probability
that a state was taken for another one and left out.
"""

from __future__ import annotations

import math

from ..lang import ir
from .errors import InternalError
from .explore import Run, explore
from .native.handle import load
from .native.hashing import HashedSearch
from .native.search import Wanted
from .result import Granularity, ProgressCallback, Result
from .search import Bounds

BITS = 64


def omission(states: int) -> float:
    """The most that the probability can be that two of so many states have one fingerprint.

    Fingerprints are taken for independent and uniform; then it is at most the expected number
    of pairs that share one (n (n - 1) / 2 pairs, each with probability 2^-64).
    """
    return min(1.0, math.ldexp(states * (states - 1), -BITS - 1))


def explore_hashed(
    program: ir.Program,
    *,
    granularity: Granularity = "reduced",
    workers: int = 1,
    bounds: Bounds,
    progress: ProgressCallback | None = None,
) -> Result:
    """Explore breadth first, to the end or to the depth of the first violation.

    Threads that can never finish are not looked for, nor are ample sets used.  Of the result's
    ``witnesses`` there are only those that were not seen: to the others there is no path.
    Raises NativeUnavailable without a C compiler.
    """
    run = Run(program, granularity, progress, workers, reduction=False)
    library = load(run.known)
    search = run.settle(
        lambda: HashedSearch(
            library, run.known, Wanted(run.stops, run.checks), run.terms(bounds)
        )
    )
    stats, native = search.native.stats(), search.native
    depth, seen = stats.layers - 1, native.witnesses
    violated = search.violated and not search.abandoned
    covered = search.covered()
    result = run.result_of(search)
    search.close()
    if violated:
        return _with_traces(program, granularity, workers, bounds, progress, depth)
    result.engine = "native"
    result.states, result.transitions, result.depth = stats.states, stats.transitions, depth
    result.covered, result.state_bytes = covered, library.model.layout.size
    result.stored_bytes, result.search_seconds = stats.memory, search.seconds
    result.witnesses = {
        witness.name: None
        for which, witness in enumerate(program.witnesses)
        if not seen >> which & 1
    }
    result.omission = omission(stats.states)
    if result.complete:
        result.note = (
            f"fingerprints of {BITS} bits: a state was left out with a probability of at most "
            f"{result.omission:.1e}; threads that can never finish were not looked for"
        )
    return run.timed(result)


def _with_traces(
    program: ir.Program, granularity: Granularity, workers: int, bounds: Bounds,
    progress: ProgressCallback | None, depth: int,
) -> Result:  # fmt: skip
    """What a lossless search finds at the depth at which fingerprints found something."""
    result = explore(
        program, granularity=granularity, engine="native", workers=workers, first=True,
        max_states=bounds.states, max_seconds=bounds.seconds, max_memory=bounds.memory,
        reduction=False, progress=progress,
    )  # fmt: skip
    if result.complete and not result.violations:
        raise InternalError("a violation with fingerprints, and none without")
    if result.violations:
        result.note = "found with fingerprints; traces from a lossless search of the same depth"
    else:
        result.note = (
            f"with fingerprints a violation was found {depth} steps deep; the lossless search "
            "for its trace did not come so far"
        )
    return result

"""Exploring with checkpoints: a native search that is saved, and that another process takes up."""

from __future__ import annotations

from ..lang import ir
from .explore import Run
from .native.checkpoint import Identity, Keeping, KeptSearch, Saved, finished, identity, resume
from .native.handle import Library
from .native.search import NativeSearch
from .result import Granularity, ProgressCallback, Result
from .search import Bounds


def explore_kept(
    program: ir.Program,
    keeping: Keeping,
    *,
    granularity: Granularity = "reduced",
    workers: int = 1,
    bounds: Bounds,
    progress: ProgressCallback | None = None,
    reduction: bool = True,
) -> Result:
    """What :func:`~.explore.explore` does with the native engine, kept in a file.

    A search that is resumed reports exactly what it would have without the interruption.
    Raises NativeUnavailable without a C compiler, CheckpointError for a checkpoint that cannot
    be used; a save that fails is told to ``keeping``, and the search goes on.
    """
    return _KeptRun(program, granularity, progress, workers, keeping, reduction).native(bounds)


class _KeptRun(Run):
    """One exploration that is kept."""

    def __init__(
        self,
        program: ir.Program,
        granularity: Granularity,
        progress: ProgressCallback | None,
        workers: int,
        keeping: Keeping,
        reduction: bool,
    ) -> None:
        super().__init__(program, granularity, progress, workers, reduction)
        self.keeping, self._resume = keeping, keeping.resume
        self._own: Identity | None = None

    def _reductions(self, library: Library) -> tuple[str, ...]:
        """What the first search may use; the second one, for the report, is kept as its part."""
        if self.granularity == "fine":
            return ()
        if not self.thrifty:
            return ("merging",)
        return ("merging", "ample", *(("symmetry",) if self.quotient(library) else ()))

    def search_natively(self, library: Library, bounds: Bounds) -> NativeSearch:
        keeping = self.keeping
        if self._own is None:
            self._own = identity(
                library, keeping.scenario, keeping.variant, keeping.fixes, self.granularity,
                self._reductions(library),
            )  # fmt: skip
        own = self._own
        saved: Saved | None = None
        resumed, self._resume = self._resume, None
        if resumed is not None:
            saved = resume(resumed, own)
            keeping.own = keeping.save == resumed
            self.restarts = saved.header["restarts"]
            self.started -= saved.header["seconds"]
            self.thrifty = saved.header["counted"] is not None
            if self.reduction is not None:
                self.reduction.assume(saved.header["assumptions"])

        def make() -> KeptSearch:
            nonlocal saved
            first, saved = saved, None
            if first is None:
                wanted = self.wanted(library)
            else:
                stops, checks, active = first.searched()
                wanted = self.wanted(library, (stops, checks), active)
            return KeptSearch(
                library, self.known, wanted, self.terms(bounds), keeping, own, self.reduction,
                first, self.counted,
            )  # fmt: skip

        search = self.settle(make)
        if self.to_repeat(search):
            pass  # the next one is kept in the same file
        elif search.complete:
            finished(keeping)
        elif keeping.save is not None:
            keeping.ended(search.save())
        return search

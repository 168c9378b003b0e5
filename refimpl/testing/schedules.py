"""Hypothesis chooses the schedule: who comes first, and where a thread is preempted.

Few preemptions suffice for most bugs (Musuvathi and Qadeer 2007; Burckhardt, Kothari,
Musuvathi and Nagarakatte 2010): their places are drawn before the run, and so is an order of
the threads (`Prioritized`).  A failure shrinks towards few threads, few operations, few
preemptions.  Where the task is known, the places are drawn from those that it has (`places`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import hypothesis.strategies as st

from ..schedule import Chooser
from .priorities import Place, Prioritized

# A preemption comes at the n-th place of a kind since the last one: a store of a word that no
# mutex protects, a place where others could notice, any place.
_STORE, _SHARED, _ANY = "store", "shared", "any"
_PREEMPTION = st.one_of(
    st.tuples(st.just(_SHARED), st.integers(1, 16)),
    st.tuples(st.just(_SHARED), st.integers(1, 48)),
    st.tuples(st.just(_STORE), st.integers(1, 8)),
    st.tuples(st.just(_ANY), st.integers(1, 120)),
)


class Drawn:
    """Makes the choices of a `Chooser` by drawing them."""

    def __init__(
        self, data: st.DataObject, places: Sequence[Place] = (), preemptions: int = 3
    ) -> None:
        """``places``: where preemptions are worth while; by default any that can be counted."""
        self._data = data
        # Mostly one or two; a list alone would be empty too often.
        count = min(preemptions, data.draw(st.sampled_from([1, 1, 1, 1, 0, 2, 2, 3])))
        self._preemptions = deque(self._preemption(places) for _ in range(count))
        self._counted = 0  # places that the next preemption counted
        self._slow = data.draw(st.sampled_from([False] * 7 + [True]), label="slow")
        # Now and then somebody else than the first is taken: at which choice, and whom.
        odd = st.tuples(st.integers(1, 12), st.integers(1, 3))
        strange = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
        self._odd = dict(data.draw(odd, label="odd choice") for _ in range(strange))
        self._choices = 0
        # Picks are made by the machine's threads, which cannot draw.
        self._picks = deque(data.draw(st.lists(st.integers(0, 3), max_size=8), label="picks"))

    def chooser(self) -> Chooser:
        """A hook that asks this object."""
        return Prioritized(
            self._preempts,
            arranged=lambda names: self._data.draw(st.permutations(names), label="order"),
            other=self._other,
            pick=self._pick,
            slow=self._slow,
        )

    def _preemption(self, places: Sequence[Place]) -> Place | tuple[str, int]:
        if places and self._data.draw(st.sampled_from([True, True, True, False]), label="known"):
            return self._data.draw(st.sampled_from(places), label="preemption")
        return self._data.draw(_PREEMPTION, label="preemption")

    def _preempts(self, place: Place) -> bool:
        if not self._preemptions or not self._comes(place, self._preemptions[0]):
            return False
        self._preemptions.popleft()
        self._counted = 0
        return True

    def _comes(self, place: Place, wanted: Place | tuple[str, int]) -> bool:
        if isinstance(wanted, Place):
            return (place.thread, place.number) == (wanted.thread, wanted.number)
        unit, number = wanted
        self._counted += unit == _ANY or (place.shared if unit == _SHARED else place.kind == unit)
        return self._counted == number

    def _other(self, count: int) -> int:
        self._choices += 1
        return min(self._odd.get(self._choices, 0), count - 1)

    def _pick(self, thread: str, label: str, count: int) -> int:
        """Choices inside a step: which of the queued transfers, which waiting writer."""
        return self._picks.popleft() % count if self._picks else 0

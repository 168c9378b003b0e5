"""Rounds of measurements, and what is compared: medians of ratios within a round.

Machines are noisy and drift, so that times of different runs say little.  Every round measures
every tool once, one after the other; a ratio is taken within a round, and its median reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from .measure import Sample


@dataclass(slots=True)
class Series:
    """The samples of one program, by way, one for each round; why a way was left out."""

    scenario: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def rounds(self, *ways: str) -> Iterable[tuple[Sample, ...]]:
        """The samples of some ways, round by round; none where one of them is missing."""
        if all(way in self.samples for way in ways):
            yield from zip(*(self.samples[way] for way in ways), strict=False)

    def middle(self, way: str, what: Callable[[Sample], float]) -> float | None:
        """The median of a number over the rounds."""
        samples = self.samples.get(way)
        return median(map(what, samples)) if samples else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A comparison: how often ``value`` the one is of the other, and what was aimed at."""

    name: str
    of: str
    to: str
    what: str
    value: float | None
    aim: float


def rate(sample: Sample) -> float:
    """States a second of the search alone."""
    return sample.states / max(sample.search, 1e-9)


def _ratio(
    series: Series, name: str, of: str, to: str, what: str, aim: float,
    value: Callable[[Sample], float],
) -> Ratio:  # fmt: skip
    values = [
        value(one) / max(value(two), 1e-9)
        for one, two in series.rounds(of, to)
        if one.complete or what == "states a second"
    ]
    return Ratio(name, of, to, what, median(values) if values else None, aim)


def ratios(series: Series) -> list[Ratio]:
    """What is compared, of one program."""
    rates = "states a second"
    return [
        _ratio(series, "beside SPIN, unreduced", "native", "spin", rates, 5.0, rate),
        _ratio(series, "two workers", "native, 2 workers", "native", rates, 1.7, rate),
        _ratio(series, "two cores, search", "spin, 2 cores", "native, 2 workers", "seconds", 5.0,
               lambda sample: sample.search),
        _ratio(series, "beside the python engine", "native", "python", rates, 10.0, rate),
        _ratio(series, "own reduction, search", "spin, reduced", "native, reduced", "seconds",
               10.0, lambda sample: sample.search),
        _ratio(series, "own reduction, verdict", "spin, reduced", "native, reduced", "seconds",
               10.0, lambda sample: sample.verdict),
        _ratio(series, "own reduction, with compilation", "spin, reduced", "native, reduced",
               "seconds", 10.0, lambda sample: sample.verdict + sample.compile),
    ]  # fmt: skip


def disagreements(series: Series, unreduced: Sequence[str]) -> list[str]:
    """Complete unreduced searches that did not store equally many states, or disagree."""
    complete = {
        way: sample
        for way in unreduced
        for sample in series.samples.get(way, ())[:1]
        if sample.complete
    }
    found = []
    counts = {sample.states for sample in complete.values()}
    if len(counts) > 1:
        each = ", ".join(f"{way} {sample.states:,}" for way, sample in complete.items())
        found.append(f"{series.scenario}: states differ: {each}")
    verdicts = {
        sample.violated for samples in series.samples.values() for sample in samples
        if sample.complete
    }  # fmt: skip
    if len(verdicts) > 1:
        found.append(f"{series.scenario}: verdicts differ")
    return found

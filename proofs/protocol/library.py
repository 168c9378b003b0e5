"""The theorems about the protocol, and running them."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..running import Task, together
from ..theorem import Outcome
from . import counters, listed_units, mappings, ownership
from .deciding import Part, Theorem, outcome, prove_unit
from .unit import CALLS, Unit, source_of, strengthened, texts

# What the longest units take, about: they begin first.
SECONDS: Final = {
    ("locks", "write"): 17.0, ("locks", "call_getpages"): 9.0, ("locks", "call_putpages"): 6.0,
    ("ownership", "of_gop_write"): 9.0, ("ownership", "of_gop_write_rwmap"): 9.0,
    ("ownership", "of_io"): 8.0, ("ownership", "of_read_loop"): 5.0, ("ownership", "write"): 4.0,
    ("counters", "of_io"): 13.0, ("counters", "of_read_loop"): 10.0,
    ("counters", "of_gop_write"): 5.0, ("counters", "of_gop_write_rwmap"): 5.0,
    ("listed", "listed_scan"): 9.0, ("listed", "listed_getpages"): 8.0,
}  # fmt: skip
# All of the model's.
ACTORS: Final = (*ownership.ACTORS, "aiodone", "device", "disk")
# Everything that a parameter of 1 compiles is compiled, but for DEBUG.
BASE: Final = (("METADATA", 1), ("NBUFS", 2), ("PAGEDAEMON", 1), ("SHOULD_YIELD", 1))
WORD_SIZES: Final = (
    "any number of threads, pages and blocks; with a journal; without DEBUG; one file; all "
    "arguments of the calls"
)
LOCK_SIZES: Final = WORD_SIZES.replace("with a journal", "with and without a journal")


def _both(units: Iterable[Unit], *routines: str) -> Iterator[Unit]:
    """Of these routines also with the other function that writes pages."""
    for unit in units:
        yield unit
        if unit.routine in routines:
            yield replace(unit, parameters=(*unit.parameters, ("RWMAP", 1)))


def _lock_units() -> tuple[Unit, ...]:
    found = []
    for journal in (0, 1):
        base = (*BASE, ("WAPBL", journal))
        found += [Unit(name, "locks", base) for name in CALLS]
        found += [Unit(name, "locks", base, CALLS) for name in ACTORS]
    return tuple(_both(found, "call_putpages"))


def _word_units() -> tuple[Unit, ...]:
    base = (*BASE, ("NPAGES", 2), ("WAPBL", 1))
    return tuple(_both((
        *(Unit(name, "words", base) for name in CALLS),
        # A journal's flusher stores to none of them.
        *(Unit(name, "words", base, CALLS) for name in ACTORS if name != "journal_flusher"),
    ), "call_putpages"))  # fmt: skip


def _mapping_units() -> tuple[Unit, ...]:
    return tuple(_both((
        Unit(name, "mappings", mappings.PARAMETERS, () if name in CALLS else CALLS)
        for name in (*CALLS, *ownership.ACTORS, "aiodone")), "call_putpages"))


def _listed_units() -> tuple[Unit, ...]:
    return tuple(_both((
        Unit(routine, "listed", listed_units.parameters(routine),
             (*contracts, *listed_units.MAPPINGS))
        for routine, contracts in listed_units.UNITS
    ), "listed_scan"))  # fmt: skip


def _ownership_units() -> tuple[Unit, ...]:
    return tuple(_both((
        Unit(routine, "ownership", ownership.parameters(routine), contracts)
        for routine, contracts in ownership.UNITS
    ), "of_scan"))  # fmt: skip


@functools.cache
def theorems() -> tuple[Theorem, ...]:
    """For the revision as it is, then with every fix."""
    from ..library import fixes

    every = fixes(source_of(texts(), ()))
    found: list[Theorem] = []
    for variant, switched in (("1.18", ()), ("hardened", every)):
        suffix = "" if variant == "1.18" else f"-{variant}"
        found.append(Theorem(
            f"protocol-locks{suffix}",
            "no thread takes a mutex or reader/writer lock that it holds, releases one that it "
            "does not hold, or waits for anything but a mutex with a mutex held; every call of "
            "getpages and putpages begins with the object lock, and ends with every lock and "
            "transaction as at entry, the object lock kept exactly with PGO_LOCKED",
            variant, LOCK_SIZES, _lock_units(), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"protocol-lock-order{suffix}",
            "there is one order of the vnode lock, the gate and the transactions of the mount, the "
            "journal's lock, g_glock, busy pages, the object lock and the lock of the page queues "
            "in which every thread waits for them; so no circle of threads waits for these alone, "
            "but for circles among busy pages",
            variant, LOCK_SIZES, _lock_units(), switched, order=True,
        ))  # fmt: skip
        found.append(Theorem(
            f"protocol-words{suffix}",
            "no update of a page's flags, of v_iflag, v_numoutput or g_dirtygen overwrites "
            "another thread's: each is stored to only with the object lock, or in a step that "
            "needs it free; and whenever that lock is released VI_WRMAPDIRTY implies VI_ONWORKLST",
            variant, WORD_SIZES, _word_units(), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"{counters.NAME}{suffix}", counters.STATEMENT, variant, counters.SIZES,
            tuple(Unit(routine, "counters", parameters, contracts)
                  for routine, parameters, contracts in counters.units(ownership.ACTORS)), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"{mappings.NAME}{suffix}", mappings.STATEMENT, variant, mappings.SIZES,
            _mapping_units(), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"protocol-dirty-implies-listed{suffix}", listed_units.STATEMENT, variant,
            listed_units.SIZES, _listed_units(), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"protocol-cleaned-before-freed{suffix}", listed_units.LOST_STATEMENT, variant,
            listed_units.SIZES,
            tuple(each for each in _listed_units()
                  if each.routine in ("listed_putpages", "listed_scan")),
            switched, kind=listed_units.LOST,
        ))  # fmt: skip
        found.append(Theorem(
            f"{ownership.NAME}{suffix}", ownership.STATEMENT, variant, ownership.SIZES,
            _ownership_units(), switched,
        ))  # fmt: skip
    return tuple(found)


def run(names: Sequence[str] = (), workers: int = 1) -> Iterator[tuple[Theorem, Outcome]]:
    """Decide theorems (none named: all but the long ones), each when it is done.

    Raises KeyError for a name that no theorem has.
    """
    known = {each.name: each for each in theorems()}
    for name in names:
        if name not in known:
            raise KeyError(name)
    chosen = [each for each in theorems() if (each.name in names if names else not each.long)]
    yield from together([Protocol(chosen)], workers)


Job = tuple[Unit, tuple[str, ...]]


def _timed(unit: Unit, fixes: Sequence[str]) -> tuple[Part, float]:
    started = time.process_time()
    part = prove_unit(unit, fixes)
    return part, time.process_time() - started


class Protocol:
    """Theorems and their units, for :func:`..running.together`; each unit is decided once.

    ``seconds`` are those of processors, of all units of the theorem.
    """

    def __init__(self, chosen: Sequence[Theorem]) -> None:
        self._left = list(chosen)
        self._jobs: list[Job] = list(
            dict.fromkeys((unit, each.fixes) for each in chosen for unit in each.units)
        )
        self._done: dict[Job, tuple[Part, float]] = {}

    def total(self) -> int:
        return len(self._jobs)

    def tasks(self) -> list[Task]:
        return [Task(job, _timed, job, SECONDS.get((job[0].view, job[0].routine), 1.0))
                for job in self._jobs]

    def done(
        self, key: Job, result: tuple[Part, float]
    ) -> tuple[list[Task], list[tuple[Theorem, Outcome]]]:
        self._done[key] = result
        decided = []
        for each in list(self._left):
            jobs = [(unit, each.fixes) for unit in each.units]
            if all(job in self._done for job in jobs):
                self._left.remove(each)
                parts = [self._done[job][0] for job in jobs]
                seconds = sum(self._done[job][1] for job in jobs)
                decided.append((each, outcome(each, parts, seconds)))
        return [], decided


def export(names: Sequence[str], folder: Path) -> int:
    """Write every question as SMT-LIB 2, a file for each: ``unsat`` means that it holds.

    Of loop invariants only those that were found inductive are assumed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for theorem in theorems():
        if names and theorem.name not in names:
            continue
        for position, unit in enumerate(theorem.units):
            execution, decider, _ = strengthened(unit, theorem.fixes)
            for each in execution.obligations:
                if theorem.claims(each.kind):
                    name = f"{theorem.name}-{position:02}-{unit.routine}-{each.node}.smt2"
                    (folder / name).write_text(decider.smt2(each))
                    count += 1
    return count

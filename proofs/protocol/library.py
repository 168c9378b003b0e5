"""The theorems about the protocol, and running them."""

from __future__ import annotations

import ast
import functools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import z3

from ...checker.lang.compile import compile_routine
from ...checker.lang.source import Function, Source, load, with_primitives
from ...checker.symbolic.houdini import Answer, Decider
from ...checker.symbolic.view import Execution, Rules
from ..running import Task, together
from ..theorem import Failure, Outcome, Verdict
from . import counters, listed, listed_units, locks, mappings, ownership, waits, words

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PACKAGE: Final = __package__.rpartition(".")[0].rpartition(".")[0]
FOLDERS: Final = ("model/genfs", "model/kernel", "model/actors")
# Contracts about locks; about the ownership of pages; and the routines that are held to these.
SERVICES: Final = f"{PACKAGE}.proofs.protocol.services"
SUMMARIES: Final = f"{PACKAGE}.proofs.protocol.summaries"
SUBJECTS: Final = f"{PACKAGE}.proofs.protocol.subjects"
LISTING: Final = f"{PACKAGE}.proofs.protocol.listing"
LISTING_SUBJECTS: Final = f"{PACKAGE}.proofs.protocol.listing_subjects"
# Modules of contracts, and what calls the routines that are held to them.
CONTRACTS: Final = {SERVICES: None, SUMMARIES: SUBJECTS, LISTING: LISTING_SUBJECTS}
RLIMIT: Final = 30_000_000
# What the longest units take, about: they begin first.
SECONDS: Final = {
    ("locks", "call_getpages"): 30.0, ("locks", "call_putpages"): 30.0,
    ("ownership", "of_gop_write"): 15.0, ("ownership", "of_gop_write_rwmap"): 15.0,
    ("ownership", "of_io"): 12.0, ("ownership", "of_read_loop"): 8.0,
}  # fmt: skip


# Kinds of obligations that theorems of their own are about.
APART: Final = ("order", listed_units.LOST)


@dataclass(frozen=True, slots=True)
class Unit:
    """One routine, executed by one thread among any number of others.

    ``contracts``: the names of the routines whose contracts stand for them.
    """

    routine: str
    view: str
    parameters: tuple[tuple[str, int], ...] = ()
    contracts: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Whose contracts they are."""
        if self.view == "counters" and self.contracts != CALLS:
            return SUMMARIES
        return {"ownership": SUMMARIES, "listed": LISTING}.get(self.view, SERVICES)


@dataclass(frozen=True, eq=False)
class Theorem:
    """A claim: all obligations of all its units hold."""

    name: str
    statement: str
    variant: str
    sizes: str
    units: tuple[Unit, ...]
    fixes: tuple[str, ...] = ()
    long: bool = False
    order: bool = False
    # It claims obligations of this kind alone; others leave them out.
    kind: str = ""

    def claims(self, kind: str) -> bool:
        """Is an obligation of this kind one of the theorem's?"""
        own = "order" if self.order else self.kind
        return kind == own if own else kind not in APART


@functools.cache
def texts() -> Mapping[str, tuple[str, str]]:
    """The model's sources, and the contracts, by module."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
    files += [ROOT / "proofs" / "protocol" / f"{name}.py"
              for name in ("services", "summaries", "subjects", "listing", "listing_subjects")]
    found: dict[str, tuple[str, str]] = {}
    for path in files:
        if path.name != "__init__.py":
            relative = path.relative_to(ROOT)
            found[".".join((PACKAGE, *relative.with_suffix("").parts))] = (
                str(relative), path.read_text(),
            )  # fmt: skip
    return found


# Windows of any length: loops over every slot that look at those in use, as loops over these.
LOOPS: Final = tuple(
    (f"in range(WINDOW_PAGES):\n{indent}if i < {count}:\n{indent}    {first}",
     f"in range({count}):\n{indent}if i < {count}:\n{indent}    {first}")
    for indent, count, first in (
        (" " * 8, "npages", "kva.map[i] = pgs[i]"),
        (" " * 12, "mbp.kva.npages", "mbp.kva.map[i].owner"),
        (" " * 8, "bp.kva.npages", "pg: Page"),
    )
)  # fmt: skip


def source_of(
    given: Mapping[str, tuple[str, str]], contracts: Iterable[str], module: str = SERVICES,
    windows: bool = True,
) -> Source:  # fmt: skip
    """Parse; put contracts in the places of what they stand for; actors become routines.

    ``module``: that of the contracts, one of :data:`CONTRACTS`; ``windows``: those of the pager
    map are of any length.
    """
    others = {each for pair in CONTRACTS.items() for each in pair} - {module, CONTRACTS[module]}
    chosen_texts = {name: text for name, text in given.items() if name not in others}
    if module != SERVICES and windows:
        chosen_texts = {name: (path, _any_length(text))
                        for name, (path, text) in chosen_texts.items()}
    source = load(with_primitives(chosen_texts))
    services = source.modules[module]
    chosen = set(contracts)
    wanted = {name: services.symbols[name] for name in chosen}
    for name, symbol in list(services.symbols.items()):
        # Those that nobody calls would be a second routine of the name.
        if isinstance(symbol, Function) and symbol.kind == "routine" and name not in chosen and (
            module != SERVICES or name[0] != "_"
        ):
            del services.symbols[name]
    for each in source.modules.values():
        for name, symbol in list(each.symbols.items()):
            if each is not services and isinstance(symbol, Function):
                if name in wanted:
                    each.symbols[name] = _same_header(symbol, wanted[name])
                elif symbol.kind == "actor":
                    each.symbols[name] = replace(symbol, kind="routine")
    return source


def _same_header(routine: Function, contract: object) -> Function:
    """The contract, which takes what the routine takes, with the same defaults, and returns such.

    Raises ValueError where it does not.
    """
    assert isinstance(contract, Function)
    for part in ("args", "returns"):
        theirs, ours = (getattr(each.node, part) for each in (routine, contract))
        if (theirs and ast.dump(theirs)) != (ours and ast.dump(ours)):
            raise ValueError(f"{contract.name}: the contract's {part} are not the routine's")
    return contract


def _any_length(text: str) -> str:
    for old, new in LOOPS:
        text = text.replace(old, new)
    return text


def rules_of(unit: Unit, fixes: Sequence[str]) -> Rules:
    """What the unit's view is."""
    match unit.view:
        case "locks":
            return locks.rules(unit.routine, fixes)
        case "words":
            return words.rules(unit.routine, fixes)
        case "counters":
            return counters.rules(unit.routine, fixes)
        case "mappings":
            return mappings.rules(unit.routine, fixes)
        case "listed":
            return listed.rules(unit.routine)
    return ownership.rules(unit.routine)


def examine(
    unit: Unit, fixes: Sequence[str], given: Mapping[str, tuple[str, str]] | None = None
) -> tuple[Execution, list[Answer]]:
    """Decide every obligation of a unit."""
    execution, decider, _ = strengthened(unit, fixes, given)
    answers = decider.decide(execution.obligations)
    if all(each.verdict == "valid" for each in answers) and not decider.ends():
        raise ValueError(f"{unit.routine}: no end is reached, so nothing was proved")
    return execution, answers


def strengthened(
    unit: Unit, fixes: Sequence[str], given: Mapping[str, tuple[str, str]] | None = None
) -> tuple[Execution, Decider, Source]:
    """Execute a unit and find the invariants of its loops."""
    source = source_of(texts() if given is None else given, unit.contracts, unit.module,
                       unit.view != "counters")
    checks = {"locks": locks.CHECKS, "words": words.CHECKS, "counters": counters.CHECKS,
              "mappings": mappings.CHECKS, "ownership": ownership.CHECKS,
              "listed": listed_units.CHECKS}[unit.view]
    program = compile_routine(
        source, unit.routine, parameters=dict(unit.parameters), fixes=fixes, properties=checks,
        symbolic=listed_units.SYMBOLIC if unit.view == "listed" else None,
    )
    engine: type[Execution] = Execution
    if unit.view == "locks":
        engine = waits.WaitExecution
    elif unit.view == "words":
        engine = words.WordExecution
    elif unit.view == "counters":
        engine = counters.CountExecution
    elif unit.view == "mappings":
        engine = mappings.MapExecution
    elif unit.view == "listed":
        engine = listed.engine(unit.routine)
    execution = engine(program, rules_of(unit, fixes))
    execution.run()
    decider = Decider(execution, RLIMIT)
    decider.strengthen()
    return execution, decider, source


def failure(execution: Execution, answer: Answer, unit: Unit) -> Failure:
    """A counterexample to induction: where, and the view's values in front of the step."""
    each, model = answer.obligation, answer.model
    assert model is not None
    values: dict[str, int] = {}
    for (kind, name), value in each.state.items():
        if kind == "S" and isinstance(name, str) and " " not in name:
            _show(values, name, model.eval(value))
        elif kind == "L" and isinstance(name, int):
            var = execution.thread.locals[name]
            if "." not in var.name and "$" not in var.name and var.domain.kind != "int":
                _show(values, var.name, model.eval(value))
    place = each.where.stack[-1].partition("@")[0] if each.where.stack else unit.routine
    return Failure(each.kind, each.lines, f"{each.text} ({unit.routine}: {place})",
                   tuple(values.items()))


def _show(values: dict[str, int], name: str, value: z3.ExprRef) -> None:
    if z3.is_int_value(value) or z3.is_bv_value(value):
        values.setdefault(name, int(value.as_long()))
    elif z3.is_true(value) or z3.is_false(value):
        values.setdefault(name, int(z3.is_true(value)))


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one unit.

    ``failures``: by the obligation's kind and name; ``counts``: obligations by kind.
    """

    failures: tuple[tuple[str, str, Failure], ...]
    open: tuple[tuple[str, str], ...]
    counts: Mapping[str, int]


def prove_unit(
    unit: Unit, fixes: Sequence[str], given: Mapping[str, tuple[str, str]] | None = None
) -> Part:
    """Decide a unit.  Raises ValueError where there was nothing to decide."""
    execution, answers = examine(unit, fixes, given)
    failures: dict[tuple[object, ...], tuple[str, str, Failure]] = {}
    still_open = []
    counts: dict[str, int] = {}
    for answer in answers:
        each = answer.obligation
        counts[each.kind] = counts.get(each.kind, 0) + 1
        if answer.verdict == "false":
            found = failure(execution, answer, unit)
            failures.setdefault((found.kind, each.name, found.lines, found.text),
                                (each.kind, each.name, found))
        elif answer.verdict != "valid":
            still_open.append((each.kind, f"{unit.routine}: {each.kind} {each.name} at "
                                          f"{each.lines}"))
    if not answers:
        raise ValueError(f"{unit.routine}: no obligations")
    return Part(tuple(failures.values()), tuple(still_open), counts)


def outcome(theorem: Theorem, parts: Sequence[Part], seconds: float) -> Outcome:
    """The verdict about a theorem, from all its units."""
    if theorem.order:
        return _order(theorem, parts, seconds)
    failures = tuple(
        found for part in parts for kind, _, found in part.failures if theorem.claims(kind)
    )
    still_open = tuple(
        text for part in parts for kind, text in part.open if theorem.claims(kind))
    verdict: Verdict = "fails" if failures else "inconclusive" if still_open else "proved"
    count = sum(number for part in parts for kind, number in part.counts.items()
                if theorem.claims(kind))
    return Outcome(theorem.name, verdict, failures, still_open, count, seconds)


def _order(theorem: Theorem, parts: Sequence[Part], seconds: float) -> Outcome:
    """Is there a rank for each lock that rises along every wait?  If not: a cycle of waits."""
    waits: dict[str, Failure] = {}
    for part in parts:
        for kind, name, found in part.failures:
            if kind == "order":
                waits.setdefault(name, found)
    still_open = tuple(text for part in parts for kind, text in part.open if kind == "order")
    count = sum(part.counts.get("order", 0) for part in parts)
    failures = tuple(waits[name] for core in cycles(waits) for name in core)
    verdict: Verdict = "fails" if failures else "inconclusive" if still_open else "proved"
    return Outcome(theorem.name, verdict, failures, still_open, count, seconds)


def cycles(waits: Iterable[str]) -> list[list[str]]:
    """Cycles that have no wait in common, until the rest has an order."""
    left, found = set(waits), []
    while core := cycle(left):
        found.append(core)
        left -= set(core)
    return found


def cycle(waits: Iterable[str]) -> list[str]:
    """``A before B``, of which some contradict each other (none: there is an order)."""
    solver = z3.Solver()
    solver.set("core.minimize", True)
    marks: dict[str, str] = {}
    for number, name in enumerate(sorted(waits)):
        first, _, second = name.partition(" before ")
        mark = z3.Bool(f"wait{number}")
        marks[str(mark)] = name
        solver.assert_and_track(z3.Int(first) < z3.Int(second), mark)
    if solver.check() == z3.sat:
        return []
    return sorted(marks[str(each)] for each in solver.unsat_core())


# ----------------------------------------------------------------------- the theorems

CALLS = ("call_getpages", "call_putpages")
ACTORS = (
    "mapped_store", "mapped_load", "mlock", "read", "write", "truncate", "extend", "fsync",
    "fsync_range", "syncer", "msync", "flush", "pagedaemon", "readahead", "reclaim", "suspend",
    "journal_flusher", "aiodone", "device", "disk",
)  # fmt: skip
LOCK_SIZES = ("any number of threads, pages and blocks; with and without a journal; one file; all "
              "arguments of the calls")


def _lock_units() -> tuple[Unit, ...]:
    found = []
    for journal in (0, 1):
        base = (("METADATA", 1), ("NBUFS", 2), ("PAGEDAEMON", 1), ("WAPBL", journal))
        found += [Unit(name, "locks", base) for name in CALLS]
        found += [Unit(name, "locks", base, CALLS) for name in ACTORS]
    return tuple(found)


def _word_units() -> tuple[Unit, ...]:
    base = (("METADATA", 1), ("NBUFS", 2), ("NPAGES", 2), ("PAGEDAEMON", 1), ("WAPBL", 1))
    return (
        *(Unit(name, "words", base) for name in CALLS),
        *(Unit(name, "words", base, CALLS) for name in ACTORS if name != "journal_flusher"),
    )


def _listed_units() -> tuple[Unit, ...]:
    return tuple(
        Unit(routine, "listed", listed_units.parameters(routine),
             (*contracts, *listed_units.MAPPINGS))
        for routine, contracts in listed_units.UNITS
    )  # fmt: skip


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
            variant, LOCK_SIZES, _word_units(), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"{counters.NAME}{suffix}", counters.STATEMENT, variant, counters.SIZES,
            tuple(Unit(routine, "counters", parameters, contracts)
                  for routine, parameters, contracts in counters.units(ownership.ACTORS)), switched,
        ))  # fmt: skip
        found.append(Theorem(
            f"{mappings.NAME}{suffix}", mappings.STATEMENT, variant, mappings.SIZES,
            tuple(Unit(name, "mappings", mappings.PARAMETERS, () if name in CALLS else CALLS)
                  for name in (*CALLS, *ownership.ACTORS, "aiodone")), switched,
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
        for name, statement, units, long in ownership.claims():
            found.append(Theorem(
                f"{name}{suffix}", statement, variant, ownership.SIZES,
                tuple(Unit(routine, "ownership", ownership.parameters(routine), contracts)
                      for routine, contracts in units), switched, long,
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

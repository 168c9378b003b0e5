"""A unit: one routine, compiled with contracts and executed under the rules of its view."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ...checker.lang.compile import compile_routine
from ...checker.lang.source import Function, Source, load, with_primitives
from ...checker.symbolic.houdini import Answer, Decider
from ...checker.symbolic.view import Execution, Rules
from . import counters, listed, listed_units, locks, mappings, ownership, waits, words
from .contracts import CONTRACTS
from .listed_contracts import LISTINGS
from .wrappers import Passing, add_subjects, stand_ins

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PACKAGE: Final = __package__.rpartition(".")[0].rpartition(".")[0]
FOLDERS: Final = ("model/genfs", "model/kernel", "model/actors")
PROTOCOL: Final = f"{PACKAGE}.proofs.protocol"
# Contracts about locks; about the ownership of pages; about the list.
SERVICES: Final = f"{PROTOCOL}.services"
OWNERSHIP: Final = f"{PROTOCOL}.ownership"
LISTING: Final = f"{PROTOCOL}.listing"
# What is written in the modelled language beside the model; and of which contracts stand-ins are
# made, and the units that are held to them.
WRITTEN: Final = (SERVICES, LISTING)
MADE: Final[Mapping[str, tuple[Mapping[str, Passing], Mapping[str, str]]]] = {
    OWNERSHIP: (CONTRACTS, ownership.ROUTINES), LISTING: (LISTINGS, listed_units.SUBJECTS),
}  # fmt: skip
RLIMIT: Final = 30_000_000
CALLS: Final = ("call_getpages", "call_putpages")


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
            return OWNERSHIP
        return {"ownership": OWNERSHIP, "listed": LISTING}.get(self.view, SERVICES)


@functools.cache
def texts() -> Mapping[str, tuple[str, str]]:
    """The model's sources, and the contracts, by module."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
    files += [ROOT / "proofs" / "protocol" / f"{name}.py"
              for name in ("services", "listing")]
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

    ``module``: which contracts, of :data:`WRITTEN` or :data:`MADE`; ``windows``: those of the
    pager map are of any length.
    """
    chosen_texts = {name: text for name, text in given.items()
                    if name == module or name not in WRITTEN}
    if module != SERVICES and windows:
        chosen_texts = {name: (path, _any_length(text))
                        for name, (path, text) in chosen_texts.items()}
    source = load(with_primitives(chosen_texts))
    model = [each for name, each in source.modules.items() if name not in WRITTEN]
    wanted = _written(source, module, set(contracts)) if module in WRITTEN else {}
    if module in MADE:
        made, units = MADE[module]
        wanted |= stand_ins(source, PROTOCOL, made, set(contracts) - set(wanted))
        add_subjects(source, PROTOCOL, made, units)
    for each in model:
        for name, symbol in list(each.symbols.items()):
            if isinstance(symbol, Function):
                if name in wanted:
                    each.symbols[name] = _same_header(symbol, wanted[name])
                elif symbol.kind == "actor":
                    each.symbols[name] = replace(symbol, kind="routine")
    return source


def _written(source: Source, module: str, chosen: set[str]) -> dict[str, Function]:
    """The contracts of a module that are chosen."""
    found = {}
    for name, symbol in list(source.modules[module].symbols.items()):
        if isinstance(symbol, Function):
            if name in chosen:
                found[name] = symbol
            elif symbol.kind == "routine" and name[0] != "_":
                # One that nobody calls would be a second routine of the name.
                del source.modules[module].symbols[name]
    return found


def _same_header(routine: Function, contract: Function) -> Function:
    """The contract, which takes what the routine takes, with the same defaults, and returns such.

    Raises ValueError where it does not.
    """
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

"""Asking another solver the questions that z3 called valid.

The questions are the exported SMT-LIB 2 texts.  ``sat`` to one of them is a disagreement of
two solvers, which is an error of one of them (or of the export), never a result.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .running import Processes

SOLVERS = ("cvc5", "bitwuzla")
MILLISECONDS = 2000  # for one question
PART = 40  # questions to a process


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many questions were answered alike, how many not at all, and which otherwise."""

    agreed: int
    undecided: int
    otherwise: tuple[str, ...]

    def __str__(self) -> str:
        return (f"{self.agreed} questions answered alike, {self.undecided} not decided, "
                f"{len(self.otherwise)} otherwise")


def installed(solver: str) -> bool:
    """Is the solver's package there?"""
    return importlib.util.find_spec(solver) is not None


def ask(solver: str, path: Path, milliseconds: int = MILLISECONDS) -> str:
    """``unsat`` (agreed), ``sat`` or ``unknown``."""
    return (_cvc5 if solver == "cvc5" else _bitwuzla)(path, milliseconds)


def _cvc5(path: Path, milliseconds: int) -> str:
    cvc5 = importlib.import_module("cvc5")
    solver = cvc5.Solver()
    solver.setOption("tlimit-per", str(milliseconds))
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, str(path))
    symbols = parser.getSymbolManager()
    said = "unknown"
    while not (command := parser.nextCommand()).isNull():
        answer = re.match(r"(un)?sat\b", command.invoke(solver, symbols).strip())
        said = answer.group(0) if answer else said
    return said


def _bitwuzla(path: Path, milliseconds: int) -> str:
    bitwuzla = importlib.import_module("bitwuzla")
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.TIME_LIMIT_PER, milliseconds)
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    parser.configure_auto_print_model(False)
    parser.parse(str(path), True)
    result = parser.bitwuzla().check_sat()
    return {bitwuzla.Result.SAT: "sat", bitwuzla.Result.UNSAT: "unsat"}.get(result, "unknown")


def _said(solver: str, part: tuple[Path, ...]) -> dict[str, str]:
    return {path.name: ask(solver, path) for path in part}


def compare(solver: str, questions: Sequence[Path], workers: int = 1) -> Agreement:
    """Ask all of them, in so many processes."""
    said: dict[str, str] = {}
    parts = [tuple(questions[start : start + PART]) for start in range(0, len(questions), PART)]
    if workers == 1:
        for part in parts:
            said |= _said(solver, part)
    else:
        with Processes() as processes:
            while parts or len(processes):
                while parts and len(processes) < workers:
                    processes.start(len(parts), _said, solver, parts.pop())
                for _, found in processes.ready():
                    said |= found
    return Agreement(
        sum(each == "unsat" for each in said.values()),
        sum(each == "unknown" for each in said.values()),
        tuple(sorted(name for name, each in said.items() if each == "sat")),
    )

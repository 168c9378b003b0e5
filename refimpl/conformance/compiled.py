"""Scenarios whose threads may run the workload, compiled: once, and kept on disk."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from ...checker import explore, lang
from ...checker.conform import steps, telling
from ...checker.conform.kept import code_digest, keep, kept
from ...checker.conform.steps import Stepper
from ...checker.conform.telling import tell
from ...checker.explore.prepare import prepare
from ...checker.lang import ir, source
from ...checker.lang.scenario import Scenario, compile_scenario
from . import labels
from .labels import Names

_HERE: Final = Path(__file__)
_MODEL: Final = _HERE.resolve().parents[2] / "model"
_PACKAGE: Final = (__package__ or "").rpartition(".")[0].rpartition(".")[0]
# In the language of the model, and compiled with it.
_OWN: Final = ("workload", "results")
# A long run makes a vnode dirty more often than the model's counters allow for.
_COUNTER: Final = (-2, 29)
_LARGE: Final = 1 << 24


@functools.cache
def sources() -> source.Source:
    """The model's sources and the workload; what calls return is told."""
    texts: dict[str, tuple[str, str]] = {}
    for path in sorted(_MODEL.rglob("*.py")):
        parts = path.relative_to(_MODEL.parent).with_suffix("").parts
        if parts[-1] != "__init__":
            texts[".".join((_PACKAGE, *parts))] = (str(Path(*parts)) + ".py", path.read_text())
    for name in _OWN:
        path = _HERE.with_name(f"{name}.py")
        texts[f"{__package__}.{name}"] = (f"refimpl/conformance/{name}.py", path.read_text())
    found = source.load(source.with_primitives(texts))
    tell(found, f"{__package__}.results", labels.TELLS)
    return found


@functools.cache
def _code() -> str:
    """The digest of all code that a compiled scenario depends on."""
    names = [lang.__file__, explore.__file__]
    folders = [Path(str(name)).parent for name in names]
    files = [steps.__file__, telling.__file__, labels.__file__]
    return code_digest([*folders, *map(Path, files), _HERE])


def program(scenario: Scenario, variant: str, fixes: Iterable[str]) -> ir.Program:
    """A scenario's program, in which calls tell what they return."""
    return compile_scenario(sources(), scenario, fixes=frozenset(fixes), variant=variant)


def stepper(scenario: Scenario, variant: str, fixes: frozenset[str]) -> Stepper:
    """A scenario's steps, of a program specialised for its initial state."""

    def make() -> Stepper:
        return Stepper(prepare(_widened(program(scenario, variant, fixes))), Names())

    return kept(_recipe(scenario, variant, fixes), make)


def keep_written(
    steps: Stepper, scenario: Scenario, variant: str, fixes: frozenset[str]
) -> None:
    """Keeps what of a scenario's code was written since it was compiled."""
    keep(_recipe(scenario, variant, fixes), steps)


def _recipe(scenario: Scenario, variant: str, fixes: frozenset[str]) -> list[str]:
    return [_code(), sources().digest, variant, *sorted(fixes), scenario.text]


def _widened(program: ir.Program) -> ir.Program:
    """Counters of dirtying that a long run does not exhaust."""

    def wide(domain: ir.Domain) -> ir.Domain:
        if domain.kind == "int" and (domain.low, domain.high) == _COUNTER:
            return replace(domain, high=_LARGE)
        return domain

    shared = [
        replace(var, domain=wide(var.domain)) if var.name == "vnodes.g_dirtygen" else var
        for var in program.shared
    ]
    threads = [
        replace(thread, locals=[replace(var, domain=wide(var.domain)) for var in thread.locals])
        for thread in program.threads
    ]
    return replace(program, shared=shared, threads=threads)

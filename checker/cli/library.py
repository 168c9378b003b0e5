"""What the command works on: a model package, given from outside."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from ..explore.errors import SetupError
from ..explore.prepare import prepare
from ..lang import ir
from ..lang.compile import CallSpec
from ..lang.errors import ScenarioError
from ..lang.scenario import Scenario, compile_scenario, parse, read
from ..lang.source import Source, load_package
from ..trace.errors import DataError
from ..trace.findings import Findings, load_findings
from ..trace.record import Trace

HARDENED = "hardened"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model package on disk: its sources, ``scenarios/*.toml`` and ``findings.toml``.

    ``package`` is the dotted name that its relative imports start from; ``variant`` the name
    of the revision as it is, without any fix.  ``proofs`` and ``conformance`` are dotted names
    of the modules that have its theorems, and an implementation of it (`conform.subject`), if
    any.
    """

    name: str
    root: Path
    package: str
    variant: str
    proofs: str = ""
    conformance: str = ""


@functools.cache
def _source(root: Path, package: str) -> Source:
    return load_package(root, package)


@functools.cache
def _scenarios(root: Path) -> tuple[Scenario, ...]:
    found = [read(path) for path in sorted((root / "scenarios").glob("*.toml"))]
    names: dict[str, str] = {}
    for scenario in found:
        if scenario.name in names:
            raise DataError(scenario.file, "name", f"is taken by {names[scenario.name]}")
        names[scenario.name] = scenario.file
    return tuple(found)


class Library:
    """A subject's scenarios, findings and fixes, read when they are first needed."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @property
    def source(self) -> Source:
        """The model's sources; read once, so that jobs started later all see the same."""
        return _source(self.subject.root, self.subject.package)

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios of the suite, by name."""
        return _scenarios(self.subject.root)

    @functools.cached_property
    def findings(self) -> Findings:
        return load_findings(self.subject.root / "findings.toml")

    @functools.cached_property
    def known_fixes(self) -> tuple[str, ...]:
        """The fixes that the model's sources ask for."""
        return tuple(sorted(set(_fixes(self.source))))

    # ------------------------------------------------------------------- choosing

    def find(self, name: str) -> Scenario | None:
        """The scenario of the suite with this name."""
        return next((entry for entry in self.scenarios if entry.name == name), None)

    def chosen(
        self, names: Iterable[str], *, full: bool = False, large: bool = False
    ) -> list[Scenario]:
        """The named scenarios, or the suite: the default tier, and others if asked for."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            tiers = {"default", *["full"] * (full or large), *["large"] * large}
            return [entry for entry in self.scenarios if entry.tier in tiers]
        return [self._named(name) for name in wanted]

    def _named(self, name: str) -> Scenario:
        if name.endswith(".toml") or "/" in name:
            return read(Path(name))
        scenario = self.find(name)
        if scenario is None:
            known = ", ".join(entry.name for entry in self.scenarios) or "none"
            raise click.UsageError(
                f"unknown scenario {name!r}, expected the path of a .toml file or one of: {known}"
            )
        return scenario

    def variant(self, name: str | None) -> str:
        """A variant's name, checked; none: the revision as it is."""
        known = (self.subject.variant, HARDENED)
        if name is None:
            return self.subject.variant
        if name not in known:
            raise click.UsageError(f"unknown variant {name!r}, expected {' or '.join(known)}")
        return name

    def fixes(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names of fixes, checked, in alphabetical order."""
        wanted = sorted(set(names))
        for name in wanted:
            if name not in self.known_fixes:
                known = ", ".join(self.known_fixes) or "none"
                raise click.UsageError(f"unknown fix {name!r}, expected one of: {known}")
        return tuple(wanted)

    # ------------------------------------------------------------------ compiling

    def compile(self, scenario: Scenario, variant: str, fixes: tuple[str, ...]) -> ir.Program:
        """A scenario's program."""
        switched = self.known_fixes if variant == HARDENED else fixes
        program = compile_scenario(
            self.source, scenario, fixes=frozenset(switched), variant=variant
        )
        try:
            return prepare(program)
        except SetupError as error:
            raise ScenarioError(scenario.file, "setup", str(error)) from None

    def compile_trace(self, trace: Trace, path: Path) -> tuple[Scenario, ir.Program]:
        """The scenario that a trace carries, compiled as it was; refused for another model."""
        if trace.model != self.source.digest:
            raise DataError(
                path,
                "model",
                f"expected {self.source.digest}, found {trace.model}: the trace was made with "
                "another version of the model, check the scenario again",
            )
        scenario = parse(trace.scenario_text, f"{path}: scenario_text")
        if scenario.name != trace.scenario:
            raise DataError(path, "scenario", f"expected {scenario.name!r}: the trace was edited")
        try:
            self.variant(trace.variant)
            known = self.known_fixes if trace.variant == HARDENED else self.fixes(trace.fixes)
        except click.UsageError as error:
            raise DataError(path, "variant", error.format_message()) from None
        if known != trace.fixes:
            raise DataError(path, "fixes", f"expected {list(known)}: the trace was edited")
        return scenario, self.compile(scenario, trace.variant, trace.fixes)

    def trace_path(self, name: str) -> Path:
        """The file of a trace that is named by its path or by a finding's id."""
        path = Path(name)
        finding = None if path.exists() else self.findings.get(name)
        if finding is None:
            return path
        if not finding.trace:
            raise click.UsageError(f"finding {finding.id} has no trace yet")
        return self.subject.root / finding.trace


def runs(scenario: Scenario) -> dict[str, str]:
    """What each thread of a scenario runs, as a reader would write it."""
    return {
        thread.name: "; ".join(_call(call) for call in thread.calls)
        for thread in scenario.threads
    }


def _call(call: CallSpec) -> str:
    arguments = ", ".join(f"{name}={_argument(value)}" for name, value in call.arguments.items())
    return f"{call.routine}({arguments})"


def _argument(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "|".join(map(str, value)) or "0"
    return str(value)


def _fixes(source: Source) -> Iterable[str]:
    for kind in ("routine", "atomic", "pure", "actor", "setup", "invariant", "witness"):
        for function in source.functions(kind):
            for node in ast.walk(function.node):
                match node:
                    case ast.Call(ast.Name("fixed"), [ast.Constant(str(name))]):
                        yield name

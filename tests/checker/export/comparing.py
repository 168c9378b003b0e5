"""SPIN and the python engine on one program: same states, same verdicts."""

from __future__ import annotations

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.result import Result
from genfscheck.checker.export.promela import Exported, export
from genfscheck.checker.export.spin import SpinResult, missing, run
from genfscheck.checker.lang import ir

needs_spin = pytest.mark.skipif(bool(missing()), reason=missing() or "installed")


def verify(exported: Exported, *, max_seconds: float = 60.0) -> SpinResult:
    """Verify a model, compiled quickly rather than well."""
    return run(
        exported.text,
        optimise="-O0",
        max_seconds=max_seconds,
        vector_bytes=max(1024, exported.vector_bytes),
    )


def promised(exported: Exported, result: SpinResult) -> set[str]:
    """The properties whose assertions failed, by the comments beside their variables."""
    names = {}
    for line in exported.text.splitlines():
        if line.startswith("hidden byte holds_"):
            variable, _, rest = line.removeprefix("hidden byte ").partition(";")
            names[variable] = rest.strip().removeprefix("/* ").removesuffix(" */")
    return {names[variable] for variable in result.broken}


def agree(exported: Exported, spin: SpinResult, ours: Result) -> None:
    """Hold SPIN's report against a fine search."""
    assert ours.complete and spin.complete
    assert spin.states - exported.extra_states == ours.states
    kinds = {found.kind for found in ours.violations}
    failed = {one.property for one in ours.violations if one.kind in ("check", "invariant")}
    assert promised(exported, spin) == failed
    if failed:
        assert spin.verdict == "assertion"
    else:
        assert spin.deadlocks == ("deadlock" in kinds)
        assert spin.verdict == ("invalid end state" if "deadlock" in kinds else "none")


def compare(program: ir.Program, *, commands: bool = True) -> tuple[Exported, SpinResult, Result]:
    """Export, verify, explore, and compare."""
    exported = export(program, commands=commands)
    spin = verify(exported)
    ours = explore(program, granularity="fine")
    agree(exported, spin, ours)
    return exported, spin, ours

"""What the command line calls: the reference implementation, held against the model."""

from __future__ import annotations

from ...checker.conform.reference import Unlike
from ...checker.conform.steps import Stepper
from ...checker.explore.prepare import prepare
from ...checker.lang import ir
from ...checker.lang.scenario import Scenario
from ...checker.trace.record import Trace
from ...checker.trace.replay import Replay
from . import compiled, report
from .labels import Names
from .replay import follow
from .retell import retell
from .world import Unsupported


def replay(
    stored: Trace,
    scenario: Scenario,
    program: ir.Program,
    executed: Replay,
    fixes: tuple[str, ...],
    everything: bool,
) -> tuple[bool | None, list[str], dict[str, object]]:
    """Drives real threads through a trace: whether it went as the trace says, and both reports.

    ``fixes``: which the threads have; ``everything``: tell every step.  None: the threads took
    every step, but with other fixes than the trace's, and no step shows whether the promise
    was broken.
    """
    try:
        telling = compiled.program(scenario, program.variant, program.fixes)
        stepper = Stepper(prepare(telling), Names())
        moments, numbers = retell(stepper, executed)
        result = follow(stepper, scenario, moments, fixes, numbers)
    except Unsupported as error:
        raise Unlike(str(error)) from None
    lines = report.render(stored, result, fixes, everything)
    followed: bool | None = result.departed is None and report.hangs_as_told(stored, result)
    if followed and result.silent and fixes != stored.fixes:
        followed = None
    return followed, lines, report.as_json(stored, result, fixes)

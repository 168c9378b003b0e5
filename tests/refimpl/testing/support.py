"""What the tests of the tests share: how to let Hypothesis look for a failure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis.stateful import run_state_machine_as_test

from genfscheck.refimpl import Chooser, Fixes
from genfscheck.refimpl.testing import (
    ENDS,
    Directed,
    Drawn,
    PageCacheMachine,
    Place,
    Reference,
    Task,
    machines,
    orders,
    run_scheduled,
    tasks,
)


def looking(
    examples: int, steps: int = 25, shrink: bool = False, derandomize: bool = True
) -> settings:
    """Settings that look until the first failure."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=derandomize,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
    )


def hunt(machine: type[PageCacheMachine], chosen: settings) -> Exception | None:
    """What a state machine finds, or None."""
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except Exception as failure:
        return failure
    return None


def without(*names: str) -> Fixes:
    """Hardened, but for some of the fixes."""
    return dataclasses.replace(Fixes.of("hardened"), **dict.fromkeys(names, False))


class Found(Exception):
    """A schedule under which something went wrong; the text tells it."""


class Enough(BaseException):
    """Ends a hunt at once: no Exception, so that Hypothesis lets it through."""


@dataclasses.dataclass
class Schedules:
    """Looks for schedules on which a variant fails; counts what it took.

    With ``shrinking`` no more than so many examples are tried after the first failure.
    """

    knobs: dict[str, object]
    threads: int = 3
    length: int = 2
    shrinking: int | None = None
    best: str = ""  # the failure with the shortest text
    examples: int = 0
    first: int | None = None  # the number of the first example that failed
    steps: int = 0

    def hunt(self, chosen: settings, ends: Sequence[str] = ENDS) -> Found | None:
        """The failure, shrunk if the settings say so, or None."""

        @chosen
        @given(st.data())
        def play(data: st.DataObject) -> None:
            machine = data.draw(machines(), label="machine")
            task = data.draw(tasks(self.threads, self.length), label="task")
            end = data.draw(st.sampled_from(ends), label="end")
            # A task is dearer than a schedule: it is played a few times.
            where = self._undisturbed(machine, task, end)
            more = st.sampled_from([False, True, True, True])
            while data.draw(more, label="more"):
                self._one(machine, task, end, Drawn(data, where).chooser())

        try:
            play()
        except Found as found:
            return found
        except Enough:
            return Found(self.best)
        return None

    def _undisturbed(self, machine: dict[str, object], task: Task, end: str) -> list[Place]:
        """One thread behind the other; the places where they could be preempted."""
        chooser = Directed(orders(sorted(task.programs), end)[0])
        self._one(machine, task, end, chooser)
        return [place for place in chooser.met if place.shared]

    def _one(self, machine: dict[str, object], task: Task, end: str, chooser: Chooser) -> None:
        self.examples += 1
        fs = Reference(**(machine | self.knobs))  # type: ignore[arg-type]
        try:
            run = run_scheduled(fs, task, chooser, end)
        finally:
            fs.close()
        self.steps += run.steps
        if run.failure is not None:
            if self.first is None:
                self.first = self.examples
            if not self.best or len(str(run)) < len(self.best):
                self.best = str(run)
            note(str(run))
            raise Found(str(run))
        if self.first is not None and self.shrinking is not None:
            if self.examples >= self.first + self.shrinking:
                raise Enough

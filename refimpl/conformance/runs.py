"""Runs of a scenario on real threads, logged and validated against the model."""

from __future__ import annotations

import random
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...checker.conform.steps import Stepper
from ...checker.conform.validate import Outcome, Pattern, Validator
from ...checker.lang import ir
from ...checker.lang.compile import CallSpec
from ...checker.lang.scenario import Scenario
from ..errors import MachineDead, Panic
from ..hook import Event, Log
from ..sync import Lwp
from .abstraction import Abstraction
from .binding import Binding
from .callers import Call, Program, run
from .labels import Names
from .world import Plan, Unsupported, World, build


class Shaken(Log):
    """Logs every step; stops threads for a moment at random ones, and decides by chance."""

    def __init__(self, seed: int, rate: float, pause: float = 3e-4) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._rate, self._pause = rate, pause

    def before(self, lwp: Lwp, kind: str, at: int | str, want: object = None) -> None:
        if self._random.random() < self._rate:
            time.sleep(self._pause * self._random.random())

    def pick(self, lwp: Lwp, label: str, count: int, default: int) -> int:
        return self._random.randrange(count)


def plan_of(scenario: Scenario, program: ir.Program) -> Plan:
    """The world that a scenario describes."""
    setup = dict(scenario.setup.arguments) if scenario.setup is not None else {}
    calls = [call for thread in scenario.threads for call in thread.calls]
    crossing = _same(calls, "crossing", 0)
    return Plan(dict(program.parameters), setup, program.fixes, crossing)


def programs_of(scenario: Scenario) -> dict[str, Program]:
    """What each of a scenario's threads runs."""
    return {
        thread.name: [Call(call.routine, dict(call.arguments)) for call in thread.calls]
        for thread in scenario.threads
        if not thread.daemon
    }


def window_of(calls: Sequence[CallSpec]) -> int:
    """The mapping that stands for the windows of read(2) and write(2); -1 for none."""
    return _same(calls, "window", -1)


def _same(calls: Sequence[CallSpec], name: str, default: int) -> int:
    """The one value that an argument has wherever it is given."""
    found = {int(str(call.arguments[name])) for call in calls if name in call.arguments}
    if len(found) > 1:
        raise Unsupported(f"calls with several values of {name!r}: {sorted(found)}")
    return next(iter(found), default)


@dataclass(frozen=True)
class Repeated:
    """A daemon's program: ``call`` as often as memory is short, every ``pause`` seconds at most.

    Memory is wanted as long as others run; ``then`` comes behind that.
    """

    call: Call
    then: Program
    pause: float = 1e-3


@dataclass
class Run:
    """What a run left: its log, how its threads ended, and the state at the end.

    ``died``: why the machine stopped, if it did.
    """

    events: list[Event]
    finished: tuple[str, ...]
    first_pages: tuple[str, ...]
    sector_of_data: int
    died: str = ""
    finals: list[tuple[str, int, int]] = field(default_factory=list)


def execute(
    plan: Plan,
    programs: Mapping[str, Program | Repeated],
    window: int,
    seed: int,
    rate: float = 0.05,
    patience: float = 10.0,
    program: ir.Program | None = None,
) -> Run:
    """Runs every program on a thread of its own.

    With the compiled ``program``, what is there at the end is observed in its variables.
    """
    with tempfile.TemporaryDirectory() as folder:
        world = build(plan, Path(folder) / "image", window, patience=patience, seed=seed)
        try:
            return _execute(world, programs, Shaken(seed, rate), program)
        finally:
            world.close()


def _execute(
    world: World,
    programs: Mapping[str, Program | Repeated],
    log: Shaken,
    program: ir.Program | None,
) -> Run:
    machine = world.fs.kernel.machine
    finished: list[str] = []
    died: list[str] = []
    unsupported: list[Unsupported] = []
    others = sum(not isinstance(calls, Repeated) for calls in programs.values())
    gate = threading.Barrier(len(programs))

    def body(name: str, calls: Program | Repeated) -> None:
        gate.wait()
        try:
            if isinstance(calls, Repeated):
                _repeat(world, calls, lambda: len(finished) + len(died) < others)
            else:
                run(world, calls)
            finished.append(name)
        except MachineDead as dead:
            died.append(dead.why)
        except Unsupported as error:
            unsupported.append(error)
            machine.die(Panic(f"{name}: {error}"))
        except Exception as error:  # what the kernel's machine would have trapped on
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            machine.die(Panic(f"{name}: {type(error).__name__}: {error} at {where}"))

    machine.hook = log
    threads = [
        threading.Thread(target=body, args=item, name=item[0], daemon=True)
        for item in programs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if unsupported:
        raise unsupported[0]
    settled = _settle(world)
    machine.hook = None
    dead = machine.dead.why if machine.dead is not None else ""
    if not settled and not dead:
        dead = "the device, or who completes transfers, does not come to rest"
    sector = world.fs.kernel.fs.sb.data // 512
    ended = tuple(sorted(finished))
    left = Run(log.events, ended, world.first_pages, sector, dead)
    if program is not None and not dead:
        left.finals = [
            (name, element, value)
            for name, values in Abstraction(world, program).observe().items()
            for element, value in enumerate(values)
            if value is not None and not name.startswith("threads.")
        ]
    return left


def _repeat(world: World, calls: Repeated, wanted: Callable[[], bool]) -> None:
    """Makes the call whenever memory is short, as long as others run; then those behind it."""
    machine, uvm = world.fs.kernel.machine, world.fs.kernel.uvm
    while wanted():
        machine.check()
        if len(uvm.free) < uvm.freetarg:
            run(world, [calls.call])
        time.sleep(calls.pause)
    run(world, calls.then)


def _settle(world: World, seconds: float = 5.0) -> bool:
    """Waits until the device and the completion thread have nothing more to do."""
    kernel = world.fs.kernel
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and kernel.machine.dead is None:
        with kernel.machine.guard:
            if not kernel.bufs.live:
                return True
        time.sleep(0.001)
    return False


class Bench:
    """A compiled scenario that logs can be validated against."""

    def __init__(
        self, scenario: Scenario, program: ir.Program, stepper: Stepper | None = None
    ) -> None:
        self.scenario, self.program = scenario, program
        self.plan = plan_of(scenario, program)
        self.programs = programs_of(scenario)
        self.window = window_of([call for thread in scenario.threads for call in thread.calls])
        self.stepper = stepper or Stepper(program, Names())
        self.validator = Validator(self.stepper)

    def run(self, seed: int, rate: float = 0.05, patience: float = 10.0) -> Run:
        return execute(
            self.plan, self.programs, self.window, seed, rate, patience, self.program
        )

    def validate(self, done: Run) -> Outcome:
        """Follows the log, and then how it ended.  BindingError for an event without a rule."""
        return self.validator.validate(self._patterns(done))

    def _patterns(self, done: Run) -> Iterator[Pattern | None]:
        binding = Binding(self.stepper, done.first_pages, self.window, done.sector_of_data)
        yield from binding.patterns(done.events)
        yield from binding.ended(done.finished)
        if done.died:
            yield binding.died(done.died, done.events, done.finished)
        if done.finals:
            yield binding.state(done.finals)

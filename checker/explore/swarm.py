"""Random walks instead of a search: for what is too large to be searched.

What is found is real: it is executed again by the interpreter, shortened
(:mod:`.shrink`), and confirmed as every counterexample is.  What is not found may still be
there, so the verdict is never "holds".  Progress (threads that can never finish) is not looked
for, nor loops that no step of another thread interrupts, unless they are in one fine step.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from ..lang import ir
from .causes import Causes
from .engine import Engine, fine_stops
from .errors import InternalError
from .explore import Run
from .interpret import Interpreter, State
from .native.handle import EventKind, load
from .native.tables import NativeModel
from .native.walks import Decision, Walked, Walks, WalkStats
from .paths import Goal
from .refine import Expander
from .result import Block, Found, Granularity, Path, Progress, ProgressCallback, Result
from .search import memory_used
from .shrink import Shrinker

_SECONDS = 0.2
_SHOWN = 64
_BUDGET = 5_000_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How many walks of how many steps at most; ``seconds`` ends them earlier.

    The same ``seed`` and number of walks give the same result with any number of workers.
    """

    walks: int = 10_000
    steps: int = 10_000
    seed: int = 0
    seconds: float | None = None


def explore_swarm(
    program: ir.Program,
    effort: Effort,
    *,
    granularity: Granularity = "reduced",
    workers: int = 1,
    progress: ProgressCallback | None = None,
) -> Result:
    """Walk at random; the result is never complete.

    ``states`` is an estimate, ``transitions`` counts the steps of all walks, ``depth`` is the
    longest walk; ``stops`` are the fine ones, which the violations' paths are for.  The
    reduction's assumptions are not verified: where one is wrong, the walk goes on in fine steps.
    Raises NativeUnavailable without a C compiler.
    """
    started = time.monotonic()
    run = Run(program, granularity, None, workers)
    library = load(run.known)
    model = library.model
    walks = Walks(
        library, [model.layout.encode(state) for state in run.known.initial],
        model.stop_flags(run.stops), seed=effort.seed, steps=effort.steps, workers=workers,
    )  # fmt: skip
    begun = time.monotonic()
    bound = _walk(walks, effort, started, progress)
    stats, searched = walks.stats(), time.monotonic() - begun
    report = _Report(run, model, walks)
    violations = report.violations()
    marks = walks.coverage()
    covered = [
        {
            node
            for block, mark in zip(model.blocks, marks, strict=True)
            if mark and block.thread == thread.index
            for node in block.nodes
        }
        for thread in program.threads
    ]
    result = Result(
        program=program.name, granularity=granularity, complete=False, bound=bound,
        stops=fine_stops(program), states=estimate(stats), transitions=stats.steps,
        depth=stats.longest, violations=violations, witnesses=report.witnesses(),
        left_out=run.known.left_out,
        covered=covered, engine="native", state_bytes=model.layout.size,
        reductions=() if run.reduction is None else ("merging",),
        search_seconds=searched, seconds=time.monotonic() - started, memory=memory_used(),
    )  # fmt: skip
    result.note = _note(program, result, stats, report.left_out)
    walks.close()
    return result


def _walk(
    walks: Walks, effort: Effort, started: float, progress: ProgressCallback | None
) -> str:
    """Do the walks, in lots of about a fifth of a second; what ended them."""
    lot, done = 16, 0
    try:
        while done < effort.walks:
            began = time.monotonic()
            size = min(lot, effort.walks - done)
            walks.run(size)
            done += size
            now = time.monotonic()
            lot = max(1, min(4 * size, int(size * _SECONDS / max(now - began, 1e-6))))
            if progress is not None:
                stats = walks.stats()
                progress(
                    Progress(
                        estimate(stats), stats.steps, effort.walks - done, stats.longest,
                        now - started, memory_used(), 0,
                    )
                )  # fmt: skip
            if effort.seconds is not None and now - started > effort.seconds:
                return "max_seconds" if done < effort.walks else "walks"
    except KeyboardInterrupt:
        return "interrupted"
    return "walks"


def estimate(stats: WalkStats) -> int:
    """About how many different states the walks saw (linear counting, see ``walk.c``).

    When no bit is left, the answer is only that it were more than so many.
    """
    left = max(1, stats.bits - stats.bits_set)
    return round(stats.bits * math.log(stats.bits / left))


def _note(program: ir.Program, result: Result, stats: WalkStats, left_out: int) -> str:
    total = sum(len(thread.code) for thread in program.threads)
    executed = sum(map(len, result.covered))
    text = (
        f"random walks: {stats.walks:,} of {stats.steps:,} steps, {stats.ended:,} to an end; "
        f"about {result.states:,} states seen; {executed} of {total} instructions executed"
    )
    if left_out:
        text += f"; {left_out} more classes of violations are not shown"
    return text


class _Report:
    """From what the walks came across to reports."""

    def __init__(self, run: Run, model: NativeModel, walks: Walks) -> None:
        self.program, self.initial = run.program, run.known.initial
        self.model, self.walks = model, walks
        self.interpreter = Interpreter(run.program)
        self.engine = Engine(run.known, fine_stops(run.program))
        self.classes = sorted(walks.classes(), key=lambda one: (one.steps, one.walk, one.kind))
        self.left_out = 0

    def violations(self) -> list[Found]:
        """Every cause with its shortened path, confirmed by the interpreter."""
        causes, paths = Causes(self.engine), list[_Executed]()
        for found, key, count in self._groups():
            executed = self._shortened(found, key)
            self._cause(causes, found, executed, len(paths), count)
            paths.append(executed)
        expander = Expander(self.program, self.engine.stops)
        reports: list[Found] = []
        for cause in causes.all.values():
            goal = cause.goals[0]
            executed = paths[goal.state]
            data = self.engine.layout.encode(executed.states[-1])
            reports.append(
                Found(
                    cause.kind, cause.property, causes.message(cause, goal, data), cause.lines,
                    goal.last, goal.instr, cause.depth, executed.path, cause.count,
                )
            )  # fmt: skip
            expander.confirm(reports[-1])
        reports.sort(key=lambda one: (one.depth, one.property, one.lines, one.message))
        return reports

    def witnesses(self) -> dict[str, Path | None]:
        """A shortened path to a state of each witness that was seen."""
        paths: dict[str, Path | None] = {one.name: None for one in self.program.witnesses}
        for found in self.classes:
            if found.kind == EventKind.WITNESS:
                name = self.program.witnesses[found.which].name
                paths[name] = self._shortened(found, 0).path
        return paths

    def _groups(self) -> list[tuple[Walked, int, int]]:
        """One class for each fine step that violates something: with its key, and its count."""
        groups: dict[tuple[int, int, int], list[Walked]] = {}
        for found in self.classes:
            if found.kind != EventKind.WITNESS:
                execution = self.walks.trace(found)
                if execution is None:
                    raise InternalError(f"a random walk cannot be repeated: {found}")
                groups.setdefault((found.kind, found.which, execution.key), []).append(found)
        shown = list(groups.items())[:_SHOWN]
        self.left_out = len(groups) - len(shown)
        return [(same[0], key, sum(one.count for one in same)) for (_, _, key), same in shown]

    def _shortened(self, found: Walked, key: int) -> _Executed:
        execution = self.walks.trace(found)
        if execution is None:
            raise InternalError(f"a random walk cannot be repeated: {found}")
        initial = execution.initial

        def test(decisions: list[Decision]) -> list[Decision] | None:
            done = self.walks.replay(initial, decisions, found.kind, found.which, key)
            return None if done is None else done.decisions

        shrinker = Shrinker(test, lambda decision: decision.thread, _BUDGET)
        return self._execute(initial, shrinker.shrink(execution.decisions))

    def _execute(self, initial: int, decisions: list[Decision]) -> _Executed:
        """What the interpreter makes of decisions; it must be able to do them."""
        state = self.initial[initial]
        states, blocks = [state], list[Block]()
        for number, (thread, choices) in enumerate(decisions):
            for result in self.interpreter.fine_step(state, thread):
                if result.choices == choices:
                    break
            else:
                raise InternalError(f"step {number} of a random walk cannot be done")
            digest = "" if result.state is None else result.state.digest()
            blocks.append(Block(thread, choices, digest))
            if result.state is not None:
                state = result.state
                states.append(state)
        return _Executed(Path(initial, states[0].digest(), tuple(blocks)), states)

    def _cause(
        self, causes: Causes, found: Walked, executed: _Executed, number: int, count: int
    ) -> None:
        depth = len(executed.path.blocks)
        match found.kind:
            case EventKind.FAULT:
                fault = self.model.faults[found.which]
                causes.check(depth, fault.thread, fault.node, fault.name, [number], count)
            case EventKind.INVARIANT if depth == 0:
                causes.invariant(depth, found.which, None, [Goal(number)], count)
            case EventKind.INVARIANT:
                thread = executed.path.blocks[-1].thread
                source, final = map(self.engine.layout.encode, executed.states[-2:])
                blamed = causes.blame(thread, source, final, found.which)
                causes.invariant(
                    depth, found.which, blamed, [Goal(number, thread, number)], count
                )
            case EventKind.DEADLOCK:
                data = self.engine.layout.encode(executed.states[-1])
                causes.deadlock(depth, [number], data, count)
            case EventKind.AT_END:
                causes.at_end(depth, found.which, [number], count)


@dataclass(frozen=True, slots=True)
class _Executed:
    """A path of fine steps, and the states on it."""

    path: Path
    states: list[State]


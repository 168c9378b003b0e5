"""A program of the IR as a Promela model with the same states, one for one.

Every thread is a proctype whose control locations are the fine stops, every step from one
stop to the next is one transition.  SPIN without partial-order reduction and without its
own merging of statements stores exactly the states that the fine granularity explores, and
``extra_states`` more (see :class:`Exported`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..explore.engine import fine_stops
from ..explore.interpret import State, run_setup
from ..explore.intervals import Ranges, analyse
from ..explore.liveness import liveness
from ..lang import ir
from .errors import ExportError
from .expressions import Printer, both, negated, number
from .names import Namer, comment, declaration, type_of
from .storage import place_locals
from .units import DONE, Needs, ThreadWriter

MAX_PROCESSES = 255
MAX_TABLE = 2040

LISTS = """\
/* Lists are prefixes of arrays: n elements of a from b on, the rest holds e. */
#define list_find(a, b, x) \\
  h_at = 0; do :: a[b + h_at] != x -> h_at++ :: else -> break od
/* Insert at h_at: what is there and behind moves up. */
#define list_put(a, b, n, x) \\
  h_i = b + n - 1; do :: h_i > b + h_at -> a[h_i] = a[h_i - 1]; h_i-- :: else -> break od; \\
  a[b + h_at] = x
/* Remove what is at h_at: what is behind moves down. */
#define list_drop(a, b, n, e) \\
  h_i = b + h_at; do :: h_i < b + n - 1 -> a[h_i] = a[h_i + 1]; h_i++ :: else -> break od; \\
  a[b + n - 1] = e
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """A Promela model.

    ``extra_states`` is how many states SPIN stores beyond those of the program: 1 where an
    ``init`` chooses among several initial states, or must fill an array, else 0.
    ``vector_bytes`` is an estimate of SPIN's state vector, from above.  ``simple`` and
    ``structured`` count the units that became guarded commands and those that needed code.
    """

    text: str
    extra_states: int
    vector_bytes: int
    simple: int
    structured: int


def export(program: ir.Program, *, commands: bool = True) -> Exported:
    """Write a program's model.  Raises ExportError where Promela cannot express it.

    Without ``commands`` no unit becomes guarded commands (for tests of structured code).
    """
    if len(program.threads) + 2 > MAX_PROCESSES:
        raise ExportError(f"{len(program.threads)} threads, more than SPIN's {MAX_PROCESSES}")
    return _Model(program, commands).exported()


class _Model:
    """One model being written."""

    def __init__(self, program: ir.Program, commands: bool) -> None:
        self.program, self.commands = program, commands
        self.namer = Namer()
        self.shared = [self.namer.name(var.name) for var in program.shared]
        self.processes = [self.namer.name(thread.name) for thread in program.threads]
        self.initial: list[State] = run_setup(program)
        self.needs = Needs()
        self.counts_ends = any(one.terminal_only for one in program.invariants)
        self.simple = self.structured = 0
        self.chosen = len(self.initial) > 1 or any(map(_mixed, self.initial[0].shared))
        self.bytes = 64

    def exported(self) -> Exported:
        chosen = self.chosen
        processes = self._processes(chosen)
        processes += self._monitor(chosen)
        if chosen:
            processes += self._init()
        lines = [*self._head(), *self._globals(), "", *processes]
        return Exported(
            "\n".join(lines) + "\n", int(chosen), self.bytes, self.simple, self.structured
        )

    # --------------------------------------------------------------------- pieces

    def _head(self) -> list[str]:
        program = self.program
        sorted_parameters = sorted(program.parameters.items())
        parameters = ", ".join(f"{key}={value}" for key, value in sorted_parameters)
        about = [
            f"{program.name} {program.variant}".strip() + (
                f" with {', '.join(program.fixes)}" if program.fixes else ""
            ),
            *([parameters] if parameters else []),
            "spin -a -o1 -o2 -o3, then cc -DSAFETY -DNOREDUCE pan.c, then ./pan -c0",
        ]  # fmt: skip
        return [comment(line) for line in about] + [""]

    def _globals(self) -> list[str]:
        lines: list[str] = []
        for at, var in enumerate(self.program.shared):
            kind = type_of(var.domain, var.name)
            values = self.initial[0].shared[at]
            initial = "" if _mixed(values) else _initial(values)
            name = self.shared[at]
            note = "  " + comment(var.name) if name != var.name else ""
            lines.append(declaration(name, kind, var.domain, var.length, initial) + f";{note}")
            self.bytes += var.length * {"bit": 1, "byte": 1, "short": 2, "int": 4}[kind]
        needs = self.needs
        if needs.leave:
            lines.append("byte leave;  " + comment("where a step leads to; 0 between steps"))
        for at in range(needs.picks):
            lines.append(f"byte pick_{at};  " + comment("a choice in a step; 0 between steps"))
        if self.counts_ends:
            count = sum(not thread.daemon for thread in self.program.threads)
            lines.append(f"byte unfinished = {count};")
        hidden = [f"h_{at}" for at in range(needs.scratch)]
        hidden += [f"h_old{at}" for at in range(needs.saved)]
        hidden += ["h_fuel", "h_at", "h_i", "h_x"]
        lines += ["", comment("Scratch within steps: no part of a state.")]
        lines += [f"hidden int {name};" for name in hidden]
        for length, count in sorted(needs.arrays.items()):
            size = f"[{length}]" if length > 1 else ""
            lines += [f"hidden int h_array{length}_{at}{size};" for at in range(count)]
        lines += ["", comment("Always 0: an assertion of one says by its name what is broken.")]
        lines += [
            f"hidden byte {variable};  {comment(name)}"
            for name, variable in self.needs.promises.items()
        ]
        if needs.lists:
            lines += ["", *LISTS.splitlines()]
        return lines

    def _processes(self, chosen: bool) -> list[str]:
        """The threads, those with the longest steps last: SPIN takes them from the last on.

        It keeps a table of 2048 entries, of which every d_step takes one for good, and for a
        while one for each of its states.
        """
        made = [
            self._process(at, thread, chosen) for at, thread in enumerate(self.program.threads)
        ]
        lines: list[str] = []
        used = 0
        for longest, name, text in sorted(made, key=lambda one: (-one[0], one[1])):
            used += sum(line.count("d_step {") for line in text)
            if used + longest > MAX_TABLE:
                raise ExportError(f"{name}: its longest step is too long for a d_step of SPIN")
            lines = [*text, *lines]
        return lines

    def _process(self, at: int, thread: ir.Thread, chosen: bool) -> tuple[int, str, list[str]]:
        program = self.program
        live = liveness(thread)
        stops = fine_stops(program)[at]
        storage = place_locals(thread, live, stops)
        writer = ThreadWriter(
            program, thread, analyse(program, thread, live), storage, self.shared, self.needs,
            self.counts_ends, self.commands,
        )  # fmt: skip
        start = sorted(
            {
                (place, thread.locals[var].initial)
                for (var, element), place in storage.cells.items()
                if live.is_live(thread.entry, var, element) and thread.locals[var].initial
            }
        )
        order = [thread.entry, *(stop for stop in stops if stop != thread.entry)]
        units = [line for stop in order for line in writer.unit(stop)]
        self.simple += writer.simple
        self.structured += writer.structured
        self.bytes += 16 + storage.bytes
        kind = "proctype" if chosen else "active proctype"
        what = "a daemon: it may rest anywhere" if thread.daemon else ""
        head = f"{kind} {self.processes[at]}() {{ {comment(what) if what else ''}".rstrip()
        lines = [head, *(f"  {line}" for line in storage.declarations)]
        if start:
            raise ExportError(f"{thread.name}: a local that begins with another value than 0")
        lines += [*units, f"{DONE}: false  {comment('it has finished')}", "}", ""]
        return writer.longest, thread.name, lines

    def _printer(self, what: str) -> Printer:
        ranges = Ranges(self.program)

        def no_local(var: int, element: int) -> str:
            raise ExportError(f"{what} reads a local variable")

        return Printer(ranges, {}, self.shared, no_local, {}, what)

    def _monitor(self, chosen: bool) -> list[str]:
        """A process that has a step only where an invariant is broken; the step leads nowhere."""
        options: list[str] = []
        for invariant in self.program.invariants:
            printer = self._printer(f"the invariant {invariant.name}")
            promise = self.needs.promise(invariant.name)
            broken = negated(invariant.test)
            if not invariant.terminal_only:
                test = printer.test(both(invariant.when, broken))
                if test != "0":
                    options.append(f"  :: d_step {{ {test} -> assert({promise}) }}")
                if invariant.when == ir.Const(1, ir.BOOL) or invariant.when == ir.Const(1):
                    continue
                rest = "timeout"
            else:
                rest = "timeout && unfinished == 0"
            test = printer.test(broken)
            if test != "0":
                options.append(f"  :: atomic {{ {rest} && {test} -> assert({promise}) }}")
        if not options:
            return []
        kind = "proctype" if chosen else "active proctype"
        note = comment("invariants: a step only where one is broken, which changes nothing")
        self.monitored = True
        return [f"{kind} monitor() {{ {note}", "end: do", *options, "  od", "}", ""]

    monitored = False

    def _init(self) -> list[str]:
        """Choose an initial state, then start everything, as one step."""
        first = self.initial[0].shared
        options = []
        for state in self.initial:
            changes = []
            for at, values in enumerate(state.shared):
                for element, value in enumerate(values):
                    known = 0 if _mixed(first[at]) else first[at][element]
                    if value != known:
                        place = self.shared[at]
                        if len(values) > 1:
                            place += f"[{element}]"
                        changes.append(f"{place} = {number(value)}")
            options.append(f"    :: d_step {{ {'; '.join(changes) or 'skip'} }}")
        runs = [f"    run {name}();" for name in self.processes]
        if self.monitored:
            runs.append("    run monitor();")
        return [
            "init {", "  atomic {", "    if", *options, "    fi;", *runs,
            "    goto end_init", "  };", "end_init: false", "}",
        ]  # fmt: skip


def _mixed(values: Sequence[int]) -> bool:
    """SPIN has no initialiser for an array with a negative element among others."""
    return len(set(values)) > 1 and min(values) < 0


def _initial(values: Sequence[int]) -> str:
    if not any(values):
        return ""
    if len(set(values)) == 1:
        return f" = {values[0]}"
    return " = { " + ", ".join(map(str, values)) + " }"



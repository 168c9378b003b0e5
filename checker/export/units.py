"""The units of one thread as Promela: guarded commands where possible, else structured code.

A unit is one step: ``d_step`` sequences are one transition of SPIN, an ``atomic`` around them
hides the states in between.  A step that ends in a violation leaves no state behind: it
asserts, puts back what it stored, and the process stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..explore.interpret import ENDED, FUEL
from ..explore.intervals import Env, Ranges
from ..lang import ir
from .errors import ExportError
from .expressions import FALSE, Faults, Printer, bare, element, impossible, negated
from .flow import Flow, flow, target_of
from .names import comment
from .paths import (
    NotSimple,
    Way,
    Ways,
    conjunction,
    list_range,
    out_of_range,
    outside_target,
)
from .storage import Storage

MAX_GUARD = 1500
DONE = "end_done"
BEYOND = "beyond Promela's int"


@dataclass(slots=True)
class Needs:
    """What the units of all threads need to be declared."""

    scratch: int = 0
    saved: int = 0
    arrays: dict[int, int] = field(default_factory=dict)
    picks: int = 0
    leave: bool = False
    lists: bool = False
    promises: dict[str, str] = field(default_factory=dict)

    def promise(self, name: str) -> str:
        """The variable that an assertion of a property names."""
        if name not in self.promises:
            plain = "".join(char if char.isalnum() else "_" for char in name)
            taken = set(self.promises.values())
            candidate, number = f"holds_{plain}", 1
            while candidate in taken:
                number += 1
                candidate = f"holds_{plain}_{number}"
            self.promises[name] = candidate
        return self.promises[name]


@dataclass(slots=True)
class ThreadWriter:
    """Writes the units of one thread.

    ``unfinished``: count down the threads that have not ended where this one does.
    ``commands``: write guarded commands where that is possible.  ``longest`` is the size of
    the longest unit, in SPIN's states.
    """

    program: ir.Program
    thread: ir.Thread
    envs: Sequence[Env]
    storage: Storage
    shared: Sequence[str]
    needs: Needs
    unfinished: bool
    commands: bool = True
    simple: int = 0
    structured: int = 0
    longest: int = 0
    ranges: Ranges = field(init=False)
    faults: Faults = field(init=False)
    scratch: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ranges = Ranges(self.program, self.thread)
        self.faults = Faults(self.ranges)

    # -------------------------------------------------------------------- naming

    def label(self, stop: int) -> str:
        """A stop's label; a daemon may stand at any of its stops for ever."""
        if stop == ENDED:
            return DONE
        return f"end_{stop}" if self.thread.daemon else f"L{stop}"

    def what(self, node: int) -> str:
        """An instruction, as refusals name it."""
        where = self.thread.code[node].where
        lines = f", line {where.lines[0]}" if where.lines else ""
        return f"{self.thread.name}, instruction {node} ({where.file}:{where.line}{lines})"

    def _local(self, var: int, element: int) -> str:
        place = self.storage.cells.get((var, element))
        if place is not None:
            return place
        if var in self.storage.dynamic:
            name = self._array(var)
            return f"{name}[{element}]" if self.thread.locals[var].length > 1 else name
        key = (var, element)
        if key not in self.scratch:
            self.scratch[key] = f"h_{len(self.scratch)}"
            self.needs.scratch = max(self.needs.scratch, len(self.scratch))
        return self.scratch[key]

    def _array(self, var: int) -> str:
        if var in self.storage.arrays:
            return self.storage.arrays[var]
        if var not in self.hidden:
            length = self.thread.locals[var].length
            same = [one for one in self.hidden if self.thread.locals[one].length == length]
            self.hidden[var] = f"h_array{length}_{len(same)}"
            known = self.needs.arrays.get(length, 0)
            self.needs.arrays[length] = max(known, len(same) + 1)
        return self.hidden[var]

    def printer(self, node: int) -> Printer:
        """Prints expressions as they are evaluated at a node."""
        arrays = {var: self._array(var) for var in self.storage.dynamic & self._read(node)}
        return Printer(
            self.ranges, self.envs[node], self.shared, self._local, arrays, self.what(node), []
        )

    def _read(self, node: int) -> set[int]:
        action = self.thread.code[node].action
        exprs = [sub for root in ir.action_reads(action) for sub in ir.walk(root)]
        if isinstance(action, ir.Assign | ir.Choose):
            exprs.append(action.target)
        return {expr.var for expr in exprs if isinstance(expr, ir.Local)}

    def _all_printer(self, node: int) -> Printer:
        """Prints conditions of whole ways in the state at a stop."""
        return Printer(
            self.ranges, self.envs[node], self.shared, self._local, self.storage.arrays,
            self.what(node),
        )  # fmt: skip

    # --------------------------------------------------------------------- units

    def unit(self, stop: int) -> list[str]:
        """The lines of one unit, from its label on."""
        self.scratch, self.hidden = {}, {}
        where = self.thread.code[stop].where
        lines = ", ".join(map(str, where.lines))
        said = comment(f"{lines} {where.routine}") if lines or where.routine else ""
        head = f"{self.label(stop)}: {said}".rstrip()
        if isinstance(self.thread.code[stop].action, ir.End):
            rest = "; ".join(self.leave(ENDED, self.storage.at(stop))) or "skip"
            return [head, f"  if :: atomic {{ {rest}; goto {DONE} }} fi;"]
        try:
            body = self._commands(stop)
            self.simple += 1
        except NotSimple:
            self.scratch, self.hidden = {}, {}
            body = _Structured(self, flow(self.thread, stop)).lines()
            self.structured += 1
        return [head, *body]

    def leave(self, target: int, dirty: set[str]) -> list[str]:
        """What a step does last: reset the places that hold nothing live at its end."""
        live = set() if target == ENDED else self.storage.at(target)
        statements = [f"{place} = 0" for place in sorted(dirty - live)]
        if target == ENDED and self.unfinished and not self.thread.daemon:
            statements.append("unfinished--")
        return statements

    def _commands(self, stop: int) -> list[str]:
        if not self.commands:
            raise NotSimple
        ways = Ways(self.ranges, self.thread, self.envs).of(stop)
        lines = ["  if"]
        lines += [line for way in ways if (line := self._command(stop, way))]
        if len(lines) == 1:
            lines.append(f"  :: false; goto {self.label(stop)}")
        return [*lines, "  fi;"]

    def _command(self, stop: int, way: Way) -> str:
        condition = conjunction(way.conditions)
        statements: list[str] = []
        if condition != ir.Const(1, ir.BOOL):
            try:
                guard = self._all_printer(stop).test(condition)
            except ExportError:
                raise NotSimple from None
            if len(guard) > MAX_GUARD:
                raise NotSimple
            if guard == "0":
                return ""
            if guard != "1":
                statements.append(guard)
        if way.broken:
            statements.append(f"assert({self.needs.promise(way.broken)})")
            return _option(statements, self.label(stop), "atomic")
        dirty = self.storage.at(stop)
        for node, choice in way.nodes:
            if self._obligations(node):
                raise NotSimple
            statements += self.statements(node, str(choice))
            dirty |= self.stored(node)
        statements += self.leave(way.target, dirty)
        return _option(statements, self.label(way.target))

    # ---------------------------------------------------------------- statements

    def stored(self, node: int) -> set[str]:
        """The places among the proctype's variables that an instruction may store."""
        action = self.thread.code[node].action
        if not isinstance(action, ir.Assign | ir.Choose):
            return set()
        target = action.target
        if not isinstance(target, ir.Local):
            return set()
        if target.index is None or isinstance(target.index, ir.Const):
            elements = [0 if target.index is None else target.index.value]
        else:
            elements = list(range(self.thread.locals[target.var].length))
        places = (self.storage.cells.get((target.var, element)) for element in elements)
        return {place for place in places if place is not None}

    def statements(self, node: int, choice: str) -> list[str]:
        """What an instruction stores; its violations have been excluded."""
        action = self.thread.code[node].action
        printer = self.printer(node)
        match action:
            case ir.Assign(target, value):
                return [f"{printer.place(target)} = {bare(printer.stored(value))}"]
            case ir.Choose(target):
                return [f"{printer.place(target)} = {choice}"]
            case ir.ListInsert(ref, where, item, anchor):
                return self._insert(printer, ref, where, item, anchor)
            case ir.ListRemove(ref, item):
                if ref.capacity == 1:
                    return [f"{printer.place(element(ref, 0))} = {ref.empty}"]
                name, base = self.shared[ref.var], printer.value(ref.base)
                self.needs.lists = True
                return [
                    f"h_x = {bare(printer.stored(item))}",
                    f"list_find({name}, {base}, h_x)",
                    f"list_drop({name}, {base}, {ref.capacity}, {ref.empty})",
                ]
        return []

    def _insert(
        self, printer: Printer, ref: ir.ListRef, where: str, item: ir.Expr, anchor: ir.Expr | None
    ) -> list[str]:
        if ref.capacity == 1:
            return [f"{printer.place(element(ref, 0))} = {bare(printer.stored(item))}"]
        name, base = self.shared[ref.var], printer.value(ref.base)
        self.needs.lists = True
        if where == "head":
            find = ["h_at = 0"]
        elif where == "tail":
            find = [f"list_find({name}, {base}, {ref.empty})"]
        else:
            assert anchor is not None
            find = [f"h_x = {bare(printer.stored(anchor))}", f"list_find({name}, {base}, h_x)"]
            if where == "after":
                find.append("h_at = h_at + 1")
        put = f"list_put({name}, {base}, {ref.capacity}, h_x)"
        return [*find, f"h_x = {bare(printer.stored(item))}", put]

    def violations(self, node: int) -> list[tuple[str, str]]:
        """Conditions under which an instruction is a violation, in order, with the property."""
        action, env = self.thread.code[node].action, self.envs[node]
        found: list[tuple[ir.Expr, str]] = []
        lists = isinstance(action, ir.ListInsert | ir.ListRemove)
        if isinstance(action, ir.ListInsert | ir.ListRemove):
            found.append((self.faults.of_list(action.list, env), "index"))
        for root in ir.action_reads(action):
            if not (lists and root == action.list.base):  # type: ignore[union-attr]
                found.append((self.faults.of(root, env), "index"))
        match action:
            case ir.Assign(target, value):
                outside = outside_target(self.faults, self.thread, target, env)
                found.append((outside, "index"))
                ranged = out_of_range(self.ranges, self.thread, target, value, env)
                found.append((ranged, "range"))
            case ir.Check(test, name):
                found.append((negated(test), name))
            case ir.ListInsert():
                found.append((impossible(action), "list"))
                found.append((list_range(self.ranges, action, env), "range"))
            case ir.ListRemove():
                found.append((impossible(action), "list"))
            case ir.Choose(target):
                domain = self.thread.locals[target.var].domain
                most = self.ranges.of(action.count, env)[1]
                if target.index is not None or domain.low > 0 or most - 1 > domain.high:
                    raise ExportError(f"{self.what(node)}: this choice cannot be exported")
        printer = self.printer(node)
        tests = [(printer.test(condition), name) for condition, name in found if condition != FALSE]
        self._evaluate(node, printer)
        assert printer.obliged is not None
        beyond = [(f"!({test})", BEYOND) for test in dict.fromkeys(printer.obliged)]
        return [(test, name) for test, name in [*beyond, *tests] if test != "0"]

    def _obligations(self, node: int) -> list[str]:
        printer = self.printer(node)
        self._evaluate(node, printer)
        return printer.obliged or []

    def _evaluate(self, node: int, printer: Printer) -> None:
        """Print what an instruction computes, for the obligations that come with it."""
        action = self.thread.code[node].action
        match action:
            case ir.Assign(target, value):
                printer.place(target)
                printer.stored(value)
            case ir.Branch(test) | ir.Wait(test):
                printer.test(test)

    def written(self, node: int) -> list[str]:
        """Every place of the state that an instruction may store."""
        action = self.thread.code[node].action
        places = sorted(self.stored(node))
        match action:
            case ir.Assign(ir.Shared(var, ir.Const(element))):
                places += self._elements(var, [element])
            case ir.Assign(ir.Shared(var)):
                places += self._elements(var, range(self.program.shared[var].length))
            case ir.ListInsert(ref) | ir.ListRemove(ref):
                places += self._elements(ref.var, range(self.program.shared[ref.var].length))
        return places

    def _elements(self, var: int, elements: Sequence[int]) -> list[str]:
        length, name = self.program.shared[var].length, self.shared[var]
        if length == 1:
            return [name]
        return [f"{name}[{element}]" for element in elements if 0 <= element < length]


@dataclass(slots=True)
class _Structured:
    """Writes one unit as nested ifs in a d_step, with gotos where branches do not nest."""

    writer: ThreadWriter
    flow: Flow
    out: list[str] = field(default_factory=list)
    emitted: set[int] = field(default_factory=set)
    wanted: set[int] = field(default_factory=set)
    fails: dict[str, str] = field(default_factory=dict)
    choices: list[int] = field(default_factory=list)
    undo: bool = False
    dirty: set[str] = field(default_factory=set)
    incoming: dict[int, int] = field(default_factory=dict)
    sure: set[str] = field(default_factory=set)
    known: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The unit's lines behind its label."""
        writer, made = self.writer, self.flow
        code = writer.thread.code
        stop = made.stop
        self.choices = [n for n in made.order if isinstance(code[n].action, ir.Choose)]
        self.dirty = writer.storage.at(stop)
        for node in made.order:
            self.dirty |= writer.stored(node)
            if isinstance(code[node].action, ir.Wait) and node != stop:
                raise ExportError(f"{writer.what(node)}: waits in the middle of a step")
            if node in self.choices and node in made.reaching({node}):
                raise ExportError(f"{writer.what(node)}: chooses in a loop within a step")
        for node in made.order:
            for to in made.after[node]:
                self.incoming[to] = self.incoming.get(to, 0) + 1
        failing = {node for node in made.order if node in self.choices or self._violations(node)}
        if self.choices:
            failing |= {to for node in made.order for to in made.after[node] if to < 0}
        failing |= made.heads
        self.undo = bool(failing)
        before = made.reaching(failing)
        saved = list(dict.fromkeys(p for n in made.order if n in before for p in writer.written(n)))
        self._emit(stop, None, 2)
        begin: list[str] = []
        first = code[stop].action
        if isinstance(first, ir.Wait):
            begin.append(f"{self._guard(first)};")
        if made.heads:
            begin.append("h_fuel = 0;")
        exits = made.exits
        if self.undo:
            begin += [f"h_old{at} = {place};" for at, place in enumerate(saved)]
            writer.needs.saved = max(writer.needs.saved, len(saved))
        targets = [*exits, stop] if self.undo else exits
        body = [line for line in map(self._labelled, self.out) if line]
        inside = [*begin, *body, *self._end(saved, len(exits) + 1)]
        return self._wrapped(inside, targets, first)

    def _end(self, saved: list[str], undone: int) -> list[str]:
        """The end of the sequence: what a violation does, and where everything goes on."""
        name = f"U{self.flow.stop}"
        if not self.undo:
            return [f"{name}_done: skip"]
        lines = [f"goto {name}_done;"]
        for promised, label in self.fails.items():
            lines.append(f"{label}: assert({self.writer.needs.promise(promised)});")
            lines.append(f"goto {name}_undo;")
        lines.append(f"{name}_undo: skip;")
        lines += [f"{place} = h_old{number};" for number, place in enumerate(saved)]
        lines += [f"pick_{number} = 0;" for number in range(len(self.choices))]
        lines += [f"leave = {undone};"] if undone > 1 else []
        return [*lines, f"{name}_done: skip"]

    def _wrapped(self, inside: list[str], targets: list[int], first: ir.Action) -> list[str]:
        """The sequence as one step, and what leads on from it.

        It is one d_step, however long: in an atomic of single statements backtracking would not
        restore the hidden variables that they would share.
        """
        writer = self.writer
        if not targets:
            raise ExportError(f"{writer.what(self.flow.stop)}: a step without an end")
        writer.longest = max(writer.longest, sum(map(_size, inside)))
        if len(targets) == 1:
            return ["  if", "  :: d_step {", *_indented(inside, 4),
                    f"  }}; goto {writer.label(targets[0])}", "  fi;"]  # fmt: skip
        lines = ["  atomic {"]
        if self.choices:
            if isinstance(first, ir.Wait):
                lines.append(f"    {self._guard(first)};")
            writer.needs.picks = max(writer.needs.picks, len(self.choices))
            for at, node in enumerate(self.choices):
                options = " ".join(f":: pick_{at} = {one}" for one in range(self._most(node)))
                lines.append(f"    if {options} fi;")
        lines += ["    d_step {", *_indented(inside, 6), "    };"]
        writer.needs.leave = True
        lines.append("    if")
        for number, target in enumerate(targets, 1):
            lines.append(
                f"    :: leave == {number} -> leave = 0; goto {writer.label(target)}"
            )
        return [*lines, "    fi", "  };"]

    def _guard(self, wait: ir.Wait) -> str:
        """Where the unit's first instruction can be executed, be it a violation."""
        stop = self.flow.stop
        guard = self.writer.printer(stop).test(wait.guard)
        return " || ".join([*(condition for condition, _ in self._violations(stop)), guard])

    def _violations(self, node: int) -> list[tuple[str, str]]:
        if node not in self.known:
            self.known[node] = self.writer.violations(node)
        return self.known[node]

    def _most(self, node: int) -> int:
        """The number of alternatives that a choice has at most."""
        writer = self.writer
        action = writer.thread.code[node].action
        assert isinstance(action, ir.Choose)
        return max(1, writer.ranges.of(action.count, writer.envs[node])[1])

    # ------------------------------------------------------------------- emitting

    def _name(self, node: int) -> str:
        stop = self.flow.stop
        if node >= 0:
            return f"U{stop}_{node}"
        target = target_of(node)
        return f"U{stop}_to_end" if target == ENDED else f"U{stop}_to_{target}"

    def _labelled(self, line: str) -> str:
        """Labels that nothing goes to are left out."""
        if line.startswith("?"):
            node = int(line[1:])
            return f"{self._name(node)}: skip;" if node in self.wanted else ""
        return line

    def _line(self, depth: int, text: str) -> None:
        self.out.append(" " * (depth - 2) + text)

    def _fail(self, name: str) -> str:
        plain = "".join(char if char.isalnum() else "_" for char in name)
        return self.fails.setdefault(name, f"U{self.flow.stop}_not_{plain}_{len(self.fails)}")

    def _emit(self, node: int, until: int | None, depth: int) -> None:
        """Emit code from a node on, up to ``until`` or to the end of the sequence."""
        writer, made = self.writer, self.flow
        code = writer.thread.code
        while node != until:
            if node in self.emitted:
                self.wanted.add(node)
                self._line(depth, f"goto {self._name(node)};")
                return
            self.emitted.add(node)
            self.out.append(f"?{node}")
            if node < 0:
                self._exit(node, depth)
                return
            if node in made.heads:
                self._line(depth, "h_fuel++;")
                label = self._fail("divergence")
                self._line(depth, f"if :: h_fuel > {FUEL} -> goto {label} :: else fi;")
            if self.incoming.get(node, 0) > 1:
                self.sure.clear()
            for condition, name in self._violations(node):
                if condition in self.sure:
                    continue
                self.sure.add(condition)
                self._line(depth, f"if :: {condition} -> goto {self._fail(name)} :: else fi;")
            action = code[node].action
            if isinstance(action, ir.Branch) and len(made.after[node]) == 2:
                node = self._branch(node, action, depth)
                continue
            if isinstance(action, ir.Choose):
                self._choice(node, action, depth)
            for statement in writer.statements(node, f"pick_{self._picked(node)}"):
                self._line(depth, f"{statement};")
                self._forget(statement)
            if isinstance(action, ir.Choose):
                self._line(depth, f"pick_{self._picked(node)} = 0;")
            (node,) = made.after[node]

    def _branch(self, node: int, action: ir.Branch, depth: int) -> int:
        """Emit the arms that do not go on at this level; the node that does."""
        meet = self.flow.meet[node]
        one, two = self.flow.after[node]
        test = self.writer.printer(node).test(action.test)
        if test in ("0", "1"):
            return one if test == "1" else two
        self._line(depth, "if")
        self._line(depth, f":: {test} ->")
        sure = set(self.sure)
        self._arm(one, meet, depth + 2)
        self.sure = sure
        if meet is None or two == meet:
            self._line(depth, ":: else fi;")  # the first arm never comes back, or nothing is left
            return two
        self._line(depth, ":: else ->")
        self._arm(two, meet, depth + 2)
        self._line(depth, "fi;")
        return meet

    def _arm(self, node: int, until: int | None, depth: int) -> None:
        if node == until:
            self._line(depth, "skip;")
        else:
            self._emit(node, until, depth)

    def _forget(self, statement: str) -> None:
        """What is known not to be a violation may be one after a statement."""
        stored = re.match(r"(\w+)(\[.*\])? = ", statement)
        if stored is None:
            self.sure.clear()
            return
        name = re.compile(rf"\b{stored[1]}\b")
        self.sure = {condition for condition in self.sure if not name.search(condition)}

    def _picked(self, node: int) -> int:
        return self.choices.index(node) if node in self.choices else 0

    def _choice(self, node: int, action: ir.Choose, depth: int) -> None:
        """Go on only where the value picked is an alternative."""
        low, high = self.writer.ranges.of(action.count, self.writer.envs[node])
        count = self.writer.printer(node).value(action.count)
        if low < 1:
            label = self._fail("no alternative")
            self._line(depth, f"if :: {count} <= 0 -> goto {label} :: else fi;")
        if low < high:
            test = f"pick_{self._picked(node)} >= {count}"
            self._line(depth, f"if :: {test} -> goto U{self.flow.stop}_undo :: else fi;")

    def _exit(self, code: int, depth: int) -> None:
        """Leave the unit; a value picked for a choice that was not made is not a way."""
        writer, made = self.writer, self.flow
        for at in range(len(self.choices)):
            if self._most(self.choices[at]) > 1:
                self._line(depth, f"if :: pick_{at} != 0 -> goto U{made.stop}_undo :: else fi;")
        target = target_of(code)
        for statement in writer.leave(target, self.dirty):
            self._line(depth, f"{statement};")
        exits = made.exits
        if len(exits) > 1 or self.undo:
            self._line(depth, f"leave = {exits.index(target) + 1};")
        self._line(depth, f"goto U{made.stop}_done;")


def _size(line: str) -> int:
    """How many of SPIN's states a line makes, or a few more."""
    return line.count(";") + 2 * line.count("::") + 12 * line.count("list_")


def _option(statements: list[str], target: str, kind: str = "d_step") -> str:
    """An alternative; SPIN allows no more than two thousand d_steps: only where one is needed."""
    if len(statements) < 2:
        return f"  :: {statements[0] if statements else 'skip'}; goto {target}"
    inside = f"{statements[0]} -> {'; '.join(statements[1:])}"
    if kind == "atomic":  # a goto behind it would be a state of its own
        return f"  :: atomic {{ {inside}; goto {target} }}"
    return f"  :: {kind} {{ {inside} }}; goto {target}"


def _indented(lines: list[str], depth: int) -> list[str]:
    return [" " * depth + line for line in lines]

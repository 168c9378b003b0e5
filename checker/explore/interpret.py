"""The oracle: a direct interpreter of the IR over plain states.

It is slow and obvious.  Every other engine is held against it, and no counterexample is
shown that it has not re-executed.  A state is *canonical* when every dead local variable
holds its initial value; all states in here are.

Beyond the property checks of the program, a step is a violation when it stores outside a
domain (``range``), reads or stores outside a variable (``index``), cannot do a list
operation (``list``), or makes :data:`FUEL` steps without reaching a stop (``divergence``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..lang import ir
from . import semantics
from .errors import InternalError, SetupError
from .liveness import Liveness, liveness
from .openings import Ending, Openings

FUEL = 20_000
ENDED = -1

Values: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ThreadState:
    """Where a thread stands (:data:`ENDED` when it has finished) and its locals."""

    pc: int
    locals: Values


@dataclass(frozen=True, slots=True)
class State:
    """The elements of every shared variable, and every thread."""

    shared: Values
    threads: tuple[ThreadState, ...]

    def digest(self) -> str:
        """Sixteen hexadecimal digits that identify the state."""
        threads = [(thread.pc, thread.locals) for thread in self.threads]
        return hashlib.sha256(repr((self.shared, threads)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Violation:
    """A step that must not be: the property, in words, and the instruction."""

    property: str
    message: str
    thread: int
    instr: int


@dataclass(frozen=True, slots=True)
class StepResult:
    """One outcome of a step: the new state, or the violation that ended it."""

    state: State | None
    choices: tuple[int, ...]
    executed: tuple[int, ...]
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class Beginning:
    """The initial states, and how many choices of what the setup leaves open are left out."""

    states: list[State]
    left_out: int


class _Fault(Exception):
    """An instruction that cannot be completed: becomes a violation."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


Memory: TypeAlias = Sequence[Sequence[int]]


def _element(memory: Memory, var: int, index: int) -> int:
    values = memory[var]
    if not 0 <= index < len(values):
        raise _Fault("index", f"element {index} of a variable of {len(values)}")
    return values[index]


def _list_items(ref: ir.ListRef, shared: Memory, local: Memory) -> tuple[int, list[int]]:
    base = _eval(ref.base, shared, local)
    values = shared[ref.var]
    if not 0 <= base <= len(values) - ref.capacity:
        raise _Fault("index", f"list at element {base} of a variable of {len(values)}")
    return base, list(values[base : base + ref.capacity])


def _eval(expr: ir.Expr, shared: Memory, local: Memory) -> int:
    match expr:
        case ir.Const(value):
            return value
        case ir.Local(var, index):
            return _element(local, var, 0 if index is None else _eval(index, shared, local))
        case ir.Shared(var, index):
            return _element(shared, var, _eval(index, shared, local))
        case ir.Unary(op, operand, ctype):
            return semantics.unary(op, _eval(operand, shared, local), ctype)
        case ir.Binary("and", left, right):
            return int(bool(_eval(left, shared, local)) and bool(_eval(right, shared, local)))
        case ir.Binary("or", left, right):
            return int(bool(_eval(left, shared, local)) or bool(_eval(right, shared, local)))
        case ir.Binary(op, left, right, ctype):
            return semantics.binary(
                op, _eval(left, shared, local), _eval(right, shared, local), ctype
            )
        case ir.Cond(test, then, other):
            return _eval(then if _eval(test, shared, local) else other, shared, local)
        case ir.ListNext(ref, node):
            _, items = _list_items(ref, shared, local)
            return semantics.list_next(items, _eval(node, shared, local), ref.empty)
        case ir.Param(name):
            raise InternalError(f"parameter {name} has no value: this needs a symbolic engine")


def eval_expr(expr: ir.Expr, state: State, thread: int | None = None) -> int:
    """The value of an expression: of a thread, or (None) of an invariant."""
    local: Memory = () if thread is None else state.threads[thread].locals
    try:
        return _eval(expr, state.shared, local)
    except _Fault as fault:
        raise InternalError(f"expression reads outside its variable: {fault}") from None


@dataclass(slots=True)
class _Run:
    """One execution in progress."""

    shared: list[list[int]]
    locals: list[list[int]]
    pc: int
    choices: tuple[int, ...] = ()
    executed: tuple[int, ...] = ()
    stored: bool = False

    def copy(self, pc: int, choice: int) -> _Run:
        return _Run(
            [list(values) for values in self.shared],
            [list(values) for values in self.locals],
            pc,
            (*self.choices, choice),
            self.executed,
            self.stored,
        )


class _Machine:
    """Executes one thread's instructions, forking at choices."""

    def __init__(self, program: ir.Program, thread: ir.Thread, whole: bool) -> None:
        self.program, self.thread, self.whole = program, thread, whole

    def outcomes(self, start: _Run) -> list[tuple[_Run, Violation | None]]:
        """All ways to run from here to the next stop, in the order of the choices."""
        done: list[tuple[_Run, Violation | None]] = []
        todo = [start]
        while todo:
            run = todo.pop()
            try:
                self._run(run, done, todo)
            except _Fault as fault:
                at = run.executed[-1]
                name = _describe(self.program, self.thread.code[at], fault)
                done.append((run, Violation(fault.name, name, self.thread.index, at)))
        return done

    def _run(
        self, run: _Run, done: list[tuple[_Run, Violation | None]], todo: list[_Run]
    ) -> None:
        code = self.thread.code
        fuel = FUEL
        begun = False
        while True:
            if run.pc == ENDED:
                done.append((run, None))
                return
            instr = code[run.pc]
            if isinstance(instr.action, ir.End):
                run.executed += (run.pc,)
                run.pc = ENDED
                continue
            if instr.fine_stop and not self.whole and (begun or run.executed):
                done.append((run, None))
                return
            begun = True
            run.executed += (run.pc,)
            fuel -= 1
            if fuel == 0:
                raise _Fault("divergence", "runs on for ever without a step of another thread")
            if not self._execute(run, instr, done, todo):
                return

    def _execute(
        self,
        run: _Run,
        instr: ir.Instr,
        done: list[tuple[_Run, Violation | None]],
        todo: list[_Run],
    ) -> bool:
        """Execute one instruction; False where this run does not go on."""
        shared, local = run.shared, run.locals
        successor = instr.next
        match instr.action:
            case ir.Assign(target, value):
                self._store(run, target, _eval(value, shared, local))
            case ir.Branch(test, other):
                if not _eval(test, shared, local):
                    successor = other
            case ir.Choose(target, count):
                for choice in reversed(range(_eval(count, shared, local))):
                    fork = run.copy(successor, choice)
                    try:
                        self._store(fork, target, choice)
                    except _Fault as fault:
                        at = run.pc
                        text = _describe(self.program, instr, fault)
                        violation = Violation(fault.name, text, self.thread.index, at)
                        done.append((fork, violation))
                        continue
                    todo.append(fork)
                return False
            case ir.Wait(guard):
                if not _eval(guard, shared, local):
                    if run.stored:
                        raise InternalError(f"{self.thread.name}: waits after a store in one step")
                    return False
            case ir.Check(test, name, message):
                if not _eval(test, shared, local):
                    done.append((run, Violation(name, message, self.thread.index, run.pc)))
                    return False
            case ir.ListInsert(ref, where, node, anchor):
                base, items = _list_items(ref, shared, local)
                near = None if anchor is None else _eval(anchor, shared, local)
                self._replace(
                    run, ref, base,
                    semantics.list_insert(
                        items, where, _eval(node, shared, local), near, ref.empty
                    ),
                )  # fmt: skip
            case ir.ListRemove(ref, node):
                base, items = _list_items(ref, shared, local)
                changed = semantics.list_remove(items, _eval(node, shared, local), ref.empty)
                self._replace(run, ref, base, changed)
            case ir.Nop() | ir.End():
                pass
        run.pc = successor
        return True

    def _store(self, run: _Run, target: ir.Local | ir.Shared, value: int) -> None:
        if isinstance(target, ir.Local):
            domain = self.thread.locals[target.var].domain
            values = run.locals[target.var]
            index = 0 if target.index is None else _eval(target.index, run.shared, run.locals)
        else:
            domain = self.program.shared[target.var].domain
            values = run.shared[target.var]
            index = _eval(target.index, run.shared, run.locals)
            run.stored = True
        if not 0 <= index < len(values):
            raise _Fault("index", f"element {index} of a variable of {len(values)}")
        if not domain.low <= value <= domain.high:
            raise _Fault("range", f"{value} is outside {domain.low} to {domain.high}")
        values[index] = value

    def _replace(self, run: _Run, ref: ir.ListRef, base: int, items: list[int] | None) -> None:
        if items is None:
            raise _Fault("list", "the list operation is not possible")
        domain = self.program.shared[ref.var].domain
        if any(not domain.low <= item <= domain.high for item in items):
            raise _Fault("range", f"a list item is outside {domain.low} to {domain.high}")
        run.shared[ref.var][base : base + ref.capacity] = items
        run.stored = True


def fault_message(program: ir.Program, instr: ir.Instr, name: str) -> str:
    """What a ``range``, ``index``, ``list`` or ``divergence`` violation says.

    It depends on the instruction only, so that every engine says the same.
    """
    if name == "divergence":
        return "the thread runs on for ever without a step of another thread"
    if name == "range":
        target = getattr(instr.action, "target", None)
        if isinstance(target, ir.Shared):
            return f"a value outside the range of {program.shared[target.var].name}"
        return "a value outside the range of its variable"
    if name == "list":
        ref = getattr(instr.action, "list", None)
        subject = program.shared[ref.var].name if isinstance(ref, ir.ListRef) else "a list"
        verb = "removes from" if isinstance(instr.action, ir.ListRemove) else "inserts into"
        return f"{verb} {subject} what cannot be"
    names = sorted({program.shared[a.var].name for a in ir.accesses(instr.action)})
    return "an access outside " + (" or ".join(names) or "a local array")


def setup_failure(program: ir.Program, violation: Violation | None) -> str:
    """Why there is no initial state: the check that fails, or (None) no way to the end."""
    if violation is None:
        return f"{program.name}: the setup has no way to its end"
    where = program.setup.code[violation.instr].where
    return f"{where.file}:{where.line}: setup: {violation.property}: {violation.message}"


def _describe(program: ir.Program, instr: ir.Instr, fault: _Fault) -> str:
    return fault_message(program, instr, fault.name)


class Interpreter:
    """The interpreter of one program; keeps what it knows about dead variables."""

    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.liveness: list[Liveness] = [liveness(thread) for thread in program.threads]
        self._dead: list[Values] = [
            tuple((var.initial,) * var.length for var in thread.locals)
            for thread in program.threads
        ]
        self._alive: dict[tuple[int, int], list[tuple[int, list[bool]]]] = {}

    def canonical(self, thread: int, pc: int, values: Sequence[Sequence[int]]) -> Values:
        """The locals of a thread with everything dead at ``pc`` reset."""
        if pc == ENDED:
            return self._dead[thread]
        rows = list(self._dead[thread])
        for var, elements in self._live_locals(thread, pc):
            dead = rows[var]
            rows[var] = tuple(
                value if live else dead[element]
                for element, (value, live) in enumerate(zip(values[var], elements, strict=True))
            )
        return tuple(rows)

    def _live_locals(self, thread: int, pc: int) -> list[tuple[int, list[bool]]]:
        """The locals with something live at a node, and which of their elements."""
        known = self._alive.get((thread, pc))
        if known is None:
            live = self.liveness[thread]
            known = []
            for var, declared in enumerate(self.program.threads[thread].locals):
                elements = [live.is_live(pc, var, element) for element in range(declared.length)]
                if any(elements):
                    known.append((var, elements))
            self._alive[thread, pc] = known
        return known

    def run_setup(self) -> list[State]:
        """The initial states: one for each different result of the setup's choices."""
        return self.begin().states

    def begin(self, *, consistent: bool = True) -> Beginning:
        """Execute the setup, for all its choices; :mod:`.openings` says which are left out.

        ``consistent`` False: those that break an invariant at the beginning are not.  Raises
        SetupError where the setup fails whatever is chosen.
        """
        openings = Openings(self.program.setup)
        endings, failure = self._endings(openings)
        kept = openings.accepted(endings)
        if not kept:
            raise SetupError(setup_failure(self.program, failure))
        if consistent:
            kept = openings.consistent(endings, kept, self.breaks)
        return Beginning(openings.states(endings, kept), openings.choices - len(kept))

    def opened(self, initial: State) -> Mapping[str, int]:
        """What the setup chose of what is open, by label, where it led to this initial state."""
        endings, _ = self._endings(Openings(self.program.setup))
        return next(one.chosen for one in endings
                    if one.state is not None and one.state.shared == initial.shared)

    def _endings(self, openings: Openings) -> tuple[list[Ending[State]], Violation | None]:
        """All ways through the setup, and the first that fails."""
        program = self.program
        setup = program.setup
        start = _Run(
            [list(var.initial) for var in program.shared],
            [[var.initial] * var.length for var in setup.locals],
            setup.entry,
        )
        threads = tuple(
            ThreadState(
                thread.entry,
                self.canonical(
                    index,
                    thread.entry,
                    [[var.initial] * var.length for var in thread.locals],
                ),
            )
            for index, thread in enumerate(program.threads)
        )
        endings: list[Ending[State]] = []
        failures: list[Violation] = []
        for run, violation in _Machine(program, setup, whole=True).outcomes(start):
            state: State | None = None
            if violation is None:
                state = State(tuple(tuple(row) for row in run.shared), threads)
            else:
                failures.append(violation)
            endings.append(Ending(openings.chosen(run.executed, run.choices), state))
        return endings, failures[0] if failures else None

    def breaks(self, state: State) -> bool:
        """Is an invariant broken in a state, of those that hold before the end?"""
        return any(
            not eval_expr(invariant.test, state)
            for invariant in self.program.invariants
            if not invariant.terminal_only and eval_expr(invariant.when, state)
        )

    def fine_step(self, state: State, thread: int) -> list[StepResult]:
        """All outcomes of one unit of a thread: from its stop up to the next ones.

        Empty when the thread has ended or its step is not enabled.
        """
        old = state.threads[thread]
        if old.pc == ENDED:
            return []
        start = _Run(
            [list(row) for row in state.shared], [list(row) for row in old.locals], old.pc
        )
        machine = _Machine(self.program, self.program.threads[thread], whole=False)
        results: list[StepResult] = []
        for run, violation in machine.outcomes(start):
            after: State | None = None
            if violation is None:
                threads = list(state.threads)
                threads[thread] = ThreadState(run.pc, self.canonical(thread, run.pc, run.locals))
                after = State(tuple(tuple(row) for row in run.shared), tuple(threads))
            results.append(StepResult(after, run.choices, run.executed, violation))
        return sorted(results, key=lambda result: result.choices)


def run_setup(program: ir.Program) -> list[State]:
    """The initial states of a program."""
    return Interpreter(program).run_setup()


def fine_step(program: ir.Program, state: State, thread: int) -> list[StepResult]:
    """All outcomes of one fine unit (see :meth:`Interpreter.fine_step`)."""
    return Interpreter(program).fine_step(state, thread)

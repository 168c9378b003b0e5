"""The intermediate representation: the one program that every engine reads.

A :class:`Program` is a set of shared variables and one control-flow graph for each
thread.  Everything the source language has beyond that (calls, records, short-circuit
conditions, locks, lists, ranges) is gone: calls are inlined, a record field is an array
with one element for each pool entry, a lock is a few shared variables with guarded
updates.  Nothing in here refers back to the Python source except for display.

Vocabulary
----------
instruction
    One node of a thread's graph: an assignment, a branch, a nondeterministic choice, a
    wait, a check, a list operation or the end.
access
    A read or a write of one element of a shared variable.
fine stop
    A node at which another thread may run under the finest granularity.  Between two
    fine stops a thread makes at most one access to shared state that is not ghost,
    except inside an atomic region (a service that the kernel makes atomic).
unit
    Everything from one fine stop up to the next ones.  Reductions merge whole units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

# --------------------------------------------------------------------------- types


@dataclass(frozen=True, slots=True)
class CType:
    """An arithmetic type of C: the width in bits and the signedness of a value."""

    name: str
    bits: int
    signed: bool

    @property
    def minimum(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.bits - (1 if self.signed else 0))) - 1

    def wrap(self, value: int) -> int:
        """Reduce a mathematical integer to this type, as a C conversion does."""
        value &= (1 << self.bits) - 1
        if self.signed and value > self.maximum:
            value -= 1 << self.bits
        return value


BOOL = CType("bool", 1, False)
INT32 = CType("int", 32, True)

Kind: TypeAlias = Literal["int", "bool", "enum", "flags", "ref", "thread"]


@dataclass(frozen=True, slots=True)
class Domain:
    """What one slot of state may hold: an inclusive range of integers, and how to print it.

    ``labels`` names values (enums: value to name; flags: bit mask to name; refs: none and
    the special references).  A ``ref`` to a pool of ``n`` entries holds 0 to n-1 for an
    entry, n for none, and further values for markers and special references.
    """

    kind: Kind
    low: int
    high: int
    ctype: CType = INT32
    labels: tuple[tuple[int, str], ...] = ()
    pool: str = ""

    def show(self, value: int) -> str:
        """The value as a trace prints it."""
        if self.kind == "bool":
            return "true" if value else "false"
        if self.kind == "flags":
            names = [name for bit, name in self.labels if bit and value & bit == bit]
            return "|".join(names) or "0"
        for labelled, name in self.labels:
            if labelled == value:
                return name
        if self.kind == "ref":
            return f"{self.pool}{value}"
        return str(value)


# --------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Const:
    value: int
    ctype: CType = INT32


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the scenario that was kept symbolic (only in symbolic compilations)."""

    name: str
    ctype: CType


@dataclass(frozen=True, slots=True)
class Local:
    """A read of a thread's local variable; ``index`` for local arrays."""

    var: int
    index: Expr | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """A read of one element of a shared variable (scalars have one element, index 0)."""

    var: int
    index: Expr


@dataclass(frozen=True, slots=True)
class Unary:
    """``op`` is ``-``, ``~``, ``not`` or ``cast``; the result wraps to ``ctype``."""

    op: str
    operand: Expr
    ctype: CType


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation.

    Arithmetic (``+ - * // % << >> & | ^ min max``) wraps to ``ctype``; comparisons and
    ``and``/``or`` give 0 or 1.  Operands were converted to a common type by ``cast`` nodes
    where C would convert them.  ``//`` and ``%`` truncate toward zero.
    """

    op: str
    left: Expr
    right: Expr
    ctype: CType


@dataclass(frozen=True, slots=True)
class Cond:
    test: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class ListRef:
    """One ordered list: ``capacity`` elements of ``var`` starting at ``base``.

    The list occupies a prefix; the elements behind it hold ``empty``.  No value occurs twice.
    """

    var: int
    base: Expr
    capacity: int
    empty: int


@dataclass(frozen=True, slots=True)
class ListNext:
    """The value behind ``node`` in the list; ``empty`` when node is last or absent."""

    list: ListRef
    node: Expr


Expr: TypeAlias = Const | Param | Local | Shared | Unary | Binary | Cond | ListNext

# -------------------------------------------------------------------- instructions


@dataclass(frozen=True, slots=True)
class Assign:
    """Store ``value``; a value outside the target's domain is a ``range`` violation."""

    target: Local | Shared
    value: Expr


@dataclass(frozen=True, slots=True)
class Branch:
    """Go to ``next`` when the test is nonzero, to ``other`` otherwise."""

    test: Expr
    other: int


@dataclass(frozen=True, slots=True)
class Choose:
    """Nondeterministic choice: the target takes any value from 0 to ``count - 1``.

    ``count`` may be 0: then no continuation exists and the step is not enabled.
    ``label`` names the choice in traces.
    """

    target: Local
    count: Expr
    label: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The thread goes on only in states where ``guard`` is nonzero.

    ``reason`` says in words what is waited for.  ``rest`` marks a place where a daemon may
    stay for ever without that being a deadlock.
    """

    guard: Expr
    reason: str
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A property violation where ``test`` is zero; ``name`` is the property's name."""

    test: Expr
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class ListInsert:
    """Insert ``node`` at ``where``: head, tail, before or after ``anchor``."""

    list: ListRef
    where: Literal["head", "tail", "before", "after"]
    node: Expr
    anchor: Expr | None = None


@dataclass(frozen=True, slots=True)
class ListRemove:
    list: ListRef
    node: Expr


@dataclass(frozen=True, slots=True)
class Nop:
    """Nothing.  With ``cites``, kept as the mark of a line that costs no step (coverage)."""

    cites: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The thread has finished."""


Action: TypeAlias = (
    Assign | Branch | Choose | Wait | Check | ListInsert | ListRemove | Nop | End
)

SyncKind: TypeAlias = Literal["acquire", "release", "try", "sleep", "wakeup", "resume"]


@dataclass(frozen=True, slots=True)
class Sync:
    """What a synchronisation primitive does, for lockset analysis and deadlock reports.

    ``lock`` is the shared variable that holds the lock's owner (or writer), ``index`` its
    element where known at compile time (None: unknown); ``mode`` is ``w`` (exclusive) or
    ``r``.  For sleeps, ``lock`` is the lock released.  ``channel`` marks sleeps and wakeups.
    """

    kind: SyncKind
    lock: int | None = None
    index: int | None = None
    mode: Literal["w", "r"] = "w"


@dataclass(frozen=True, slots=True)
class Where:
    """Where an instruction comes from: for display and citation only.

    ``lines`` are the cited lines of the seed, ``file``/``line`` the model's own source,
    ``stack`` the inlined calls, outermost first, each ``routine`` or ``routine@seedline``.
    """

    lines: tuple[int, ...] = ()
    file: str = ""
    line: int = 0
    text: str = ""
    stack: tuple[str, ...] = ()

    @property
    def routine(self) -> str:
        return self.stack[-1].split("@")[0] if self.stack else ""


@dataclass(slots=True)
class Instr:
    """One node of a thread's graph.

    ``next`` is the following node (-1 after End).  ``fine_stop``: another thread may run
    just before it.  ``sync`` is set on the first node of a synchronisation primitive, or on
    the node where the primitive takes effect (the branch of a try that succeeded).
    """

    action: Action
    next: int
    where: Where
    fine_stop: bool = False
    sync: Sync | None = None

    def successors(self) -> tuple[int, ...]:
        if isinstance(self.action, End):
            return ()
        if isinstance(self.action, Branch):
            return (self.next, self.action.other)
        return (self.next,)


# ------------------------------------------------------------------------ program


@dataclass(frozen=True, slots=True)
class LocalVar:
    """A local variable of one thread: ``length`` elements of one domain (1 for scalars).

    ``initial`` is what dead elements are reset to; it is the domain's value nearest zero.
    """

    name: str
    domain: Domain
    length: int = 1
    is_array: bool = False

    @property
    def initial(self) -> int:
        return min(max(0, self.domain.low), self.domain.high)


@dataclass(frozen=True, slots=True)
class Phase:
    """Who may touch a record without a race (Stoller and Cohen's access predicate).

    The record's accesses are exclusive for the thread named by ``owner`` (element = record
    index); when that element holds ``nobody``, for the holder of ``guard``.  ``guard`` is a
    lock's owner variable, its element read from ``via`` at the record's index (None: element 0).
    """

    owner: int
    nobody: int
    guard: int | None = None
    via: int | None = None


@dataclass(frozen=True, slots=True)
class SharedVar:
    """A shared variable: ``length`` elements of one domain.

    Names are ``pool.field``; element i of ``pool.field`` with ``width`` w belongs to record
    ``i // w``.  ``ghost`` variables exist for properties only: no step of the real program
    depends on them, and their accesses make no stop.  ``pure_sync`` variables belong to
    locks and sleep queues and are touched by synchronisation primitives only.
    """

    name: str
    domain: Domain
    length: int
    initial: tuple[int, ...]
    width: int = 1
    is_list: bool = False
    ghost: bool = False
    pure_sync: bool = False
    phase: Phase | None = None


@dataclass(slots=True)
class Thread:
    """One thread: its program as a graph.  Daemons need not finish."""

    name: str
    index: int
    locals: list[LocalVar]
    code: list[Instr]
    entry: int
    daemon: bool = False


@dataclass(frozen=True, slots=True)
class Invariant:
    """A state predicate that must hold where ``when`` holds, and in every terminal state.

    ``quiet`` lists locks (owner variable, element) none of which is held where ``when``
    holds: writes made under them are invisible to the invariant until they are released.
    ``terminal_only``: evaluated only at rest, where every thread that must finish has finished
    and no thread can take a step.
    """

    name: str
    test: Expr
    when: Expr
    quiet: tuple[tuple[int, int], ...] = ()
    terminal_only: bool = False
    where: Where = Where()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A state predicate that must be reachable; otherwise the scenario is vacuous."""

    name: str
    test: Expr


@dataclass(slots=True)
class Program:
    """A compiled scenario.

    ``setup`` is run first, alone, as one step, and gives the initial states (one for each
    resolution of its choices).  ``parameters`` are the constants the program was compiled
    with; ``variant`` and ``fixes`` say which revision it is.
    """

    name: str
    shared: list[SharedVar]
    threads: list[Thread]
    setup: Thread
    invariants: list[Invariant] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    variant: str = ""
    fixes: tuple[str, ...] = ()
    digest: str = ""


# ---------------------------------------------------------------------- traversal


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions."""
    # Tests of the type, the most frequent first: nothing else of the compiler runs as often.
    if isinstance(expr, Const):
        return ()
    if isinstance(expr, Binary):
        return (expr.left, expr.right)
    if isinstance(expr, Local):
        return () if expr.index is None else (expr.index,)
    if isinstance(expr, Shared):
        return (expr.index,)
    if isinstance(expr, Unary):
        return (expr.operand,)
    if isinstance(expr, Cond):
        return (expr.test, expr.then, expr.other)
    if isinstance(expr, ListNext):
        return (expr.list.base, expr.node)
    return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and all its subexpressions, outermost first."""
    todo = [expr]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(reversed(children(one)))


def action_reads(action: Action) -> Iterator[Expr]:
    """Every expression an action evaluates, targets' indices included."""
    match action:
        case Assign(target, value):
            yield value
            if target.index is not None:
                yield target.index
        case Branch(test, _):
            yield test
        case Choose(target, count, _):
            yield count
            if target.index is not None:
                yield target.index
        case Wait(guard):
            yield guard
        case Check(test):
            yield test
        case ListInsert(listref, _, node, anchor):
            yield listref.base
            yield node
            if anchor is not None:
                yield anchor
        case ListRemove(listref, node):
            yield listref.base
            yield node
        case Nop() | End():
            return


@dataclass(frozen=True, slots=True)
class Access:
    """One access: the variable, its element where it is a constant, and the direction."""

    var: int
    element: int | None
    write: bool
    index: Expr = Const(0)


def _element(index: Expr) -> int | None:
    return index.value if isinstance(index, Const) else None


def accesses(action: Action) -> list[Access]:
    """All accesses to shared variables that the action makes, reads first."""
    found: list[Access] = []
    for root in action_reads(action):
        for expr in walk(root):
            if isinstance(expr, Shared):
                found.append(Access(expr.var, _element(expr.index), False, expr.index))
            elif isinstance(expr, ListNext):
                found.append(Access(expr.list.var, None, False, expr.list.base))
    match action:
        case Assign(Shared(var, index), _):
            found.append(Access(var, _element(index), True, index))
        case ListInsert(listref) | ListRemove(listref):
            found.append(Access(listref.var, None, False, listref.base))
            found.append(Access(listref.var, None, True, listref.base))
    return found


def renumber(code: list[Instr], mapping: dict[int, int]) -> list[Instr]:
    """Copy the mapped nodes, in the mapping's order, with their successors renamed."""
    result: list[Instr] = []
    for old in mapping:
        instr = code[old]
        action = instr.action
        if isinstance(action, Branch):
            action = Branch(action.test, mapping[action.other])
        successor = -1 if isinstance(action, End) else mapping[instr.next]
        result.append(replace(instr, action=action, next=successor))
    return result

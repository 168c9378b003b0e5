"""Python code for a program: one function for each stop and each join inside blocks.

A *fragment* ``f(v, L)`` runs from a node to the next leaf: it changes the state ``v`` in
place and returns the number of the leaf.  The leaf says how the run ended (:class:`Leaf`) and
which instructions led there, so that coverage is exact and costs one store for each fragment.
A fragment that ends in :data:`GOTO` is followed by another one; the engine's loop does that.

A local that is live at a stop is in ``v``; one that is live across fragments only, in the
scratch list ``L``; every other one is a Python variable.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

from ..lang import ir
from . import exprgen
from .asking import guarded_reads, only_own
from .errors import InternalError
from .exprgen import ExprGen, namespace, plus, store
from .intervals import Env, Ranges
from .layout import Layout, Slot

# How a fragment can end.
STOP, BLOCKED, BLOCKED_DIRTY, GOTO, FORK, VIOLATION, MIDBLOCK = range(7)

_PATH_CAP = 150
_INDENT_CAP = 60
_SIZE_CAP = 80

Fragment = Callable[[bytearray, list[int]], int]


class Key(NamedTuple):
    """A fragment: its first node; whether the thread's first unit is still running.

    ``after``: the node is a choice whose value has just been decided (it is in ``L[1]``).
    """

    node: int
    first: bool
    after: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """The end of a path through a fragment.

    ``node`` is the stop reached (-1: the thread ended) or the instruction concerned;
    ``goto`` the next fragment; ``name`` the property for violations.
    """

    kind: int
    node: int
    path: tuple[int, ...]
    goto: int = -1
    name: str = ""
    first: bool = False


@dataclass(slots=True)
class ThreadCode:
    """The generated code of one thread; a fragment is written when it is first run.

    ``entry`` maps the program counter to a fragment; ``kinds`` and ``targets`` repeat the
    leaves' fields as lists because the engine's loop is hot.
    """

    entry: list[Fragment | None]
    leaves: list[Leaf]
    kinds: list[int]
    targets: list[Fragment | None]
    strays: set[tuple[int, int]]
    scratch: int
    marks: list[bytearray] = field(default_factory=list)

    def new_marks(self) -> bytearray:
        """A mark for each leaf; it grows when a fragment that is written adds leaves."""
        self.marks.append(bytearray(len(self.leaves)))
        return self.marks[-1]

    def grow(self) -> None:
        """Leaves were added, all of them ends: make room for them everywhere."""
        for leaf in self.leaves[len(self.kinds) :]:
            self.kinds.append(leaf.kind)
            self.targets.append(None)
            for marks in self.marks:
                marks.append(0)


@dataclass(slots=True)
class Checks:
    """What a reduced search must verify at run time, for one thread.

    ``sites``: instructions whose accesses must be within the phase of their record;
    ``owners``: instructions whose store must leave the record with this thread.  An
    instruction that breaks its rule goes on, but is put into the thread's set of strays
    with a number: 0 the record may be another thread's; 1 it is nobody's; 3 the store changes
    whose record it is; 4 it takes the record from another thread, or gives it to one.
    """

    sites: frozenset[int] = frozenset()
    owners: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Pass:
    """What one pass over a fragment finds: its leaves with the bytes written before them."""

    lines: list[str] = field(default_factory=list)
    count: int = 0
    ends: list[tuple[int, int]] = field(default_factory=list)


class ThreadGen:
    """Generates one thread's code."""

    def __init__(
        self, program: ir.Program, layout: Layout, number: int, envs: list[Env], checks: Checks
    ) -> None:
        self.program, self.layout = program, layout
        self.thread = program.threads[number]
        self.own = layout.threads[number]
        self.envs, self.checks = envs, checks
        self.ranges = Ranges(program, self.thread)
        self.keys: dict[Key, int] = {}
        self.order: list[Key] = []
        self.bytes_at: dict[int, int] = {}
        self.leading: dict[int, list[int]] = {}
        self.scope: dict[str, Any] = {}
        self.made = ThreadCode([], [], [], [], set(), 0)
        self.leaves: list[Leaf] = []
        self.leaf_ids: dict[Leaf, int] = {}
        self.scratch: dict[tuple[int, int], int] = {}
        self.scratch_size = 2
        self.names: dict[str, None] = {}
        self.dry = True
        self.maybe: list[int] = []
        self.heads, self.joins = self._shape()
        self.phases: dict[ir.Phase, str] = {}
        self.written: dict[int, CodeType] = {}

    # ------------------------------------------------------------------ structure

    def _is_stop(self, node: int) -> bool:
        return self.thread.code[node].fine_stop and node in self.own.index

    def _shape(self) -> tuple[set[int], set[int]]:
        """Heads of loops within blocks, and nodes that several edges lead to."""
        code = self.thread.code
        heads: set[int] = set()
        entering = [0] * len(code)
        for instr in code:
            for successor in instr.successors():
                entering[successor] += 1
        state = [0] * len(code)
        for root in [self.thread.entry, *self.own.stops]:
            stack: list[tuple[int, int]] = [(root, 0)]
            while stack:
                node, turn = stack.pop()
                if turn == 0:
                    if state[node]:
                        continue
                    state[node] = 1
                successors = code[node].successors()
                if turn < len(successors):
                    stack.append((node, turn + 1))
                    successor = successors[turn]
                    if self._is_stop(successor):
                        continue
                    if state[successor] == 1:
                        heads.add(successor)
                    elif state[successor] == 0:
                        stack.append((successor, 0))
                else:
                    state[node] = 2
        return heads, {node for node, count in enumerate(entering) if count > 1}

    def _fragment(self, key: Key) -> int:
        number = self.keys.get(key)
        if number is None:
            number = self.keys[key] = len(self.order)
            self.order.append(key)
        return number

    def _leaf(self, leaf: Leaf) -> int:
        number = self.leaf_ids.get(leaf)
        if number is None:
            number = self.leaf_ids[leaf] = len(self.leaves)
            self.leaves.append(leaf)
        return number

    # ------------------------------------------------------------------- generate

    def generate(self) -> ThreadCode:
        """Discover the fragments, place the locals, and write and compile the code."""
        self.discover()
        return self.begin()

    def _roots(self) -> list[Key]:
        return [Key(stop, True, False) for stop in self.own.stops]

    def discover(self) -> None:
        """The part that takes time, and whose result can be kept (see `__getstate__`)."""
        roots = self._roots()
        for root in roots:
            self._fragment(root)
        ends: list[list[tuple[int, int]]] = []
        while len(ends) < len(self.order):
            work = _Pass()
            self._emit_fragment(self.order[len(ends)], work)
            ends.append(work.ends)
        self._place_scratch()
        self._solve_maybe(len(roots), ends)
        self.dry = False

    def begin(self) -> ThreadCode:
        """The code of what was discovered: each fragment writes itself when it is first run."""
        scope = namespace()
        fragments = [self._on_demand(number) for number in range(len(self.order))]
        entry: list[Fragment | None] = [None]
        entry += [fragments[self.keys[root]] for root in self._roots()]
        self.made = ThreadCode(
            entry,
            self.leaves,
            [leaf.kind for leaf in self.leaves],
            [fragments[leaf.goto] if leaf.goto >= 0 else None for leaf in self.leaves],
            scope["W"],
            self.scratch_size,
        )
        self.leading = {}
        for number, leaf in enumerate(self.leaves):
            self.leading.setdefault(leaf.goto, []).append(number)
        self.scope = scope
        return self.made

    def __getstate__(self) -> dict[str, Any]:
        """What was discovered, and the code that was written since.

        Not with phases: their functions are written with the first fragment that calls them.
        """
        state = {name: one for name, one in vars(self).items() if name not in ("made", "scope")}
        written = {} if self.phases else self.written
        state["written"] = {number: marshal.dumps(code) for number, code in written.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.written = {number: marshal.loads(raw) for number, raw in state["written"].items()}
        self.scope, self.made = {}, ThreadCode([], [], [], [], set(), 0)

    def _on_demand(self, number: int) -> Fragment:
        """A fragment that writes itself when it is first run: most never are."""

        def run(v: bytearray, L: list[int]) -> int:  # noqa: N803
            fragment = self._compile(number)
            if number < len(self.own.stops):
                self.made.entry[number + 1] = fragment
            for leaf in self.leading.get(number, ()):
                self.made.targets[leaf] = fragment
            return fragment(v, L)

        return run

    def _compile(self, number: int) -> Fragment:
        code = self.written.get(number)
        if code is None:
            code = self.written[number] = self._write(number)
            self.made.grow()
        exec(code, self.scope)
        fragment: Fragment = self.scope[f"f{number}"]
        return fragment

    def _write(self, number: int) -> CodeType:
        work = _Pass()
        phases = set(self.phases)
        self.entry_bytes = self.maybe[number]
        self._emit_fragment(self.order[number], work)
        lines = [
            line
            for phase, name in self.phases.items()
            if phase not in phases
            for line in self._phase(phase, name)
        ]
        lines += [f"def f{number}(v, L):", *work.lines]
        source = "\n".join(lines) + "\n"
        return compile(source, f"<{self.thread.name}>", "exec")

    def _place_scratch(self) -> None:
        """Places in ``L`` for what is live where fragments other than stops begin."""
        live = self.own.live
        crossing = 0
        for key in self.keys:
            if key.after:
                crossing |= live.before[key.node]
                crossing |= live.before[self.thread.code[key.node].next]
            elif not (key.first and self._starts(key.node)):
                crossing |= live.before[key.node]
        for var, declared in enumerate(self.thread.locals):
            dynamic = var in self.own.dynamic
            if dynamic and (var, 0) in self.own.slots:
                continue
            mask = crossing >> live.offset[var] & ((1 << declared.length) - 1)
            for element in range(declared.length):
                if dynamic or (mask >> element & 1 and (var, element) not in self.own.slots):
                    self.scratch[var, element] = self.scratch_size
                    self.scratch_size += 1

    def _starts(self, node: int) -> bool:
        return node in self.own.index

    def _solve_maybe(self, roots: int, ends: list[list[tuple[int, int]]]) -> None:
        """For each fragment the bytes of the thread's slots that may not be zero there."""
        self.maybe = [0] * len(self.keys)
        for number, stop in enumerate(self.own.stops):
            self.maybe[number] = self._live_bytes(stop)
        todo = list(range(len(self.keys)))
        while todo:
            number = todo.pop()
            for leaf, written in ends[number]:
                goto = self.leaves[leaf].goto
                if goto < 0:
                    continue
                new = self.maybe[goto] | self.maybe[number] | written
                if new != self.maybe[goto]:
                    self.maybe[goto] = new
                    todo.append(goto)

    def _live_bytes(self, node: int) -> int:
        mask = self.bytes_at.get(node)
        if mask is None:
            mask = 0
            for _, _, slot in self.own.live_slots(node):
                mask |= ((1 << slot.width) - 1) << slot.offset
            self.bytes_at[node] = mask
        return mask

    # ------------------------------------------------------------------ fragments

    def _emit_fragment(self, key: Key, work: _Pass) -> None:
        node, first, after = key
        if after:
            action = self.thread.code[node].action
            assert isinstance(action, ir.Choose)
            self._line(work, 1, "c=L[1]")
            written = self._store_local(
                work, 1, node, action.target, "c", self._count_range(node), [node], self.envs[node]
            )
            self._emit(self.thread.code[node].next, first, 1, [], work, written, False)
        else:
            self._emit(node, first, 1, [], work, 0, True)

    def _count_range(self, node: int) -> tuple[int, int]:
        action = self.thread.code[node].action
        assert isinstance(action, ir.Choose)
        return 0, max(0, self.ranges.of(action.count, self.envs[node])[1] - 1)

    def _line(self, work: _Pass, indent: int, text: str) -> None:
        if not self.dry:
            work.lines.append(" " * indent + text)

    def _end(self, work: _Pass, indent: int, leaf: Leaf, written: int) -> None:
        number = self._leaf(leaf)
        work.ends.append((number, written))
        self._line(work, indent, f"return {number}")

    def _emit(
        self, node: int, first: bool, indent: int, path: list[int], work: _Pass, written: int,
        start: bool,
    ) -> None:  # fmt: skip
        """Emit code from a node to every leaf behind it."""
        code = self.thread.code
        while True:
            instr = code[node]
            if isinstance(instr.action, ir.End):
                self._stop(work, indent, -1, [*path, node], written)
                return
            if instr.fine_stop and not start:
                if node in self.own.index:
                    self._stop(work, indent, node, path, written)
                    return
                first = False
            if not start and (
                node in self.heads
                or len(path) > _PATH_CAP
                or indent > _INDENT_CAP
                or (node in self.joins and work.count > _SIZE_CAP)
            ):
                goto = self._fragment(Key(node, first, False))
                self._end(work, indent, Leaf(GOTO, node, tuple(path), goto), written)
                return
            start = False
            path = [*path, node]
            work.count += 1
            self._races(work, indent, node)
            match instr.action:
                case ir.Branch(test, other):
                    condition = "" if self.dry else self._gen(node).test(test)
                    self._line(work, indent, f"if {condition}:")
                    self._emit(instr.next, first, indent + 1, path, work, written, False)
                    node = other
                    continue
                case ir.Choose(_, count):
                    goto = self._fragment(Key(node, first, True))
                    value = "" if self.dry else self._gen(node).value(count)
                    self._line(work, indent, f"L[0]={value}")
                    leaf = Leaf(FORK, node, tuple(path), goto, first=first)
                    self._end(work, indent, leaf, written)
                    return
                case _:
                    written |= self._simple(work, indent, node, instr, first, path, written)
            node = instr.next

    def _stop(
        self, work: _Pass, indent: int, node: int, path: list[int], written: int
    ) -> None:
        pc = self.own.pc
        number = 0 if node < 0 else self.own.index[node]
        if not self.dry:
            zero = (self.entry_bytes | written) & ~(0 if node < 0 else self._live_bytes(node))
            for begin, end in _runs(zero):
                text = f"v[{begin}]=0" if end == begin + 1 else f"v[{begin}:{end}]=Z{end - begin}"
                self._line(work, indent, text)
            for line in store(pc.width, str(pc.offset), str(number)):
                self._line(work, indent, line)
        self._end(work, indent, Leaf(STOP, node, tuple(path)), written)

    def _simple(
        self, work: _Pass, indent: int, node: int, instr: ir.Instr, first: bool,
        path: list[int], written: int,
    ) -> int:  # fmt: skip
        """An instruction with one successor; the thread's slot bytes that it writes."""
        match instr.action:
            case ir.Assign(target, value):
                env = self.envs[node]
                code = "" if self.dry else self._gen(node).value(value)
                span = (0, 0) if self.dry else self.ranges.of(value, env)
                if isinstance(target, ir.Local):
                    return self._store_local(work, indent, node, target, code, span, path, env)
                self._store_shared(work, indent, node, target, code, span, path)
            case ir.Wait(guard):
                kind = MIDBLOCK
                if first:
                    if any(self._stores(passed) for passed in path):
                        raise InternalError(f"{self.thread.name}: a wait after a store in one step")
                    fresh = path[0] in self.own.index and not written
                    kind = BLOCKED if fresh else BLOCKED_DIRTY
                self._unless(work, indent, node, guard, Leaf(kind, node, tuple(path)), written)
            case ir.Check(test, name, _):
                leaf = Leaf(VIOLATION, node, tuple(path), name=name)
                self._unless(work, indent, node, test, leaf, written)
            case ir.ListInsert() | ir.ListRemove():
                self._list(work, indent, node, instr.action, path)
        return 0

    def _stores(self, node: int) -> bool:
        return any(access.write for access in ir.accesses(self.thread.code[node].action))

    def _unless(
        self, work: _Pass, indent: int, node: int, test: ir.Expr, leaf: Leaf, written: int
    ) -> None:
        number = self._leaf(leaf)
        work.ends.append((number, written))
        if not self.dry:
            condition = self._gen(node).test(test)
            work.lines.append(" " * indent + f"if not {condition}: return {number}")

    def _fail(
        self, work: _Pass, indent: int, node: int, name: str, test: str, path: list[int]
    ) -> None:
        number = self._leaf(Leaf(VIOLATION, node, tuple(path), name=name))
        self._line(work, indent, f"if {test}: return {number}")

    # --------------------------------------------------------------------- stores

    def _in_range(
        self, work: _Pass, indent: int, node: int, domain: ir.Domain, code: str,
        span: tuple[int, int], path: list[int],
    ) -> str:  # fmt: skip
        """Check the value against the domain unless it cannot be outside."""
        if domain.low <= span[0] and span[1] <= domain.high:
            return code
        self._line(work, indent, f"t={code}")
        self._fail(work, indent, node, "range", f"not {domain.low}<=t<={domain.high}", path)
        return "t"

    def _store_local(
        self, work: _Pass, indent: int, node: int, target: ir.Local, code: str,
        span: tuple[int, int], path: list[int], env: Env,
    ) -> int:  # fmt: skip
        declared = self.thread.locals[target.var]
        code = self._in_range(work, indent, node, declared.domain, code, span, path)
        index = target.index
        if index is not None and not isinstance(index, ir.Const):
            return self._store_dynamic(work, indent, node, target.var, index, code, path)
        element = index.value if isinstance(index, ir.Const) else 0
        if not 0 <= element < declared.length:
            self._fail(work, indent, node, "index", "True", path)
            return 0
        slot = self.own.slots.get((target.var, element))
        if slot is not None:
            for line in store(slot.width, str(slot.offset), plus(code, -slot.low)):
                self._line(work, indent, line)
            return ((1 << slot.width) - 1) << slot.offset
        if (target.var, element) in self.scratch:
            self._line(work, indent, f"L[{self.scratch[target.var, element]}]={code}")
        else:
            self._line(work, indent, f"x{target.var}_{element}={code}")
        return 0

    def _store_dynamic(
        self, work: _Pass, indent: int, node: int, var: int, index: ir.Expr, code: str,
        path: list[int],
    ) -> int:  # fmt: skip
        declared = self.thread.locals[var]
        slot = self.own.slots.get((var, 0))
        place = slot or Slot(self.scratch.get((var, 0), 0), 1, 0)
        if not self.dry:
            offset, inside = self._gen(node).address(place, declared.length, index)
            if inside:
                self._fail(work, indent, node, "index", f"not ({inside})", path)
            if slot is None:
                self._line(work, indent, f"L[{offset}]={code}")
            else:
                for line in store(slot.width, offset, plus(code, -slot.low)):
                    self._line(work, indent, line)
        else:
            self._leaf(Leaf(VIOLATION, node, tuple(path), name="index"))
        if slot is None:
            return 0
        return ((1 << (slot.width * declared.length)) - 1) << slot.offset

    def _store_shared(
        self, work: _Pass, indent: int, node: int, target: ir.Shared, code: str,
        span: tuple[int, int], path: list[int],
    ) -> None:  # fmt: skip
        if self.dry:
            return
        declared = self.program.shared[target.var]
        slot = self.layout.shared[target.var]
        code = self._in_range(work, indent, node, declared.domain, code, span, path)
        gen = self._gen(node)
        offset, inside = gen.address(slot, declared.length, target.index)
        if inside:
            self._fail(work, indent, node, "index", f"not ({inside})", path)
            if inside == "False":
                return
        guarded = node in self.checks.owners
        if guarded:
            phases = self._ruled_by(target.var)
            record = gen.value(target.index)
            calls = [f"{self._phase_name(phase)}(v,{record})>1" for phase in phases]
            self._line(work, indent, f"b={' and '.join(calls) or 'True'}")
            self._line(work, indent, f"o={gen.read(slot, declared.length, target.index)}")
            self._line(work, indent, f"n={code}")
            code = "n"
        for line in store(slot.width, offset, plus(code, -slot.low)):
            self._line(work, indent, line)
        if guarded:
            self._line(work, indent, f"if not ({' and '.join(['b', *calls])}): W.add((3,{node}))")
            owned = [phase for phase in phases if phase.owner == target.var]
            if owned:
                fine = (self.thread.index, owned[0].nobody)
                self._line(
                    work, indent, f"if o not in {fine} or n not in {fine}: W.add((4,{node}))"
                )

    def _list(
        self, work: _Pass, indent: int, node: int, action: ir.ListInsert | ir.ListRemove,
        path: list[int],
    ) -> None:  # fmt: skip
        if self.dry:
            return
        gen = self._gen(node)
        domain = self.program.shared[action.list.var].domain
        base, empty, low = gen.list_base(action.list)
        value = gen.value(action.node)
        if isinstance(action, ir.ListRemove):
            call = f"_remove(v,{base},{action.list.capacity},{plus(value, -low)},{empty})"
        else:
            span = self.ranges.of(action.node, self.envs[node])
            value = self._in_range(work, indent, node, domain, value, span, path)
            anchor = "0" if action.anchor is None else plus(gen.value(action.anchor), -low)
            arguments = f"{action.list.capacity},{plus(value, -low)},{anchor},{empty}"
            call = f"_insert_{action.where}(v,{base},{arguments})"
        self._fail(work, indent, node, "list", call, path)

    # ---------------------------------------------------------------------- loads

    def _gen(self, node: int) -> ExprGen:
        return ExprGen(
            self.program, self.layout.shared, self.ranges, self.envs[node], self._load_local,
            str(node),
        )  # fmt: skip

    def _load_local(self, expr: ir.Local, gen: ExprGen) -> str:
        var, index = expr.var, expr.index
        declared = self.thread.locals[var]
        if index is not None and not isinstance(index, ir.Const):
            slot = self.own.slots.get((var, 0))
            if slot is not None:
                return gen.read(slot, declared.length, index)
            place = Slot(self.scratch.get((var, 0), 0), 1, 0)
            offset, inside = gen.address(place, declared.length, index)
            return f"(L[{offset}] if {inside} else _oob({gen.place}))" if inside else f"L[{offset}]"
        element = index.value if isinstance(index, ir.Const) else 0
        if not 0 <= element < declared.length:
            return f"_oob({gen.place})"
        slot = self.own.slots.get((var, element))
        if slot is not None:
            return gen.read(slot, 1, ir.Const(0))
        if (var, element) in self.scratch:
            return f"L[{self.scratch[var, element]}]"
        return f"x{var}_{element}"

    # --------------------------------------------------------------------- phases

    def _ruled_by(self, var: int) -> list[ir.Phase]:
        """The phases that a store to the variable may end."""
        found: dict[ir.Phase, None] = {}
        for shared in self.program.shared:
            phase = shared.phase
            if phase is not None and var in (phase.owner, phase.via):
                found[phase] = None
        return list(found)

    def _phase_name(self, phase: ir.Phase) -> str:
        return self.phases.setdefault(phase, f"phase{len(self.phases)}")

    def _phase(self, phase: ir.Phase, name: str) -> list[str]:
        """Source of how this thread stands to record r now.

        2: the record is the thread's; 1: it is nobody's (phases without a guard only); 0: it
        may be another thread's.
        """
        shared, slots = self.program.shared, self.layout.shared
        length = shared[phase.owner].length

        def element(var: int, index: str) -> str:
            slot = slots[var]
            scaled = index if slot.width == 1 else f"{slot.width}*({index})"
            return plus(exprgen.load(slot.width, f"{slot.offset}+{scaled}"), slot.low)

        me = self.thread.index
        lines = [
            f"def {name}(v,r):",
            f" if not 0<=r<{length}: return 2",
            f" o={element(phase.owner, 'r')}",
            f" if o=={me}: return 2",
        ]
        if phase.guard is None:
            return [*lines, f" return 1 if o=={phase.nobody} else 0"]
        lines.append(f" if o!={phase.nobody}: return 0")
        which = "0"
        if phase.via is not None:
            lines.append(f" g={element(phase.via, 'r')}")
            lines.append(f" if not 0<=g<{shared[phase.guard].length}: return 0")
            which = "g"
        return [*lines, f" return 2 if {element(phase.guard, which)}=={me} else 0"]

    def _races(self, work: _Pass, indent: int, node: int) -> None:
        """Note accesses outside their record's phase, where they are really made."""
        if node not in self.checks.sites or self.dry:
            return
        gen = self._gen(node)
        for line in dict.fromkeys(self._race_tests(gen, self.thread.code[node].action)):
            self._line(work, indent, f"if {line}<2: W.add((q,{node}))")

    def _race_tests(self, gen: ExprGen, action: ir.Action) -> Iterator[str]:
        """For each access the source that puts its level into ``q`` (see :meth:`_phase`)."""
        found: list[tuple[int, ir.Expr, tuple[tuple[ir.Expr, bool], ...]]] = []
        for root in ir.action_reads(action):
            found += [
                (one.var, one.index, guards) if isinstance(one, ir.Shared)
                else (one.list.var, one.list.base, guards)
                for one, guards in guarded_reads(root)
                if not (isinstance(one, ir.Shared) and self._own_test(action, one.var))
            ]  # fmt: skip
        found += [(a.var, a.index, ()) for a in ir.accesses(action) if a.write]
        for number, index, guards in found:
            var = self.program.shared[number]
            if var.phase is None:
                continue
            record = gen.value(index)
            low, high = self.ranges.of(index, gen.env)
            tests = [gen.test(test) if truth else f"not {gen.test(test)}" for test, truth in guards]
            if low < 0 or high >= var.length:
                tests.append(f"0<={record}<{var.length}")
            if var.width > 1:
                record = f"({record}//{var.width})"
            call = f"(q:={self._phase_name(var.phase)}(v,{record}))"
            yield " and ".join([*tests, call])

    def _own_test(self, action: ir.Action, var: int) -> bool:
        owners = {shared.phase.owner for shared in self.program.shared if shared.phase is not None}
        return var in owners and only_own(action, var, self.thread.index)


def _runs(mask: int) -> list[tuple[int, int]]:
    """The maximal runs of set bits, as half-open ranges."""
    runs: list[tuple[int, int]] = []
    position = 0
    while mask >> position:
        if mask >> position & 1:
            begin = position
            while mask >> position & 1:
                position += 1
            runs.append((begin, position))
        else:
            position += 1
    return runs


def generate(
    program: ir.Program,
    layout: Layout,
    envs: Sequence[list[Env]],
    checks: Mapping[int, Checks] | None = None,
) -> list[ThreadCode]:
    """Generate and compile the code of every thread."""
    return [
        ThreadGen(
            program, layout, number, envs[number], (checks or {}).get(number, Checks())
        ).generate()
        for number in range(len(program.threads))
    ]

"""C code of instructions: what they do to the vector, and how they can fail."""

from __future__ import annotations

from typing import Literal

from ...lang import ir
from ..intervals import Env, Interval, Ranges
from ..layout import Layout
from .cexpr import C_TYPE, CExpr, Kind, Names, cast, constant, kind_of, load, place, store
from .cknown import Known
from .craces import RaceTests, phases, ruled_by
from .tables import Block, Fault, Site, Tables


class InstructionWriter:
    """Writes the instructions of one thread, block by block.

    ``exits`` are the ways out by a fault that were used: the fault's number, and the block that
    was executed up to the fault (None: the blocks on the path were executed to their ends).
    ``passed`` are the nodes of the present block up to the present one, ``node``.
    """

    def __init__(
        self, program: ir.Program, layout: Layout, number: int, envs: list[Env], tables: Tables
    ) -> None:
        self.program, self.layout, self.tables = program, layout, tables
        self.thread = program.threads[number]
        self.own = layout.threads[number]
        self.envs = envs
        self.ranges = Ranges(program, self.thread)
        self.names = Names()
        self.lines: list[str] = []
        self.variables: dict[str, str] = {}
        self.exits: dict[int, int | None] = {}
        self.node = -1
        self.passed: list[int] = []
        self.known = Known()

    def _line(self, text: str) -> None:
        self.lines.append(f"\t{text}")

    def _exit(self, name: str, kind: Literal["fault", "broken"], whole: bool = False) -> str:
        """The label of the way out with a fault of the present instruction.

        ``whole``: the blocks on the path were executed to their ends; otherwise the present
        one only up to the present instruction.
        """
        number = self.tables.fault(Fault(self.thread.index, self.node, name, kind))
        if number not in self.exits:
            block = Block(self.thread.index, tuple(self.passed))
            self.exits[number] = None if whole else self.tables.block(block)
        return f"F{number}"

    # ----------------------------------------------------------------- instructions

    def _instruction(self, instr: ir.Instr) -> None:
        """An instruction with one successor."""
        match instr.action:
            case ir.Assign(target, value):
                gen = self.gen()
                useless = self._is_dead(target, instr.next)
                if not (useless and gen.harmless(value, self._domain(target))):
                    self._store(gen, target, gen.value(value), gen.span(value))
            case ir.Choose(target, count):
                self._choose(target, count)
            case ir.Wait(guard):
                condition = self.gen().test(guard)
                self._line(f"if(!{condition})goto {self._exit('wait', 'broken')};")
            case ir.Check(test, name, _):
                condition = self.gen().test(test)
                if condition != "1":
                    self._line(f"if(UNLIKELY(!{condition}))goto {self._exit(name, 'fault')};")
            case ir.ListInsert() | ir.ListRemove():
                self._list(instr.action)

    def _domain(self, target: ir.Local | ir.Shared) -> ir.Domain:
        if isinstance(target, ir.Shared):
            return self.program.shared[target.var].domain
        return self.thread.locals[target.var].domain

    def _is_dead(self, target: ir.Local | ir.Shared, after: int) -> bool:
        """Is the target a local that nobody reads any more?"""
        if isinstance(target, ir.Shared) or not isinstance(target.index, ir.Const | None):
            return False
        element = 0 if target.index is None else target.index.value
        length = self.thread.locals[target.var].length
        return 0 <= element < length and not self.own.live.is_live(after, target.var, element)

    def _choose(self, target: ir.Local, count: ir.Expr) -> None:
        gen = self.gen()
        low, high = gen.span(count)
        code, kind = gen.value(count), kind_of((low, high))
        if kind != "i":
            code = f"near_{kind}({code})"
        self._line(f"{{int64_t n={code},c;")
        if low <= 0:
            self._line(f"if(n<=0)goto {self._exit('choice', 'broken')};")
        label = self._exit("choices", "fault")
        self._line(f"if(UNLIKELY(n>UINT16_MAX||r->made==MAX_CHOICES))goto {label};")
        self._line("if(r->made>=r->script)r->choice[r->made]=0;")
        self._line("r->count[r->made]=(uint16_t)n;c=r->choice[r->made++];")
        self._store(gen, target, "c", (0, max(0, high - 1)))
        self._line("}")

    def _store(
        self, gen: CExpr, target: ir.Local | ir.Shared, code: str, span: Interval
    ) -> None:
        """Store a value; the checks come in the interpreter's order: index, then range."""
        declared: ir.SharedVar | ir.LocalVar
        if isinstance(target, ir.Shared):
            declared = self.program.shared[target.var]
        else:
            declared = self.thread.locals[target.var]
        domain, length = declared.domain, declared.length
        kind = kind_of(span)
        bounded = domain.low <= span[0] and span[1] <= domain.high
        ruling = ruled_by(self.program, target.var) if isinstance(target, ir.Shared) else []
        lines: list[str] = []
        if not bounded or ruling:
            name = self.names.new()
            lines.append(f"{C_TYPE[kind]} {name}={code};")
            code = name
        index = target.index or ir.Const(0)
        check, at = gen.index(index, length)
        if check:
            lines.append(check)
        elif not bounded and not gen.total(index):
            name = self.names.new()
            lines.append(f"int64_t {name}={at};")
            at = name
        if not bounded:
            outside = _outside(code, span, (domain.low, domain.high))
            lines.append(f"if(UNLIKELY({outside}))goto {self._exit('range', 'fault')};")
        if isinstance(target, ir.Shared):
            if ruling:
                name = self.names.new()
                lines.append(f"int64_t {name}={at};")
                at = name
            slot = self.layout.shared[target.var]
            before, after = self._ownership(target.var, ruling, at, code) if ruling else ("", "")
            lines += [before, store(slot, place(slot, at), code, kind), after]
        else:
            lines.append(self._store_local(target, at, code, kind))
        text = "".join(lines)
        self._line(f"{{{text}}}" if len(lines) > 1 else text)

    def _store_local(self, target: ir.Local, at: str, code: str, kind: Kind) -> str:
        var, declared = target.var, self.thread.locals[target.var]
        if target.index is not None and not isinstance(target.index, ir.Const):
            slot = self.own.slots.get((var, 0))
            if slot is not None:
                return store(slot, place(slot, at), code, kind)
        else:
            slot = self.own.slots.get((var, int(at)))
            if slot is not None:
                return store(slot, str(slot.offset), code, kind)
        wanted = kind_of((declared.domain.low, declared.domain.high))
        return f"{self._variable(target, at)}={cast(code, kind, wanted)};"

    def _variable(self, expr: ir.Local, at: str) -> str:
        """The C variable of a local that has no slot."""
        declared = self.thread.locals[expr.var]
        ctype = C_TYPE[kind_of((declared.domain.low, declared.domain.high))]
        name = f"x{expr.var}"
        if expr.var in self.own.dynamic:
            self.variables[name] = f"{ctype} {name}[{declared.length}] UNUSED"
            return f"{name}[{at}]"
        name += f"_{at}"
        self.variables[name] = f"{ctype} {name} UNUSED"
        return name

    def _list(self, action: ir.ListInsert | ir.ListRemove) -> None:
        gen = self.gen()
        domain = self.program.shared[action.list.var].domain
        check, base, low = gen.list_base(action.list)
        empty = constant(action.list.empty - low)
        span = gen.span(action.node)
        node, kind = gen.value(action.node), kind_of(span)
        name = self.names.new()
        check += f"{C_TYPE[kind]} {name}={node};"
        node = gen.raw(name, span, low)
        failed = self._exit("list", "fault")
        shape = f"{base},{action.list.capacity}"
        if isinstance(action, ir.ListInsert) and action.anchor is not None:
            if not gen.total(action.anchor):
                check += f"(void){gen.value(action.anchor)};"
        if isinstance(action, ir.ListRemove):
            call = f"list_remove({shape},{node},{empty})"
        elif action.where in ("head", "tail"):
            call = f"list_insert_{action.where}({shape},{node},{empty})"
        else:
            near = action.anchor or ir.Const(action.list.empty)
            anchor = gen.raw(gen.value(near), gen.span(near), low)
            after = int(action.where == "after")
            call = f"list_insert_beside({shape},{node},{anchor},{empty},{after})"
        text = f"{check}if(UNLIKELY({call}))goto {failed};"
        if isinstance(action, ir.ListInsert):
            outside = _outside(name, span, (domain.low, domain.high))
            if outside:
                text += f"if(UNLIKELY({outside}))goto {self._exit('range', 'fault')};"
        self._line(f"{{{text}}}")

    # ------------------------------------------------------------------------ reads

    def gen(self) -> CExpr:
        """Expressions at the present instruction."""
        return CExpr(
            self.program, self.layout.shared, self.ranges, self.envs[self.node],
            self._load_local, lambda: self._exit("index", "fault"), self.names, self.known,
        )  # fmt: skip

    def _load_local(self, expr: ir.Local, gen: CExpr) -> str:
        declared = self.thread.locals[expr.var]
        span = (declared.domain.low, declared.domain.high)
        index = expr.index or ir.Const(0)
        if isinstance(index, ir.Const):
            element = index.value if 0 <= index.value < declared.length else 0
            slot = self.own.slots.get((expr.var, element))
            if element != index.value:
                code = f"({{goto {gen.outside()};{cast('0LL', 'i', kind_of(span))};}})"
            elif slot is not None:
                code = gen.read(slot, 1, ir.Const(0), span)
            else:
                code = self._variable(expr, str(element))
        else:
            slot = self.own.slots.get((expr.var, 0))
            if slot is not None:
                code = gen.read(slot, declared.length, index, span)
            else:
                check, at = gen.index(index, declared.length)
                code = self._variable(expr, at)
                code = f"({{{check}{code};}})" if check else code
        return cast(code, kind_of(span), kind_of(gen.span(expr)))

    # ------------------------------------------------------------------------ races

    def _races(self) -> None:
        """Note accesses outside their record's phase, where they are really made."""
        action = self.thread.code[self.node].action
        if not any(self.program.shared[a.var].phase is not None for a in ir.accesses(action)):
            return
        first = self.tables.site(Site(self.thread.index, self.node, 0))
        self.tables.site(Site(self.thread.index, self.node, 1))
        tests = RaceTests(self.program, self.thread.index, action, f"strays+{first}")
        text = tests.code(self.gen())
        if text:
            self._line(f"if(UNLIKELY(sites[{first}])){{{text}}}")

    def _ownership(
        self, var: int, ruling: list[ir.Phase], at: str, code: str
    ) -> tuple[str, str]:
        """Around a store that may end a phase: a statement before and one after it.

        ``at`` and ``code`` are C variables: the element and the value stored.
        """
        me, domain = self.thread.index, self.program.shared[var].domain
        known = phases(self.program)
        mine = "&&".join(f"phase{known.index(phase)}(v,{me},{at})>1" for phase in ruling)
        three = self.tables.site(Site(me, self.node, 3))
        watched, old = f"sites[{three}]", ""
        test = f"if(!(mine&&{mine}))strays[{three}]=1;"
        owned = [phase for phase in ruling if phase.owner == var]
        if owned:
            four = self.tables.site(Site(me, self.node, 4))
            watched += f"|sites[{four}]"
            slot = self.layout.shared[var]
            old = f"old={load(slot, place(slot, at), (domain.low, domain.high))};"
            differ = [f"{{0}}!={constant(value)}" for value in (me, owned[0].nobody)]
            stolen, given = ("&&".join(differ).format(one) for one in ("old", code))
            test += f"if(({stolen})||({given}))strays[{four}]=1;"
        return (
            f"int mine=0;int64_t old UNUSED=0;if(UNLIKELY({watched})){{mine={mine};{old}}}",
            f"if(UNLIKELY({watched})){{{test}}}",
        )


def _outside(code: str, span: Interval, domain: Interval) -> str:
    """The condition that a value is outside a domain."""
    tests: list[str] = []
    for bound, relation, fails in (
        (domain[0], "<", span[0] < domain[0]), (domain[1], ">", span[1] > domain[1])
    ):  # fmt: skip
        if fails:
            kind = kind_of((min(span[0], bound), max(span[1], bound)))
            limit = cast(constant(bound), kind_of((bound, bound)), kind)
            tests.append(f"{cast(code, kind_of(span), kind)}{relation}{limit}")
    return "||".join(tests)

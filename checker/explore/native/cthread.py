"""C code of one thread."""

from __future__ import annotations

from typing import Literal

from ...lang import ir
from ..intervals import Env, Interval, Ranges
from ..layout import Layout
from .cblocks import shape
from .cexpr import C_TYPE, CExpr, Kind, Names, cast, constant, kind_of, load, place, store
from .craces import phases, race_tests, ruled_by
from .tables import Block, Fault, Site, Tables

PATH_CAP = 1024


class ThreadWriter:
    """Writes the function of one thread.

    ``base`` is the global number of the thread's first stop.  Labels: ``A<i>`` arrival at stop
    i (from 1), ``S<i>`` start from it, ``B<node>`` any other block, ``F<n>`` the way out with
    fault n.
    """

    def __init__(
        self, program: ir.Program, layout: Layout, number: int, envs: list[Env],
        tables: Tables, base: int,
    ) -> None:  # fmt: skip
        self.program, self.layout, self.tables, self.base = program, layout, tables, base
        self.thread = program.threads[number]
        self.own = layout.threads[number]
        self.envs = envs
        self.ranges = Ranges(program, self.thread)
        self.shape = shape(self.thread, self.own)
        if self.shape.longest > PATH_CAP // 2:  # keep room: look at the path in every block
            self.shape.heads = set(self.shape.blocks)
            self.shape.longest = 1
        self.names = Names()
        self.lines: list[str] = []
        self.variables: dict[str, str] = {}
        self.exits: dict[int, int | None] = {}
        self.node = -1
        self.passed: list[int] = []

    # -------------------------------------------------------------------- structure

    def write(self) -> list[str]:
        """The lines of the function."""
        for first in self.shape.blocks:
            self._block(first)
        cases = [f"\tcase {i + 1}: goto S{i + 1};" for i in range(len(self.own.stops))]
        return [
            *self._masks(),
            "static int",
            f"thread{self.thread.index}(uint64_t *restrict v, run *restrict r)",
            "{",
            f"\tconst uint8_t *const stops UNUSED = r->stops + {self.base};",
            "\tconst uint8_t *const sites UNUSED = r->sites;",
            "\tuint8_t *const strays UNUSED = r->strays;",
            "\tint first UNUSED = 1;",
            "\tuint32_t np = 0, stop UNUSED, fault UNUSED, last UNUSED;",
            *(f"\t{declaration};" for declaration in self.variables.values()),
            f"\tswitch (pc_of({self.thread.index}, v)) {{",
            *cases,
            "\tdefault: return R_BLOCKED;",
            "\t}",
            *self.lines,
            *self._ends(),
            "}",
        ]

    def _block(self, first: int) -> None:
        nodes = self.shape.blocks[first]
        code = self.thread.code
        number = self.own.index.get(first)
        self.node, self.passed = first, []
        if number is None:
            self.lines.append(f"B{first}: UNUSED;")
        elif first in self.shape.entered:
            self.lines.append(f"A{number}: UNUSED;")
            self._line(f"if(stops[{number - 1}]){{stop={number};goto halt;}}")
            self._line("first=0;")
            if first in self.shape.heads:
                self._burn()
        if number is not None:
            self.lines.append(f"S{number}:")
        if first in self.shape.heads and first not in self.shape.entered:
            self._burn()
        self._line(f"PATH({self.tables.block(Block(self.thread.index, tuple(nodes)))});")
        for node in nodes:
            self.node = node
            self.passed.append(node)
            self._races()
            self._instruction(code[node])
        instr = code[nodes[-1]]
        if not isinstance(instr.action, ir.End | ir.Branch):
            self._line(self._goto(instr.next))

    def _line(self, text: str) -> None:
        self.lines.append(f"\t{text}")

    def _goto(self, node: int) -> str:
        number = self.own.index.get(node)
        if number is None:
            return f"goto B{node};"
        return f"goto {'A' if node in self.shape.entered else 'S'}{number};"

    def _burn(self) -> None:
        """Every loop comes through here: make room in the path, and give up a loop without end.

        The path cannot run over between two such places.
        """
        label = self._exit("divergence", "fault", whole=True)
        room = PATH_CAP - self.shape.longest
        self._line(f"if(UNLIKELY(np>{room})&&!(np=path_full(r,np,{room})))goto {label};")

    def _masks(self) -> list[str]:
        """For each stop, and for the end (0), what may be left in each word of the thread."""
        start, words = self.own.pc.offset, self._words
        rows: list[str] = []
        for stop in [None, *self.own.stops]:
            mask = 0
            for _, _, slot in self.own.live_slots(stop) if stop is not None else ():
                mask |= (1 << 8 * slot.width) - 1 << 8 * (slot.offset - start)
            row = [f"{mask >> 64 * word & (1 << 64) - 1:#x}" for word in range(words)]
            rows.append(f"{{{','.join(row)}}}")
        number = self.thread.index
        return [
            f"static const uint64_t keep{number}[{len(rows)}][{words}]={{",
            ",\n".join(rows),
            "};",
        ]

    @property
    def _words(self) -> int:
        behind = [own.pc.offset for own in self.layout.threads[self.thread.index + 1 :]]
        return ((behind or [self.layout.size])[0] - self.own.pc.offset) // 8

    def _halt(self) -> list[str]:
        """Stop at a stop or the end: clear what is dead, and set the program counter."""
        number, start = self.thread.index, self.own.pc.offset // 8
        lines = [f"\tv[{start}] = (v[{start}] & keep{number}[stop][0]) | stop;"]
        for word in range(1, self._words):
            lines.append(f"\tv[{start + word}] &= keep{number}[stop][{word}];")
        return ["halt: UNUSED;", *lines, "\tr->npath = np;", "\treturn R_STOP;"]

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

    def _ends(self) -> list[str]:
        """The ways out, out of line."""
        lines = self._halt()
        faults = list(self.tables.faults)
        ends: set[str] = set()
        for number, block in self.exits.items():
            end = "broken" if faults[number].kind == "broken" else "failed"
            if block is None:
                end = "whole"
            ends.add(end)
            last = "" if block is None else f"last={block};"
            lines.append(f"F{number}:fault={number};{last}goto {end};")
        if "broken" in ends:
            lines += [
                "broken:",
                "\tr->path[np - 1] = last;",
                "\tr->npath = np;",
                "\tr->fault = fault;",
                "\treturn first ? R_BLOCKED : R_BROKEN;",
            ]
        if "failed" in ends:
            lines += ["failed:", "\tr->path[np - 1] = last;"]
            lines += ["\tr->npath = np;"]
        if "whole" in ends:
            lines += ["whole:"]
        if ends - {"broken"}:
            lines += ["\tr->fault = fault;", "\treturn R_FAULT;"]
        return lines

    # ----------------------------------------------------------------- instructions

    def _instruction(self, instr: ir.Instr) -> None:
        match instr.action:
            case ir.Assign(target, value):
                gen = self._gen()
                if not (self._is_dead(target, instr.next) and gen.harmless(value, self._domain(target))):
                    self._store(gen, target, gen.value(value), gen.span(value))
            case ir.Branch(test, other):
                condition = self._gen().test(test)
                if condition != "0":
                    self._line(f"if({condition}){self._goto(instr.next)}")
                if condition != "1":
                    self._line(self._goto(other))
            case ir.Choose(target, count):
                self._choose(target, count)
            case ir.Wait(guard):
                condition = self._gen().test(guard)
                self._line(f"if(!{condition})goto {self._exit('wait', 'broken')};")
            case ir.Check(test, name, _):
                condition = self._gen().test(test)
                if condition != "1":
                    self._line(f"if(UNLIKELY(!{condition}))goto {self._exit(name, 'fault')};")
            case ir.ListInsert() | ir.ListRemove():
                self._list(instr.action)
            case ir.End():
                self._line("stop=0;goto halt;")

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
        gen = self._gen()
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
        check, at = gen.index(target.index or ir.Const(0), length)
        if check:
            lines.append(check)
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
        gen = self._gen()
        domain = self.program.shared[action.list.var].domain
        check, base, low = gen.list_base(action.list)
        empty = constant(action.list.empty - low)
        node = gen.raw_node(action.node, low)
        failed = self._exit("list", "fault")
        shape = f"{base},{action.list.capacity}"
        if isinstance(action, ir.ListRemove):
            call = f"list_remove({shape},{node},{empty})"
        elif action.where in ("head", "tail"):
            call = f"list_insert_{action.where}({shape},{node},{empty})"
        else:
            anchor = gen.raw_node(action.anchor or ir.Const(action.list.empty), low)
            after = int(action.where == "after")
            call = f"list_insert_beside({shape},{node},{anchor},{empty},{after})"
        text = f"{check}if(UNLIKELY({call}))goto {failed};"
        if isinstance(action, ir.ListInsert):
            span = gen.span(action.node)
            if span[0] < domain.low or span[1] > domain.high:
                outside = _outside(gen.value(action.node), span, (domain.low, domain.high))
                text += f"if(UNLIKELY({outside}))goto {self._exit('range', 'fault')};"
        self._line(f"{{{text}}}")

    # ------------------------------------------------------------------------ reads

    def _gen(self) -> CExpr:
        return CExpr(
            self.program, self.layout.shared, self.ranges, self.envs[self.node],
            self._load_local, lambda: self._exit("index", "fault"), self.names,
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
        numbers = [self.tables.site(Site(self.thread.index, self.node, code)) for code in (0, 1)]
        tests = dict.fromkeys(race_tests(self.program, self.thread.index, self._gen(), action))
        if tests:
            text = "".join(tests).replace("STRAY(q)", f"strays[{numbers[0]}+q]=1")
            self._line(f"if(UNLIKELY(sites[{numbers[0]}]|sites[{numbers[1]}])){{{text}}}")

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

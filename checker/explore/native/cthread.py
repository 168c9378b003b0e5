"""C code of one thread: functions that run it to its next stop.

A function of ten thousand instructions takes a C compiler much longer than ten of a thousand,
so the thread's blocks are dealt out to several *parts*.  Only arrivals at stops lead from one
part to another: nothing but the vector is carried over there.
"""

from __future__ import annotations

from ...lang import ir
from ..intervals import Env
from ..layout import Layout
from .cblocks import parts, shape
from .cinstr import InstructionWriter
from .cknown import Known
from .tables import Block, Tables

PATH_CAP = 1024
_PART = 1000


class ThreadWriter(InstructionWriter):
    """Writes the functions of one thread.

    ``base`` is the global number of the thread's first stop.  Labels: ``A<i>`` arrival at stop
    i (from 1), ``S<i>`` start from it, ``X<i>`` arrival at a stop of another part, ``B<node>``
    any other block, ``F<n>`` the way out with fault n.
    """

    def __init__(
        self, program: ir.Program, layout: Layout, number: int, envs: list[Env],
        tables: Tables, base: int,
    ) -> None:  # fmt: skip
        super().__init__(program, layout, number, envs, tables)
        self.base = base
        self.shape = shape(self.thread, self.own)
        if self.shape.longest > PATH_CAP // 2:  # keep room: look at the path in every block
            self.shape.heads = set(self.shape.blocks)
            self.shape.longest = 1
        self.learned: dict[int, Known] = {}
        self.here: set[int] = set()
        self.foreign: dict[int, None] = {}

    # -------------------------------------------------------------------- structure

    def write(self) -> list[str]:
        """The lines of all the thread's functions."""
        number, count = self.thread.index, len(self.own.stops)
        lines = self._masks()
        where = [0] * (count + 1)
        dealt = parts(self.shape, _PART)
        for part, firsts in enumerate(dealt):
            lines += self._part(part, firsts)
            for first in firsts:
                if first in self.own.index:
                    where[self.own.index[first]] = part
        cases = [
            f"\t\tcase {part}: end = thread{number}_{part}(v, r, at, first); break;"
            for part in range(len(dealt))
        ]
        return [
            *lines,
            f"static const uint16_t part{number}[{count + 1}]={{{','.join(map(str, where))}}};",
            "static int",
            f"thread{number}(uint64_t *v, run *r)",
            "{",
            f"\tunsigned at = pc_of({number}, v);",
            "\tint first = 1, end = R_MORE;",
            "\tif (at == 0)",
            "\t\treturn R_BLOCKED;",
            "\tdo {",
            f"\t\tswitch (part{number}[at]) {{",
            *cases,
            "\t\t}",
            "\t\tat = r->next;",
            "\t\tfirst = 0;",
            "\t} while (end == R_MORE);",
            "\treturn end;",
            "}",
        ]

    def _part(self, part: int, firsts: list[int]) -> list[str]:
        """One function: it begins at one of its stops, or (not ``first``) arrives there."""
        self.lines, self.variables, self.exits, self.foreign = [], {}, {}, {}
        self.here = set(firsts)
        for first in firsts:
            self._block(first)
        stops = [self.own.index[first] for first in firsts if first in self.own.index]
        count = len(self.own.stops)
        cases = [f"\tcase {stop}: goto S{stop};" for stop in stops]
        cases += [
            f"\tcase {stop + count}: goto A{stop};"
            for stop in stops
            if self.own.stops[stop - 1] in self.shape.entered
        ]
        return [
            "static __attribute__((noinline)) int",
            f"thread{self.thread.index}_{part}"
            "(uint64_t *restrict v, run *restrict r, unsigned at, int first)",
            "{",
            f"\tconst uint8_t *const stops UNUSED = r->stops + {self.base};",
            "\tconst uint8_t *const sites UNUSED = r->sites;",
            "\tuint8_t *const strays UNUSED = r->strays;",
            "\tuint32_t np = r->npath, stop UNUSED, fault UNUSED, last UNUSED;",
            *(f"\t{declaration};" for declaration in self.variables.values()),
            f"\tswitch (first ? at : at + {count}) {{",
            *cases,
            "\tdefault: return R_BLOCKED;",
            "\t}",
            *self.lines,
            *self._leave(),
            *self._ends(),
            "}",
        ]

    def _block(self, first: int) -> None:
        nodes = self.shape.blocks[first]
        code = self.thread.code
        number = self.own.index.get(first)
        self.node, self.passed = first, []
        self.known = Known()
        if number is None and self.shape.edges_to[first] == 1:
            self.known = self.learned.pop(first, self.known)
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
            self._learn(code[node].action)
        self._continue(code[nodes[-1]])

    def _continue(self, instr: ir.Instr) -> None:
        """Behind the last instruction of a block."""
        match instr.action:
            case ir.End():
                self._line("stop=0;goto halt;")
            case ir.Branch(test, other):
                condition = self.gen().test(test)
                if condition != "0":
                    self._line(f"if({condition}){self._goto(instr.next)}")
                if condition != "1":
                    self._line(self._goto(other))
                for truth, successor in ((True, instr.next), (False, other)):
                    known = Known(self.known.facts)
                    known.learn(test, truth)
                    self.learned[successor] = known
            case _:
                self.learned[instr.next] = self.known
                self._line(self._goto(instr.next))

    def _learn(self, action: ir.Action) -> None:
        if isinstance(action, ir.Check):
            self.known.learn(action.test, True)
        elif isinstance(action, ir.Wait):
            self.known.learn(action.guard, True)
        self.known.forget(action)

    def _goto(self, node: int) -> str:
        number = self.own.index.get(node)
        if number is None:
            return f"goto B{node};"
        if node not in self.here:
            self.foreign[number] = None
            return f"goto X{number};"
        return f"goto {'A' if node in self.shape.entered else 'S'}{number};"

    def _leave(self) -> list[str]:
        """Arrivals at the stops of other parts."""
        lines = [
            f"X{number}:if(stops[{number - 1}]){{stop={number};goto halt;}}"
            f"r->next={number};goto leave;"
            for number in self.foreign
        ]
        return [*lines, "leave:", "\tr->npath = np;", "\treturn R_MORE;"] if lines else []

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

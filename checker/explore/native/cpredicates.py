"""C code for what is asked of states: invariants and witnesses."""

from __future__ import annotations

from ...lang import ir
from ..errors import InternalError
from ..intervals import Ranges
from ..layout import Layout
from .cexpr import CExpr, Names
from .tables import Tables


def _no_locals(expr: ir.Local, gen: CExpr) -> str:
    raise InternalError("an invariant reads a local variable")


class _Function:
    """A function from a vector to a bit mask.

    A predicate that reads outside a variable is an error of the model: it sets ``misread`` to
    1 + the number of its place, and the function returns the bits found before.
    """

    def __init__(self, program: ir.Program, layout: Layout, tables: Tables, name: str) -> None:
        self.program, self.layout, self.tables = program, layout, tables
        self.ranges, self.names = Ranges(program), Names()
        self.misread: dict[int, None] = {}
        self.head = ["static UNUSED uint64_t", f"{name}(const uint64_t *v)", "{"]
        self.body: list[str] = []

    def test(self, name: str, expr: ir.Expr) -> str:
        def outside() -> str:
            number = self.tables.place(name)
            self.misread[number] = None
            return f"M{number}"

        return CExpr(
            self.program, self.layout.shared, self.ranges, {}, _no_locals, outside, self.names
        ).test(expr)

    def set_if(self, condition: str, bit: int) -> None:
        self.body.append(f"\tif ({condition}) bits |= 1ULL<<{bit};")

    def lines(self) -> list[str]:
        lines = [*self.head, "\tuint64_t bits = 0;", "\t(void)v;", *self.body, "\treturn bits;"]
        for number in self.misread:
            lines.append(f"M{number}:")
            lines.append(f"\t__atomic_store_n(&misread, {number + 1}, __ATOMIC_RELAXED);")
            lines.append("\treturn bits;")
        return [*lines, "}"]


def predicates(program: ir.Program, layout: Layout, tables: Tables) -> list[str]:
    """``broken``, ``unseen``, ``broken_at_end``, ``witnessed``, and the words they depend on."""
    broken, unseen, at_end, witnessed = (
        _Function(program, layout, tables, name)
        for name in ("broken", "unseen", "broken_at_end", "witnessed")
    )
    words = 0
    for bit, one in enumerate(program.invariants):
        name = one.name
        at_end.set_if(f"!{at_end.test(name, one.test)}", bit)
        if one.terminal_only:
            continue
        always = isinstance(one.when, ir.Const) and one.when.value
        when = "" if always else f"{broken.test(name, one.when)} && "
        broken.set_if(f"{when}!{broken.test(name, one.test)}", bit)
        if not always:
            unseen.set_if(f"!{unseen.test(name, one.when)}", bit)
        words |= words_read(program, layout, one.test) | words_read(program, layout, one.when)
    for bit, witness in enumerate(program.witnesses):
        witnessed.set_if(witnessed.test(witness.name, witness.test), bit)
    size = max(1, (layout.size // 8 + 63) // 64)
    masks = [words >> 64 * part & (1 << 64) - 1 for part in range(size)]
    text = ",".join(f"{mask}ULL" for mask in masks)
    lines = [f"static UNUSED const uint64_t invariant_words[{size}]={{{text}}};"]
    for function in (broken, unseen, at_end, witnessed):
        lines += function.lines()
    return lines


def words_read(program: ir.Program, layout: Layout, expr: ir.Expr) -> int:
    """The words of a state that an expression may read, as a bit mask."""
    words = 0
    for sub in ir.walk(expr):
        match sub:
            case ir.Shared(var, index):
                slot, length = layout.shared[var], program.shared[var].length
                first, last = 0, length - 1
                if isinstance(index, ir.Const):
                    first = last = min(max(index.value, 0), length - 1)
            case ir.ListNext(ref):
                slot = layout.shared[ref.var]
                first, last = 0, program.shared[ref.var].length - 1
            case _:
                continue
        for word in range(slot.at(first) // 8, (slot.at(last) + slot.width - 1) // 8 + 1):
            words |= 1 << word
    return words

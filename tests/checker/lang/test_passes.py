"""Simplifying, freezing and dropping ghosts change nothing that anybody could see."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.interpret import Interpreter, State
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.compile import CallSpec
from genfscheck.checker.lang.prune import drop_ghosts
from genfscheck.checker.lang.simplify import simplify

from . import test_classics as classics
from .helpers import program
from .running import everything, kept

Shared: TypeAlias = tuple[tuple[int, ...], ...]


def seen(program_: ir.Program, state: State) -> Shared:
    """The part of a state that is no ghost."""
    return tuple(
        values
        for var, values in zip(program_.shared, state.shared, strict=True)
        if not var.ghost
    )


def ends(model: ir.Program) -> tuple[set[str], set[Shared], set[Shared]]:
    """What fails, what can be reached at all, and what is left where nobody can go on."""
    found = everything(model)
    reached = {seen(model, state) for state in found.states}
    return found.failed, reached, {seen(model, state) for state in found.terminal}


def reduced_ends(model: ir.Program) -> tuple[set[str], set[Shared]]:
    result = explore(model, keep_states=True)
    interpreter = Interpreter(model)
    left = {
        seen(model, state)
        for state in kept(model, result)
        if not any(interpreter.fine_step(state, t) for t in range(len(model.threads)))
    }
    return {found.property for found in result.violations if found.kind == "check"}, left


def same(model: ir.Program) -> None:
    """The passes, alone and together, and the reduction."""
    failed, reached, left = ends(model)
    for changed in (simplify(model), drop_ghosts(model), prepare(model)):
        assert ends(changed) == (failed, reached, left)
        assert reduced_ends(changed) == (failed, left)
    verdicts = {
        explore(each, granularity=granularity).verdict
        for each in (model, prepare(model))
        for granularity in ("fine", "reduced")
    }
    assert len(verdicts) == 1


CLASSICS = {
    "peterson": classics.peterson(),
    "peterson-broken": classics.peterson(second="both.turn = i"),
    "buffer": classics.buffer(classics.ONE, "consumer"),
    "buffer-if": classics.buffer(classics.TWO, "consumer", "consumer", loop="if"),
    "buffer-signal": classics.buffer(classics.ONE, "consumer", **classics.SIGNALS),
    "philosophers": classics.table(((0, 1), (1, 2), (2, 0))),
    "racy": program(classics.COUNTER, "racy", "racy"),
    "readers": program(classics.RWLOCK, "reader", "writer", "reader"),
    "sometimes": program(classics.SOMETIMES, ("update", {"locked_if": 1}), "look"),
}


@pytest.mark.parametrize("name", sorted(CLASSICS))
def test_classics(name: str) -> None:
    same(CLASSICS[name])


# ---------------------------------------------------------------------- random programs

WORLD = """
small: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=3)]

@record
class Cell:
    v: small
    lock: Mutex
    near: Cell
    never: Annotated[small, initial(2)]

@record
class World:
    x: small
    y: small
    open: bool
    constant: Annotated[small, initial(1)]
    only_written: small
    unseen: Annotated[small, ghost]
    looked_at: Annotated[small, ghost]

cells = Pool(Cell, 2)
w: World = single(World)

@routine
def next_(v: small, by: small) -> small:
    if v + by > 2:
        return 0
    return v + by

@atomic
def swap() -> None:
    old: small = w.x
    w.x = w.y
    w.y = old

@pure
def level() -> small:
    return w.x if w.open else w.constant

@routine
def find(wanted: small) -> small:
    for i in range(2):
        if cells[i].v == wanted:
            return i
    return 2 * w.constant

@setup
def start() -> None:
    cells[0].near = cells[1]
    cells[1].near = cells[0]

@invariant("looked")
def looked() -> bool:
    return w.looked_at < 2
"""


@st.composite
def statements(draw: st.DrawFn, indent: str, depth: int, held: tuple[int, ...] = ()) -> str:
    number = draw(st.integers(0, 1))
    simple = [
        "w.x = w.y", "w.y = next_(w.x, a)", "w.x = next_(w.y, 1)", "a = w.x", "b = a", "b = 1",
        "w.only_written = a", "w.unseen = w.x", "w.looked_at = w.y", "swap()", "a = level()",
        "w.open = not w.open", "a = find(b)", f"cells[{number}].v = a", "a = cells[b % 2].v",
        f"a = cells[{number}].near.v", f"cells[{number}].near.v = b",
        "a = choose(2, 'either')", "a = w.constant", f"a = cells[{number}].never",
        "check('small', a + b < 3)", "w.unseen += 0", "a = (a + b) % 3", "w.x += 1",
    ]  # fmt: skip
    kinds = ["simple"] * 5 + (["if", "for", "lock", "lock", "lock", "while"] if depth else [])
    lines = []
    for _ in range(draw(st.integers(2, 3))):
        kind = draw(st.sampled_from(kinds))
        deeper = indent + "    "
        if kind == "simple":
            lines.append(indent + draw(st.sampled_from(simple)))
        elif kind == "if":
            test = draw(st.sampled_from([
                "w.open", "a == 1", "w.x == 1 and w.y == a", "w.constant == 0", "k == 1 or w.open",
                "level() > 0", "mutex_owned(cells[0].lock)",
            ]))  # fmt: skip
            lines.append(f"{indent}if {test}:\n{draw(statements(deeper, depth - 1, held))}")
            if draw(st.booleans()):
                lines.append(f"{indent}else:\n{draw(statements(deeper, depth - 1, held))}")
        elif kind == "for":
            bound = draw(st.sampled_from(["2", "a", "w.constant"]))
            name = f"i{len(indent)}"
            inner = draw(statements(deeper, depth - 1, held))
            leave = f"\n{deeper}if w.open:\n{deeper}    break" if draw(st.booleans()) else ""
            lines.append(f"{indent}for {name} in range({bound}):\n{inner}{leave}")
        elif kind == "while":
            inner = draw(statements(deeper, 0, held))
            lines.append(f"{indent}c = 1\n{indent}while c > 0:\n{deeper}c -= 1\n{inner}")
        elif number not in held:
            lock = f"cells[{number}].lock"
            inner = draw(statements(indent, depth - 1, (*held, number)))
            lines.append(f"{indent}mutex_enter({lock})\n{inner}\n{indent}mutex_exit({lock})")
    return "\n".join(lines) or f"{indent}pass"


@st.composite
def models(draw: st.DrawFn) -> str:
    text = WORLD
    for name in ("one", "two"):
        body = draw(statements("    ", 3))
        text += f"\n@actor\ndef {name}(k: small) -> None:\n"
        text += f"    a: small = 0\n    b: small = k\n    c: small = 0\n    c = 0\n{body}\n"
        text += "    w.y = (a + b) % 3\n"
    return text


@settings(max_examples=40, deadline=None, database=None, phases=[Phase.generate])
@given(models(), st.integers(0, 1))
def test_random_programs(text: str, k: int) -> None:
    same(program(text, ("one", {"k": k}), ("two", {"k": 1}), setup=CallSpec("start")))

"""What statements, steps, pools, lists and properties mean."""

from __future__ import annotations

from typing import Any

import pytest

from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.interpret import run_setup
from genfscheck.checker.lang.compile import (
    CallSpec,
    ProgramSpec,
    SpecError,
    ThreadSpec,
    compile_program,
)

from .helpers import program, source
from .running import Run, failure, finished

STATE = """
class F(Flags):
    A = 1
    B = 2
    C = 4

@record
class Node:
    n: int32
    flags: F
    up: Node
    odd: Annotated[Node, special]
    mark: Annotated[Node, marker]
    used: bool
    arr: Annotated[Array[int32], size(3)]
    kids: Annotated[List[Node], size(2)]
    line: Annotated[List[MarkedNode], size(3)]
    lock: Mutex
    q: WaitQueue

MarkedNode: TypeAlias = Annotated[Node, marker]
nodes = Pool(Node, 3, live="used", specials=("ODD",), markers=2, marker_fields={"n": -1})
ODD: Any = nodes.special("ODD")

@record
class S:
    out: Annotated[Array[int32], size(6)]
    i: int32
    j: int32
    trace: Annotated[int32, CIntAll]
    flag: bool

s: S = single(S)
""".replace("Annotated[int32, CIntAll]", "Annotated[int, CInt(32, signed=True, low=0, high=9999)]")


def actor(body: str, *, more: str = "", **options: Any) -> Any:
    """A program of one thread that runs the statements."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    text = f"{STATE}\n{more}\n@actor\ndef run(k: int32) -> None:\n{lines}\n"
    return program(text, ("run", {"k": options.pop("k", 2)}), **options)


def out(body: str, **options: Any) -> tuple[int, ...]:
    """What the statements leave in ``s.out``."""
    return finished(actor(body, **options)).values("s.out")


# ------------------------------------------------------------------------------- steps

HELP = """
@pure
def total() -> int32:
    return s.i + s.j + s.out[0]

@atomic
def both() -> None:
    s.i = s.j
    s.j = 1

@routine
def stepwise() -> None:
    s.i = s.j
    s.j = 1
"""
STEPS = [
    ("s.i = 1", 1),
    ("s.i |= 1", 2),
    ("s.i = s.j", 2),
    ("s.i = s.j + s.out[0]", 3),
    ("s.out[1] = total()", 2),
    ("both()", 1),
    ("stepwise()", 3),
    ("x: int32 = k + 1\nx += 1", 1),
    ("if s.i == 1 and s.j == 1:\n    pass", 1),
    ("if s.i == 0 and s.j == 1:\n    pass", 2),
    ("if s.i == 0 or s.j == 1:\n    pass", 1),
    ("mutex_enter(nodes[0].lock)", 1),
    ("x: Node = allocate(nodes)", 1),
    ("wakeup(nodes[0].q)", 1),
    ("i: int32 = choose(2, 'any')\ns.i = i", 2),
]


@pytest.mark.parametrize(("body", "steps"), STEPS)
def test_number_of_steps(body: str, steps: int) -> None:
    run = Run(actor(body, more=HELP))
    assert run.finish() == steps
    assert run.ended()


def test_reads_in_order() -> None:
    """``and`` and ``or`` stop at the first operand that decides, left to right."""
    log = """
@atomic
def ask(number: int32, answer: bool) -> bool:
    s.trace = s.trace * 10 + number
    return answer
"""
    for expression, order, value in [
        ("ask(1, True) and ask(2, False) and ask(3, True)", 12, 0),
        ("ask(1, False) or ask(2, True) or ask(3, True)", 12, 1),
        ("(ask(1, False) and ask(2, True)) or ask(3, True)", 13, 1),
        ("not (ask(1, False) or not ask(2, True))", 12, 1),
        ("ask(1, True) if ask(2, True) else ask(3, False)", 21, 1),
        ("ask(1, ask(2, True) and ask(3, False))", 231, 0),
    ]:
        run = finished(actor(f"s.flag = {expression}", more=log))
        assert (run.value("s.trace"), run.value("s.flag")) == (order, value), expression


def test_a_choice_has_every_outcome() -> None:
    model = actor("s.i = choose(k + 1, 'three')\nif choose_bool('more'):\n    s.j = 1")
    result = explore(model, granularity="fine", keep_states=True)
    run = Run(model)
    assert [way.choices for way in run.ways()] == [(0,), (1,), (2,)]
    # start, three after the first choice, three after its store, and then three times two ends,
    # with a state before the store of the one.
    assert (result.states, result.transitions) == (1 + 3 + 3 + 6 + 3, 3 + 3 + 6 + 3)


# ---------------------------------------------------------------------------- routines


def test_results_and_early_returns() -> None:
    more = """
@routine
def find(wanted: int32) -> tuple[int32, bool]:
    for i in range(3):
        for j in range(3):
            if j > i:
                break
            if i + j == wanted:
                return i * 10 + j, True
            if j == 0:
                continue
            s.trace += 1
    return -1, False

@routine
def countdown(n: int32) -> int32:
    while True:
        if n == 0:
            return 7
        n -= 1
"""
    body = """
a, found = find(3)
s.out[0] = a
s.out[1] = 1 if found else 0
b, found = find(9)
s.out[2] = b
s.out[3] = 1 if found else 0
s.out[4] = countdown(k)
s.out[5] = k
"""
    assert out(body, more=more) == (21, 1, -1, 0, 7, 2)


def test_arrays_and_parts_of_them_by_reference() -> None:
    more = """
Three: TypeAlias = Annotated[Array[int32], size(3)]

@routine
def fill(part: Three, n: int32, v: int32) -> None:
    for i in range(n):
        part[i] = v + i

@routine
def outer(part: Three, from_: int32) -> None:
    fill(part[from_:], 2, 5)
"""
    body = """
mine: Three = array(9)
outer(mine, 1)
s.out[0] = mine[0]
s.out[1] = mine[1]
s.out[2] = mine[2]
theirs: Node = allocate(nodes)
outer(theirs.arr, 0)
fill(theirs.arr[2:], 1, 3)
s.out[3] = theirs.arr[0]
s.out[4] = theirs.arr[1]
s.out[5] = theirs.arr[2]
"""
    assert out(body, more=more) == (9, 5, 6, 5, 6, 3)
    assert failure(actor("mine: Three = array(9)\nouter(mine, k)", more=more)) == "bounds"


def test_bounds_of_a_loop_are_evaluated_once() -> None:
    assert out("n: int32 = 3\nfor i in range(n):\n    n = 1\n    s.out[i] = 1")[:4] == (1, 1, 1, 0)


def test_conditional_references() -> None:
    body = """
a: Node = allocate(nodes)
none: Node = NULL if s.i == 0 else a.up
some: Node = NULL if s.i == 1 else a
odd: Annotated[Node, special] = a.up if s.i == 1 else ODD
s.out[0] = 1 if none is NULL else 0
s.out[1] = 1 if some is a else 0
s.out[2] = 1 if odd is ODD else 0
"""
    assert out(body)[:3] == (1, 1, 1)


# --------------------------------------------------------------- pools, flags and lists


def test_flags() -> None:
    body = """
a: Node = allocate(nodes)
a.flags |= F.A | F.C
a.flags &= ~F.A
s.out[0] = 1 if a.flags & F.C else 0
s.out[1] = 1 if a.flags & (F.A | F.B) else 0
s.out[2] = 1 if a.flags == F.C else 0
s.out[3] = 1 if ~a.flags == F.A | F.B else 0
a.flags = F(0)
s.out[4] = 1 if a.flags == 0 else 0
"""
    assert out(body)[:5] == (1, 0, 1, 1, 1)


def test_markers_and_specials() -> None:
    body = """
a: Node = allocate(nodes)
a.mark = marker(nodes, 0)
a.odd = ODD
s.out[0] = a.mark.n
s.out[1] = 1 if a.mark is marker(nodes, 0) else 0
s.out[2] = 1 if a.mark is marker(nodes, 1) else 0
s.out[3] = 1 if a.odd is ODD else 0
s.out[4] = 1 if a.odd is NULL else 0
a.mark = a
s.out[5] = a.mark.n
"""
    assert out(body) == (-1, 1, 0, 1, 0, 0)
    run = finished(actor("a: Node = allocate(nodes)\na.mark = marker(nodes, 1)\na.odd = ODD"))
    shown = {v.name: v.domain.show(run.values(v.name)[0]) for v in run.program.shared}
    assert (shown["nodes.mark"], shown["nodes.odd"]) == ("marker1 of T0", "ODD")
    assert shown["nodes.up"] == "NULL"


LISTS = """
one: Node = allocate(nodes)
two: Node = allocate(nodes)
three: Node = allocate(nodes)
"""


def test_lists() -> None:
    body = LISTS + """
one.line.insert_tail(two)
one.line.insert_head(one)
one.line.insert_after(one, marker(nodes, 0))
x: MarkedNode = one.line.first()
s.out[0] = 1 if x is one else 0
x = one.line.next(x)
s.out[1] = 1 if x is marker(nodes, 0) else 0
x = one.line.next(x)
s.out[2] = 1 if x is two else 0
s.out[3] = 1 if one.line.next(x) is NULL else 0
one.line.remove(marker(nodes, 0))
s.out[4] = 1 if one.line.next(one) is two else 0
s.out[5] = 1 if one.line.next(marker(nodes, 0)) is NULL else 0
one.line.insert_before(two, three)
"""
    run = finished(actor(body))
    assert run.values("s.out") == (1, 1, 1, 1, 1, 1)
    assert run.values("nodes.line")[:3] == (0, 2, 1)


@pytest.mark.parametrize(
    "operation",
    [
        "one.kids.remove(one)",
        "one.kids.insert_tail(one)\none.kids.insert_tail(one)",
        "one.kids.insert_tail(NULL)",
        "one.kids.insert_before(two, one)",
        "one.kids.insert_head(one)\none.kids.insert_head(two)\none.kids.insert_head(three)",
    ],
    ids=["absent", "twice", "nothing", "anchor", "full"],
)
def test_impossible_list_operations(operation: str) -> None:
    assert failure(actor(LISTS + operation)) == "list"


FAILURES = [
    ("a: Node = allocate(nodes)\nrelease(a)\ns.i = a.n", "use-after-free"),
    ("a: Node = allocate(nodes)\nrelease(a)\nrelease(a)", "use-after-free"),
    ("a: Node = allocate(nodes)\ns.i = a.up.n", "null-dereference"),
    ("a: Node = allocate(nodes)\na.up.n = 1", "null-dereference"),
    ("a: Node = allocate(nodes)\na.odd = ODD\ns.i = a.odd.n", "null-dereference"),
    ("a: Node = allocate(nodes)\na.mark = marker(nodes, 0)\na.mark.n = 1", "null-dereference"),
    ("a: Node = allocate(nodes)\na.mark = marker(nodes, 0)\ns.i = a.mark.arr[0]", "index"),
    ("s.out[k + 4] = 1", "bounds"),
    ("s.out[k - 3] = 1", "bounds"),
    ("s.i = s.out[s.j + 6]", "bounds"),
    ("s.i = 200", "range"),
    ("s.i = s.j - 9", "range"),
    ("x: int32 = s.j + 120\ns.i = x - 120", "range"),
    ("mutex_exit(nodes[0].lock)", "lock-discipline"),
    ("mutex_enter(nodes[0].lock)\nmutex_enter(nodes[0].lock)", "lock-discipline"),
    ("sleep_on(nodes[0].q, nodes[0].lock)", "lock-discipline"),
    ("kassert(s.i == 1)", "kassert"),
    ("panic('no')", "panic"),
    ("check('mine', s.i == 1)", "mine"),
]


@pytest.mark.parametrize(("body", "name"), FAILURES)
def test_failure(body: str, name: str) -> None:
    model = actor(body)
    assert failure(model) == name
    for granularity in ("fine", "reduced"):
        result = explore(model, granularity=granularity)
        assert [found.property for found in result.violations] == [name]


def test_allocation_runs_out_and_takes_the_lowest() -> None:
    body = LISTS + """
four: Node = allocate(nodes)
s.out[0] = 1 if four is NULL else 0
release(two)
again: Node = allocate(nodes)
s.out[1] = 1 if again is two else 0
"""
    assert out(body)[:2] == (1, 1)


# ------------------------------------------------------- constants, setup and properties

UPDATED = """
SIZE: Final = parameter("SIZE", default=2, low=1, high=3)

@record
class C:
    n: Annotated[int32, no_lost_update("updates")]
    m: int32
    arr: Annotated[Array[bool], size("SIZE")]

c: C = single(C)

@actor
def add() -> None:
    c.n += 1

@actor
def careful() -> None:
    if fixed("count"):
        c.m = 5
    c.m += 1

@setup
def start(n: int32) -> None:
    c.n = choose(n, "how many")
    if choose_bool("extra"):
        c.m = 1

@invariant("small")
def small() -> bool:
    return c.m == 0

@invariant("never")
def never() -> bool:
    return c.n < 0

@witness
def six() -> bool:
    return c.m == 6
"""


def test_no_lost_update() -> None:
    for granularity in ("fine", "reduced"):
        model = program(UPDATED.replace("return c.n < 0", "return True"), "add", "add")
        result = explore(model, granularity=granularity)
        assert [found.property for found in result.violations] == ["updates"]
    assert explore(program(UPDATED.replace("c.n < 0", "True"), "add")).verdict == "holds"


def test_setup_with_choices() -> None:
    model = program(UPDATED, "careful", setup=CallSpec("start", {"n": 3}))
    states = run_setup(model)
    number = {var.name: n for n, var in enumerate(model.shared)}
    assert [(s.shared[number["c.n"]], s.shared[number["c.m"]]) for s in states] == [
        ((n,), (m,)) for n in range(3) for m in range(2)
    ]
    fine = explore(model, granularity="fine")
    assert (fine.states, fine.transitions) == (6 * 3, 6 * 2)


def test_fixes_and_witnesses() -> None:
    for fixes, reached in (((), False), (("count",), True)):
        model = program(UPDATED, "careful", fixes=fixes, witnesses=("six",))
        assert (explore(model).witnesses["six"] is not None) == reached


@pytest.mark.parametrize(
    ("chosen", "violated"),
    [
        (None, {"small", "never", "updates"}),
        (("small",), {"small"}),
        (("never", "updates"), {"never", "updates"}),
        ((), set()),
    ],
)
def test_only_some_properties(chosen: tuple[str, ...] | None, violated: set[str]) -> None:
    threads = tuple(
        ThreadSpec(f"{name}{n}", (CallSpec(name),))
        for n, name in enumerate(("add", "add", "careful"))
    )
    spec = ProgramSpec("toy", threads, properties=chosen)
    result = explore(compile_program(source(UPDATED), spec), granularity="fine")
    assert {found.property for found in result.violations} == violated


def test_parameters() -> None:
    assert program(UPDATED, "add", parameters={"SIZE": 3}).parameters == {"SIZE": 3}
    widths = {v.name: v.length for v in program(UPDATED, "add").shared}
    assert widths["c.arr"] == 2
    for value in (0, 4):
        with pytest.raises(SpecError, match=f"SIZE = {value}: expected a number from 1 to 3"):
            program(UPDATED, "add", parameters={"SIZE": value})
    with pytest.raises(SpecError, match="unknown parameter 'WIDTH': expected one of SIZE"):
        program(UPDATED, "add", parameters={"WIDTH": 1})

"""What is outside the language is refused with file, line and what to write instead."""

from __future__ import annotations

import pytest

from genfscheck.checker.lang.compile import check_definitions
from genfscheck.checker.lang.errors import ModelError

from .helpers import line_of, source

STATE = """
class F(Flags):
    A = 1
    B = 2

class E(Enum):
    X = 0
    Y = 1

@record
class Node:
    n: int32
    flags: F
    kind: E
    next_: Annotated[List[Node], size(3)]
    arr: Annotated[Array[int32], size(2)]
    lock: Mutex

nodes = Pool(Node, 3)
"""

# (the statement of a routine's body, a part of the message)
BODIES = [
    ("try:  # <<\n        pass\n    finally:\n        pass", "Try is not in the language"),
    ("with x:  # <<\n        pass", "With is not in the language"),
    ("y = 1  # <<", "the first binding needs the type"),
    ("y: int32 = 1 / 2  # <<", "// divides"),
    ("y: int32 = node.nothing  # <<", "Node has no field nothing"),
    ("y: int32 = unknown  # <<", "unknown is not defined here"),
    ("y: int32 = NULL  # <<", "NULL given where int is expected"),
    ("node.n = node  # <<", "Node given where int is expected"),
    ("node.kind = F.A  # <<", "F given where E is expected"),
    ("node.flags |= E.X  # <<", "flag sets of one type"),
    ("node.flags = 3  # <<", "an integer constant given where F is expected"),
    ("if node.kind:  # <<\n        pass", "is no condition: compare it"),
    ("if 0 < node.n < 3:  # <<\n        pass", "chained comparisons"),
    ("if node is None:  # <<\n        pass", "write NULL"),
    ("y: Node = nodes[0]\n    if y < node:  # <<\n        pass", "cannot compare"),
    ("node.arr = node.arr  # <<", "cannot be assigned to"),
    ("break  # <<", "outside a loop"),
    ("return 3  # <<", "returns nothing"),
    ("body(node)  # <<", "the call graph has no cycles"),
    ("node.n = all(x.n > 0 for x in nodes)  # <<", "a quantifier is no single step"),
    ("x: Node = allocate(nodes)  # <<", "declared with live="),
    ("node.next_.push(node)  # <<", "a list has no method push"),
    ("mutex_enter(node)  # <<", "mutex_enter.m wants Mutex"),
    ("helper(1, 2, 3)  # <<", "helper takes 1 arguments"),
    ("helper(b=1)  # <<", "bad argument b"),
    ("helper()  # <<", "argument a is missing"),
    ("for i in nodes.items():  # <<\n        pass", "has no method items"),
    ("y: int32 = [i for i in range(3)]  # <<", "ListComp"),
    ("y: float = 1  # <<", "unknown type float"),
    ("lambda: 0  # <<", "Expr is not in the language"),
    ("y: int32 = 5 // 0  # <<", "division by zero"),
]


@pytest.mark.parametrize(("body", "message"), BODIES, ids=[m for _, m in BODIES])
def test_statement_outside_the_language(body: str, message: str) -> None:
    text = STATE + f"""
@routine
def helper(a: int32) -> None:
    pass

@routine
def body(node: Node) -> None:
    {body}
"""
    errors = check_definitions(source(text))
    assert [error for error in errors if message in error.message], [str(e) for e in errors]
    found = next(error for error in errors if message in error.message)
    assert (found.file, found.line) == ("toy.py", line_of(text, "# <<"))


MODULES = [
    ("for x in range(3):  # >>\n    pass", "For is not allowed at module level"),
    ("def f() -> None:  # >>\n    pass", "needs exactly one of the decorators"),
    ("@cached\ndef f() -> None:  # >>\n    pass", "unknown decorator @cached"),
    ("class C:  # >>\n    pass", "write @record, @struct, (Enum) or (Flags)"),
    ("@routine\ndef f(*args: int) -> None:  # >>\n    pass", "only plain parameters"),
]


@pytest.mark.parametrize(("text", "message"), MODULES, ids=[m for _, m in MODULES])
def test_module_outside_the_language(text: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        source(text)
    assert message in caught.value.message
    assert caught.value.line == line_of(text, "# >>")


def test_not_python_at_all() -> None:
    with pytest.raises(ModelError, match="toy.py:.*not Python"):
        source("def (")


def test_a_flag_is_one_bit() -> None:
    with pytest.raises(ModelError, match="F.C: a flag is one bit"):
        check_definitions(source(STATE.replace("B = 2", "C = 3")))


def test_a_seed_range_wants_citations_inside_it() -> None:
    def errors(comment: str) -> list[str]:
        text = STATE + f"""
@routine(seed=(10, 20))
def f(node: Node) -> None:
    node.n = 1  {comment}
"""
        return [error.message for error in check_definitions(source(text))]

    assert errors("# 12-14, 20: why") == []
    assert "cites no line of 10-20" in errors("# why")[0]
    assert "line 21 is outside" in errors("# 21")[0]


def test_a_wait_inside_an_atomic_routine_cannot_sleep() -> None:
    text = STATE + """
@atomic
def f(node: Node) -> None:
    node.n = 1
    g(node)  # <<

@routine
def g(node: Node) -> None:
    pass
"""
    (error,) = check_definitions(source(text))
    assert "an @atomic routine cannot call g" in error.message
    assert error.line == line_of(text, "# <<")

"""C's arithmetic: by hand, and random expressions against a second evaluation in here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from genfscheck.checker.lang.errors import ModelError

from .helpers import program
from .running import finished

TYPES = {"u8": (8, False), "s32": (32, True), "u32": (32, False), "s64": (64, True),
         "u64": (64, False)}  # fmt: skip
Kind: TypeAlias = tuple[int, bool]
LITERAL: Kind = (0, True)


def limits(kind: Kind) -> tuple[int, int]:
    bits, signed = kind
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


ALIASES = "".join(
    f"{name}: TypeAlias = Annotated[int, CInt({kind[0]}, signed={kind[1]}, low={limits(kind)[0]}, "
    f"high={limits(kind)[1]})]\n"
    for name, kind in TYPES.items()
)


def wrap(value: int, kind: Kind) -> int:
    bits, signed = kind
    bits = bits or 64
    value %= 1 << bits
    return value - (1 << bits) if signed and value >= 1 << (bits - 1) else value


# ---------------------------------------------------------------- expressions, twice


@dataclass(frozen=True)
class Expression:
    """Its text in the language, and what C makes of it: a type and a value."""

    text: str
    kind: Kind
    value: int


def promoted(kind: Kind) -> Kind:
    return (32, True) if 0 < kind[0] < 32 else kind


def usual(left: Kind, right: Kind) -> Kind:
    """The usual arithmetic conversions; a literal adapts."""
    if LITERAL in (left, right):
        return promoted(right if left == LITERAL else left)
    one, two = promoted(left), promoted(right)
    if one[0] != two[0]:
        return max(one, two)
    return (one[0], one[1] and two[1])


def quotient(left: int, right: int) -> int:
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


def combined(op: str, left: Expression, right: Expression) -> Expression | None:
    kind = usual(left.kind, right.kind)
    one, two = wrap(left.value, kind), wrap(right.value, kind)
    text = f"({left.text} {op} {right.text})"
    if op in ("<<", ">>"):
        kind = promoted(right.kind if left.kind == LITERAL else left.kind)
        by, bits, value = right.value, kind[0] or 64, wrap(left.value, kind)
        if op == "<<":
            value = value << by if 0 <= by < bits else 0
        else:
            value = value >> by if 0 <= by < bits else -(value < 0)
        return Expression(text, kind, wrap(value, kind))
    if op in ("min", "max"):
        value = min(one, two) if op == "min" else max(one, two)
        return Expression(f"{op}({left.text}, {right.text})", kind, value)
    if op in ("<", "<=", "==", "!="):
        truth = {"<": one < two, "<=": one <= two, "==": one == two, "!=": one != two}[op]
        return Expression(f"bool{text}", (1, False), int(truth))
    if op in ("//", "%"):
        if two == 0:
            return None
        value = quotient(one, two)
        return Expression(text, kind, wrap(value if op == "//" else one - two * value, kind))
    value = {"+": one + two, "-": one - two, "*": one * two, "&": one & two, "|": one | two,
             "^": one ^ two}[op]  # fmt: skip
    return Expression(text, kind, wrap(value, kind))


OPERATORS = ["+", "-", "*", "//", "%", "<<", ">>", "&", "|", "^", "min", "max", "<", "<=", "==",
             "!="]  # fmt: skip
Values: TypeAlias = dict[str, int]


@st.composite
def expressions(draw: st.DrawFn, values: Values, depth: int = 3) -> Expression:
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        if draw(st.integers(0, 3)) == 0:
            number = draw(st.integers(0, 40) | st.sampled_from([255, 1 << 31, 1 << 32, 1 << 40]))
            return Expression(str(number), LITERAL, number)
        name = draw(st.sampled_from(sorted(TYPES)))
        return Expression(f"HERE{name}", TYPES[name], values[name])
    shape = draw(st.sampled_from(["binary", "binary", "binary", "-", "~", "cast", "choose"]))
    one = draw(expressions(values, depth - 1))
    if shape in "-~":
        kind = promoted(one.kind)
        value = -one.value if shape == "-" else ~one.value
        return Expression(f"({shape}{one.text})", kind, wrap(value, kind))
    if shape == "cast":
        name = draw(st.sampled_from(sorted(TYPES)))
        return Expression(f"cast({name}, {one.text})", TYPES[name], wrap(one.value, TYPES[name]))
    two = draw(expressions(values, depth - 1))
    if shape == "choose":
        # Where the condition is known at compile time, only the chosen side has a type.
        test = draw(expressions(values, 1))
        name = draw(st.sampled_from(sorted(TYPES)))
        chosen = one.value if test.value else two.value
        sides = [f"cast({name}, {side.text})" for side in (one, two)]
        text = f"({sides[0]} if {test.text} != 0 else {sides[1]})"
        return Expression(text, TYPES[name], wrap(chosen, TYPES[name]))
    result = combined(draw(st.sampled_from(OPERATORS)), one, two)
    return one if result is None else result


@st.composite
def cases(draw: st.DrawFn) -> tuple[Values, list[Expression]]:
    values = {}
    for name, kind in TYPES.items():
        low, high = limits(kind)
        near = st.integers(max(low, -9), 9) | st.integers(low, high)
        values[name] = draw(near | st.sampled_from([low, high]))
    return values, draw(st.lists(expressions(values), min_size=8, max_size=12))


@settings(max_examples=60, deadline=None, database=None, phases=[Phase.generate])
@given(cases())
def test_random_expressions(case: tuple[Values, list[Expression]]) -> None:
    """Of shared variables, of variables, of constants: the interpreter, and folding."""
    values, found = case
    fields = "".join(f"    {name}: Annotated[{name}, initial({values[name]})]\n" for name in TYPES)
    arrays = [f"Annotated[Array[s64], size({len(found)})]"] * 3
    locals_ = "".join(f"    _{name}: {name} = s.{name}\n" for name in TYPES)
    ways = ("s.", "_", "c_")
    stores = "".join(
        f"    s.out{way}[{number}] = cast(s64, {one.text.replace('HERE', prefix)})\n"
        for number, one in enumerate(found)
        for way, prefix in enumerate(ways)
    )
    arguments = ", ".join(f"c_{name}: {name}" for name in TYPES)
    text = f"""
{ALIASES}
@record
class S:
{fields}    out0: {arrays[0]}
    out1: {arrays[1]}
    out2: {arrays[2]}

s: S = single(S)

@actor
def run({arguments}) -> None:
{locals_}{stores}
"""
    given_ = {f"c_{name}": value for name, value in values.items()}
    try:
        run = finished(program(text, ("run", given_)))
    except ModelError as error:
        assert "division by zero" in error.message
        return
    expected = tuple(wrap(one.value, TYPES["s64"]) for one in found)
    for way in range(3):
        assert run.values(f"s.out{way}") == expected, [one.text for one in found]


# ----------------------------------------------------------------------------- by hand

M32 = (1 << 32) - 1
TABLE = [
    ("u64", "u64 - 1", {"u64": 0}, (1 << 64) - 1),
    ("u32", "u32 - 1", {"u32": 0}, (1 << 32) - 1),
    ("u64", "s32 + u64", {"s32": -1, "u64": 0}, (1 << 64) - 1),
    ("s64", "s64 + u32", {"s64": -1, "u32": 0}, -1),
    ("u64", "min(u64, s64)", {"u64": 4, "s64": -1}, 4),  # MIN(size_t, off_t): -1 is huge
    ("u64", "max(u64, s64)", {"u64": 4, "s64": -1}, (1 << 64) - 1),
    ("s64", "min(u32, s64)", {"u32": 4, "s64": -1}, -1),
    ("s32", "-7 // 2", {}, -3),
    ("s32", "-7 % 2", {}, -1),
    ("s32", "s32 // 2", {"s32": -7}, -3),
    ("s32", "s32 % 2", {"s32": -7}, -1),
    ("s32", "7 % s32", {"s32": -2}, 1),
    ("s32", "u8 - 1", {"u8": 0}, -1),
    ("u8", "u8 - 1", {"u8": 0}, 255),
    ("s32", "1 << u8", {"u8": 8}, 256),
    ("u32", "~u32", {"u32": 0}, (1 << 32) - 1),
    ("s32", "~s32", {"s32": 0}, -1),
    ("s32", "s32 >> 1", {"s32": -3}, -2),
    ("s32", "1 << s32", {"s32": 31}, -(1 << 31)),
    ("s32", "1 << s32", {"s32": 32}, 0),
    ("s64", "cast(s32, u32)", {"u32": (1 << 32) - 1}, -1),
    ("s64", "cast(u32, s32)", {"s32": -1}, (1 << 32) - 1),
    ("s64", "1 << 40", {}, 1 << 40),
    ("s64", "-(1 << 40)", {}, -(1 << 40)),
    ("s32", "int((1 << 32) == 0)", {}, 0),
    ("s32", "int(u64 > -1)", {"u64": 5}, 0),  # the comparison is unsigned
    ("s32", "int(s64 > -1)", {"s64": 5}, 1),
    ("s32", "1 << (s32 == 0)", {"s32": 0}, 2),
    ("s64", "(s32 if u8 == 0 else u32) + s64", {"s32": -1, "u8": 0, "u32": 0, "s64": 0}, M32),
    ("s64", "1000 if u8 == 0 else s64", {"u8": 0, "s64": 0}, 1000),
    ("s64", "-1 if u8 == 1 else u64", {"u8": 0, "u64": 1 << 40}, 1 << 40),
    ("s64", "-1 if u8 == 0 else s32", {"u8": 0, "s32": 5}, -1),
    ("s64", "500 if u8 == 1 else 1000", {"u8": 0}, 1000),
]


@pytest.mark.parametrize(("kind", "expression", "values", "expected"), TABLE)
def test_expression(kind: str, expression: str, values: Values, expected: int) -> None:
    fields = "".join(f"    _{name}: Annotated[{name}, initial({values.get(name, 0)})]\n"
                     for name in TYPES)  # fmt: skip
    locals_ = "".join(f"    {name}_: {name} = s._{name}\n" for name in values)
    text = f"""
{ALIASES}
@record
class S:
{fields}    out: {kind}

s: S = single(S)

@actor
def read() -> None:
    s.out = {named(expression, "s._{}")}

@actor
def bound() -> None:
{locals_}    s.out = {named(expression, "{}_")}
"""
    assert finished(program(text, "read")).value("s.out") == expected
    assert finished(program(text, "bound")).value("s.out") == expected


def named(expression: str, form: str) -> str:
    """The expression with every variable, but no type, written in some form."""
    return re.sub(
        r"(?<!cast\()\b([us]\d+)\b", lambda match: form.format(match.group(1)), expression
    )


@pytest.mark.parametrize("expression", ["n // 0", "n % 0", "0 // 0", "n // (2 - 2)"])
def test_division_by_zero(expression: str) -> None:
    text = f"""
@actor
def run(n: int32) -> None:
    x: int32 = {expression}
    if x == 1:
        panic("one")
"""
    with pytest.raises(ModelError, match="division by zero"):
        program(text, ("run", {"n": 3}))


def test_undefined_shifts_of_constants_are_no_crash() -> None:
    text = """
@record
class S:
    out: int32

s: S = single(S)

@actor
def run(n: int32) -> None:
    s.out = (1 << n) + (16 >> n) + (1 << 99)
"""
    assert finished(program(text, ("run", {"n": -1}))).value("s.out") == 0

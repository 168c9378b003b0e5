"""What the operators of the IR compute: the one width rule, and the ordered lists.

Everything is total.  Division by zero gives 0, a shift by a negative amount or by at least
the width gives 0 to the left and the sign to the right.
"""

from __future__ import annotations

from ..lang import ir

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


def divide(left: int, right: int) -> int:
    """C's quotient: truncated toward zero."""
    if right == 0:
        return 0
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def modulo(left: int, right: int) -> int:
    """C's remainder: its sign is the dividend's."""
    if right == 0:
        return 0
    remainder = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


def shift_left(left: int, right: int, bits: int) -> int:
    """``left << right`` before wrapping; 0 where C leaves it undefined."""
    return left << right if 0 <= right < bits else 0


def shift_right(left: int, right: int, bits: int) -> int:
    """Arithmetic shift; shifts that C leaves undefined drop every bit but the sign."""
    return left >> (right if 0 <= right < bits else bits)


def unary(op: str, value: int, ctype: ir.CType) -> int:
    """The value of a unary operation."""
    match op:
        case "-":
            return ctype.wrap(-value)
        case "~":
            return ctype.wrap(~value)
        case "not":
            return 0 if value else 1
        case "cast":
            return ctype.wrap(value)
    raise ValueError(f"unknown unary operator {op!r}")


def binary(op: str, left: int, right: int, ctype: ir.CType) -> int:
    """The value of a binary operation other than the lazy ``and`` and ``or``."""
    match op:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)
        case "<=":
            return int(left <= right)
        case ">":
            return int(left > right)
        case ">=":
            return int(left >= right)
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case "//":
            value = divide(left, right)
        case "%":
            value = modulo(left, right)
        case "<<":
            value = shift_left(left, right, ctype.bits)
        case ">>":
            value = shift_right(left, right, ctype.bits)
        case "&":
            value = left & right
        case "|":
            value = left | right
        case "^":
            value = left ^ right
        case "min":
            value = min(left, right)
        case "max":
            value = max(left, right)
        case _:
            raise ValueError(f"unknown binary operator {op!r}")
    return ctype.wrap(value)


def list_next(items: list[int], node: int, empty: int) -> int:
    """What stands behind ``node``; ``empty`` when it is last or absent."""
    if node == empty or node not in items:
        return empty
    at = items.index(node) + 1
    return items[at] if at < len(items) else empty


def list_insert(
    items: list[int], where: str, node: int, anchor: int | None, empty: int
) -> list[int] | None:
    """The list after the insertion; None where it is not possible.

    It is not possible into a full list, of a value that is in the list already or that
    means "empty", and next to an anchor that is not in the list.
    """
    if node == empty or node in items or (items and items[-1] != empty):
        return None
    used = [item for item in items if item != empty]
    if where == "head":
        at = 0
    elif where == "tail":
        at = len(used)
    else:
        if anchor is None or anchor not in used:
            return None
        at = used.index(anchor) + (1 if where == "after" else 0)
    used.insert(at, node)
    return used + [empty] * (len(items) - len(used))


def list_remove(items: list[int], node: int, empty: int) -> list[int] | None:
    """The list without ``node``; None where it is not in it."""
    if node == empty or node not in items:
        return None
    rest = [item for item in items if item != node]
    return [*rest, empty]

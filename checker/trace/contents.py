"""States as names and values: what is in them, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterator

from ..explore.interpret import State
from ..lang import ir
from .names import Names


def notable(names: Names, state: State) -> Iterator[tuple[str, str]]:
    """What differs from a state of all zeros and nones, records not in use left out."""
    program = names.program
    live = {
        var.name.partition(".")[0]: number
        for number, var in enumerate(program.shared)
        if var.name.partition(".")[2] in ("live", "b_live")
    }
    for number, var in enumerate(program.shared):
        if var.pure_sync:
            continue
        gate = live.get(var.name.partition(".")[0])
        if var.is_list:
            for base in range(0, var.length, max(var.width, 1)):
                text = list_text(names, state, number, base)
                if text != "[]":
                    yield list_name(names, number, base), text
            continue
        for element, value in enumerate(state.shared[number]):
            if gate is not None and not state.shared[gate][element // max(var.width, 1)]:
                continue
            if not _is_nothing(var.domain, value):
                yield names.element(number, element), names.show(var.domain, value)


def difference(names: Names, old: State, new: State) -> Iterator[tuple[str, str]]:
    """What one state holds differently from another; locks and sleepers are told elsewhere."""
    for number, var in enumerate(names.program.shared):
        before, after = old.shared[number], new.shared[number]
        if var.pure_sync or before == after:
            continue
        if var.is_list:
            width = max(var.width, 1)
            for base in range(0, var.length, width):
                if before[base : base + width] != after[base : base + width]:
                    yield list_name(names, number, base), list_text(names, new, number, base)
            continue
        for element, (a, b) in enumerate(zip(before, after, strict=True)):
            if a != b:
                yield names.element(number, element), names.show(var.domain, b)


def _is_nothing(domain: ir.Domain, value: int) -> bool:
    match domain.kind:
        case "ref" | "thread":
            return domain.show(value) in ("none", "NULL", "NOBODY", "nobody", "-")
        case "enum":
            return value == 0
        case _:
            return value == 0


def list_name(names: Names, var: int, base: int) -> str:
    """The name of an ordered list."""
    return names.element(var, base).rpartition("[")[0] or names.element(var, base)


def list_text(names: Names, state: State, var: int, base: int) -> str:
    """The entries of an ordered list."""
    shared = names.program.shared[var]
    width = max(shared.width, 1)
    values = [names.show(shared.domain, v) for v in state.shared[var][base : base + width]]
    entries = [v for v in values if v not in ("none", "NULL", "-")]
    return f"[{', '.join(entries)}]"

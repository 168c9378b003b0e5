"""What one fine step read and stored, in names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..explore.interpret import State
from ..lang import ir
from .contents import list_name, list_text
from .explain import evaluate
from .names import Names
from .replay import Moment
from .within import within


@dataclass(frozen=True, slots=True)
class Change:
    """One element of the shared state (or a local variable) that a step stored to.

    ``note`` tells of another thread's store that this one undoes unseen.
    """

    name: str
    old: str
    new: str
    ghost: bool = False
    local: bool = False
    sync: bool = False
    note: str = ""
    place: tuple[int, int] = (-1, -1)


def changes_of(names: Names, moment: Moment) -> Iterator[Change]:
    """What the step stored to: shared state, ghosts, and its own locals."""
    program = names.program
    for number, var in enumerate(program.shared):
        old, new = moment.before.shared[number], moment.after.shared[number]
        if old == new:
            continue
        if var.is_list:
            width = max(var.width, 1)
            for base in range(0, var.length, width):
                if old[base : base + width] != new[base : base + width]:
                    yield Change(
                        list_name(names, number, base),
                        list_text(names, moment.before, number, base),
                        list_text(names, moment.after, number, base),
                        var.ghost,
                    )
            continue
        for element, (a, b) in enumerate(zip(old, new, strict=True)):
            if a != b:
                yield Change(
                    names.element(number, element),
                    names.show(var.domain, a),
                    names.show(var.domain, b),
                    var.ghost,
                    sync=var.pure_sync,
                    place=(number, element),
                )
    yield from _vain(names, moment)
    thread = program.threads[moment.thread]
    stored = {
        target.var
        for node in moment.nodes
        if isinstance(target := getattr(thread.code[node].action, "target", None), ir.Local)
    }
    for number, local in enumerate(thread.locals):
        if number not in stored or local.name.startswith("$"):
            continue
        before = moment.before.threads[moment.thread].locals[number]
        after = moment.after.threads[moment.thread].locals[number]
        for element, (a, b) in enumerate(zip(before, after, strict=True)):
            if a != b:
                subscript = f"[{element}]" if local.is_array else ""
                yield Change(
                    local.name.rpartition(".")[2] + subscript,
                    names.show(local.domain, a),
                    names.show(local.domain, b),
                    local=True,
                )


def _vain(names: Names, moment: Moment) -> Iterator[Change]:
    """Stores of a value that was there already: how an update is lost."""
    program = names.program
    thread = program.threads[moment.thread]
    for node, state in _states(program, moment):
        action = thread.code[node].action
        if not (isinstance(action, ir.Assign) and isinstance(action.target, ir.Shared)):
            continue
        var = program.shared[action.target.var]
        element = evaluate(action.target.index, state, moment.thread)
        if var.pure_sync or element is None or not 0 <= element < var.length:
            continue
        before = moment.before.shared[action.target.var][element]
        if before == moment.after.shared[action.target.var][element]:
            shown = names.show(var.domain, before)
            name = names.element(action.target.var, element)
            place = (action.target.var, element)
            yield Change(name, shown, shown, var.ghost, place=place)


def reads_of(names: Names, moment: Moment) -> Iterator[tuple[tuple[int, int], str]]:
    """What the step read of the shared state, with the values it found."""
    program = names.program
    thread = program.threads[moment.thread]
    seen: set[tuple[int, int]] = set()
    for node, state in _states(program, moment):
        for access in ir.accesses(thread.code[node].action):
            var = program.shared[access.var]
            if access.write or var.ghost or var.is_list:
                continue
            element = evaluate(access.index, state, moment.thread)
            if element is None or not 0 <= element < var.length:
                continue
            place = (access.var, element)
            if place not in seen:
                seen.add(place)
                yield place, names.show(var.domain, state.shared[access.var][element])


def _states(program: ir.Program, moment: Moment) -> Iterator[tuple[int, State]]:
    """The executed nodes with the state before each."""
    inside = within(program, moment.thread, moment.before, moment.nodes, moment.choices)
    return ((node, state) for node, state in inside if node >= 0)

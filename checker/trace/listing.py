"""The intermediate representation as text."""

from __future__ import annotations

from collections.abc import Iterator

from ..lang import ir
from .names import Names, line_ranges


def list_program(program: ir.Program) -> Iterator[str]:
    """A whole compiled scenario: its state, threads and properties."""
    names = Names(program)
    yield f"program {program.name}  variant {program.variant or '-'}  digest {program.digest}"
    if program.parameters:
        yield "parameters  " + "  ".join(
            f"{key}={value}" for key, value in sorted(program.parameters.items())
        )
    yield ""
    yield "shared state"
    for var in program.shared:
        yield f"  {_shared(var)}"
    for thread in [program.setup, *program.threads]:
        yield ""
        yield from list_thread(program, thread)
    for invariant in program.invariants:
        yield ""
        when = names.expr(invariant.when, program.setup)
        yield f"invariant {invariant.name}" + (f"  when {when}" if when != "1" else "")
        yield f"    {names.expr(invariant.test, program.setup)}"
    for witness in program.witnesses:
        yield ""
        yield f"witness {witness.name}"
        yield f"    {names.expr(witness.test, program.setup)}"


def list_thread(
    program: ir.Program, thread: ir.Thread, routine: str | None = None
) -> Iterator[str]:
    """A thread's graph, or what one routine contributes to it.

    ``*`` marks a fine stop; ``-> N`` the next node where it is not the following one.
    """
    names = Names(program)
    stops = sum(instr.fine_stop for instr in thread.code)
    daemon = "  daemon" if thread.daemon else ""
    yield (
        f"thread {thread.name}{daemon}  {len(thread.code)} nodes, {stops} fine stops, "
        f"entry {thread.entry}"
    )
    if routine is None:
        for number, var in enumerate(thread.locals):
            length = f"[{var.length}]" if var.is_array else ""
            yield f"  local {names.local(thread, number)}{length}: {_domain(var.domain)}"
    place = ""
    for number, instr in enumerate(thread.code):
        if routine is not None and not _inside(instr.where, routine):
            continue
        stack = " > ".join(instr.where.stack)
        if stack != place:
            place = stack
            yield f"  in {stack}" if stack else "  outside"
        yield _instr(names, thread, number, instr)


def routines(program: ir.Program) -> list[str]:
    """The routines that the program's threads run, in the order of their first lines."""
    found: dict[str, None] = {}
    for thread in program.threads:
        for instr in thread.code:
            for entry in instr.where.stack:
                found.setdefault(entry.partition("@")[0])
    return list(found)


def _inside(where: ir.Where, routine: str) -> bool:
    return any(entry.partition("@")[0] == routine for entry in where.stack)


def _instr(names: Names, thread: ir.Thread, number: int, instr: ir.Instr) -> str:
    stop = "*" if instr.fine_stop else " "
    sync = f"  [{instr.sync.kind} {instr.sync.mode}]" if instr.sync else ""
    onward = "" if instr.next in (number + 1, -1) else f"  -> {instr.next}"
    lines = line_ranges(instr.where.lines)
    text = action_text(names, thread, instr.action)
    return f"  {number:5}{stop} {lines:>9}  {text}{sync}{onward}".rstrip()


def action_text(names: Names, thread: ir.Thread, action: ir.Action) -> str:
    """One instruction's action."""
    match action:
        case ir.Assign(target, value):
            domain = names.domain(target, thread)
            shown = names.expr(value, thread)
            if isinstance(value, ir.Const) and domain is not None:
                shown = names.show(domain, value.value)
            return f"{names.expr(target, thread)} = {shown}"
        case ir.Branch(test, other):
            return f"unless {names.expr(test, thread)} goto {other}"
        case ir.Choose(target, count, label):
            return f"{names.expr(target, thread)} = choose({names.expr(count, thread)}) {label!r}"
        case ir.Wait(guard, reason, rest):
            word = "rest" if rest else "wait"
            return f"{word} until {names.expr(guard, thread)} ({reason})"
        case ir.Check(test, name, message):
            said = f": {message}" if message else ""
            return f"check {names.expr(test, thread)} ({name}{said})"
        case ir.ListInsert(listref, where, node, anchor):
            beside = "" if anchor is None else f" {names.expr(anchor, thread)}"
            place = names.list(listref, thread)
            return f"insert {names.expr(node, thread)} {where}{beside} in {place}"
        case ir.ListRemove(listref, node):
            return f"remove {names.expr(node, thread)} from {names.list(listref, thread)}"
        case ir.Nop():
            return "nop"
        case ir.End():
            return "end"


def _domain(domain: ir.Domain) -> str:
    match domain.kind:
        case "ref":
            return f"{domain.pool or 'reference'} ({domain.low}..{domain.high})"
        case "int":
            return f"{domain.ctype.name} {domain.low}..{domain.high}"
        case _:
            return domain.kind


def _shared(var: ir.SharedVar) -> str:
    length = f"[{var.length}]" if var.length > 1 else ""
    marks = [
        word
        for word, on in (("list", var.is_list), ("ghost", var.ghost), ("sync", var.pure_sync))
        if on
    ]
    tail = f"  ({', '.join(marks)})" if marks else ""
    return f"{var.name}{length}: {_domain(var.domain)}{tail}"

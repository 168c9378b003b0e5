"""``graph``: the order in which locks are taken, as a graph."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import click
import networkx as nx

from ..lang import ir
from ..trace.names import line_ranges
from .library import Library, Subject


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--full", is_flag=True, help="Also the scenarios of the full tier.")
@click.option("--format", "form", type=click.Choice(("text", "dot", "json")), default="text",
              show_default=True)
@click.pass_obj
def graph(subject: Subject, names: tuple[str, ...], full: bool, form: str) -> int:
    """Which lock is taken while which is held, with the lines, and the cycles in that.

    It follows the code, not the states, and tells what is held on every way to a place: a
    cycle is a question, to which `check` has the answer.
    """
    library = Library(subject)
    programs = [
        library.compile(scenario, subject.variant, ())
        for scenario in library.chosen(names, full=full)
    ]
    order = lock_order(programs)
    match form:
        case "dot":
            for line in _dot(order):
                click.echo(line)
        case "json":
            edges = [
                {"held": a, "taken": b, "lines": sorted(data["lines"])}
                for a, b, data in sorted(order.edges(data=True), key=lambda e: e[:2])
            ]
            click.echo(json.dumps({"edges": edges, "cycles": cycles(order)}, indent=1))
        case _:
            for a, b, data in sorted(order.edges(data=True), key=lambda e: e[:2]):
                lines = line_ranges(tuple(data["lines"]))
                click.echo(f"{a} -> {b}" + (f"  at {lines}" if lines else ""))
            found = cycles(order)
            for cycle in found:
                click.echo("cycle: " + " -> ".join([*cycle, cycle[0]]))
            click.echo(f"{order.number_of_edges()} orders, {len(found)} cycles")
    return 0


def cycles(order: nx.DiGraph[str]) -> list[list[str]]:
    """The simple cycles, each from its first name, in alphabetical order."""
    found = []
    for cycle in nx.simple_cycles(order):
        start = cycle.index(min(cycle))
        found.append(cycle[start:] + cycle[:start])
    return sorted(found)


def lock_order(programs: Iterable[ir.Program]) -> nx.DiGraph[str]:
    """An edge from every lock that is certainly held to every lock then taken (not tried)."""
    order: nx.DiGraph[str] = nx.DiGraph()
    for program in programs:
        for thread in program.threads:
            for held, taken, lines in _orders(program, thread):
                if not order.has_edge(held, taken):
                    order.add_edge(held, taken, lines=set())
                order.edges[held, taken]["lines"].update(lines)
    return order


def _orders(
    program: ir.Program, thread: ir.Thread
) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Follow the locks that are held on all ways through a thread's graph to a fixed point."""
    holds: dict[int, frozenset[str]] = {thread.entry: frozenset()}
    todo = [thread.entry]
    while todo:
        node = todo.pop()
        after = _after(program, thread.code[node], holds[node])
        for successor in thread.code[node].successors():
            known = holds.get(successor)
            joined = after if known is None else known & after
            if joined != known:
                holds[successor] = joined
                todo.append(successor)
    for node, held in sorted(holds.items()):
        instr = thread.code[node]
        if instr.sync and instr.sync.kind == "acquire" and instr.sync.lock is not None:
            taken = _lock(program, instr.sync.lock)
            for name in sorted(held - {taken}):  # records of one pool are not told apart
                yield name, taken, instr.where.lines


def _after(program: ir.Program, instr: ir.Instr, held: frozenset[str]) -> frozenset[str]:
    sync = instr.sync
    if sync is None or sync.lock is None:
        return held
    name = _lock(program, sync.lock)
    match sync.kind:
        case "acquire" | "try":
            return held | {name}
        case "release" | "sleep":
            return held - {name}
        case _:
            return held


def _lock(program: ir.Program, var: int) -> str:
    """A lock's name without the field that holds its owner."""
    return program.shared[var].name.rpartition(".")[0]


def _dot(order: nx.DiGraph[str]) -> Iterator[str]:
    yield "digraph locks {"
    yield "  rankdir=LR; node [shape=box];"
    for held, taken, data in sorted(order.edges(data=True), key=lambda e: e[:2]):
        yield f'  "{held}" -> "{taken}" [label="{line_ranges(tuple(data["lines"]))}"];'
    yield "}"

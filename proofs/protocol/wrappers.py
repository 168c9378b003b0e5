"""What callers run in the place of a routine that has a contract, and what calls that itself.

Both are made of the routine's own header.  A *stand-in* of ``def f(a: A, n: int32) -> errno``
that returns anything::

    which: int32 = choose(2, "which")
    error: errno = number(which)
    check("call", a[which] is NULL or which == n or which == error, "f")
    return error

and its *subject*, which a unit is about, calls ``f`` between two such checks, ``requires`` and
``ensures``.  The checks list what the contract speaks of (``checker/symbolic/contracts.py``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ...checker.lang.source import Function, Import, Module, Source

ARRAYS: Final = ("Cluster", "PageArray", "PgsArray")
REFERENCES: Final = ("Buf", "PageOrMarker")
PRELUDE: Final = "genfscheck.checker.lang.prelude"
PRIMITIVES: Final = ("NULL", "cast", "check", "choose", "choose_bool", "int32")
# The arguments of a contract that speaks of none.
NOTHING: Final = ("nothing=0",)
# Of a choice with bounds that are not constant nothing is known.
NUMBER: Final = '''
def number(which: int32) -> int32:
    return choose(which, "number") - choose(which, "less")
'''


class Passing(Protocol):
    """What a contract lists: names, or ``name=expression``, of arguments and results.

    ``results``: what they are called, in order; "" where the contract does not speak of one.
    """

    @property
    def arguments(self) -> tuple[str, ...]: ...

    @property
    def results(self) -> tuple[str, ...]: ...


def names(arguments: Iterable[str]) -> tuple[str, ...]:
    """What the contract calls them."""
    return tuple(each.partition("=")[0] for each in arguments)


@dataclass(frozen=True, slots=True)
class Wrapping:
    """One routine and what its contract lists."""

    routine: Function
    contract: Passing

    def _types(self) -> dict[str, str]:
        """By the name of an argument or a result."""
        found = {arg.arg: ast.unparse(arg.annotation) for arg in self.routine.node.args.args
                 if arg.annotation is not None}
        return found | dict(self._results())

    def _results(self) -> Iterator[tuple[str, str]]:
        """Names and types of the results; those without a name get one."""
        match self.routine.node.returns:
            case None | ast.Constant(None):
                return
            case ast.Subscript(ast.Name("tuple"), ast.Tuple(elements)):
                types: Sequence[ast.expr] = elements
            case returned:
                types = [returned]
        given = self.contract.results or ("",) * len(types)
        for number, (name, each) in enumerate(zip(given, types, strict=True)):
            yield name or f"result{number}", ast.unparse(each)

    def _listed(self) -> str:
        """The test of a check: each argument compared with any number."""
        return " or ".join(self._part(each) for each in self.contract.arguments)

    def _part(self, argument: str) -> str:
        name, _, expression = argument.partition("=")
        value = expression or name
        of = self._types().get(value, "")
        if of in ARRAYS:
            return f"{value}[which] is NULL"
        if of in REFERENCES:
            return f"which == cast(int32, {value})"
        if of == "bool":
            return f"which == int({value})"
        return f"which == int(bool({value}))" if "&" in value else f"which == {value}"

    def _check(self, kind: str) -> str:
        return f'check("{kind}", {self._listed()}, "{self.routine.name}")'

    def stand_in(self, module: Module) -> Function:
        """With the routine's header; it returns anything."""
        results = list(self._results())
        body = ['which: int32 = choose(2, "which")']
        returned = []
        for name, of in results:
            value = f'choose_bool("{name}")' if of == "bool" else "number(which)"
            returned.append(name if name in self.contract.results else value)
            if name in self.contract.results:
                body += [f"{name}: {of} = {value}"]
        body += [self._check("call")]
        if results:
            body += [f"return {', '.join(returned)}"]
        node = self.routine.node
        return self._function(module, self.routine.name, node.args, node.returns, body)

    def subject(self, module: Module, name: str) -> Function:
        """With the routine's arguments, of which none has a default; it returns nothing."""
        args = self.routine.node.args
        plain = ast.arguments([], args.args, None, [], [], None, [])
        results = list(self._results()) if self.contract.results else []
        body = ['which: int32 = choose(2, "which")']
        body += [f"{each}: {of} = {False if of == 'bool' else 0}" for each, of in results]
        call = f"{self.routine.name}({', '.join(arg.arg for arg in args.args)})"
        taken = ", ".join(each for each, _ in results)
        body += [self._check("requires"), f"{taken} = {call}" if results else call,
                 self._check("ensures")]
        return self._function(module, name, plain, ast.Constant(None), body)

    def _function(
        self, module: Module, name: str, args: ast.arguments, returns: ast.expr | None,
        body: Sequence[str],
    ) -> Function:  # fmt: skip
        node = _parsed("\n".join((f"def {name}() -> None:", *(f"    {line}" for line in body))))
        node.args, node.returns = args, returns
        known = self.routine.module
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id in known.symbols:
                module.symbols.setdefault(each.id, Import(known.name, each.id))
        module.symbols[name] = function = Function(name, "routine", node, module)
        return function


def _parsed(text: str) -> ast.FunctionDef:
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    return node


def _module(source: Source, name: str) -> Module:
    source.modules[name] = module = Module(name, "proofs/protocol/wrappers.py")
    module.symbols.update((each, Import(PRELUDE, each)) for each in PRIMITIVES)
    return module


def stand_ins(
    source: Source, package: str, contracts: Mapping[str, Passing], chosen: Iterable[str]
) -> dict[str, Function]:
    """Of the routines that are chosen; added to the source."""
    module = _module(source, f"{package}.stand_ins")
    module.symbols["number"] = Function("number", "atomic", _parsed(NUMBER), module)
    known = routines(source)
    return {name: Wrapping(known[name], contracts[name]).stand_in(module)
            for name in sorted(chosen)}


def add_subjects(
    source: Source, package: str, contracts: Mapping[str, Passing], units: Mapping[str, str]
) -> None:
    """Add the units that are about one routine; ``units``: which, by the unit's name."""
    module = _module(source, f"{package}.subjects")
    known = routines(source)
    for unit, name in units.items():
        Wrapping(known[name], contracts[name]).subject(module, unit)


def routines(source: Source) -> dict[str, Function]:
    """The model's routines and actors by name."""
    return {each.name: each for kind in ("routine", "actor") for each in source.functions(kind)}

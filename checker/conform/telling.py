"""A model whose routines tell what they return.

What a call returns is in a routine's locals, and most often nobody looks at it any more once the
caller has.  For a log that says what calls returned, the model is changed before it is compiled:
at every end of a chosen routine stands a call of another one, which puts the values into shared
state.  That is a step with a name, like any other.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Mapping

from ..lang.source import Definition, Function, Import, Module, Source

_RESULT = "told_{}"  # the local that a result is kept in while it is told


def tell(source: Source, words: str, calls: Mapping[str, str]) -> None:
    """Changes a source that nothing was compiled from yet.

    ``words`` is the module with the names that the calls use.  ``calls``: a call, as text, for
    each routine that tells; it may name the routine's locals, and ``{0}``, ``{1}``, ... are the
    items of what it returns.  ValueError for a routine that is not there exactly once, or whose
    ends cannot be told.
    """
    for routine, text in calls.items():
        found = [
            function
            for kind in ("routine", "actor")
            for function in source.functions(kind)
            if function.name == routine
        ]
        if len(found) != 1:
            raise ValueError(f"there are {len(found)} routines {routine!r}")
        _import(source, found[0].module, words, text)
        _change(found[0], text)
    told = "\0".join(f"{routine}\0{text}" for routine, text in calls.items())
    source.digest = hashlib.sha256(f"{source.digest}\0{told}".encode()).hexdigest()[:16]


def _import(source: Source, module: Module, words: str, text: str) -> None:
    known = source.modules[words].symbols
    for node in ast.walk(_call(text, [])):
        if isinstance(node, ast.Name) and isinstance(known.get(node.id), Function | Definition):
            there = module.symbols.setdefault(node.id, Import(words, node.id))
            if there != Import(words, node.id):
                raise ValueError(f"{module.name} has its own {node.id!r}")


def _change(function: Function, text: str) -> None:
    node = copy.deepcopy(function.node)
    node.body = _block(function, node.body, text)
    if isinstance(node.returns, ast.Constant) and not isinstance(node.body[-1], ast.Return):
        node.body.append(_placed(ast.Expr(_call(text, [])), function.node.body[-1]))
    function.node = node


def _block(function: Function, body: list[ast.stmt], text: str) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Return):
            found += _ended(function, statement, text)
            continue
        for part in ("body", "orelse"):
            inner = getattr(statement, part, None)
            if inner:
                setattr(statement, part, _block(function, inner, text))
        found.append(statement)
    return found


def _ended(function: Function, node: ast.Return, text: str) -> list[ast.stmt]:
    """A return, with the call before it; what has to be computed is computed once."""
    if node.value is None:
        return [_placed(ast.Expr(_call(text, [])), node), node]
    items = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
    types = _types(function)
    if len(items) != len(types):
        raise ValueError(f"{function.name}: {ast.unparse(node)} cannot be told")
    bound: list[ast.stmt] = []
    names: list[ast.expr] = []
    for number, (item, type_) in enumerate(zip(items, types, strict=True)):
        if isinstance(item, ast.Name | ast.Constant):
            names.append(item)
            continue
        name = _RESULT.format(number)
        target = ast.Name(name, ast.Store())
        bound.append(_placed(ast.AnnAssign(target, copy.deepcopy(type_), item, 1), node))
        names.append(ast.Name(name, ast.Load()))
    result = names[0] if len(names) == 1 else ast.Tuple(names, ast.Load())
    told = _placed(ast.Expr(_call(text, names)), node)
    return [*bound, told, _placed(ast.Return(result), node)]


def _types(function: Function) -> list[ast.expr]:
    match function.node.returns:
        case ast.Subscript(ast.Name("tuple"), ast.Tuple(items)):
            return items
        case ast.expr() as one:
            return [one]
    return []


def _call(text: str, items: list[ast.expr]) -> ast.expr:
    if not items:
        text = text.format(*(f"_{number}" for number in range(9)))
        return ast.parse(text, mode="eval").body
    return ast.parse(text.format(*map(ast.unparse, items)), mode="eval").body


def _placed(made: ast.stmt, at: ast.stmt) -> ast.stmt:
    """At the place of another statement, so that errors and citations name that."""
    for node in ast.walk(made):
        if isinstance(node, ast.stmt | ast.expr):
            ast.copy_location(node, at)
    return made

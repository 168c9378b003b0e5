"""Reading model sources: modules, their names, and the lines that comments cite.

Nothing of a model is imported or executed; files are parsed with :mod:`ast`.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from .errors import ModelError

FunctionKind: TypeAlias = Literal[
    "routine", "atomic", "pure", "actor", "setup", "invariant", "witness"
]
KINDS: tuple[str, ...] = (
    "routine", "atomic", "pure", "actor", "setup", "invariant", "witness",
)  # fmt: skip

_CITATION = re.compile(r"^#\s*(\d+(?:-\d+)?(?:,\s*\d+(?:-\d+)?)*)\s*(?:$|:|\s)")


@dataclass(frozen=True, slots=True)
class Import:
    """A name imported from another module of the model, or from the prelude."""

    module: str
    name: str


@dataclass(slots=True, eq=False)
class Function:
    """A routine of any kind, as it stands in the source."""

    name: str
    kind: FunctionKind
    node: ast.FunctionDef
    module: Module
    seed: tuple[int, int] | None = None
    options: dict[str, ast.expr] = field(default_factory=dict)

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""


@dataclass(slots=True, eq=False)
class Class:
    """A record, struct, enumeration or flag set."""

    name: str
    kind: Literal["record", "struct", "enum", "flags"]
    node: ast.ClassDef
    module: Module


@dataclass(slots=True, eq=False)
class Definition:
    """A module-level assignment: a constant, a type alias, a pool, a parameter, ..."""

    name: str
    value: ast.expr
    annotation: ast.expr | None
    node: ast.stmt
    module: Module


Symbol: TypeAlias = Import | Function | Class | Definition


@dataclass(slots=True, eq=False)
class Module:
    """One source file: its names, its bare declarations and its citations by source line."""

    name: str
    file: str
    symbols: dict[str, Symbol] = field(default_factory=dict)
    declarations: list[ast.Call] = field(default_factory=list)
    citations: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def error(self, node: ast.AST | int, message: str) -> ModelError:
        line = node if isinstance(node, int) else getattr(node, "lineno", 0)
        return ModelError(self.file, line, message)

    def cited(self, node: ast.stmt) -> tuple[int, ...]:
        """The lines cited by a statement: its own, or its header's if it is compound."""
        last = node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if isinstance(body, list) and body:
            last = max(node.lineno, body[0].lineno - 1)
        for line in range(last, node.lineno - 1, -1):
            if line in self.citations:
                return self.citations[line]
        return ()


def parse_citation(comment: str) -> tuple[int, ...]:
    """The line numbers at the start of a comment; empty when it cites none."""
    match = _CITATION.match(comment)
    if not match:
        return ()
    lines: list[int] = []
    for part in match.group(1).split(","):
        first, _, last = part.strip().partition("-")
        lines.extend(range(int(first), int(last or first) + 1))
    return tuple(lines)


def _citations(text: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip():
            lines = parse_citation(token.string)
            if lines:
                yield token.start[0], lines


def parse_module(name: str, file: str, text: str) -> Module:
    """Parse one file.  Raises ModelError for anything no module of a model may contain."""
    try:
        tree = ast.parse(text, filename=file)
    except SyntaxError as error:
        raise ModelError(file, error.lineno or 0, f"not Python: {error.msg}") from None
    module = Module(name, file, citations=dict(_citations(text)))
    for node in tree.body:
        _declare(module, node)
    return module


def _declare(module: Module, node: ast.stmt) -> None:
    match node:
        case ast.Expr(ast.Constant(str())):
            return
        case ast.ImportFrom(target, names, level):
            if level == 0 and not (target or "").endswith("checker.lang.prelude"):
                return
            base = module.name.split(".")[:-level] if level else []
            origin = ".".join([*base, target] if target else base)
            for alias in names:
                module.symbols[alias.asname or alias.name] = Import(origin, alias.name)
        case ast.FunctionDef():
            function = _function(module, node)
            module.symbols[node.name] = function
        case ast.ClassDef():
            module.symbols[node.name] = _class(module, node)
        case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
            module.symbols[name] = Definition(name, value, annotation, node, module)
        case ast.Assign([ast.Name(name)], value):
            if name != "__all__":
                module.symbols[name] = Definition(name, value, None, node, module)
        case ast.Expr(ast.Call() as call):
            module.declarations.append(call)
        case _:
            raise module.error(
                node,
                f"{type(node).__name__} is not allowed at module level: write imports, "
                "constants, records, pools and decorated routines",
            )


def _decorator(node: ast.expr) -> tuple[str, ast.Call | None]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id, node
    return (node.id, None) if isinstance(node, ast.Name) else ("", None)


def _function(module: Module, node: ast.FunctionDef) -> Function:
    if len(node.decorator_list) != 1:
        raise module.error(node, f"{node.name} needs exactly one of the decorators "
                                 f"{', '.join('@' + kind for kind in KINDS)}")
    kind, call = _decorator(node.decorator_list[0])
    if kind not in KINDS:
        raise module.error(node, f"unknown decorator @{kind} on {node.name}: use one of "
                                 f"{', '.join('@' + known for known in KINDS)}")
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        raise module.error(node, f"{node.name}: only plain parameters are allowed")
    function = Function(node.name, kind, node, module)  # type: ignore[arg-type]
    if call is not None:
        for position, argument in enumerate(call.args):
            function.options[f"arg{position}"] = argument
        for keyword in call.keywords:
            function.options[keyword.arg or ""] = keyword.value
    if "seed" in function.options:
        match function.options["seed"]:
            case ast.Tuple([ast.Constant(int(first)), ast.Constant(int(last))]):
                function.seed = (first, last)
            case _:
                raise module.error(node, f"{node.name}: seed= wants (first line, last line)")
    return function


def _class(module: Module, node: ast.ClassDef) -> Class:
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    if bases == ["Enum"]:
        return Class(node.name, "enum", node, module)
    if bases == ["Flags"]:
        return Class(node.name, "flags", node, module)
    decorators = [_decorator(item)[0] for item in node.decorator_list]
    if decorators == ["record"]:
        return Class(node.name, "record", node, module)
    if decorators == ["struct"]:
        return Class(node.name, "struct", node, module)
    raise module.error(
        node, f"class {node.name}: write @record, @struct, (Enum) or (Flags)"
    )


@dataclass(slots=True)
class Source:
    """All modules of a model, by dotted name, and a digest of their texts."""

    modules: dict[str, Module]
    digest: str

    def resolve(self, module: Module, name: str) -> Symbol | None:
        """The definition a name stands for in a module, imports followed."""
        symbol = module.symbols.get(name)
        seen = set()
        while isinstance(symbol, Import):
            if symbol in seen:
                return None
            seen.add(symbol)
            if symbol.module.endswith("lang.prelude"):
                return symbol
            origin = self.modules.get(symbol.module)
            if origin is None:
                return None
            symbol = origin.symbols.get(symbol.name)
        return symbol

    def functions(self, kind: str) -> list[Function]:
        """All functions of a kind, in the order of modules and of their sources."""
        return [
            symbol
            for name in sorted(self.modules)
            for symbol in self.modules[name].symbols.values()
            if isinstance(symbol, Function) and symbol.kind == kind
        ]


def load(texts: Mapping[str, tuple[str, str]]) -> Source:
    """Parse modules given as dotted name to (file name for messages, text)."""
    digest = hashlib.sha256()
    modules = {}
    for name in sorted(texts):
        file, text = texts[name]
        digest.update(f"{name}\0{text}\0".encode())
        modules[name] = parse_module(name, file, text)
    return Source(modules, digest.hexdigest()[:16])


PRIMITIVES = "genfscheck.checker.lang.primitives"


def load_package(root: Path, package: str) -> Source:
    """Read every ``.py`` file below ``root`` as a module of ``package``, with the primitives."""
    texts: dict[str, tuple[str, str]] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[-1] == "__init__":
            continue
        name = ".".join((package, *parts))
        texts[name] = (str(Path(root.name, *path.relative_to(root).parts)), path.read_text())
    return load(with_primitives(texts))


def with_primitives(texts: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Add the module that gives the prelude's primitives their meaning."""
    path = Path(__file__).with_name("primitives.py")
    return {**texts, PRIMITIVES: ("checker/lang/primitives.py", path.read_text())}

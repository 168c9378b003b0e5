"""The model's sources, with the services around the file replaced by their contracts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..checker.lang.source import Function, Source, load, with_primitives

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = __package__.rpartition(".")[0]
CONTRACTS: Final = tuple(f"{PACKAGE}.proofs.{name}" for name in ("services", "devices"))
# What is compiled: the seed's functions, and of the kernel its types, state and GOP_SIZE.
FOLDERS: Final = ("model/genfs", "model/kernel")
# And from here: the contracts, and direct I/O, which the model does not have.
OWN: Final = ("services", "devices", "uio", "directio")


@functools.cache
def texts() -> Mapping[str, tuple[str, str]]:
    """The texts by module: those of the model, and the contracts."""
    found: dict[str, tuple[str, str]] = {}
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
    files += [ROOT / "proofs" / f"{name}.py" for name in OWN]
    for path in files:
        if path.name != "__init__.py":
            relative = path.relative_to(ROOT)
            name = ".".join((PACKAGE, *relative.with_suffix("").parts))
            found[name] = (str(relative), path.read_text())
    return found


def load_with_contracts(given: Mapping[str, tuple[str, str]]) -> Source:
    """Parse, and put each contract in the place of the service of its name."""
    source = load(with_primitives(given))
    contracts = {name: symbol for module in CONTRACTS
                 for name, symbol in source.modules[module].symbols.items()
                 if isinstance(symbol, Function)}
    unused = set(contracts)
    for place, module in source.modules.items():
        if place in CONTRACTS:
            continue
        for name, symbol in module.symbols.items():
            if isinstance(symbol, Function) and name in contracts:
                module.symbols[name] = contracts[name]
                unused.discard(name)
    if unused:
        raise ValueError(f"no service has the name of the contracts {sorted(unused)}")
    return source


@functools.cache
def source() -> Source:
    """The model as it is, with contracts."""
    return load_with_contracts(texts())

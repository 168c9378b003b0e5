"""What the hook costs when there is none: `python -m genfscheck.refimpl.hookcost`.

The same work is done by the package as it is, without a hook, and by a copy of its sources
from which every question about the hook and every report to it was taken away.  Rounds
alternate between the two; the medians are compared.  With a hook that keeps a log the work is
done as well.
"""

from __future__ import annotations

import ast
import importlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_REPORTS = {"turn", "noted", "step", "_note"}
_SIZE = 64 * 1024


class _Bare(ast.NodeTransformer):
    """``x.hook is None`` is true, and nothing is reported."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Compare(
                ast.Attribute(attr="hook") | ast.Name("hook"),
                [ast.Is() | ast.IsNot() as operator],
                [ast.Constant(None)],
            ):
                return ast.copy_location(ast.Constant(isinstance(operator, ast.Is)), node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        match node.value:
            case ast.Call(ast.Attribute(attr=name)) if name in _REPORTS:
                return ast.copy_location(ast.Pass(), node)
        return node


def bare_copy(folder: Path, name: str = "bare_refimpl") -> Any:
    """The package without its hook, imported from a copy in ``folder``."""
    here = Path(__file__).parent
    for source in [*here.glob("*.py"), *(here / "genfs").glob("*.py")]:
        if source.name in (Path(__file__).name, "load.py"):
            continue
        tree = _Bare().visit(ast.parse(source.read_text()))
        target = folder / name / source.relative_to(here)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(ast.unparse(ast.fix_missing_locations(tree)))
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def work(package: Any, folder: Path, hook: Any = None) -> float:
    """Seconds of processor time for one round: writes, reads, mapped access, fsync."""
    image = folder / "image"
    image.unlink(missing_ok=True)
    package.format_image(image, 1 << 20, 1024, 4)
    with package.mount(image, durable=False, syncer_period=0.0, hook=hook) as fs:
        with fs.open("file", "w+") as file:
            begun = time.process_time()
            for start in range(0, _SIZE, 1000):
                file.pwrite(b"x" * 1000, start)
            for _round in range(3):
                for start in range(0, _SIZE, 512):
                    file.pread(512, start)
            with file.mmap() as mapped:
                for start in range(0, _SIZE, 256):
                    mapped[start : start + 4] = b"abcd"
                mapped.sync()
            file.fsync()
            return time.process_time() - begun


def measure(rounds: int = 15) -> dict[str, float]:
    """Median seconds of a round: "bare", "off" (no hook) and "log"."""
    from .. import refimpl

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = bare_copy(folder)
        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: work(bare, folder),
            "off": lambda: work(refimpl, folder),
            "log": lambda: work(refimpl, folder, refimpl.Log()),
        }
        samples: dict[str, list[float]] = {way: [] for way in ways}
        for _round in range(rounds + 1):
            for way, run in ways.items():
                samples[way].append(run())
    return {way: statistics.median(values[1:]) for way, values in samples.items()}


def main() -> None:
    """Prints the medians and what they are to the bare one."""
    found = measure()
    for way, seconds in found.items():
        print(f"{way:<5} {seconds * 1000:8.1f} ms  {seconds / found['bare']:5.2f}")


if __name__ == "__main__":
    main()

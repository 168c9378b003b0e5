"""The checker knows nothing of genfs, its modules stand alone, and it is deterministic."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import genfscheck

ROOT = Path(genfscheck.__file__).parent
CHECKER = ROOT / "checker"
# Words of the seed and of its kernel; "genfscheck" is the project's own name.
FOREIGN = re.compile(r"genfs(?!check)|getpages|putpages|vnode|uvm|ubc|PG_|PGO_|b_resid", re.I)


def modules() -> list[str]:
    return sorted(
        ".".join(("genfscheck", *path.relative_to(ROOT).with_suffix("").parts))
        for path in CHECKER.rglob("*.py")
        if path.name != "__init__.py"
    )


@pytest.mark.parametrize("folder", ["lang", "explore", "trace", "cli"])
def test_no_word_of_the_model(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((CHECKER / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if FOREIGN.search(line)
    ]
    assert found == []


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT.parent), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_can_be_imported_first() -> None:
    """No module relies on another of its folder having been imported before it."""
    code = """
import importlib, sys
for name in {names!r}:
    folder = name.rpartition(".")[0]
    for known in [known for known in sys.modules if known.startswith(folder)]:
        del sys.modules[known]
    importlib.import_module(name)
    foreign = [known for known in sys.modules if known.startswith("genfscheck.model")]
    assert not foreign, (name, foreign)
    print(name)
"""
    names = modules()
    assert len(names) > 30
    assert python(code.format(names=names)).split() == names


TOY = """
from pathlib import Path
from genfscheck.checker.explore.explore import explore
from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.lang.compile import CallSpec, ProgramSpec, ThreadSpec, compile_program
from genfscheck.checker.trace.listing import list_program
from genfscheck.checker.lang.source import load, with_primitives

TEXT = '''
from .checker.lang.prelude import (
    Annotated, Mutex, Pool, Thread, WaitQueue, actor, check, choose, cv_wait, int32, invariant,
    me, mutex_enter, mutex_exit, record, single, wakeup,
)

@record
class Box:
    lock: Mutex
    changed: WaitQueue
    n: int32
    m: int32

boxes = Pool(Box, 2)

@actor
def move(source: int32, target: int32) -> None:
    mutex_enter(boxes[source].lock)
    boxes[source].n -= choose(2, "how many")
    boxes[target].m += 1
    mutex_enter(boxes[target].lock)
    boxes[target].n += 1
    check("sum", boxes[0].n + boxes[1].n < 2, "too many")
    mutex_exit(boxes[target].lock)
    mutex_exit(boxes[source].lock)

@actor
def wait() -> None:
    mutex_enter(boxes[0].lock)
    while boxes[0].n == 0:
        cv_wait(boxes[0].changed, boxes[0].lock)
    mutex_exit(boxes[0].lock)

@invariant("few")
def few() -> bool:
    return all(box.m < 2 for box in boxes)
'''
source = load(with_primitives({"genfscheck.toy": ("toy.py", TEXT)}))
threads = (
    ThreadSpec("a", (CallSpec("move", {"source": 0, "target": 1}),)),
    ThreadSpec("b", (CallSpec("move", {"source": 1, "target": 0}),)),
    ThreadSpec("c", (CallSpec("wait"),)),
)
program = compile_program(source, ProgramSpec("toy", threads))
for each in (program, prepare(program)):
    print(*list_program(each), sep="\\n")
    for granularity in ("fine", "reduced"):
        result = explore(each, granularity=granularity)
        print(result.states, result.transitions, result.stops, result.races)
        print(*result.violations, sep="\\n")
        print([sorted(nodes) for nodes in result.covered])
"""


def test_hash_seeds_change_nothing() -> None:
    """The same program, counts, violations and paths, whatever the order of sets."""
    one, two, three = (python(TOY, PYTHONHASHSEED=seed) for seed in ("0", "1", "4711"))
    assert "deadlock" in one
    assert one == two == three

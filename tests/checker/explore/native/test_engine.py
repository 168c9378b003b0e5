"""The native engine against a plain search in Python, on toy model parts written in C.

The toys' own functions (a step, the predicates) are called from both; what is compared is
everything the engine makes of them: counts, events and their goals, masks, shortest paths and
their context switches, progress, coverage.  Addresses and undefined behaviour, and races, are
looked for by compiling a whole run (``toys/drive.c``) with each sanitizer.
"""

from __future__ import annotations

import ctypes
import functools
import os
import random
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

import pytest

from genfscheck.checker.explore import native

ENGINE = Path(native.__file__).parent
TOYS = Path(__file__).parent / "toys"
COMPILER = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
NOBODY = 0xFFFFFFFF
FAULT, INVARIANT, DEADLOCK, AT_END, WITNESS = 1, 2, 3, 4, 5
R_STOP, R_BLOCKED, R_FAULT, R_BROKEN = 0, 1, 2, 3

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler found")

Vector = tuple[int, ...]


# ------------------------------------------------------------------------- building


def compile_toy(folder: Path, name: str, *options: str, drive: bool = False) -> Path:
    assert COMPILER is not None
    source = folder / f"all-of-{name}.c"
    parts = [f"{name}.c", "engine.c", "access.c", *(["drive.c"] if drive else [])]
    source.write_text("".join(f'#include "{part}"\n' for part in parts), encoding="utf-8")
    tag = re.sub(r"\W", "", "".join(options))
    built = folder / f"{name}{tag}{'.run' if drive else '.so'}"
    if built.exists():
        return built
    command = [COMPILER, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", str(TOYS)]
    command += ["-I", str(ENGINE), *options, str(source), "-o", str(built), "-lpthread"]
    if not drive:
        command += ["-shared", "-fPIC"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "cannot find" in done.stderr and "-fsanitize" in tag:
        pytest.skip("the compiler has no such sanitizer")
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toys")


class Run(ctypes.Structure):
    """The model part's ``run``."""

    _fields_ = [
        ("stops", ctypes.c_char_p),
        ("sites", ctypes.c_char_p),
        ("strays", ctypes.c_void_p),
        ("script", ctypes.c_uint32),
        ("made", ctypes.c_uint32),
        ("choice", ctypes.c_uint16 * 64),
        ("count", ctypes.c_uint16 * 64),
        ("npath", ctypes.c_uint32),
        ("path", ctypes.c_uint32 * 1024),
        ("overflow", ctypes.c_uint32),
        ("fault", ctypes.c_uint32),
    ]


RESULTS = {
    "ge_new": ctypes.c_void_p,
    "ge_layer": ctypes.c_uint64,
    "ge_root": ctypes.c_uint64,
    "ge_find": ctypes.c_uint64,
    "ge_predecessors": ctypes.c_uint64,
    "ge_switches": ctypes.c_uint32,
    "ge_depth": ctypes.c_uint32,
    "ge_constant": ctypes.c_uint32,
    "toy_ask": ctypes.c_uint64,
}


class Toy:
    """A compiled toy: its sizes and its own functions."""

    def __init__(self, path: Path) -> None:
        self.lib = ctypes.CDLL(str(path))
        for name, result in RESULTS.items():
            getattr(self.lib, name).restype = result
        sizes = [int(self.lib.ge_constant(which)) for which in range(7)]
        assert sizes[0] == 1
        self.threads, self.words, self.stops, self.blocks, self.sites, self.faults = sizes[1:]
        self.vector = ctypes.c_uint64 * self.words

    def initial(self) -> Vector:
        data = self.vector()
        self.lib.toy_initial(data)
        return tuple(data)

    def pcs(self, state: Vector) -> list[int]:
        data = self.vector(*state)
        return [self.lib.toy_pc(thread, data) for thread in range(self.threads)]

    def ask(self, which: int, state: Vector) -> int:
        return int(self.lib.toy_ask(which, self.vector(*state)))


@dataclass
class Settings:
    """What the engine is told: the stops, the sites, ample sets."""

    stops: bytes
    sites: bytes
    eligible: bytes | None = None
    compatible: bytes = b""


# --------------------------------------------------------------- the plain search


@dataclass(frozen=True)
class Outcome:
    kind: int
    thread: int
    after: Vector | None
    fault: int
    path: tuple[int, ...]


@dataclass
class Found:
    """An event class: how often, at which depth first, and the goals there."""

    count: int = 0
    depth: int = 0
    goals: set[tuple[Vector, int, Vector | None]] = field(default_factory=set)

    def add(self, depth: int, goal: tuple[Vector, int, Vector | None]) -> None:
        if not self.count:
            self.depth = depth
        self.count += 1
        if depth == self.depth:
            self.goals.add(goal)


class Plain:
    """A breadth-first search with sets and dictionaries."""

    daemons = (False, False, False, True)
    rests = frozenset({1, 12, 14})
    terminal_only = 8

    def __init__(self, toy: Toy, settings: Settings, most: int) -> None:
        self.toy, self.settings = toy, settings
        self.depth: dict[Vector, int] = {toy.initial(): 0}
        self.layers: list[list[Vector]] = [list(self.depth)]
        self.edges: dict[Vector, list[Outcome]] = {}
        self.events: defaultdict[tuple[int, object, object], Found] = defaultdict(Found)
        self.blocks = [0] * toy.blocks
        self.strays = ctypes.create_string_buffer(toy.sites)
        self.wrong: set[int] = set()
        self.transitions = self.failed = 0
        self.panicked: set[Vector] = set()
        initial = toy.initial()
        self.masks = {initial: toy.ask(0, initial)}
        for bit in bits(self.masks[initial]):
            self.events[INVARIANT, bit, None].add(0, (initial, NOBODY, None))
        looking = {0, 1}
        while self.layers[-1] and len(self.depth) < most:
            seen: set[int] = set()
            for state in self.layers[-1]:
                for bit in looking & set(bits(toy.ask(3, state))):
                    seen.add(bit)
                    self.events[WITNESS, bit, 0].add(
                        len(self.layers) - 1, (state, NOBODY, None)
                    )
            looking -= seen
            self._layer()
        self.complete = not self.layers[-1]
        self.layers = [layer for layer in self.layers if layer]

    def outcomes(self, state: Vector, thread: int) -> list[Outcome]:
        found: list[Outcome] = []
        run = Run(self.settings.stops, self.settings.sites, ctypes.addressof(self.strays))
        while True:
            data = self.toy.vector(*state)
            run.made = run.npath = run.overflow = 0
            kind = self.toy.lib.toy_step(thread, data, ctypes.byref(run))
            path = tuple(run.path[: run.npath])
            for block in path:
                self.blocks[block] |= 2 if kind == R_BLOCKED else 1
            if kind != R_BLOCKED:
                after = tuple(data) if kind == R_STOP else None
                found.append(Outcome(kind, thread, after, run.fault, path))
            made = run.made
            while made and run.choice[made - 1] + 1 >= run.count[made - 1]:
                made -= 1
            if not made:
                return found
            run.choice[made - 1] += 1
            run.script = made

    def expand(self, state: Vector) -> list[Outcome]:
        pcs = self.toy.pcs(state)
        base = [4 * thread for thread in range(4)]
        stop = [first + pc - 1 if pc else None for first, pc in zip(base, pcs, strict=True)]
        running = [thread for thread, pc in enumerate(pcs) if pc]
        eligible = self.settings.eligible
        if eligible is not None:
            for thread in running:
                at = stop[thread]
                assert at is not None
                row = self.settings.compatible[at * self.toy.stops :]
                others = [stop[other] for other in running if other != thread]
                if eligible[at] and all(row[o] for o in others if o is not None):
                    alone = self.outcomes(state, thread)
                    if alone and all(one.kind == R_STOP for one in alone):
                        return alone
                    if alone:
                        break
        return [one for thread in running for one in self.outcomes(state, thread)]

    def _layer(self) -> None:
        depth = len(self.layers) - 1
        coming: dict[Vector, int] = {}
        for state in self.layers[depth]:
            outcomes = self.edges[state] = self.expand(state)
            for one in outcomes:
                if one.kind == R_FAULT:
                    self.transitions += 1
                    self.failed += 1
                    self.panicked.add(state)
                    goal = (state, one.thread, None)
                    self.events[FAULT, one.fault, 0].add(depth + 1, goal)
                elif one.kind == R_BROKEN:
                    self.wrong.add(one.fault)
                elif one.after is not None:
                    self.transitions += 1
                    coming.setdefault(one.after, -1)
                    coming[one.after] &= self.masks[state]
                    for bit in bits(self.toy.ask(0, one.after) & ~self.masks[state]):
                        self.events[INVARIANT, bit, (one.thread, one.path)].add(
                            depth + 1, (state, one.thread, one.after)
                        )
            if not outcomes:
                self._at_rest(state, depth)
        self.layers.append([])
        for after, mask in coming.items():
            if after not in self.depth:
                self.depth[after] = depth + 1
                self.layers[-1].append(after)
                self.masks[after] = self.toy.ask(0, after) | self.toy.ask(1, after) & mask

    def _at_rest(self, state: Vector, depth: int) -> None:
        waiting = self.waiting(state)
        stuck = any(not self.daemons[thread] for thread, _ in waiting)
        if stuck:
            self.panicked.add(state)
            self.events[DEADLOCK, waiting, 0].add(depth, (state, NOBODY, None))
        bad = self.toy.ask(2, state) & ~self.masks[state]
        for bit in bits(bad & ~self.terminal_only if stuck else bad):
            self.events[AT_END, bit, 0].add(depth, (state, NOBODY, None))

    def waiting(self, state: Vector) -> tuple[tuple[int, int], ...]:
        return tuple(
            (thread, pc)
            for thread, pc in enumerate(self.toy.pcs(state))
            if pc and not (self.daemons[thread] and 4 * thread + pc - 1 in self.rests)
        )

    def stuck(self, thread: int) -> tuple[int, int, set[Vector]]:
        """States from which the thread can never end, and nothing else is reported."""
        before: defaultdict[Vector, list[Vector]] = defaultdict(list)
        for state, outcomes in self.edges.items():
            for one in outcomes:
                if one.after is not None:
                    before[one.after].append(state)
        todo = [s for s in self.depth if not self.toy.pcs(s)[thread] or s in self.panicked]
        good = set(todo)
        while todo:
            for state in before[todo.pop()]:
                if state not in good:
                    good.add(state)
                    todo.append(state)
        left = [state for state in self.depth if state not in good]
        first = min((self.depth[state] for state in left), default=0)
        return len(left), first, {state for state in left if self.depth[state] == first}

    def switches(self, goals: set[Vector]) -> dict[Vector, dict[int, int]]:
        """Of the states on shortest paths to goals: the fewest switches by last thread."""
        marked = set(goals)
        for layer in reversed(self.layers):
            for state in layer:
                for one in self.edges[state]:
                    if one.after in marked and self.depth[one.after] == self.depth[state] + 1:
                        marked.add(state)
        best: dict[Vector, dict[int, int]] = {}
        for layer in self.layers:
            for state in layer:
                if state not in marked:
                    continue
                if self.depth[state] == 0:
                    best[state] = {NOBODY: 0}
                for one in self.edges[state]:
                    after = one.after
                    if after in marked and self.depth[after] == self.depth[state] + 1:
                        offer = min(
                            count + (last not in (NOBODY, one.thread))
                            for last, count in best[state].items()
                        )
                        row = best.setdefault(after, {})
                        row[one.thread] = min(offer, row.get(one.thread, offer))
        return best


def bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


# ------------------------------------------------------------------------ the engine


class Engine:
    """The engine of a toy, through ctypes."""

    def __init__(
        self, toy: Toy, settings: Settings, workers: int, max_memory: int = 0
    ) -> None:
        self.toy, self.lib = toy, toy.lib
        self.handle = ctypes.c_void_p(
            self.lib.ge_new(workers, ctypes.c_uint64(max_memory)) or None
        )
        assert self.handle.value
        self.lib.ge_flags(self.handle, settings.stops, settings.sites)
        if settings.eligible is not None:
            self.lib.ge_ample(self.handle, settings.eligible, settings.compatible, b"")
        initial = toy.vector(*toy.initial())
        assert self.lib.ge_initial(self.handle, initial) == 1
        assert self.lib.ge_initial(self.handle, initial) == 0

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.lib.ge_free(self.handle)

    def advance(self, budget: int) -> int:
        return int(self.lib.ge_advance(self.handle, ctypes.c_uint64(budget)))

    def run(self, budget: int = 1000) -> None:
        while (result := self.advance(budget)) != 2:
            assert result in (0, 1)

    def stats(self) -> list[int]:
        out = (ctypes.c_uint64 * 16)()
        self.lib.ge_stats(self.handle, out)
        return list(out)

    def state(self, root: int) -> Vector:
        data = self.toy.vector()
        self.lib.ge_state(self.handle, ctypes.c_uint64(root), data)
        return tuple(data)

    def find(self, state: Vector) -> int:
        return int(self.lib.ge_find(self.handle, self.toy.vector(*state)))

    def roots(self) -> list[int]:
        return [
            int(self.lib.ge_root(self.handle, ctypes.c_uint64(n)))
            for n in range(self.stats()[0])
        ]

    def events(self) -> list[tuple[list[int], list[tuple[int, int, int]]]]:
        found = []
        for index in range(self.stats()[8]):
            out = (ctypes.c_uint64 * 8)()
            assert self.lib.ge_event_class(self.handle, ctypes.c_uint64(index), out)
            goals = (ctypes.c_uint64 * (3 * out[5]))()
            self.lib.ge_event_goals(self.handle, ctypes.c_uint64(index), goals)
            rows = [(goals[i], goals[i + 1], goals[i + 2]) for i in range(0, len(goals), 3)]
            assert len(set(rows)) == len(rows)
            found.append((list(out[:5]), rows))
        return found

    def coverage(self) -> tuple[list[int], bytes, set[int]]:
        blocks = ctypes.create_string_buffer(self.toy.blocks)
        strays = ctypes.create_string_buffer(self.toy.sites)
        wrong = ctypes.create_string_buffer(self.toy.faults)
        self.lib.ge_coverage(self.handle, blocks, strays, wrong)
        return list(blocks.raw), strays.raw, {i for i, one in enumerate(wrong.raw) if one}

    def paths(self, roots: ctypes.Array[ctypes.c_uint64], n: int, budget: int) -> None:
        assert self.lib.ge_paths(self.handle, roots, ctypes.c_uint64(n)) == 0
        while (status := self.lib.ge_paths_on(self.handle, ctypes.c_uint64(budget))) == 0:
            pass
        assert status == 2

    def stuck(self, thread: int) -> tuple[int, int, set[Vector]]:
        out = (ctypes.c_uint64 * 4)()
        self.lib.ge_stuck(self.handle, thread, out)
        goals = (ctypes.c_uint64 * (out[2] or 1))()
        self.lib.ge_stuck_goals(self.handle, thread, goals)
        found = [self.state(root) for root in goals[: out[2]]]
        assert len(set(found)) == len(found)
        return out[0], out[1], set(found)

    def switches(self, root: int, last: int) -> int:
        return int(self.lib.ge_switches(self.handle, ctypes.c_uint64(root), last))

    def before(self, root: int, last: int) -> set[Vector]:
        out = (ctypes.c_uint64 * 4096)()
        count = self.lib.ge_predecessors(
            self.handle, ctypes.c_uint64(root), last, out, ctypes.c_uint64(4096)
        )
        assert count <= 4096
        return {self.state(root) for root in out[:count]}


# ---------------------------------------------------------------------------- tests


@pytest.fixture(scope="session", params=["", pytest.param("-DWIDE", marks=pytest.mark.long)])
def toy(request: pytest.FixtureRequest, folder: Path) -> Toy:
    """The maze; several workers share even tiny layers."""
    options = [request.param] if request.param else []
    return Toy(compile_toy(folder, "maze", "-O1", "-DSMALL=4", *options))


def settings(seed: int) -> Settings:
    """Every third without coarse stops; every third with ample sets."""
    draw = random.Random(seed)
    stops = bytes(1 if seed % 3 else draw.random() < 0.6 for _ in range(16))
    sites = bytes(draw.randrange(2) for _ in range(4))
    if seed % 3 == 1:
        eligible = bytes(draw.random() < 0.5 for _ in range(16))
        compatible = bytes(draw.random() < 0.8 for _ in range(256))
        return Settings(stops, sites, eligible, compatible)
    return Settings(stops, sites)


# Mazes that differ; most others are tiny, or have very many states.
SEEDS = [10, 15, 26, 38, 47, 50, 57, 58, 63, 66, 74, 91, 93, 104, 111, 117]
MOST = 1500
SANITIZED = [42, 91, 93, 111]


@functools.cache
def known(toy: Toy, seed: int) -> tuple[Settings, Plain]:
    chosen = settings(seed)
    return chosen, Plain(toy, chosen, MOST)


def compare_events(plain: Plain, engine: Engine) -> None:
    paths: dict[int, object] = {}
    seen = set()
    for (kind, a, _, count, depth), rows in engine.events():
        goals = {
            (engine.state(source), thread, engine.state(final) if final else None)
            for source, thread, final in rows
        }
        key: tuple[int, object, object] = (kind, a, 0)
        if kind == DEADLOCK:
            key = (kind, plain.waiting(next(iter(goals))[0]), 0)
        elif kind == INVARIANT:
            # The hash stands for thread and path: which ones, a goal tells.
            (source, thread, final) = next(iter(goals))
            key = (kind, a, None)
            if thread != NOBODY:
                fits = [
                    (one.thread, one.path)
                    for one in plain.edges[source]
                    if (one.thread, one.after) == (thread, final)
                ]
                both = [f for f in fits if plain.events[kind, a, f].goals == goals]
                both = [f for f in both if (a, f) not in paths.values()]
                assert both, (a, fits)
                paths[len(paths)] = (a, both[0])
                key = (kind, a, both[0])
        found = plain.events[key]
        assert (found.count, found.depth) == (count, depth), key
        assert found.goals == goals, key
        seen.add(key)
    assert seen == {key for key, found in plain.events.items() if found.count}


def compare_paths(plain: Plain, engine: Engine, draw: random.Random) -> None:
    roots = {engine.state(root): root for root in engine.roots()}
    assert set(roots) == set(plain.depth)
    goals = set(draw.sample(sorted(roots), min(3, len(roots))))
    wanted = (ctypes.c_uint64 * len(goals))(*(roots[goal] for goal in sorted(goals)))
    engine.paths(wanted, len(goals), budget=draw.choice((1, 7, 1000)))
    best = plain.switches(goals)
    for state, root in roots.items():
        rows = {
            last: count
            for last in (NOBODY, 0, 1, 2, 3)
            if (count := engine.switches(root, last)) != NOBODY
        }
        assert rows == best.get(state, {})
        depth = plain.depth[state] if state in best else NOBODY
        assert engine.lib.ge_depth(engine.handle, ctypes.c_uint64(root)) == depth
    for goal in goals:
        for last, count in best[goal].items():
            expected = {
                state
                for state in best
                if plain.depth[state] + 1 == plain.depth[goal]
                and any((one.thread, one.after) == (last, goal) for one in plain.edges[state])
                and any(
                    fewest + (before not in (NOBODY, last)) == count
                    for before, fewest in best[state].items()
                )
            }
            assert engine.before(roots[goal], last) == expected


def check(toy: Toy, seed: int, workers: int, seen: Counter[str]) -> None:
    ctypes.c_uint32.in_dll(toy.lib, "toy_seed").value = seed
    chosen, plain = known(toy, seed)
    assert plain.complete
    with Engine(toy, chosen, workers) as engine:
        engine.run(1 + seed % 97)
        stats = engine.stats()
        assert stats[:5] == [
            len(plain.depth), plain.transitions, plain.failed, len(plain.layers), 0,
        ]  # fmt: skip
        first = 0
        for depth, layer in enumerate(plain.layers):
            assert engine.lib.ge_layer(engine.handle, depth) == first
            first += len(layer)
        compare_events(plain, engine)
        blocks, strays, wrong = engine.coverage()
        assert (blocks, wrong) == (plain.blocks, plain.wrong)
        assert strays == plain.strays.raw
        while (result := engine.lib.ge_progress(engine.handle, ctypes.c_uint64(50))) == 0:
            pass
        assert result == 2
        for thread in range(3):
            expected = plain.stuck(thread)
            assert engine.stuck(thread) == expected
            seen["stuck"] += bool(expected[0])
        compare_paths(plain, engine, random.Random(seed))
        for state in list(plain.depth)[:5]:
            assert engine.state(engine.find(state)) == state
        assert engine.find((9,) * toy.words) == 0
    seen["searches"] += 1
    seen["large"] += len(plain.depth) > 200
    seen["ample"] += chosen.eligible is not None and len(plain.depth) > 20
    seen["broken assumptions"] += bool(plain.wrong)
    for (kind, _, _), found in plain.events.items():
        seen[f"events {kind}"] += bool(found.count)
    initial = toy.initial()
    seen["kept broken"] += any(
        plain.masks[state] & ~toy.ask(0, state) for state in plain.depth if state != initial
    )


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_against_a_plain_search(toy: Toy, workers: int) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        check(toy, seed, workers, seen)
    assert seen["searches"] == len(SEEDS)
    wanted = ["large", "ample", "broken assumptions", "kept broken", "stuck"]
    wanted += [f"events {kind}" for kind in (FAULT, INVARIANT, DEADLOCK, AT_END, WITNESS)]
    assert all(seen[what] > 2 for what in wanted), seen


@pytest.mark.parametrize("workers", [1, 2])
def test_tables_that_grow(folder: Path, workers: int) -> None:
    """A search whose numbers are known, large enough for every table to grow."""
    toy = Toy(compile_toy(folder, "grid", "-O1", "-DLIMIT=15"))
    chosen = Settings(bytes([1] * 4), bytes(1))
    with Engine(toy, chosen, workers) as engine:
        engine.run(10_000)
        stats = engine.stats()
        assert stats[:5] == [16**4, 4 * 15 * 16**3, 0, 4 * 15 + 1, 0]
        assert stats[10] > 5  # growths
        roots = engine.roots()
        assert len(set(roots)) == len(roots) == 16**4
        assert len({engine.state(root) for root in roots[::7]}) == len(roots[::7])
        assert all(engine.find(engine.state(root)) == root for root in roots[::1001])
        while (result := engine.lib.ge_progress(engine.handle, ctypes.c_uint64(5000))) == 0:
            pass
        assert result == 2
        assert all(engine.stuck(thread)[0] == 0 for thread in range(4))
        last = (ctypes.c_uint64 * 1)(roots[-1])
        engine.paths(last, 1, budget=1000)
        # To the end every thread runs once, from its begin to its end.
        assert min(engine.switches(roots[-1], thread) for thread in range(4)) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_limit(folder: Path, workers: int) -> None:
    """A search that met its limit says so, keeps to it, loses nothing, and can go on."""
    toy = Toy(compile_toy(folder, "grid", "-O1", "-DLIMIT=15"))
    chosen = Settings(bytes([1] * 4), bytes(1))
    with Engine(toy, chosen, 1) as whole:
        whole.run()
        needed = whole.stats()[5]
        empty = 2 * 2**20
    limit = (empty + needed) // 2
    with Engine(toy, chosen, workers, limit) as engine:
        while (result := engine.advance(10_000)) in (0, 1):
            pass
        assert result == 3
        assert engine.advance(10_000) == 3
        stats = engine.stats()
        assert 0 < stats[0] < 16**4 and stats[4] > 0
        assert stats[5] < 1.05 * limit
        engine.lib.ge_limit(engine.handle, ctypes.c_uint64(0))
        engine.run()
        assert engine.stats()[:5] == [16**4, 4 * 15 * 16**3, 0, 4 * 15 + 1, 0]


@pytest.mark.parametrize("workers", [1, 2])
def test_more_states_than_cells(folder: Path, workers: int) -> None:
    """States that an index of full size has no number for are refused like too much memory."""
    most = 20_000
    toy = Toy(compile_toy(folder, "grid", "-O1", "-DLIMIT=15", f"-DMOST_CELLS={most}u"))
    with Engine(toy, Settings(bytes([1] * 4), bytes(1)), workers) as engine:
        while (result := engine.advance(10_000)) in (0, 1):
            pass
        assert result == 3
        stats = engine.stats()
        assert 0.8 * most < stats[0] < most and stats[4] > 0
        roots = engine.roots()
        assert len(set(roots)) == len(roots) == stats[0]
        assert 0 not in roots
        assert all(engine.find(engine.state(root)) == root for root in roots[::101])
        engine.lib.ge_limit(engine.handle, ctypes.c_uint64(0))  # that is no help
        assert engine.advance(10_000) == 3
        assert engine.stats()[0] < most


SANITIZERS = {
    "address and undefined": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "toy_name"),
    [
        ("address and undefined", "maze"), ("address and undefined", "grid -DSYMMETRIC"),
        ("thread", "maze"), ("thread", "grid"), ("thread", "grid -DSYMMETRIC"),
    ],
)  # fmt: skip
def test_sanitized(folder: Path, name: str, toy_name: str) -> None:
    """Nothing is found, and the report is the same with any number of workers."""
    toy_name, *more = toy_name.split()
    options = ["-O1", "-g", "-DSMALL=16", "-DLIMIT=12", *SANITIZERS[name], *more]
    built = compile_toy(folder, toy_name, *options, drive=True)
    for seed in SANITIZED if toy_name == "maze" else (0,):
        for limit in (0, 1):
            reports = []
            for workers in (1, 3):
                done = subprocess.run(
                    [built, str(workers), str(seed), str(limit)], capture_output=True, text=True
                )
                assert done.returncode == 0, done.stderr
                assert not done.stderr
                reports.append(done.stdout)
            assert reports[0] == reports[1]
            if more:  # 4 counters from 0 to 12, whatever their order
                assert reports[0].startswith(f"{comb(16, 4)} states ")
            assert limit == 0 or "refused and resumed" in reports[0]

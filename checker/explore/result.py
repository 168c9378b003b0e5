"""What an exploration reports: one type for each word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["violated", "holds", "inconclusive"]
Granularity: TypeAlias = Literal["reduced", "fine"]
EngineName: TypeAlias = Literal["auto", "python", "native"]
Kind: TypeAlias = Literal["check", "invariant", "deadlock", "progress"]


@dataclass(frozen=True, slots=True)
class Block:
    """One step of the graph that was searched: the thread, its choices, the digest after it.

    ``digest`` is empty for a block that ends in a violation.
    """

    thread: int
    choices: tuple[int, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Path:
    """A way from an initial state: its index, its digest, and the blocks."""

    initial: int
    digest: str
    blocks: tuple[Block, ...]

    @property
    def switches(self) -> int:
        """How often the running thread changes."""
        pairs = zip(self.blocks, self.blocks[1:], strict=False)
        return sum(one.thread != two.thread for one, two in pairs)


@dataclass(frozen=True, slots=True)
class Found:
    """A violation: the property, its cause, and the shortest path to it.

    ``thread`` is the thread that made the last step (None for deadlocks and progress,
    unless one thread is concerned), ``instr`` its instruction.  ``depth`` counts blocks.
    ``count`` is how many transitions or states showed the same cause; for invariants and
    checks in the whole search.
    """

    kind: Kind
    property: str
    message: str
    lines: tuple[int, ...]
    thread: int | None
    instr: int | None
    depth: int
    path: Path
    count: int = 1


@dataclass(frozen=True, slots=True)
class Race:
    """Two accesses of different threads that nothing protects from each other."""

    variable: str
    threads: tuple[str, str]
    lines: tuple[tuple[int, ...], tuple[int, ...]]
    instrs: tuple[int, int]
    writes: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running search tells from time to time."""

    states: int
    transitions: int
    queue: int
    depth: int
    seconds: float
    memory: int
    restarts: int


ProgressCallback: TypeAlias = Callable[[Progress], None]


@dataclass(slots=True)
class Result:
    """The outcome of one exploration.

    ``complete`` is False when a bound was hit or the search was interrupted; ``bound`` says
    which (``max_states``, ``max_seconds``, ``max_memory``, ``first``, ``interrupted``).
    ``covered`` holds, for each thread, the instructions that were executed; ``witnesses`` the
    path to a state of each witness (None: not reached).  ``stops`` are the block boundaries by
    thread.
    ``state_bytes`` is the size of one state's vector; of the native engine also known:
    ``stored_bytes``, what it used for all states, and ``compile_seconds``.  ``search_seconds``
    are those of the last search alone, without what came before and after.  ``note`` is what
    must be said with the verdict, after other kinds of search.

    ``left_out``: choices of what the setup leaves open that are inconsistent (:mod:`.openings`),
    of which nothing is said.

    ``omission``: the search kept fingerprints of states, and this bounds the probability that it
    left a state out because of that.

    ``reductions`` are those of the graph that the counts are of: ``merging`` (of steps into
    blocks), ``ample`` (sets of one thread), ``symmetry`` (one state for all that differ by an
    exchange of identical threads).  With the last two the paths to witnesses need not be the
    shortest ones.
    """

    program: str
    granularity: Granularity
    complete: bool
    bound: str
    stops: list[list[int]]
    states: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    violations: list[Found] = field(default_factory=list)
    witnesses: dict[str, Path | None] = field(default_factory=dict)
    covered: list[set[int]] = field(default_factory=list)
    races: list[Race] = field(default_factory=list)
    restarts: int = 0
    engine: Literal["python", "native"] = "python"
    state_bytes: int = 0
    stored_bytes: int = 0
    search_seconds: float = 0.0
    compile_seconds: float = 0.0
    memory: int = 0
    kept: list[bytes] | None = None
    note: str = ""
    left_out: int = 0
    reductions: tuple[str, ...] = ()
    omission: float | None = None

    @property
    def verdict(self) -> Verdict:
        """``violated`` as soon as something is; ``holds`` only after a complete search."""
        if self.violations:
            return "violated"
        return "holds" if self.complete else "inconclusive"

    def without_cost(self) -> Result:
        """What was searched and found, whichever engine it took, and how much time and memory."""
        return replace(
            self, engine="python", seconds=0.0, search_seconds=0.0, compile_seconds=0.0,
            memory=0, state_bytes=0, stored_bytes=0,
        )  # fmt: skip

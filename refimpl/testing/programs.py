"""What Hypothesis draws for threads to do: small files, few kinds of calls, small machines.

Each task is made of few kinds of calls, often on one page, and each leaves out different
ones: operations that are all different seldom meet (swarm testing, Groce, Zhang, Eide, Chen
and Regehr 2012).  Failures are looked for in small worlds: one or two pages, two or three
threads of one or two calls (the small scope hypothesis, Jackson and Damon 1996).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import hypothesis.strategies as st

from .api import ADVICE, DIRECT, FEATURES, MMAP
from .concurrent import Fault, Task
from .player import Call
from .records import RECORD

# How a run ends.
REMOUNT, POWER, PROMISE, LAST = "remount", "power", "promise", "last"
ENDS = (REMOUNT, PROMISE, POWER, LAST)
UNMOUNT = "unmount"
WRITES = frozenset({"write", "short", "bmap", "journal"})  # faults that unmount must report

_MAIN = frozenset({"store", "load", "write", "truncate", "msync", "fsync"})
# Kinds of calls that leave no doubt of what was written when something fails.
QUIET = frozenset({"load", "read", "willneed"})  # nothing is written
SAME_SIZE = frozenset({"store", "load", "read", "msync", "fsync", "willneed"})
IO_ERROR = frozenset({errno.EIO})


@st.composite
def tasks(
    draw: st.DrawFn,
    threads: int = 3,
    length: int = 2,
    records: int = 8,
    features: frozenset[str] = FEATURES,
    faults: bool = True,
) -> Task:
    """Files of up to ``records`` records, at most ``threads`` threads of ``length`` calls."""
    size = draw(st.integers(0, records))
    tags = iter(range(1, 60000))
    if draw(st.booleans()):
        first = tuple(next(tags) for _ in range(size))
    else:
        kept = draw(st.lists(st.booleans(), max_size=size))
        first = tuple(next(tags) if one else 0 for one in kept)
    kinds = _kinds(draw(st.sampled_from([4, records])), records, features)
    fault, possible = None, frozenset(kinds)
    if faults and draw(st.booleans()):
        fault, possible = draw(_faults())
    names = [name for name in kinds if name in possible]
    least = min(2, len(names))
    chosen = draw(st.lists(_often(names), min_size=least, max_size=3, unique=True))
    calls = st.one_of([kinds[name] for name in chosen])
    before = draw(st.lists(calls, max_size=2))
    if size and MMAP in features and draw(st.booleans()):
        before = [Call("store", (record,)) for record in range(0, size, 4)] + before  # all dirty
    some = st.integers(2, max(2, threads)) if draw(st.booleans()) else st.just(2)
    programs = {
        f"user{number}": draw(st.lists(calls, min_size=1, max_size=length))
        for number in range(draw(some))
    }
    who = st.sampled_from(sorted(programs))
    after = draw(st.lists(st.tuples(who, calls), max_size=2))
    return Task(
        size,
        first,
        {name: [tagged(call, tags) for call in calls] for name, calls in programs.items()},
        cold=draw(st.booleans()),
        before=[tagged(call, tags) for call in before],
        after=[(name, tagged(call, tags)) for name, call in after],
        fault=fault,
    )


def _kinds(
    reach: int, records: int, features: frozenset[str]
) -> dict[str, st.SearchStrategy[Call]]:
    """Calls by kind; all but truncations and whole syncs concern the first ``reach`` records."""
    first = st.integers(0, reach - 1)
    whole = st.sampled_from([(start, 4) for start in range(0, reach - 3, 4)] or [(0, 1)])
    pairs = st.one_of(st.tuples(first, st.integers(1, 4)), whole)
    kinds: dict[str, st.SearchStrategy[Call]] = {
        "read": pairs.map(lambda pair: Call("read", pair)),
        "write": pairs.map(lambda pair: Call("write", pair)),
        "truncate": st.integers(0, records).map(lambda size: Call("truncate", (size,))),
        "fsync": st.just(Call("fsync")),
        "fsync_other": st.just(Call("fsync_other")),
    }
    if MMAP in features:
        everything = st.sampled_from([(0, records, False), (0, records, True)])
        kinds |= {
            "load": first.map(lambda record: Call("load", (record,))),
            "store": first.map(lambda record: Call("store", (record,))),
            "msync": st.one_of(everything, st.tuples(first, st.integers(1, 4), st.booleans())).map(
                lambda three: Call("msync", three)
            ),
        }
    if ADVICE in features:
        kinds["willneed"] = pairs.map(lambda pair: Call("willneed", pair))
        kinds["dontneed"] = pairs.map(lambda pair: Call("dontneed", pair))
    if DIRECT in features:
        sectors = st.sampled_from(
            [(start, count) for start in range(0, reach, 2) for count in (2, 4)]
        )
        kinds["read_direct"] = sectors.map(lambda pair: Call("read_direct", pair))
        kinds["write_direct"] = sectors.map(lambda pair: Call("write_direct", pair))
    return kinds


def _often(names: list[str]) -> st.SearchStrategy[str]:
    """A kind of call; those that change the file or write it back three times as often."""
    main = [name for name in names if name in _MAIN] or names
    return st.one_of(st.sampled_from(main), st.sampled_from(main), st.sampled_from(names))


def _faults() -> st.SearchStrategy[tuple[Fault, frozenset[str]]]:
    """Faults, and with which kinds of calls each leaves no doubt of what was written."""
    unseen = QUIET | SAME_SIZE | {"write", "truncate", "fsync_other"}
    skip = st.integers(0, 3)
    return st.one_of(
        st.builds(lambda n: (Fault("yield", n, 4), unseen), skip),
        st.builds(
            lambda kind, n: (Fault(kind, n), unseen),
            st.sampled_from(["heap", "page", "nomem"]),
            skip,
        ),
        st.builds(
            lambda n: (Fault("space", n, answers=frozenset({errno.ENOSPC})), SAME_SIZE), skip
        ),
        st.builds(lambda n: (Fault("read", n, answers=IO_ERROR), SAME_SIZE), skip),
        st.builds(lambda n: (Fault("short", n, errno=0, answers=IO_ERROR), QUIET), skip),
    )


def tagged(call: Call, tags: Iterator[int]) -> Call:
    """Tags come last, so that every write of a task has one of its own."""
    if call.name in ("write", "write_direct", "write_sync"):
        first, count = call.arguments
        assert isinstance(count, int)
        return Call(call.name, (first, tuple(next(tags) for _ in range(count))))
    if call.name == "store":
        return Call("store", (*call.arguments, next(tags)))
    return call


@st.composite
def machines(draw: st.DrawFn) -> dict[str, object]:
    """Arguments of `Reference` for small machines in which threads meet often."""
    return {
        "size": 32 * 1024,
        "files": 2,
        "block_size": draw(st.sampled_from([1024, 512, 2048])),
        "page_size": 4 * RECORD,
        "journal": draw(st.booleans()),
        "memory_pages": draw(st.sampled_from([64, 24])),
        "maxphys": 4096,
        "window_pages": draw(st.sampled_from([2, 1])),
        "array_on_stack": draw(st.sampled_from([16, 1])),
        "debug": draw(st.booleans()),
        "io_threads": 1,
        "patience": 2.0,  # where no schedule is in force
    }

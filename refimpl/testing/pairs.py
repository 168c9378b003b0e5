"""What a meeting is drawn from: states of a small file, calls on it, faults, machines.

Nothing is equally likely by the byte: what a page cache treats differently (the first and
the last record of a page, the records around the end of the file; pages that are absent,
clean, dirty, clean but listed; blocks that are there or not) is drawn first, and the numbers
follow from it.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .concurrent import Fault
from .player import Call
from .programs import IO_ERROR, tagged
from .records import RECORD

PAGE = 4  # records
LARGEST = 2 * PAGE
_EVERYTHING = (0, LARGEST + PAGE)

# Kinds of calls, and what each may be: who looks through a mapping, who changes it, who
# writes what is dirty, who frees, ...
CALLS: dict[str, tuple[str, ...]] = {
    "load": ("load", "load", "load", "lock"),
    "store": ("store",),
    "read": ("read",),
    "write": ("write", "write", "write_sync"),
    "truncate": ("truncate",),
    "msync": ("msync",),
    "invalidate": ("invalidate", "invalidate", "pageout"),
    "fsync": ("fsync",),
    "willneed": ("willneed",),
    "dontneed": ("dontneed",),
    "read_direct": ("read_direct",),
    "write_direct": ("write_direct",),
    "kernel": ("background", "suspend", "pageout", "flush_unless_busy"),
}
FLUSHES = "invalidate", "fsync", "fsync"  # many a meeting ends with one
_LOCKS = {"read", "write", "write_sync", "truncate", "fsync", "read_direct", "write_direct"}


def call(chance: random.Random, kind: str, size: int) -> Call:
    """One of a kind, on a file of ``size`` records; tags are counts still."""
    name = chance.choice(CALLS[kind])
    if name in ("load", "store", "lock"):
        return Call(name, (_record(chance, size),))
    if name == "read":
        return Call(name, chance.choice([(0, PAGE), (0, LARGEST), (_record(chance, size), 1)]))
    if name in ("write", "write_sync"):
        start = chance.choice([0, PAGE, size, _record(chance, size)]) % LARGEST
        count = chance.choice([1, PAGE - start % PAGE, PAGE])
        return Call(name, (start, min(count, LARGEST - start)))
    if name == "truncate":
        near = [max(size - 1, 0), max(size - 2, 0), min(size + 1, LARGEST), min(size + 2, LARGEST)]
        return Call(name, (chance.choice([0, PAGE, LARGEST, _record(chance, LARGEST), *near]),))
    if name in ("msync", "invalidate"):
        return Call("msync", (*_range(chance), name == "invalidate"))
    if name in ("willneed", "dontneed"):
        return Call(name, _range(chance))
    if name in ("read_direct", "write_direct"):
        return Call(name, chance.choice([(0, 2), (0, PAGE), (PAGE, PAGE), (0, LARGEST)]))
    return Call(name)


def _range(chance: random.Random) -> tuple[int, int]:
    """Everything, or a page."""
    return chance.choice([_EVERYTHING, _EVERYTHING, (0, PAGE), (PAGE, PAGE)])


def _record(chance: random.Random, size: int) -> int:
    """The first or the last of a page, one near the end; seldom one behind the end's page."""
    pages = {0, PAGE - 1, PAGE, LARGEST - 1}
    near = {one for one in (size - 1, size) if 0 <= one < LARGEST}
    end = -(-size // PAGE) * PAGE
    inside = sorted(one for one in pages | near if one < end)
    if not inside or chance.random() < 0.1:
        return chance.choice(sorted(pages | near))
    return chance.choice([*inside, chance.randrange(end)])


# States.

_OUT, _CLEAN, _DIRTY, _LISTED = "absent", "clean", "dirty", "clean and listed"
_SIZES = (0, 1, 1, 2, PAGE - 1, PAGE, PAGE, PAGE + 2, PAGE + 2, *[LARGEST] * 8)


@dataclass(frozen=True)
class State:
    """A file: how many records it is made with, which are written, and what is done to it then.

    Nothing of it is in memory before that.  ``size`` is the number of records afterwards.
    """

    name: str
    made: int
    written: tuple[bool, ...]
    first: tuple[Call, ...]
    size: int


def state(chance: random.Random) -> State:
    """Each page absent, clean, dirty, or clean and listed still; now and then all alike."""
    size = made = chance.choice(_SIZES)
    first = []
    if size < LARGEST and chance.random() < 0.2:
        made = LARGEST
        first = [Call("truncate", (size,))]
    how = chance.choice(["all", "all", "all", "none", "none", "some"])
    written = tuple(how == "all" or (how == "some" and chance.random() < 0.5) for _ in range(made))
    pages = range(-(-size // PAGE))
    alike = [chance.choice([_OUT, _CLEAN, _DIRTY, _LISTED])] * len(pages)
    mixed = [chance.choice([_OUT, _CLEAN, _DIRTY, _LISTED]) for _ in pages]
    states = alike if chance.random() < 0.4 else mixed

    def records(one: str) -> list[int]:
        """One of each page that shall be so."""
        inside = [range(page * PAGE, min(page * PAGE + PAGE, size)) for page in pages]
        return [
            chance.choice([part[0], chance.choice(part)])
            for part, what in zip(inside, states, strict=True)
            if what == one
        ]

    listed = records(_LISTED)
    if listed:
        first += [Call("store", (record,)) for record in listed]
        first += [Call("msync", (*_EVERYTHING, False))]
    later = [Call("store", (record,)) for record in records(_DIRTY)]
    later += [Call("load", (record,)) for record in records(_CLEAN)]
    chance.shuffle(later)
    cut = f", cut from {made}" if made > size else ""
    blocks = {"all": "", "none": ", a hole", "some": ", holes"}[how]
    name = f"{size} records{cut}{blocks}: {', '.join(states) or 'nothing'}"
    return State(name, made, written, (*first, *later), size)


def probes(chance: random.Random, size: int) -> list[tuple[str, Call]]:
    """Each of two threads stores to each page: as its mapping of it lets it."""
    found = []
    for start in range(0, LARGEST, PAGE):
        one, two = chance.sample(range(start, start + PAGE), 2)
        found += [("user0", Call("store", (one,))), ("user1", Call("store", (two,)))]
    return found if size else found[:2]


# Faults.

_MAPPED = {"store", "load", "lock", "read", "read_direct", "msync", "willneed", "dontneed"}
_KERNEL = {"pageout", "background", "suspend", "flush_unless_busy", "fsync", "fsync_other"}
SAME_SIZE = _MAPPED | _KERNEL  # what fails changes nothing but what it had to write back
WRITING = _KERNEL - {"fsync_other"} | {"msync", "read_direct"}  # they write what others stored
_NO_SPACE, _NO_ACCESS = frozenset({errno.ENOSPC}), frozenset({errno.EFAULT})
_OF_USER = {"write", "write_sync", "write_direct", "read_direct"}  # they use a user's memory


def fault(
    chance: random.Random, calls: Iterable[Call], size: int, block: int, journal: bool
) -> Fault | None:
    """One after which there is no doubt what was written, if these calls meet it; often none."""
    if chance.random() < 0.5:
        return None
    calls = list(calls)
    names = {one.name for one in calls}
    seen: dict[str, frozenset[int]] = {"heap": frozenset(), "page": frozenset()}
    if journal:
        seen["full"] = frozenset()
    if "pageout" in names:
        seen["nomem"] = frozenset()
    if "revoke" not in names:
        if journal:
            seen["journal"] = IO_ERROR
        if names <= SAME_SIZE | {"truncate"}:
            seen["space"] = _NO_SPACE
        if names & _OF_USER and all(_whole(one, size, block) for one in calls):
            seen["user"] = _NO_ACCESS
        if names <= SAME_SIZE and not _halves(calls):
            seen |= dict.fromkeys(["read", "write", "bmap", "short"], IO_ERROR)
    kind = chance.choices(list(seen), [3 if answers else 1 for answers in seen.values()])[0]
    skip, count = chance.choice([0, 0, 1, 1, 2]), chance.choice([1, 1, 1, 2])
    return Fault(kind, skip, count, 0 if kind == "short" else None, seen[kind])


def _halves(calls: Iterable[Call]) -> bool:
    """Whether an error could come behind the first page of a read, which then is only shorter."""
    return any(
        one.name in ("read", "read_direct") and one.arguments not in ((0, PAGE), (PAGE, PAGE))
        for one in calls
    )


def _whole(one: Call, size: int, block: int) -> bool:
    """Whether a call that fails for want of the user's memory has done nothing."""
    if one.name not in _OF_USER - {"read_direct"}:
        return one.name in SAME_SIZE
    start, count = one.arguments
    assert isinstance(start, int) and isinstance(count, int)
    end, unit = start + count, block // RECORD
    return end <= size and start // unit == (end - 1) // unit


def third(chance: random.Random, calls: Sequence[Call], size: int, journal: bool) -> Call:
    """What a third thread does, beside those two.

    With a journal an fsync, of another file even, waits for all who are inside a transaction.
    The file is revoked only where nobody waits for its lock, to go on with what is dead then.
    """
    if journal and chance.random() < 0.7:
        return Call("fsync_other")
    if not any(one.name in _LOCKS for one in calls) and chance.random() < 0.4:
        return Call("revoke")
    return without_second([*calls, call(chance, chance.choice(list(CALLS)), size)])[-1]


def without_second(calls: Sequence[Call]) -> list[Call]:
    """One suspends at a time: where another would there is an fsync of another file."""
    found: list[Call] = []
    for one in calls:
        second = one.name == "suspend" and one in found
        found.append(Call("fsync_other") if second else one)
    return found


def numbered(calls: Iterable[Call], tags: Iterator[int]) -> list[Call]:
    """Each write has tags of its own."""
    return [tagged(one, tags) for one in calls]


def machine(chance: random.Random) -> dict[str, object]:
    """Arguments of `Reference`."""
    block = chance.choice([512, 512, 1024, 2048])
    around = chance.choice([3, 3, 0])
    return {
        "size": 32 * 1024,
        "files": 2,
        "block_size": block,
        "page_size": PAGE * RECORD,
        "memory_pages": 64,
        "maxphys": 4096,
        "window_pages": chance.choice([2, 1]),
        "array_on_stack": 1,
        "io_threads": 1,
        "journal": chance.random() < 0.5,
        "debug": chance.random() < 0.5,
        "fragments": block > PAGE * RECORD and chance.random() < 0.5,
        "fault_back": around,
        "fault_ahead": around,
        "flush_shift": chance.choice([16, 10]),
        "tree_penalty": chance.choice([4, 1]),
        "first_fit": chance.random() < 0.3,
        "syncer_delay": 0.0,
        "page_junk": b"\xee",
        "patience": 2.0,
    }

"""Threads that work on one file at once, and whether what they saw has an order."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from .api import DIRECT, MMAP, Broken, Implementation
from .history import History
from .player import FILE, Call, Player, values_of
from .records import ABSENT, RECORD, Wrong, changed, check_file, check_records, encode


@dataclass(frozen=True)
class Fault:
    """A fault to arm (`refimpl.faults`), and the errnos with which a call may then fail."""

    kind: str
    skip: int = 0
    count: int = 1
    errno: int | None = None
    answers: frozenset[int] = frozenset()

    def __str__(self) -> str:
        how = "" if self.errno is None else f" with errno {self.errno}"
        return f"{self.kind}, {self.count} times after {self.skip}{how}"


@dataclass(frozen=True)
class Task:
    """What to do to one file, ``size`` records long at first and holding ``tags``.

    With ``cold`` none of it is in memory at first.  ``before`` is done by one thread, before
    the others begin, and ``after`` one by one when they have ended, each through the handles
    and the mapping of the thread it names.  ``fault`` is armed while the threads run.

    Real threads (`run_threads`) do the programs only.
    """

    size: int
    tags: tuple[int, ...]
    programs: Mapping[str, Sequence[Call]]
    cold: bool = True
    before: Sequence[Call] = ()
    after: Sequence[tuple[str, Call]] = ()
    fault: Fault | None = None

    def __str__(self) -> str:
        lines = [f"{self.size} records, tags {list(self.tags)}, {'cold' if self.cold else 'warm'}"]
        programs = {"before": self.before, **self.programs} if self.before else self.programs
        lines += [f"  {name}: {'; '.join(map(str, calls))}" for name, calls in programs.items()]
        lines += [f"  afterwards {name}: {call}" for name, call in self.after]
        lines += [f"  fault: {self.fault}"] if self.fault is not None else []
        return "\n".join(lines)

    @property
    def records(self) -> int:
        """How many records the file may ever have."""
        most = self.size
        later = (call for _name, call in self.after)
        for call in chain(self.before, *self.programs.values(), later):
            if call.name in ("write", "write_direct", "write_sync"):
                first, tags = call.arguments
                assert isinstance(first, int) and isinstance(tags, tuple)
                most = max(most, first + len(tags))
            elif call.name == "truncate":
                assert isinstance(call.arguments[0], int)
                most = max(most, call.arguments[0])
            elif call.name in ("load", "store"):
                assert isinstance(call.arguments[0], int)
                most = max(most, call.arguments[0] + 1)
        return most


def prepare(fs: Implementation, task: Task) -> None:
    """Makes the file of a task; it is on the device."""
    file = fs.open(FILE, create=True)
    for number, tag in enumerate(task.tags):
        if tag:
            file.pwrite(encode(tag), number * RECORD)
    file.truncate(task.size * RECORD)
    file.fsync()
    if task.cold and MMAP in fs.features and task.size:
        mapped = file.mmap(task.size * RECORD)
        mapped.sync(0, task.size * RECORD, wait=True, invalidate=True)
        mapped.close()
    file.close()


def look(
    fs: Implementation,
    history: History,
    task: Task,
    since: int | None = None,
    stale_unit: int = 0,
    stored: bytes | None = None,
) -> None:
    """Reads every record, as an operation that began at ``since``, by default now.

    After a crash ``since`` is the time at which the last fsync that returned was called:
    what is found may be as old as that, and not older (buffered durable linearizability,
    Izraelevitz, Mendes and Scott 2016).  Where a unit was changed since, of an
    `Implementation` with a ``stale_unit``, anything may be found, and nothing is noted.
    ``stored``: what the file held, if somebody has looked already.
    """
    called = history.now() if since is None else since
    if stored is None:
        file = fs.open(FILE)
        stored = file.pread((task.records + 1) * RECORD, 0)
        file.close()
    values: tuple[str | None, ...] = values_of(stored)
    if since is not None and stale_unit:
        values += (ABSENT,) * (task.records - len(values))
        sizes = [one.arguments[0] for one in history.operations if one.name == "truncate"]
        least = min([task.size, *(size for size in sizes if isinstance(size, int))])
        loose = {
            record * RECORD // stale_unit
            for one in history.operations
            if one.returned is None or one.returned > since
            for record in changed(one, task.records, least)
        }
        values = tuple(
            None if number * RECORD // stale_unit in loose else value
            for number, value in enumerate(values)
        )
    name = "read" if since is None else "found"
    history.note("afterwards", name, (0, task.records), values, called)


def last_fsync(history: History) -> int:
    """When the last fsync that returned was called; 0 if there was none."""
    return max(
        (one.called for one in history.operations if one.name == "fsync" and one.returned),
        default=0,
    )


def explain(history: History, task: Task, page: int, unit: int | None = None) -> Wrong | None:
    """What no order of the operations explains, if there is something.

    ``page`` and ``unit`` are those of `check_records`.
    """
    for judge in (check_records, check_file):
        wrong = judge(history.operations, task.size, page, unit or page, task.tags, task.records)
        if wrong is not None:
            return wrong
    return None


def run_threads(fs: Implementation, task: Task, seconds: float = 20.0) -> History:
    """Plays a task on real threads and reads everything, then again after a remount.

    Raises what a thread raised, or `Broken` if one does not end or something is still held.
    """
    prepare(fs, task)
    history = History()
    players = {name: Player(fs, name, history, task.records) for name in task.programs}
    failures: list[BaseException] = []
    gate = threading.Barrier(len(players))

    def run(player: Player, calls: Sequence[Call]) -> None:
        try:
            gate.wait(seconds)
            player.play(calls)
        except BaseException as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=run, args=(players[name], calls), name=name, daemon=True)
        for name, calls in task.programs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        if thread.is_alive():
            raise Broken(f"{thread.name} does not end")
    if failures:
        raise failures[0]
    for player in players.values():
        player.close()
    look(fs, history, task)
    fs.at_rest()
    fs.remount()
    look(fs, history, task)
    return history


def random_task(
    seed: int,
    threads: int = 3,
    length: int = 8,
    records: int = 12,
    features: frozenset[str] = frozenset(),
) -> Task:
    """A task that depends on ``seed`` alone; every write has a tag of its own."""
    chance = random.Random(seed)
    tags = iter(range(1, 60000))
    size = chance.randrange(records + 1)
    first = tuple(next(tags) if chance.random() < 0.6 else 0 for _ in range(size))
    return Task(
        size,
        first,
        {
            f"thread{number}": [
                _random_call(chance, tags, records, features) for _ in range(length)
            ]
            for number in range(threads)
        },
        cold=chance.random() < 0.5,
    )


def _random_call(
    chance: random.Random, tags: Iterator[int], records: int, features: frozenset[str]
) -> Call:
    names = ["read", "read", "write", "write", "truncate", "fsync"]
    if MMAP in features:
        names += ["load", "load", "store", "store", "msync", "msync_later", "willneed", "dontneed"]
    if DIRECT in features:
        names += ["read_direct", "write_direct"]
    name = chance.choice(names)
    first = chance.randrange(records)
    count = chance.randint(1, min(4, records - first))
    if name in ("write", "write_direct"):
        return Call(name, (first, tuple(next(tags) for _ in range(count))))
    if name in ("read", "read_direct", "msync_later", "willneed", "dontneed"):
        return Call(name, (first, count))
    if name == "truncate":
        return Call(name, (chance.randrange(records + 1),))
    if name == "load":
        return Call(name, (first,))
    if name == "store":
        return Call(name, (first, next(tags)))
    if name == "msync":
        return Call(name, (first, count, chance.random() < 0.4))
    return Call(name)

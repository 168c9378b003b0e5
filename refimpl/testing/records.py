"""A file as a row of records, each of them a linearizable object.

A record is RECORD bytes that repeat one tag, so that a torn or foreign one is seen.  An
operation on several records is one operation on each of them; a truncation, and a write
behind the end, concern every record.  Accesses through mappings are atomic only within a
page, and a truncation empties pages before it moves the end.

read(2), write(2) and ftruncate(2) on one file exclude each other: where nobody stores through
a mapping all records together are one object too (`check_file`).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .history import Operation, Unexplained, check

RECORD = 256  # bytes
ZERO = "zero"
Value = str  # ZERO, "#3" for tag 3, or a description of something nobody wrote

# Whether a mapping reaches a record behind the end: in the page that holds the end it must,
# in a block that holds the end it may.
NOT, MAY, MUST = range(3)

# Results of single records.
ABSENT = "absent"  # a read found the end of the file
NO_PAGE = "EFAULT"


def encode(tag: int) -> bytes:
    """The record of a tag from 1 to 65535."""
    return struct.pack(">H", tag) * (RECORD // 2)


def decode(data: bytes) -> Value:
    if not any(data) and len(data) == RECORD:
        return ZERO
    tag = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 0
    if data == encode(tag):
        return f"#{tag}" if tag != 0xEEEE else "never written"
    parts = {struct.unpack(">H", data[i : i + 2])[0] for i in range(0, len(data) - 1, 2)}
    return f"torn, {len(data)} bytes of {', '.join(f'#{tag}' for tag in sorted(parts)[:4])}"


@dataclass(frozen=True)
class Record:
    """The state of one record."""

    value: Value = ZERO
    present: bool = True
    mapped: int = NOT  # if absent: whether a mapping reaches it
    unseen: frozenset[Value] = frozenset()  # stored behind the end: may show when it grows

    def __str__(self) -> str:
        return self.value if self.present else "absent"


def step(state: Record, operation: Operation) -> Iterable[Record]:
    """The specification of one record, for operations as `project` makes them."""
    name, arguments, result = operation.name, operation.arguments, operation.result
    if name == "grow":
        return _grown(state)
    if name == "near":  # a write that ended before this record
        assert isinstance(arguments[0], int)
        return [replace(state, mapped=max(state.mapped, arguments[0]))]
    if name == "cut":
        assert isinstance(arguments[0], int)
        after = Record(ZERO, False, arguments[0], frozenset() if state.present else state.unseen)
        if operation.returned is None and state.present:
            return [after, Record()]  # it failed when it had stored zeros, and before it cut
        return [after]
    if name == "write" or (name == "store" and state.present):
        return [Record(str(arguments[0]))] if result is None else []
    if name == "store":
        if result == NO_PAGE:
            return [] if state.mapped == MUST else [state]
        if state.mapped == NOT:
            return []
        return [Record(ZERO, False, state.mapped, state.unseen | {str(arguments[0])})]
    if operation.returned is None:
        return [state]
    if name == "read":
        if result is None:
            return [state]  # nobody looked
        return [state] if result == (state.value if state.present else ABSENT) else []
    assert name == "load", name
    if state.present:
        return [state] if result == state.value else []
    if result == NO_PAGE:
        return [] if state.mapped == MUST else [state]
    return [state] if state.mapped != NOT and (result == ZERO or result in state.unseen) else []


def _grown(state: Record) -> list[Record]:
    if state.present:
        return [state]
    return [Record(value) for value in sorted({ZERO, *state.unseen})]


def project(
    operations: Sequence[Operation], number: int, page: int, unit: int
) -> list[Operation]:
    """What the operations on a file are for its record ``number``.

    Operations of a file: write(first, tags) and read(first, count) -> values, store(record,
    tag) -> None or NO_PAGE, load(record) -> value or NO_PAGE, truncate(records); "found" is
    what a crash left, as a read.
    """
    found = []
    for one in operations:
        name, result = one.name, one.result
        arguments: tuple[object, ...] = ()
        if name == "write":
            first, tags = one.arguments
            assert isinstance(first, int) and isinstance(tags, tuple)
            if number >= first + len(tags):
                name, arguments = "near", (_reached(number, first + len(tags), page, unit),)
            elif number < first:
                name = "grow"
            else:
                arguments = (f"#{tags[number - first]}",)
        elif name in ("read", "found"):
            name = "read"
            first, count = one.arguments
            assert isinstance(first, int) and isinstance(count, int)
            if not first <= number < first + count:
                continue
            if one.returned is not None:
                assert isinstance(result, tuple)
                result = result[number - first] if number - first < len(result) else ABSENT
        elif name in ("store", "load"):
            if one.arguments[0] != number:
                continue
            arguments = tuple(f"#{tag}" for tag in one.arguments[1:])
        elif name == "truncate":
            (records,) = one.arguments
            assert isinstance(records, int)
            if number < records:
                name = "grow"
            else:
                name, arguments = "cut", (_reached(number, records, page, unit),)
        else:
            continue
        found.append(Operation(one.thread, name, arguments, result, one.called, one.returned))
    return found


def changed(one: Operation, records: int, least: int) -> range:
    """The records, of ``records``, that an operation on a file of at least ``least`` may change."""
    if one.name == "write":
        first, tags = one.arguments
        assert isinstance(first, int) and isinstance(tags, tuple)
        return range(min(first, least), first + len(tags))  # what it adds is changed too
    if one.name == "store":
        assert isinstance(one.arguments[0], int)
        return range(one.arguments[0], one.arguments[0] + 1)
    return range(least, records) if one.name == "truncate" else range(0)


def _reached(number: int, size: int, page: int, unit: int) -> int:
    """Whether a mapping reaches a record behind the end of a file of ``size`` records."""

    def same(one: int) -> bool:
        return number * RECORD // one < -(-size * RECORD // one)

    return MUST if same(page) else MAY if same(unit) else NOT


def initial(number: int, size: int, page: int, unit: int, tags: Sequence[int]) -> Record:
    """Record ``number`` of a file of ``size`` records that holds ``tags``, 0 for zero."""
    if number >= size:
        return Record(ZERO, False, _reached(number, size, page, unit))
    return Record(f"#{tags[number]}" if number < len(tags) and tags[number] else ZERO)


@dataclass(frozen=True)
class Wrong:
    """A record, or with None the whole file, whose history no order explains."""

    number: int | None
    unexplained: Unexplained[Record] | Unexplained[tuple[Record, ...]]

    def __str__(self) -> str:
        if self.number is None:
            return f"each record has an order, the file has none: {self.unexplained}"
        return f"record {self.number} (bytes from {self.number * RECORD} on): {self.unexplained}"


def check_records(
    operations: Sequence[Operation],
    size: int,
    page: int,
    unit: int,
    tags: Sequence[int] = (),
    records: int = 0,
) -> Wrong | None:
    """Checks each record of a file that had ``size`` records, up to ``records`` of them.

    ``page`` is a multiple of RECORD and ``unit`` of ``page``, both in bytes: a mapping
    reaches the page with the end of the file, and perhaps the unit.
    """
    for number in range(max(records, size)):
        start = initial(number, size, page, unit, tags)
        wrong = check(project(operations, number, page, unit), start, step)
        if wrong is not None:
            return Wrong(number, wrong)
    return None


def check_file(
    operations: Sequence[Operation],
    size: int,
    page: int,
    unit: int,
    tags: Sequence[int] = (),
    records: int = 0,
) -> Wrong | None:
    """Checks that reads, writes and truncations happen at once on all records together.

    Records that somebody stored through a mapping are left out: a read or a write may meet the
    store half-way.  Nothing is checked where a write or a truncation failed or did not end, nor
    what a crash left.  Arguments as `check_records`.
    """
    whole = [one for one in operations if one.name in ("read", "write", "truncate")]
    if any(one.returned is None and one.name != "read" for one in whole):
        return None
    stored = {one.arguments[0] for one in operations if one.name == "store"}
    numbers = [number for number in range(max(records, size)) if number not in stored]

    def file_step(state: tuple[Record, ...], operation: Operation) -> list[tuple[Record, ...]]:
        after = list(state)
        for index, number in enumerate(numbers):
            for one in project([operation], number, page, unit):
                found = list(step(after[index], one))
                if not found:
                    return []
                after[index] = found[0]  # nothing was stored behind the end
        return [tuple(after)]

    start = tuple(initial(number, size, page, unit, tags) for number in numbers)
    wrong = check(whole, start, file_step)
    return None if wrong is None else Wrong(None, wrong)


def fault_name(error: OSError) -> str:
    """The result of a mapped access that failed; any other error is the caller's."""
    if error.errno != errno.EFAULT:
        raise error
    return NO_PAGE

"""Processes that have results one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from genfscheck.checker.conform.streams import StreamError, streams


def _numbers(item: int) -> Iterator[tuple[int, int]]:
    for number in range(item):
        if item == 13:
            raise ValueError("13 is not liked")
        if item == 14:
            os._exit(3)
        yield os.getpid(), number


def test_one_item_needs_no_process() -> None:
    assert list(streams(_numbers, [3])) == [(os.getpid(), number) for number in range(3)]


def test_every_result_comes_once() -> None:
    found = list(streams(_numbers, [3, 5]))
    assert sorted(number for _, number in found) == [0, 0, 1, 1, 2, 2, 3, 4]
    assert len({pid for pid, _ in found} | {os.getpid()}) == 3


@pytest.mark.parametrize(("item", "why"), [(13, "13 is not liked"), (14, "status 3")])
def test_a_process_that_fails_is_told(item: int, why: str) -> None:
    with pytest.raises(StreamError, match=why):
        list(streams(_numbers, [2, item]))


def test_closing_ends_the_processes() -> None:
    results = streams(_numbers, [10_000_000, 10_000_000])
    pid, _ = next(results)
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

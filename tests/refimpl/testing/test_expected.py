"""The oracle of one file, by itself."""

from __future__ import annotations

from genfscheck.refimpl.testing import Expected


def test_without_doubt_only_one_answer_is_right() -> None:
    file = Expected("a")
    file.becomes(file.written(b"abc", 2))
    assert file.now == b"\0\0abc"
    assert file.read_wrong(b"\0abc", 1, 10) is None
    assert file.size_wrong(5) is None
    wrong = file.read_wrong(b"\0abd", 1, 10)
    assert wrong is not None and "byte 4" in wrong
    assert file.read_wrong(b"\0ab", 1, 10) == "3 bytes at 1, not 4"
    assert file.size_wrong(4) == "size 4, not 5"
    file.becomes(file.truncated(3))
    assert file.now == b"\0\0a"
    file.becomes(file.truncated(5))
    assert file.now == b"\0\0a\0\0"


def test_after_a_crash() -> None:
    file = Expected("a", [b"old old"])
    file.becomes(b"new old")
    file.becomes(b"new new++")
    for right in (b"old old", b"new old", b"old new", b"nld oew", b"new new++", b"old old+"):
        assert file.crash_wrong(right) is None, right
    assert file.crash_wrong(b"old xld") is not None
    assert file.crash_wrong(b"old ol") == "size 6, not from 7 to 9"
    assert file.crash_wrong(None) == "the file is missing"
    file.promised()
    assert file.crash_wrong(b"old old") is not None


def test_stale_bytes_only_where_something_was_written() -> None:
    file = Expected("a", [b"kept" + bytes(4) + bytes(8)])
    file.becomes(b"kept" + b"\0\1\0\0" + bytes(8))
    assert file.crash_wrong(b"kept" + b"\xee" * 4 + bytes(8), 8) is None
    assert file.crash_wrong(b"kept" + b"\xee" * 4 + bytes(8)) is not None
    assert file.crash_wrong(b"kep!" + bytes(12), 8) is not None  # promised, not written since
    assert file.crash_wrong(b"kept" + bytes(4) + b"\xee" * 8, 8) is not None  # another unit


def test_a_change_that_failed() -> None:
    file = Expected("a", [b"old"])
    file.attempted(b"newer")
    assert file.now == b"old" and file.doubt
    for right in (b"old", b"new", b"olwer", b"oldd"[:3]):
        assert file.read_wrong(right, 0, 9, len(right)) is None, right
    assert file.read_wrong(b"odd", 0, 9, 3) is not None
    assert file.size_wrong(5) is None and file.size_wrong(6) is not None
    file.promised()  # no promise counts now
    assert file.read_wrong(b"new", 0, 9, 3) is None
    file.found(b"new")
    assert file.read_wrong(b"old", 0, 9) is not None

"""The specification of a file of records: what it allows, and what it does not."""

from __future__ import annotations

import pytest

from genfscheck.refimpl.testing import RECORD, Operation
from genfscheck.refimpl.testing.records import check_file, check_records, decode, encode

PAGE = 4 * RECORD


def one(
    name: str, *arguments: object, result: object = None, at: tuple[int, int | None]
) -> Operation:
    return Operation("t", name, arguments, result, at[0], at[1])


def test_decode() -> None:
    assert decode(encode(7)) == "#7"
    assert decode(bytes(RECORD)) == "zero"
    assert decode(b"\xee" * RECORD) == "never written"
    assert decode(encode(7)[:100] + encode(8)[100:]).startswith("torn")
    assert decode(encode(7)[:100]).startswith("torn")


@pytest.mark.parametrize(
    ("operations", "record"),
    [
        # A write is seen, and so is what it left alone.
        (
            [
                one("write", 0, (5,), at=(1, 2)),
                one("read", 0, 2, result=("#5", "zero"), at=(3, 4)),
            ],
            None,
        ),
        ([one("write", 0, (5,), at=(1, 2)), one("read", 0, 1, result=("zero",), at=(3, 4))], 0),
        # A file that was cut is short; one that grew again holds zeros.
        ([one("truncate", 1, at=(1, 2)), one("read", 0, 2, result=("zero",), at=(3, 4))], None),
        ([one("truncate", 1, at=(1, 2)), one("read", 0, 2, result=("zero",) * 2, at=(3, 4))], 1),
        (
            [
                one("write", 1, (5,), at=(1, 2)),
                one("truncate", 1, at=(3, 4)),
                one("truncate", 2, at=(5, 6)),
                one("read", 0, 2, result=("zero", "#5"), at=(7, 8)),
            ],
            1,
        ),
        # One that did not return may have stored zeros and cut nothing; one that did has cut.
        *(
            (
                [
                    one("write", 1, (5,), at=(1, 2)),
                    one("truncate", 1, at=(3, end)),
                    one("read", 0, 2, result=("zero", found), at=(5, 6)),
                ],
                wrong,
            )
            for end, found, wrong in [
                (None, "zero", None),
                (None, "#5", None),
                (None, "#6", 1),
                (4, "zero", 1),
            ]
        ),
        # Behind the end: zeros in the same page, EFAULT beyond, either in the same block.
        ([one("truncate", 1, at=(1, 2)), one("load", 2, result="zero", at=(3, 4))], None),
        ([one("truncate", 1, at=(1, 2)), one("load", 2, result="EFAULT", at=(3, 4))], 2),
        ([one("load", 4, result="EFAULT", at=(3, 4))], None),
        ([one("load", 4, result="zero", at=(3, 4))], None),
        ([one("load", 8, result="zero", at=(3, 4))], 8),
        # What was stored behind the end may show when the file grows, or not.
        *(
            (
                [
                    one("truncate", 1, at=(1, 2)),
                    one("store", 2, 9, at=(3, 4)),
                    one("write", 3, (5,), at=(5, 6)),
                    one("read", 2, 1, result=(value,), at=(7, 8)),
                ],
                wrong,
            )
            for value, wrong in [("zero", None), ("#9", None), ("#8", 2)]
        ),
        # A write of several records is torn between records: each is judged by itself.
        (
            [
                one("write", 0, (5, 6), at=(1, 9)),
                one("load", 0, result="#5", at=(2, 3)),
                one("load", 1, result="zero", at=(4, 5)),
            ],
            None,
        ),
        ([one("read", 0, 1, result=("torn, 256 bytes",), at=(1, 2))], 0),
        # Nobody looked.
        ([one("write", 0, (5,), at=(1, 2)), one("read", 0, 1, result=(None,), at=(3, 4))], None),
    ],
)
def test_what_is_allowed(operations: list[Operation], record: int | None) -> None:
    wrong = check_records(operations, 2, PAGE, 2 * PAGE, records=9)
    assert (wrong.number if wrong else None) == record


@pytest.mark.parametrize(
    ("operations", "whole"),
    [
        # Half of a write, while it goes on or later.
        (
            [
                one("write", 0, (5, 6), at=(1, 4)),
                one("read", 0, 2, result=("#5", "zero"), at=(2, 3)),
            ],
            False,
        ),
        (
            [
                one("write", 0, (5, 6), at=(1, 4)),
                one("read", 0, 2, result=("zero", "zero"), at=(2, 3)),
                one("read", 0, 2, result=("#5", "#6"), at=(5, 6)),
            ],
            True,
        ),
        # Two writes that are mixed; two reads that see two writes in different orders.
        (
            [
                one("write", 0, (5, 6), at=(1, 4)),
                one("write", 0, (7, 8), at=(2, 3)),
                one("read", 0, 2, result=("#5", "#8"), at=(5, 6)),
            ],
            False,
        ),
        # A truncation cuts all records at once.
        (
            [
                one("truncate", 0, at=(1, 4)),
                one("read", 0, 2, result=("zero", "absent"), at=(2, 3)),
            ],
            False,
        ),
        # A record that was stored through a mapping says nothing.
        (
            [
                one("write", 0, (5, 6), at=(1, 4)),
                one("read", 0, 2, result=("#5", "zero"), at=(2, 3)),
                one("store", 1, 9, at=(5, 6)),
            ],
            True,
        ),
        # Nor do a write that did not end, and what a crash left.
        (
            [one("write", 0, (5, 6), at=(1, None)), one("read", 0, 1, result=("#5",), at=(2, 3))],
            True,
        ),
        (
            [
                one("write", 0, (5, 6), at=(1, 2)),
                one("found", 0, 2, result=("#5", "zero"), at=(0, 3)),
            ],
            True,
        ),
    ],
)
def test_a_file_as_a_whole(operations: list[Operation], whole: bool) -> None:
    """Each record has an order in all of them."""
    assert check_records(operations, 2, PAGE, PAGE) is None
    wrong = check_file(operations, 2, PAGE, PAGE)
    assert (wrong is None) == whole
    if wrong is not None:
        assert wrong.number is None and "each record has an order" in str(wrong)

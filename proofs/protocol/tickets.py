"""Buffers as the counters see them: what each adds to a counter, and what holds of each.

Two buffers are followed: the focus and the latest one (``@``).  For whoever starts transfers these
are the master and the nested buffer that it is making; for the device the buffer that it
completes and that one's parent; for the completion thread the one that it takes from its queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import z3

from ...checker.symbolic.obligations import FOCUS, State
from ...checker.symbolic.values import Value, as_bool
from .page import NULL_BUF

LATEST: Final = 2
FIELDS: Final = (
    "live", "dir", "b_async", "age", "b_bcount", "b_resid", "b_iodone", "parent", "done", "dev",
)  # fmt: skip
BUFFER: Final = tuple(f"bufs.{field}" for field in FIELDS)
# Members of Dir, Iodone and Dev.
WRITE, NO_CALL, NESTED, IDLE, QUEUED = 1, 0, 3, 0, 1
# What the proof keeps beside the program's own: the bytes of all its nested buffers; has the
# completion thread taken it from its queue; has the executing thread got it, and not let go.
GHOSTS: Final = ("bufs.out", "bufs.taken", "bufs.mine")
SUFFIXES: Final = ("", "@")


class Buffer:
    """One of the two, in one state."""

    def __init__(self, state: Mapping[tuple[str, int | str], Value], suffix: str) -> None:
        self.state, self.suffix = state, suffix

    def value(self, name: str) -> Value:
        return self.state["S", f"{name}{self.suffix}"]

    def number(self, field: str) -> z3.ArithRef:
        value = self.value(f"bufs.{field}")
        assert isinstance(value, z3.ArithRef)
        return value

    def truth(self, field: str) -> z3.BoolRef:
        return as_bool(self.value(f"bufs.{field}"))

    @property
    def mine(self) -> z3.BoolRef:
        return self.truth("mine")

    @property
    def nested(self) -> z3.BoolRef:
        return self.number("parent") != NULL_BUF

    @property
    def idle(self) -> z3.BoolRef:
        """The device has it not."""
        return self.number("dev") == IDLE

    @property
    def tickets(self) -> z3.ArithRef:
        """What it adds to v_numoutput: a write one until it is done, and a master (``age``)
        another until the completion thread has it."""
        return z3.If(
            z3.And(self.truth("live"), self.number("dir") == WRITE),
            z3.If(self.truth("done"), 0, 1)
            + z3.If(z3.And(self.truth("age"), z3.Not(self.truth("taken"))), 1, 0),
            z3.IntVal(0),
        )

    @property
    def part(self) -> z3.ArithRef:
        """What it adds to the ``out`` of its parent."""
        return z3.If(z3.And(self.truth("live"), self.nested), self.number("b_bcount"), 0)

    @property
    def share(self) -> z3.ArithRef:
        """What its own thread has still to start, or to account for."""
        return z3.If(
            z3.And(self.truth("live"), z3.Not(self.nested), z3.Not(self.truth("done")), self.idle),
            self.number("b_resid") - self.number("out"), z3.IntVal(0),
        )  # fmt: skip

    @property
    def untouched(self) -> z3.BoolRef:
        """Nothing of it is under way: no nested buffer, and not the whole of it."""
        return z3.And(self.number("out") == 0, self.idle, z3.Not(self.truth("done")))

    @property
    def waited_for(self) -> z3.BoolRef:
        """Its thread waits for it: the completion thread knows nothing of it."""
        return z3.And(z3.Not(self.truth("b_async")), self.number("b_iodone") == NO_CALL)

    @property
    def right(self) -> z3.BoolRef:
        """Do others at most complete what was started of it?"""
        return z3.Or(self.truth("taken"), self.share > 0, self.waited_for, self.untouched)

    @property
    def clean(self) -> z3.BoolRef:
        """As a free buffer is."""
        return z3.And(
            self.number("dir") != WRITE, z3.Not(self.nested), self.idle,
            self.number("b_iodone") == NO_CALL, self.number("b_resid") == 0,
            self.number("b_bcount") == 0, self.number("out") == 0,
            *(z3.Not(self.truth(each)) for each in ("b_async", "age", "done", "taken")),
        )  # fmt: skip

    def holds(self) -> Iterator[tuple[str, z3.BoolRef]]:
        """What holds of every buffer between two steps."""
        live, done, out = self.truth("live"), self.truth("done"), self.number("out")
        yield "a free buffer is not clean", z3.Or(live, self.clean)
        yield "less than nothing of a buffer is left", z3.And(
            out >= 0, self.share >= 0, self.number("b_bcount") >= 0, self.number("b_resid") >= 0)
        yield "a nested buffer is not as it should be", z3.Implies(self.nested, z3.And(
            self.number("b_bcount") > 0, out == 0, z3.Not(done), z3.Not(self.truth("age")),
            z3.Not(self.truth("taken"))))
        yield "a buffer's completion is another's", (
            (self.number("b_iodone") == NESTED) == self.nested)
        yield "a buffer is done that has nested ones, or that the device has", z3.Implies(
            done, z3.And(out == 0, self.idle))
        yield "the device has a buffer that has nested ones", z3.Or(self.idle, out == 0)
        yield "a buffer is finished that is not done", z3.Implies(self.truth("taken"), done)

    def kept(self, then: Buffer) -> Iterator[tuple[str, z3.BoolRef]]:
        """What others keep of a buffer on which its thread relies, from one step to another."""
        same = [self.value(f"bufs.{field}") == then.value(f"bufs.{field}")
                for field in ("live", "dir", "b_async", "age", "b_bcount", "b_iodone", "parent",
                              "taken")]
        yield "another's buffer is changed", z3.And(*same)
        yield "another's share is taken", self.share == then.share
        yield "a nested buffer is given to another's", self.number("out") <= then.number("out")
        yield "another's buffer goes to the device", z3.Implies(then.idle, self.idle)
        yield "what is done is not done again", z3.Implies(then.truth("done"), self.truth("done"))
        yield "a buffer is done too early", z3.Implies(
            z3.And(self.truth("done"), z3.Not(then.truth("done"))),
            z3.And(then.share == 0, z3.Or(then.number("out") > 0, z3.Not(then.idle))))
        yield "the residue of another's buffer is changed", z3.Implies(
            z3.And(then.number("out") == 0, then.idle),
            self.number("b_resid") == then.number("b_resid"))


def both(state: State) -> tuple[Buffer, Buffer]:
    """The focus and the latest one."""
    return Buffer(state, ""), Buffer(state, "@")


def nesting(state: State) -> z3.BoolRef:
    """The parts of nested buffers add up to ``out``, and each is positive: so none is larger."""
    focus, latest = both(state)
    return z3.And(
        z3.Implies(z3.And(focus.truth("live"), focus.number("parent") == LATEST),
                   focus.part <= latest.number("out")),
        z3.Implies(z3.And(latest.truth("live"), latest.number("parent") == FOCUS),
                   latest.part <= focus.number("out")),
    )  # fmt: skip

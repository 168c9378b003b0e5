"""Loops that start transfers, as the counters see them: what holds at their heads and ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import z3

from ...checker.symbolic.obligations import FOCUS
from ...checker.symbolic.view import Execution
from .contract import Args
from .tickets import NO_CALL, WRITE, Buffer, both
from .variables import Variables

# Loops that start the transfers of a master: the routine, whether it does not wait, where they
# begin, and whether they write.
STARTS: Final = (
    ("genfs_do_io", "genfs_do_io.async_", "genfs_do_io.startoffset", True),
    ("_read_loop", "", "startoffset", False),
)


def of_reading(buffer: Buffer) -> z3.BoolRef:
    """A master that is read into."""
    return z3.And(
        buffer.truth("live"), z3.Not(buffer.nested), z3.Not(buffer.truth("taken")),
        buffer.number("dir") != WRITE, z3.Or(buffer.waited_for, buffer.truth("b_async")),
    )  # fmt: skip


def made(execution: Execution, args: Args) -> z3.BoolRef:
    """The master is the thread's, nothing of it is under way, and it has so many bytes."""
    focus = both(execution.state)[0]
    return z3.And(
        focus.mine, of_reading(focus), focus.untouched, args.number("mbp") == FOCUS,
        focus.number("b_resid") == args.number("bytes"),
    )


def read_so_far(
    execution: Execution, args: Args, waits: z3.BoolRef
) -> Iterator[tuple[str, z3.BoolRef]]:
    """The loop has ended: what it skipped is left to its caller."""
    focus, skipped = both(execution.state)[0], args.number("skipbytes")
    yield "less than nothing is skipped", skipped >= 0
    yield "the share is not what was skipped", focus.share == skipped
    yield "something is under way that was not started", z3.Or(
        args.truth("started"), focus.untouched, z3.Not(focus.mine))
    yield "the buffer is lost", z3.Implies(z3.Or(skipped > 0, waits), focus.mine)
    yield "the buffer is not what it was made", z3.Implies(focus.mine, z3.And(
        of_reading(focus), waits == focus.waited_for))


def starting(
    execution: Execution, routine: str, wait: z3.BoolRef, begin: str, writes: bool
) -> Mapping[str, z3.BoolRef]:
    """Of the loop that starts the transfers of one master."""
    focus, _ = both(execution.state)
    local = Variables(execution)
    rest, skipped = local(f"{routine}.bytes_"), local(f"{routine}.skipbytes")
    hole = local(f"{routine}.iobytes")
    names = {var.name for var in execution.thread.locals}
    started = {f"{routine}: nothing is under way unless it was started": z3.Or(
        local.truth(f"{routine}.started"), focus.untouched, z3.Not(focus.mine)),
        f"{routine}: one page at least": local(f"{routine}.pcount") >= 1,
    } if f"{routine}.started" in names else {}
    return started | {
        f"{routine}: the share is what is left": focus.share == rest + skipped,
        f"{routine}: not less than nothing": z3.And(rest >= 0, skipped >= 0),
        f"{routine}: the share is what is left, but the hole": (
            focus.share == rest + skipped - hole),
        f"{routine}: a piece is something": hole > 0,
        f"{routine}: something is left": rest > 0,
        f"{routine}: skipped behind the begin": skipped <= (
            local(f"{routine}.offset") - local(begin)),
        f"{routine}: skipped behind the begin, but the hole": skipped - hole <= (
            local(f"{routine}.offset") - local(begin)),
        f"{routine}: nothing is started at the begin": z3.And(
            local(f"{routine}.offset") >= local(begin),
            z3.Or(local(f"{routine}.offset") > local(begin), focus.untouched)),
        f"{routine}: has the buffer": z3.Implies(
            z3.Or(focus.share > 0, wait), focus.mine),
        f"{routine}: the buffer is what it was made": z3.Implies(focus.mine, z3.And(
            focus.truth("live"), z3.Not(focus.nested), z3.Not(focus.truth("taken")),
            focus.truth("b_async") == z3.Not(wait),
            z3.Implies(wait, focus.number("b_iodone") == NO_CALL),
            (focus.number("dir") == WRITE) == z3.BoolVal(writes))),
    }

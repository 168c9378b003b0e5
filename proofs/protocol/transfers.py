"""The master buffer of a request, and its window: who may touch them, and the pages in it.

The focus of the pool of buffers is the one that the thread gets first while it has none; for
the completion thread it is the one that it takes from its queue.  Whoever starts transfers has
a *share* of the buffer's residue: the bytes that it has neither handed to a nested buffer nor
accounted for.  While the share is positive the buffer cannot be done, since every nested
buffer takes off what it was given, once; so nobody else touches the buffer, its window, or
who owns its pages.  An asynchronous request is let go when the share is used up; a
synchronous one, of which the completion thread knows nothing, when its thread gives it up.
"""

from __future__ import annotations

from typing import Final

import z3

from ...checker.symbolic.obligations import FOCUS, ME, NOBODY
from ...checker.symbolic.values import Value, as_bool
from ...checker.symbolic.view import Execution
from .page import NULL_BUF, Seen, Slots

# Of the buffer; NESTED and QUEUED are members of Iodone and Dev.
FIELDS: Final = ("live", "owner", "parent", "dir", "b_async", "b_iodone", "b_resid", "done", "kva")
BUFFER: Final = tuple(f"bufs.{field}" for field in FIELDS)
WINDOW: Final = ("kvas.npages", "kvas.map")
NO_CALL, QUEUED, WRITE = 0, 1, 1
LATEST: Final = 2
# What the thread knows beside the variables: has it the buffer, the window; its share.
GHOSTS: Final = ("buffer.mine", "window.mine", "buffer.share")
MAP: Final = Slots("kvas.map", z3.IntVal(0))


class Buffer:
    """Predicates about the buffer in one state."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.state = seen.state

    def field(self, name: str) -> Value:
        return self.state["S", f"bufs.{name}"]

    @property
    def mine(self) -> z3.BoolRef:
        """Has the thread taken it, and not let go?"""
        return as_bool(self.state["S", "buffer.mine"])

    @property
    def share(self) -> z3.ArithRef:
        value = self.state["S", "buffer.share"]
        assert isinstance(value, z3.ArithRef)
        return value

    @property
    def private(self) -> z3.BoolRef:
        """Has the thread handed nothing over yet, or taken it back?"""
        return self.field("owner") == ME

    @property
    def passes(self) -> z3.BoolRef:
        """Does it own its pages while transfers are under way?"""
        return z3.Or(as_bool(self.field("b_async")), self.field("dir") == WRITE)

    @property
    def waited_for(self) -> z3.BoolRef:
        """Is it one that its thread waits for?"""
        return z3.And(z3.Not(as_bool(self.field("b_async"))), self.field("b_iodone") == NO_CALL)

    @property
    def right(self) -> z3.BoolRef:
        """Does nobody else touch it?"""
        return z3.And(self.mine, z3.Or(self.private, self.share > 0, self.waited_for))

    @property
    def count(self) -> z3.ArithRef:
        value = self.state["S", "kvas.npages"]
        assert isinstance(value, z3.ArithRef)
        return value

    @property
    def in_window(self) -> z3.BoolRef:
        return self.seen.inside(MAP, 0, self.count)

    @property
    def has_page(self) -> z3.BoolRef:
        """Does the buffer own the page?"""
        return self.state["S", "pages.io"] == FOCUS

    @property
    def whole(self) -> z3.BoolRef:
        """What holds of a buffer that its thread has let go, until it is finished."""
        return z3.And(
            as_bool(self.field("live")), self.field("parent") == NULL_BUF, self.passes,
            self.field("owner") == NOBODY, self.field("kva") == 0,
            self.in_window == self.has_page, self.seen.once(MAP),
        )  # fmt: skip


def begin(execution: Execution, starts: bool) -> None:
    """The thread has no buffer and no window."""
    state = execution.state
    state["S", "buffer.mine"] = z3.BoolVal(False)
    state["S", "window.mine"] = z3.BoolVal(False)
    state["S", "buffer.share"] = z3.IntVal(0)
    state["S", "bufs.parent@"] = execution.new("parent", z3.IntSort())
    state["S", "bufs.b_bcount@"] = execution.new("b_bcount", z3.IntSort())
    unknown(execution, Buffer(Seen(state)), z3.BoolVal(False), z3.BoolVal(False), starts)


def unknown(
    execution: Execution, then: Buffer, kept: z3.BoolRef, window: z3.BoolRef, starts: bool
) -> None:
    """Others run; ``kept``, ``window``: the buffer and the window are the thread's own.

    ``starts``: the focus is the free buffer that the thread will get.
    """
    state = execution.state
    for name in BUFFER:
        var = execution.program.shared[execution.names[name]]
        state["S", name] = execution.fresh(name, var.domain)
    now = Buffer(Seen(state))
    private = z3.And(kept, then.private)
    residue, done = now.field("b_resid"), as_bool(now.field("done"))
    execution.facts.append(now.field("owner") != ME)
    execution.facts.append(z3.Implies(kept, z3.And(
        residue >= then.share, z3.Implies(then.share > 0, z3.Not(done)))))
    for name in BUFFER:
        same = private if name in ("bufs.b_resid", "bufs.done") else kept
        state["S", name] = z3.If(same, then.state["S", name], state["S", name])
    npages = execution.new("kvas.npages", z3.IntSort())
    state["S", "kvas.npages"] = z3.If(window, then.count, npages)
    old = {part: then.state.get((part, "kvas.map")) for part in ("in", "at", "in2", "at2")}
    execution.new_array("kvas.map", execution.program.shared[execution.names["kvas.map"]].domain,
                        twice=True)
    for part, value in old.items():
        if value is not None:
            state[part, "kvas.map"] = z3.If(window, value, state[part, "kvas.map"])
    if starts:
        execution.facts.append(z3.Implies(z3.Not(then.mine), z3.Not(
            as_bool(state["S", "bufs.live"]))))


def anything(execution: Execution) -> None:
    """A routine has run that starts transfers; the window, if it is still had, is as it was."""
    state = execution.state
    then = Buffer(Seen(dict(state)))
    state["S", "buffer.mine"] = execution.truth("buffer.mine")
    state["S", "window.mine"] = execution.truth("window.mine")
    state["S", "buffer.share"] = execution.new("buffer.share", z3.IntSort())
    unknown(execution, then, z3.BoolVal(False), as_bool(state["S", "window.mine"]), False)
    private = execution.truth("private")
    state["S", "bufs.owner"] = z3.If(private, z3.IntVal(ME), state["S", "bufs.owner"])


def interfere(execution: Execution, starts: bool) -> z3.BoolRef:
    """Returns whether the buffer is kept, and with it who owns its pages."""
    state = execution.state
    then = Buffer(Seen(dict(state)))
    kept = then.right
    lost = z3.And(then.mine, z3.Not(kept))
    window = z3.And(as_bool(state["S", "window.mine"]), z3.Not(lost))
    unknown(execution, then, kept, window, starts)
    state["S", "buffer.mine"] = kept
    state["S", "window.mine"] = window
    return kept


def guarantee(execution: Execution) -> None:
    """What is let go here is such that it can be finished by somebody else."""
    buffer = Buffer(Seen(execution.state))
    if z3.is_false(buffer.mine):
        return
    execution.oblige("guarantee", "buffer", z3.Or(
        z3.Not(buffer.mine), buffer.right, buffer.whole),
        "a buffer is let go that cannot be finished")  # fmt: skip


def before(execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
    """Stores to the buffer and the window are made by who has them; the share goes down."""
    state = execution.state
    buffer = Buffer(Seen(state))
    taken = z3.BoolVal(False)
    if name in ("bufs.live", "kvas.live"):
        taken = z3.simplify(as_bool(value))
    if name in BUFFER:
        execution.oblige("buffer", name, z3.Implies(focus, z3.Or(
            buffer.mine, z3.And(taken, z3.Not(as_bool(buffer.field("live")))))),
            "a buffer of another is changed")  # fmt: skip
    if name in WINDOW:
        execution.oblige("buffer", name, as_bool(state["S", "window.mine"]),
                         "a window of another is changed")
    if name == "bufs.live":
        execution.oblige("buffer", "given up", z3.Implies(z3.And(focus, z3.Not(taken)), z3.And(
            buffer.field("parent") == NULL_BUF, z3.Not(buffer.has_page))),
            "a buffer is given up that has pages, or a parent")  # fmt: skip
        fresh = z3.And(focus, taken)
        execution.assume(z3.Implies(fresh, z3.And(
            buffer.field("parent") == NULL_BUF, z3.Not(buffer.has_page))))
        state["S", "buffer.mine"] = z3.If(focus, taken, buffer.mine)
        state["S", "buffer.share"] = z3.If(fresh, z3.IntVal(0), buffer.share)
    if name == "kvas.live":
        # Free windows are empty.
        if z3.is_true(taken):
            for part in ("in", "in2"):
                state[part, "kvas.map"] = z3.BoolVal(False)
        else:
            execution.oblige("buffer", "emptied", z3.Not(buffer.seen.anywhere(MAP)),
                             "a window is given up that maps pages")
        state["S", "window.mine"] = taken
    if name == "bufs.b_resid":
        assert isinstance(value, z3.ArithRef)
        off = state["S", name] - value
        left = z3.If(buffer.private, value, buffer.share - z3.If(off > 0, off, z3.IntVal(0)))
        state["S", "buffer.share"] = z3.If(focus, left, buffer.share)
    if name == "bufs.dev" and z3.is_int_value(value) and value.as_long() == QUEUED:
        # The device has the master itself: all of it.
        state["S", "buffer.share"] = z3.If(focus, z3.IntVal(0), buffer.share)


def stored(execution: Execution, name: str, latest: z3.BoolRef, value: Value) -> None:
    """A nested buffer takes its part of the residue with it when the device gets it."""
    if name == "bufs.dev" and z3.is_int_value(value) and value.as_long() == QUEUED:
        state = execution.state
        share, part = state["S", "buffer.share"], state["S", "bufs.b_bcount@"]
        nested = z3.And(latest, state["S", "bufs.parent@"] == FOCUS)
        execution.oblige("buffer", name, z3.Implies(nested, part >= 0),
                         "a nested buffer is given less than nothing")
        state["S", "buffer.share"] = z3.If(nested, share - part, share)


def renamed(execution: Execution) -> None:
    """Another buffer is taken: the one taken last before it is one of the others now."""
    state = execution.state
    for number, var in enumerate(execution.thread.locals):
        if var.domain.kind == "ref" and var.domain.pool.startswith("bufs") and not var.is_array:
            value = state["L", number]
            state["L", number] = z3.If(value == LATEST, z3.IntVal(0), value)
    for key in (("S", "pages.io"), ("G", "pages.io"), ("S", "bufs.parent")):
        state[key] = z3.If(state[key] == LATEST, z3.IntVal(0), state[key])
    state["S", "bufs.parent@"] = z3.IntVal(NULL_BUF)


def listed(execution: Execution, name: str, node: Value, insert: bool) -> None:
    """The queue of the completion thread: what is in it can be finished."""
    if name != "uvm.aiodone":
        return
    state = execution.state
    buffer = Buffer(Seen(state))
    focus = node == FOCUS
    if insert:
        execution.oblige("buffer", "queued", z3.Implies(focus, buffer.whole),
                         "a buffer is queued that cannot be finished")
        for ghost in GHOSTS[:2]:
            state["S", ghost] = z3.And(as_bool(state["S", ghost]), z3.Not(focus))
    else:
        execution.oblige("buffer", "one at a time", z3.Not(z3.Or(
            buffer.mine, as_bool(state["S", "window.mine"]), buffer.seen.mine)),
            "a buffer is taken while pages of another are not finished")  # fmt: skip
        execution.assume(z3.Implies(focus, buffer.whole))
        for ghost in GHOSTS[:2]:
            state["S", ghost] = z3.Or(as_bool(state["S", ghost]), focus)
        state["S", "buffer.share"] = z3.IntVal(0)

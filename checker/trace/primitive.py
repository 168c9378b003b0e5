"""Steps of synchronisation primitives, in the words that a kernel engineer would use."""

from __future__ import annotations

from collections.abc import Sequence

from ..explore.interpret import State
from ..lang import ir
from .explain import evaluate, locks_held
from .names import Names


def describe(
    names: Names,
    name: str,
    inner: str,
    instrs: Sequence[ir.Instr],
    thread: int,
    before: State,
    after: State,
) -> str:
    """What a step of primitive ``name`` (in its part ``inner``) did."""
    subject = _subject(names, instrs, thread, before)
    who = names.thread(thread)
    if name in ("sleep_on", "cv_wait"):
        if inner == "_fall_asleep":
            return f"sleeps on {_channel(names, after, thread)}, releasing {subject}"
        if inner == "_woken":
            return "goes on after its sleep"
        return f"{name}: takes {subject} again"
    if name == "wakeup":
        woken = [
            f"{names.thread(t)} from {_channel(names, before, t)}"
            for t in range(len(names.program.threads))
            if _sleeping(names, before, t) and not _sleeping(names, after, t)
        ]
        return f"wakeup: wakes {', '.join(woken)}" if woken else "wakeup: nobody sleeps there"
    gained = set(locks_held(names, after, thread)) - set(locks_held(names, before, thread))
    text = f"{name}({subject})"
    if "tryenter" in name:
        return f"{text}: {'taken' if gained else 'not taken'}"
    if inner == "_rw_arrive" and not gained:
        return f"{text}: must wait"
    if inner == "_rw_granted":
        return f"{text}: granted"
    handed = [
        f"{names.thread(t)} ({lock.partition(' (')[2]}"
        for t in range(len(names.program.threads))
        if t != thread
        for lock in locks_held(names, after, t)
        if lock not in locks_held(names, before, t)
    ]
    if handed:
        return f"{text}: {who} hands over to {', '.join(handed)}"
    return text


def _subject(names: Names, instrs: Sequence[ir.Instr], thread: int, before: State) -> str:
    """The lock that the step is about: the first one that it looks at."""
    for instr in instrs:
        for access in ir.accesses(instr.action):
            var = names.program.shared[access.var]
            if not var.pure_sync or var.name == "threads.wchan":
                continue
            element = evaluate(access.index, before, thread)
            if element is not None and 0 <= element < var.length:
                return names.element(access.var, element).rpartition(".")[0]
    return "?"


def _wchan(names: Names) -> int | None:
    for number, var in enumerate(names.program.shared):
        if var.name == "threads.wchan":
            return number
    return None


def _sleeping(names: Names, state: State, thread: int) -> bool:
    var = _wchan(names)
    return var is not None and state.shared[var][thread] != 0


def _channel(names: Names, state: State, thread: int) -> str:
    var = _wchan(names)
    if var is None:
        return "a queue"
    return names.value(var, state.shared[var][thread])

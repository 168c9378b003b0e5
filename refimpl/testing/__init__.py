"""Tests of a page cache that generate themselves; for the reference implementation, or yours.

`PageCacheMachine` compares random operations of one thread with plain byte arrays, with
faults and crashes.  Derive from it and say how to mount what you want to test::

    class MyMachine(PageCacheMachine):
        def implementation(self, configuration):
            return MyFileSystem()          # an `Implementation`

    TestMine = MyMachine.TestCase

`run_threads` plays random tasks on real threads, and `explain` looks for an order of the
operations that gives what they returned.  `run_scheduled` plays them on the reference
implementation under a schedule that Hypothesis draws, `explore` under every one with one
preemption; `meetings` has tasks for it.  Hypothesis must be installed (the extra "test").
``docs/testing.md`` describes it all.
"""

from .api import (
    ADVICE,
    CRASH,
    CRASH_AT,
    DIRECT,
    FEATURES,
    INSIDE,
    MMAP,
    REMOVE,
    Broken,
    Handle,
    Implementation,
    Inside,
    Mapped,
    PowerLost,
)
from .concurrent import Fault, Task, explain, random_task, run_threads
from .expected import Expected
from .history import History, Operation, Unexplained, check, linearizable
from .machine import PageCacheMachine
from .player import Call, Player
from .priorities import Place, Prioritized
from .programs import ENDS, LAST, POWER, PROMISE, REMOUNT, UNMOUNT, machines, tasks
from .records import RECORD, Wrong
from .reference import Reference, ReferenceMachine, geometries
from .running import Run, run_scheduled, schedule
from .schedules import Drawn
from .systematic import Directed, explore, orders, places

__all__ = [
    "ADVICE",
    "CRASH",
    "CRASH_AT",
    "DIRECT",
    "ENDS",
    "FEATURES",
    "LAST",
    "MMAP",
    "POWER",
    "PROMISE",
    "RECORD",
    "REMOUNT",
    "REMOVE",
    "Broken",
    "Call",
    "Directed",
    "Drawn",
    "Expected",
    "Fault",
    "Handle",
    "INSIDE",
    "History",
    "Implementation",
    "Inside",
    "Mapped",
    "Operation",
    "PageCacheMachine",
    "Place",
    "Player",
    "PowerLost",
    "Prioritized",
    "Reference",
    "ReferenceMachine",
    "Run",
    "Task",
    "UNMOUNT",
    "Unexplained",
    "Wrong",
    "check",
    "explain",
    "explore",
    "geometries",
    "linearizable",
    "machines",
    "orders",
    "places",
    "random_task",
    "run_scheduled",
    "run_threads",
    "schedule",
    "tasks",
]

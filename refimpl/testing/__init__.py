"""Tests of a page cache that generate themselves; for the reference implementation, or yours.

`PageCacheMachine` compares random operations of one thread with plain byte arrays, with
faults and crashes.  Derive from it and say how to mount what you want to test::

    class MyMachine(PageCacheMachine):
        def implementation(self, configuration):
            return MyFileSystem()          # an `Implementation`

    TestMine = MyMachine.TestCase

`run_threads` plays random tasks on real threads, and `explain` looks for an order of the
operations that gives what they returned.  `run_scheduled` plays them on the reference
implementation under a schedule that Hypothesis draws.  Hypothesis must be installed (the
extra "test").  ``docs/testing.md`` describes it all.
"""

from .api import (
    ADVICE,
    CRASH,
    CRASH_AT,
    DIRECT,
    FEATURES,
    MMAP,
    REMOVE,
    Broken,
    Handle,
    Implementation,
    Mapped,
    PowerLost,
)
from .concurrent import Call, Fault, Task, explain, random_task, run_threads
from .expected import Expected
from .history import History, Operation, Unexplained, check, linearizable
from .machine import PageCacheMachine
from .programs import ENDS, POWER, PROMISE, REMOUNT, machines, tasks
from .records import RECORD, Wrong
from .reference import Reference, ReferenceMachine, geometries
from .schedules import Drawn, Run, run_scheduled, schedule

__all__ = [
    "ADVICE",
    "CRASH",
    "CRASH_AT",
    "DIRECT",
    "ENDS",
    "FEATURES",
    "MMAP",
    "POWER",
    "PROMISE",
    "RECORD",
    "REMOUNT",
    "REMOVE",
    "Broken",
    "Call",
    "Drawn",
    "Expected",
    "Fault",
    "Handle",
    "History",
    "Implementation",
    "Mapped",
    "Operation",
    "PageCacheMachine",
    "PowerLost",
    "Reference",
    "ReferenceMachine",
    "Run",
    "Task",
    "Unexplained",
    "Wrong",
    "check",
    "explain",
    "geometries",
    "linearizable",
    "machines",
    "random_task",
    "run_scheduled",
    "run_threads",
    "schedule",
    "tasks",
]

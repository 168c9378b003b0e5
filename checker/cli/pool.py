"""Running jobs in processes of their own: each ends by itself, none takes the others along."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeAlias, TypeVar

from ..lang.errors import ModelError, ScenarioError
from ..trace.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running job said about itself."""

    index: int
    numbers: dict[str, int]


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """A job's result."""

    index: int
    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that ended without a result; ``usage``: for a reason the user can mend."""

    index: int
    message: str
    usage: bool


Report: TypeAlias = Callable[[dict[str, int]], None]
Job: TypeAlias = Callable[[Item, Report], Result]
_BAD_INPUT = (DataError, ModelError, ScenarioError)


def run_jobs(
    job: Job[Item, Result], items: Sequence[Item], workers: int
) -> Generator[Progress | Done[Result] | Failed, None, None]:
    """Run the job on every item, at most ``workers`` at a time, and tell what happens.

    What the caller has loaded already, the jobs need not load again where processes fork.
    Closing the iterator ends the jobs that still run.
    """
    context = (
        multiprocessing.get_context("fork")
        if "fork" in multiprocessing.get_all_start_methods()
        else multiprocessing.get_context("spawn")
    )
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    waiting = list(enumerate(items))
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index, item = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(job, item, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = (index, process)
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                index, child = running[ready]
                try:
                    kind, value = ready.recv()
                except EOFError:
                    child.join()
                    kind, value = "died", child.exitcode
                if kind == "progress":
                    yield Progress(index, value)
                    continue
                del running[ready]
                ready.close()
                child.join()
                if kind == "done":
                    yield Done(index, value)
                elif kind == "died":
                    yield Failed(index, _death(value), False)
                else:
                    yield Failed(index, value, kind == "usage")
    finally:
        for connection, (_, child) in running.items():
            child.terminate()
            child.join()
            connection.close()


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "the process was killed, most likely for want of memory: lower --max-memory"
    return f"the process ended with status {code}"


def _child(job: Job[Item, Result], item: Item, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        result = job(item, lambda numbers: connection.send(("progress", numbers)))
        connection.send(("done", result))
    except _BAD_INPUT as error:
        connection.send(("usage", str(error)))
    except MemoryError:
        connection.send(("internal", "out of memory: lower --max-memory"))
    except Exception:
        connection.send(("internal", traceback.format_exc()))
    finally:
        connection.close()

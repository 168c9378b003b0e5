"""Several processes that each have results one after the other."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class StreamError(RuntimeError):
    """A process ended before its results did; the text is its own."""


def streams(
    body: Callable[[Item], Iterable[Result]], items: Sequence[Item]
) -> Iterator[Result]:
    """The results of ``body`` on every item, as they come; one process for each but the only one.

    Closing the iterator ends the processes.
    """
    if len(items) == 1:
        yield from body(items[0])
        return
    context = (
        multiprocessing.get_context("fork")
        if "fork" in multiprocessing.get_all_start_methods()
        else multiprocessing.get_context("spawn")
    )
    running: dict[Connection, BaseProcess] = {}
    try:
        for item in items:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(body, item, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = process
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                try:
                    kind, value = ready.recv()
                except EOFError:
                    running[ready].join()
                    code = running[ready].exitcode
                    kind, value = "error", f"the process ended with status {code}"
                if kind == "result":
                    yield value
                    continue
                running.pop(ready).join()
                ready.close()
                if kind == "error":
                    raise StreamError(value)
    finally:
        for connection, child in running.items():
            child.terminate()
            child.join()
            connection.close()


def _child(
    body: Callable[[Item], Iterable[Result]], item: Item, connection: Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for result in body(item):
            connection.send(("result", result))
        connection.send(("end", None))
    except Exception:
        connection.send(("error", traceback.format_exc()))
    finally:
        connection.close()

"""Load: many threads, many files, less memory than data; every byte compared with an oracle.

``python -m genfscheck.refimpl.load --seconds 3600`` runs it for an hour.  Each thread owns
files, in which it does everything, and stripes of a few files that all share.  An error, a
hang, a byte that is not what was written, or something that grows without end is a
`LoadFailure`; at the end every file is compared, and again after a remount.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .file import File
from .image import format_image
from .mount import FileSystem, mount

LARGEST = 24 * 1024  # bytes in a file
STRIPE = 700  # bytes of a shared file that one thread owns at a time; not a divisor of a page
SHARED = 8  # files that all threads use


class LoadFailure(Exception):
    """Something that must not happen under load."""


@dataclass(frozen=True)
class Sample:
    """What was in use at one moment, when nobody was inside an operation."""

    seconds: float
    operations: int
    threads: int
    descriptors: int
    free: int
    resident: int  # pages that files have
    buffers: int
    arrays: int
    pager_pages: int

    @property
    def pages(self) -> int:
        return self.free + self.resident

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s {self.operations:9d} operations, {self.threads} threads, "
            f"{self.descriptors} descriptors, {self.pages} pages ({self.free} free), "
            f"{self.buffers} buffers, {self.arrays} arrays, {self.pager_pages} pager pages"
        )


@dataclass
class Report:
    """How a load went."""

    samples: list[Sample] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)
    compared: int = 0  # bytes, at the end, twice
    image: int = 0  # bytes of data that the image can hold
    memory: int = 0  # bytes of the page pool
    paged_out: int = 0  # pages that the page daemon freed without a write; a lower bound

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {name}" for name, count in self.operations.most_common())
        return (
            f"{sum(self.operations.values())} operations ({kinds})\n"
            f"{self.compared} bytes compared; image {self.image >> 10} KiB, "
            f"page pool {self.memory >> 10} KiB"
        )


class _Worker:
    """One thread: its files, its stripes, and what must be in them."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._chance = random.Random(f"{load.seed} {number}")
        self.number = number
        self.files = {name: b"" for name in load.owned(number)}
        self._names = list(self.files)
        stripes = range(number, load.stripes, load.threads)
        self.stripes = {(name, one): bytes(STRIPE) for name in load.shared for one in stripes}
        self._keys = list(self.stripes)
        self.done: Counter[str] = Counter()

    def turn(self) -> None:
        """One visit to one file: open, a few operations, close."""
        chance = self._chance
        if self._keys and chance.random() < 0.3:
            self._visit_stripe(*chance.choice(self._keys))
            return
        name = chance.choice(self._names)
        if chance.random() < 0.03:
            self._load.fs.remove(name)
            self._load.fs.open(name, "x+").close()
            self.files[name] = b""
            self._count("replace")
            return
        with self._load.fs.open(name, "r+", direct=chance.random() < 0.1) as file:
            for _ in range(chance.randint(1, 4)):
                self._operate(name, file)

    def _operate(self, name: str, file: File) -> None:
        chance, known = self._chance, self.files[name]
        what = chance.randrange(10)
        if what < 3 or not known:
            offset = chance.randrange(min(len(known) + 2000, LARGEST - 8192) + 1)
            data = chance.randbytes(chance.choice([chance.randint(1, 200), 512, 4096, 8192]))
            self._same(file.pwrite(data, offset), len(data), name, "a count of bytes written")
            grown = known + bytes(max(0, offset - len(known)))
            self.files[name] = grown[:offset] + data + grown[offset + len(data) :]
            self._count("write")
        elif what < 5:
            offset = chance.randrange(len(known))
            length = chance.randint(1, 12000)
            self._same(file.pread(length, offset), known[offset : offset + length], name, "a read")
            self._count("read")
        elif what < 6:
            size = chance.randrange(min(2 * len(known), LARGEST) + 1)
            file.truncate(size)
            self.files[name] = known[:size] + bytes(max(0, size - len(known)))
            self._count("truncate")
        elif what < 9:
            self._operate_mapped(name, file)
        else:
            file.fsync()
            self._count("fsync")

    def _operate_mapped(self, name: str, file: File) -> None:
        chance, known = self._chance, self.files[name]
        with file.mmap() as mapped:
            start = chance.randrange(len(known))
            stop = min(len(known), start + chance.randint(1, 5000))
            if chance.random() < 0.2:
                mapped.willneed()
            if chance.random() < 0.6:
                data = chance.randbytes(stop - start)
                mapped[start:stop] = data
                self.files[name] = known[:start] + data + known[stop:]
                self._count("store")
            else:
                self._same(mapped[start:stop], known[start:stop], name, "a load")
                self._count("load")
            if chance.random() < 0.4:
                mapped.sync(wait=chance.random() < 0.5, invalidate=chance.random() < 0.5)
                self._count("msync")
            if chance.random() < 0.1:
                mapped.dontneed()

    def _visit_stripe(self, name: str, stripe: int) -> None:
        chance = self._chance
        offset = stripe * STRIPE
        with self._load.fs.open(name, "r+") as file:
            if chance.random() < 0.5:
                self._same(file.pread(STRIPE, offset), self.stripes[name, stripe], name, "a read")
                data = chance.randbytes(STRIPE)
                self._same(file.pwrite(data, offset), STRIPE, name, "a count of bytes written")
            else:
                with file.mmap() as mapped:
                    known = self.stripes[name, stripe]
                    self._same(mapped[offset : offset + STRIPE], known, name, "a load")
                    data = chance.randbytes(STRIPE)
                    mapped[offset : offset + STRIPE] = data
                    if chance.random() < 0.2:
                        mapped.sync(offset, STRIPE)
            self.stripes[name, stripe] = data
            self._count("stripe")

    def _count(self, what: str) -> None:
        self.done[what] += 1

    def _same(self, got: object, wanted: object, name: str, what: str) -> None:
        if got != wanted:
            raise LoadFailure(f"thread {self.number}, {name}: {what} differs{_where(got, wanted)}")


def _where(got: object, wanted: object) -> str:
    if not isinstance(got, bytes) or not isinstance(wanted, bytes):
        return f": {got}, not {wanted}"
    if len(got) != len(wanted):
        return f": {len(got)} bytes, not {len(wanted)}"
    at = next(i for i in range(len(got)) if got[i] != wanted[i])
    return f" from byte {at} of {len(got)} on: {got[at : at + 8].hex(' ')}, not " + wanted[
        at : at + 8
    ].hex(" ")


class Load:
    """A mounted image under load; `run` does it all."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        threads: int = 16,
        files: int = 1000,
        seed: int = 0,
        memory_pages: int = 512,
        block_size: int = 1024,
        journal: bool = True,
        patience: float = 60.0,
        **knobs: object,
    ) -> None:
        if threads < 1 or files < threads + SHARED:
            raise ValueError(f"{files} files are too few for {threads} threads")
        self.seed = seed
        self.threads = threads
        self.shared = [f"shared{number}" for number in range(SHARED)]
        self._files = files - SHARED
        self.stripes = 4 * threads
        self._image = Path(directory) / "load.img"
        # Room for all files at their largest, and for blocks that wait until they can be reused.
        size = files * 3 * LARGEST // 2
        longest = max(2 * LARGEST, self.stripes * STRIPE)
        # A file that is removed while the syncer has it keeps its inode a little longer.
        inodes = files + 4 * threads
        format_image(self._image, size, block_size, inodes, longest, fill=b"\xee")
        chosen: dict[str, object] = {
            "memory_pages": memory_pages,
            "journal": journal,
            "patience": patience,
            "durable": False,
            "syncer_period": 0.1,
            "syncer_delay": 0.5,
            "io_seed": seed,
        }
        self._knobs = chosen | knobs
        self.fs: FileSystem = mount(self._image, None, **self._knobs)
        self.report = Report(image=size, memory=memory_pages * self.fs.kernel.page_size)
        self._workers = [_Worker(self, number) for number in range(threads)]
        self._stop = False
        self._failures: list[BaseException] = []
        self._pause = False
        self._idle = 0  # threads that keep the pause
        self._changed = threading.Condition()

    def owned(self, number: int) -> list[str]:
        """The files of one thread."""
        return [f"file{one}" for one in range(number, self._files, self.threads)]

    def run(
        self, seconds: float, every: float = 10.0, told: Callable[[str], None] | None = None
    ) -> Report:
        """Runs for ``seconds``; then compares all files.

        A sample is taken ``every`` so many seconds, and at least three are: what grows shows
        only between two of them.  Raises ValueError if ``seconds`` are not positive.
        """
        try:
            if not 0 < seconds < math.inf:
                raise ValueError(f"{seconds} seconds: expected a positive number")
            every = min(every, seconds / 3)
            self._create()
            self._work(seconds, every, told)
            self._compare()
            self.fs.unmount()
            self.fs = mount(self._image, None, **self._knobs)
            self._compare()
            self.fs.unmount()
        except OSError as error:  # no fault was ordered
            raise LoadFailure(f"{type(error).__name__}: {error}") from error
        finally:
            if self.fs.mounted:
                self.fs.crash()
        for worker in self._workers:
            self.report.operations += worker.done
        self._judge()
        return self.report

    def _create(self) -> None:
        for worker in self._workers:
            for name in worker.files:
                self.fs.open(name, "x").close()
        for name in self.shared:
            with self.fs.open(name, "x+") as file:
                file.truncate(self.stripes * STRIPE)

    def _work(self, seconds: float, every: float, told: Callable[[str], None] | None) -> None:
        threads = [
            threading.Thread(target=self._body, args=(worker,), name=f"load{worker.number}")
            for worker in self._workers
        ]
        for thread in threads:
            thread.daemon = True
            thread.start()
        began = time.monotonic()
        try:
            while not self._failures and time.monotonic() - began < seconds:
                left = seconds - (time.monotonic() - began)
                time.sleep(max(0.0, min(every, left)))
                sample = self._sample(time.monotonic() - began)
                self.report.samples.append(sample)
                if told is not None:
                    told(str(sample))
        finally:
            self._stop = True
        for thread in threads:
            thread.join(120.0)
            if thread.is_alive():
                why = self.fs.kernel.machine.report()
                raise LoadFailure(f"{thread.name} does not end\n{why}")
        if self._failures:
            raise self._failures[0]

    def _body(self, worker: _Worker) -> None:
        try:
            while not self._stop:
                worker.turn()
                if self._pause:
                    self._rest()
        except BaseException as failure:
            self._failures.append(failure)
            self._stop = True
        finally:
            with self._changed:
                self._idle += 1
                self._changed.notify_all()

    def _rest(self) -> None:
        with self._changed:
            self._idle += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._pause)
            self._idle -= 1

    def _sample(self, elapsed: float) -> Sample:
        """Waits until every thread is between two turns, and all output has ended."""
        self._pause = True
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._idle == self.threads, timeout=120.0):
                    why = self.fs.kernel.machine.report()
                    raise LoadFailure(f"a thread does not come back\n{why}")
            if self._failures:
                raise self._failures[0]
            self.fs.sync()
            return self._measure(elapsed)
        finally:
            with self._changed:
                self._pause = False
                self._changed.notify_all()

    def _measure(self, elapsed: float) -> Sample:
        kernel = self.fs.kernel
        with self.fs.suspended():  # the syncer and the page daemon are kept out too
            # Reading ahead takes no part in suspension: it ends by itself.
            deadline = time.monotonic() + 10.0
            while kernel.bufs.value and time.monotonic() < deadline:
                time.sleep(0.01)
            return Sample(
                elapsed,
                sum(sum(worker.done.values()) for worker in self._workers),
                threading.active_count(),
                _descriptors(),
                len(kernel.uvm.free),
                sum(vp.uobj.npages.value for vp in list(kernel.vnodes.values())),
                kernel.bufs.value,
                kernel.heap.value,
                kernel.kva.total - kernel.kva.free,
            )

    def _compare(self) -> None:
        """Every file against what its threads know."""
        expected = {name: bytearray(self.stripes * STRIPE) for name in self.shared}
        for worker in self._workers:
            for (name, stripe), data in worker.stripes.items():
                expected[name][stripe * STRIPE : (stripe + 1) * STRIPE] = data
        contents: dict[str, bytes] = {name: bytes(data) for name, data in expected.items()}
        for worker in self._workers:
            contents |= worker.files
        if self.fs.listdir() != sorted(contents):
            raise LoadFailure("the names of the files are not those that were made")
        for name, wanted in contents.items():
            with self.fs.open(name) as file:
                got = file.read()
            if got != wanted:
                raise LoadFailure(f"{name} differs{_where(got, wanted)}")
            self.report.compared += len(got)

    def _judge(self) -> None:
        """Nothing may have grown, and nothing may be held when nobody is inside."""
        samples = self.report.samples
        total = self.fs.kernel.uvm.total
        for sample in samples:
            held = sample.buffers, sample.arrays, sample.pager_pages
            if any(held) or sample.pages != total:
                raise LoadFailure(f"held at rest, of {total} pages: {sample}")
        first, last = samples[0], samples[-1]
        if last.threads > first.threads or last.descriptors > first.descriptors:
            raise LoadFailure(f"grown: from {first} to {last}")


def _descriptors() -> int:
    """Open descriptors of this process; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if all went well, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m genfscheck.refimpl.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-pages", type=int, default=512)
    parser.add_argument("--block-size", type=int, default=1024)
    parser.add_argument("--no-journal", action="store_true")
    parser.add_argument("--variant", choices=("1.18", "hardened"), default="hardened")
    parser.add_argument("--directory", help="where the image is made (default: a temporary one)")
    chosen = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(
            prefix="genfscheck-load-", dir=chosen.directory
        ) as directory:
            load = Load(
                directory,
                threads=chosen.threads,
                files=chosen.files,
                seed=chosen.seed,
                memory_pages=chosen.memory_pages,
                block_size=chosen.block_size,
                journal=not chosen.no_journal,
                variant=chosen.variant,
            )
            report = load.run(chosen.seconds, told=lambda line: print(line, flush=True))
    except LoadFailure as failure:
        print(f"load: {failure}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())

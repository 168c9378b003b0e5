"""A log of many threads is a consistent order of what they did."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

import genfscheck.refimpl
from genfscheck.refimpl import KINDS, Event, Jitter
from genfscheck.refimpl.genfs.flags import VI_ONWORKLST
from genfscheck.refimpl.pages import PG_BUSY, PG_CLEAN, PG_FAKE, PG_WANTED

from .support import formatted, mounted, together
from .test_stress import SIZE, Writer, grower


class Replay:
    """Follows a log, and raises AssertionError at the first event that cannot be."""

    def __init__(self) -> None:
        self.mutexes: dict[object, str] = {}
        self.writers: dict[object, str] = {}
        self.readers: dict[object, list[str]] = defaultdict(list)
        self.words: dict[tuple[object, object], object] = {}
        self.where: dict[object, tuple[object, object]] = {}
        self.waiting: dict[tuple[object, str], object] = {}
        self.handed: dict[tuple[object, str], object] = {}

    def follow(self, events: Iterable[Event]) -> None:
        for number, event in enumerate(events):
            assert event.number == number and event.kind in KINDS, str(event)
            check = getattr(self, f"on_{event.kind}", None)
            if check is not None:
                assert check(event) is not False, str(event)

    def on_mutex_enter(self, event: Event) -> bool:
        lock = event.values["lock"]
        free = lock not in self.mutexes
        self.mutexes[lock] = event.thread
        return free

    def on_mutex_tryenter(self, event: Event) -> bool:
        if event.values["got"]:
            return self.on_mutex_enter(event)
        return True  # its owner may just have released it

    def on_mutex_exit(self, event: Event) -> bool:
        return self.mutexes.pop(event.values["lock"], None) == event.thread

    on_sleep = on_mutex_exit

    def on_rw_enter(self, event: Event) -> bool:
        lock = event.values["lock"]
        if self.handed.get((lock, event.thread)) == event.values["mode"]:
            del self.handed[lock, event.thread]
            return True  # it has been the thread's since another released it
        if event.values["mode"] == "writer":
            free = lock not in self.writers and not self.readers[lock]
            self.writers[lock] = event.thread
            return free
        self.readers[lock].append(event.thread)
        return lock not in self.writers

    def on_rw_tryenter(self, event: Event) -> bool:
        return not event.values["got"] or self.on_rw_enter(event)

    def on_rw_exit(self, event: Event) -> bool:
        lock = event.values["lock"]
        if self.writers.get(lock) == event.thread:
            del self.writers[lock]
        elif event.thread in self.readers[lock]:
            self.readers[lock].remove(event.thread)
        else:
            return False
        for other in filter(None, str(event.values["to"]).split(",")):
            mode = self.waiting.pop((lock, other), None)
            if mode is None:
                return False
            self.handed[lock, other] = mode
            if mode == "writer":
                self.writers[lock] = other
            else:
                self.readers[lock].append(other)
        return lock not in self.writers or not self.readers[lock]

    def on_rw_wait(self, event: Event) -> None:
        self.waiting[event.values["lock"], event.thread] = event.values["mode"]

    def on_store(self, event: Event) -> None:
        self.words[event.values["of"], event.values["field"]] = event.values["value"]

    def on_load(self, event: Event) -> bool:
        key = event.values["of"], event.values["field"]
        return self.words.setdefault(key, event.values["value"]) == event.values["value"]

    def change(self, of: object, field: str, change: Callable[[int], int]) -> None:
        """A service changed a word, if its value is known."""
        value = self.words.get((of, field))
        if isinstance(value, int):
            self.words[of, field] = change(value)

    def on_page_insert(self, event: Event) -> bool:
        page, place = event.values["page"], (event.values["uobj"], event.values["offset"])
        if page is None:
            return True
        fresh = page not in self.where and place not in self.where.values()
        self.where[page] = place
        self.words[page, "flags"] = PG_BUSY | PG_FAKE | PG_CLEAN
        self.change(place[0], "uo_npages", lambda count: count + 1)
        return fresh

    def on_page_free(self, event: Event) -> bool:
        return self.free(event.values["page"])

    def free(self, page: object) -> bool:
        place = self.where.pop(page, None)
        self.words[page, "flags"] = 0
        if place is not None:
            self.change(place[0], "uo_npages", lambda count: count - 1)
        return place is not None

    def on_unbusy(self, event: Event) -> bool:
        freed = set(filter(None, str(event.values["freed"]).split(",")))
        for page in filter(None, str(event.values["pages"]).split(",")):
            self.change(page, "flags", lambda flags: flags & ~(PG_BUSY | PG_WANTED))
        return all([self.free(page) for page in freed])

    def on_worklist(self, event: Event) -> None:
        on = bool(event.values["on"])
        self.change(
            event.values["vp"],
            "v_iflag",
            lambda flag: flag | VI_ONWORKLST if on else flag & ~VI_ONWORKLST,
        )

    def on_vwakeup(self, event: Event) -> bool:
        self.change(event.values["vp"], "v_numoutput", lambda count: count - 1)
        key = event.values["vp"], "v_numoutput"
        return self.words.setdefault(key, event.values["left"]) == event.values["left"]

    def output(self, _event: Event) -> None:
        for key in [key for key in self.words if key[1] == "v_numoutput"]:
            del self.words[key]

    on_biodone = on_nestiobuf_setup = on_nestiobuf_done = output


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    log = Jitter(3, rate=0.003, keep=True)
    image = formatted(tmp_path_factory.mktemp("log"), 512 * 1024)
    knobs: dict[str, object] = {"syncer_period": 0.02, "syncer_delay": 0.02, "memory_pages": 64}
    with mounted(image, hook=log, journal=True, **knobs) as fs:
        with fs.open("shared", "w+") as file:
            file.truncate(SIZE)
        deadline = time.monotonic() + 0.6
        writers = [Writer(fs, number, 2, deadline) for number in range(2)]
        together(fs, [*writers, grower(fs, deadline)])
    return log.events


def test_a_log_can_be_followed(events: list[Event]) -> None:
    replay = Replay()
    replay.follow(events)
    assert len(events) > 2000
    assert len({event.thread for event in events}) >= 8
    assert not replay.mutexes and not replay.writers
    assert not any(replay.readers.values())


@pytest.mark.parametrize("kind", ["mutex_enter", "mutex_exit", "rw_exit", "store"])
def test_a_log_with_an_event_missing_cannot(events: list[Event], kind: str) -> None:
    for victim in [event.number for event in events if event.kind == kind][100:110]:
        rest = [one for one in events if one.number != victim]
        broken = [replace(one, number=number) for number, one in enumerate(rest)]
        replay = Replay()
        try:
            replay.follow(broken)
        except AssertionError:
            return  # at least one of ten must be missed
    pytest.fail(f"no missing {kind} was noticed")


def test_every_kind_that_is_announced_is_described(events: list[Event]) -> None:
    """The table of kinds and the calls of the hook name the same steps."""
    folder = Path(genfscheck.refimpl.__file__).parent
    called = set()
    for source in folder.rglob("*.py"):
        text = source.read_text()
        called |= set(re.findall(r'\.(?:step|turn|noted|service)\(\s*"(\w+)"', text))
        called |= set(re.findall(r'hook\.before\(\w+, "(\w+)"', text))
    assert called == set(KINDS)
    assert {event.kind for event in events} <= set(KINDS)


def test_lines_are_those_of_the_file(events: list[Event]) -> None:
    lines = {event.at for event in events if isinstance(event.at, int)}
    assert len(lines) > 60 and all(69 <= line <= 1765 for line in lines)

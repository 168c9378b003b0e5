"""Events of a log as patterns for the validator: which step of the model each must be.

Pages, buffers and windows get the model's numbers as they come and go: the model takes the
lowest that is free, so a log alone says which one that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from ...checker.conform.steps import Stepper
from ...checker.conform.validate import BROKEN, ENDED, STUCK, Pattern
from ..hook import Event
from ..pages import PG_RELEASED
from ..sync import Word
from .labels import NO_RESULT, RESULTS, TRANSACTIONS, UNASSERTED
from .world import UNIT

# Events without a step in the model, and why.
HIDDEN_EVENTS: Final[Mapping[str, str]] = {
    "queue": "order and kind of the replacement queues are not modelled",
    "pageout": "the counter is compared at the end",
    "should_yield": "a choice of the model, resolved by what follows",
    "wapbl_begin": "a choice of the model, resolved by what follows",
    "metadata": "the world's file system keeps no dirty buffers",
    "heap_free": "the model counts arrays in a ghost",
    "pmap_is_modified": "of interest to an assertion under DEBUG only",
    "vnode_drained": "the model waits for a ghost; that it may go on shows in its next event",
    "call": "the program is the scenario's, or its operation is a choice of the workload",
}
# Events that have no step in some cases only.
HIDDEN_CASES: Final[Mapping[str, str]] = {
    "load, store of dirtyblk": "under the object lock; compared at the end",
    "load, store of a marker's flags": "constant: a marker is BUSY",
    "unbusy of no page": "nothing happens",
    "nestiobuf_done of 0 bytes": "nothing happens",
    "block_free of a hole": "nothing happens",
    "heap_alloc that succeeds": "a step only where it might have failed",
    "wakeup of Ubc": "the windows' own: all windows are one mapping in the model",
    "value bmap.run": "how far the blocks go on: what uses it asks again or has events",
    "value nestiobuf_done.count, error": "seen by who waits for the master",
    "value rw_exit.to": "who gets the lock says so in an event",
    "value pmap_protect.prot": "where the page is not mapped: else what its entries become",
    "value wakeup.chan": "where somebody sleeps there: else nothing happens",
    "value of an access that fails": "which page it was: the fault's events say it",
    "value biodone.done, nestiobuf_done.done": "who waits for the buffer goes on, or does not",
    "value block_alloc.new": "whether the block is new is seen by what it holds",
    "value fill.length": "that more was zeroed than it says is seen in what is compared later",
    "value fstrans_start.type": "of one within another",
    "value kva_free.pages": "as kva_alloc.pages",
    "value block_free.block": "that there is none afterwards is compared",
}
# Locks and channels that the model does not have.
HIDDEN_LOCKS: Final[Mapping[str, str]] = {
    "ubc_object": "the windows' own: all windows are one mapping in the model",
    "ffs inodes": "writing of inodes is not modelled",
    "syncer_mutex": "there is one syncer",
    "vnodes": "there is one vnode",
    "map of": "the map's lock is left out of the model",
}
_STATES: Final = {"normal": 0, "suspending": 1, "suspended": 2}


class BindingError(ValueError):
    """An event that no rule covers, or whose values are impossible."""


def _held(name: object, prefixes: Iterable[str]) -> bool:
    return any(str(name).startswith(prefix) for prefix in prefixes)


_IMPOSSIBLE: Final = Pattern(())
_NAMES: Final[dict[str | tuple[str, ...], frozenset[str]]] = {}


def _names(names: str | tuple[str, ...]) -> frozenset[str]:
    found = _NAMES[names] = frozenset([names] if isinstance(names, str) else names)
    return found


class Numbers:
    """Names of one pool in use, each with its number: the lowest that was free."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._used = {name: number for number, name in enumerate(names)}

    def take(self, name: str) -> int:
        taken = set(self._used.values())
        number = next(one for one in range(len(taken) + 1) if one not in taken)
        self._used[name] = number
        return number

    def of(self, name: object) -> int:
        try:
            return self._used[str(name)]
        except KeyError:
            raise BindingError(f"{name} is not in use") from None

    def drop(self, name: object) -> int:
        number = self.of(name)
        del self._used[str(name)]
        return number


class Binding:
    """Turns the events of one log into patterns; feed them in order."""

    def __init__(
        self,
        stepper: Stepper,
        first_pages: Sequence[str],
        window: int,
        sector_of_data: int,
    ) -> None:
        program = stepper.program
        self._layout = stepper.layout
        self._program = program
        self._vars = {var.name: number for number, var in enumerate(program.shared)}
        self._threads = {thread.name: thread.index for thread in program.threads}
        daemons = [thread for thread in program.threads if thread.daemon]
        self._devices = tuple(t.index for t in daemons if t.name != "aiodone")
        given = program.parameters
        self._page = 1 << given["PAGE_SHIFT"]
        self._block = 1 << given["FS_BSHIFT"]
        self._mappings = given["NMAPPINGS"]
        self._window = window
        self._data = sector_of_data
        self._pages = Numbers(first_pages)
        self._flags: dict[str, int] = {}
        self._bufs, self._kvas = Numbers(), Numbers()
        self._children: dict[str, str] = {}
        self._calls: dict[str, Mapping[str, int]] = {}
        self._places: dict[tuple[str, int, int], tuple[int, bytes]] = {}
        self._locks: dict[str, str | None] = {}
        self._asleep: dict[int, int] = {}  # who has slept since its last event, and where
        self._queued: set[tuple[str, str]] = set()
        self._written = stepper.stored
        # The entry of each mapping of each page, as far as the log has come.
        begin, entries = stepper.initial()[0], self._layout.shared[self._vars["pages.pte"]]
        self._rights = [
            entries.load(begin, place) for place in range(given["NPAGES"] * self._mappings)
        ]

    # Places in the state.

    def _var(self, name: str) -> int:
        return self._vars[name]

    def _at(self, name: str, element: int, value: int) -> tuple[int, bytes]:
        """An offset in the state, and the bytes there if the element has this value."""
        known = self._places.get((name, element, value))
        if known is None:
            known = self._places[name, element, value] = self._place(name, element, value)
        return known

    def _place(self, name: str, element: int, value: int) -> tuple[int, bytes]:
        var = self._vars.get(name)
        if var is None:
            raise BindingError(f"no variable {name!r} in the model")
        slot = self._layout.shared[var]
        length = self._program.shared[var].length
        domain = self._program.shared[var].domain
        if not 0 <= element < length:
            raise BindingError(f"{name}[{element}] does not exist")
        if not domain.low <= value <= domain.high:
            raise BindingError(f"{name} cannot be {value}")
        return slot.at(element), (value - slot.low).to_bytes(slot.width, "little")

    def _who(self, event: Event) -> tuple[int, ...]:
        thread = self._threads.get(event.thread)
        if thread is not None:
            return (thread,)
        if event.thread.startswith("disk"):
            return self._devices
        raise BindingError(f"no thread {event.thread!r} in the scenario")

    def _units(self, value: object) -> int:
        assert isinstance(value, int)
        if value % UNIT:
            raise BindingError(f"{value} bytes are no whole units")
        return value // UNIT

    # Events.

    def pattern(self, event: Event) -> Pattern | None:
        """The pattern of the next event; None if the model has no such step."""
        who = self._who(event)
        if self._asleep:
            self._asleep.pop(who[0], None)
        if event.kind in HIDDEN_EVENTS and event.kind != "call":
            return None
        rule: Callable[[Event], Pattern | None] | None = getattr(self, f"_on_{event.kind}", None)
        if rule is None:
            raise BindingError(f"no rule for {event.kind}")
        return rule(event)

    def patterns(self, events: Iterable[Event]) -> Iterator[Pattern | None]:
        """The patterns of a whole log, one after the other; `BindingError` names the event."""
        for event in events:
            try:
                pattern = self.pattern(event)
            except BindingError as error:
                raise BindingError(f"event {event.number} ({event.kind}): {error}") from None
            except (AssertionError, LookupError, TypeError, ValueError):
                raise BindingError(
                    f"event {event.number} ({event.kind}): values that it cannot have"
                ) from None
            yield pattern

    def ended(self, threads: Iterable[str]) -> list[Pattern]:
        """These threads have come to their end."""
        found = []
        for name in threads:
            if name not in self._threads:
                raise BindingError(f"no thread {name!r} in the scenario")
            found.append(Pattern((self._threads[name],), end=ENDED))
        return found

    def died(self, why: str, events: Sequence[Event], finished: Sequence[str]) -> Pattern:
        """The machine stopped: nobody can go on, or whom ``why`` begins with broke something.

        A thread whose next call the log does not have was thrown out before it.  When all users
        have ``finished``, the model's daemons come to rest.
        """
        everybody = tuple(range(len(self._program.threads)))
        name, _, _ = why.partition(":")
        threads = self._devices if name.startswith("disk") else (self._threads.get(name, -1),)
        if threads != (-1,):
            last = max((n for n, one in enumerate(events) if one.thread == name), default=-1)
            return Pattern(threads, UNASSERTED, end=BROKEN, since=max(last, 0))
        if all(one.daemon or one.name in finished for one in self._program.threads):
            return _IMPOSSIBLE
        return Pattern(everybody, frozenset({"choose workload operation"}), end=STUCK)

    def state(self, values: Iterable[tuple[str, int, int]]) -> Pattern:
        """Variables, elements and values that hold now."""
        holds = tuple(self._at(*one) for one in values)
        return Pattern((), optional=True, holds=holds)

    def _step(
        self,
        event: Event,
        names: str | tuple[str, ...],
        touches: Iterable[tuple[str, bool | None, int]] = (),
        holds: Iterable[tuple[str, int, int]] = (),
        held: Iterable[tuple[str, int, int]] = (),
        spares: Iterable[tuple[str, bool]] = (),
        optional: bool = False,
        decisions: Mapping[str, int] | None = None,
    ) -> Pattern:
        variables, written = self._vars, self._written
        return Pattern(
            self._who(event),
            _NAMES.get(names) or _names(names),
            tuple([
                (variables[name], write, element)
                for name, write, element in touches
                if write or variables[name] in written
            ]),
            tuple([(variables[name], write) for name, write in spares]),
            tuple([self._at(*one) for one in held]),
            tuple([self._at(*one) for one in holds]),
            optional,
            decisions if decisions is not None else self._calls.get(event.thread),
        )  # fmt: skip

    # Words.

    def _word(self, event: Event) -> tuple[str, int, int] | None:
        of, name, value = event.values["of"], event.values["field"], event.values["value"]
        assert isinstance(value, int)
        if name == "flags":
            if of == "marker":
                return None
            if event.kind == "store":
                self._flags[str(of)] = value
            return "pages.flags", self._pages.of(of), value
        if name in ("v_size", "v_writesize", "i_size"):
            return f"vnodes.{name}", 0, self._units(value)
        if name == "v_vflag":
            return "vnodes.v_mapped", 0, value
        if name == "journal_pending":
            return "mount.journal_pending", 0, value
        if name == "dirtyblk":
            return None
        return f"vnodes.{name}", 0, value

    def _on_load(self, event: Event) -> Pattern | None:
        word = self._word(event)
        if word is None:
            return None
        name, element, _ = word
        return self._step(
            event, f"load {name}", [(name, False, element)], [word], optional=True
        )

    def _on_store(self, event: Event) -> Pattern | None:
        word = self._word(event)
        if word is None:
            return None
        name, element, _ = word
        return self._step(event, f"store {name}", [(name, True, element)], [word])

    def word(self, word: Word) -> tuple[int, int] | None:
        """The variable and element that a word is, None if the model does not have it."""
        values = {"of": str(word.of), "field": word.field, "value": word.value}
        found = self._word(Event(0, "", "load", "", values))
        return None if found is None else (self._vars[found[0]], found[1])

    @staticmethod
    def is_hidden(target: object) -> bool:
        """Is this lock or word one that the model does not have?"""
        if isinstance(target, Word):
            return target.field == "dirtyblk" or str(target.of) == "marker"
        return _held(target, HIDDEN_LOCKS)

    # Locks.

    def _lock(self, event: Event) -> str | None:
        lock = str(event.values["lock"])
        if lock not in self._locks:
            self._locks[lock] = self._variable(lock)
        return self._locks[lock]

    def _variable(self, lock: str) -> str | None:
        if _held(lock, HIDDEN_LOCKS):
            return None
        name = lock.rpartition(".")[2]
        if name == "interlock":
            return "vnodes.interlock"
        if name == "pageqlock":
            return "uvm.pageqlock"
        if name in ("v_lock", "g_glock"):
            return f"vnodes.{name}"
        if name == "wl_rwlock":
            return "mount.wl_rwlock"
        raise BindingError(f"no lock {lock!r} in the model")

    def _on_mutex_enter(self, event: Event) -> Pattern | None:
        lock = self._lock(event)
        return self._step(event, "mutex_enter", [(f"{lock}.owner", True, 0)]) if lock else None

    def _on_mutex_exit(self, event: Event) -> Pattern | None:
        lock = self._lock(event)
        return self._step(event, "mutex_exit", [(f"{lock}.owner", True, 0)]) if lock else None

    def _on_mutex_tryenter(self, event: Event) -> Pattern | None:
        lock = self._lock(event)
        if not lock:
            return None
        owner = f"{lock}.owner"
        if event.values["got"]:
            return self._step(event, "mutex_tryenter", [(owner, True, 0)])
        return self._step(event, "mutex_tryenter", [(owner, False, 0)], spares=[(owner, True)])

    def _rw(self, event: Event, waits: bool) -> Pattern | None:
        lock = self._lock(event)
        if not lock:
            return None
        kind = "writer" if event.values["mode"] == "writer" else "readers"
        queue = f"{lock}.waiting_{'writers' if kind == 'writer' else 'readers'}"
        mine = (event.thread, lock)
        if waits:
            self._queued.add(mine)
            return self._step(event, "_rw_arrive", [(queue, True, 0)])
        if mine in self._queued:  # it was handed over by who released it
            self._queued.remove(mine)
            return self._step(event, "_rw_granted", [(f"{lock}.{kind}", False, 0)])
        return self._step(event, "_rw_arrive", [(f"{lock}.{kind}", True, 0)])

    def _on_rw_enter(self, event: Event) -> Pattern | None:
        return self._rw(event, False)

    def _on_rw_wait(self, event: Event) -> Pattern | None:
        return self._rw(event, True)

    def _on_rw_tryenter(self, event: Event) -> Pattern | None:
        lock = self._lock(event)
        if not lock:
            return None
        word = f"{lock}.{'writer' if event.values['mode'] == 'writer' else 'readers'}"
        if event.values["got"]:
            return self._step(event, "rw_tryenter", [(word, True, 0)])
        return self._step(event, "rw_tryenter", spares=[(word, True)])

    def _on_rw_exit(self, event: Event) -> Pattern | None:
        lock = self._lock(event)
        if not lock:
            return None
        return self._step(event, "rw_exit", [(f"{lock}.writer", None, 0)])

    def _on_sleep(self, event: Event) -> Pattern | None:
        lock = self._lock(event)
        if not lock:
            return None
        (thread,) = self._who(event)
        channel = self._asleep[thread] = self._channel(str(event.values["chan"]))
        touches = [(f"{lock}.owner", True, 0), ("threads.wchan", True, thread)]
        return self._step(
            event, "_fall_asleep", touches, [("threads.wchan", thread, channel)]
        )

    def _on_wakeup(self, event: Event) -> Pattern | None:
        chan = str(event.values["chan"])
        if chan == "Ubc":
            return None
        channel = self._channel(chan)
        woken = [("threads.wchan", one, 0) for one, on in self._asleep.items() if on == channel]
        return self._step(event, "wakeup", holds=woken)

    def _channel(self, chan: str) -> int:
        """What a sleeper on it has as its channel in the model: a page's, or the vnode's."""
        if chan.startswith("output of"):
            return 1 + self._program.parameters["NPAGES"]
        return 1 + self._pages.of(chan)

    # Pages.

    def _page_list(self, value: object) -> list[str]:
        return [one for one in str(value).split(",") if one]

    def _on_page_insert(self, event: Event) -> Pattern | None:
        page = event.values["page"]
        if page is None:
            return self._step(event, "uvm_pagealloc", spares=[("pages.live", True)])
        number = self._pages.take(str(page))
        place = self._units(event.values["offset"])
        return self._step(
            event,
            "uvm_pagealloc",
            [("pages.live", True, number)],
            [("vnodes.tree", place // self._page, number), ("pages.offset", number, place)],
        )

    def _on_page_free(self, event: Event) -> Pattern | None:
        number = self._pages.drop(event.values["page"])
        return self._step(event, "uvm_pagefree", [("pages.live", True, number)])

    def _on_unbusy(self, event: Event) -> Pattern | None:
        if not self._page_list(event.values["pages"]):
            return None  # nothing happens
        freed = self._page_list(event.values["freed"])
        kept = [one for one in self._page_list(event.values["pages"]) if one not in freed]
        touches = [("pages.flags", True, self._pages.of(one)) for one in kept]
        touches += [("pages.live", True, self._pages.drop(one)) for one in freed]
        return self._step(event, "uvm_page_unbusy", touches)

    def _on_memory(self, event: Event) -> Pattern | None:
        return self._step(event, "wait free memory")

    def _on_list(self, event: Event) -> Pattern | None:
        return self._step(event, "store vnodes.memq")

    def _on_fill(self, event: Event) -> Pattern | None:
        offset, length = self._units(event.values["offset"]), self._units(event.values["length"])
        pages = self._page_list(event.values["pages"])
        first = offset // self._page
        places = []
        for unit in range(offset, offset + length):
            number = self._pages.of(pages[unit // self._page - first])
            places.append(number * self._page + unit % self._page)
        return self._step(
            event,
            ("kva_zero", "uvm_pagezero"),
            [("pages.data", True, place) for place in places],
            [("pages.data", place, 0) for place in places],
        )

    def _on_page_store(self, event: Event) -> Pattern | None:
        number = self._pages.of(event.values["page"])
        place = number * self._page + self._units(event.values["offset"])
        token = self._token(event)
        return self._step(
            event, "page_store", [("pages.data", True, place)], [("pages.data", place, token)]
        )

    def _token(self, event: Event) -> int:
        text = str(event.values["data"])
        if not text.isdigit():
            raise BindingError(f"data {text!r} are not one known unit")
        return int(text)

    def _mapping(self, event: Event) -> int:
        name = str(event.values["pmap"])
        if name.startswith("mapping"):
            return int(name[7:])
        if name.startswith("window") and self._window >= 0:
            return self._window
        raise BindingError(f"no mapping {name!r} in the scenario")

    def _access(self, event: Event, names: tuple[str, ...], write: bool) -> Pattern | None:
        if not event.values["ok"]:
            return self._step(event, names, spares=[("pages.data", write)])
        pte = self._mapping(event)
        if event.values["length"] != UNIT:
            raise BindingError("an access of the world is to one unit")
        number = self._pages.of(event.values["page"])
        place = number * self._page + self._units(event.values["offset"])
        token = ("pages.data", place, self._token(event))
        where = event.values["number"]
        assert isinstance(where, int)
        return self._step(
            event,
            names,
            [("pages.data", write, place), ("pages.pte", None, number * self._mappings + pte)],
            [token],
            [("pages.offset", number, where * self._page)],
        )

    def _on_user_load(self, event: Event) -> Pattern | None:
        return self._access(event, ("user_load",), False)

    def _on_user_store(self, event: Event) -> Pattern | None:
        return self._access(event, ("user_store", "window_store"), True)

    def _on_pmap_enter(self, event: Event) -> Pattern | None:
        number = self._pages.of(event.values["page"])
        place = number * self._mappings + self._mapping(event)
        rights = self._rights[place] = 2 if event.values["writable"] else 1
        return self._step(
            event, "pmap_enter", [("pages.pte", True, place)], [("pages.pte", place, rights)]
        )

    def _on_pmap_protect(self, event: Event) -> Pattern | None:
        number = self._pages.of(event.values["page"])
        places = [number * self._mappings + m for m in range(self._mappings)]
        most = 1 if event.values["prot"] else 0
        for place in places:
            self._rights[place] = min(self._rights[place], most)
        holds = [("pages.pte", place, self._rights[place]) for place in places]
        # For a reader's rights nothing need be stored, and for none all is, unread.
        touches = [("pages.pte", None, place) for place in places]
        return self._step(event, "pmap_page_protect", touches, holds)

    def _on_pmap_clear_modify(self, event: Event) -> Pattern | None:
        number = self._pages.of(event.values["page"])
        return self._step(
            event,
            "pmap_clear_modify",
            [("pages.modified", True, number)],
            held=[("pages.modified", number, int(bool(event.values["was"])))],
        )

    # Windows and buffers.

    def _on_kva_alloc(self, event: Event) -> Pattern | None:
        number = self._kvas.take(str(event.values["window"]))
        pages = self._page_list(event.values["pages"])
        width = self._program.shared[self._var("kvas.map")].width
        holds = [("kvas.npages", number, len(pages))]
        holds += [
            ("kvas.map", number * width + slot, self._pages.of(page))
            for slot, page in enumerate(pages)
        ]
        return self._step(event, "uvm_pagermapin", [("kvas.live", True, number)], holds)

    def _on_kva_free(self, event: Event) -> Pattern | None:
        number = self._kvas.drop(event.values["window"])
        return self._step(event, "uvm_pagermapout", [("kvas.live", True, number)])

    def _on_heap_alloc(self, event: Event) -> Pattern | None:
        fault = ("faults.no_array", True)
        if event.values["got"]:  # a step only where it might have failed
            return self._step(event, "kmem_zalloc", spares=[fault], optional=True)
        return self._step(event, "kmem_zalloc", [(*fault, 0)])

    def _on_getiobuf(self, event: Event) -> Pattern | None:
        number = self._bufs.take(str(event.values["buf"]))
        return self._step(event, "getiobuf", [("bufs.live", True, number)])

    def _on_putiobuf(self, event: Event) -> Pattern | None:
        number = self._bufs.drop(event.values["buf"])
        return self._step(event, "putiobuf", [("bufs.live", True, number)])

    def _on_nestiobuf_setup(self, event: Event) -> Pattern | None:
        child, master = str(event.values["buf"]), str(event.values["master"])
        self._children[child] = master
        number = self._bufs.of(child)
        return self._step(
            event,
            "nestiobuf_setup",
            [("bufs.parent", True, number)],
            [
                ("bufs.parent", number, self._bufs.of(master)),
                ("bufs.b_bcount", number, self._units(event.values["count"])),
            ],
        )

    def _on_nestiobuf_done(self, event: Event) -> Pattern | None:
        if not event.values["count"]:
            return None
        number = self._bufs.of(event.values["buf"])
        return self._step(event, "nestiobuf_done", [("bufs.b_resid", True, number)])

    def _on_strategy(self, event: Event) -> Pattern | None:
        name = str(event.values["buf"])
        number = self._bufs.of(name)
        blkno, count = event.values["blkno"], self._units(event.values["count"])
        assert isinstance(blkno, int)
        if event.values.get("refused"):
            self._done(name)
            touches = [("faults.write_nomem", True, 0), ("bufs.b_iodone", False, number)]
            return self._step(event, "_refuse", touches)
        return self._step(
            event,
            "_submit",
            [("bufs.dev", True, number)],
            [
                ("bufs.b_blkno", number, blkno - self._data),
                ("bufs.b_bcount", number, count),
                ("bufs.dir", number, int(bool(event.values["write"]))),
            ],
        )

    def _on_transfer(self, event: Event) -> Pattern | None:
        number = self._bufs.of(event.values["buf"])
        error, blkno = event.values["error"], event.values["blkno"]
        assert isinstance(error, int) and isinstance(blkno, int)
        data = [one for one in str(event.values["data"]).split(",") if one]
        if not all(one.isdigit() for one in data):
            raise BindingError(f"data {event.values['data']!r} are not known units")
        if len(data) != self._units(event.values["count"]):
            raise BindingError("data are not as many units as were moved")
        place = blkno - self._data
        held = [("bufs.dir", number, int(bool(event.values["write"])))]
        holds = [("bufs.b_error", number, error)]
        holds += [("blocks.data", place + i, int(token)) for i, token in enumerate(data)]
        return self._step(event, "_move", [("bufs.dev", True, number)], holds, held)

    def _done(self, name: str) -> None:
        """A child is given back when it is done."""
        if self._children.pop(name, None) is not None:
            self._bufs.drop(name)

    def _on_biodone(self, event: Event) -> Pattern | None:
        name = str(event.values["buf"])
        number = self._bufs.of(name)
        self._done(name)
        names = ("_biodone", "_complete", "biodone")
        touches = [("bufs.b_iodone", False, number)]
        return self._step(event, names, touches, held=[self._error(event, number)])

    def _error(self, event: Event, number: int) -> tuple[str, int, int]:
        """The error that a buffer has before the step."""
        error = event.values["error"]
        assert isinstance(error, int)
        return "bufs.b_error", number, error

    def _on_biowait(self, event: Event) -> Pattern | None:
        number = self._bufs.of(event.values["buf"])
        error = event.values["error"]
        assert isinstance(error, int)
        return self._step(
            event, "biowait", [("bufs.done", False, number)], [("bufs.b_error", number, error)]
        )

    def _on_aio_biodone(self, event: Event) -> Pattern | None:
        number = self._bufs.of(event.values["buf"])
        return self._step(event, "uvm_aio_biodone", [("bufs.b_iodone", True, number)])

    def _on_aiodone(self, event: Event) -> Pattern | None:
        number = self._bufs.of(event.values["buf"])
        touches = [("bufs.b_iodone", True, number)]
        return self._step(event, "_next_done", touches, held=[self._error(event, number)])

    def _on_vwakeup(self, event: Event) -> Pattern | None:
        left = event.values["left"]
        assert isinstance(left, int)
        return self._step(
            event, "vwakeup", [("vnodes.v_numoutput", True, 0)], [("vnodes.v_numoutput", 0, left)]
        )

    # The file system.

    def _on_bmap(self, event: Event) -> Pattern | None:
        lbn, blkno, error = (event.values[one] for one in ("lbn", "blkno", "error"))
        assert isinstance(lbn, int) and isinstance(blkno, int)
        if error:
            return self._step(event, "VOP_BMAP", [("faults.bmap_error", True, 0)])
        block, inside = divmod(blkno - self._data, self._block) if blkno != -1 else (-1, 0)
        if inside or block < -1:
            raise BindingError(f"no block begins at {blkno}")
        return self._step(
            event,
            "VOP_BMAP",
            [("vnodes.bmap", False, lbn)],
            [("vnodes.bmap", lbn, block)],
            spares=[("faults.bmap_error", True)],
        )

    def _on_block_alloc(self, event: Event) -> Pattern | None:
        lbn, block = event.values["lbn"], event.values["block"]
        assert isinstance(lbn, int) and isinstance(block, int)
        return self._step(
            event,
            "_alloc_block",
            [("vnodes.bmap", False, lbn)],
            [("vnodes.bmap", lbn, -1 if event.values["error"] else block)],
        )

    def _on_block_free(self, event: Event) -> Pattern | None:
        lbn = event.values["lbn"]
        assert isinstance(lbn, int)
        if event.values["block"] == -1:
            return None  # a hole: nothing happens
        return self._step(
            event, "_free_block", [("vnodes.bmap", False, lbn)], [("vnodes.bmap", lbn, -1)]
        )

    def _on_worklist(self, event: Event) -> Pattern | None:
        verb = "add_to" if event.values["on"] else "remove_from"
        return self._step(
            event, f"vn_syncer_{verb}_worklist", [("vnodes.v_iflag", True, 0)]
        )

    # Transactions.

    def _on_fstrans_start(self, event: Event) -> Pattern | None:
        (thread,) = self._who(event)
        names = ("fstrans_start", "fstrans_start_nowait")
        count = ("perthread.fstrans_count", True)
        if event.values["error"]:
            return self._step(event, "fstrans_start_nowait", spares=[count])
        value = event.values["count"]
        assert isinstance(value, int)
        holds = [(count[0], thread, value)]
        if value == 1:  # inside another one only the depth matters
            kind = TRANSACTIONS[str(event.values["type"])]
            holds.append(("perthread.fstrans_type", thread, kind))
        return self._step(event, names, [(*count, thread)], holds)

    def _on_fstrans_done(self, event: Event) -> Pattern | None:
        (thread,) = self._who(event)
        value = event.values["count"]
        assert isinstance(value, int)
        return self._step(
            event,
            "fstrans_done",
            [("perthread.fstrans_count", True, thread)],
            [("perthread.fstrans_count", thread, value)],
        )

    def _on_fstrans_state(self, event: Event) -> Pattern | None:
        state = _STATES[str(event.values["state"])]
        return self._step(
            event, "_announce", [("mount.fstrans", True, 0)], [("mount.fstrans", 0, state)]
        )

    def _on_fstrans_drained(self, event: Event) -> Pattern | None:
        kind = str(event.values["type"]).upper()
        return self._step(event, f"wait fstrans holders ({kind})")

    # A workload: the log says what its choices were.

    # What calls return.

    def _on_result(self, event: Event) -> Pattern | None:
        (thread,) = self._who(event)
        call, error = RESULTS[str(event.values["of"])], event.values["error"]
        assert isinstance(error, int)
        holds = [("results.call", thread, call), ("results.error", thread, error)]
        count = self._moved(event)
        if count is not None:
            holds.append(("results.count", thread, count))
        names = ("returned", "moved")
        return self._step(event, names, [("results.call", True, thread)], holds)

    def _on_return(self, event: Event) -> Pattern | None:
        (thread,) = self._who(event)
        holds = []
        if event.values["op"] not in NO_RESULT:
            error = event.values["error"]
            assert isinstance(error, int)
            holds.append(("results.given", thread, error))
        count = self._moved(event)
        if count is not None:
            holds.append(("results.count", thread, count))
        return self._step(event, "ended", [("results.call", True, thread)], holds)

    def _moved(self, event: Event) -> int | None:
        """How many units a call has moved, where that counts: if it did not fail."""
        count = event.values.get("count")
        return None if count is None or event.values["error"] else self._units(count)

    def _on_call(self, event: Event) -> Pattern | None:
        told = str(event.values.get("choices", ""))
        if not told:
            return None  # the program is the scenario's
        pairs = (one.split("=") for one in told.split(","))
        decisions = {f"workload {name}": int(value) for name, value in pairs}
        # Its arguments are asked for later, but what it is only here.
        self._calls[event.thread] = {
            name: value for name, value in decisions.items() if name != "workload operation"
        }
        return self._step(event, "choose workload operation", decisions=decisions)


assert PG_RELEASED == 0x20

"""The words of the language, for editors, type checkers and readers.

Models import these names; the compiler recognises them and gives them their meaning.
Nothing here is executed when a model is checked: the bodies exist so that a model module
can be imported and typed as ordinary Python.  ``docs/language.md`` says what each means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum, IntFlag
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, cast, overload

__all__ = [
    "NOBODY", "NULL", "RW", "Annotated", "Any", "Array", "CInt", "Enum", "Final", "Flags",
    "List", "Mutex", "Pool", "RWLock", "Thread", "TypeAlias", "WaitQueue", "actor", "allocate",
    "array", "atomic", "cast", "check", "choose", "choose_bool", "cv_wait", "exclusive",
    "fixed", "ghost", "has_sleepers", "initial", "int32", "invariant", "kassert", "marker",
    "me", "mutex_enter", "mutex_exit", "mutex_owned", "mutex_tryenter", "no_lost_update",
    "nthreads", "panic",
    "parameter", "pure", "record", "release", "rest_until", "routine", "rw_enter", "rw_exit",
    "rw_read_held", "rw_tryenter", "rw_write_held", "setup", "single", "size", "sleep_on",
    "special", "struct", "threads", "wait_until", "wakeup", "witness",
]  # fmt: skip

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class _Declaration(Exception):
    """Raised when a word that only the compiler can give meaning to is executed."""


def _only_compiled(name: str) -> Any:
    raise _Declaration(f"{name} has a meaning only in a compiled model")


# ------------------------------------------------------------------- declarations


class CInt:
    """A C integer type: arithmetic ``bits`` and sign; inclusive range of a stored value."""

    def __init__(self, bits: int, *, signed: bool, low: int | str, high: int | str) -> None:
        self.bits, self.signed, self.low, self.high = bits, signed, low, high


class size:
    """Length of an array or capacity of a list: a number or a parameter's name."""

    def __init__(self, length: int | str) -> None:
        self.length = length


class initial:
    """The initial value of a field."""

    def __init__(self, value: int) -> None:
        self.value = value


class no_lost_update:
    """Every read-modify-write of the field checks this property: what it overwrites is what
    it loaded."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Option:
    def __init__(self, name: str) -> None:
        self.name = name


ghost: Final = _Option("ghost")
special: Final = _Option("special")


class _MarkerOption(_Option):
    def __call__(self, pool: Any, which: int) -> Any:
        return _only_compiled("marker")


marker: Final = _MarkerOption("marker")

int32: TypeAlias = Annotated[int, CInt(32, signed=True, low=-8, high=119)]


class Enum(IntEnum):
    """An enumeration of the model: explicit values."""


class Flags(IntFlag):
    """A flag set of the model: explicit single-bit values."""


def record(cls: C) -> C:
    """Declare a record: its annotated fields become one array each per pool."""
    return cls


def struct(cls: C) -> C:
    """Declare a group of fields that is embedded in records and passed by reference."""
    return cls


class Pool(Generic[T]):
    """A fixed number of records.  ``live`` names the boolean field that says "in use"."""

    def __init__(
        self,
        of: type[T],
        count: int | str,
        *,
        live: str = "",
        specials: tuple[str, ...] = (),
        markers: int = 0,
        marker_fields: Mapping[str, int] | None = None,
    ) -> None:
        self.of, self.count = of, count

    def special(self, name: str) -> Any:
        return name

    def __getitem__(self, index: Any) -> T:
        _only_compiled("a pool's entry")
        raise AssertionError

    def __iter__(self) -> Iterator[T]:
        _only_compiled("a pool's entries")
        raise AssertionError


def single(of: type[T]) -> T:
    """A pool of one record, known by its name."""
    return of.__new__(of)


class Array(Generic[T]):
    """A fixed array, passed by reference."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Array[T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return _only_compiled("an array")

    def __setitem__(self, index: int, value: T) -> None:
        _only_compiled("an array")

    def fill(self, value: T) -> None:
        _only_compiled("an array")


def array(value: Any) -> Any:
    """A new local array, every element ``value``."""
    return _only_compiled("array")


class List(Generic[T]):
    """A short ordered list without duplicates."""

    def first(self) -> T:
        _only_compiled("a list")
        raise AssertionError

    def next(self, of: T) -> T:
        _only_compiled("a list")
        raise AssertionError

    def insert_head(self, node: T) -> None:
        _only_compiled("a list")

    def insert_tail(self, node: T) -> None:
        _only_compiled("a list")

    def insert_before(self, anchor: T, node: T) -> None:
        _only_compiled("a list")

    def insert_after(self, anchor: T, node: T) -> None:
        _only_compiled("a list")

    def remove(self, node: T) -> None:
        _only_compiled("a list")

    def __contains__(self, node: T) -> bool:
        _only_compiled("a list")
        raise AssertionError


@record
class Thread:
    """A thread of the scenario; as a type, a reference to one or ``NOBODY``.

    ``wchan`` is the queue it sleeps on, 0 when it does not sleep.
    """

    wchan: Annotated[int, CInt(32, signed=False, low=0, high="NCHANNELS")]


threads: Final[Pool[Thread]] = Pool(Thread, "NTHREADS")
NULL: Final[Any] = None
NOBODY: Final[Any] = None


@struct
class Mutex:
    """An adaptive mutex: exclusive, not recursive."""

    owner: Thread


ThreadSet: TypeAlias = Annotated[int, CInt(32, signed=False, low=0, high="THREAD_MASK")]


@struct
class RWLock:
    """A krwlock.  Thread sets are bit masks."""

    writer: Thread
    readers: ThreadSet
    waiting_writers: ThreadSet
    waiting_readers: ThreadSet


@struct
class WaitQueue:
    """Something threads sleep on: an identity without storage."""


class RW(Enum):
    """How a reader/writer lock is taken."""

    READER = 0
    WRITER = 1


def parameter(name: str, *, default: int, low: int, high: int, doc: str = "") -> int:
    """A constant that a scenario may set within ``low`` to ``high``."""
    return default


def exclusive(of: type, *, owner: str, guard: str = "") -> None:
    """Declare who may touch a record's plain fields without a race."""


# --------------------------------------------------------------------- decorators


@overload
def routine(f: F) -> F: ...
@overload
def routine(*, seed: tuple[int, int]) -> Callable[[F], F]: ...
def routine(f: Any = None, *, seed: tuple[int, int] = (0, 0)) -> Any:
    """Compiled step by step; ``seed``: the range of lines it encodes."""
    return f if f is not None else (lambda g: g)


def atomic(f: F) -> F:
    """The whole call is one step."""
    return f


def pure(f: F) -> F:
    """An expression without effects."""
    return f


def actor(f: F) -> F:
    """A routine that a scenario's thread may run."""
    return f


def setup(f: F) -> F:
    """Builds the initial state."""
    return f


def invariant(
    name: str,
    *,
    when: Callable[[], bool] | None = None,
    quiet: tuple[str, ...] = (),
    terminal: bool = False,
) -> Callable[[F], F]:
    """A predicate that must hold in every reachable state where ``when`` holds."""
    return lambda f: f


def witness(f: F) -> F:
    """A predicate that must hold in some reachable state."""
    return f


# --------------------------------------------------------------------- primitives


def fixed(name: str) -> bool:
    """Is the fix of this name switched on?  Known at compile time."""
    return False


def me() -> Thread:
    """The executing thread."""
    _only_compiled("me")
    raise AssertionError


def nthreads() -> int:
    """The number of threads of the scenario, daemons included."""
    _only_compiled("nthreads")
    raise AssertionError


def mutex_enter(m: Mutex) -> None:
    """Take the mutex, waiting while another thread holds it."""


def mutex_exit(m: Mutex) -> None:
    """Release the mutex."""


def mutex_tryenter(m: Mutex) -> bool:
    """Take the mutex if it is free; say whether it was."""
    return False


def mutex_owned(m: Mutex) -> bool:
    """Does the executing thread hold the mutex?"""
    return False


def rw_enter(lock: RWLock, how: RW) -> None:
    """Take the lock, waiting as the krwlock rules say."""


def rw_tryenter(lock: RWLock, how: RW) -> bool:
    """Take the lock unless ``rw_enter`` would wait; say whether it was taken."""
    return False


def rw_exit(lock: RWLock) -> None:
    """Release the lock, in whichever way it is held."""


def rw_write_held(lock: RWLock) -> bool:
    """Does the executing thread hold the lock as writer?"""
    return False


def rw_read_held(lock: RWLock) -> bool:
    """Does the executing thread hold the lock as reader?"""
    return False


def sleep_on(queue: WaitQueue, m: Mutex) -> None:
    """Release the mutex and sleep, in one step; returns without the mutex."""


def cv_wait(queue: WaitQueue, m: Mutex) -> None:
    """``sleep_on``, then take the mutex again."""


def wakeup(queue: WaitQueue) -> None:
    """Make every sleeper on the queue runnable."""


def has_sleepers(queue: WaitQueue) -> bool:
    """Does any thread sleep on the queue?"""
    return False


def wait_until(condition: bool, reason: str) -> None:
    """Go on only where the condition holds."""


def rest_until(condition: bool, reason: str) -> None:
    """As ``wait_until``; a daemon may rest here for ever."""


def allocate(pool: Pool[T]) -> T:
    """The lowest entry not in use, now in use; NULL when there is none."""
    _only_compiled("allocate")
    raise AssertionError


def release(entry: Any) -> None:
    """Give an allocated entry back."""


def choose(count: int, label: str) -> int:
    """Any number from 0 to ``count - 1``."""
    return 0


def choose_bool(label: str) -> bool:
    """True or false."""
    return False


def kassert(condition: Any) -> None:
    """An assertion of the modelled code."""


def panic(message: str) -> None:
    """A reached panic."""


def check(name: str, condition: Any, message: str = "") -> None:
    """An assertion that belongs to a named property."""


def _effect(kind: str, lock: Any, mode: str) -> None:
    """Primitives only: the next statement is where a primitive takes effect."""


def _queue_id(queue: WaitQueue) -> int:
    """Primitives only: the number by which a queue is known, above zero."""
    return 1

"""What the synchronisation primitives do, in the language itself.

This is the one table of primitives: when each is enabled, what it updates, and which kind
of mover it is (``effect`` tells the reduction).  Engines never see more than guarded updates.
The rules of the reader/writer lock are those of Solaris' and NetBSD's krwlock.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from .prelude import (
    NOBODY,
    RW,
    CInt,
    Mutex,
    RWLock,
    Thread,
    WaitQueue,
    atomic,
    cast,
    check,
    choose,
    me,
    nthreads,
    pure,
    routine,
    threads,
    wait_until,
)  # fmt: skip
from .prelude import _effect as effect
from .prelude import _queue_id as queue_id

ThreadSet: TypeAlias = Annotated[int, CInt(32, signed=False, low=0, high="THREAD_MASK")]


@atomic
def mutex_enter(m: Mutex) -> None:
    wait_until(m.owner is NOBODY or m.owner is me(), "mutex")
    check("lock-discipline", m.owner is not me(), "takes a mutex that it holds already")
    effect("acquire", m, "w")
    m.owner = me()


@atomic
def mutex_exit(m: Mutex) -> None:
    check("lock-discipline", m.owner is me(), "releases a mutex that it does not hold")
    effect("release", m, "w")
    m.owner = NOBODY


@atomic
def mutex_tryenter(m: Mutex) -> bool:
    check("lock-discipline", m.owner is not me(), "tries a mutex that it holds already")
    if m.owner is NOBODY:
        effect("try", m, "w")
        m.owner = me()
        return True
    return False


@pure
def mutex_owned(m: Mutex) -> bool:
    return m.owner is me()


@pure
def _bit(thread: Thread) -> ThreadSet:
    return 1 << cast(int, thread)


@pure
def rw_write_held(lock: RWLock) -> bool:
    return lock.writer is me()


@pure
def rw_read_held(lock: RWLock) -> bool:
    return (lock.readers & _bit(me())) != 0


@atomic
def _rw_arrive(lock: RWLock, how: RW) -> bool:
    """Take the lock, or join those who wait for it; say which."""
    check(
        "lock-discipline",
        lock.writer is not me() and (lock.readers & _bit(me())) == 0,
        "takes a reader/writer lock that it holds already",
    )
    if how == RW.READER:
        if lock.writer is NOBODY and lock.waiting_writers == 0:
            effect("acquire", lock, "r")
            lock.readers |= _bit(me())
            return True
        lock.waiting_readers |= _bit(me())
        return False
    if lock.writer is NOBODY and lock.readers == 0:
        effect("acquire", lock, "w")
        lock.writer = me()
        return True
    lock.waiting_writers |= _bit(me())
    return False


@atomic
def _rw_granted(lock: RWLock, how: RW) -> None:
    """Go on once the thread that released the lock has handed it over."""
    if how == RW.READER:
        effect("acquire", lock, "r")
        wait_until((lock.readers & _bit(me())) != 0, "rwlock (reader)")
    else:
        effect("acquire", lock, "w")
        wait_until(lock.writer is me(), "rwlock (writer)")


@routine
def rw_enter(lock: RWLock, how: RW) -> None:
    if not _rw_arrive(lock, how):
        _rw_granted(lock, how)


@atomic
def rw_tryenter(lock: RWLock, how: RW) -> bool:
    check(
        "lock-discipline",
        lock.writer is not me() and (lock.readers & _bit(me())) == 0,
        "tries a reader/writer lock that it holds already",
    )
    if how == RW.READER:
        if lock.writer is NOBODY and lock.waiting_writers == 0:
            effect("try", lock, "r")
            lock.readers |= _bit(me())
            return True
        return False
    if lock.writer is NOBODY and lock.readers == 0:
        effect("try", lock, "w")
        lock.writer = me()
        return True
    return False


@atomic
def _rw_hand_over(lock: RWLock) -> None:
    """Give the free lock to one of the waiting writers, any of them."""
    waiting: ThreadSet = lock.waiting_writers
    count: ThreadSet = 0
    for t in range(nthreads()):
        count += (waiting >> t) & 1
    pick: ThreadSet = choose(count, "which waiting writer")
    chosen: Thread = NOBODY
    for t in range(nthreads()):
        if (waiting >> t) & 1:
            if pick == 0 and chosen is NOBODY:
                chosen = threads[t]
            if pick > 0:
                pick -= 1
    lock.waiting_writers &= ~_bit(chosen)
    lock.writer = chosen


@atomic
def rw_exit(lock: RWLock) -> None:
    check(
        "lock-discipline",
        lock.writer is me() or (lock.readers & _bit(me())) != 0,
        "releases a reader/writer lock that it does not hold",
    )
    effect("release", lock, "w")
    if lock.writer is me():
        lock.writer = NOBODY
        lock.readers = lock.waiting_readers
        lock.waiting_readers = 0
    else:
        lock.readers &= ~_bit(me())
    if lock.readers == 0 and lock.waiting_writers != 0:
        _rw_hand_over(lock)


@atomic
def _fall_asleep(queue: WaitQueue, m: Mutex) -> None:
    check("lock-discipline", m.owner is me(), "sleeps with a mutex that it does not hold")
    effect("sleep", m, "w")
    m.owner = NOBODY
    me().wchan = queue_id(queue)


@atomic
def _woken() -> None:
    effect("resume", me(), "w")
    wait_until(me().wchan == 0, "wakeup")


@routine
def sleep_on(queue: WaitQueue, m: Mutex) -> None:
    _fall_asleep(queue, m)
    _woken()


@routine
def cv_wait(queue: WaitQueue, m: Mutex) -> None:
    sleep_on(queue, m)
    mutex_enter(m)


@atomic
def wakeup(queue: WaitQueue) -> None:
    effect("wakeup", queue, "w")
    for t in range(nthreads()):
        if threads[t].wchan == queue_id(queue):
            threads[t].wchan = 0


@pure
def has_sleepers(queue: WaitQueue) -> bool:
    return any(threads[t].wchan == queue_id(queue) for t in range(nthreads()))

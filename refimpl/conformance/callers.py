"""What the threads of a world run: the scenario's calls, in the reference implementation.

Wherever it has a caller of its own (`ops`, `vm`, `ubc`, `mount`), that is what runs.
The world's own are those that name a single page or pass flags directly: the syncer's visit of
one vnode, the page daemon's look at one page, and putpages as anything may call it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import flush, ops, sizes
from ..errors import MachineDead
from ..genfs import flags as genfs_flags
from ..genfs.compat import null_putpages
from ..genfs.flags import PGO_CLEANIT, PGO_FREE, PGO_SYNCIO, VI_ONWORKLST
from ..sync import WRITER
from ..vm import VmMap, readahead
from .world import FIRST_STORE, UNIT, Unsupported, World, pattern


@dataclass(frozen=True)
class Call:
    """One call of a program: the actor's name and its arguments, in units.

    ``choices`` of a workload are what its log tells of it ("operation=3,unit=1").  "end" is no
    call, but the end of a workload.
    """

    name: str
    arguments: Mapping[str, Any]
    choices: str = ""


Program = Sequence[Call]
Returned = int | tuple[int, int] | None  # an errno, and bytes


def run(world: World, program: Program) -> None:
    """Makes the calls, one after the other."""
    machine = world.fs.kernel.machine
    for call in program:
        caller = CALLERS.get(call.name, _nothing)
        if caller is _nothing and call.name != "end":
            raise Unsupported(f"there is no caller {call.name!r}")
        said = {"choices": call.choices} if call.choices else {}
        machine.step("call", call.name, op=call.name, vp=world.vp, **said)
        if call.name == "end":
            return
        given = {key: value for key, value in call.arguments.items() if key != "vp"}
        returned = caller(world, **given)
        machine.step("return", call.name, op=call.name, vp=world.vp, **_result(returned))


def _result(returned: Returned) -> dict[str, object]:
    """What a log says of it: an errno, and how many bytes where that counts."""
    if returned is None:
        return {}
    error, count = (returned, None) if isinstance(returned, int) else returned
    return {"error": error} if count is None else {"error": error, "count": count}


def _nothing(world: World) -> None:
    """No call."""


def _flags(names: object) -> int:
    """PGO flags by their names."""
    if isinstance(names, str):
        names = [names]
    assert isinstance(names, list | tuple)
    return sum(int(getattr(genfs_flags, f"PGO_{name}")) for name in names)


def _around(view: VmMap, behind: int, ahead: int, shadow: int, unit: int) -> None:
    """The neighbours that a fault looks at, and which of them an anon shadows."""
    view.back, view.ahead = behind, ahead
    first = unit * UNIT // view.vp.mnt.page_size - behind
    for slot in range(behind + 1 + ahead):
        if shadow >> slot & 1:
            view._anons[first + slot] = bytearray(view.vp.mnt.page_size)


def _mapped_load(
    world: World, unit: int, entry: str, mapping: int = 0, behind: int = 0, ahead: int = 0,
    shadow: int = 0, readahead: int = 0,
) -> int:  # fmt: skip
    if readahead:
        raise Unsupported("a fault that reads ahead")
    view = world.mapping(mapping, entry == "WRITE")
    _around(view, behind, ahead, shadow, unit)
    error, _ = view.load(unit * UNIT, UNIT)
    return error


def _mapped_store(
    world: World, unit: int, store: int, mapping: int = 0, behind: int = 0, ahead: int = 0,
    shadow: int = 0,
) -> int:  # fmt: skip
    view = world.mapping(mapping)
    _around(view, behind, ahead, shadow, unit)
    return view.store(unit * UNIT, pattern(FIRST_STORE + store))


def _mlock(world: World, unit: int, entry: str, mapping: int = 0) -> int:
    return world.mapping(mapping, entry == "WRITE").wire(unit * UNIT, UNIT, on=True)


def _read(world: World, off: int, length: int, window: int, ahead: int = 0) -> tuple[int, int]:
    if ahead:
        raise Unsupported("a read that reads ahead")
    return ops.read(world.vp, off * UNIT, memoryview(bytearray(length * UNIT)))


def _write(
    world: World, off: int, length: int, store: int, window: int, sync: bool = False,
    crossing: int = 0, slot: int = 0, may_fail: bool = False,
) -> tuple[int, int]:  # fmt: skip
    data = pattern(FIRST_STORE + store) * length
    error, count, _ = ops.write(world.vp, off * UNIT, memoryview(data), sync=sync)
    return error, count


def _truncate(world: World, length: int, window: int = 0) -> int:
    return sizes.truncate(world.vp, length * UNIT)


def _fsync(world: World, slot: int = 0) -> int:
    return flush.fsync(world.vp)


def _fsync_range(world: World, low: int, high: int, slot: int = 0) -> int:
    return flush.fsync(world.vp, low * UNIT, high * UNIT)


def _msync(
    world: World, low: int, high: int, sync: bool = True, invalidate: bool = False, slot: int = 0
) -> int:
    if low < high:
        return world.mapping(0).sync(low * UNIT, (high - low) * UNIT, sync, invalidate)
    # The whole file from there on, as no mapping's range says it.
    flags = PGO_CLEANIT | (PGO_SYNCIO if sync else 0) | (PGO_FREE if invalidate else 0)
    world.vp.interlock.enter("msync")
    return world.vp.putpages(low * UNIT, high * UNIT, flags)


def _putpages(world: World, low: int, high: int, flags: object) -> int:
    world.vp.interlock.enter("flush")
    return world.vp.putpages(low * UNIT, high * UNIT, _flags(flags))


def _null_flush(world: World) -> None:
    world.vp.interlock.enter("flush")
    null_putpages(world.vp, 0, 0, 0)


def _readahead(world: World, off: int, count: int = 1) -> None:
    readahead(world.vp, off * UNIT, count * world.fs.kernel.config.max_cluster)


def _journal_flusher(world: World) -> None:
    wapbl = world.fs.kernel.wapbl
    assert wapbl is not None
    wapbl.flush(True, "journal flusher")


def _reclaim(world: World) -> int:
    """What keeps new references out (VI_XLOCK) is left out: nobody comes by name."""
    return flush.destroy(world.vp)


def _suspend(world: World) -> int:
    try:
        with world.fs.suspended():
            return 0
    except MachineDead:
        raise
    except OSError as error:  # what could not be written keeps it from being suspended
        return error.errno or 0


def _syncer(world: World) -> int:
    """One visit of the one vnode."""
    vp = world.vp
    if not vp.interlock.tryenter("syncer"):
        return 0
    due = bool(vp.v_iflag.get("syncer") & VI_ONWORKLST)
    locked = due and vp.v_lock.tryenter(WRITER, "syncer")
    vp.interlock.exit("syncer")
    error = 0
    if locked:
        error = flush.flush_vnode(vp, wait=False, at="syncer")
        vp.v_lock.exit("syncer")
    return error


def _pagedaemon(world: World, looks: int = 1) -> None:
    """Looks at ``looks`` pages; chance, or the hook, says which."""
    kernel = world.fs.kernel
    lwp = kernel.machine.curlwp()
    lwp.pagedaemon = True
    for _look in range(looks):
        number = kernel.machine.pick("which page", world.plan.parameters["NPAGES"])
        kernel.pagedaemon.look(kernel.uvm.pages[number])
    lwp.pagedaemon = False


CALLERS: dict[str, Callable[..., Returned]] = {
    "mapped_load": _mapped_load,
    "mapped_store": _mapped_store,
    "mlock": _mlock,
    "read": _read,
    "write": _write,
    "truncate": _truncate,
    "extend": _truncate,
    "fsync": _fsync,
    "fsync_range": _fsync_range,
    "msync": _msync,
    "flush": _putpages,
    "null_flush": _null_flush,
    "readahead": _readahead,
    "journal_flusher": _journal_flusher,
    "reclaim": _reclaim,
    "suspend": _suspend,
    "syncer": _syncer,
    "pagedaemon": _pagedaemon,
}

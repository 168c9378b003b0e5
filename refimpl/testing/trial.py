"""An implementation beside its oracle: what it does is done to both, and compared."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import note

from .api import Handle, Implementation, Mapped, PowerLost
from .expected import Expected

LIMIT = 24 * 1024  # no file grows beyond


class Trial:
    """The state of a `PageCacheMachine`, and how an operation is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.fs: Implementation
        self.ready = False
        self.files: dict[str, Expected] = {}
        self.handles: dict[tuple[str, bool], Handle] = {}
        self.maps: dict[str, Mapped] = {}
        self.armed: str | None = None  # the fault in force
        self.fired = 0
        self.stamp = 0
        self.without: frozenset[str] = frozenset()

    def handle(self, name: str, direct: bool = False, create: bool = False) -> Handle:
        key = name, direct
        if key not in self.handles:
            self.handles[key] = self.fs.open(name, create=create, direct=direct)
        return self.handles[key]

    def _map(self, name: str) -> Mapped:
        if name not in self.maps:
            self.maps[name] = self.handle(name).mmap(2 * LIMIT + (1 << 20))
        return self.maps[name]

    def _close(self, name: str) -> None:
        for direct in (False, True):
            handle = self.handles.pop((name, direct), None)
            if handle is not None:
                handle.close()
        if name in self.maps:
            self.maps.pop(name).close()

    def _forget(self) -> None:
        self.handles.clear()
        self.maps.clear()

    def _size(self, name: str) -> int | None:
        """What the file says of its size, compared; None if it does not say."""
        sizes: list[int] = []
        if not self._attempt(lambda: sizes.append(self.handle(name).size()), name) or not sizes:
            return None
        self._check(self.files[name].size_wrong(sizes[0]), name)
        return sizes[0]

    def _data(self, length: int) -> bytes:
        """Never zero, and not what was written before."""
        self.stamp += 1
        return bytes((self.stamp * 7 + i) % 255 + 1 for i in range(length))

    def _inside(self, name: str, offset: int, length: int) -> tuple[int, int]:
        size = len(self.files[name].now)
        if not size or self.files[name].doubt:
            return 0, 0
        offset %= size
        return offset, min(length, size - offset)

    def _write(self, name: str, data: bytes, offset: int, body: Callable[[], int]) -> None:
        file = self.files[name]
        count: list[int] = []
        whole = file.written(data, offset)
        if self._attempt(lambda: count.append(body()), name, whole):
            if not count:
                return
            file.becomes(file.written(data[: count[0]], offset) if count[0] else file.now)
            if count[0] != len(data):
                self._check(None if self.armed else f"{count[0]} of {len(data)} written", name)
                self._half_done(file, whole)

    def _change(self, name: str, after: bytes, body: Callable[[], object]) -> None:
        before = self.files[name].now
        if self._attempt(body, name, after) and self.files[name].now is before:
            self.files[name].becomes(after)

    def _read(self, name: str, offset: int, length: int, body: Callable[[], bytes]) -> None:
        got: list[bytes] = []
        file = self.files[name]
        armed = self.armed is not None
        if self._attempt(lambda: got.append(body()), name) and got:
            if armed and got[0]:  # what came before the fault may be all
                length = min(length, len(got[0]))
            size = self.handle(name).size() if file.doubt else None
            self._check(file.read_wrong(got[0], offset, length, size, self.fs.stale_unit), name)

    def _attempt(
        self,
        body: Callable[[], object],
        name: str | None = None,
        after: bytes | None = None,
        gone: bool = False,
    ) -> bool:
        """Whether an operation succeeded.  It may fail only as the fault in force allows.

        ``after`` is what it would have made of the file ``name``.
        """
        try:
            body()
            done = True
        except PowerLost:
            if name is not None and after is not None:
                self.files[name].attempted(after)
            if name is not None and gone:
                self.files[name].attempted(b"")
                self.files[name].may_be_missing = True
            self._crash(None)
            return False
        except OSError as error:
            allowed = self.fs.faults[self.armed] if self.armed is not None else frozenset()
            note(f"failed: {error}")
            if error.errno not in allowed:
                raise
            done = False
        if self.armed in self.fs.write_faults and self.fs.fired() != self.fired:
            for file in self.files.values():
                file.doubt = True  # whatever was under way may be lost
        if not done and name is not None and after is not None:
            self._half_done(self.files[name], after)
        if not done and name is not None and gone:
            self.files[name].attempted(b"")
            self.files[name].may_be_missing = True
        return done

    def _half_done(self, file: Expected, after: bytes) -> None:
        """Part of a change may have happened: how much, the file itself says."""
        known = not file.doubt
        file.attempted(after)
        if known and self.armed not in self.fs.write_faults:
            self._disarm()
            size = self.handle(file.name).size()
            got = self.handle(file.name).pread(2 * LIMIT, 0)
            self._compare(file, got, size)
            file.becomes(got)
            file.doubt = False

    def _disarm(self) -> None:
        self.fs.no_faults()
        self.armed = None

    def _check(self, wrong: str | None, name: str) -> None:
        assert wrong is None, f"{name}: {wrong}"

    def _compare(self, file: Expected, got: bytes, size: int) -> None:
        """All that was read of a file."""
        stale = self.fs.stale_unit
        wrong = file.size_wrong(size) or file.read_wrong(got, 0, 4 * LIMIT, size, stale)
        self._check(wrong, file.name)

    def _contents(self, name: str) -> bytes | None:
        try:
            return self.handle(name).pread(4 * LIMIT, 0)
        except FileNotFoundError:
            return None

    def _settle(self) -> None:
        """No faults, a remount, and every byte is looked at."""
        self._disarm()
        self._forget()
        try:
            self.fs.remount()
        except PowerLost:
            self._crash(None)
            return
        for name, file in self.files.items():
            got = self._contents(name)
            if got is None:
                self._check(file.crash_wrong(None), name)
                self.handle(name, create=True).fsync()
                got = b""
                file.attempted(got)
                file.may_be_missing = False
            size = self.handle(name).size()
            self._compare(file, got, size)
            self._adopt(file, got)

    def _crash(self, tear: int | None) -> None:
        self._disarm()
        self._forget()
        self.fs.crash(tear)
        for name, file in self.files.items():
            got = self._contents(name)
            self._check(file.crash_wrong(got, self.fs.stale_unit), f"{name} after a crash")
            if got is None:
                self.handle(name, create=True).fsync()
            self._adopt(file, got or b"")

    def _adopt(self, file: Expected, got: bytes) -> None:
        """What was found is what the file is now.

        Where writes were lost, the unit with the end may hold anything behind it, which
        would be seen when the file grows: it is cut off.
        """
        unit = self.fs.stale_unit
        lost = file.doubt or len(file.versions) > 1
        file.found(got)
        if unit and lost and len(got) % unit:
            handle = self.handle(file.name)
            handle.truncate(len(got) // unit * unit)
            handle.fsync()
            file.found(got[: len(got) // unit * unit])

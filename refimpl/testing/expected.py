"""The oracle: what a file must, or may, contain."""

from __future__ import annotations

from dataclasses import dataclass, field


def shown(data: bytes, around: int, width: int = 8) -> str:
    """A few bytes from ``around`` on, for messages."""
    part = data[around : around + width]
    return part.hex(" ") + ("" if len(data) <= around + width else " ...") if part else "nothing"


@dataclass
class Expected:
    """One file as a plain byte array.

    ``versions`` are its contents since the last promise that it survives a crash: first
    the promised ones, last the present ones.  While ``doubt`` is set, because the device
    failed a write, each byte may be as in any of them; so it may after a crash.
    """

    name: str
    versions: list[bytes] = field(default_factory=lambda: [b""])
    doubt: bool = False
    may_be_missing: bool = False  # its name was never promised

    @property
    def now(self) -> bytes:
        return self.versions[-1]

    def becomes(self, data: bytes) -> None:
        """The contents change."""
        if data != self.now:
            self.versions.append(data)

    def attempted(self, data: bytes) -> None:
        """A change to ``data`` failed half-way: every byte may be the old or the new one."""
        if data != self.now:
            self.versions.insert(-1, data)
        self.doubt = True

    def promised(self) -> None:
        """The present contents survive a crash; no promise is worth much while in doubt."""
        if not self.doubt:
            self.versions = [self.now]
            self.may_be_missing = False

    def found(self, data: bytes) -> None:
        """The contents on the device are known to be ``data``."""
        self.versions = [data]
        self.doubt = False
        self.may_be_missing = False

    def written(self, data: bytes, offset: int) -> bytes:
        """The contents after a write."""
        grown = bytearray(self.now)
        grown.extend(bytes(max(0, offset + len(data) - len(grown))))
        grown[offset : offset + len(data)] = data
        return bytes(grown)

    def truncated(self, size: int) -> bytes:
        """The contents after a truncation or extension."""
        return self.now[:size] + bytes(size - len(self.now[:size]))

    # Comparisons: what is wrong, or None.

    def size_wrong(self, size: int) -> str | None:
        if not self.doubt:
            return None if size == len(self.now) else f"size {size}, not {len(self.now)}"
        return self._length_wrong(size)

    def read_wrong(
        self, got: bytes, offset: int, length: int, size: int | None = None, stale_unit: int = 0
    ) -> str | None:
        """What is wrong with ``got``, read from ``offset`` on.

        ``size`` is how long the file said it was, of use only in doubt.
        """
        end = size if self.doubt and size is not None else len(self.now)
        wanted = self.now[offset : offset + length]
        if got == wanted and end == len(self.now):
            return None
        if len(got) != max(0, min(length, end - offset)):
            return f"{len(got)} bytes at {offset}, not {len(wanted)}"
        if not self.doubt:
            index = next(i for i, byte in enumerate(got) if byte != wanted[i])
            return self._differs(got, index, offset + index)
        return self._bytes_wrong(got, offset, stale_unit)

    def crash_wrong(self, got: bytes | None, stale_unit: int = 0) -> str | None:
        """What is wrong with the contents after a crash; None for a file that is missing."""
        if got is None:
            return None if self.may_be_missing else "the file is missing"
        return self._length_wrong(len(got)) or self._bytes_wrong(got, 0, stale_unit)

    def _bytes_wrong(self, got: bytes, offset: int, stale_unit: int) -> str | None:
        """Each byte must be that of some version, or one that may be stale."""
        if got == self.now[offset : offset + len(got)]:
            return None
        touched: set[int] | None = None
        for index, byte in enumerate(got):
            where = offset + index
            if byte in self._candidates(where):
                continue
            if stale_unit:
                if touched is None:
                    touched = self._touched_units(offset + len(got), stale_unit)
                promised = self.versions[0][where : where + 1]
                changed = any(version[where : where + 1] != promised for version in self.versions)
                if changed or (promised in (b"", b"\0") and where // stale_unit in touched):
                    continue
            return self._differs(got, index, where)
        return None

    def _touched_units(self, end: int, unit: int) -> set[int]:
        """The units in which not all versions agree."""
        first = self.versions[0]
        return {
            number
            for number in range(-(-end // unit))
            for part in [slice(number * unit, (number + 1) * unit)]
            if any(version[part] != first[part] for version in self.versions)
        }

    def _candidates(self, where: int) -> set[int]:
        return {version[where] if where < len(version) else 0 for version in self.versions}

    def _length_wrong(self, size: int) -> str | None:
        lengths = [len(version) for version in self.versions]
        if min(lengths) <= size <= max(lengths):
            return None
        return f"size {size}, not from {min(lengths)} to {max(lengths)}"

    def _differs(self, got: bytes, index: int, where: int) -> str:
        return (
            f"at byte {where} of {self.name}: {shown(got, index)}, "
            f"written was {shown(self.now, where)}"
            + (f", promised {shown(self.versions[0], where)}" if len(self.versions) > 1 else "")
        )

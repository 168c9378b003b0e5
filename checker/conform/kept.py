"""What takes long to compute, kept in the cache folder from one process to the next.

An entry is a pickle under the hash of its recipe, which must name everything that it depends
on; the hash of its own bytes stands in front, so that one that was cut off is made again.  Loading
a pickle executes it: the folder is the one of compiled objects, with the same distrust.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from ..explore.native.build import Warn, cache_folder, to_stderr

Made = TypeVar("Made")

KEPT: Final = 30  # entries; each has some tens of megabytes
_SUFFIX: Final = ".kept"
_SEAL: Final = 32  # bytes


def code_digest(places: Iterable[Path]) -> str:
    """The digest of some sources, files or all in a folder: what is computed depends on them."""
    digest = hashlib.sha256(sys.version.encode())
    for place in places:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(f"{path.relative_to(place.parent)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _many_objects() -> Iterator[None]:
    """Many objects come into being and stay: looking through them for garbage is vain, for ever.

    They take turns with those made before, so that what is given up can be found after all.
    """
    enabled = gc.isenabled()
    gc.disable()
    gc.unfreeze()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def kept(recipe: Iterable[str], make: Callable[[], Made], warn: Warn = to_stderr) -> Made:
    """What the recipe stands for: from the cache, or made now and put there.

    A cache that cannot be read or written to costs time and nothing else.
    """
    path = _path(recipe, warn)
    with _many_objects():
        found: list[Made] = _load(path)
        if not found:
            found = [make()]
            _store(path, found)
    return found[0]


def keep(recipe: Iterable[str], entry: object, warn: Warn = to_stderr) -> None:
    """Puts another entry in the place of what the recipe stands for."""
    with _many_objects():
        _store(_path(recipe, warn), [entry])


def _path(recipe: Iterable[str], warn: Warn) -> Path:
    key = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
    return cache_folder(warn) / f"{key}{_SUFFIX}"


def _load(path: Path) -> list[Any]:
    """The entry as the one member of a list, or an empty list."""
    try:
        raw = path.read_bytes()
        if hashlib.sha256(raw[_SEAL:]).digest() != raw[:_SEAL]:
            return []
        os.utime(path)
    except OSError:
        return []
    return pickle.loads(memoryview(raw)[_SEAL:])  # type: ignore[no-any-return]


def _store(path: Path, entry: list[Any]) -> None:
    raw = pickle.dumps(entry, pickle.HIGHEST_PROTOCOL)
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(prefix="tmp-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(raw).digest())
                file.write(raw)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
        entries = sorted(path.parent.glob(f"*{_SUFFIX}"), key=lambda one: one.stat().st_mtime)
        for old in entries[:-KEPT]:
            old.unlink(missing_ok=True)

"""From C text to a loaded shared object: compiler, cache, and what can go wrong with them.

Compiled objects are kept in a cache folder under a name made from the hash of the text, the
compiler's version and the flags.  Beside each object a small file holds the hash of its bytes,
which is verified before the object is loaded: a file that was cut off is compiled again.

Loading an object executes it, so a cache folder that somebody else could write to is not used.
Then a private temporary folder takes its place, with one line of warning: what is found does
not depend on the cache, only a few seconds do, so refusing would turn a matter of permissions
into a missing result.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FLAGS = ("-std=gnu11", "-fPIC", "-shared", "-pthread")
KEPT = 200  # objects in the cache
_DAY = 86_400.0  # seconds
_LARGE = 800_000  # characters
_FOLDER = Path(__file__).parent
_NAME = "model.c"

Warn = Callable[[str], None]


class NativeUnavailable(Exception):
    """There is no native engine here (no C compiler); another engine must do.  One line."""


class NativeError(Exception):
    """Compiling or loading failed although it should not.  One line."""


def to_stderr(line: str) -> None:
    print(f"genfscheck: {line}", file=sys.stderr)


# ------------------------------------------------------------------------ the compiler


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: the command, and what it says of its version."""

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler:
    """The compiler that ``$CC`` names, or the system's; raises NativeUnavailable."""
    named = os.environ.get("CC", "").strip()
    for command in [named] if named else ["cc", "gcc", "clang"]:
        words = tuple(shlex.split(command))
        if not words or shutil.which(words[0]) is None:
            continue
        try:
            done = subprocess.run(
                [*words, "--version"], capture_output=True, text=True, errors="replace", timeout=60
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return Compiler(words, done.stdout.strip())
    if named:
        raise NativeUnavailable(f"the C compiler that CC names cannot be run: {named}")
    raise NativeUnavailable("no C compiler found: install gcc or clang, or set CC")


def _compile(compiler: Compiler, flags: Sequence[str], text: str, folder: Path) -> Path:
    """Compile a text in a folder of its own; the object's path."""
    source, target = folder / _NAME, folder / "model.so"
    source.write_text(text, encoding="utf-8")
    command = [*compiler.command, *flags, "-o", target.name, source.name]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)},
        )  # fmt: skip
    except OSError as error:
        raise NativeError(f"{compiler.command[0]} cannot be run: {error.strerror}") from None
    if done.returncode == 0 and target.is_file() and target.stat().st_size:
        return target
    if "No space left on device" in done.stderr or shutil.disk_usage(folder).free < 1 << 20:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    first = next((line for line in lines if "error" in line), lines[0] if lines else "")
    raise NativeError(
        f"{compiler.command[0]} failed with status {done.returncode}"
        f"{': ' if first else ''}{first}; its input is {_keep(text)}"
    )


def _keep(text: str) -> str:
    """Save a text that could not be compiled; where (with the folder's failure, if it fails)."""
    try:
        handle, name = tempfile.mkstemp(prefix="genfscheck-", suffix=".c")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return f"lost ({error.strerror})"
    return name


# ---------------------------------------------------------------------------- the cache

_private: list[tempfile.TemporaryDirectory[str]] = []


def _private_folder() -> Path:
    """A folder of this process, removed when it ends."""
    if not _private:
        _private.append(tempfile.TemporaryDirectory(prefix="genfscheck-"))
    return Path(_private[0].name)


def cache_path() -> Path | None:
    """Where compiled objects are kept, by the environment; None where there is no home."""
    if own := os.environ.get("GENFSCHECK_CACHE"):
        return Path(own)
    if (base := os.environ.get("XDG_CACHE_HOME")) and os.path.isabs(base):
        return Path(base) / "genfscheck"
    try:
        return Path.home() / ".cache" / "genfscheck"
    except RuntimeError:
        return None


def _distrust(folder: Path, top: Path | None = None) -> str:
    """Why a folder must not be loaded from ("" if it may be).

    It must be ours, and neither it nor any folder above it may be one in which somebody else
    can replace entries (a folder above may let others add entries if it is sticky).  Folders
    above ``top`` are trusted.
    """
    me = os.geteuid()
    for place in (folder, *folder.parents):
        status = place.stat()
        if status.st_uid not in ((me,) if place == folder else (me, 0)):
            return f"{place} belongs to somebody else"
        if status.st_mode & 0o022 and (place == folder or not status.st_mode & stat.S_ISVTX):
            return f"others can write to {place}"
        if place == top:
            break
    return ""


def cache_folder(warn: Warn = to_stderr) -> Path:
    """The cache folder, made if need be; a private one, after a warning, if it cannot be used."""
    folder = cache_path()
    if folder is None:
        why = "there is no home directory"
    else:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = folder.resolve(strict=True)
            why = _distrust(folder)
            if not why and not os.access(folder, os.W_OK | os.X_OK):
                why = f"{folder} cannot be written to"
        except OSError as error:
            why = f"{error.filename or folder}: {error.strerror}"
    if not why and folder is not None:
        return folder
    warn(f"the cache of compiled models is not used: {why}")
    return _private_folder()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _cached(folder: Path, key: str) -> Path | None:
    """The object of a key, if it is there and whole."""
    try:
        sealed = (folder / f"{key}.sum").read_text(encoding="ascii").strip()
        if len(sealed) != 64 or not sealed.isalnum():
            return None
        found = folder / f"{key}-{sealed[:16]}.so"
        if _digest(found) != sealed:
            return None
        os.utime(found)
        os.utime(folder / f"{key}.sum")
    except (OSError, UnicodeDecodeError):
        return None
    return found


def _prune(folder: Path) -> None:
    """Forget the objects that were not used for longest, and what killed processes left."""
    with contextlib.suppress(OSError):
        entries = sorted(folder.glob("*.s[ou]*"), key=lambda path: path.stat().st_mtime)
        for path in entries[: max(0, len(entries) - 2 * KEPT)]:
            path.unlink(missing_ok=True)
        for path in folder.glob("tmp-*"):
            if time.time() - path.stat().st_mtime > _DAY:
                shutil.rmtree(path, ignore_errors=True)


def shared_object(
    text: str, flags: Sequence[str] = FLAGS, warn: Warn = to_stderr
) -> Path:
    """The shared object of a C text: from the cache, or compiled now.

    Without a level of optimisation in the flags it is ``-O1``, which the search gains most of
    its speed from, and for large texts ``-Og``: that takes two thirds of the time to compile,
    and the search is slower by a tenth.  (``-O2`` takes longer for no gain that was seen.)

    Raises NativeUnavailable without a compiler, and NativeError where it fails.
    """
    compiler = find_compiler()
    if not any(flag.startswith("-O") for flag in flags):
        flags = ("-Og" if len(text) > _LARGE else "-O1", *flags)
    recipe = "\0".join([text, *compiler.command, compiler.version, *flags])
    key = hashlib.sha256(recipe.encode()).hexdigest()
    folder = cache_folder(warn)
    found = _cached(folder, key)
    if found is not None:
        return found
    work = folder / f"tmp-{os.getpid()}-{uuid.uuid4().hex}"
    try:
        work.mkdir(mode=0o700)
        made = _compile(compiler, flags, text, work)
        sealed = _digest(made)
        target = folder / f"{key}-{sealed[:16]}.so"
        os.replace(made, target)
        note = work / "sum"
        note.write_text(sealed + "\n", encoding="ascii")
        os.replace(note, folder / f"{key}.sum")
    except OSError as error:
        raise NativeError(f"compiling in {folder} failed: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _prune(folder)
    return target


def load_text(
    text: str, flags: Sequence[str] = FLAGS, warn: Warn = to_stderr
) -> ctypes.CDLL:
    """Compile (or find) and load a C text."""
    path = shared_object(text, flags, warn)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeError(f"the compiled model cannot be loaded: {error}".splitlines()[0]) from None


# ----------------------------------------------------------------------------- the text


def engine_text() -> str:
    """The text of the engine, with what it includes from its own folder put in place."""
    return _inlined("engine.c", set())


def _inlined(name: str, seen: set[str]) -> str:
    seen.add(name)
    try:
        lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NativeError(f"{_FOLDER / name}: {error.strerror}") from None
    parts = [f'#line 1 "{name}"']
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) > 1 and words[0] == "#include" and words[1].startswith('"'):
            inner = words[1].strip('"')
            if inner not in seen:
                parts += [_inlined(inner, seen).rstrip("\n"), f'#line {number + 1} "{name}"']
            else:
                parts.append("")
        else:
            parts.append(line)
    return "\n".join(parts) + "\n"

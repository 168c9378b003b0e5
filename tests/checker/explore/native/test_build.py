"""Compiling and caching: what is reused, what is refused, and one line for what goes wrong."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from genfscheck.checker.explore.native import build
from genfscheck.checker.explore.native.build import NativeError, NativeUnavailable

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
)

TEXT = "int answer(void);\nint answer(void) { return 42; }\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GENFSCHECK_CACHE", str(folder))
    monkeypatch.delenv("CC", raising=False)
    trusted = build._distrust
    # The folders above pytest's temporary one may belong to anybody.
    monkeypatch.setattr(build, "_distrust", lambda path: trusted(path, top=tmp_path))
    return folder


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a compiler of a shell script; the file that it returns gets a line for each run."""
    real = build.find_compiler().command[0]

    def make(script: str) -> Path:
        log = tmp_path / "runs"
        path = tmp_path / "mycc"
        path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && exec {real} --version\n'
            f"echo run >> {log}\nreal={real}\n{script}\n"
        )
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return log

    return make


def silent(line: str) -> None:
    raise AssertionError(line)


def answer(warn: Callable[[str], None] = silent) -> int:
    return int(build.load_text(TEXT, warn=warn).answer())


def test_it_is_compiled_once(cache: Path, compiler: Callable[[str], Path]) -> None:
    log = compiler('exec $real "$@"')
    assert answer() == answer() == 42
    assert log.read_text() == "run\n"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert sorted(path.suffix for path in cache.iterdir()) == [".so", ".sum"]


def test_another_text_another_version_or_other_flags_are_compiled_anew(
    cache: Path, compiler: Callable[[str], Path], tmp_path: Path
) -> None:
    log = compiler('exec $real "$@"')
    found = {build.shared_object(TEXT, warn=silent)}
    found.add(build.shared_object(TEXT + "\n", warn=silent))
    found.add(build.shared_object(TEXT, (*build.FLAGS, "-DX=1"), warn=silent))
    script = tmp_path / "mycc"
    script.write_text(script.read_text().replace("exec", "echo new && exec", 1))
    found.add(build.shared_object(TEXT, warn=silent))
    assert len(found) == 4 and log.read_text() == 4 * "run\n"


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_file_that_was_cut_off_is_not_loaded(
    cache: Path, compiler: Callable[[str], Path], size: int
) -> None:
    log = compiler('exec $real "$@"')
    path = build.shared_object(TEXT, warn=silent)
    data = path.read_bytes()
    path.write_bytes(data[:size])
    assert build.shared_object(TEXT, warn=silent) == path
    assert path.read_bytes() == data
    assert log.read_text() == 2 * "run\n"
    (seal,) = cache.glob("*.sum")
    seal.write_text("../../x")
    assert build.shared_object(TEXT, warn=silent) == path
    assert log.read_text() == 3 * "run\n"


def test_many_at_once(cache: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(lambda _: build.shared_object(TEXT, warn=silent), range(6)))
    assert len(found) == 1
    assert answer() == 42
    assert not list(cache.glob("tmp-*"))


# --------------------------------------------------------------------- bad surroundings


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NativeUnavailable, match="^no C compiler found: .*$"):
        build.shared_object(TEXT)
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(NativeUnavailable, match="^.*CC names cannot be run: no-such-compiler -m64"):
        build.shared_object(TEXT)


def test_the_compiler_fails(cache: Path) -> None:
    with pytest.raises(NativeError) as caught:
        build.shared_object("int x = y;\n", warn=silent)
    (line,) = str(caught.value).splitlines()
    assert "failed with status 1: model.c:1:9: error: " in line
    kept = Path(line.rpartition(" ")[2])
    assert kept.read_text() == "int x = y;\n"
    kept.unlink()
    assert list(cache.iterdir()) == []


def test_the_compiler_is_killed(cache: Path, compiler: Callable[[str], Path]) -> None:
    compiler("kill -9 $$")
    with pytest.raises(NativeError, match="^.*mycc failed with status -9; its input is "):
        build.shared_object(TEXT, warn=silent)


def test_the_disk_is_full(cache: Path, compiler: Callable[[str], Path]) -> None:
    compiler('echo "cc: error closing x.o: No space left on device" >&2; exit 1')
    with pytest.raises(NativeError) as caught:
        build.shared_object(TEXT, warn=silent)
    assert str(caught.value) == f"compiling in {cache} failed: No space left on device"
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_to_is_not_used(cache: Path, mode: int) -> None:
    said: list[str] = []
    assert answer() == 42
    cache.chmod(mode)
    assert answer(said.append) == 42
    assert said == [f"the cache of compiled models is not used: others can write to {cache}"]


def test_a_folder_of_somebody_else_is_not_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    cache.mkdir(mode=0o700)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert answer(said.append) == 42
    assert said == [f"the cache of compiled models is not used: {cache} belongs to somebody else"]
    assert list(cache.iterdir()) == []


def test_a_folder_under_one_that_others_can_write_to(cache: Path) -> None:
    (cache / "mine").mkdir(mode=0o700, parents=True)
    cache.chmod(0o777)
    assert build._distrust(cache / "mine") == f"others can write to {cache}"
    cache.chmod(0o1777)
    assert build._distrust(cache / "mine") == ""
    assert build._distrust(cache) == f"others can write to {cache}"


def test_the_cache_is_no_folder(cache: Path) -> None:
    said: list[str] = []
    cache.write_text("")
    assert answer(said.append) == 42
    assert said == [f"the cache of compiled models is not used: {cache}: File exists"]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path) -> None:
    assert build.cache_path() == cache
    monkeypatch.setenv("GENFSCHECK_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.cache_path() == tmp_path / "genfscheck"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert build.cache_path() == tmp_path / "home" / ".cache" / "genfscheck"


def test_what_was_not_used_for_long_is_forgotten(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "KEPT", 2)
    paths = [build.shared_object(f"int x{i};\n", warn=silent) for i in range(2)]
    (cache / "tmp-1-x").mkdir()
    for path in cache.iterdir():
        os.utime(path, (1, 1))
    (cache / "tmp-2-x").mkdir()
    build.shared_object("int x0;\n", warn=silent)  # used again
    build.shared_object("int x3;\n", warn=silent)
    assert paths[0].exists() and not paths[1].exists()
    assert len(list(cache.glob("*.s*"))) == 4
    assert [path.name for path in cache.glob("tmp*")] == ["tmp-2-x"]


def test_the_private_folder_is_removed(tmp_path: Path) -> None:
    code = (
        "from genfscheck.checker.explore.native import build\n"
        f"print(build.shared_object({TEXT!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "GENFSCHECK_CACHE": "/dev/null/x", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path)) and done.stdout.endswith(".so\n")
    assert done.stderr == (
        "genfscheck: the cache of compiled models is not used: /dev/null/x: Not a directory\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_engine_is_one_text() -> None:
    text = build.engine_text()
    assert '#include "' not in text and "ge_advance" in text

"""What the tests of the reference implementation share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from genfscheck.refimpl import FileSystem, format_image, mount

PATIENCE = 5.0  # seconds a wait inside the machine may last before it reports


def formatted(path: Path, size: int = 256 * 1024, block_size: int = 1024, files: int = 4) -> Path:
    """A new image whose free blocks hold a pattern."""
    image = path / "image"
    format_image(image, size, block_size, files, fill=b"\xee")
    return image


def mounted(image: Path, **knobs: object) -> FileSystem:
    """Mounted for a test: no flush of the host's cache, a limit on every wait."""
    chosen: dict[str, object] = {"durable": False, "patience": PATIENCE, "maxphys": 16384}
    return mount(image, None, **(chosen | knobs))


def together(
    fs: FileSystem,
    bodies: Sequence[Callable[[], None]],
    seconds: float = 20.0,
    names: Sequence[str] | None = None,
) -> None:
    """Runs bodies in threads; their first failure, or who waits for what, is raised."""
    failures: list[BaseException] = []

    def run(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as failure:
            failures.append(failure)

    called = names or [f"user{number}" for number in range(len(bodies))]
    threads = [
        threading.Thread(target=run, args=(body,), name=name, daemon=True)
        for name, body in zip(called, bodies, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        if thread.is_alive():
            raise AssertionError(f"{thread.name} hangs\n{fs.kernel.machine.report()}")
    if failures:
        raise failures[0]

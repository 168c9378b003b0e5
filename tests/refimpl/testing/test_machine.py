"""`PageCacheMachine` on the reference implementation: hardened passes, 1.18 does not."""

from __future__ import annotations

import pytest

from genfscheck.refimpl.testing import Broken, Reference, ReferenceMachine

from .support import hunt, looking, without


class Hardened(ReferenceMachine):
    pass


TestHardened = Hardened.TestCase
TestHardened.settings = looking(30, 20)


def test_1_18_is_found_out() -> None:
    """Which finding comes first depends on the examples; that one comes does not."""

    class Plain(ReferenceMachine):
        variant = "1.18"

    failure = hunt(Plain, looking(300, 40))
    assert isinstance(failure, AssertionError | Broken)


@pytest.mark.long
def test_hardened_for_long() -> None:
    assert hunt(Hardened, looking(700, 40, derandomize=False)) is None


# What one thread is enough for, with everything else mended.  F13 and F17, which need rare sizes
# and holes, are found in given tasks (test_tasks.py).
@pytest.mark.long
@pytest.mark.parametrize(
    ("fixes", "knobs", "says"),
    [
        (["reclaim_keeps_error"], {}, "unmount of . succeeded, but a write failed"),  # F15
        ([], {"fsync_reports": False, "journal": False}, "succeeded, but a write failed"),
    ],
)
def test_what_one_thread_finds(fixes: list[str], knobs: dict[str, object], says: str) -> None:
    class Nearly(ReferenceMachine):
        def implementation(self, configuration: dict[str, object]) -> Reference:
            chosen = configuration | {"fixes": without(*fixes)} | knobs
            return Reference(**chosen)  # type: ignore[arg-type]

    failure = hunt(Nearly, looking(1500, 30))
    assert failure is not None
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(str(failure))

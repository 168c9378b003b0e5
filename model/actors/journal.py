"""The journal's flusher."""

from __future__ import annotations

from ...checker.lang.prelude import actor
from ..kernel.trans import wapbl_flush


@actor
def journal_flusher() -> None:
    """Write the journal once, whatever pends."""
    wapbl_flush(True)

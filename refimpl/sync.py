"""Threads, locks, sleeping and shared words: everything that the hook can see or stop."""

from __future__ import annotations

from .locks import READER, WRITER, Mutex, RwLock
from .threads import Lwp, Machine, Want
from .words import Chan, Counter, Word, lowest

__all__ = [
    "READER",
    "WRITER",
    "Chan",
    "Counter",
    "Lwp",
    "Machine",
    "Mutex",
    "RwLock",
    "Want",
    "Word",
    "lowest",
]

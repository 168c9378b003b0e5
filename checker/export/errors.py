"""What cannot be exported."""

from __future__ import annotations


class ExportError(Exception):
    """A part of the program that the target language cannot express; the text is one line."""

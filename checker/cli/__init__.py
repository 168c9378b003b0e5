"""The command line: one module for each verb."""

from .library import Subject
from .main import run

__all__ = ["Subject", "run"]

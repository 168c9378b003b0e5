"""The command line: one module for each verb."""

from .main import run
from .subject import Subject

__all__ = ["Subject", "run"]

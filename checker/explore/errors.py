"""How an exploration can fail other than by finding a violation."""

from __future__ import annotations


class InternalError(Exception):
    """Two parts of the checker disagree, or the program breaks a rule of the IR.

    Usual causes: a path that does not replay, a wait in the middle of an atomic region after
    a store, an invariant that indexes outside its variable.  Never a property violation.
    """


class SetupError(Exception):
    """The setup of a scenario failed, so that there is no initial state."""

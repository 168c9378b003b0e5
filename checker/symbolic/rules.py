"""What a proof says of the shared state, as the execution of a view asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import z3

from ..lang import ir
from .obligations import Atoms, Treatment
from .values import Value

if TYPE_CHECKING:
    from .view import Execution


class Rules(Protocol):
    """What a proof says of the shared state.  ``execution.state`` is the present state."""

    pools: frozenset[str]
    # Is it followed where in local arrays the focus stands?
    arrays: bool
    # Names of local truth values that say what the thread has done, for loop invariants.
    switches: frozenset[str]

    def tracked(self, var: ir.SharedVar) -> bool:
        """Is the variable (its focus entry) part of the view?  Others are volatile."""

    def set_bit(self, var: ir.SharedVar) -> bool:
        """Is it a set of threads, of which only the executing thread's bit is followed?"""

    def entry(self, execution: Execution) -> None:
        """Assume what holds where the routine begins."""

    def treat(self, check: ir.Check) -> Treatment: ...

    def other(self, execution: Execution, name: str) -> Value | None:
        """What is read from an entry that is not the focus (None: anything)."""

    def interfere(self, execution: Execution, assigned: frozenset[str]) -> None:
        """Other threads run; at a loop's head: in all rounds, which assign these variables."""

    def guarantee(self, execution: Execution) -> None:
        """A unit has ended: emit what it owes others."""

    def unit(self, execution: Execution) -> None:
        """A unit begins: remember what the guarantee compares with."""

    def before(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None:
        """A store to a tracked or watched variable; ``focus``: does it reach the focus?"""

    def after(self, execution: Execution, name: str, focus: z3.BoolRef, value: Value) -> None: ...

    def read(self, execution: Execution, name: str, value: Value) -> None:
        """Assume what is known of a value that was read from an untracked variable."""

    def listed(self, execution: Execution, name: str, node: Value, insert: bool) -> None:
        """A list was changed."""

    def wait(self, execution: Execution, wait: ir.Wait, sync: ir.Sync | None) -> None: ...

    def atoms(self, execution: Execution) -> Atoms:
        """Truth values about the present state, of which loop invariants are made."""

    def about_focus(self, atom: str) -> bool:
        """Is the atom about the focus (and so worth relating to places in arrays)?"""

    def placed(self, atom: str) -> bool:
        """Is it worth relating to where the focus stands in an array?"""

    def end(self, execution: Execution) -> None: ...


@runtime_checkable
class WithLatest(Protocol):
    """Rules that follow a second entry of a pool: the one that the thread took last.

    ``latest``: its number, by pool.  When the thread takes another, that one gets the number,
    and the one before is one of the others.  Its variables are named with a final ``@``.
    """

    latest: Mapping[str, int]

    def renamed(self, execution: Execution) -> None:
        """Whether the latest entry is in use is asked, which is where one is taken."""

    def stored(self, execution: Execution, name: str, latest: z3.BoolRef, value: Value) -> None:
        """A store to a variable of such a pool; ``latest``: does it reach that entry?"""


@runtime_checkable
class WithExact(Protocol):
    """Rules for which offsets are exact: shifts to the right and masks by constants.

    ``passing``: what they keep beside the program's variables that does not last over rounds.
    """

    exact: bool
    passing: frozenset[str]

"""What calls return, in the language of the model: compiled with it, and no part of it.

`TELLS` says which of the model's routines tell what they return (`checker.conform.telling`), and
the implementation logs a ``result``, or a user's ``return``, at the same place.
"""

from __future__ import annotations

from ...checker.lang.prelude import Annotated, CInt, Pool, TypeAlias, atomic, me, record
from ...model.kernel.types import errno, off_t

call_t: TypeAlias = Annotated[int, CInt(32, signed=False, low=0, high=15)]


@record
class Result:
    """What a thread's last call returned, and which that was.

    ``error`` and ``count`` are those of the call within, until the user's own has ended:
    ``given`` is what the user gets.
    """

    call: call_t
    error: errno
    count: off_t
    given: errno


results = Pool(Result, "NTHREADS")


@atomic
def returned(call: call_t, error: errno) -> None:
    """A call within the kernel ends."""
    results[me()].call = call
    results[me()].error = error


@atomic
def moved(call: call_t, error: errno, count: off_t) -> None:
    """So does one that has moved ``count`` units."""
    results[me()].call = call
    results[me()].error = error
    results[me()].count = count


@atomic
def ended(error: errno) -> None:
    """A user's call ends, with this error or that of the call before."""
    results[me()].call = 0
    results[me()].given = error if error != 0 else results[me()].error
    results[me()].error = 0

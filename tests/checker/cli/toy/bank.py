"""A toy protocol: two locks taken in two orders, and a counter added to without a lock."""

from __future__ import annotations

from genfscheck.checker.lang.prelude import (
    Annotated,
    CInt,
    Mutex,
    TypeAlias,
    actor,
    choose_bool,
    fixed,
    invariant,
    mutex_enter,
    mutex_exit,
    record,
    routine,
    setup,
    single,
    witness,
)

amount: TypeAlias = Annotated[int, CInt(32, signed=True, low=0, high=20)]


@record
class Bank:
    """Two locks and a counter."""

    left: Mutex
    right: Mutex
    total: amount
    paid: amount
    open: bool


bank: Bank = single(Bank)


@setup
def opening(total: amount) -> None:
    bank.total = total
    bank.paid = total
    bank.open = True


@setup
def broken() -> None:
    bank.total = 20
    bank.total += 1


@setup
def interest(rate: amount) -> None:
    bank.total = 18
    bank.total += rate
    bank.total = 0
    bank.open = True


@routine(seed=(10, 20))
def deposit() -> None:
    value: amount = bank.total  # 11
    bank.total = value + 1  # 12
    bank.paid += 1  # 13


@routine(seed=(30, 40))
def transfer(swapped: bool) -> None:
    if swapped and not fixed("one-order"):  # 31
        mutex_enter(bank.right)  # 32
        mutex_enter(bank.left)  # 33
    else:
        mutex_enter(bank.left)  # 35
        mutex_enter(bank.right)  # 36
    mutex_exit(bank.left)  # 38
    mutex_exit(bank.right)  # 39


@actor
def depositor() -> None:
    deposit()


@actor
def careful() -> None:
    mutex_enter(bank.left)
    deposit()
    mutex_exit(bank.left)


@actor
def mover(swapped: bool) -> None:
    if choose_bool("does it move"):
        transfer(swapped)


@invariant("money-is-kept", terminal=True)
def kept() -> bool:
    """What was paid in is what the total says."""
    return bank.total == bank.paid


@witness
def all_paid() -> bool:
    return bank.paid == 2


@witness
def rich() -> bool:
    return bank.paid == 19

"""Steps that say what they did: kept on disk, with the code that was written for them."""

from __future__ import annotations

import pickle

import pytest

from genfscheck.checker.conform.steps import Stepper
from genfscheck.checker.conform.validate import Validator
from genfscheck.checker.lang import ir

from ..explore.build import counter
from .test_validate import Words, executed, guess, validator


@pytest.mark.parametrize("toy", [counter(3, 2, True), counter(2, 2, False), guess(3)])
@pytest.mark.parametrize("used", [False, True])
def test_what_comes_back_takes_the_same_steps(toy: ir.Program, used: bool) -> None:
    fresh = validator(toy)
    logs = [executed(fresh, seed) for seed in range(5)]
    stepper = fresh.stepper if used else Stepper(toy, Words())
    assert bool(stepper.written) == used
    again = Validator(pickle.loads(pickle.dumps(stepper)))
    assert again.stepper.written == stepper.written
    for log in logs:
        assert again.validate(log) == fresh.validate(log)
    assert again.stepper.written == fresh.stepper.written
    wrong = [*logs[0], logs[0][-1]]
    assert again.validate(wrong) == fresh.validate(wrong)

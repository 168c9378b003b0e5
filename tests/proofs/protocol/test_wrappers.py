"""What stands for a routine that has a contract: as its header says."""

from __future__ import annotations

import ast

import pytest

from genfscheck.checker.lang.source import Function, Source
from genfscheck.proofs.protocol import wrappers
from genfscheck.proofs.protocol.contract import Contract, free, still_free
from genfscheck.proofs.protocol.contracts import CONTRACTS
from genfscheck.proofs.protocol.listed_contracts import LISTINGS
from genfscheck.proofs.protocol.unit import MADE, OWNERSHIP, PROTOCOL, source_of, texts
from genfscheck.proofs.protocol.wrappers import Wrapping


def function(source: Source, module: str, name: str) -> Function:
    found = source.modules[f"{PROTOCOL}.{module}"].symbols[name]
    assert isinstance(found, Function)
    return found


def test_a_stand_in_lists_arguments_and_returns_anything() -> None:
    source = source_of(texts(), ("_read_loop",), OWNERSHIP)
    node = function(source, "stand_ins", "_read_loop").node
    assert ast.unparse(node).splitlines() == [
        "def _read_loop(vp: Vnode, pgs: PgsArray, npages: int32, startoffset: off_t, "
        "bytes_: size_t, kva: Kva, mbp: Buf, write: bool, blockalloc: bool) -> "
        "tuple[errno, size_t, bool, bool]:",
        "    which: int32 = choose(2, 'which')",
        "    skipbytes: size_t = number(which)",
        "    started: bool = choose_bool('started')",
        "    check('call', pgs[which] is NULL or which == npages or which == bytes_ or "
        "(which == cast(int32, mbp)) or (which == skipbytes) or (which == int(started)), "
        "'_read_loop')",
        "    return (number(which), skipbytes, choose_bool('result2'), started)",
    ]


def test_a_unit_calls_the_routine_between_its_checks() -> None:
    node = function(source_of(texts(), (), OWNERSHIP), "subjects", "of_getpages").node
    lines = ast.unparse(node).splitlines()
    assert lines[0].endswith("shadow: int32, held: bool) -> None:")
    assert "which == int(bool(flags & PGO.LOCKED))" in lines[3]
    assert [line.split("(")[0].strip() for line in lines[1:]] == [
        "which: int32 = choose", "error: errno = 0", "check", "error = call_getpages", "check"]


def test_a_contract_must_name_the_results_that_there_are() -> None:
    known = wrappers.routines(source_of(texts(), (), OWNERSHIP))
    wrong = Contract(("npages",), free, still_free, results=("npages",))
    with pytest.raises(ValueError):
        Wrapping(known["_cluster"], wrong).subject(known["_cluster"].module, "of_cluster")


def test_every_contract_has_a_unit() -> None:
    for contracts, units in MADE.values():
        assert set(units.values()) <= set(contracts)
    assert set(MADE[OWNERSHIP][1].values()) == set(CONTRACTS)
    # Those of the list about callers are proved of a thread that begins with them.
    assert {name for name in LISTINGS if LISTINGS[name].arguments != wrappers.NOTHING} < {
        name for _, units in MADE.values() for name in units.values()}

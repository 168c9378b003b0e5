"""A second solver's answers are counted, and its disagreement is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from genfscheck.proofs import library, second

HOLDS = "(set-logic QF_BV)(declare-const a (_ BitVec 8))(assert (bvult a a))(check-sat)"
BROKEN = "(set-logic QF_BV)(declare-const a (_ BitVec 8))(assert (bvult #x01 a))(check-sat)"


@pytest.mark.parametrize("solver", second.SOLVERS)
def test_answers(solver: str, tmp_path: Path) -> None:
    if not second.installed(solver):
        pytest.skip(f"{solver} is not installed")
    (tmp_path / "holds.smt2").write_text(HOLDS)
    (tmp_path / "broken.smt2").write_text(BROKEN)
    found = second.compare(solver, sorted(tmp_path.iterdir()))
    assert (found.agreed, found.undecided, found.otherwise) == (1, 0, ("broken.smt2",))


@pytest.mark.parametrize("solver", second.SOLVERS)
def test_questions_as_they_are_exported(solver: str, tmp_path: Path) -> None:
    if not second.installed(solver):
        pytest.skip(f"{solver} is not installed")
    library.export(["putpages-cluster"], tmp_path)
    found = second.compare(solver, sorted(tmp_path.iterdir()))
    assert found.agreed > 30 and found.undecided == 0 and found.otherwise == ()


def test_what_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"a": "unsat", "b": "sat", "c": "unknown", "d": "unsat"}
    monkeypatch.setattr(second, "ask", lambda solver, path: said[path.name])
    found = second.compare("cvc5", [Path(name) for name in said])
    assert found == second.Agreement(2, 1, ("b",))
    assert "1 otherwise" in str(found)

"""The verb ``prove`` on toy theorems: what is printed, and the exit status of every way to end."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from genfscheck.checker.cli import Subject, run
from genfscheck.checker.cli.prove import CLEAR

VERDICTS = {"even": "proved", "odd": "fails", "hard": "inconclusive", "slow": "proved"}


def theorem(name: str) -> Any:
    return types.SimpleNamespace(
        name=name, variant="plain", statement=f"the number is {name}", sizes="all",
        long=name == "slow",
    )  # fmt: skip


def outcome(name: str) -> Any:
    verdict = VERDICTS[name]
    failure = types.SimpleNamespace(
        lines=(7,), kind="overflow", text="n = n + 1", values=(("n", 2147483647),)
    )
    return types.SimpleNamespace(
        name=name, verdict=verdict, obligations=3, seconds=0.25,
        failures=(failure,) if verdict == "fails" else (),
        open=("claim least at line 9: n = 0",) if verdict == "inconclusive" else (),
    )  # fmt: skip


class Toy:
    """The modules that a subject's ``proofs`` names, with the answers given from outside."""

    def __init__(self) -> None:
        self.interrupted_after: int | None = None
        self.there = True
        self.backwards = False
        self.otherwise: tuple[str, ...] = ()
        self.efforts: list[int] = []
        self.exported: list[str] = []

    def theorems(self) -> tuple[Any, ...]:
        return tuple(theorem(name) for name in VERDICTS)

    def run(
        self, names: Sequence[str], workers: int, effort: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[tuple[Any, Any]]:  # fmt: skip
        self.efforts.append(effort)
        chosen = list(names or [each.name for each in self.theorems() if not each.long])
        if self.backwards:
            chosen.reverse()
        for number, name in enumerate(chosen):
            if number == self.interrupted_after:
                raise KeyboardInterrupt
            if progress is not None:
                progress(number + 1, 9)
            yield theorem(name), outcome(name)

    def export(self, names: Sequence[str], folder: Path) -> int:
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / f"{name}.smt2").write_text("(check-sat)")
            self.exported.append(name)
        return len(names)

    def compare(self, solver: str, questions: list[Path], workers: int) -> Any:
        class Agreement(types.SimpleNamespace):
            def __str__(self) -> str:
                return f"{len(questions)} questions"

        return Agreement(otherwise=self.otherwise)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy()
    library, second = types.ModuleType("toys.library"), types.ModuleType("toys.second")
    for name in ("theorems", "run", "export"):
        setattr(library, name, getattr(made, name))
    second.installed = lambda solver: made.there  # type: ignore[attr-defined]
    second.compare = made.compare  # type: ignore[attr-defined]
    for module in (types.ModuleType("toys"), library, second):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


Prove = Callable[..., tuple[int, str, str]]


@pytest.fixture
def prove(toy: Toy, capfd: pytest.CaptureFixture[str]) -> Prove:
    subject = Subject("toy", Path("."), "toy", variant="plain", proofs="toys.library")

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(subject, ("prove", *arguments))
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("names", "status"),
    [(["even"], 0), (["even", "odd"], 1), (["even", "hard"], 3), (["odd", "hard"], 1), ([], 1)],
)
def test_status(prove: Prove, names: list[str], status: int) -> None:
    assert prove(*names)[0] == status


def test_what_is_printed(prove: Prove) -> None:
    _, out, err = prove()
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["even", "plain", "proved", "0.2"]
    assert "    fails at " in out and "n = n + 1" in out and "2147483647" in out
    assert "    open: claim least at line 9: n = 0" in lines
    assert lines[-1] == "not tried, name them to try: slow"
    assert err == ""


@pytest.mark.parametrize("interrupted_after", [None, 2])
def test_the_order_does_not_depend_on_what_is_decided_first(
    prove: Prove, toy: Toy, interrupted_after: int | None
) -> None:
    toy.backwards, toy.interrupted_after = True, interrupted_after
    _, out, _ = prove()
    lines = [line.split()[0] for line in out.splitlines() if " plain " in line]
    assert lines == (["odd", "hard"] if interrupted_after else ["even", "odd", "hard"])


def test_named_ones_alone_are_tried(prove: Prove) -> None:
    _, out, _ = prove("slow")
    assert out.startswith("slow ") and "not tried" not in out


def test_json(prove: Prove) -> None:
    status, out, _ = prove("--json", "odd", "hard")
    odd, hard = json.loads(out)
    assert status == 1
    assert odd["failures"] == [{"lines": [7], "kind": "overflow", "text": "n = n + 1",
                                "values": {"n": 2147483647}}]  # fmt: skip
    assert (hard["verdict"], hard["open"]) == ("inconclusive", ["claim least at line 9: n = 0"])


def test_list(prove: Prove, toy: Toy) -> None:
    status, out, _ = prove("--list")
    assert status == 0
    assert "even (plain)\n    the number is even\n" in out and "slow (plain, long)" in out
    assert toy.efforts == []  # nothing is decided


def test_effort_is_in_thousands(prove: Prove, toy: Toy) -> None:
    prove("--effort", "5", "even")
    assert toy.efforts == [5000]


def test_unknown_name(prove: Prove) -> None:
    status, out, err = prove("even", "evne")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and "'evne'" in err and "even, odd, hard, slow" in err


@pytest.mark.parametrize("options", [["--workers", "0"], ["--effort", "0"], ["--check-with", "x"]])
def test_wrong_usage(prove: Prove, options: list[str]) -> None:
    assert prove(*options)[0] == 2


def test_no_theorems(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Subject("toy", Path("."), "toy", variant="plain"), ["prove"]) == 2
    assert "toy has no theorems" in capfd.readouterr().err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_interrupt_leaves_what_was_decided(
    prove: Prove, toy: Toy, options: tuple[str, ...]
) -> None:
    toy.interrupted_after = 2
    status, out, err = prove(*options)
    assert status == 3
    assert err == "interrupted: 2 of 3 theorems decided\n"
    if options:
        assert [entry["name"] for entry in json.loads(out)] == ["even", "odd"]
    else:
        assert "even " in out and "odd " in out and "hard " not in out


def test_a_second_solver_is_asked_what_is_proved(prove: Prove, toy: Toy) -> None:
    status, _, err = prove("--check-with", "cvc5", "even", "slow", "hard")
    assert (status, err, toy.exported) == (3, "cvc5: 2 questions\n", ["even", "slow"])
    assert prove("--check-with", "cvc5", "even")[0] == 0


def test_a_second_solver_disagrees(prove: Prove, toy: Toy) -> None:
    toy.otherwise = ("even-000.smt2",)
    status, _, err = prove("--check-with", "bitwuzla", "even")
    assert status == 1
    assert "bitwuzla finds values that break even-000.smt2, which z3 proved" in err


def test_a_second_solver_is_interrupted(
    prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(solver: str, questions: list[Path], workers: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["toys.second"], "compare", interrupt)
    status, out, err = prove("--check-with", "cvc5", "--json", "even")
    assert (status, err) == (3, "interrupted: 1 of 1 theorems decided\n")
    assert json.loads(out)[0]["verdict"] == "proved"


def test_a_missing_solver_is_one_line(prove: Prove, toy: Toy) -> None:
    toy.there = False
    status, out, err = prove("--check-with", "cvc5", "even")
    assert (status, out) == (2, "")
    assert err == (
        "genfscheck: cvc5 is not installed: pip install genfscheck[solvers]\n"
    )


def test_questions_are_written(prove: Prove, toy: Toy, tmp_path: Path) -> None:
    status, out, _ = prove("--smt2", str(tmp_path / "q"), "even")
    assert (status, out) == (0, f"1 questions in {tmp_path / 'q'}\n")
    assert toy.efforts == []


def test_progress_is_shown_on_a_terminal(
    prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "parts" not in prove("even")[2]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, out, err = prove("even")
    assert (status, err) == (0, f"{CLEAR}1 of 9 parts{CLEAR}")
    assert out.startswith("even ")

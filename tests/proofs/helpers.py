"""Theorems at one size, of the model or of a broken one."""

from __future__ import annotations

from genfscheck.proofs.library import arithmetic
from genfscheck.proofs.source import load_with_contracts, source, texts
from genfscheck.proofs.theorem import EFFORT, Proving, Theorem

CASE = {"PAGE_SHIFT": 12, "FS_BSHIFT": 13}


def theorem(name: str) -> Theorem:
    (found,) = [each for each in arithmetic() if each.name == name]
    return found


def proving(name: str, effort: int = EFFORT) -> Proving:
    """A theorem's unit, of the model as it is."""
    return Proving(theorem(name).unit, source(), effort)


def mutated(name: str, file: str, old: str, new: str, effort: int = EFFORT) -> Proving:
    """Its unit, of a model in which one formula is another one."""
    given = dict(texts())
    places = (f"model/genfs/{file}.py", f"proofs/{file}.py")
    (key,) = [key for key, (path, _) in given.items() if path in places]
    path, text = given[key]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    given[key] = (path, text.replace(old, new))
    return Proving(theorem(name).unit, load_with_contracts(given), effort)


def answers(name: str, of: Proving, case: dict[str, int] | None = None) -> dict[str, set[str]]:
    """Answers at one size, by kind of obligation; it stops at the first that is false."""
    found: dict[str, set[str]] = {}
    chosen = []
    for each in of.selected(theorem(name)):
        if of.known(each):
            found.setdefault("valid", set()).add(each.kind)
        else:
            chosen.append(each)
    for start in range(0, len(chosen), 10):
        part = chosen[start : start + 10]
        answer = of.asking(part).ask(case or CASE)
        if answer == "valid":
            found.setdefault("valid", set()).update(each.kind for each in part)
            continue
        for each in part:
            answer = of.asking([each]).ask(case or CASE)
            found.setdefault(answer, set()).add(each.kind)
            if answer == "false":
                return found
    return found

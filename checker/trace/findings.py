"""Findings: violations that were understood, each with its lines, consequence and fix.

A model package keeps them in ``findings.toml``; ``docs/findings.md`` describes the keys.  A
violation is recognised as a finding by its property together with lines that the trace
must pass, or scenarios that it must come from.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .data import Fields, read_toml
from .errors import DataError

CONSEQUENCES = (
    "hang", "panic", "lost data", "stale data", "foreign data", "corruption", "leak",
    "wrong error", "delay", "none seen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Match:
    """Some violations that are a finding: all three conditions, an empty one always holds."""

    properties: tuple[str, ...]
    lines: tuple[int, ...]
    scenarios: tuple[str, ...]

    def accepts(self, prop: str, lines: tuple[int, ...], scenario: str) -> bool:
        return (
            prop in self.properties
            and set(self.lines) <= set(lines)
            and (not self.scenarios or scenario in self.scenarios)
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the checked revision allows to go wrong."""

    id: str
    title: str
    lines: tuple[int, ...]
    actors: tuple[str, ...]
    consequence: str
    seen: str
    property: str
    scenario: str
    trace: str
    fix: str
    fix_outside: str
    explanation: str
    matches: tuple[Match, ...]

    def fit(self, prop: str, lines: tuple[int, ...], scenario: str) -> int | None:
        """How many lines the closest match asks for; None where the violation is another."""
        return max(
            (len(m.lines) for m in self.matches if m.accepts(prop, lines, scenario)), default=None
        )


@dataclass(frozen=True, slots=True)
class Promise:
    """What a property promises, and what the user of a file sees when it is broken."""

    property: str
    promise: str
    seen: str


_BUILT_IN = {
    "deadlock": Promise(
        "deadlock",
        "every thread that has work can still finish it",
        "the threads named above hang for ever, and whoever needs what they hold after them",
    ),
    "kassert": Promise(
        "kassert", "an assertion of the code holds", "a kernel with DIAGNOSTIC panics"
    ),
    "panic": Promise("panic", "no panic is reached", "the kernel panics"),
    "range": Promise(
        "range",
        "every stored value stays within its bounds",
        "a number leaves its bounds: what follows is undefined",
    ),
    "lock-discipline": Promise(
        "lock-discipline",
        "locks are released by their holders and never taken twice",
        "the kernel panics in its lock checks, or hangs on its own lock",
    ),
    "use-after-free": Promise(
        "use-after-free",
        "no freed record is used",
        "freed memory is read or written: corruption, or a panic",
    ),
}


@dataclass(frozen=True, slots=True)
class Findings:
    """The table of findings of a model, and what its properties promise."""

    file: Path | None = None
    entries: tuple[Finding, ...] = ()
    promises: tuple[Promise, ...] = ()

    def find(
        self, prop: str, lines: tuple[int, ...], scenario: str, fixes: Collection[str]
    ) -> Finding | None:
        """The finding that a violation is: the one that asks for most lines, first listed.

        One whose fix is in force it cannot be: then something else leads there.
        """
        best: Finding | None = None
        closest = -1
        for entry in self.entries:
            if entry.fix in fixes:
                continue
            fit = entry.fit(prop, lines, scenario)
            if fit is not None and fit > closest:
                best, closest = entry, fit
        return best

    def get(self, name: str) -> Finding | None:
        """The finding with this id, in whatever case it is written."""
        for entry in self.entries:
            if entry.id.lower() == name.lower():
                return entry
        return None

    def promise(self, prop: str) -> Promise | None:
        for promise in self.promises:
            if promise.property == prop:
                return promise
        return _BUILT_IN.get(prop)


def load_findings(path: Path) -> Findings:
    """Read and validate a table of findings; a model without one has none."""
    if not path.exists():
        return Findings(path)
    document = read_toml(path)
    entries = tuple(_finding(table) for table in document.tables("finding", []))
    promises = []
    properties = document.table("property", {})
    for name in properties.keys():
        table = properties.table(name)
        promises.append(Promise(name, table.string("promise"), table.string("seen")))
        table.done()
    document.done()
    seen: set[str] = set()
    for entry in entries:
        if entry.id.lower() in seen:
            raise DataError(path, f"finding {entry.id}", "expected an id of its own, it is taken")
        seen.add(entry.id.lower())
    return Findings(path, entries, tuple(promises))


def _finding(table: Fields) -> Finding:
    identity = table.string("id")
    prop = table.string("property")
    scenario = table.string("scenario")
    lines = table.integers("lines")
    if not lines or any(line < 1 for line in lines):
        raise table.error("lines", "expected at least one line number, each 1 or more")
    matches = tuple(_match(match, prop) for match in table.tables("match", []))
    if not matches:
        raise table.error("match", "expected at least one [[finding.match]]")
    finding = Finding(
        id=identity,
        title=table.string("title"),
        lines=lines,
        actors=table.strings("actors"),
        consequence=table.one_of("consequence", CONSEQUENCES),
        seen=table.string("seen"),
        property=prop,
        scenario=scenario,
        trace=table.string("trace", ""),
        fix=table.string("fix", ""),
        fix_outside=table.string("fix_outside", ""),
        explanation=table.string("explanation").strip(),
        matches=matches,
    )
    table.done()
    return finding


def _match(table: Fields, prop: str) -> Match:
    match = Match(
        properties=table.strings("properties", [prop]),
        lines=table.integers("lines", []),
        scenarios=table.strings("scenarios", []),
    )
    table.done()
    if not match.lines and not match.scenarios:
        raise table.error("lines", "expected lines or scenarios: a property alone says too little")
    return match

"""Names and types of Promela for the variables of a program."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..lang import ir
from .errors import ExportError

_PROMELA = """active assert atomic bit bool break byte chan d_step d_proctype do else empty enabled
end eval false fi for full get_priority goto hidden if in init inline int len local ltl mtype
nempty never nfull notrace np_ od of pc_value pid printf printm priority proctype provided run
select set_priority short show skip timeout trace true typedef unless unsigned xr xs
c_code c_decl c_expr c_state c_track"""
_C = """auto case char const continue default double enum extern float inline long register
restrict return signed sizeof static struct switch union void volatile while asm typeof linux
unix errno stdin stdout stderr NULL EOF"""
_RESERVED = frozenset((_PROMELA + " " + _C).split())
_OURS = re.compile(
    r"_.*|[LU]\d.*|h_.*|holds_.*|end.*|progress.*|accept.*|leave|pick_?\d*|(bi|by|sh|in)\d*_\d+"
    r"|[a-z]\d+|unfinished|monitor|list_\w+"
)

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(slots=True)
class Namer:
    """Gives every thing a name of its own that is neither a keyword nor one of the export's."""

    taken: set[str] = field(default_factory=set)

    def name(self, wanted: str) -> str:
        base = re.sub(r"\W+", "_", wanted).strip("_") or "v"
        if base in _RESERVED or _OURS.fullmatch(base) or base[0].isdigit():
            base = f"v_{base}"
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name


def comment(text: str) -> str:
    """A comment that holds the text."""
    return "/* " + " ".join(text.replace("*/", "* /").replace("/*", "/ *").split()) + " */"


def type_of(domain: ir.Domain, what: str) -> str:
    """The smallest type that holds a domain: bit, byte, short or int.

    Raises ExportError where none does.
    """
    low, high = domain.low, domain.high
    for name, least, most in (
        ("bit", 0, 1),
        ("byte", 0, 255),
        ("short", -(1 << 15), (1 << 15) - 1),
        ("int", INT_MIN, INT_MAX),
    ):
        if least <= low and high <= most:
            return name
    raise ExportError(f"{what} ranges over {low} to {high}, more than an int of Promela holds")


def declaration(name: str, kind: str, domain: ir.Domain, length: int, initial: str) -> str:
    """A declaration; small scalars get as many bits as they need."""
    if length > 1:
        return f"{kind} {name}[{length}]{initial}"
    if kind == "byte" and domain.high < 128:
        return f"unsigned {name} : {domain.high.bit_length()}{initial}"
    return f"{kind} {name}{initial}"

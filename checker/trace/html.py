"""A story as one self-contained page: a column for each thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from .events import Event, Folded, fold
from .names import line_ranges
from .story import Story
from .text import ending

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; position: sticky; top: 0; background: #fff; border-bottom: 2px solid #888; }
td { vertical-align: top; border-top: 1px solid #ddd; padding: 2px 8px; }
td.n { color: #888; text-align: right; white-space: nowrap; }
code, pre { font: 12px/1.35 ui-monospace, monospace; }
.folded { color: #888; }
.change { color: #064; }
.ghost { color: #668; }
.broken { border: 2px solid #a00; padding: 0 1em; }
details > summary { cursor: pointer; }
"""


def as_html(
    story: Story, *, everything: bool = False, source: Mapping[int, str] | None = None
) -> Iterator[str]:
    """The page, line by line."""
    title = f"{story.title}: {story.trace.broken.property}"
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(title)}</h1>"
    if story.question:
        yield f"<p>{escape(story.question)}</p>"
    yield f"<p>variant {escape(story.trace.variant)}, {len(story.trace.steps)} steps</p>"
    yield "<details><summary>parameters and initial state</summary><pre>"
    for key, value in sorted(story.trace.parameters.items()):
        yield escape(f"{key} = {value}")
    for name, shown in story.initial:
        yield escape(f"{name} = {shown}")
    yield "</pre></details>"
    yield "<table><thead><tr><th></th>"
    for actor in story.actors:
        yield f"<th>{escape(actor.name)}<br><code>{escape(actor.runs)}</code></th>"
    yield "</tr></thead><tbody>"
    columns = {actor.name: index for index, actor in enumerate(story.actors)}
    for run in fold(story.events, everything=everything):
        for entry in run.events:
            yield from _row(entry, columns[run.thread], len(columns), source)
    yield "</tbody></table>"
    yield '<pre class="broken">'
    yield from (escape(line) for line in ending(story))
    yield "</pre></body></html>"


def _row(
    entry: Event | Folded, column: int, columns: int, source: Mapping[int, str] | None
) -> Iterator[str]:
    number = entry.first if isinstance(entry, Folded) else entry.number
    cells = ["<td></td>"] * columns
    cells[column] = f"<td>{_cell(entry, source)}</td>"
    yield f'<tr><td class="n">{number}</td>{"".join(cells)}</tr>'


def _cell(entry: Event | Folded, source: Mapping[int, str] | None) -> str:
    lines = escape(line_ranges(entry.lines))
    if isinstance(entry, Folded):
        return f'<span class="folded">... {lines}</span>'
    parts = [f"<code>{lines} {escape(entry.text)}</code>"]
    for line in entry.lines:
        if source and line in source:
            parts.append(f"<pre>{line} | {escape(source[line])}</pre>")
    parts += [f"choice: {escape(label)} = {value}" for label, value in entry.choices]
    for change in entry.changes:
        if not (change.local or change.sync):
            kind = "ghost" if change.ghost else "change"
            text = escape(f"{change.name}: {change.old} → {change.new}")
            parts.append(f'<span class="{kind}">{text}</span>')
    return "<br>".join(parts)

"""A report as headings, paragraphs, tables and figures: as Markdown, and as one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path

from transformers.utils.text import printable

# Plain and narrow enough for a telephone: wide tables scroll in their own box.
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 0 auto;
       padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; }
p { max-width: 44rem; } .wide { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-size: .86rem; font-variant-numeric: tabular-nums;
        margin: .6rem 0; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e2e2e2; }
th { border-bottom: 2px solid #1a1a1a; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
td.text { text-align: left; white-space: normal; min-width: 16rem; }
@media (max-width: 40rem) { th, td { padding: .3rem .4rem; } td:first-child { white-space: normal; min-width: 7rem; } }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { font-size: .86rem; color: #444; }
"""


@dataclass
class Paragraph:
    """Running text."""

    text: str


@dataclass
class Heading:
    """Title of what follows."""

    text: str


@dataclass
class Table:
    """Cells of text; the first column names the rows."""

    header: list[str]
    rows: list[list[str]]


@dataclass
class Figure:
    """A drawing that is there as PNG and SVG.

    Args:
        png: the file; the SVG has the same name.
        caption: what it shows.
    """

    png: Path
    caption: str


@dataclass
class Document:
    """A report, in the order of reading.

    Args:
        title: at its top.
        parts: what follows; text in them is escaped, whatever it holds.
    """

    title: str
    parts: list[Paragraph | Heading | Table | Figure] = field(default_factory=list)

    def markdown(self, folder: Path) -> str:
        """Return the Markdown; figures are linked relative to `folder`."""
        blocks = [f"# {_markdown(self.title)}"]
        for part in self.parts:
            if isinstance(part, Heading):
                blocks.append(f"## {_markdown(part.text)}")
            elif isinstance(part, Paragraph):
                blocks.append(_markdown(part.text))
            elif isinstance(part, Figure):
                name = part.png.relative_to(folder).as_posix()
                blocks.append(f"![{_markdown(part.caption)}]({name})")
            else:
                marks = ["---", *(["---:"] * (len(part.header) - 1))]
                lines = [part.header, marks, *part.rows]
                cells = [[cell if line is marks else _markdown(cell) for cell in line] for line in lines]
                blocks.append("\n".join(f"| {' | '.join(line)} |" for line in cells))
        return "\n\n".join(blocks) + "\n"

    def html(self) -> str:
        """Return the page, its figures within it."""
        blocks = [f"<h1>{_html(self.title)}</h1>"]
        for part in self.parts:
            if isinstance(part, Heading):
                blocks.append(f"<h2>{_html(part.text)}</h2>")
            elif isinstance(part, Paragraph):
                blocks.append(f"<p>{_html(part.text)}</p>")
            elif isinstance(part, Figure):
                data = base64.b64encode(part.png.with_suffix(".svg").read_bytes()).decode()
                caption = _html(part.caption)
                image = f'<img alt="{caption}" src="data:image/svg+xml;base64,{data}">'
                blocks.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
            else:
                head = "".join(f"<th>{_html(cell)}</th>" for cell in part.header)
                rows = "\n".join(f"<tr>{''.join(map(_cell, line))}</tr>" for line in part.rows)
                blocks.append(f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>')
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{_html(self.title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
            + "\n".join(blocks)
            + "\n</body></html>\n"
        )


def _cell(text: str) -> str:
    kind = ' class="text"' if len(text) > 40 else ""
    return f"<td{kind}>{_html(text)}</td>"


def _html(text: str) -> str:
    return html.escape(printable(text))


def _markdown(text: str) -> str:
    """Text in which nothing is a mark, a link or a tag."""
    escaped = html.escape(printable(text), quote=False)
    for mark in "\\`*_[]|~":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped

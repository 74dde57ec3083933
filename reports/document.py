"""A report as headings, paragraphs, tables and figures: as Markdown, and as one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from transformers.utils.text import printable

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass
class Paragraph:
    """Running text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass
class Heading:
    """Title of what follows."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass
class Table:
    """Cells of text; the first column names the rows.

    Args:
        header, rows: the cells.
        summary: shown in place of the table, which opens on a click; empty for a table that is always open.
    """

    kind: ClassVar[str] = "table"
    header: list[str]
    rows: list[list[str]]
    summary: str = ""


@dataclass
class Figure:
    """A drawing that is there as PNG and SVG.

    Args:
        png: the file; the SVG has the same name.
        caption: what it shows.
    """

    kind: ClassVar[str] = "figure"
    png: Path
    caption: str

    @property
    def svg(self) -> str:
        """The drawing itself, for within a page."""
        return base64.b64encode(self.png.with_suffix(".svg").read_bytes()).decode()


Part = Paragraph | Heading | Table | Figure


def as_markdown(title: str, parts: Sequence[Part], folder: Path) -> str:
    """Return a report as Markdown; figures are linked relative to `folder`, and text is text, whatever it holds."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), trim_blocks=True, finalize=_markdown, keep_trailing_newline=False
    )
    environment.filters |= {
        "path": lambda path: _Verbatim(path.relative_to(folder).as_posix()),
        "cells": lambda cells: _Verbatim(" | ".join(map(_markdown, cells))),
    }
    return environment.get_template("report.md").render(title=title, parts=parts).rstrip() + "\n"


def as_html(title: str, parts: Sequence[Part]) -> str:
    """Return a report as a page with its figures within it; text is text, whatever it holds."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, finalize=_shown)
    return environment.get_template("report.html").render(title=title, parts=parts) + "\n"


class _Verbatim(str):
    """Text that is marked up already."""


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _markdown(value: Any) -> str:
    """Text in which nothing is a mark, a link or a tag."""
    if isinstance(value, _Verbatim):
        return value
    escaped = html.escape(printable(value), quote=False)
    for mark in "\\`*_[]|~":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped

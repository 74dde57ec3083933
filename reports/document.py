"""A report as Markdown, and as one HTML file that needs no network; what it says is in `templates/report.j2`."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

from transformers.utils.text import printable


def render(form: str, folder: Path, **values: Any) -> str:
    """Return the report; text is text in it, whatever it holds.

    Args:
        form: "html", with the figures within the page, or "markdown", with links to them.
        folder: what links are relative to.
        values: what the template asks for.
    """
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        if isinstance(value, Markup):
            return value
        return Markup(_markdown(str(value))) if form == "markdown" else printable(value)

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True, finalize=shown
    )
    environment.filters |= {
        "svg": lambda png: base64.b64encode(png.with_suffix(".svg").read_bytes()).decode(),
        "path": lambda png: Markup(png.relative_to(folder).as_posix()),
        "cells": lambda cells: Markup(" | ".join(map(_markdown, cells))),
    }
    text = environment.get_template("report.j2").render(form=f"{form}.j2", **values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _markdown(text: str) -> str:
    """Text in which nothing is a mark, a link or a tag."""
    escaped = html.escape(printable(text), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escaped)

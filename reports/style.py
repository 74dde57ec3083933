"""How all figures look: `figures.mplstyle`, whose lines are told apart in grey and by the colour-blind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("figures.mplstyle")  # for `matplotlib.style.context`


def line_style(number: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the `number`-th line of a figure; no two of the first 32 are alike."""
    styles = list(matplotlib.rcParams["axes.prop_cycle"])
    return dict(styles[number % len(styles)])


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and SVG; returns the two files.

    Args:
        figure: of matplotlib.
        path: without its extension; existing files are replaced.
    """
    for file in files_of(path):
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files_of(path)


def files_of(path: Path) -> list[Path]:
    """Return the files of a figure, given without its extension: PNG and SVG."""
    return [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]

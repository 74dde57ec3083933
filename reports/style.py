"""How all figures look: `figures.mplstyle`, and lines that are told apart in grey and by the colour-blind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The colours of Okabe and Ito (2008), which the colour-blind tell apart; the first is kept for the plain model.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("solid", "dashed", "dashdot", (0, (1, 1)))


@contextmanager
def figure_style() -> Iterator[Any]:
    """Give `matplotlib.pyplot` with the settings of this project, and without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.style.context(Path(__file__).with_name("figures.mplstyle")):
        yield pyplot


def line_style(number: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the `number`-th line of a figure; no two of the first 32 are alike."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }


def save(figure: Any, path: Path) -> list[Path]:
    """Write a figure as PNG and SVG, and close it; returns the two files.

    Args:
        figure: of matplotlib.
        path: without its extension; existing files are replaced.
    """
    from matplotlib import pyplot

    files = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    for file in files:
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)
    return files

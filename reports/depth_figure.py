"""What trains at which depth: of a sweep over `--num_hidden_layers`, a map of depths and settings."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from .scores import Row, Scores, Variant
from .style import STYLE, save

DEPTH = "num_hidden_layers"

_Cells = dict[tuple[int, Variant], list[Row]]


def draw_depth(scores: Scores, path: Path) -> Path:
    """Draw a map for each task and model: depth by setting, coloured by how many of the runs trained.

    A run trained that ended, and tells classes apart. What else the sweep varied has maps of its own.

    Args:
        scores: a sweep of several depths.
        path: of the figure, without its extension; existing files are replaced.

    Returns:
        The PNG; an SVG lies beside it.
    """
    maps: dict[str, _Cells] = {}
    for row in scores.rows:
        variant = scores.variant(row)
        others = [f"{name} {value}" for name, value in variant if name in scores.varied and name != DEPTH]
        if isinstance(depth := dict(variant)[DEPTH], int):
            cells = maps.setdefault(", ".join([row["task"], *others]), {})
            cells.setdefault((depth, _setting(scores, variant)), []).append(row)
    settings = list(dict.fromkeys(_setting(scores, variant) for variant in scores.variants))
    depths = sorted({depth for cells in maps.values() for depth, _ in cells})
    with style.context(STYLE):
        figure = Figure(figsize=(1.6 + 0.62 * len(settings), len(maps) * (0.9 + 0.42 * len(depths)) + 1.2))
        axes = figure.subplots(len(maps), 1, squeeze=False, sharex=True)
        for axis, (title, cells) in zip(axes.flat, sorted(maps.items()), strict=True):
            axis.set_title(title)
            _map(scores, axis, cells, depths, settings)
        labels = [scores.method_label(setting) for setting in settings]
        axes.flat[-1].set_xticks(range(len(settings)), labels, rotation=45, ha="right")
        return save(figure, path)[0]


def _setting(scores: Scores, variant: Variant) -> Variant:
    """The method of a variant, without what else the sweep varied."""
    return tuple(item for item in variant if item[0] not in scores.varied)


def _map(scores: Scores, axis: Any, cells: _Cells, depths: list[int], settings: list[Variant]) -> None:
    shares = np.full((len(depths), len(settings)), np.nan)
    for (depth, setting), rows in cells.items():
        line, column = depths.index(depth), settings.index(setting)
        trained = [row["score"] for row in rows if row["status"] == "finished" and not row["degenerate"]]
        shares[line, column] = len(trained) / len(rows)
        factor = scores.factor(rows[0]["task"])
        score = f"\n{factor * mean(trained):.{1 if factor == 100 else 3}f}" if trained else ""
        colour = "white" if shares[line, column] > 0.6 else "black"
        text = f"{len(trained)} of {len(rows)}{score}"
        axis.text(column, line, text, ha="center", va="center", fontsize=7, color=colour)
    axis.imshow(shares, cmap="Purples", vmin=0, vmax=1, aspect="auto")
    axis.grid(visible=False)
    axis.set_yticks(range(len(depths)), depths)
    axis.set_ylabel("layers")

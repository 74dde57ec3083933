"""The figures of a sweep's report: a panel for each task, and nothing in them that a table does not say exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .scores import Row, Scores, Summary, Variant
from .style import figure_style, line_style

_COLUMNS = 3
_ASIDE = 0.07  # of the distance between scales: bars of several lines stand side by side
_MOST_LOSSES = 30  # points of a curve
_MOST_LINES = 6  # in a panel of curves: the plain model, and the best others


def draw_sweep(scores: Scores, folder: Path) -> list[tuple[Path, str]]:
    """Draw what a sweep has to show.

    Args:
        scores: the sweep.
        folder: where the files go; existing ones are replaced.

    Returns:
        Path of each PNG (an SVG lies beside it) and its caption.
    """
    drawn = []
    for name, draw, caption in (
        (
            "score_by_scale",
            _by_scale,
            "Score against scale: means over seeds, bars of one standard deviation; the "
            "dashed line is the plain model, its band one standard deviation.",
        ),
        ("heat_maps", _heat_maps, "Mean score by scale and position, in points above the plain model."),
        (
            "losses",
            _losses,
            "Training loss over updates: means of some updates and over seeds, bands of one standard deviation.",
        ),
        ("scores", _scores, "Validation score over updates: means over seeds, bands of one standard deviation."),
    ):
        path = _panels(scores, folder / name, draw)
        if path is not None:
            drawn.append((path, caption))
    return drawn


def _panels(scores: Scores, path: Path, draw: Callable[..., bool]) -> Path | None:
    """Let `draw` fill a panel for each task; None where it had nothing to draw in any."""
    columns = 2 if len(scores.tasks) == 4 else min(_COLUMNS, len(scores.tasks))
    lines = -(-len(scores.tasks) // columns) if columns else 0
    if not lines:
        return None
    with figure_style() as pyplot:
        figure, axes = pyplot.subplots(lines, columns, figsize=(3.2 * columns + 0.6, 2.7 * lines + 0.7), squeeze=False)
        legend: dict[str, Any] = {}
        filled = False
        for axis, task in zip(axes.flat, scores.tasks, strict=False):
            if draw(scores, task, axis):
                filled = True
                axis.set_title(task)
                for line, label in zip(*axis.get_legend_handles_labels(), strict=True):
                    legend.setdefault(label, line)
            else:
                axis.set_axis_off()
        for axis in axes.flat[len(scores.tasks) :]:
            axis.set_axis_off()
        if legend:
            figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=min(3, columns + 1))
        if filled:
            for kind in ("png", "svg"):
                file = path.with_suffix(f".{kind}")
                figure.savefig(file, metadata={"Date": None} if kind == "svg" else None)
        pyplot.close(figure)
    return path.with_suffix(".png") if filled else None


def _by_scale(scores: Scores, task: str, axis: Any) -> bool:
    """A line for each position (and what else varies) over its scales, which keep equal distances."""
    lines: dict[str, dict[float, Summary]] = {}
    for variant in scores.variants:
        settings = dict(variant)
        if settings["scale"]:
            rest = tuple((name, value if name != "scale" else 0.5) for name, value in variant)
            name = " ".join(f"{key} {value}" for key, value in rest if key != "scale" and value is not None)
            lines.setdefault(name, {})[settings["scale"]] = Summary.of(scores.of(task, variant).values())
    scales = sorted({scale for line in lines.values() for scale in line})
    if not any(summary.n for line in lines.values() for summary in line.values()):
        return False
    for number, variant in enumerate(variant for variant in scores.variants if scores.plain(variant) == variant):
        plain = Summary.of(scores.of(task, variant).values())
        if plain.n:
            colour = line_style(0)["color"]
            axis.axhline(100 * plain.mean, color=colour, linestyle="dashed", label=scores.label(variant))
            if plain.n > 1 and number == 0:
                low, high = plain.mean - plain.deviation, plain.mean + plain.deviation
                axis.axhspan(100 * low, 100 * high, color=colour, alpha=0.08, linewidth=0)
    for number, (name, line) in enumerate(lines.items(), start=1):
        there = [scale for scale in scales if scale in line and line[scale].n]
        places = [scales.index(scale) + _ASIDE * (number - (len(lines) + 1) / 2) for scale in there]
        means = [100 * line[scale].mean for scale in there]
        bars = [100 * np.nan_to_num(line[scale].deviation) for scale in there]
        axis.errorbar(places, means, yerr=bars, label=f"ContraNorm {name}".strip(), capsize=2, **line_style(number))
    axis.set_xticks(range(len(scales)), [f"{scale:g}" for scale in scales])
    axis.set(xlabel="scale", ylabel=_metric(scores, task), xlim=(-0.5, len(scales) - 0.5))
    return True


def _heat_maps(scores: Scores, task: str, axis: Any) -> bool:
    """Scale by position, where several of each were run."""
    cells: dict[tuple[str, float], list[float]] = {}
    plain: list[float] = []
    for variant in scores.variants:
        settings, found = dict(variant), list(scores.of(task, variant).values())
        if settings["scale"] and settings["pos"] is not None:
            cells.setdefault((str(settings["pos"]), settings["scale"]), []).extend(found)
        elif settings["scale"] == 0:
            plain += found
    positions, scales = sorted({pos for pos, _ in cells}), sorted({scale for _, scale in cells})
    if len(positions) < 2 or len(scales) < 2 or not plain:
        return False
    values = np.full((len(positions), len(scales)), np.nan)
    for (pos, scale), found in cells.items():
        if found:
            values[positions.index(pos), scales.index(scale)] = 100 * (np.mean(found) - np.mean(plain))
    largest = max(np.nanmax(np.abs(values)), 0.1) if not np.isnan(values).all() else 0.1
    axis.imshow(values, cmap="PuOr", vmin=-largest, vmax=largest, aspect="auto")
    axis.grid(visible=False)
    axis.set_xticks(range(len(scales)), [f"{scale:g}" for scale in scales], rotation=45)
    axis.set_yticks(range(len(positions)), positions)
    for line, column in np.ndindex(values.shape):
        value = values[line, column]
        text = "" if np.isnan(value) else f"{value:+.1f}"
        colour = "white" if abs(value) > 0.5 * largest else "black"
        axis.text(column, line, text, ha="center", va="center", fontsize=7, color=colour)
    axis.set(xlabel="scale", ylabel="position")
    return True


def _losses(scores: Scores, task: str, axis: Any) -> bool:
    drawn = _curves(scores, task, axis, lambda row: _smooth(row["losses"]))
    axis.set(xlabel="update", ylabel="training loss")
    return drawn


def _smooth(losses: list[list[float]]) -> list[tuple[float, float]]:
    """Means over stretches of updates, `_MOST_LOSSES` of them: single batches would hide the curve."""
    parts = np.array_split(np.array(losses), min(len(losses), _MOST_LOSSES)) if losses else []
    return [(float(part[-1, 0]), float(part[:, 1].mean())) for part in parts]


def _scores(scores: Scores, task: str, axis: Any) -> bool:
    def points(row: Row) -> list[tuple[float, float]]:
        metric = row["main_metric"]
        return [(entry["updates"], 100 * entry[metric]) for entry in row["history"] if metric in entry]

    drawn = _curves(scores, task, axis, points)
    axis.set(xlabel="update", ylabel=_metric(scores, task))
    return drawn


def _curves(scores: Scores, task: str, axis: Any, points: Callable[[Row], list[tuple[float, float]]]) -> bool:
    """A line for each of the variants worth showing, over the updates that all of its seeds have."""
    by_variant: dict[Variant, list[Row]] = {}
    for row in scores.rows:
        if row["task"] == task and row["status"] == "finished":
            by_variant.setdefault(scores.variant(row), []).append(row)
    means = {variant: Summary.of(scores.of(task, variant).values()).mean for variant in by_variant}
    plain = [variant for variant in by_variant if scores.plain(variant) == variant]
    others = sorted((variant for variant in by_variant if variant not in plain), key=lambda item: -means[item])
    shown = [variant for variant in scores.variants if variant in [*plain, *others][:_MOST_LINES]]
    drawn = False
    for variant in shown:
        curves = [dict(points(row)) for row in by_variant[variant]]
        updates = sorted(set.intersection(*map(set, curves)))
        if not updates:
            continue
        values = np.array([[curve[update] for update in updates] for curve in curves])
        style = line_style(scores.variants.index(variant))
        middle = values.mean(axis=0)
        axis.plot(
            updates,
            middle,
            label=scores.label(variant),
            **{**style, "marker": style["marker"] if len(updates) < 20 else ""},
        )
        if len(curves) > 1:
            spread = values.std(axis=0, ddof=1)
            axis.fill_between(updates, middle - spread, middle + spread, color=style["color"], alpha=0.12, linewidth=0)
        drawn = True
    return drawn


def _metric(scores: Scores, task: str) -> str:
    metric = next((row["main_metric"] for row in scores.rows if row["task"] == task and row["main_metric"]), "score")
    return f"{metric} (percent)"

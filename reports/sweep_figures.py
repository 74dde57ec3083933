"""The figures of a sweep's report: a panel for each task, and nothing in them that a table does not say exactly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from sweep.points import METHOD

from .depth_figure import DEPTH, draw_depth
from .scores import Row, Scores, Variant
from .significance import LEVEL
from .style import STYLE, files_of, line_style, save

_Caption = tuple[str, str, str]

_COLUMNS = 3
_HEIGHT = 2.7  # inches, of a panel
_ASIDE = 0.07  # of the distance between values: bars of several lines stand side by side
_MOST_LINES = 5  # in a panel; of curves the baseline, and the best others
_MOST_MAPS = 6
_MOST_COMPARED = 24  # settings with a line each, beside the baseline


def draw_sweep(scores: Scores, folder: Path) -> list[tuple[Path, _Caption]]:
    """Draw what a sweep has to show.

    Args:
        scores: the sweep.
        folder: where the files go; existing ones are replaced.

    Returns:
        Of each figure the path of the PNG (an SVG lies beside it), and what `report.j2` makes its caption of: its kind,
        the knob, and the settings that it is about.
    """
    drawn = [(draw(scores, folder / name), caption) for name, draw, caption in _planned(scores)]
    return [(path, caption) for path, caption in drawn if path is not None]


def figure_files(scores: Scores, folder: Path) -> list[Path]:
    """Return the files that `draw_sweep` may write."""
    return [file for name, _, _ in _planned(scores) for file in files_of(folder / name)]


def _planned(scores: Scores) -> list[tuple[str, Callable[[Scores, Path], Path | None], _Caption]]:
    """Return name, function and caption of each figure that there may be."""
    panels: list[tuple[str, Callable[..., None], _Caption]] = []
    for knob in knobs_with_several_values(scores):
        maps = list(_groups(scores, knob, "pos").items())[:_MOST_MAPS]
        for number, (rest, variants) in enumerate(maps, start=1):
            draw = partial(_heat_map, knob=knob, variants=variants)
            panels.append((f"heat_map_{knob}_{number}", draw, ("heat_map", knob, _named(rest))))
        if len(groups := _groups(scores, knob)) <= _MOST_LINES:
            panels.append((f"score_by_{knob}", partial(_by_knob, knob=knob, groups=groups), ("by_knob", knob, "")))
    panels += [("losses", _losses, ("losses", "", "")), ("scores", _scores, ("scores", "", ""))]
    figures: list[tuple[str, Callable[[Scores, Path], Path | None], _Caption]] = []
    is_mapped = any(name.startswith("heat_map") for name, _, _ in panels)  # a map says the same
    if 0 < len(scores.ranked) <= _MOST_COMPARED and not is_mapped:
        height = max(1.5, 0.6 + 0.2 * len(scores.ranked))
        compare = partial(_panels, draw=_differences, height=height)
        figures.append(("differences", compare, ("differences", "", "")))
    if DEPTH in scores.varied:
        figures.append(("depth", draw_depth, ("depth", "", "")))
    return [*figures, *((name, partial(_panels, draw=draw), caption) for name, draw, caption in panels)]


def knobs_with_several_values(scores: Scores) -> list[str]:
    """Return the knobs of any method that have several numbers; each makes figures of its own."""
    values = {name: {dict(variant).get(name) for variant in scores.variants} for name in METHOD[2:]}
    return [name for name in values if sum(type(value) in (int, float) for value in values[name]) > 1]


def _groups(scores: Scores, *axes: str) -> dict[Variant, list[Variant]]:
    """Variants that are alike but for some of their settings, by what they share, where each of these differs.

    The first of `axes` is a knob; variants in which it is no number, but one a layer, have no place on it.
    """
    found: dict[Variant, list[Variant]] = {}
    for variant in scores.variants:
        if variant not in scores.baselines and isinstance(dict(variant).get(axes[0]), (int, float)):
            found.setdefault(tuple(item for item in variant if item[0] not in axes), []).append(variant)
    return {
        rest: variants
        for rest, variants in found.items()
        if all(len({dict(variant)[axis] for variant in variants}) > 1 for axis in axes)
    }


def _named(rest: Variant) -> str:
    return ", ".join(f"{name} {value}" for name, value in rest if value is not None and name != "contranorm_padding")


def _panels(scores: Scores, path: Path, draw: Callable[..., None], height: float = _HEIGHT) -> Path | None:
    """Let `draw` fill a panel for each task, so many inches high; None where it had nothing to draw in any."""
    columns = 2 if len(scores.tasks) == 4 else min(_COLUMNS, len(scores.tasks))
    lines = -(-len(scores.tasks) // columns)
    with style.context(STYLE):
        figure = Figure(figsize=(3.2 * columns + 0.6, height * lines + 0.7))
        axes = figure.subplots(lines, columns, squeeze=False)
        legend: dict[str, Any] = {}
        for axis, task in zip(axes.flat, scores.tasks, strict=False):
            draw(scores, task, axis)
            axis.set_title(task)
            handles, labels = axis.get_legend_handles_labels()
            legend = {**dict(zip(labels, handles, strict=True)), **legend}
        for axis in axes.flat:
            if not axis.has_data():
                axis.set_axis_off()
        if not any(axis.axison for axis in axes.flat):
            return None
        if legend:
            figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=min(3, columns + 1))
        return save(figure, path)[0]


def _differences(scores: Scores, task: str, axis: Any) -> None:
    """A line for each setting, in the same order in all panels: its difference to the baseline, with interval."""
    pairs = scores.comparisons(task)
    if not pairs:
        return
    factor, colour = scores.factor(task), line_style(1)["color"]
    corrected = scores.corrected(task)
    noise = scores.summary(task, scores.baselines[0]).deviation
    if not np.isnan(noise):
        axis.axvspan(-factor * noise, factor * noise, color=line_style(0)["color"], alpha=0.08, linewidth=0)
    axis.axvline(0, color=line_style(0)["color"], linestyle="dashed", linewidth=1)
    places = np.array([scores.ranked.index(variant) for variant in pairs])
    means = factor * np.array([paired.mean for paired in pairs.values()])
    reach = factor * np.nan_to_num([paired.high - paired.mean for paired in pairs.values()])
    axis.errorbar(means, places, xerr=reach, fmt="none", ecolor=colour, capsize=2)
    lasting = np.array([corrected[variant] < LEVEL for variant in pairs])
    for chosen, face in ((lasting, colour), (~lasting, "white")):
        axis.plot(means[chosen], places[chosen], "o", color=colour, markerfacecolor=face)
    is_first = axis.get_subplotspec().is_first_col()
    axis.set_yticks(range(len(scores.ranked)), map(scores.label, scores.ranked) if is_first else [])
    axis.set(
        ylim=(len(scores.ranked) - 0.5, -0.5),
        xlabel=f"difference in {_metric(scores, task)}".replace("(percent)", "(points)"),
    )


def _by_knob(scores: Scores, task: str, axis: Any, knob: str, groups: dict[Variant, list[Variant]]) -> None:
    """A line for each position (and what else varies) over the values of a knob, which keep equal distances."""
    lines = {
        rest: {dict(each)[knob]: scores.summary(task, each) for each in variants if scores.of(task, each)}
        for rest, variants in groups.items()
    }
    values = sorted({value for line in lines.values() for value in line})
    if not values:
        return
    factor = scores.factor(task)
    for number, variant in enumerate(scores.baselines):
        level = scores.summary(task, variant)
        if level.n:
            colour = line_style(0)["color"]
            axis.axhline(factor * level.mean, color=colour, linestyle="dashed", label=scores.label(variant))
            if level.n > 1 and number == 0:
                low, high = level.mean - level.deviation, level.mean + level.deviation
                axis.axhspan(factor * low, factor * high, color=colour, alpha=0.08, linewidth=0)
    for number, (rest, line) in enumerate(lines.items(), start=1):
        there = [value for value in values if value in line]
        places = [values.index(value) + _ASIDE * (number - (len(lines) + 1) / 2) for value in there]
        means = [factor * line[value].mean for value in there]
        bars = [factor * np.nan_to_num(line[value].deviation) for value in there]
        axis.errorbar(places, means, yerr=bars, label=_named(rest), capsize=2, **line_style(number))
    axis.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axis.set(xlabel=knob, ylabel=_metric(scores, task), xlim=(-0.5, len(values) - 0.5))


def _heat_map(scores: Scores, task: str, axis: Any, knob: str, variants: list[Variant]) -> None:
    """A knob by position: the difference to the baseline, and where its interval excludes 0, the sign."""
    cells = {(str(dict(variant)["pos"]), dict(variant)[knob]): variant for variant in variants}
    positions, values = sorted({pos for pos, _ in cells}), sorted({value for _, value in cells})
    sign, factor = scores.sign(task), scores.factor(task)
    means, marks = np.full((len(positions), len(values)), np.nan), {}
    for (pos, value), variant in cells.items():
        paired = scores.paired(task, variant)
        if paired.n:
            place = positions.index(pos), values.index(value)
            means[place] = factor * paired.mean
            marks[place] = {"gain": "▲", "loss": "▼", "": ""}[paired.verdict]
    if not marks:
        return
    largest = max(np.nanmax(np.abs(means)), factor / 1000)
    axis.imshow(sign * means, cmap="PuOr", vmin=-largest, vmax=largest, aspect="auto")
    axis.grid(visible=False)
    axis.set_xticks(range(len(values)), [f"{value:g}" for value in values], rotation=45)
    axis.set_yticks(range(len(positions)), positions)
    for place, mark in marks.items():
        digits = 1 if factor == 100 else 3
        weight, colour = ("bold" if mark else "normal"), ("white" if abs(means[place]) > 0.7 * largest else "black")
        text = f"{means[place]:+.{digits}f}" + (f"\n{mark}" if mark else "")
        axis.text(*reversed(place), text, ha="center", va="center", fontsize=7, color=colour, weight=weight)
    axis.set(xlabel=knob, ylabel="position")


def _losses(scores: Scores, task: str, axis: Any) -> None:
    _curves(scores, task, axis, lambda row: row["losses"])
    axis.set(xlabel="update", ylabel="training loss")


def _scores(scores: Scores, task: str, axis: Any) -> None:
    def points(row: Row) -> list[Any]:
        metric = row["main_metric"]
        return [(entry["updates"], scores.factor(task) * entry[metric]) for entry in row["history"] if metric in entry]

    _curves(scores, task, axis, points)
    axis.set(xlabel="update", ylabel=_metric(scores, task))


def _curves(scores: Scores, task: str, axis: Any, points: Callable[[Row], list[Any]]) -> None:
    """A line for each of the variants worth showing, over the updates that all of its seeds have."""
    by_variant: dict[Variant, list[dict[float, float]]] = {}
    for row in scores.rows:
        if row["task"] == task and row["status"] == "finished" and not row["degenerate"]:
            by_variant.setdefault(scores.variant(row), []).append(dict(points(row)))
    # The variants worth showing, the same in all panels.
    shown = [*scores.baselines, *scores.ranked][: max(_MOST_LINES, len(scores.baselines) + 1)]
    for number, variant in enumerate(shown):
        curves = by_variant.get(variant, [{}])
        updates = sorted(set.intersection(*map(set, curves)))
        if not updates:
            continue
        values = np.array([[curve[update] for update in updates] for curve in curves])
        line, middle = line_style(number), values.mean(axis=0)
        if len(updates) >= 20:
            line["marker"] = ""
        axis.plot(updates, middle, label=scores.label(variant), **line)
        if len(curves) > 1:
            spread = values.std(axis=0, ddof=1)
            axis.fill_between(updates, middle - spread, middle + spread, color=line["color"], alpha=0.12, linewidth=0)


def _metric(scores: Scores, task: str) -> str:
    return f"{scores.metrics[task]}{' (percent)' if scores.factor(task) == 100 else ''}"

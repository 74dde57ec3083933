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

from .scores import Row, Scores, Summary, Variant
from .style import STYLE, line_style, save

_COLUMNS = 3
_ASIDE = 0.07  # of the distance between values: bars of several lines stand side by side
_MOST_LINES = 5  # in a panel; of curves the plain model, and the best others
_MOST_MAPS = 6


def draw_sweep(scores: Scores, folder: Path) -> list[tuple[Path, str]]:
    """Draw what a sweep has to show.

    Args:
        scores: the sweep.
        folder: where the files go; existing ones are replaced.

    Returns:
        Path of each PNG (an SVG lies beside it) and its caption.
    """
    figures: list[tuple[str, Callable[..., None], str]] = []
    for knob in knobs_with_several_values(scores):
        for number, rest in enumerate(_rests(scores, knob, "pos")[:_MOST_MAPS], start=1):
            caption = (
                f"Mean difference to the plain model by {knob} and position, in points (of a loss, the number itself)"
                f"{_named(rest)}. ▲ marks a gain and ▼ a loss that Student's t shows at 95 percent; the others are no "
                "more than chance may do. Orange is worse, violet better, each panel by its own largest difference."
            )
            figures.append((f"heat_map_{knob}_{number}", partial(_heat_map, knob=knob, rest=rest), caption))
        caption = (
            f"Score against {knob}: means over seeds, bars of one standard deviation; the dashed line is the plain "
            "model, its band one standard deviation."
        )
        if len(_rests(scores, knob)) <= _MOST_LINES:
            figures.append((f"score_by_{knob}", partial(_by_knob, knob=knob), caption))
    curves = "over updates: means over seeds, bands of one standard deviation; the plain model and the best settings."
    figures += [("losses", _losses, f"Training loss {curves}"), ("scores", _scores, f"Validation score {curves}")]
    paths = [(_panels(scores, folder / name, draw), caption) for name, draw, caption in figures]
    return [(path, caption) for path, caption in paths if path is not None]


def knobs_with_several_values(scores: Scores) -> list[str]:
    """Return the knobs of any method that have several numbers; each makes figures of its own."""
    values = {name: {dict(variant).get(name) for variant in scores.variants} for name in METHOD[2:]}
    return [name for name in values if sum(type(value) in (int, float) for value in values[name]) > 1]


def _rest(variant: Variant, *without: str) -> Variant:
    return tuple((name, value) for name, value in variant if name not in without)


def _rests(scores: Scores, *axes: str) -> list[Variant]:
    """What variants are besides some of their settings, as far as each of these has several values there."""
    found: dict[Variant, list[dict[str, Any]]] = {}
    for variant in scores.variants:
        if scores.plain(variant) != variant:
            found.setdefault(_rest(variant, *axes), []).append(dict(variant))
    several = {rest: [{of[axis] for of in members} for axis in axes] for rest, members in found.items()}
    return [rest for rest, values in several.items() if all(len(of_axis) > 1 for of_axis in values)]


def _named(rest: Variant) -> str:
    words = [f"{name} {value}" for name, value in rest if value is not None and name != "contranorm_padding"]
    return f" ({', '.join(words)})"


def _panels(scores: Scores, path: Path, draw: Callable[..., None]) -> Path | None:
    """Let `draw` fill a panel for each task; None where it had nothing to draw in any."""
    columns = 2 if len(scores.tasks) == 4 else min(_COLUMNS, len(scores.tasks))
    lines = -(-len(scores.tasks) // columns)
    with style.context(STYLE):
        figure = Figure(figsize=(3.2 * columns + 0.6, 2.7 * lines + 0.7))
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


def _by_knob(scores: Scores, task: str, axis: Any, knob: str) -> None:
    """A line for each position (and what else varies) over the values of a knob, which keep equal distances."""
    lines: dict[Variant, dict[float, Summary]] = {rest: {} for rest in _rests(scores, knob)}
    for variant in scores.variants:
        summary = scores.summary(task, variant)
        if _rest(variant, knob) in lines and summary.n:
            lines[_rest(variant, knob)][dict(variant)[knob]] = summary
    values = sorted({value for line in lines.values() for value in line})
    if not values:
        return
    factor = scores.factor(task)
    for number, variant in enumerate(scores.plain_variants):
        plain = scores.summary(task, variant)
        if plain.n:
            colour = line_style(0)["color"]
            axis.axhline(factor * plain.mean, color=colour, linestyle="dashed", label=scores.label(variant))
            if plain.n > 1 and number == 0:
                low, high = plain.mean - plain.deviation, plain.mean + plain.deviation
                axis.axhspan(factor * low, factor * high, color=colour, alpha=0.08, linewidth=0)
    for number, (rest, line) in enumerate(lines.items(), start=1):
        there = [value for value in values if value in line]
        places = [values.index(value) + _ASIDE * (number - (len(lines) + 1) / 2) for value in there]
        means = [factor * line[value].mean for value in there]
        bars = [factor * np.nan_to_num(line[value].deviation) for value in there]
        axis.errorbar(places, means, yerr=bars, label=_named(rest)[2:-1], capsize=2, **line_style(number))
    axis.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axis.set(xlabel=knob, ylabel=_metric(scores, task), xlim=(-0.5, len(values) - 0.5))


def _heat_map(scores: Scores, task: str, axis: Any, knob: str, rest: Variant) -> None:
    """A knob by position: the difference to the plain model, and where its interval excludes 0, the sign."""
    variants = [variant for variant in scores.variants if _rest(variant, knob, "pos") == rest]
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
        weight, colour = ("bold" if mark else "normal"), ("white" if abs(means[place]) > 0.6 * largest else "black")
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
    for number, variant in enumerate(_shown(scores)):
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


def _shown(scores: Scores) -> list[Variant]:
    """The variants that curves are drawn of, the same in all panels."""
    return [*scores.plain_variants, *scores.ranked][: max(_MOST_LINES, len(scores.plain_variants) + 1)]


def _metric(scores: Scores, task: str) -> str:
    return f"{scores.metrics[task]}{' (percent)' if scores.factor(task) == 100 else ''}"

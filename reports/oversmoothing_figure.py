"""Oversmoothing over depth and over the length of texts: one line a model, one panel a measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from .style import STYLE, line_style, save

# Measure, title with unit, whether the axis is logarithmic.
_Panels = tuple[tuple[str, str, bool], ...]
_MAIN: _Panels = (
    ("token_similarity", "Similarity of tokens (cosine)", False),
    ("attention_similarity", "Similarity of attention rows (cosine)", False),
    ("effective_rank", "Effective rank (directions)", False),
    ("uniformity", "Uniformity (log potential, lower: more spread)", False),
    ("variance", "Variance of tokens (per feature)", True),
)
_MORE: _Panels = (
    ("mean_average_distance", "Mean average distance (cosine)", False),
    ("high_frequency", "High over low frequency", True),
    ("dirichlet_energy", "Dirichlet energy", True),
    ("spectrum_skewness", "Skewness of the spectrum", False),
    ("attention_rank", "Effective rank of attention", False),
    ("attention_gap", "Gap of attention's singular values", False),
    ("attention_on_cls", "Attention on [CLS] (share)", False),
    ("attention_on_sep", "Attention on [SEP] (share)", False),
)
_BY_LENGTH: _Panels = (*(_MAIN[number] for number in (0, 1, 2)), _MORE[1], _MORE[4], _MORE[7])


def draw_oversmoothing(measured: dict[str, dict[str, Any]], title: str, path: Path) -> list[Path]:
    """Draw the measures of several models over their layers, and those of their last layers over the length of texts.

    Args:
        measured: for each name in the legend what `glue.scoring.oversmoothing.measure_oversmoothing` returned.
        title: of the figures.
        path: of the first figure, without its extension; existing files are replaced. The names of the others have
            "-more" and "-by-length" besides.

    Returns:
        The files, PNG and SVG of each figure.
    """
    more, by_length = (path.with_name(f"{path.name}-{name}") for name in ("more", "by-length"))
    return [
        *_draw(measured, title, path, (2, 3), _MAIN, _over_layers, spectra=True),
        *_draw(measured, title, more, (2, 4), _MORE, _over_layers),
        *_draw(measured, f"{title}, last layer", by_length, (2, 3), _BY_LENGTH, _over_lengths),
    ]


def _draw(
    measured: dict[str, dict[str, Any]],
    title: str,
    path: Path,
    shape: tuple[int, int],
    panels: _Panels,
    plot: Callable[[Any, str, list[dict[str, Any]]], None],
    spectra: bool = False,
) -> list[Path]:
    with style.context(STYLE):
        figure = Figure(figsize=(0.5 + 3 * shape[1], 5.6))
        axes = figure.subplots(*shape)
        for axis, (name, label, logarithmic) in zip(axes.flat, panels, strict=False):
            plot(axis, name, list(measured.values()))
            axis.set_title(label)
            if logarithmic:
                axis.set_yscale("log")
        if spectra:
            _spectra(axes.flat[-1], list(measured.values()))
        for number, name in enumerate(measured):
            axes.flat[0].plot([], [], label=name, **line_style(number))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        figure.legend(
            *axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(measured))
        )
        return save(figure, path)


def _over_layers(axis: Any, name: str, models: list[dict[str, Any]]) -> None:
    for number, values in enumerate(models):
        if name in values:
            depth = range(len(values["token_similarity"]) - len(values[name]), len(values["token_similarity"]))
            axis.plot(depth, values[name], **line_style(number))
    axis.set_xlabel("layer (0: embeddings)")
    axis.xaxis.get_major_locator().set_params(integer=True)


def _over_lengths(axis: Any, name: str, models: list[dict[str, Any]]) -> None:
    classes = list(dict.fromkeys(each for values in models for each in values["by_length"]))
    for number, values in enumerate(models):
        found = {each: of[name][-1] for each, of in values["by_length"].items() if name in of}
        axis.plot([classes.index(each) for each in found], list(found.values()), **line_style(number))
    axis.set_xticks(range(len(classes)), classes)
    axis.set_xlabel("length of the text (tokens)")


def _spectra(axis: Any, models: list[dict[str, Any]]) -> None:
    for number, values in enumerate(models):
        last = [share for share in values["spectrum"][-1] if share > 1e-7]
        axis.plot(range(1, len(last) + 1), last, **line_style(number) | {"marker": ""})
    axis.set(title="Spectrum of the last layer (share of sum)", xlabel="singular value", yscale="log")

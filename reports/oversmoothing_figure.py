"""Oversmoothing over depth: one line a model, one panel a measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from .style import STYLE, line_style, save

# Measure, title with unit, whether the axis is logarithmic.
_PANELS = (
    ("token_similarity", "Similarity of tokens (cosine)", False),
    ("attention_similarity", "Similarity of attention rows (cosine)", False),
    ("effective_rank", "Effective rank (directions)", False),
    ("uniformity", "Uniformity (log potential, lower: more spread)", False),
    ("variance", "Variance of tokens (per feature)", True),
)


def draw_oversmoothing(measured: dict[str, dict[str, Any]], title: str, path: Path) -> list[Path]:
    """Draw the measures of several models over their layers, and the spectra of their last ones.

    Args:
        measured: for each name in the legend what `glue.scoring.oversmoothing.measure_oversmoothing` returned.
        title: of the figure.
        path: without its extension; existing files are replaced.

    Returns:
        The two files, PNG and SVG.
    """
    with style.context(STYLE):
        figure = Figure(figsize=(9.5, 5.6))
        axes = figure.subplots(2, 3)
        for axis, (name, label, logarithmic) in zip(axes.flat, _PANELS, strict=False):
            for number, values in enumerate(measured.values()):
                if name not in values:
                    continue
                depth = range(len(values["token_similarity"]) - len(values[name]), len(values["token_similarity"]))
                axis.plot(depth, values[name], **line_style(number))
            axis.set(title=label, xlabel="layer (0: embeddings)")
            if logarithmic:
                axis.set_yscale("log")
            axis.xaxis.get_major_locator().set_params(integer=True)
        spectra = axes.flat[-1]
        for number, (name, values) in enumerate(measured.items()):
            last = [share for share in values["spectrum"][-1] if share > 1e-7]
            spectra.plot(range(1, len(last) + 1), last, **line_style(number) | {"marker": ""})
            axes.flat[0].plot([], [], label=name, **line_style(number))
        spectra.set(title="Spectrum of the last layer (share of sum)", xlabel="singular value", yscale="log")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        figure.legend(
            *axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(measured))
        )
        return save(figure, path)

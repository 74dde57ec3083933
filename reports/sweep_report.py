"""The report of a sweep: the tables and figures of report.md and report.html, from results.jsonl."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from glue.data.tasks import GLUE_TASKS
from transformers.utils.files import make_folder, write_whole

from .document import render
from .published import AVERAGE, SHIPPED, Published, in_order, read_published
from .scores import Paired, Row, Scores, Summary, Variant
from .sweep_figures import draw_sweep

_MOST_OPEN = 12  # rows of a table; a longer one is folded

Table = tuple[list[str], list[list[str]], str]  # header, rows, and what stands in place of a folded one


def write_report(rows: list[Row], folder: Path, title: str, published: Sequence[Published] = ()) -> list[Path]:
    """Write report.md, report.html and figures/ for the runs of a sweep.

    Args:
        rows: one for each point.
        folder: where the files go; existing ones are replaced.
        title: what the sweep is called.
        published: scores to set beside them, those of the paper apart.

    Returns:
        The two files.
    """
    scores = Scores(rows)
    differences = _differences(scores)
    values = {
        "title": f"ContraNorm on GLUE: {title}",
        "scores": scores,
        "models": ", ".join(sorted({str(row["model"]) for row in rows})),
        "counts": Counter(row["status"] for row in rows),
        "collapsed": scores.collapsed.total(),
        "table": _table(scores),
        "lacking": _lacking(scores),
        "beside": _beside(scores, [*read_published(SHIPPED), *published]),
        "choice": _choice(scores),
        "differences": differences,
        "compared": sum(len(lines) for _, lines, _ in differences),
        "figures": draw_sweep(scores, make_folder(folder / "figures")),
        "problems": _problems(scores),
        "times": _times(scores),
        **_origin(rows),
    }
    files = {"report.md": "markdown", "report.html": "html"}
    for name, form in files.items():
        text = render(form, folder, **values)
        write_whole(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
    return [folder / name for name in files]


def _table(scores: Scores) -> Table:
    """The paper's table: tasks in columns."""
    lines = [_of_variant(scores, variant) for variant in scores.plain_variants]
    for plain in scores.plain_variants:
        mark = f", {scores.label(plain)}" if scores.varied else ""
        best = {task: Summary.of(scores.of(task, scores.best(task, plain)).values()) for task in scores.tasks}
        left_out = {task: Summary.of(scores.left_out(task, plain).values()) for task in scores.tasks}
        for name, cells in (("best for each task", best), ("chosen without the seed it is scored on", left_out)):
            if any(cell.n for cell in cells.values()):
                lines.append(_line(scores, f"{name}{mark}", cells))
    header = ["", *(f"{task} ({scores.metrics[task]})" for task in scores.tasks), "average", "n", "collapsed"]
    return header, [*lines, *(_of_variant(scores, variant) for variant in scores.ranked)], ""


def _of_variant(scores: Scores, variant: Variant) -> list[str]:
    cells = {task: Summary.of(scores.of(task, variant).values()) for task in scores.tasks}
    return _line(scores, scores.label(variant), cells, sum(scores.collapsed[task, variant] for task in scores.tasks))


def _average(scores: Scores, cells: dict[str, Summary]) -> float | None:
    return scores.average({task: cell.mean if cell.n else None for task, cell in cells.items()})


def _line(scores: Scores, name: str, cells: dict[str, Summary], collapsed: int = 0) -> list[str]:
    counts = sorted({cell.n for cell in cells.values()})
    average = _average(scores, cells)
    n = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return [name, *(_score(scores, *item) for item in cells.items()), _percent(average), n, str(collapsed or "")]


def _lacking(scores: Scores) -> list[str]:
    return [task for task in GLUE_TASKS if task != "wnli" and task not in scores.tasks]


def _beside(scores: Scores, published: list[Published]) -> Table:
    """Published numbers beside those measured here."""
    plain = scores.plain_variants[0]
    columns = [
        {task: Summary.of(of_task(task).values()) for task in scores.tasks}
        for of_task in (
            lambda task: scores.of(task, plain),
            lambda task: scores.of(task, scores.best(task, plain)),
            lambda task: scores.left_out(task, plain),
        )
    ]
    lines = []
    for row in in_order(published):
        here = [""] * 3
        if row.task == AVERAGE and not _lacking(scores):
            here = [_percent(_average(scores, column)) for column in columns]
        elif row.task in scores.tasks and scores.sign(row.task) > 0:
            here = [_score(scores, row.task, column[row.task]) for column in columns]
        lines.append([row.method, row.model, row.task, f"{row.score:.2f}", *here, row.source])
    return ["method", "model", "task", "published", "plain, here", "best, here", "chosen, here", "source"], lines, ""


def _choice(scores: Scores) -> Table:
    """Which setting is best for each task, and what that choice is worth."""
    lines = []
    for plain in scores.plain_variants:
        for task in scores.tasks:
            best, base = scores.best(task, plain), scores.of(task, plain)
            if best is not None and base:
                sign, left_out = scores.sign(task), scores.left_out(task, plain)
                chosen = _paired(scores.paired(partial(scores.of, task), best, sign), scores.factor(task))
                honest = Paired.of((left_out[seed] - base[seed] for seed in left_out if seed in base), sign)
                cells = _paired(honest, scores.factor(task)) if honest.n > 1 else [""] * 4
                lines.append([task, scores.label(best), chosen[0], *cells, _noise(scores, task, plain)])
    header = ["task", "best setting", "difference, as chosen", "difference, chosen on other seeds"]
    return [*header, "95 % interval", "shown", "seeds won", "noise"], lines, ""


def _differences(scores: Scores) -> list[Table]:
    """What a method changes, seed by seed: a table for each task, from the best setting to the worst."""
    tables: list[Table] = []
    for task in [*scores.tasks, *([AVERAGE] if len(scores.tasks) > 1 else [])]:
        of_task = scores.averages if task == AVERAGE else partial(scores.of, task)
        found = [(variant, scores.paired(of_task, variant, scores.sign(task))) for variant in scores.ranked]
        found = [(variant, paired) for variant, paired in found if paired.n]
        found.sort(key=lambda item: -item[1].sign * item[1].mean)
        lines = []
        for variant, paired in found:
            cells = [*_paired(paired, scores.factor(task)), _noise(scores, task, scores.plain(variant))]
            lines.append([scores.label(variant), *cells, str(scores.collapsed[task, variant] or "")])
        verdicts = Counter(paired.verdict for _, paired in found)
        summary = f"{task}: {len(lines)} settings, {verdicts['gain']} gains and {verdicts['loss']} losses shown"
        header = [task, "mean", "95 % interval", "shown", "seeds won", "noise", "collapsed"]
        if lines:
            tables.append((header, lines, summary if len(lines) > _MOST_OPEN else ""))
    return tables


def _noise(scores: Scores, task: str, plain: Variant) -> str:
    of_plain = scores.averages(plain) if task == AVERAGE else scores.of(task, plain)
    deviation, factor = Summary.of(of_plain.values()).deviation, scores.factor(task)
    return "" if math.isnan(deviation) else f"± {factor * deviation:.{2 if factor == 100 else 4}f}"


def _problems(scores: Scores) -> Table:
    lines = [
        [row["title"], row["status"] if row["status"] != "finished" else "collapsed", row["problem"]]
        for row in scores.rows
        if row["status"] in ("diverged", "failed") or row["degenerate"]
    ]
    lines += [[f"{task} {scores.label(variant)} seed {seed}", "missing", ""] for task, variant, seed in scores.missing]
    return ["run", "what", "last words"], lines, ""


def _times(scores: Scores) -> Table:
    lines = []
    for task in scores.tasks:
        rows = [row for row in scores.rows if row["task"] == task and row["status"] == "finished"]
        speeds = [row["examples_per_second"] for row in rows if row["examples_per_second"]]
        times = [max(row["seconds"] or 0, row["train_seconds"] or 0) for row in rows]
        if rows:
            speed = f"{median(speeds):.1f}" if speeds else ""
            lines.append([task, str(len(rows)), f"{median(times):.0f}", f"{sum(times) / 3600:.2f}", speed])
    return ["task", "runs", "seconds a run (median)", "hours in all", "training examples/s (median)"], lines, ""


def _origin(rows: list[Row]) -> dict[str, list[str]]:
    found = {
        "revisions": {str(row["git_revision"]) for row in rows if row["git_revision"]},
        "versions": {f"{name} {value}" for row in rows for name, value in (row["versions"] or {}).items() if value},
        "hardware": {_listed(row["hardware"]) for row in rows if row["hardware"]},
    }
    return {name: sorted(values) for name, values in found.items()}


def _listed(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _score(scores: Scores, task: str, summary: Summary) -> str:
    factor, digits = scores.factor(task), 1 if scores.factor(task) == 100 else 4
    spread = "" if math.isnan(summary.deviation) else f" ± {factor * summary.deviation:.{digits}f}"
    return f"{factor * summary.mean:.{digits}f}{spread}" if summary.n else ""


def _paired(paired: Paired, factor: int) -> list[str]:
    """Mean, interval, verdict and seeds won."""
    digits = 2 if factor == 100 else 4
    interval = " to ".join(f"{factor * bound:+.{digits}f}" for bound in (paired.low, paired.high))
    mean = f"{factor * paired.mean:+.{digits}f}"
    return [mean, interval if paired.n > 1 else "", paired.verdict, f"{paired.wins} of {paired.n}"]

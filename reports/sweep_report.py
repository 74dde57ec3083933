"""The report of a sweep: tables and figures from results.jsonl, as report.md and report.html."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from transformers.utils.files import make_folder, write_whole

from .document import Document, Figure, Heading, Paragraph, Table
from .scores import Paired, Row, Scores, Summary, Variant
from .sweep_figures import draw_sweep

# Reported in the paper: average over GLUE's validation sets, BERT-base, the best scale for each task.
_PAPER_PLAIN, _PAPER_CONTRANORM = 82.59, 83.54
_MOST_LISTED = 30


def write_report(rows: list[Row], folder: Path, title: str) -> list[Path]:
    """Write report.md, report.html and figures/ for the runs of a sweep.

    Args:
        rows: the newest row of each point.
        folder: where the files go; existing ones are replaced.
        title: what the sweep is called.

    Returns:
        The two files.
    """
    scores = Scores(rows)
    document = Document(f"ContraNorm on GLUE: {title}")
    document.parts += [*_overview(scores), *_table(scores), *_comparison(scores), *_choice(scores)]
    figures = draw_sweep(scores, make_folder(folder / "figures"))
    if figures:
        document.parts.append(Heading("Figures"))
        document.parts += [Figure(path, caption) for path, caption in figures]
    document.parts += [*_problems(scores), *_times(scores), *_origin(scores)]
    contents = {"report.md": document.markdown(folder), "report.html": document.html()}
    for name, content in contents.items():
        write_whole(folder / name, partial(Path.write_text, data=content, encoding="utf-8"))
    return [folder / name for name in contents]


def _overview(scores: Scores) -> list[Paragraph]:
    counts = Counter(row["status"] for row in scores.rows)
    degenerate = sum(bool(row["degenerate"]) for row in scores.rows)
    models = ", ".join(sorted({str(row["model"]) for row in scores.rows}))
    text = (
        f"{len(scores.rows)} run{'s' * (len(scores.rows) > 1)} of {models}: "
        f"{counts['finished']} finished, {counts['diverged']} diverged, "
        f"{counts['failed']} failed, {counts['pruned']} pruned; {len(scores.missing)} missing from the full grid of "
        f"{len(scores.tasks)} tasks, {len(scores.variants)} settings and {len(scores.seeds)} seeds."
    )
    if degenerate:
        text += (
            f" {degenerate} of the finished runs predict one class for every validation example; their scores are in "
            "the tables, and the runs are listed under Problems."
        )
    return [Paragraph(text)]


def _table(scores: Scores) -> list[Heading | Paragraph | Table]:
    """The paper's table: tasks in columns."""
    metrics = {row["task"]: row["main_metric"] for row in scores.rows}
    header = ["", *(f"{task} ({metrics[task]})" for task in scores.tasks), "average", "n"]
    lines = []
    for variant in scores.variants:
        cells = [Summary.of(scores.of(task, variant).values()) for task in scores.tasks]
        lines.append(_line(scores.label(variant), cells, scores))
    for plain in scores.variants:
        if scores.plain(plain) != plain:
            continue
        best = {task: scores.best(task, plain) for task in scores.tasks}
        if any(best.values()):
            mark = f", {scores.label(plain)}" if scores.varied else ""
            of_best = [Summary.of(_of(scores, task, best[task]).values()) for task in scores.tasks]
            lines.append(_line(f"best for each task{mark}", of_best, scores))
            left_out = [Summary.of(scores.left_out(task, plain).values()) for task in scores.tasks]
            if any(cell.n for cell in left_out):
                lines.append(_line(f"chosen without the seed it is scored on{mark}", left_out, scores))
    return [
        Heading("Scores"),
        Paragraph(
            "Percent, mean ± standard deviation over seeds (n - 1); n is the number of seeds, a range where the tasks "
            "differ. The average is that of GLUE: F1 for MRPC and QQP, Spearman for STS-B, the mean of matched and "
            "mismatched for MNLI; it is given where every task has a score."
        ),
        Table(header, lines),
        Paragraph(
            f"For comparison, the paper's own figures, not measured here: {_PAPER_PLAIN:.2f} on average for BERT-base "
            f"and {_PAPER_CONTRANORM:.2f} with ContraNorm, with the best scale for each task."
        ),
        Paragraph(
            "'best for each task' picks the setting on the very validation set that it is then scored on: it is "
            "optimistic, the more so the more settings there are. The row below it picks for each seed the "
            "setting that is best on the other seeds. It still chooses and scores on the same examples, but not "
            "by the same chance of training."
        ),
    ]


def _of(scores: Scores, task: str, variant: Variant | None) -> dict[int, float]:
    return {} if variant is None else scores.of(task, variant)


def _line(name: str, cells: list[Summary], scores: Scores) -> list[str]:
    counts = sorted({cell.n for cell in cells})
    complete = all(cell.n for cell in cells)
    average = f"{100 * sum(cell.mean for cell in cells) / len(cells):.2f}" if complete else ""
    return [name, *map(_score, cells), average, f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"]


def _comparison(scores: Scores) -> list[Heading | Paragraph | Table]:
    """What ContraNorm changes, seed by seed."""
    pairs = [variant for variant in scores.variants if scores.plain(variant) != variant]
    lines = []
    for variant in pairs:
        for task in scores.tasks:
            paired = scores.paired(lambda other, task=task: scores.of(task, other), variant)  # type: ignore[misc]
            if paired.n:
                lines.append([scores.label(variant), task, *_paired(paired)])
        paired = scores.paired(scores.average, variant)
        if paired.n and len(scores.tasks) > 1:
            lines.append([scores.label(variant), "average", *_paired(paired)])
    if not lines:
        return []
    return [
        Heading("Difference to the plain model with the same seed"),
        Paragraph(
            "Points. The interval is that of the middle 95 percent of 10,000 bootstrap means over seeds; with few "
            "seeds it is too narrow (three seeds have but ten different samples), and with as many rows as here "
            "some exclude 0 by chance. 'Seeds won' counts the seeds with a higher score than the plain model's."
        ),
        Table(["setting", "task", "mean", "95 % interval", "seeds won"], lines),
    ]


def _choice(scores: Scores) -> list[Heading | Paragraph | Table]:
    """Which setting is best for each task, and what that choice is worth."""
    lines = []
    for plain in (variant for variant in scores.variants if scores.plain(variant) == variant):
        for task in scores.tasks:
            best = scores.best(task, plain)
            base = scores.of(task, plain)
            if best is None or not base:
                continue
            mine, left_out = scores.of(task, best), scores.left_out(task, plain)
            gain = Paired.of(mine[seed] - base[seed] for seed in mine if seed in base)
            honest = Paired.of(left_out[seed] - base[seed] for seed in left_out if seed in base)
            lines.append(
                [task, scores.label(best), *_paired(gain)[:1], *(_paired(honest)[:3] if honest.n > 1 else [""] * 3)]
            )
    if not lines:
        return []
    header = ["task", "best setting", "gain, as chosen", "gain, chosen on other seeds", "95 % interval", "seeds won"]
    return [Heading("The best setting for each task"), Table(header, lines)]


def _problems(scores: Scores) -> list[Heading | Paragraph | Table]:
    lines = [
        [row["title"], row["status"] if row["status"] != "finished" else "degenerate", row["problem"]]
        for row in scores.rows
        if row["status"] in ("diverged", "failed") or row["degenerate"]
    ]
    lines += [[f"{task} {scores.label(variant)} seed {seed}", "missing", ""] for task, variant, seed in scores.missing]
    if not lines:
        return []
    parts: list[Heading | Paragraph | Table] = [Heading("Problems")]
    parts.append(Table(["run", "what", "last words"], lines[:_MOST_LISTED]))
    if len(lines) > _MOST_LISTED:
        parts.append(Paragraph(f"and {len(lines) - _MOST_LISTED} more"))
    return parts


def _times(scores: Scores) -> list[Heading | Table]:
    lines = []
    for task in scores.tasks:
        rows = [row for row in scores.rows if row["task"] == task and row["status"] == "finished"]
        speeds = [row["examples_per_second"] for row in rows if row["examples_per_second"]]
        times = [max(row["seconds"] or 0, row["train_seconds"] or 0) for row in rows]
        if rows:
            speed = f"{median(speeds):.1f}" if speeds else ""
            lines.append([task, str(len(rows)), f"{median(times):.0f}", f"{sum(times) / 3600:.2f}", speed])
    if not lines:
        return []
    header = ["task", "runs", "seconds a run (median)", "hours in all", "training examples/s (median)"]
    return [Heading("Time"), Table(header, lines)]


def _origin(scores: Scores) -> list[Heading | Paragraph]:
    revisions = sorted({str(row["git_revision"]) for row in scores.rows if row["git_revision"]})
    versions = sorted(
        {f"{name} {value}" for row in scores.rows for name, value in (row["versions"] or {}).items() if value}
    )
    hardware = sorted({_hardware(row["hardware"]) for row in scores.rows if row["hardware"]})
    text = f"Code {', '.join(revisions) or 'of no known revision'}; {', '.join(versions)}; on {'; '.join(hardware)}."
    return [Heading("Made with"), Paragraph(text)]


def _hardware(found: dict[str, Any]) -> str:
    parts = [str(found.get("machine", "an unknown machine"))]
    parts += [f"{found[name]} {name}" for name in ("cpus", "threads") if name in found]
    return ", ".join([*parts, *map(str, found.get("gpus", ()))])


def _score(summary: Summary) -> str:
    if not summary.n:
        return ""
    spread = "" if math.isnan(summary.deviation) else f" ± {100 * summary.deviation:.1f}"
    return f"{100 * summary.mean:.1f}{spread}"


def _paired(paired: Paired) -> list[str]:
    interval = "" if math.isnan(paired.low) else f"{100 * paired.low:+.1f} to {100 * paired.high:+.1f}"
    return [f"{100 * paired.mean:+.2f}", interval, f"{paired.wins} of {paired.n}"]

"""The report of a sweep: tables and figures from results.jsonl, as report.md and report.html."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from glue.data.tasks import GLUE_TASKS
from transformers.utils.files import make_folder, write_whole

from .document import Figure, Heading, Paragraph, Part, Table, as_html, as_markdown
from .published import AVERAGE, SHIPPED, Published, in_order, read_published
from .scores import Paired, Row, Scores, Summary, Variant
from .sweep_figures import draw_sweep

_MOST_LISTED = 30
_MOST_OPEN = 12  # rows of a table; a longer one is folded


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
    parts: list[Part] = [*_overview(scores), *_table(scores), *_beside(scores, [*read_published(SHIPPED), *published])]
    parts += [*_choice(scores), *_differences(scores)]
    figures = draw_sweep(scores, make_folder(folder / "figures"))
    if figures:
        parts += [Heading("Figures"), *(Figure(path, caption) for path, caption in figures)]
    parts += [*_problems(scores), *_times(scores), *_origin(scores)]
    title = f"ContraNorm on GLUE: {title}"
    contents = {"report.md": as_markdown(title, parts, folder), "report.html": as_html(title, parts)}
    for name, content in contents.items():
        write_whole(folder / name, partial(Path.write_text, data=content, encoding="utf-8"))
    return [folder / name for name in contents]


def _overview(scores: Scores) -> list[Part]:
    counts = Counter(row["status"] for row in scores.rows)
    text = (
        f"{len(scores.rows)} run{'s' * (len(scores.rows) > 1)} of {_models(scores)}: "
        f"{counts['finished']} finished, {counts['diverged']} diverged, "
        f"{counts['failed']} failed, {counts['pruned']} pruned; {len(scores.missing)} missing from the full grid of "
        f"{len(scores.tasks)} tasks, {len(scores.variants)} settings and {len(scores.seeds)} seeds."
    )
    if collapsed := scores.collapsed.total():
        text += (
            f" {collapsed} of the finished runs collapsed: they predict one class for every validation example. They "
            "are counted apart and are in no mean."
        )
    return [Paragraph(text)]


def _models(scores: Scores) -> str:
    return ", ".join(sorted({str(row["model"]) for row in scores.rows}))


def _table(scores: Scores) -> list[Part]:
    """The paper's table: tasks in columns."""

    def line(variant: Variant) -> list[str]:
        cells = {task: Summary.of(scores.of(task, variant).values()) for task in scores.tasks}
        collapsed = sum(scores.collapsed[task, variant] for task in scores.tasks)
        return _line(scores, scores.label(variant), cells, collapsed)

    first: list[list[str]] = [line(variant) for variant in scores.plain_variants]
    for plain in scores.plain_variants:
        best = {task: scores.best(task, plain) for task in scores.tasks}
        if any(best.values()):
            mark = f", {scores.label(plain)}" if scores.varied else ""
            of_best = {task: Summary.of(scores.of(task, best[task]).values()) for task in scores.tasks}
            first.append(_line(scores, f"best for each task{mark}", of_best))
            left_out = {task: Summary.of(scores.left_out(task, plain).values()) for task in scores.tasks}
            if any(cell.n for cell in left_out.values()):
                first.append(_line(scores, f"chosen without the seed it is scored on{mark}", left_out))
    header = ["", *(f"{task} ({scores.metrics[task]})" for task in scores.tasks), "average", "n", "collapsed"]
    return [
        Heading("Scores"),
        Paragraph(
            "Percent (a loss is the number itself), mean ± standard deviation over seeds (n - 1); n is the number of "
            "seeds, a range where the tasks differ. The settings stand in order, the best first. The average is "
            "GLUE's: F1 for MRPC and QQP, Spearman for STS-B, matched and mismatched MNLI as one task each, without "
            "WNLI; it is given where every task has a score."
        ),
        Table(header, [*first, *map(line, scores.ranked)]),
        Paragraph(
            "'best for each task' picks the setting on the very validation set that it is then scored on: it is "
            "optimistic, the more so the more settings there are. The row below it picks for each seed the "
            "setting that is best on the other seeds. It still chooses and scores on the same examples, but not "
            "by the same chance of training."
        ),
    ]


def _average(scores: Scores, cells: dict[str, Summary]) -> float | None:
    return scores.average({task: cell.mean if cell.n else None for task, cell in cells.items()})


def _line(scores: Scores, name: str, cells: dict[str, Summary], collapsed: int = 0) -> list[str]:
    counts = sorted({cell.n for cell in cells.values()})
    average = _average(scores, cells)
    shown = "" if average is None else f"{100 * average:.2f}"
    n = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return [name, *(_score(scores, *item) for item in cells.items()), shown, n, str(collapsed or "")]


def _beside(scores: Scores, published: list[Published]) -> list[Part]:
    """Published numbers beside those measured here."""
    plain = scores.plain_variants[0]
    found: dict[str, list[dict[str, Summary]]] = {}
    for task in scores.tasks:
        of_plain, best = scores.of(task, plain), scores.of(task, scores.best(task, plain))
        found[task] = [Summary.of(of_run.values()) for of_run in (of_plain, best, scores.left_out(task, plain))]
    columns = [{task: found[task][column] for task in scores.tasks} for column in range(3)]
    averages = [_average(scores, column) for column in columns]
    lacking = [task for task in GLUE_TASKS if task != "wnli" and task not in found]
    lines = []
    for row in in_order(published):
        here = [""] * 3
        if row.task == AVERAGE and not lacking:
            here = ["" if average is None else f"{100 * average:.2f}" for average in averages]
        elif row.task in found and scores.sign(row.task) > 0:
            here = [_score(scores, row.task, summary) for summary in found[row.task]]
        lines.append([row.method, row.model, row.task, f"{row.score:.2f}", *here, row.source])
    seeds = f"{len(scores.seeds)} seed{'s' * (len(scores.seeds) > 1)}"
    few = f" There is no average of GLUE here, which takes {', '.join(lacking)} as well." if lacking else ""
    return [
        Heading("Beside published numbers"),
        Paragraph(
            f"The published numbers are other people's, not measured here. Measured here: {_models(scores)}, {seeds} "
            f"({', '.join(map(str, scores.seeds[:10]))}); 'best' is the setting with the best mean on the validation "
            "set that it is scored on, which is also the paper's rule for its scale; 'chosen' is the setting that is "
            f"best on the other seeds.{few}"
        ),
        Table(["method", "model", "task", "published", "plain, here", "best, here", "chosen, here", "source"], lines),
    ]


def _choice(scores: Scores) -> list[Part]:
    """Which setting is best for each task, and what that choice is worth."""
    lines = []
    for plain in scores.plain_variants:
        for task in scores.tasks:
            best, base = scores.best(task, plain), scores.of(task, plain)
            if best is None or not base:
                continue
            sign, left_out = scores.sign(task), scores.left_out(task, plain)
            chosen = scores.paired(partial(scores.of, task), best, sign)
            honest = Paired.of((left_out[seed] - base[seed] for seed in left_out if seed in base), sign)
            cells = _paired(honest, scores.factor(task)) if honest.n > 1 else [""] * 4
            mean = _paired(chosen, scores.factor(task))[0]
            lines.append([task, scores.label(best), mean, *cells, _noise(scores, task, plain)])
    if not lines:
        return []
    header = ["task", "best setting", "difference, as chosen", "difference, chosen on other seeds"]
    return [
        Heading("The best setting for each task"),
        Paragraph("Differences to the plain model with the same seed, in points; what they mean is said below."),
        Table([*header, "95 % interval", "shown", "seeds won", "noise"], lines),
    ]


def _differences(scores: Scores) -> list[Part]:
    """What a method changes, seed by seed: a table for each task, from the best setting to the worst."""
    others = [variant for variant in scores.variants if scores.plain(variant) != variant]
    tables: list[Part] = []
    count = 0
    for task in [*scores.tasks, *([AVERAGE] if len(scores.tasks) > 1 else [])]:
        of_task = scores.averages if task == AVERAGE else partial(scores.of, task)
        sign, factor = (1, 100) if task == AVERAGE else (scores.sign(task), scores.factor(task))
        found = [(variant, scores.paired(of_task, variant, sign)) for variant in others]
        found = sorted(((v, paired) for v, paired in found if paired.n), key=lambda item: -sign * item[1].mean)
        rows = [
            [scores.label(variant), *_paired(paired, factor), _noise(scores, task, scores.plain(variant)), collapsed]
            for variant, paired in found
            for collapsed in [str(scores.collapsed[task, variant] or "")]
        ]
        verdicts = Counter(paired.verdict for _, paired in found)
        summary = f"{task}: {len(rows)} settings, {verdicts['gain']} gains and {verdicts['loss']} losses shown"
        count += len(rows)
        if rows:
            tables += [] if len(rows) > _MOST_OPEN else [Paragraph(f"{summary}.")]
            header = [task, "mean", "95 % interval", "shown", "seeds won", "noise", "collapsed"]
            tables.append(Table(header, rows, summary if len(rows) > _MOST_OPEN else ""))
    if not tables:
        return []
    by_chance = f"of {count} differences here about {count / 20:.0f} would look so" if count > 10 else "a few look so"
    return [
        Heading("Difference to the plain model with the same seed"),
        Paragraph(
            "Points (of a loss, the number itself). The interval is Student's t of the differences of the seeds, at 95 "
            "percent; it is given from two seeds on. 'Gain' and 'loss' stand only where it excludes 0; by chance alone "
            f"{by_chance}. 'Noise' is the standard deviation of the plain model over its seeds: a difference below it "
            "is what another seed does. 'Seeds won' counts the seeds with a better score than the plain model's."
        ),
        *tables,
    ]


def _noise(scores: Scores, task: str, plain: Variant) -> str:
    of_plain = scores.averages(plain) if task == AVERAGE else scores.of(task, plain)
    deviation, factor = Summary.of(of_plain.values()).deviation, 100 if task == AVERAGE else scores.factor(task)
    return "" if math.isnan(deviation) else f"± {factor * deviation:.{2 if factor == 100 else 4}f}"


def _problems(scores: Scores) -> list[Part]:
    lines = [
        [row["title"], row["status"] if row["status"] != "finished" else "collapsed", row["problem"]]
        for row in scores.rows
        if row["status"] in ("diverged", "failed") or row["degenerate"]
    ]
    lines += [[f"{task} {scores.label(variant)} seed {seed}", "missing", ""] for task, variant, seed in scores.missing]
    if not lines:
        return []
    parts: list[Part] = [Heading("Problems"), Table(["run", "what", "last words"], lines[:_MOST_LISTED])]
    return [*parts, Paragraph(f"and {len(lines) - _MOST_LISTED} more")] if len(lines) > _MOST_LISTED else parts


def _times(scores: Scores) -> list[Part]:
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


def _origin(scores: Scores) -> list[Part]:
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

"""The report of a sweep: the tables and figures of report.md and report.html, from results.jsonl."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from filelock import FileLock

from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.output.manifest import Manifest
from sweep.points import PLAIN
from transformers.utils.files import make_folder, write_whole

from .document import render
from .published import SHIPPED, Published, read_published
from .scores import AVERAGE, Paired, Row, Scores, Summary, Variant
from .significance import LEVEL, MOST_SEEDS, detectable, seeds_needed
from .sweep_figures import draw_sweep, figure_files

_MOST_OPEN = 20  # rows of a table; a longer one is folded
_DIFFERENCES = (0.005, 0.01, 0.02)  # half a point, one and two, as scores

Table = tuple[list[str], list[list[str]]]  # header and rows


_TITLE = "ContraNorm on GLUE"
_FIGURES = "figures"
_FILES = {"report.md": "markdown", "report.html": "html"}


def write_report(
    rows: list[Row], folder: Path, title: str, published: Sequence[Published] = (), baseline: str = PLAIN
) -> list[Path]:
    """Write report.md, report.html and figures/ for the runs of a sweep.

    Args:
        rows: one for each point.
        folder: where the files go; those of an earlier report are replaced.
        title: what the sweep is called.
        published: scores to set beside them, those of the paper apart.
        baseline: what the others are compared with, see `Scores`.

    Returns:
        The two files.

    Raises:
        UsageError: a file is there that is somebody's own, or the baseline is not to be found.
        CheckpointError: a file cannot be written.
    """
    scores = Scores(rows, baseline)
    with FileLock(make_folder(folder) / ".report.lock"):  # several commands may share a folder
        return _write(scores, rows, folder, title, published)


def check_report(folder: Path) -> None:
    """Check that a report may be written into a folder.

    Raises:
        UsageError: a file of that name is there, and not as a report has left it.
    """
    manifest = Manifest(folder)
    _check(manifest, [*_FILES, *(name for name in manifest.names() if name.startswith(f"{_FIGURES}/"))])


def _check(manifest: Manifest, names: Sequence[str]) -> None:
    if foreign := manifest.foreign(names):
        raise UsageError(
            f"{manifest.folder / foreign[0]} is not on the list of what reports have written there, or was changed "
            "since: move it away, or give another --output_dir"
        )


def _write(scores: Scores, rows: list[Row], folder: Path, title: str, published: Sequence[Published]) -> list[Path]:
    manifest, figures = Manifest(folder), folder / _FIGURES
    names = [*_FILES, *(file.relative_to(folder).as_posix() for file in figure_files(scores, figures))]
    _check(manifest, names)
    manifest.claim(*names)
    differences = _differences(scores)
    values = {
        "title": f"{_TITLE}: {title}",
        "scores": scores,
        "models": ", ".join(sorted({str(row["model"]) for row in rows})),
        "counts": Counter(row["status"] for row in rows),
        "collapsed": scores.collapsed.total(),
        "table": _table(scores),
        "lacking": _lacking(scores),
        "beside": _beside(scores, published),
        "choice": _choice(scores),
        "differences": differences,
        "compared": sum(len(lines) for _, lines, _ in differences),
        "power": _power(scores),
        "agreement": _agreement(scores),
        "figures": draw_sweep(scores, make_folder(figures)),
        "problems": _problems(scores),
        "times": _times(scores),
        **_origin(rows),
    }
    for name, form in _FILES.items():
        text = render(form, folder, **values)
        write_whole(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
    manifest.close()
    return [folder / name for name in _FILES]


def _shown(scores: Scores, task: str, value: float, digits: int = 2, sign: str = "") -> str:
    """A score or a difference in percent, of a loss the number itself; nothing where there is none."""
    factor = scores.factor(task)
    return "" if math.isnan(value) else f"{factor * value:{sign}.{digits if factor == 100 else 4}f}"


def _summary(scores: Scores, task: str, summary: Summary) -> str:
    """Mean ± standard deviation."""
    mean, spread = (_shown(scores, task, value, 2 if task == AVERAGE else 1) for value in summary[:2])
    return f"{mean} ± {spread}" if spread else mean


def _paired(scores: Scores, task: str, paired: Paired) -> list[str]:
    """Mean, interval, verdict and seeds won."""
    mean, low, high = (_shown(scores, task, value, sign="+") for value in paired[:3])
    return [mean, f"{low} to {high}" if low else "", paired.verdict, f"{paired.wins} of {paired.n}"]


def _noise(scores: Scores, task: str, baseline: Variant) -> str:
    deviation = _shown(scores, task, scores.summary(task, baseline).deviation)
    return f"± {deviation}" if deviation else ""


def _columns(scores: Scores, baseline: Variant) -> list[dict[str, Summary]]:
    """The baseline, the best setting for each task, and the one that is chosen on other seeds."""
    return [
        scores.cells(lambda task: scores.of(task, baseline)),
        scores.cells(lambda task: scores.of(task, scores.best(task, baseline))),
        scores.cells(lambda task: scores.left_out(task, baseline)),
    ]


def _table(scores: Scores) -> Table:
    """The paper's table: tasks in columns, and their average where there are several."""
    columns = [*scores.tasks, AVERAGE] if len(scores.tasks) > 1 else scores.tasks

    def line(name: str, cells: dict[str, Summary], collapsed: int = 0) -> list[str]:
        counts = sorted({cells[task].n for task in scores.tasks})
        n = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
        shown = [_summary(scores, column, cells[column]) for column in columns]
        return [name, *shown, n, str(collapsed or "")]

    def of_variant(variant: Variant) -> list[str]:
        collapsed = sum(scores.collapsed[task, variant] for task in scores.tasks)
        return line(scores.label(variant), scores.cells(lambda task: scores.of(task, variant)), collapsed)

    lines = list(map(of_variant, scores.baselines))
    for baseline in scores.baselines:
        mark = f", {scores.label(baseline)}" if scores.varied else ""
        names = ("best for each task", "chosen without the seed it is scored on")
        for name, cells in zip(names, _columns(scores, baseline)[1:], strict=True):
            if any(cell.n for cell in cells.values()):
                lines.append(line(f"{name}{mark}", cells))
    average = "average of these" if _lacking(scores) else "average"
    titles = [average if column == AVERAGE else f"{column} ({scores.metrics[column]})" for column in columns]
    header = ["", *titles, "n", "collapsed"]
    return header, [*lines, *map(of_variant, scores.ranked)]


def _lacking(scores: Scores) -> list[str]:
    return [task for task in GLUE_TASKS if task != "wnli" and task not in scores.tasks]


def _beside(scores: Scores, published: Sequence[Published]) -> Table:
    """Published numbers beside those measured here, by task in the order of GLUE's table; one given twice is one.

    The paper's are averages of all of GLUE: they stand beside such a sweep's, and beside other published ones.
    """
    if published or not _lacking(scores):
        published = [*read_published(SHIPPED), *published]
    columns = _columns(scores, scores.baselines[0])
    comparable = {task for task in scores.tasks if scores.sign(task) > 0} | (
        {AVERAGE} if not _lacking(scores) else set()
    )
    order = [*GLUE_TASKS, AVERAGE]
    lines = []
    for row in sorted(dict.fromkeys(published), key=lambda row: order.index(row.task)):
        here = [_summary(scores, row.task, cells[row.task]) if row.task in comparable else "" for cells in columns]
        lines.append([row.method, row.model, row.task, f"{row.score:.2f}", *here, row.source])
    name = scores.method_label(scores.baselines[0])
    return ["method", "model", "task", "published", f"{name}, here", "best, here", "chosen, here", "source"], lines


def _choice(scores: Scores) -> Table:
    """Which setting is best for each task, and what that choice is worth."""
    lines = []
    for baseline, task in product(scores.baselines, scores.tasks):
        best = scores.best(task, baseline)
        if best is not None and scores.of(task, baseline):
            chosen = _paired(scores, task, scores.paired(task, best))[0]
            honest = scores.paired(task, best, scores.left_out(task, baseline))
            cells = _paired(scores, task, honest) if honest.n > 1 else [""] * 4
            lines.append([task, scores.label(best), chosen, *cells, _noise(scores, task, baseline)])
    header = ["task", "best setting", "difference, as chosen", "difference, chosen on other seeds"]
    return [*header, "95 % interval", "shown", "seeds won", "noise"], lines


def _differences(scores: Scores) -> list[tuple[list[str], list[list[str]], str]]:
    """What a method changes, seed by seed: a table for each task, from the best setting to the worst.

    Returns:
        Header and rows of each, and what stands in place of one that is folded.
    """
    tables = []
    for task in _compared(scores):
        pairs = scores.comparisons(task)
        corrected = scores.corrected(task)
        lines = []
        for variant in sorted(pairs, key=lambda variant: -pairs[variant].sign * pairs[variant].mean):
            *interval, wins = _paired(scores, task, pairs[variant])
            chances = [_chance(pairs[variant].p), _chance(corrected[variant])]
            noise = _noise(scores, task, scores.baseline_of(variant))
            collapsed = str(scores.collapsed[task, variant] or "")
            lines.append([scores.label(variant), *interval, *chances, wins, noise, collapsed])
        verdicts = Counter(paired.verdict for paired in pairs.values())
        lasting = sum(value < LEVEL for value in corrected.values())
        summary = (
            f"{task}: {len(lines)} settings; shown as gain {verdicts['gain']}, as loss {verdicts['loss']}, "
            f"after Holm's correction {lasting}"
        )
        header = [task, "mean", "95 % interval", "shown", "p", "p, Holm", "seeds won", "noise", "collapsed"]
        if lines:
            tables.append((header, lines, summary if len(lines) > _MOST_OPEN else ""))
    return tables


def _compared(scores: Scores) -> list[str]:
    return [*scores.tasks, *([AVERAGE] if len(scores.tasks) > 1 else [])]


def _power(scores: Scores) -> Table:
    """How large a difference the seeds at hand can show, and how many seeds smaller ones take."""
    lines = []
    for task in _compared(scores):
        pairs = [paired for paired in scores.comparisons(task).values() if paired.n > 1]
        freedom = sum(paired.n - 1 for paired in pairs)
        spread = math.sqrt(sum((paired.n - 1) * paired.deviation**2 for paired in pairs) / freedom) if pairs else 0.0
        for count in dict.fromkeys((1, len(pairs))) if spread else ():
            level, n = LEVEL / count, max(paired.n for paired in pairs)
            needed = [seeds_needed(difference, spread, level) for difference in _DIFFERENCES]
            found = [_shown(scores, task, value) for value in (spread, detectable(spread, n, level))]
            shown = [f"more than {MOST_SEEDS}" if seeds is None else str(seeds) for seeds in needed]
            lines.append([task, str(count), found[0], f"{found[1]} with {n}", *shown])
    wanted = [f"seeds for {100 * difference:g}" for difference in _DIFFERENCES]
    return ["task", "comparisons", "spread", "smallest difference shown", *wanted], lines


def _agreement(scores: Scores) -> Table:
    """How alike the seeds of each setting predict: percent of rows, or a correlation."""
    lines = []
    for variant in [*scores.baselines, *scores.ranked]:
        found = {task: scores.agreement(task, variant) for task in scores.tasks}
        if not all(map(math.isnan, found.values())):
            cells = ("" if math.isnan(value) else f"{100 * value:.1f}" for value in found.values())
            lines.append([scores.label(variant), *cells])
    return ["", *scores.tasks], lines


def _chance(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _problems(scores: Scores) -> Table:
    lines = [
        [row["title"], row["status"] if row["status"] != "finished" else "collapsed", row["problem"]]
        for row in scores.rows
        if row["status"] in ("diverged", "failed") or row["degenerate"]
    ]
    lines += [[f"{task} {scores.label(variant)} seed {seed}", "missing", ""] for task, variant, seed in scores.missing]
    return ["run", "what", "last words"], lines


def _times(scores: Scores) -> Table:
    lines = []
    for task in scores.tasks:
        rows = [row for row in scores.rows if row["task"] == task and row["status"] == "finished"]
        speeds = [row["examples_per_second"] for row in rows if row["examples_per_second"]]
        times = [max(row["seconds"] or 0, row["train_seconds"] or 0) for row in rows]
        if rows:
            speed = f"{median(speeds):.1f}" if speeds else ""
            lines.append([task, str(len(rows)), f"{median(times):.0f}", f"{sum(times) / 3600:.2f}", speed])
    return ["task", "runs", "seconds a run (median)", "hours in all", "training examples/s (median)"], lines


def _origin(rows: list[Row]) -> dict[str, list[str]]:
    found = {
        "revisions": [row["git_revision"] for row in rows],
        "versions": [version for row in rows for version in _named(row["versions"])],
        "hardware": [", ".join(_named(row["hardware"])) for row in rows],
    }
    return {name: sorted({value for value in values if value}) for name, values in found.items()}


def _named(values: Mapping[str, Any] | None) -> list[str]:
    return [f"{name} {value}" for name, value in (values or {}).items() if value]

"""results.jsonl: a row for every run that ended with a result, or will have none; enough to rebuild every table.

A row holds

    id                   the sweep's name for it; a row with the same id is the same row
    point, title         key of its point, and what people call it
    status, problem      finished, pruned, diverged or failed, and the last words of one that did not finish
    flags                its command line
    settings             everything that its result depends on, the digest of its data among it
    task, model, seed, method, pos, and each knob of a method
                         what it was; of the plain model method and pos are none, and scale is 0
    main_metric, score, best_score, best_epoch, last_score
                         score is that of the saved model: of the last epoch, or of the best one where that was asked
                         for; MNLI's is the mean of matched and mismatched, as GLUE takes it
    history              scores of every epoch
    losses               [update, mean training loss since the entry before]
    degenerate           every prediction of the validation split was the same class
    predictions          of the saved model on the validation rows, or on 1000 of them, evenly apart: classes (whole
                         numbers) or scores; none in rows of older versions
    train_examples, train_seconds, examples_per_second, seconds
                         train_seconds include the evaluations; seconds are those of the last attempt, start included
    versions, git_revision, hardware, finished, folder, attempt
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean, median
from typing import Any

from filelock import FileLock

from glue.scoring.metrics import MISMATCHED_SUFFIX, higher_is_better
from transformers.utils.files import make_folder, read_json

from .points import METHOD, PLAIN, Point

# How a trial ended: the first four with a row, the others without one.
FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"
INTERRUPTED, SURPLUS = "interrupted", "surplus"

RESULTS = "results.jsonl"
_MOST_LOSSES, _MOST_PREDICTIONS = 50, 1000
_NUMBER, _ANY = (int, float, type(None)), (object,)
# What a row has to have so that a report can be made of it, and of which type.
_NEEDED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "point", "title", "status", "problem", "task", "method"), (str,)),
    **dict.fromkeys(("settings", "flags"), (dict,)),
    **dict.fromkeys(("history", "losses"), (list,)),
    **dict.fromkeys(("score", "train_seconds", "examples_per_second", "seconds"), _NUMBER),
    **dict.fromkeys(("model", "seed", "main_metric", "degenerate", "versions", "git_revision", "hardware"), _ANY),
}


def read_results(path: Path, broken: list[int] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a file, each id once; a line that is no row, such as one that was cut off, is left out.

    Args:
        path: the file; one that does not exist holds no rows.
        broken: is given the numbers of such lines.
    """
    rows = {}
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), start=1):
        row = _parse(line)
        if _is_row(row):
            rows[row["id"]] = row
        elif broken is not None and line.strip():
            broken.append(number)
    return list(rows.values())


def _is_row(row: dict[str, Any]) -> bool:
    is_whole = all(name in row and isinstance(row[name], kinds) for name, kinds in _NEEDED.items())
    return is_whole and all(isinstance(entry, dict) for entry in row["history"])


def newest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest result of each point, wherever it stands; without one, how it ended last."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["point"] not in found or _standing(row) >= _standing(found[row["point"]]):
            found[row["point"]] = row
    return list(found.values())


def _standing(row: dict[str, Any]) -> tuple[bool, str]:
    return row["status"] in (FINISHED, DIVERGED), str(row.get("finished", ""))


def append_results(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add the rows that are not there yet; several processes may do so at once."""
    with FileLock(make_folder(path.parent) / f".{path.name}.lock"), path.open("ab") as file:
        known = {row["id"] for row in read_results(path)}
        new = [json.dumps(row).encode() + b"\n" for row in rows if row["id"] not in known]
        if new and path.read_bytes()[-1:] not in (b"", b"\n"):
            new.insert(0, b"\n")  # after a line that was cut off
        file.write(b"".join(new))
        file.flush()
        os.fsync(file.fileno())


def result_row(
    identity: str, point: Point, folder: Path, status: str, problem: str, seconds: float, attempt: int
) -> dict[str, Any]:
    """Return the row of a run that has ended.

    Args:
        identity: its id.
        point: what was run.
        folder: its output folder.
        status: how it ended.
        problem: its last words, empty where it finished.
        seconds: how long it took.
        attempt: 1, and 1 more for every attempt that failed.
    """
    files = (folder / "run.json", folder / "all_results.json")
    run, results = (read_json(file) if file.exists() else {} for file in files)
    settings, method = run.get("settings", {}), run.get("contranorm", {}).get("values", {})
    if point.is_plain:
        method = {"method": PLAIN, "pos": "none", "scale": 0.0}
    log = [row for row in _rows(folder / "train_log.jsonl") if row["loss"] is not None]  # none is one that diverged
    history = results.get("history") or _rows(folder / "eval_log.jsonl")
    metric, best = point.metric, max if higher_is_better(point.metric) else min
    return {
        "id": identity,
        "point": point.key,
        "title": point.title,
        "status": status,
        "problem": problem,
        "flags": dict(point.flags),
        "settings": point.settings,
        "task": point.task,
        "model": point["model_name_or_path"] or settings.get("model_name_or_path"),
        "seed": point["seed"],
        **{name: method.get(name, point[name]) for name in METHOD},
        "method": method.get("method") or point["method"] or "contranorm",
        "main_metric": metric,
        "score": _score({name.removeprefix("eval_"): score for name, score in results.items()}, metric),
        "best_score": best((score for row in history if (score := _score(row, metric)) is not None), default=None),
        "best_epoch": results.get("best_epoch"),
        "last_score": _score(history[-1], metric) if history else None,
        "history": history,
        "losses": _losses(log),
        "degenerate": results.get("eval_predicted_classes") == 1,
        "predictions": _predictions(folder / "eval_predictions.json"),
        **{name: results.get(name) for name in ("train_examples", "train_seconds")},
        "examples_per_second": median(row["examples_per_second"] for row in log) if log else None,
        "seconds": round(seconds, 1),
        **{name: run.get(name) for name in ("versions", "git_revision", "hardware")},
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "folder": folder.name,
        "attempt": attempt,
    }


def scores_so_far(folder: Path, metric: str) -> list[float]:
    """Return the main score of each epoch that a run has done."""
    return [row[metric] for row in _rows(folder / "eval_log.jsonl") if metric in row]


def _losses(log: list[dict[str, Any]]) -> list[list[float]]:
    """Means over stretches of updates of one length, so that no run takes more than `_MOST_LOSSES` numbers."""
    length = -(-len(log) // _MOST_LOSSES) or 1
    parts = [log[start : start + length] for start in range(0, len(log), length)]
    return [[part[-1]["step"], float(f"{mean(row['loss'] for row in part):.6g}")] for part in parts]


def _predictions(path: Path) -> list[int | float]:
    """Those of all splits one after the other, thinned to what a comparison of seeds needs."""
    values = [value for split in (read_json(path) if path.exists() else {}).values() for value in split]
    thinned = range(len(values)) if len(values) <= _MOST_PREDICTIONS else range(_MOST_PREDICTIONS)
    chosen = [values[place * len(values) // len(thinned)] for place in thinned]
    return [float(f"{value:.3g}") if isinstance(value, float) else value for value in chosen]


def _score(scores: dict[str, Any], metric: str) -> float | None:
    values = [scores[name] for name in (metric, f"{metric}{MISMATCHED_SUFFIX}") if name in scores]
    return mean(values) if values else None


def _rows(path: Path) -> list[dict[str, Any]]:
    lines = path.read_bytes().splitlines() if path.exists() else ()
    return [row for row in map(_parse, lines) if row]


def _parse(line: bytes) -> dict[str, Any]:
    """A line as a row; without content where it is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}

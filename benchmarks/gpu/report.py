"""The results as files: `gpu.json` with every value, `gpu.md` with one table for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from transformers.utils.files import write_whole

from ..report import table
from .bench import Results
from .options import Options
from .plan import BATCH_SIZE, COST_TARGET, MAX_LENGTH, OURS, PLAIN, SPEED_TARGETS, STEP_TARGETS, TINY_BATCH_SIZE

_CARD_OF_TARGETS = "H200"


def write_report(folder: Path, options: Options, results: Results) -> None:
    """Write both files, each whole or not at all.

    Args:
        folder: where to.
        options: what was asked for.
        results: what came of it so far.
    """
    content = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "settings": asdict(options),
        **asdict(results),
    }
    content["rows"] = [{**row, **compare(row, results.rows)} for row in results.rows]
    for name, text in (("gpu.json", json.dumps(content, indent=2) + "\n"), ("gpu.md", to_markdown(content))):
        write_whole(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))


def compare(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Hold a row against the others of the same model, precision and task.

    Returns:
        "ours_is_faster": how many times as fast as this row ours is; of the row of ours "contranorm_percent", what it
        takes longer than at scale 0. None where the other row is not there.
    """
    key = ("model", "precision", "task")
    same = {other["variant"]: other["seconds"] for other in rows if all(other[name] == row[name] for name in key)}
    found: dict[str, Any] = {"ours_is_faster": row["seconds"] / same[OURS] if OURS in same else None}
    if row["variant"] == OURS:
        found["contranorm_percent"] = 100 * (row["seconds"] / same[PLAIN] - 1) if PLAIN in same else None
    return found


def judge(row: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return what is aimed at for a row, in words, and whether it is reached."""
    aims: list[tuple[str, bool]] = []
    if (row["model"], row["precision"]) == ("bert-base", "bf16"):
        bound = STEP_TARGETS[row["task"]]
        faster, cost = row["ours_is_faster"], row.get("contranorm_percent")
        if row["variant"] == OURS:
            aims.append((f"at most {bound:g} ms", 1000 * row["seconds"] <= bound))
        if cost is not None:
            aims.append((f"ContraNorm at most +{COST_TARGET:g} %", cost <= COST_TARGET))
        if row["variant"] in SPEED_TARGETS and faster is not None:
            least = SPEED_TARGETS[row["variant"]]
            aims.append((f"ours {least:g} times as fast", faster >= least))
    return aims


def to_markdown(content: dict[str, Any]) -> str:
    """Return the content of `gpu.json` as a page."""
    machine, blocks = content["machine"], []
    about = [f"{name} {machine[name]}" for name in ("python", "torch", "cuda", "accelerate") if machine.get(name)]
    size = TINY_BATCH_SIZE if content["settings"]["tiny"] else BATCH_SIZE
    memory = f", {machine['memory'] / 2**30:.0f} GiB" if machine.get("memory") else ""
    heading = [
        f"# {machine.get('device', 'unknown device')}",
        "",
        f"- {content['date']}{memory}; {', '.join(about)}; {machine.get('processor', '')}",
        f"- batches of {size}, up to {MAX_LENGTH} tokens, dropout 0.1, random weights, words of the demo in texts as "
        "long as GLUE's; ours at pos 7, scale 0.005",
        f"- usual: {content['usual']}",
    ]
    if content["settings"]["tiny"]:
        heading.append("- in small: these numbers measure nothing")
    blocks.append("\n".join(heading))
    if content["rows"]:
        blocks.append(_steps(content["rows"], machine.get("device", "")))
    if content["record"]:
        blocks.append(_record(content["record"]))
    if content["checks"]:
        lines = [[row["check"], "yes" if row["passed"] else "NO", row["detail"]] for row in content["checks"]]
        blocks.append(table(["check", "passed", "found"], lines))
    if content["left_out"]:
        lost = [f"- {item['what']}: {item['why']}" for item in content["left_out"]]
        blocks.append("\n".join(["Not measured:", "", *lost]))
    return "\n\n".join(blocks) + "\n"


def _steps(rows: list[dict[str, Any]], device: str) -> str:
    counts = _CARD_OF_TARGETS in device
    lines = []
    for row in rows:
        aims = "; ".join(aim + (f" ({'met' if met else 'missed'})" if counts else "") for aim, met in judge(row))
        busy, peak, faster, cost = map(row.get, ("busy", "peak", "ours_is_faster", "contranorm_percent"))
        lines.append(
            [
                *(row[name] for name in ("model", "precision", "task", "variant")),
                f"{1000 * row['seconds']:.2f}",
                f"{row['examples_per_second']:.0f}",
                f"{row['kernels']:.0f}",
                f"{row['calls']:.0f}",
                "" if busy is None else f"{100 * busy:.0f}",
                "" if peak is None else f"{peak / 2**20:.0f}",
                "" if faster is None or row["variant"] == OURS else f"{faster:.2f}",
                "" if cost is None else f"{cost:+.1f}",
                aims,
            ]
        )
    head = ["model", "precision", "task", "run", "ms a step", "examples/s", "kernels", "host calls", "busy, %"]
    return table([*head, "peak, MiB", "times ours", "ContraNorm, %", f"target ({_CARD_OF_TARGETS})"], lines)


def _record(rows: list[dict[str, Any]]) -> str:
    lines = [
        [
            row["task"],
            str(row["epochs"]),
            row["precision"],
            str(row["updates"]),
            _clock(row["train_seconds"]),
            _clock(row["seconds"]),
            f"{row['train_examples'] * row['epochs'] / row['train_seconds']:.0f}",
            _clock(row["published"]),
            f"{row['published'] / row['train_seconds']:.1f}",
        ]
        for row in rows
    ]
    head = ["task", "epochs", "precision", "updates", "training", "with start and end", "examples/s"]
    note = (
        "Complete fine-tunings of bert-base's size with random weights and random texts: times, not scores. Published: "
        "one Titan RTX, fp16, README of the stock library's example of text classification; training alone, as here."
    )
    return f"{note}\n\n" + table([*head, "published", "times as fast"], lines)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

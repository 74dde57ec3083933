"""The results as files: `bench.json` with every value, `bench.md` with the tables for people."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .inputs import Inputs
from .measuring import processor_name
from .options import Options
from .results import UNITS, Results


def write_report(folder: Path, options: Options, inputs: Inputs, results: Results, load_before: float) -> None:
    """Write both files.

    Args:
        folder: where to; made if it does not exist.
        options, inputs: what was measured.
        results: what came of it so far.
        load_before: how many programs were running on average in the minute before.
    """
    content = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "processor": processor_name(),
            "processors": os.cpu_count(),
            "threads": options.num_threads,
            "load_before": load_before,
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {
            side: {name: value for name, value in about.items() if name not in ("threads", "imported")}
            for side, about in results.versions.items()
        },
        "settings": asdict(options),
        "models": {model.name: {"size": model.description, **model.config} for model in inputs.models.values()},
        "data": {task.name: {"train_rows": task.train_rows, "source": task.source} for task in inputs.tasks.values()},
        "comparisons": [row.to_dict() for row in results.comparisons],
        "contranorm": results.sites,
        "methods": results.methods,
        "length": results.lengths,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(to_markdown(content), encoding="utf-8")


def to_markdown(content: dict[str, Any]) -> str:
    """Return the content of `bench.json` as a page."""
    blocks = [_heading(content)]
    if content["comparisons"]:
        blocks.append("## Beside the stock library\n\n" + _comparisons(content["comparisons"]))
    if content["contranorm"]:
        blocks.append("## What ContraNorm costs in a training step (fp32)\n\n" + _sites(content["contranorm"]))
    if content["methods"]:
        blocks.append("## What each method costs in a training step (fp32)\n\n" + _sites(content["methods"]))
    if content["length"]:
        blocks.append(
            "## ContraNorm alone on one sequence of S tokens x 768, forward and backward (fp32)\n\n"
            "Peak: the most allocated at once on top of x and of the gradient that comes in, the result and the "
            "gradient of x included. Kept: from forward to backward, without the result. Both in multiples of the size "
            "of x.\n\n" + _lengths(content["length"])
        )
    return "\n\n".join(blocks) + "\n"


def _heading(content: dict[str, Any]) -> str:
    machine, settings = content["machine"], content["settings"]
    versions = [
        f"- {'this library' if side == 'ours' else 'stock library'}: "
        + ", ".join(f"{name} {value}" for name, value in about.items())
        for side, about in content["versions"].items()
    ]
    models = ", ".join(f"{name} ({model['size']})" for name, model in content["models"].items())
    data = ", ".join(f"{name} ({task['train_rows']} rows, {task['source']})" for name, task in content["data"].items())
    return "\n".join(
        [
            "# Benchmark",
            "",
            f"- {content['date']}, {machine['processor']}, {machine['processors']} processors, {machine['threads']} "
            f"threads, {machine['system']}; load before the start {machine['load_before']:.1f}",
            *versions,
            f"- models: {models}",
            f"- data: {data}",
            f"- batches of {settings['batch_size']} rows, {settings['steps']} of them a round "
            f"({settings['base_steps']} for the base sizes), {settings['rounds']} rounds: medians, in brackets the "
            "lowest and the highest",
        ]
    )


def _comparisons(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        ours, stock = row["precision"]["ours"], row["precision"]["stock"]
        lines.append(
            [
                row["model"],
                row["task"],
                f"{row['measure']}, {row['unit']}",
                ours if ours == stock else f"{ours} to {stock}",
                _spread(row["ours"]),
                _spread(row["stock"]),
                f"{row['ratio']:.2f}",
                *_judgement(row, "%" if UNITS[row["measure"]] == "%" else ""),
            ]
        )
    return table(["model", "task", "measure", "precision", "ours", "stock", "ours / stock", "target", "met"], lines)


def _sites(rows: list[dict[str, Any]]) -> str:
    lines = [
        [
            row["model"],
            row["task"],
            row["variant"],
            _spread(row),
            f"{row['cost_percent']:+.1f} %",
            *_judgement(row, "%"),
        ]
        for row in rows
    ]
    return table(["model", "task", "variant", "seconds a round", "cost over scale 0", "target", "met"], lines)


def _lengths(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        direct, library = row["direct"], row["library"]
        times = [
            _spread({key: 1000 * form["seconds"][key] for key in ("median", "min", "max")})
            for form in (direct, library)
        ]
        sizes = [f"{form[key]:.1f}" for key in ("peak", "kept") for form in (direct, library)]
        lines.append([str(row["length"]), *times, f"{row['ratio']:.2f}", *sizes, *_judgement(row, " x")])
    head = ["S", "direct, ms", "library, ms", "library / direct", "direct peak", "library peak", "direct kept"]
    return table([*head, "library kept", "target", "met"], lines)


def _judgement(row: dict[str, Any], unit: str) -> tuple[str, str]:
    """Return the cells of target and met."""
    target = row["target"]
    if target is None:
        return "", ""
    unit = unit if target["of"] == "ours" else "x" if target["bound"] == "at least" else ""
    unit = f" {unit.strip()}" if unit.strip() == "%" else unit.strip()
    return f"{target['bound']} {target['value']:g}{unit}", "yes" if row["met"] else "no"


def _spread(summary: dict[str, Any]) -> str:
    """Return the median with the lowest and the highest value, in four digits."""
    median, low, high = (_digits(summary[key]) for key in ("median", "min", "max"))
    return f"{median} ({low} to {high})"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))

"""Rows of a results.jsonl that no run has made, for tests of the report."""

import json

import numpy as np


def row(task="rte", scale=0.0, pos="7", seed=1, score=0.6, **changes):
    """One row; its score moves over three epochs, and its loss falls."""
    plain = scale == 0
    flags = {"task_name": task, "scale": scale, "seed": seed, "model_name_or_path": "some-bert"}
    if not plain:
        flags["pos"] = pos
    title = f"{task} scale {scale} seed {seed}"
    metric = {"cola": "matthews_correlation", "mrpc": "f1", "stsb": "spearmanr"}.get(task, "accuracy")
    content = {
        "id": f"{title} {pos}",
        "point": f"{title} {pos}",
        "title": title,
        "status": "finished",
        "problem": "",
        "flags": flags,
        "settings": dict(flags),
        "task": task,
        "model": "some-bert",
        "seed": seed,
        "method": "none" if plain else "contranorm",
        "scale": scale,
        "pos": "none" if plain else pos,
        "main_metric": metric,
        "score": score,
        "best_score": score,
        "best_epoch": 3,
        "last_score": score,
        "history": [
            {"epoch": epoch, "updates": 100 * epoch, metric: (score or 0.5) - 0.1 / epoch} for epoch in (1, 2, 3)
        ],
        "losses": [[step, 0.7 - 0.001 * step] for step in range(10, 301, 10)],
        "degenerate": False,
        "train_examples": 2490,
        "train_seconds": 100.0,
        "examples_per_second": 75.0,
        "seconds": 110.0,
        "versions": {"torch": "2.13.0"},
        "git_revision": "0123abc",
        "hardware": {"cpus": 2},
        "folder": title.replace(" ", "_"),
        "attempt": 1,
    }
    return {**content, **changes}


def grid(tasks, scales, positions, seeds):
    """A full grid with random scores."""
    generator = np.random.default_rng(1)
    rows = []
    for task in tasks:
        level = generator.uniform(0.5, 0.9)
        for scale in scales:
            for pos in positions if scale else positions[:1]:
                for seed in seeds:
                    score = level + 0.02 * np.sin(40 * scale) + generator.normal(scale=0.01)
                    rows.append(row(task, scale, pos, seed, float(score)))
    return rows


def write(path, rows):
    """Write them as a sweep does."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path

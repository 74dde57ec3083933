"""Loss curves with and without padding, dropout on: the same function trained on the same batches, other masks.

The masks of a dropout depend on the shape of what is dropped from, so that no two curves are equal. What must be equal
is their mean over seeds, to the precision that the seeds allow: a paired comparison, seed by seed.
"""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import runs

_T_LIMITS = {4: 8.61, 5: 6.87, 6: 5.96, 8: 5.04, 10: 4.59, 12: 4.32}  # Student's t, two sides, 0.1 %, by n - 1


@dataclasses.dataclass
class Figures:
    """What a campaign came to.

    Attributes:
        seeds, steps: what was run, each seed with and without padding.
        losses: mean loss without padding, and with it.
        difference: of these two.
        error: its standard error over the seeds.
        largest: the largest |t| of the ten tenths of the curves.
    """

    seeds: int
    steps: int
    losses: tuple[float, float]
    difference: float
    error: float
    largest: float

    @property
    def agree(self) -> bool:
        """Whether the difference, of the whole and of each tenth, is what seeds alone would make it in 99 of 100."""
        limit = min((t for n, t in _T_LIMITS.items() if n >= self.seeds - 1), default=4.3)
        return abs(self.difference) <= limit * self.error and self.largest <= limit


def campaign(folder: Path, checkpoint: Path, data: list, seeds: int, steps: int) -> Figures:
    """Train a checkpoint again and again, with and without padding.

    Args:
        folder: an empty one.
        checkpoint: with dropout.
        data: the words of the command line that name task and data, and how to train.
        seeds: how many; 1, 2, 3 ...
        steps: updates of each run; a multiple of ten.
    """
    unpadded, padded = ({}, {"unpad_inputs": False})
    return compare(*(train(folder, checkpoint, data, seeds, steps, settings) for settings in (unpadded, padded)))


def train(folder: Path, checkpoint: Path, data: list, seeds: int, steps: int, settings: dict) -> np.ndarray:
    """Return the losses (seeds, steps) of a checkpoint whose configuration has these settings; `folder` stays empty."""
    place, out = folder / "model", folder / "out"
    shutil.copytree(checkpoint, place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | settings))
    curves = []
    for seed in range(1, seeds + 1):
        words = ["--model_name_or_path", place, *data, "--max_train_steps", steps, "--seed", seed, "--no-do_eval"]
        assert runs.run_here(*words, "--logging_steps", steps, "--cpu", "--output_dir", out) == 0
        curves.append([row["loss"] for row in runs.log_rows(out)])
        shutil.rmtree(out)
    shutil.rmtree(place)
    return np.array(curves)


def compare(unpadded: np.ndarray, padded: np.ndarray) -> Figures:
    """Compare the curves of two sides, (seeds, steps) each."""
    seeds, steps = unpadded.shape
    unpadded, padded = (side.reshape(seeds, 10, steps // 10).mean(axis=2) for side in (unpadded, padded))
    tenths = unpadded - padded
    whole = tenths.mean(axis=1)
    t_values = tenths.mean(axis=0) / (tenths.std(axis=0, ddof=1) / math.sqrt(seeds))
    return Figures(
        seeds,
        steps,
        (round(float(unpadded.mean()), 4), round(float(padded.mean()), 4)),
        float(whole.mean()),
        float(whole.std(ddof=1) / math.sqrt(seeds)),
        float(np.abs(t_values).max()),
    )

"""The grids of the paper as flags: what `--preset` stands for. Whatever is given besides takes precedence."""

from __future__ import annotations

from typing import Any

from glue.data.tasks import GLUE_TASKS

# Batch 32, 5 epochs, AdamW at 2e-5 with linear decay, no warm-up, no clipping: the recipe of the paper's scripts.
_RECIPE: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "num_train_epochs": 5,
    "learning_rate": 2e-5,
    "lr_scheduler_type": "linear",
    "num_warmup_steps": 0,
    "weight_decay": 0.0,
    "max_length": 128,
    "seed": 2021,
}

# The paper's scripts sweep the scales above 0; 0 is the plain model, which every one of them is compared with.
_SCALES = [0.0, 0.0001, 0.005, 0.01, 0.05, 0.1, 0.2]

PRESETS: dict[str, dict[str, Any]] = {
    "paper-bert": {
        "model_name_or_path": "bert-base-uncased",
        "task_name": list(GLUE_TASKS),
        "scale": _SCALES,
        "pos": "7",
        **_RECIPE,
    },
    "paper-albert": {
        "model_name_or_path": "albert-base-v2",
        "task_name": ["rte", "cola", "mrpc", "stsb", "sst2"],
        "scale": _SCALES,
        "pos": ["1", "2", "3", "4", "5", "6", "7"],
        **_RECIPE,
    },
}

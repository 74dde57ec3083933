"""The grids of the paper as flags: what `--preset` stands for. Whatever is given besides takes precedence."""

from __future__ import annotations

from typing import Any

from glue.data.tasks import GLUE_TASKS

_SHARED: dict[str, Any] = {
    # The paper's scripts sweep the scales above 0; 0 is the plain model, which every one of them is compared with.
    "scale": [0.0, 0.0001, 0.005, 0.01, 0.05, 0.1, 0.2],
    # The recipe of the paper's scripts, with AdamW, and without clipping.
    "per_device_train_batch_size": 32,
    "num_train_epochs": 5,
    "learning_rate": 2e-5,
    "lr_scheduler_type": "linear",
    "num_warmup_steps": 0,
    "weight_decay": 0.0,
    "max_length": 128,
    "seed": 2021,
}

PRESETS: dict[str, dict[str, Any]] = {
    "paper-bert": {"model_name_or_path": "bert-base-uncased", "task_name": list(GLUE_TASKS), "pos": "7", **_SHARED},
    "paper-albert": {
        "model_name_or_path": "albert-base-v2",
        "task_name": ["rte", "cola", "mrpc", "stsb", "sst2"],
        "pos": list("1234567"),
        **_SHARED,
    },
}

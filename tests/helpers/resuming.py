"""For tests of runs that are stopped and continued: a small run with everything on, and what of it must not differ."""

import json

import runs

# 22 rows, micro-batches of 2, 2 of them an update: 6 updates an epoch, the last of 2 rows. Dropout is on.
FLAGS = [
    *("--task_name", "rte", "--max_length", "32", "--cpu", "--pos", "7", "--scale", "0.1", "--learning_rate", "0.01"),
    *("--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "2", "--num_train_epochs", "3"),
    *(
        "--checkpointing_steps",
        "4",
        "--logging_steps",
        "3",
        "--load_best_model_at_end",
        "--log_oversmoothing",
        "--early_stopping_patience",
        "9",
    ),
]


def essence(folder) -> dict:
    """What must not differ: everything but clocks and the paths of the command line."""
    rows = [{key: value for key, value in row.items() if key != "examples_per_second"} for row in runs.log_rows(folder)]
    results = json.loads((folder / "all_results.json").read_text())
    return {
        "weights": (folder / "model.safetensors").read_bytes(),
        "last checkpoint": (folder / "checkpoints" / "step_000016" / "model.safetensors").read_bytes(),
        "rows": rows,
        "losses": (folder / "0.1_7_2_loss.txt").read_text(),
        "scores": (folder / "eval_log.jsonl").read_text(),
        "predictions": json.loads((folder / "eval_predictions.json").read_text()),
        "results": {name: value for name, value in results.items() if name != "train_seconds"},
    }

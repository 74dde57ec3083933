"""For tests of the script: a tiny checkpoint, tiny GLUE data, and a way to run the command line on them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from transformers import AutoConfig, AutoModelForSequenceClassification

ROOT = Path(__file__).parents[2]
WORDS = ["red", "green", "blue", "one", "two", "three", "stone", "river", "house", "is", "not", "a", "the", "."]
COLUMNS = {
    "cola": ("sentence",),
    "rte": ("sentence1", "sentence2"),
    "stsb": ("sentence1", "sentence2"),
    "mnli": ("premise", "hypothesis"),
}


def make_checkpoint(folder: Path, model_type: str = "bert", **settings) -> Path:
    """A tiny random model with a vocabulary of a few words and dropout on, as a folder."""
    torch.manual_seed(0)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    sizes = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.2,
    }
    sizes |= {
        "albert": {"embedding_size": 8, "classifier_dropout_prob": 0.1},
        "electra": {"embedding_size": 8},
        "roberta": {"pad_token_id": 0, "type_vocab_size": 1},
    }.get(model_type, {})
    config = AutoConfig.for_model(model_type, **sizes | settings)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizerFast"}\n', encoding="utf-8")
    return folder


def make_data(folder: Path, sizes: dict[str, int] | None = None) -> Path:
    """Tiny random GLUE tasks as <task>/<split>.jsonl."""
    sizes = {"train": 22, "validation": 13, "test": 5} | (sizes or {})
    for task, columns in COLUMNS.items():
        (folder / task).mkdir(parents=True)
        kinds = {split: [split] for split in sizes}
        if task == "mnli":
            kinds |= {split: [f"{split}_matched", f"{split}_mismatched"] for split in ("validation", "test")}
        for split, size in sizes.items():
            for name in kinds[split]:
                rows = [json.dumps(row) + "\n" for row in _rows(task, columns, name, size)]
                (folder / task / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder


def _rows(task: str, columns: tuple[str, ...], split: str, size: int):
    rng = np.random.default_rng(len(split) + size)
    for index in range(size):
        row = {column: " ".join(rng.choice(WORDS, rng.integers(1, 12))) for column in columns}
        label = round(float(rng.uniform(0, 5)), 2) if task == "stsb" else int(rng.integers(3 if task == "mnli" else 2))
        yield {**row, "label": -1 if split.startswith("test") else label, "idx": index}


def words_for(checkpoint: Path, data: Path, task: str = "rte") -> list:
    """The beginning of a command line: what to train on what, small and on the CPU."""
    words = ["--model_name_or_path", checkpoint, "--data_dir", data, "--task_name", task]
    return [*words, "--max_length", "32", "--cpu"]


def run(*words: str | Path, patience: float = 250, python: str = sys.executable) -> subprocess.CompletedProcess:
    """Run the script in a process of its own, from the repository's root, for at most `patience` seconds."""
    options = {"capture_output": True, "text": True, "timeout": patience, "cwd": ROOT, "env": environment()}
    return subprocess.run(command(*words, python=python), **options)


def launch_command(processes: int, *words: str | Path) -> list[str]:
    """The script with several processes under `accelerate launch`; on the CPU they talk through gloo."""
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    return [sys.executable, *launch, *command(*words)[1:]]


def command(*words: str | Path, python: str = sys.executable) -> list[str]:
    return [python, "run_glue_no_trainer.py", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "GLUE_DATA_DIR": ""}


def run_here(*words: str | Path) -> int:
    """Run the command line in this process, which saves the seconds of the imports; returns the exit status."""
    import run_glue_no_trainer

    try:
        return run_glue_no_trainer.main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)


def reset_processes() -> None:
    """Let accelerate look anew at what processes there are."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()
    GradientState._reset_state()


def wait_until(happened: Callable[[], object], process: subprocess.Popen | None = None, patience: float = 250) -> None:
    """Look again and again, leaving the processor to others, until something has happened; `process` has to live."""
    deadline = time.monotonic() + patience
    while not happened():
        assert process is None or process.poll() is None, f"it has ended with status {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def log_rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

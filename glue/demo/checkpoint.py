"""The built-in demo: a miniature GLUE from a seeded grammar, and a tiny random BERT or ALBERT whose vocabulary it is.

It runs without a network, a download or a file. The tasks are honest ones (see `glue/demo/tasks.py`): labels are
balanced, and no sentence of a validation or test split occurs in training. Imports no torch before a checkpoint is
asked for. To look at it all on disk:

    python -m glue.demo.checkpoint output/demo
"""

from __future__ import annotations

import json
import math
import re
import string
import sys
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from ..data.table import Table
from ..data.tasks import GLUE_TASKS, Task
from .tasks import ROW_MAKERS

DEMO_TASK = "sst2"
# A model that begins at random needs a higher learning rate than a pretrained one.
DEMO_DEFAULTS: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 100,
    "learning_rate": 1e-3,
    "num_train_epochs": 10,
    "warmup_ratio": 0.1,
}

_TRAIN_ROWS, _HELD_OUT_ROWS = 5000, 400
_SEED = "contranorm"

_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 128,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ALBERT_SPECIALS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


@cache
def demo_splits(task_name: str) -> dict[str, Table]:
    """Make all splits of a task, the same ones on every call.

    Args:
        task_name: a key of `GLUE_TASKS`.

    Returns:
        Name of the split to its rows: 5,000 for training, 400 for each of the others, with GLUE's columns. As in GLUE,
        the rows of a test split have no label (-1, or NaN for a score).
    """
    task = GLUE_TASKS[task_name]
    seen: set[str] = set()
    tables: dict[str, Table] = {}
    for split in (*task.validation_splits, *task.test_splits):
        tables[split] = _make_split(task, split, _HELD_OUT_ROWS, avoid=seen)
        seen.update(*(tables[split].columns[column] for column in task.text_columns))
    for split in task.test_splits:
        tables[split].columns["label"] = [math.nan if task.is_regression else -1] * len(tables[split])
    return {"train": _make_split(task, "train", _TRAIN_ROWS, avoid=seen), **tables}


def _make_split(task: Task, split: str, count: int, avoid: set[str]) -> Table:
    """Make `count` rows, with the labels in turn and then shuffled, none of them with a text out of `avoid`."""
    rng = Random(f"{_SEED}-{task.name}-{split}")
    labels = range(6) if task.is_regression else range(task.num_labels)
    rows: list[tuple[Any, ...]] = []
    while len(rows) < count:
        label = labels[len(rows) % len(labels)]
        texts = ROW_MAKERS[task.name](rng, label)
        if avoid.isdisjoint(texts):
            rows.append((*texts, float(label) if task.is_regression else label))
    rng.shuffle(rows)
    columns = dict(zip((*task.text_columns, "label"), map(list, zip(*rows, strict=True)), strict=True))
    return Table(columns, source="the demo")


def write_demo_data(folder: Path) -> None:
    """Write all nine tasks as `folder/<task>/<split>.jsonl`, a layout that `--data_dir` reads.

    Args:
        folder: made if it does not exist; files of the same names are replaced.
    """
    for name in GLUE_TASKS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for split, table in demo_splits(name).items():
            with (folder / name / f"{split}.jsonl").open("w", encoding="utf-8") as file:
                for index, values in enumerate(zip(*table.columns.values(), strict=True)):
                    row = dict(zip(table.columns, values, strict=True), idx=index)
                    if math.isnan(row["label"]):
                        row["label"] = -1.0
                    file.write(json.dumps(row) + "\n")


def build_demo_checkpoint(folder: Path, model_type: str, num_hidden_layers: int | None = None) -> Path:
    """Write a tiny model with random weights, and its tokenizer, in the layout of any other checkpoint.

    Args:
        folder: where to; made if it does not exist.
        model_type: `bert` or `albert`.
        num_hidden_layers: of the model; None for the demo's usual number.

    Returns:
        `folder`.
    """
    import torch

    from transformers import AlbertTokenizerFast, AutoConfig, AutoModel, BertTokenizerFast, PreTrainedTokenizerFast

    words = _vocabulary()
    # Any other text is spelled out, letter by letter.
    letters = tuple(string.ascii_lowercase + string.digits + string.punctuation)
    tokenizer: PreTrainedTokenizerFast
    if model_type == "bert":
        pieces = dict.fromkeys((*_BERT_SPECIALS, *words, *letters, *(f"##{letter}" for letter in letters)))
        tokenizer = BertTokenizerFast({piece: index for index, piece in enumerate(pieces)}, model_max_length=128)
        sizes = _SIZES
    else:
        scores = dict.fromkeys(_ALBERT_SPECIALS, 0.0) | {f"▁{word}": -1.0 for word in words if word[0].isalnum()}
        scores |= dict.fromkeys(("▁", *letters), -20.0) | {word: -1.0 for word in words if not word[0].isalnum()}
        tokenizer = AlbertTokenizerFast(vocab=list(scores.items()), model_max_length=128)
        sizes = _SIZES | {"embedding_size": 64, "classifier_dropout_prob": 0.0}
    if num_hidden_layers is not None:
        sizes = sizes | {"num_hidden_layers": num_hidden_layers}
    config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer), pad_token_id=0, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
    # Keys that equal the queries let a word attend to its like from the first step on; out of wholly random weights, so
    # small a model does not find that within a minute.
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "query"):
                module.query.weight.mul_(8)
                module.key.weight.copy_(module.query.weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _forget_contranorm(folder / "config.json")
    return folder


def _vocabulary() -> tuple[str, ...]:
    """Return the words and punctuation marks of all nine tasks, in lower case and in alphabetical order."""
    words: set[str] = set()
    for task in GLUE_TASKS.values():
        train = demo_splits(task.name)["train"]
        for column in task.text_columns:
            words.update(re.findall(r"\w+|[^\w\s]", " ".join(train.columns[column]).lower()))
    return tuple(sorted(words))


def _forget_contranorm(path: Path) -> None:
    """Take ContraNorm's knobs out of a config.json: a checkpoint pretrained without it leaves the choice to the run."""
    from transformers.methods import all_knobs

    settings = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in settings.items() if key not in ("method", "pos", "use_v2", *all_knobs())}
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write the data and both checkpoints below the folder that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m glue.demo.checkpoint FOLDER")
    folder = Path(sys.argv[1])
    write_demo_data(folder / "glue")
    for model_type in ("bert", "albert"):
        build_demo_checkpoint(folder / model_type, model_type)
    print(f"{folder}/glue has the nine tasks, {folder}/bert and {folder}/albert the checkpoints")


if __name__ == "__main__":
    main()

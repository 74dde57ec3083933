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

_TRAIN_ROWS, _HELD_OUT_ROWS = 5000, 400
_SEED = "contranorm"
_LONGEST = 128  # tokens
_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": _LONGEST,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


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
    kind, labels = (float, range(6)) if task.is_regression else (int, range(task.num_labels))
    rows: list[tuple[Any, ...]] = []
    while len(rows) < count:
        label = labels[len(rows) % len(labels)]
        texts = ROW_MAKERS[task.name](rng, label)
        if avoid.isdisjoint(texts):
            rows.append((*texts, kind(label)))
    rng.shuffle(rows)
    columns = dict(zip((*task.text_columns, "label"), map(list, zip(*rows, strict=True)), strict=True))
    return Table(columns, source="the demo")


def write_demo_data(folder: Path) -> None:
    """Write all nine tasks as `folder/<task>/<split>.jsonl`, a layout that `--data_dir` reads.

    Args:
        folder: made if it does not exist; files of the same names are replaced.
    """
    for name in GLUE_TASKS:
        for split, table in demo_splits(name).items():
            # The diagnostics, which MNLI's model predicts, are a task of their own on the Hub.
            path = folder / ("ax/test.jsonl" if split == "test_ax" else f"{name}/{split}.jsonl")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8") as file:
                for index, values in enumerate(zip(*table.columns.values(), strict=True)):
                    row = dict(zip(table.columns, values, strict=True), idx=index)
                    file.write(json.dumps(row | {"label": -1.0} if math.isnan(row["label"]) else row) + "\n")


def build_demo_checkpoint(folder: Path, model_type: str, num_hidden_layers: int | None = None) -> Path:
    """Write a tiny model with random weights, and its tokenizer, in the layout of any other checkpoint.

    Its config.json names no method: a checkpoint that was pretrained without one leaves the choice to the run.

    Args:
        folder: where to; made if it does not exist.
        model_type: `bert` or `albert`.
        num_hidden_layers: of the model; None for the demo's usual number.

    Returns:
        `folder`.
    """
    import torch

    from transformers import AlbertTokenizerFast, AutoConfig, AutoModel, BertTokenizerFast, PreTrainedTokenizerFast
    from transformers.attention import SelfAttention

    words = _vocabulary()
    # Any other text is spelled out, letter by letter.
    letters = string.ascii_lowercase + string.digits + string.punctuation
    sizes = _SIZES | {"model_type": model_type, "pad_token_id": 0}
    tokenizer: PreTrainedTokenizerFast
    if model_type == "bert":
        specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        pieces = dict.fromkeys((*specials, *words, *letters, *(f"##{letter}" for letter in letters)))
        vocabulary = {piece: index for index, piece in enumerate(pieces)}
        tokenizer = BertTokenizerFast(vocabulary, model_max_length=_LONGEST)
    else:
        scores = dict.fromkeys(("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), 0.0)
        scores |= dict.fromkeys(("▁", *letters), -20.0)
        scores |= {f"▁{word}" if word.isalnum() else word: -1.0 for word in words}
        tokenizer = AlbertTokenizerFast(vocab=list(scores.items()), model_max_length=_LONGEST)
        sizes |= {"embedding_size": 64, "classifier_dropout_prob": 0.0}
    sizes |= {"vocab_size": len(tokenizer), "num_hidden_layers": num_hidden_layers or sizes["num_hidden_layers"]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(**sizes))
    # Keys that equal the queries let a word attend to its like from the first step on; out of wholly random weights, so
    # small a model does not find that within a minute.
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, SelfAttention):
                query, key, _ = (getattr(module, name) for name in module.projections)
                query.weight.mul_(8)
                key.weight.copy_(query.weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")
    return folder


def _vocabulary() -> list[str]:
    """Return the words and punctuation marks of all nine tasks, in lower case and in alphabetical order."""
    words: set[str] = set()
    for task in GLUE_TASKS.values():
        for column in task.text_columns:
            text = " ".join(demo_splits(task.name)["train"].columns[column])
            words.update(re.findall(r"\w+|[^\w\s]", text.lower()))
    return sorted(words)


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

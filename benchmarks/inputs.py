"""What both sides read: the tasks as files of one kind, and the checkpoints, in one working folder."""

from __future__ import annotations

import json
import re
import shutil
import string
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glue.cli.arguments import RunArguments
from glue.data.loading import load_splits
from glue.data.table import Table
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError

from .lengths import glue_like_splits
from .options import Options

VOCABULARY_SIZE = 30522  # bert-base-uncased's
_SMALL = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "checkpoint": ("bert", _SMALL),
    "bert-base": ("bert", {}),
    "albert-base": (
        "albert",
        # albert-base-v2 with the dropout of BERT: with none there would be less to compute than in a usual fine-tuning.
        {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "embedding_size": 128}
        | {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "classifier_dropout_prob": 0.1},
    ),
}
_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class TaskInput:
    """One task on disk as `folder/<split>.jsonl`.

    Attributes:
        name: a key of `GLUE_TASKS`.
        folder: where the splits are.
        source: what they were made of, for the report.
        train_rows: rows of the training split.
    """

    name: str
    folder: Path
    source: str
    train_rows: int

    def job(self) -> dict[str, Any]:
        """What a worker has to know of it."""
        task = GLUE_TASKS[self.name]
        return {
            "task": self.name,
            "data_dir": str(self.folder.parent),
            "text_columns": task.text_columns,
            "num_labels": task.num_labels,
            "validation_split": task.validation_splits[0],
        }


@dataclass(frozen=True)
class ModelInput:
    """One checkpoint on disk.

    Attributes:
        name: one of `options.MODELS`.
        folder: with config.json, weights and tokenizer.
        config: its config.json.
        steps: training batches of a round.
        eval_rows: rows of an evaluation; None for all.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    steps: int
    eval_rows: int | None

    @property
    def encoder_weights(self) -> int:
        """Entries of all matrices that a token is multiplied with in the encoder's layers, shared ones every time."""
        width, inner = self.config["hidden_size"], self.config["intermediate_size"]
        return self.config["num_hidden_layers"] * (4 * width * width + 2 * width * inner)

    @property
    def description(self) -> str:
        """Architecture and size in words."""
        return (
            f"{self.config['model_type']}, {self.config['num_hidden_layers']} layers, {self.config['hidden_size']} wide"
        )


@dataclass(frozen=True)
class Inputs:
    """Tasks and models by their names."""

    tasks: dict[str, TaskInput]
    models: dict[str, ModelInput]


def prepare(options: Options, folder: Path) -> Inputs:
    """Write data and checkpoints into `folder`.

    Raises:
        UsageError: data or checkpoint cannot be read.
    """
    tables = {name: _load(options, name) for name in options.task_names}
    tasks = {name: write_task(folder / "glue" / name, name, splits) for name, splits in tables.items()}
    tokenizer = folder / "tokenizer" if options.model is None else Path(options.model)
    if options.model is None:
        write_tokenizer(tokenizer, tables)
    models = {}
    for name in options.model_names:
        if name == "checkpoint" and options.model is not None:
            place = Path(options.model).resolve()
        else:
            place = write_model(folder / name, *SIZES[name], tokenizer, options.seed)
        is_small = name == "checkpoint"
        models[name] = ModelInput(
            name,
            place,
            _config(place),
            options.steps if is_small else options.base_steps,
            options.eval_rows if is_small else min(options.base_eval_rows, options.eval_rows or options.base_eval_rows),
        )
    return Inputs(tasks, models)


def _load(options: Options, name: str) -> dict[str, Table]:
    if options.data_dir is None:
        return glue_like_splits(GLUE_TASKS[name], options.seed)
    arguments = RunArguments(model_name_or_path="none", task_name=name, data_dir=options.data_dir)
    return load_splits(arguments)[1]


def write_task(folder: Path, name: str, splits: dict[str, Table]) -> TaskInput:
    """Write the splits of a task as `folder/<split>.jsonl`."""
    folder.mkdir(parents=True)
    for split, table in splits.items():
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for values in zip(*table.columns.values(), strict=True):
                file.write(json.dumps(dict(zip(table.columns, values, strict=True))) + "\n")
    train = splits["train"]
    source = "files of --data_dir" if Path(train.source).exists() else train.source
    return TaskInput(name, folder, source, len(train))


def write_tokenizer(folder: Path, tables: dict[str, dict[str, Table]]) -> None:
    """Write a WordPiece vocabulary that knows the most frequent words of the data, and spells out the others."""
    counts: Counter[str] = Counter()
    for name, splits in tables.items():
        for table in splits.values():
            for column in GLUE_TASKS[name].text_columns:
                counts.update(re.findall(r"\w+|[^\w\s]", " ".join(table.columns[column]).lower()))
    letters = string.ascii_lowercase + string.digits + string.punctuation
    known = dict.fromkeys((*_SPECIALS, *letters, *(f"##{letter}" for letter in letters)))
    known |= dict.fromkeys(word for word, _ in counts.most_common(VOCABULARY_SIZE - 2 * len(known)))
    unused = (f"[unused{number}]" for number in range(VOCABULARY_SIZE - len(known)))
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join((*known, *unused)) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def write_model(folder: Path, model_type: str, sizes: dict[str, Any], tokenizer: Path, seed: int) -> Path:
    """Write a checkpoint with random weights and the files of another one's tokenizer; returns its folder."""
    import torch

    from transformers import AutoConfig, AutoModel

    torch.manual_seed(seed)
    settings = {"vocab_size": VOCABULARY_SIZE, "pad_token_id": 0, **sizes}
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **settings))
    model.save_pretrained(folder)
    for file in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model"):
        if (tokenizer / file).exists():
            shutil.copyfile(tokenizer / file, folder / file)
    return folder


def _config(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--model {folder}: cannot read config.json: {error}") from None

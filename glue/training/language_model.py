"""Continued pretraining: texts without labels, some of whose tokens are hidden and predicted.

In training other tokens are hidden each time a row is used; which, follows from the seed and the rows of the batch. In
validation the same ones are hidden in every run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.nn import functional as F

from transformers import AutoModelForMaskedLM, DataCollatorForLanguageModeling, set_seed

from ..cli.arguments import RunArguments
from ..cli.console import progress_bar, say
from ..cli.mlm_arguments import METRICS, MlmArguments
from ..data.batch import Batch
from ..data.encoding import EncodedDataset, encode
from ..data.labels import LabelMapping
from ..data.loading import load_glue
from ..data.readers import read_table
from ..data.table import Table
from ..data.tasks import LANGUAGE_MODEL, Task
from ..data.user_files import choose_text_columns
from ..errors import UsageError
from ..scoring.validation import Scores
from .execution import choose_execution
from .model import Checkpoint, changed_config, choose_settings, load_model, padding_multiple
from .sampling import evaluation_batches
from .setup import Setup, Work, check_vocabulary, token_cache

_NO_LABEL = -100
_WHOLE = 2**30  # tokens: texts that are joined are not cut before that


def prepare_language_model(args: RunArguments, checkpoint: Checkpoint, accelerator: Accelerator) -> Work:
    """Read texts, and load a model that predicts tokens of them.

    Raises:
        UsageError, CheckpointError, ConfigurationError: something is wrong that the user can mend.
    """
    assert isinstance(args, MlmArguments)
    task, tables = _read_texts(args, checkpoint.config_dict)
    settings = choose_settings(args, checkpoint.config_dict, checkpoint.config.model_type)
    config = changed_config(args, checkpoint, settings.values)
    execution = choose_execution(args, config, accelerator)
    if execution.execution == "bucketed":  # rows that fill a batch up would have tokens that count
        if execution.cuda_graphs:
            say("Note: --cuda_graphs is left out: batches of a language model have many shapes")
        execution = replace(execution, execution="padded", cuda_graphs=False)
    tokenizer = checkpoint.tokenizer()
    masking = DataCollatorForLanguageModeling(tokenizer, mlm_probability=args.mlm_probability)
    cache = token_cache(args, accelerator)
    datasets, one_column = {}, replace(task, text_columns=task.text_columns[:1])
    for split, table in tables.items():
        length = args.max_length if args.line_by_line else _WHOLE
        multiple = padding_multiple(config)
        texts = _as_texts(table, task)
        rows = encode(texts, one_column, tokenizer, length, pad_to_multiple_of=multiple, cache=cache)
        rows = _with_something_to_hide(rows if args.line_by_line else _joined(rows, args.max_length), tokenizer)
        if not len(rows):
            raise UsageError(f"{table.source}: no text in it has a token that could be hidden")
        datasets[split] = (
            _masked_while_read(rows, masking, args.seed) if split == "train" else _masked_once(rows, masking)
        )
    check_vocabulary(datasets, tokenizer, config.vocab_size)
    set_seed(args.seed)
    model = load_model(args, checkpoint, config, execution, AutoModelForMaskedLM)
    model.sparse_prediction = True
    sizes = {split: int(data.lengths.sum()) for split, data in datasets.items()}
    sources = ", ".join(
        f"{split} {len(datasets[split])} rows of {sizes[split]} tokens from {table.source}"
        for split, table in tables.items()
    )
    mapping = LabelMapping({}, {}, "")
    return Work(
        task,
        mapping,
        settings,
        execution,
        datasets,
        tokenizer,
        model,
        loss=_hidden_tokens_loss,
        score=score_language_model,
        sources=sources,
    )


def _hidden_tokens_loss(model: Any, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Return the mean loss of a batch's hidden tokens, in proportion to its share of an update's rows."""
    return model(**batch.inputs).loss * (batch.counts.sum() / batch.total)


def score_language_model(args: RunArguments, setup: Setup, model: Any, split: str) -> Scores:
    """Score a validation split: how many hidden tokens are found, and the perplexity, which is exp(loss).

    The constant guess knows how frequent each of the hidden tokens is, and nothing else.
    """
    accelerator, dataset = setup.accelerator, setup.datasets[split]
    model = accelerator.unwrap_model(model).eval()
    batches = evaluation_batches(
        dataset.lengths, args.per_device_eval_batch_size, accelerator.num_processes, accelerator.process_index
    )
    sums = [torch.zeros(3, dtype=torch.float64, device=accelerator.device)]
    with torch.inference_mode():
        for rows in progress_bar(batches, desc="evaluating", leave=False, delay=2):
            inputs = dataset.batch(rows).to(accelerator.device).inputs
            labels = inputs["labels"][inputs["labels"] != _NO_LABEL]
            logits = model(**inputs).logits.float()
            found = (logits.argmax(dim=-1) == labels).sum()
            loss = F.cross_entropy(logits, labels, reduction="sum") if len(labels) else found
            sums.append(torch.stack([loss.double(), found.double(), found.new_tensor(len(labels)).double()]))
    mine = torch.stack(sums).cpu().tolist()
    totals = [
        math.fsum(column) for column in zip(*(row for rows in gather_object([mine]) for row in rows), strict=True)
    ]
    loss, accuracy = totals[0] / totals[2], totals[1] / totals[2]
    hidden = dataset.features["labels"]
    hidden = hidden[hidden != _NO_LABEL]
    shares = np.unique(hidden, return_counts=True)[1] / len(hidden)
    guess = {"accuracy": float(shares.max()), "perplexity": math.exp(-float((shares * np.log(shares)).sum()))}
    scores = {"accuracy": accuracy, "perplexity": math.exp(min(loss, 700.0)), "loss": loss}
    return scores, guess, [], []


def _read_texts(args: MlmArguments, config_dict: dict[str, Any]) -> tuple[Task, dict[str, Table]]:
    """Read the splits that a run uses; without a validation file some training rows are that split."""
    if args.task is not None:
        tables, source = load_glue(args, args.task), args.task
        columns, splits = source.text_columns, source.validation_splits if args.do_eval else ()
    else:
        paths = {"train": args.train_file, "validation": args.validation_file if args.do_eval else None}
        raws = {split: read_table(Path(path)) for split, path in paths.items() if path}
        first = next(iter(raws.values()))
        is_plain = [*first.columns] == ["text"]
        saved, given, trains = config_dict.get("text_columns"), args.text_column_names, bool(args.do_train)
        columns = ("text",) if is_plain else choose_text_columns(first, saved, given, trains=trains)
        tables = {split: Table({name: raw.text(name) for name in columns}, raw.source) for split, raw in raws.items()}
        splits = ("validation",) if args.do_eval else ()
        if args.do_eval and "validation" not in tables:
            whole = tables["train"]
            held = math.ceil(len(whole) * args.validation_split_percentage / 100)
            if held == len(whole):
                raise UsageError(f"{whole.source}: {held} row(s) are too few to keep some for validation")
            tables["validation"] = whole.select(held)
            rest = {name: values[held:] for name, values in whole.columns.items()}
            tables["train"] = replace(whole, columns=rest)
            say(f"Note: the first {held} of {len(whole)} rows are kept for validation; --validation_file names others")
        if not args.do_train:
            tables.pop("train", None)
    limits = {"train": args.max_train_samples} | dict.fromkeys(splits, args.max_eval_samples)
    tables = {split: table.select(limits.get(split)) for split, table in tables.items()}
    say(f"Data: {' and '.join(columns)}, as texts")
    return Task(LANGUAGE_MODEL, columns, (), METRICS, validation_splits=splits, test_splits=()), tables


def _as_texts(table: Table, task: Task) -> Table:
    """Return a table of one text column, in which every text of a row is a row, and no label."""
    rows = zip(*(table.columns[name] for name in task.text_columns), strict=True)
    texts = [text for row in rows for text in row if text.strip()]
    return Table({task.text_columns[0]: texts, "label": [math.nan] * len(texts)}, table.source)


def _joined(rows: EncodedDataset, length: int) -> EncodedDataset:
    """Split the tokens of all texts, one after the other, into rows of `length`; the last one may be shorter."""
    total = int(rows.offsets[-1])
    return replace(rows, offsets=np.append(np.arange(0, total, length), total).astype(np.int64))


def _with_something_to_hide(rows: EncodedDataset, tokenizer: Any) -> EncodedDataset:
    """Leave those rows out that are nothing but special tokens."""
    plain = ~np.isin(rows.features["input_ids"], tokenizer.all_special_ids)
    before = np.concatenate([[0], np.cumsum(plain)])
    kept = before[rows.offsets[1:]] > before[rows.offsets[:-1]]
    if kept.all():
        return rows
    of_token = np.repeat(kept, rows.lengths)
    offsets = np.concatenate([[0], np.cumsum(rows.lengths[kept])]).astype(np.int64)
    return replace(rows, features={name: values[of_token] for name, values in rows.features.items()}, offsets=offsets)


@dataclass
class _MaskedWhileRead(EncodedDataset):
    """A training split whose tokens are hidden anew in every batch, by its rows and the seed: no state is needed."""

    masking: Any = None
    seed: int = 0

    def padded(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        features = super().padded(rows)
        drawn = np.random.SeedSequence([self.seed, *map(int, rows)]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(drawn[0] >> np.uint64(1)))
        ids = torch.from_numpy(features["input_ids"])
        hidden, labels = self.masking.torch_mask_tokens(ids, generator=generator)
        mask = features.pop("attention_mask")
        return {**features, "input_ids": hidden.numpy(), "labels": labels.numpy(), "attention_mask": mask}


def _masked_while_read(rows: EncodedDataset, masking: DataCollatorForLanguageModeling, seed: int) -> EncodedDataset:
    values = {item.name: getattr(rows, item.name) for item in fields(rows)}
    return _MaskedWhileRead(**values, masking=masking, seed=seed)


def _masked_once(rows: EncodedDataset, masking: DataCollatorForLanguageModeling) -> EncodedDataset:
    """Hide tokens for good, the same ones whatever the seed of the run."""
    ids = torch.from_numpy(rows.features["input_ids"].astype(np.int64))[None]
    hidden, labels = replace(masking, seed=0).torch_mask_tokens(ids)
    changed = {"input_ids": hidden, "labels": labels}
    features = {name: tensor[0].numpy().astype(np.int32) for name, tensor in changed.items()}
    return replace(rows, features={**rows.features, **features}, pad_values={**rows.pad_values, "labels": _NO_LABEL})

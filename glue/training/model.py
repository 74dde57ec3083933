"""From `--model_name_or_path` to a model that fits the task: configuration, tokenizer, weights."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PretrainedConfig

from ..cli.arguments import RunArguments
from ..data.labels import LabelMapping, make_label_mapping
from ..data.tasks import OWN_FILES, Task
from ..errors import UsageError
from .method_settings import MethodSettings, choose_settings


@dataclass(frozen=True)
class Checkpoint:
    """Where a run starts from.

    Attributes:
        name: as the user gave it.
        path: folder or Hub id to load from; for the demo a temporary folder.
        config_dict: its config.json as it is in the file.
        options: further arguments of every `from_pretrained`.
    """

    name: str
    path: str
    config_dict: dict[str, Any]
    options: dict[str, Any]

    def tokenizer(self) -> Any:
        """Load the tokenizer; for a model without token types, or with a single one, it makes none."""
        tokenizer = AutoTokenizer.from_pretrained(self.path, **self.options)
        config = AutoConfig.from_pretrained(self.path, **self.options)
        if getattr(config, "type_vocab_size", 0) < 2:
            names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
            tokenizer.model_input_names = names
        return tokenizer


@contextlib.contextmanager
def open_checkpoint(args: RunArguments) -> Iterator[Checkpoint]:
    """Find the checkpoint that a run starts from; the demo's is built in a temporary folder, gone at the end.

    Raises:
        CheckpointError: there is none of that name, or its config.json cannot be read.
        UsageError: it is a file.
    """
    options = {} if args.revision is None else {"revision": args.revision}
    with contextlib.ExitStack() as stack:
        path = name = str(args.model_name_or_path)
        if args.uses_demo_model:
            from ..demo.checkpoint import build_demo_checkpoint

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contranorm-demo-")))
            model_type = "albert" if name == "demo-albert" else "bert"
            path, options = str(build_demo_checkpoint(folder, model_type, args.num_hidden_layers)), {}
        if Path(path).is_file():
            raise UsageError(f"--model_name_or_path {name} is a file: give the folder that it is in")
        config_dict, _ = PretrainedConfig.get_config_dict(path, **options)
        yield Checkpoint(name, path, config_dict, options)


def build_config(
    args: RunArguments, checkpoint: Checkpoint, task: Task
) -> tuple[PretrainedConfig, LabelMapping, MethodSettings]:
    """Settle the model's configuration: the checkpoint's, with the task's labels and the run's ContraNorm.

    Raises:
        ConfigurationError: the checkpoint's configuration, or a setting for it, is not supported.
        UsageError: `--max_length` is more than the model has positions for.
    """
    mapping = make_label_mapping(task, checkpoint.config_dict, bool(args.do_train))
    model_type = AutoConfig.from_pretrained(checkpoint.path, **checkpoint.options).model_type
    settings = choose_settings(args, checkpoint.config_dict, model_type)
    changes: dict[str, Any] = {
        "id2label": mapping.id2label,
        "label2id": mapping.label2id,
        "problem_type": "regression" if task.is_regression else "single_label_classification",
        **settings.values,
    }
    if args.num_hidden_layers is not None:
        changes["num_hidden_layers"] = args.num_hidden_layers
    config = AutoConfig.from_pretrained(checkpoint.path, **checkpoint.options, **changes)
    vars(config).pop("text_columns", None)
    if task.name == OWN_FILES:
        vars(config)["text_columns"] = list(task.text_columns)  # the model remembers what it was trained on
    multiple, positions = padding_multiple(config), config.longest_sequence
    if -(-args.max_length // multiple) * multiple > positions:
        raise UsageError(
            f"--max_length {args.max_length}: {checkpoint.name} has {positions} positions; "
            f"give {positions - positions % multiple} or less"
        )
    return config, mapping, settings


def padding_multiple(config: PretrainedConfig) -> int:
    """Return what the length of a batch is a multiple of: where padding counts, the 8 of the released code."""
    return 8 if config.contranorm_padding == "include" else 1


def load_model(args: RunArguments, checkpoint: Checkpoint, config: PretrainedConfig) -> Any:
    """Load the classifier; its head is drawn anew where the checkpoint has none.

    Raises:
        CheckpointError: the weights cannot be read, or do not fit the configuration.
    """
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint.path,
        config=config,
        ignore_mismatched_sizes=args.ignore_mismatched_sizes,
        **checkpoint.options,
    )
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    if args.torch_compile:
        model.compile(dynamic=True)  # batches of any shape
    return model

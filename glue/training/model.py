"""From `--model_name_or_path` to a model that fits the task: configuration, tokenizer, weights.

Which method it uses, where and how says the command line, else the checkpoint's config, else the paper's setting.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PretrainedConfig
from transformers.contranorm_sites import parse_positions
from transformers.methods import find_method, knobs_of, of_each_layer, settings_of
from transformers.utils import logging
from transformers.utils.errors import CheckpointError

from ..cli.arguments import RunArguments
from ..data.labels import LabelMapping, make_label_mapping
from ..data.readers import check_no_pointer
from ..data.tasks import OWN_FILES, Task
from ..errors import UsageError
from .execution import Execution, compile_layers


@dataclass(frozen=True)
class Checkpoint:
    """Where a run starts from.

    Attributes:
        name: as the user gave it.
        path: folder or Hub id to load from; for the demo a temporary folder.
        config_dict: its config.json as it is in the file.
        config: the configuration that it makes.
        options: further arguments of every `from_pretrained`.
    """

    name: str
    path: str
    config_dict: dict[str, Any]
    config: PretrainedConfig
    options: dict[str, Any]

    def tokenizer(self) -> Any:
        """Load the tokenizer; for a model without token types, or with a single one, it makes none."""
        tokenizer = AutoTokenizer.from_pretrained(self.path, **self.options)
        if getattr(self.config, "type_vocab_size", 0) < 2:
            names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
            tokenizer.model_input_names = names
        return tokenizer


@contextlib.contextmanager
def open_checkpoint(args: RunArguments) -> Iterator[Checkpoint]:
    """Find the checkpoint that a run starts from; the demo's is built in a temporary folder, gone at the end.

    Raises:
        CheckpointError: there is none of that name, or its config.json cannot be read.
        UsageError: it is a file, or (within the block too) a file in it is a git-lfs pointer.
    """
    options = {} if args.revision is None else {"revision": args.revision}
    with contextlib.ExitStack() as stack:
        path = name = str(args.model_name_or_path)
        if args.uses_demo_model:
            from ..demo.checkpoint import build_demo_checkpoint

            stack.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity_error()  # that its classifier is newly drawn goes for all of it
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contranorm-demo-")))
            model_type = "albert" if name == "demo-albert" else "bert"
            path, options = str(build_demo_checkpoint(folder, model_type, args.num_hidden_layers)), {}
        if Path(path).is_file():
            raise UsageError(f"--model_name_or_path {name} is a file: give the folder that it is in")
        try:
            config_dict, _ = PretrainedConfig.get_config_dict(path, **options)
            yield Checkpoint(name, path, config_dict, AutoConfig.from_pretrained(path, **options), options)
        except CheckpointError:
            for file in filter(Path.is_file, Path(path).glob("*")):
                check_no_pointer(file)
            raise


def build_config(
    args: RunArguments, checkpoint: Checkpoint, task: Task
) -> tuple[PretrainedConfig, LabelMapping, MethodSettings]:
    """Settle the model's configuration: the checkpoint's, with the task's labels and the run's ContraNorm.

    Raises:
        ConfigurationError: the checkpoint's configuration, or a setting for it, is not supported.
        UsageError: `--max_length` is more than the model has positions for.
    """
    labels = {} if args.init_from else checkpoint.config_dict  # of a classifier that is not taken
    mapping = make_label_mapping(task, labels, bool(args.do_train))
    settings = choose_settings(args, checkpoint.config_dict, checkpoint.config.model_type)
    changes: dict[str, Any] = {
        "id2label": mapping.id2label,
        "label2id": mapping.label2id,
        "problem_type": "regression" if task.is_regression else "single_label_classification",
        **settings.values,
    }
    config = changed_config(args, checkpoint, changes)
    if task.name == OWN_FILES:
        vars(config)["text_columns"] = list(task.text_columns)  # the model remembers what it was trained on
    return config, mapping, settings


def changed_config(args: RunArguments, checkpoint: Checkpoint, changes: Mapping[str, Any]) -> PretrainedConfig:
    """Return the checkpoint's configuration with other values in it, and as many layers as the run asks for.

    Raises:
        ConfigurationError: a value is not supported.
        UsageError: `--max_length` is more than the model has positions for.
    """
    layers = {} if args.num_hidden_layers is None else {"num_hidden_layers": args.num_hidden_layers}
    config = AutoConfig.from_pretrained(checkpoint.path, **checkpoint.options, **changes, **layers)
    vars(config).pop("text_columns", None)
    multiple, positions = padding_multiple(config), config.longest_sequence
    if -(-args.max_length // multiple) * multiple > positions:
        raise UsageError(
            f"--max_length {args.max_length}: {checkpoint.name} has {positions} positions; "
            f"give {positions - positions % multiple} or less"
        )
    return config


def padding_multiple(config: PretrainedConfig) -> int:
    """Return what the length of a batch is a multiple of: where padding counts, the 8 of the released code."""
    return 8 if config.contranorm_padding == "include" else 1


def load_model(
    args: RunArguments,
    checkpoint: Checkpoint,
    config: PretrainedConfig,
    execution: Execution,
    kind: Any = AutoModelForSequenceClassification,
) -> Any:
    """Load the model, ready for its execution; its head is drawn anew where the checkpoint has none, and with
    `--init_from` in any case.

    Args:
        kind: the Auto class with the head; default a classifier's.

    Raises:
        CheckpointError: the weights cannot be read, do not fit the configuration, or are not finite.
    """
    model, found = kind.from_pretrained(
        checkpoint.path,
        config=config,
        ignore_mismatched_sizes=args.ignore_mismatched_sizes or args.init_from is not None,
        output_loading_info=True,
        **checkpoint.options,
    )
    if args.init_from is not None:
        broken = [name for name, *_ in found["mismatched_keys"] if name.startswith(f"{model.base_model_prefix}.")]
        if broken and not args.ignore_mismatched_sizes:
            raise CheckpointError(f"{checkpoint.name}: {broken[0]} has another shape than its config.json says")
        for name, part in model.named_children():
            if name != model.base_model_prefix:
                part.apply(model._init_weights)
    if bad := not_finite(model):
        raise CheckpointError(f"{checkpoint.name}: the weight {bad[0]} is not finite: the checkpoint is damaged")
    model.base_model.pads = execution.execution != "packed"
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    if args.torch_compile:
        compile_layers(model, dynamic=execution.execution != "bucketed")
    return model


def not_finite(model: Any) -> list[str]:
    """Return the names of the weights that hold an infinity or no number."""
    with torch.no_grad():
        return [name for name, tensor in model.named_parameters() if not tensor.isfinite().all()]


@dataclass(frozen=True)
class MethodSettings:
    """The chosen value of the position and of every knob, and where it came from.

    Attributes:
        values: "method", "pos" and the method's knobs; fields of the model's configuration.
        origins: the same names to "command line", "checkpoint" or "default".
        sites: the sites that the position names, in the model's numbering; empty for the plain model.
    """

    values: dict[str, Any]
    origins: dict[str, str]
    sites: tuple[str, ...]

    @property
    def attracts(self) -> bool:
        """Whether the scale is negative, which pulls the tokens together."""
        scale = self.values.get("scale", 0)
        return bool(self.sites) and min(of_each_layer(scale) or [scale]) < 0

    @property
    def label(self) -> str:
        """What a model with this method is called beside others: its name, and of the knobs position and scale."""
        named = [f"{name} {self.values[name]}" for name in ("pos", "scale") if name in self.values]
        return " ".join([self.values["method"], *named]) if self.sites else "plain"

    def summary(self) -> str:
        """Return all settings in one line."""
        knobs = ", ".join(f"{name} {value} ({self.origins[name]})" for name, value in self.values.items())
        state = f"on, at {' and '.join(self.sites)}" if self.sites else "off, the plain model"
        return f"ContraNorm {state}: {knobs}" if "contranorm" in self.values["method"] else f"Method {state}: {knobs}"


def choose_settings(args: RunArguments, config_dict: Mapping[str, Any], model_type: str) -> MethodSettings:
    """Settle method, position and every knob for one run.

    Args:
        args: what was not given is None.
        config_dict: the checkpoint's config.json as it is in the file: a key that is not there has not been chosen.
        model_type: the kind of model, whose numbering `pos` is in.

    Raises:
        ConfigurationError: the method is unknown, a knob has a value that it may not have, or the position is none of
            the model's.
    """
    given = args.method_settings
    stored = {name: value for name, value in config_dict.items() if value is not None}
    if stored.pop("use_v2", False):
        stored.setdefault("method", "contranorm_v2")
    method = find_method(given.get("method") or stored.get("method") or "contranorm")
    if method.name != stored.get("method", "contranorm"):
        stored = {}  # knobs of another method
    defaults = {"method": method.name, **method.defaults(model_type)}
    values, origins = {}, {}
    for name, default in defaults.items():
        sources = (("command line", given), ("checkpoint", stored), ("default", {name: default}))
        origins[name], source = next((origin, source) for origin, source in sources if name in source)
        values[name] = source[name]
    values |= settings_of(method, values)
    sites = parse_positions(values["pos"], model_type)
    plain = method(**{name: values[name] for name in knobs_of(method)}).is_neutral
    return MethodSettings(values, origins, () if plain else sites)

"""`AutoTokenizer`: the tokenizer class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ...backbones import BACKBONES
from ...configuration_utils import CONFIG_NAME
from ...tokenization_utils_fast import (
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    PreTrainedTokenizerFast,
    read_optional,
)
from ...utils.errors import CheckpointError
from ...utils.hub import HUB_ARGUMENTS, resolve_file

# By the type of the model: where its tokenizer's class is.
TOKENIZER_MAPPING = {model_type: backbone.tokenizer for model_type, backbone in BACKBONES.items()}


class AutoTokenizer:
    """Load a tokenizer without knowing its class; use `from_pretrained`, not the constructor."""

    def __init__(self) -> None:
        raise TypeError("AutoTokenizer has no instances: use AutoTokenizer.from_pretrained")

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *, config: Any = None, **kwargs: Any
    ) -> PreTrainedTokenizerFast:
        """Load the tokenizer of a checkpoint.

        The class is that of tokenizer_config.json, else that of the kind of model in config.json. A class that is not
        here is stood in for by `PreTrainedTokenizerFast` if there is a tokenizer.json, which needs no class.

        Args:
            pretrained_model_name_or_path: a local folder, or a Hub id.
            config: a configuration of the model, in place of config.json.
            **kwargs: see `PreTrainedTokenizerFast.from_pretrained`.

        Raises:
            CheckpointError: the files cannot be found or read, or need a class that is not here.
            ConfigurationError: an argument is no setting of the tokenizer.
        """
        name = os.fspath(pretrained_model_name_or_path)
        where = {key: value for key, value in kwargs.items() if key in HUB_ARGUMENTS}
        return _class_of(name, config, where).from_pretrained(name, **kwargs)


def _class_of(name: str, config: Any, where: dict[str, Any]) -> type[PreTrainedTokenizerFast]:
    def has(filename: str) -> bool:
        return resolve_file(name, filename, required=False, **where) is not None

    class_name = read_optional(name, TOKENIZER_CONFIG_FILE, where).get("tokenizer_class")
    model_type = getattr(config, "model_type", None)
    if class_name is None:
        model = read_optional(name, CONFIG_NAME, where) if config is None else vars(config)
        class_name, model_type = model.get("tokenizer_class"), model.get("model_type", model_type)
    for kind, place in TOKENIZER_MAPPING.items():
        wanted = place.endswith(f":{str(class_name).removesuffix('Fast')}Fast")
        if wanted or (class_name is None and kind == model_type):
            return _load(place)
    if has(TOKENIZER_FILE):  # says all about a tokenizer
        return PreTrainedTokenizerFast
    if class_name is None:
        for candidate in map(_load, TOKENIZER_MAPPING.values()):
            if all(map(has, candidate.vocab_files_names.values())):
                return candidate
    elif class_name not in ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"):
        names = ", ".join(place.partition(":")[2].removesuffix("Fast") for place in TOKENIZER_MAPPING.values())
        raise CheckpointError(
            f"{name} has a tokenizer of class {class_name!r} and no tokenizer.json: this lean library has "
            f"{names}, and anything that comes as a tokenizer.json"
        )
    return PreTrainedTokenizerFast  # says what is missing


def _load(place: str) -> type[PreTrainedTokenizerFast]:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"...{module}", __package__), name)

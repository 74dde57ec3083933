"""`AutoTokenizer`: the tokenizer class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import os
from typing import Any

from ...backbones import BACKBONES, FOR_STOCK
from ...configuration_utils import CONFIG_NAME
from ...tokenization_utils_fast import (
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    PreTrainedTokenizerFast,
    read_optional,
)
from ...utils.errors import CheckpointError
from ...utils.hub import HUB_ARGUMENTS, resolve_file


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
    wanted = str(class_name).removesuffix("Fast")
    for kind, backbone in BACKBONES.items():
        kinds = (kind, FOR_STOCK + kind)
        if wanted == f"{backbone.prefix}Tokenizer" or (class_name is None and model_type in kinds):
            return backbone.tokenizer_class
    if has(TOKENIZER_FILE):  # says all about a tokenizer
        return PreTrainedTokenizerFast
    if class_name is None:
        for backbone in BACKBONES.values():
            if all(map(has, backbone.tokenizer_class.vocab_files_names.values())):
                return backbone.tokenizer_class
    elif class_name not in ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"):
        names = ", ".join(f"{backbone.prefix}Tokenizer" for backbone in BACKBONES.values())
        raise CheckpointError(
            f"{name} has a tokenizer of class {class_name!r} and no tokenizer.json: this lean library has "
            f"{names}, and anything that comes as a tokenizer.json"
        )
    return PreTrainedTokenizerFast  # says what is missing

"""`AutoTokenizer`: the tokenizer class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import os
from typing import Any

from ...backbones import BACKBONES, FOR_STOCK, register
from ...configuration_utils import CONFIG_NAME, PretrainedConfig
from ...tokenization_utils_fast import (
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    PreTrainedTokenizerFast,
    read_optional,
)
from ...utils.errors import CheckpointError, ConfigurationError
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

    @classmethod
    def register(
        cls,
        config_class: type[PretrainedConfig],
        tokenizer_class: type[PreTrainedTokenizerFast] | None = None,
        slow_tokenizer_class: type[PreTrainedTokenizerFast] | None = None,
        fast_tokenizer_class: type[PreTrainedTokenizerFast] | None = None,
        exist_ok: bool = False,
    ) -> None:
        """Choose a tokenizer class of your own for a configuration of your own.

        Args:
            config_class, exist_ok: as for `AutoConfig.register`.
            tokenizer_class, slow_tokenizer_class, fast_tokenizer_class: the class, under either name.

        Raises:
            ConfigurationError: there is one already, or no class was given.
        """
        chosen = fast_tokenizer_class or tokenizer_class or slow_tokenizer_class
        if chosen is None:
            raise ConfigurationError("no tokenizer class: give fast_tokenizer_class")
        register(config_class.model_type, config_class, "TokenizerFast", chosen, exist_ok)


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
        own = backbone.own_classes.get("TokenizerFast")
        saved = (
            vars(own).get("saved_class", own.__name__.removesuffix("Fast")) if own else f"{backbone.prefix}Tokenizer"
        )
        if wanted == saved or (class_name is None and model_type in (kind, FOR_STOCK + kind)):
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

"""`AutoConfig`: the configuration class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import os
from typing import Any

from ...configuration_utils import PretrainedConfig
from ...utils.errors import ConfigurationError
from ..albert.configuration_albert import AlbertConfig
from ..bert.configuration_bert import BertConfig

CONFIG_MAPPING: dict[str, type[PretrainedConfig]] = {"bert": BertConfig, "albert": AlbertConfig}


class AutoConfig:
    """Read a configuration without knowing the kind of model; use the class methods, not the constructor.

    Example:
        >>> AutoConfig.for_model("albert", hidden_size=768, num_attention_heads=12).model_type
        'albert'
    """

    def __init__(self) -> None:
        raise TypeError("AutoConfig has no instances: use AutoConfig.from_pretrained or AutoConfig.for_model")

    @classmethod
    def for_model(cls, model_type: str, **kwargs: Any) -> PretrainedConfig:
        """Build a configuration of a kind of model ("bert", "albert") from its settings.

        Raises:
            ConfigurationError: this library does not have the kind of model, or a setting is wrong.
        """
        return config_class_for(model_type, "this configuration")(**kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Read the configuration of a checkpoint; arguments and result are those of `PretrainedConfig.from_pretrained`.

        Raises:
            CheckpointError: config.json cannot be found or read.
            ConfigurationError: this library does not have the kind of model, or a setting is wrong or unknown.
        """
        name = os.fspath(pretrained_model_name_or_path)
        config_dict, overrides = PretrainedConfig.get_config_dict(name, **kwargs)
        return config_class_for(config_dict.get("model_type"), name)._of_checkpoint(name, config_dict, overrides)


def config_class_for(model_type: Any, origin: str) -> type[PretrainedConfig]:
    """Return the configuration class of a model type.

    Args:
        model_type: the value of config.json's key of that name; None where it has none.
        origin: what to call the checkpoint in an error.
    """
    known = ", ".join(CONFIG_MAPPING)
    if model_type is None:
        raise ConfigurationError(f"{origin} has no model_type in its config.json: expected one of {known}")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise ConfigurationError(f"{origin} is a model of type {model_type!r}: this lean library has {known} only")
    return CONFIG_MAPPING[model_type]

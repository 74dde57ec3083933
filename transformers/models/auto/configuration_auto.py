"""`AutoConfig`: the configuration class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import os
from typing import Any

from ...backbones import backbone_of, register
from ...configuration_utils import PretrainedConfig


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
        """Build a configuration of a kind of model, a key of `BACKBONES`, from its settings.

        Raises:
            ConfigurationError: this library does not have the kind of model, or a setting is wrong.
        """
        return backbone_of(model_type).config_class(**kwargs)

    @classmethod
    def register(cls, model_type: str, config: type[PretrainedConfig], exist_ok: bool = False) -> None:
        """Let the Auto classes know a kind of model of your own.

        Args:
            model_type: its name, which `config` has as its `model_type`.
            config: a class derived from the configuration of a model here; it has to be known before it is built.
            exist_ok: replace one that is there already.

        Raises:
            ConfigurationError: the names disagree, there is one already, or it is derived from none.
        """
        register(model_type, config, "Config", config, exist_ok)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Read the configuration of a checkpoint; arguments and result are those of `PretrainedConfig.from_pretrained`.

        Raises:
            CheckpointError: config.json cannot be found or read.
            ConfigurationError: this library does not have the kind of model, or a setting is wrong or unknown.
        """
        name = os.fspath(pretrained_model_name_or_path)
        config_dict, overrides = PretrainedConfig.get_config_dict(name, **kwargs)
        backbone = backbone_of(config_dict.get("model_type"), name)
        return backbone.config_class._of_checkpoint(name, config_dict, overrides)

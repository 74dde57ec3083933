"""`AutoModel` and its kin for each head; mirrors Hugging Face's classes of these names."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from ...backbones import backbone_of, register
from ...configuration_utils import PretrainedConfig
from ...modeling_utils import PreTrainedModel
from ...utils.hub import HUB_ARGUMENTS


class _AutoModel:
    """Chooses a model class by the model type of a configuration."""

    _ending: ClassVar[str]  # of the names of its classes

    def __init__(self) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} has no instances: use {name}.from_pretrained or {name}.from_config")

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *, config: Any = None, **kwargs: Any
    ) -> Any:
        """Load a checkpoint of any kind that this library has.

        Args:
            pretrained_model_name_or_path: a local folder, or a Hub id.
            config: a configuration, or where to read one; default that of the checkpoint.
            **kwargs: as for `PreTrainedModel.from_pretrained`.

        Returns:
            The model; with `output_loading_info=True` a pair of it and what became of the checkpoint's tensors.

        Raises:
            CheckpointError: the checkpoint cannot be found or read, or does not fit.
            ConfigurationError: the kind of model is not in this library, or a setting is wrong.
        """
        if isinstance(config, PretrainedConfig):
            model_class = cls._class_for(config.model_type, "this configuration")
        else:
            origin = os.fspath(config or pretrained_model_name_or_path)
            where = {key: kwargs[key] for key in HUB_ARGUMENTS if key in kwargs}
            config_dict, _ = PretrainedConfig.get_config_dict(origin, **where)
            model_class = cls._class_for(config_dict.get("model_type"), origin)
        return model_class.from_pretrained(pretrained_model_name_or_path, config=config, **kwargs)

    @classmethod
    def from_config(cls, config: PretrainedConfig, **kwargs: Any) -> PreTrainedModel:
        """Build a model with newly drawn weights.

        Args:
            config: its configuration.
            **kwargs: as for `PreTrainedModel.from_config`.
        """
        return cls._class_for(config.model_type, "this configuration").from_config(config, **kwargs)

    @classmethod
    def register(
        cls, config_class: type[PretrainedConfig], model_class: type[PreTrainedModel], exist_ok: bool = False
    ) -> None:
        """Choose a model class of your own for a configuration of your own; arguments as of `AutoConfig.register`."""
        register(config_class.model_type, config_class, cls._ending, model_class, exist_ok)

    @classmethod
    def _class_for(cls, model_type: Any, origin: str) -> type[PreTrainedModel]:
        return backbone_of(model_type, origin).model_class(cls._ending)


class AutoModel(_AutoModel):
    """Base models, such as `BertModel`; use the class methods, not the constructor.

    Example:
        >>> from transformers import BertConfig
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=8)
        >>> type(AutoModel.from_config(config)).__name__
        'BertModel'
    """

    _ending = "Model"


class AutoModelForSequenceClassification(_AutoModel):
    """Classifiers, such as `BertForSequenceClassification`; use the class methods, not the constructor.

    Example:
        >>> from transformers import BertConfig
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=8, num_labels=3)
        >>> AutoModelForSequenceClassification.from_config(config).classifier.out_features
        3
    """

    _ending = "ForSequenceClassification"


class AutoModelForMaskedLM(_AutoModel):
    """Models that predict masked tokens, such as `BertForMaskedLM`; use the class methods, not the constructor."""

    _ending = "ForMaskedLM"


class AutoModelForTokenClassification(_AutoModel):
    """Classifiers of tokens, such as `BertForTokenClassification`; use the class methods, not the constructor."""

    _ending = "ForTokenClassification"


class AutoModelForQuestionAnswering(_AutoModel):
    """Models that find an answer's span, such as `BertForQuestionAnswering`; use the class methods."""

    _ending = "ForQuestionAnswering"

"""`AutoModel` and `AutoModelForSequenceClassification`; mirrors Hugging Face's classes of these names."""

from __future__ import annotations

import importlib
import os
from typing import Any, ClassVar

from ...configuration_utils import PretrainedConfig
from ...modeling_utils import PreTrainedModel
from ...utils.hub import HUB_ARGUMENTS
from .configuration_auto import config_class_for

# Loaded on first use: a run needs one of the two models.
_MODULES = {"bert": "transformers.models.bert.modeling_bert", "albert": "transformers.models.albert.modeling_albert"}


class _AutoModel:
    """Chooses a model class by the model type of a configuration."""

    _model_mapping: ClassVar[dict[str, str]]

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
    def _class_for(cls, model_type: Any, origin: str) -> type[PreTrainedModel]:
        known = config_class_for(model_type, origin).model_type
        return getattr(importlib.import_module(_MODULES[known]), cls._model_mapping[known])


class AutoModel(_AutoModel):
    """Base models: `BertModel`, `AlbertModel`; use the class methods, not the constructor.

    Example:
        >>> from transformers import BertConfig
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=8)
        >>> type(AutoModel.from_config(config)).__name__
        'BertModel'
    """

    _model_mapping: ClassVar[dict[str, str]] = {"bert": "BertModel", "albert": "AlbertModel"}


class AutoModelForSequenceClassification(_AutoModel):
    """Classifiers: `BertForSequenceClassification`, `AlbertForSequenceClassification`; use the class methods.

    Example:
        >>> from transformers import BertConfig
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=8, num_labels=3)
        >>> AutoModelForSequenceClassification.from_config(config).classifier.out_features
        3
    """

    _model_mapping: ClassVar[dict[str, str]] = {
        "bert": "BertForSequenceClassification",
        "albert": "AlbertForSequenceClassification",
    }

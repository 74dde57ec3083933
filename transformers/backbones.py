"""The kinds of models that this library has: one record each, all that the rest of the house has to know of it.

A new backbone is a folder in `models/` and a line here. Classes are named, and loaded on first use.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from .utils.errors import ConfigurationError


@dataclass(frozen=True)
class Backbone:
    """One kind of model.

    Attributes:
        folder: its folder in `models/`, which is also the end of its modules' names.
        prefix: of its class names, as in `BertModel`, all of which are public.
        site_numbers: the digit of each site in `--pos`, in the order of `contranorm_sites.SITES`.
        contranorm_identity: whether its ContraNorm adds `scale` times the input back.
        stacks: where its layers are in a checkpoint: what stands before their number in the names of their tensors,
            behind a dot or at the beginning, and the setting that counts them.
        unused_keys: how the names of tensors begin that its checkpoints have for other purposes, and that nobody
            misses where the model has no place for them.
    """

    folder: str
    prefix: str
    site_numbers: str = "12374586"  # the released BERT code's: 7 and 8 were added after 1 to 6 had been numbered
    contranorm_identity: bool = True
    stacks: tuple[tuple[str, str], ...] = (("encoder.layer.", "num_hidden_layers"),)
    unused_keys: tuple[str, ...] = ("cls.",)

    @property
    def config_class(self) -> Any:
        """The class of its configuration."""
        return self.load(f"configuration_{self.folder}", f"{self.prefix}Config")

    def model_class(self, ending: str) -> Any:
        """The class of a model: "Model", or that of a head such as "ForSequenceClassification"."""
        return self.load(f"modeling_{self.folder}", f"{self.prefix}{ending}")

    @property
    def tokenizer_class(self) -> Any:
        """The class of its tokenizer."""
        return self.load(f"tokenization_{self.folder}_fast", f"{self.prefix}TokenizerFast")

    @property
    def public_names(self) -> dict[str, tuple[str, ...]]:
        """The names that the library offers of it, by their module."""
        endings = {
            f"configuration_{self.folder}": ("Config",),
            f"modeling_{self.folder}": ("ForSequenceClassification", "Model", "PreTrainedModel"),
            f"tokenization_{self.folder}_fast": ("Tokenizer", "TokenizerFast"),
        }
        return {f"models.{self.folder}.{key}": tuple(self.prefix + end for end in endings[key]) for key in endings}

    def load(self, module: str, name: str) -> Any:
        """Return a class out of a module of its folder."""
        return getattr(importlib.import_module(f"{__package__}.models.{self.folder}.{module}"), name)


_RECORDS = (
    Backbone("bert", "Bert"),
    Backbone(
        "albert",
        "Albert",
        site_numbers="12345678",
        contranorm_identity=False,
        stacks=(("encoder.albert_layer_groups.", "num_hidden_groups"), ("albert_layers.", "inner_group_num")),
        unused_keys=("predictions.", "sop_classifier."),
    ),
    Backbone("roberta", "Roberta", unused_keys=("lm_head.", "roberta.pooler.", "pooler.")),
    Backbone("electra", "Electra", unused_keys=("discriminator_predictions.", "generator_")),
    Backbone(
        "distilbert", "DistilBert", stacks=(("transformer.layer.", "num_hidden_layers"),), unused_keys=("vocab_",)
    ),
)
BACKBONES: dict[str, Backbone] = {record.folder: record for record in _RECORDS}
# Stands before the kind of a model whose checkpoint carries its layer, see `for_stock.py`.
FOR_STOCK = "contranorm_"


def backbone_of(model_type: Any, origin: str = "this configuration") -> Backbone:
    """Return the record of a model type.

    Args:
        model_type: the value of config.json's key of that name; None where it has none. That of a checkpoint which
            carries its layer is the same model.
        origin: what to call the checkpoint in an error.

    Raises:
        ConfigurationError: this library does not have it.

    Example:
        >>> backbone_of("albert").prefix
        'Albert'
    """
    known = ", ".join(BACKBONES)
    if model_type is None:
        raise ConfigurationError(f"{origin} has no model_type in its config.json: expected one of {known}")
    kind = model_type.removeprefix(FOR_STOCK) if isinstance(model_type, str) else None
    if kind not in BACKBONES:
        raise ConfigurationError(f"{origin} is a model of type {model_type!r}: this lean library has {known} only")
    return BACKBONES[kind]

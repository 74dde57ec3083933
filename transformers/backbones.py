"""The kinds of models that this library has: one record each, all that the rest of the house has to know of it.

A new backbone is a folder in `models/` and a line here. Classes are named, and loaded on first use. Kinds that others
derive from these are added by `register` while a program runs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from typing import Any

from .utils.errors import ConfigurationError

HEADS = ("ForSequenceClassification", "ForMaskedLM", "ForTokenClassification", "ForQuestionAnswering")


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
        own_classes: what stands in the place of its classes, by the ending of their names: of a kind that is derived.
    """

    folder: str
    prefix: str
    site_numbers: str = "12374586"  # the released BERT code's: 7 and 8 were added after 1 to 6 had been numbered
    contranorm_identity: bool = True
    stacks: tuple[tuple[str, str], ...] = (("encoder.layer.", "num_hidden_layers"),)
    unused_keys: tuple[str, ...] = ("cls.", "bert.pooler.", "pooler.")
    own_classes: dict[str, Any] = field(default_factory=dict)

    @property
    def config_class(self) -> Any:
        """The class of its configuration."""
        return self.load("configuration", "Config")

    def model_class(self, ending: str) -> Any:
        """The class of a model: "Model", or that of a head such as "ForSequenceClassification"."""
        return self.load("modeling", ending)

    @property
    def tokenizer_class(self) -> Any:
        """The class of its tokenizer."""
        return self.load("tokenization", "TokenizerFast", "_fast")

    @property
    def public_names(self) -> dict[str, tuple[str, ...]]:
        """The names that the library offers of it, by their module."""
        endings = {
            f"configuration_{self.folder}": ("Config",),
            f"modeling_{self.folder}": (*HEADS, "Model", "PreTrainedModel"),
            f"tokenization_{self.folder}_fast": ("Tokenizer", "TokenizerFast"),
        }
        return {f"models.{self.folder}.{key}": tuple(self.prefix + end for end in endings[key]) for key in endings}

    def load(self, kind: str, ending: str, suffix: str = "") -> Any:
        """Return a class: its own one, or one out of a module of its folder."""
        if ending in self.own_classes:
            return self.own_classes[ending]
        if kind == "modeling" and "Config" in self.own_classes:
            name = self.own_classes["Config"].model_type
            raise ConfigurationError(f"no class {ending!r} is registered for models of type {name!r}")
        module = f"{__package__}.models.{self.folder}.{kind}_{self.folder}{suffix}"
        return getattr(importlib.import_module(module), self.prefix + ending)


_RECORDS = (
    Backbone("bert", "Bert"),
    Backbone(
        "albert",
        "Albert",
        site_numbers="12345678",
        contranorm_identity=False,
        stacks=(("encoder.albert_layer_groups.", "num_hidden_groups"), ("albert_layers.", "inner_group_num")),
        unused_keys=("predictions.", "sop_classifier.", "albert.pooler.", "pooler."),
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
    kind = model_type
    if isinstance(model_type, str) and model_type not in BACKBONES:
        kind = model_type.removeprefix(FOR_STOCK)
    if not isinstance(kind, str) or kind not in BACKBONES:
        raise ConfigurationError(f"{origin} is a model of type {model_type!r}: this lean library has {known} only")
    return BACKBONES[kind]


def register(model_type: str, config_class: Any, ending: str, own_class: Any, exist_ok: bool = False) -> None:
    """Let the Auto classes know a class of somebody's own, for a kind of model derived from one of these.

    Args:
        model_type: the kind of model.
        config_class: the class of its configuration, derived from one here, whose record it otherwise takes.
        ending: which class it is: "Config", "TokenizerFast", "Model" or that of a head.
        own_class: the class.
        exist_ok: replace one that is there already.

    Raises:
        ConfigurationError: the names disagree, there is such a class already, or no kind of model to derive from.
    """
    if getattr(config_class, "model_type", None) != model_type:
        found = getattr(config_class, "model_type", None)
        raise ConfigurationError(f"{config_class.__name__} has the model_type {found!r}: expected {model_type!r}")
    parent = next((kind.model_type for kind in config_class.__mro__ if vars(kind).get("model_type") in BACKBONES), None)
    if parent is None:
        known = ", ".join(f"{record.prefix}Config" for record in _RECORDS)
        raise ConfigurationError(f"{config_class.__name__} is derived from no kind of model here: expected {known}")
    own = BACKBONES[model_type].own_classes if parent == model_type else {"Config": config_class}
    is_taken = parent == model_type and (ending in own or "Config" not in own)
    if is_taken and not exist_ok:
        raise ConfigurationError(f"{model_type!r} has a class for {ending} already: give exist_ok=True to replace it")
    BACKBONES[model_type] = replace(BACKBONES[parent], own_classes={**own, ending: own_class})

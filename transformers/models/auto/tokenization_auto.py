"""`AutoTokenizer`: the tokenizer class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ...configuration_utils import CONFIG_NAME
from ...tokenization_utils_fast import TOKENIZER_FILE, PreTrainedTokenizerFast, read_tokenizer_config
from ...utils.errors import CheckpointError
from ...utils.files import read_json
from ...utils.hub import HUB_ARGUMENTS, resolve_file

# By the type of the model: where its tokenizer's class is.
TOKENIZER_MAPPING = {
    "bert": "bert.tokenization_bert_fast:BertTokenizerFast",
    "albert": "albert.tokenization_albert_fast:AlbertTokenizerFast",
    "roberta": "roberta.tokenization_roberta_fast:RobertaTokenizerFast",
    "electra": "electra.tokenization_electra_fast:ElectraTokenizerFast",
    "distilbert": "distilbert.tokenization_distilbert_fast:DistilBertTokenizerFast",
}

_ANY_CLASS = ("PreTrainedTokenizer", "TokenizersBackend")  # names of tokenizers that a tokenizer.json says all about


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
    class_name = read_tokenizer_config(name, **where).get("tokenizer_class")
    if class_name is None:
        model = _model_settings(name, config, where)
        class_name = model.get("tokenizer_class")
        if class_name is None and str(model.get("model_type")) in TOKENIZER_MAPPING:
            return _load(TOKENIZER_MAPPING[str(model["model_type"])])
    for place in TOKENIZER_MAPPING.values():
        if place.endswith(f":{str(class_name).removesuffix('Fast')}Fast"):
            return _load(place)
    known = str(class_name).removesuffix("Fast") in _ANY_CLASS
    if known or resolve_file(name, TOKENIZER_FILE, required=False, **where) is not None:
        return PreTrainedTokenizerFast
    if class_name is None:
        for candidate in map(_load, (TOKENIZER_MAPPING["bert"], TOKENIZER_MAPPING["albert"])):
            for filename in candidate.vocab_files_names.values():
                if resolve_file(name, filename, required=False, **where) is not None:
                    return candidate
        return PreTrainedTokenizerFast  # says what is missing
    names = ", ".join(place.partition(":")[2].removesuffix("Fast") for place in TOKENIZER_MAPPING.values())
    raise CheckpointError(
        f"{name} has a tokenizer of class {class_name!r} and no tokenizer.json: this lean library has "
        f"{names}, and anything that comes as a tokenizer.json"
    )


def _load(place: str) -> type[PreTrainedTokenizerFast]:
    module, _, name = place.partition(":")
    found: type[PreTrainedTokenizerFast] = getattr(importlib.import_module(f"..{module}", __package__), name)
    return found


def _model_settings(name: str, config: Any, where: dict[str, Any]) -> dict[str, Any]:
    if config is not None:
        return {"model_type": getattr(config, "model_type", None), **vars(config)}
    path = resolve_file(name, CONFIG_NAME, required=False, **where)
    return {} if path is None else read_json(path)

"""`AutoTokenizer`: the tokenizer class that belongs to a checkpoint; mirrors Hugging Face's class of that name."""

from __future__ import annotations

import os
from typing import Any

from ...configuration_utils import CONFIG_NAME
from ...tokenization_files import TOKENIZER_FILE, read_tokenizer_config
from ...tokenization_utils_fast import PreTrainedTokenizerFast
from ...utils.errors import CheckpointError
from ...utils.files import read_json
from ...utils.hub import HUB_ARGUMENTS, resolve_file
from ..albert.tokenization_albert_fast import AlbertTokenizerFast
from ..bert.tokenization_bert_fast import BertTokenizerFast

TOKENIZER_MAPPING: dict[str, type[PreTrainedTokenizerFast]] = {"bert": BertTokenizerFast, "albert": AlbertTokenizerFast}

# By their name in tokenizer_config.json, with and without "Fast".
_CLASSES: dict[str, type[PreTrainedTokenizerFast]] = {
    "BertTokenizer": BertTokenizerFast,
    "AlbertTokenizer": AlbertTokenizerFast,
    "PreTrainedTokenizer": PreTrainedTokenizerFast,
    "TokenizersBackend": PreTrainedTokenizerFast,
}


class AutoTokenizer:
    """Load a tokenizer without knowing its class; use `from_pretrained`, not the constructor."""

    def __init__(self) -> None:
        raise TypeError("AutoTokenizer has no instances: use AutoTokenizer.from_pretrained")

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: Any = None,
        use_fast: bool = True,
        **kwargs: Any,
    ) -> PreTrainedTokenizerFast:
        """Load the tokenizer of a checkpoint.

        The class is that of tokenizer_config.json, else that of the kind of model in config.json. A class that is not
        here is stood in for by `PreTrainedTokenizerFast` if there is a tokenizer.json, which needs no class.

        Args:
            pretrained_model_name_or_path: a local folder, or a Hub id.
            config: a configuration of the model, in place of config.json.
            use_fast: accepted for the calls of others; all tokenizers here are fast, and give the slow ones' ids.
            **kwargs: see `PreTrainedTokenizerBase.from_pretrained`.

        Raises:
            CheckpointError: the files cannot be found or read, or need a class that is not here.
            ConfigurationError: an argument is no setting of the tokenizer.
        """
        name = os.fspath(pretrained_model_name_or_path)
        where = {key: value for key, value in kwargs.items() if key in HUB_ARGUMENTS}
        tokenizer_class = _class_of(name, config, where)
        return tokenizer_class.from_pretrained(name, **kwargs)


def _class_of(name: str, config: Any, where: dict[str, Any]) -> type[PreTrainedTokenizerFast]:
    class_name = read_tokenizer_config(name, **where).get("tokenizer_class")
    if class_name is None:
        model = _model_settings(name, config, where)
        class_name = model.get("tokenizer_class")
        model_type = str(model.get("model_type"))
        if class_name is None and model_type in TOKENIZER_MAPPING:
            return TOKENIZER_MAPPING[model_type]
    known = _CLASSES.get(str(class_name).removesuffix("Fast"))
    if known is not None:
        return known
    if resolve_file(name, TOKENIZER_FILE, required=False, **where) is not None:
        return PreTrainedTokenizerFast
    if class_name is None:
        for candidate in (BertTokenizerFast, AlbertTokenizerFast):
            for filename in candidate.vocab_files_names.values():
                if resolve_file(name, filename, required=False, **where) is not None:
                    return candidate
        return PreTrainedTokenizerFast  # says what is missing
    raise CheckpointError(
        f"{name} has a tokenizer of class {class_name!r} and no tokenizer.json: this lean library has "
        f"{', '.join(_CLASSES)}, and anything that comes as a tokenizer.json"
    )


def _model_settings(name: str, config: Any, where: dict[str, Any]) -> dict[str, Any]:
    if config is not None:
        return {"model_type": getattr(config, "model_type", None), **vars(config)}
    path = resolve_file(name, CONFIG_NAME, required=False, **where)
    return {} if path is None else read_json(path)

"""Loading and saving tokenizers: which files there are, what they say, and which of them wins.

The rules are those of Hugging Face's `from_pretrained` and `save_pretrained`: an argument wins over
special_tokens_map.json, and that over tokenizer_config.json, unless the latter lists the added tokens itself.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .utils.errors import CheckpointError, ConfigurationError
from .utils.files import make_folder, read_json, write_whole
from .utils.hub import HUB_ARGUMENTS, resolve_file

if TYPE_CHECKING:
    from tokenizers import AddedToken

    from .tokenization_utils_base import PreTrainedTokenizerBase

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_MAP_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

# Arguments that say what to build from. In a downloaded tokenizer_config.json they could name any file of the machine.
_SOURCES = ("vocab", "vocab_file", "tokenizer_file", "tokenizer_object")
_WRITTEN_ANEW = ("tokenizer_class", "name_or_path", "special_tokens_map_file", "init_inputs")

T = TypeVar("T", bound="PreTrainedTokenizerBase")


def load_tokenizer(cls: type[T], name: str, options: Mapping[str, Any]) -> T:
    """Build a tokenizer from the files of a checkpoint; see `PreTrainedTokenizerBase.from_pretrained`."""
    where = {key: value for key, value in options.items() if key in HUB_ARGUMENTS}
    given: dict[str, Any] = {key: value for key, value in options.items() if key not in HUB_ARGUMENTS}
    known = setting_names(cls)
    for key in given:
        if key not in known:
            raise ConfigurationError(f"{key!r} is no setting of {cls.__name__}: expected one of {', '.join(known)}")

    files = _vocabulary_files(cls, name, where)
    try:
        return _build(cls, name, files, given, where)
    except (CheckpointError, ConfigurationError):
        raise
    except Exception as error:  # what stands in the files decides what their readers, ours and others', stumble over
        reason = str(error) or type(error).__name__
        raise CheckpointError(f"cannot load the tokenizer of {name}: {reason}") from error


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Write the files of a tokenizer; see `PreTrainedTokenizerBase.save_pretrained`."""
    folder = make_folder(save_directory)
    special: dict[str, Any] = dict(tokenizer.special_tokens_map)
    if tokenizer.extra_special_tokens:
        special["additional_special_tokens"] = tokenizer.extra_special_tokens
    kept = [name for name in setting_names(type(tokenizer)) if name in vars(tokenizer) and name != "name_or_path"]
    config = {
        **tokenizer.other_settings,
        **{name: getattr(tokenizer, name) for name in kept},
        **special,
        "tokenizer_class": tokenizer.saved_class,
    }
    write_whole(folder / TOKENIZER_FILE, tokenizer._save_backend)
    _write_json(folder / TOKENIZER_CONFIG_FILE, config)
    _write_json(folder / SPECIAL_TOKENS_MAP_FILE, special)
    names = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_MAP_FILE)
    return (*(str(folder / name) for name in names), *tokenizer.save_vocabulary(folder))


def read_tokenizer_config(name: str, **where: Any) -> dict[str, Any]:
    """Return the content of a checkpoint's tokenizer_config.json; an empty dictionary if it has none.

    Args:
        name: a local folder, or a Hub id.
        **where: see `resolve_file`.

    Raises:
        CheckpointError: the file cannot be read.
    """
    return _read_optional(name, TOKENIZER_CONFIG_FILE, where)


def setting_names(cls: type) -> list[str]:
    """Return the arguments of a tokenizer's constructor, without those that say what to build it from."""
    names: dict[str, None] = {}
    for base in cls.__mro__[:-1]:
        for parameter in list(inspect.signature(base).parameters.values()):
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name not in _SOURCES:
                names[parameter.name] = None
    names.pop("special_tokens", None)
    return [*names, *(role for role in getattr(cls, "SPECIAL_TOKENS_ATTRIBUTES", ()) if role not in names)]


def as_added_token(token: str | Mapping[str, Any] | AddedToken, **defaults: Any) -> AddedToken:
    """Return a token, as files or callers give it, with its flags.

    Args:
        token: its name, an object, or the dictionary of one.
        **defaults: flags of a token of which only the name is known.
    """
    from tokenizers import AddedToken

    if isinstance(token, str):
        return AddedToken(token, **defaults)
    if isinstance(token, Mapping):
        return AddedToken(**{key: value for key, value in token.items() if key not in ("__type", "id")})
    return token


def _build(cls: type[T], name: str, files: Mapping[str, str], given: Mapping[str, Any], where: Mapping[str, Any]) -> T:
    """Build a tokenizer from its vocabulary files, the arguments of a call, and what the other files say."""
    known = setting_names(cls)
    config = read_tokenizer_config(name, **where)
    by_id = config.pop("added_tokens_decoder", None)
    if by_id is None:
        by_id = {}
        config.update(_read_optional(name, SPECIAL_TOKENS_MAP_FILE, where))
        if "tokenizer_file" not in files:
            special = {_content(value) for key, value in config.items() if key in cls.SPECIAL_TOKENS_ATTRIBUTES}
            by_id = _old_added_tokens(_read_optional(name, ADDED_TOKENS_FILE, where), special)
    if "max_len" in config:
        config.setdefault("model_max_length", config.pop("max_len"))
    settings = {key: _with_added_tokens(value) for key, value in config.items() if key in known}
    other = {key: value for key, value in config.items() if key not in (*known, *_SOURCES, *_WRITTEN_ANEW)}
    arguments: dict[str, Any] = {**files, "added_tokens_decoder": by_id, **settings, **given, "name_or_path": name}
    tokenizer = cls(**arguments)
    tokenizer.other_settings = other
    return tokenizer


def _vocabulary_files(cls: type[PreTrainedTokenizerBase], name: str, where: Mapping[str, Any]) -> dict[str, str]:
    """Find the files that hold the vocabulary, by the argument that takes them."""
    candidates = {"tokenizer_file": TOKENIZER_FILE, **cls.vocab_files_names}
    found = {}
    for argument, filename in candidates.items():
        path = resolve_file(name, filename, required=False, **where)
        if path is not None:
            found[argument] = path
    if not found:
        if os.path.isdir(name):
            raise CheckpointError(f"the folder {name} has no tokenizer: expected {' or '.join(candidates.values())}")
        resolve_file(name, TOKENIZER_FILE, **where)  # says why there is nothing
    return found


def _read_optional(name: str, filename: str, where: Mapping[str, Any]) -> dict[str, Any]:
    path = resolve_file(name, filename, required=False, **where)
    return {} if path is None else read_json(path)


def _old_added_tokens(id_of_token: Mapping[str, int], special: set[str]) -> dict[int, AddedToken]:
    """Read the content of an added_tokens.json, in which tokens have no flags."""
    return {
        index: as_added_token(token, normalized=token not in special, special=token in special)
        for token, index in id_of_token.items()
    }


def _with_added_tokens(value: Any) -> Any:
    """Return a setting with the dictionaries in it that stand for tokens as such."""
    if isinstance(value, Mapping) and "content" in value:
        return as_added_token({"special": True, **value})
    return [_with_added_tokens(item) for item in value] if isinstance(value, list) else value


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, Mapping) else token)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_whole(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")

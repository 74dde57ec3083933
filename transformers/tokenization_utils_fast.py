"""`PreTrainedTokenizerFast`: tokenizers from files and to files; mirrors Hugging Face's class of that name.

The rules are those of `from_pretrained` and `save_pretrained` there: an argument wins over special_tokens_map.json, and
that over tokenizer_config.json, unless the latter lists the added tokens itself.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tokenizers import Tokenizer

from .tokenization_training import train_backend
from .tokenization_utils_base import LARGE_INTEGER, SIDES, VERY_LARGE_INTEGER, PreTrainedTokenizerBase, one_of
from .tokenization_vocabulary import Token, as_added_token, library_errors
from .utils.checks import check_count, drop_without_effect
from .utils.errors import CheckpointError, ConfigurationError, MethodNameError
from .utils.files import make_folder, read_json, write_whole
from .utils.folders import mistaken_for_checkpoint
from .utils.hub import HUB_ARGUMENTS, resolve_file

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_MAP_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

# Arguments that say what to build from. In a downloaded tokenizer_config.json they could name any file of the machine.
_SOURCES = ("vocab", "vocab_file", "merges", "merges_file", "tokenizer_file", "tokenizer_object")
_WRITTEN_ANEW = ("tokenizer_class", "name_or_path", "special_tokens_map_file", "init_inputs")

_ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token")

T = TypeVar("T", bound="PreTrainedTokenizerFast")


class PreTrainedTokenizerFast(PreTrainedTokenizerBase):
    """A tokenizer of the `tokenizers` library, as its file describes it.

    Args:
        tokenizer_object: a `tokenizers.Tokenizer`; used as it is, not copied.
        tokenizer_file: path of a tokenizer.json, where there is no object.
        added_tokens_decoder: tokens that it does not have, by id.
        extra_special_tokens, additional_special_tokens: special tokens without a role, two names for one list; of a
            dictionary the values count.
        model_max_length: tokens that the model can take; default None is no limit.
        padding_side: "right" (default) or "left".
        truncation_side: "right" (default) or "left", where a text that is too long loses tokens.
        model_input_names: features that a call returns, the ids first; default input_ids, token_type_ids,
            attention_mask. (The stock library's version 5 leaves token_type_ids out for ALBERT and for tokenizers of
            no class, so that the model takes a pair for one text; version 4 has them, as here.)
        clean_up_tokenization_spaces: take spaces away before punctuation when decoding; default False.
        split_special_tokens: take the name of a special token in a text for ordinary text; default False.
        name_or_path: where it was loaded from.
        **special_tokens: tokens by role: bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token.
            Special tokens that the vocabulary does not have are added at its end.

    Raises:
        CheckpointError: the file cannot be read.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> backend = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "red": 2, "house": 3}, unk_token="[UNK]"))
        >>> backend.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]")
        >>> tokenizer(["red house", "blue"], padding=True)["input_ids"]
        [[2, 3], [0, 1]]
    """

    vocab_files_names: ClassVar[dict[str, str]] = {}  # files besides tokenizer.json, by the argument that takes them
    saved_class: ClassVar[str] = "PreTrainedTokenizerFast"  # the name in tokenizer_config.json
    model: ClassVar[type | None] = None  # the algorithm of the `tokenizers` library that a class needs; None is any
    default_tokens: ClassVar[tuple[str, ...]] = ()  # those of _ROLES; in a vocabulary of nothing else, by id
    unread_settings: ClassVar[tuple[str, ...]] = ()  # those of other classes, which code that builds any class gives
    init_inputs: tuple[Any, ...] = ()  # there are none without a name

    def __init__(
        self,
        *,
        tokenizer_object: Tokenizer | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        added_tokens_decoder: Mapping[Any, Any] | None = None,
        extra_special_tokens: Sequence[Token] | Mapping[str, Token] | None = None,
        additional_special_tokens: Sequence[Token] | None = None,
        model_max_length: float | None = None,
        padding_side: str | None = None,
        truncation_side: str | None = None,
        model_input_names: Sequence[str] | None = None,
        clean_up_tokenization_spaces: bool = False,
        split_special_tokens: bool = False,
        name_or_path: str = "",
        **special_tokens: Token | None,
    ) -> None:
        unknown = set(special_tokens) - {*self.SPECIAL_TOKENS_ATTRIBUTES, *self.unread_settings}
        if unknown:
            raise TypeError(f"{type(self).__name__} got an unexpected argument {min(unknown)!r}")
        if tokenizer_object is None and tokenizer_file is None:
            raise ValueError(f"{type(self).__name__} needs a tokenizer_object or a tokenizer_file")
        backend = tokenizer_object or self.read_backend(tokenizer_file or "")
        # What a file says about padding and truncation is a default, and no more.
        padding, truncation = backend.padding or {}, backend.truncation or {}
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = self.split_special_tokens = bool(split_special_tokens)
        side = padding_side or padding.get("direction", self.padding_side)
        self.padding_side = one_of("padding_side", side, SIDES)
        side = truncation_side or truncation.get("direction", self.truncation_side)
        self.truncation_side = one_of("truncation_side", side, SIDES)
        is_number = isinstance(model_max_length, (int, float))
        no_limit = model_max_length is None or (is_number and model_max_length >= LARGE_INTEGER)
        self.model_max_length = VERY_LARGE_INTEGER if no_limit else check_count("model_max_length", model_max_length)
        self.model_input_names = list(model_input_names or self.model_input_names)
        self.clean_up_tokenization_spaces = bool(clean_up_tokenization_spaces)
        self.name_or_path = name_or_path
        self._tokenizer = backend
        self._other_settings: dict[str, Any] = {}  # keys of tokenizer_config.json without meaning here; saved again
        tokens = {"pad_token": padding.get("pad_token"), **self.special_tokens({}), **special_tokens}
        by_role = {role: token for role in self.SPECIAL_TOKENS_ATTRIBUTES if (token := tokens.get(role)) is not None}
        extra = extra_special_tokens or additional_special_tokens or ()
        extra = [*extra.values()] if isinstance(extra, Mapping) else [*extra]
        self._register(by_role, extra, added_tokens_decoder or {})

    @classmethod
    def special_tokens(cls, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the special tokens of this class by role, with those in their place that settings name."""
        defaults = zip(_ROLES, cls.default_tokens, strict=False)
        return {role: str(settings.get(role, token)) for role, token in defaults}

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """All settings and special tokens, as tokenizer_config.json has them."""
        kept = [name for name in setting_names(type(self)) if name in vars(self)]
        extra = {"additional_special_tokens": self.extra_special_tokens} if self.extra_special_tokens else {}
        settings = {name: getattr(self, name) for name in kept}
        return {**self._other_settings, **settings, **self.special_tokens_map, **extra}

    @classmethod
    def read_backend(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a tokenizer.json.

        Raises:
            CheckpointError: it is missing, no tokenizer, or one of another algorithm than this class has.
        """
        with library_errors(f"{path} is not a file of the tokenizers library"):
            backend = Tokenizer.from_str(Path(path).read_text(encoding="utf-8-sig"))
        if cls.model is not None and not isinstance(backend.model, cls.model):
            kind = type(backend.model).__name__
            raise CheckpointError(f"{path} holds a {kind} model, {cls.__name__} needs {cls.model.__name__}")
        return backend

    @classmethod
    def from_pretrained(cls: type[T], pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> T:
        """Load the tokenizer of a checkpoint.

        Args:
            pretrained_model_name_or_path: a local folder, or a Hub id.
            **kwargs: cache_dir, revision, token, local_files_only, force_download and subfolder say where to look (see
                `resolve_file`); those of the stock library that make no difference here, such as use_fast, are
                accepted; anything else replaces a setting of tokenizer_config.json.

        Raises:
            CheckpointError: its files cannot be found or read.
            ConfigurationError: an argument is no setting of this tokenizer.
        """
        name = os.fspath(pretrained_model_name_or_path)
        where = {key: value for key, value in kwargs.items() if key in HUB_ARGUMENTS}
        known = setting_names(cls)
        given = {key: value for key, value in kwargs.items() if key in known}
        others = {
            key: value for key, value in kwargs.items() if key not in (*HUB_ARGUMENTS, *known, *cls.unread_settings)
        }
        drop_without_effect(others)
        for key in others:
            if callable(getattr(cls, key, None)):
                raise MethodNameError(f"{key} is a method of {cls.__name__}, no setting: give it in a call")
            raise ConfigurationError(f"{key!r} is no setting of {cls.__name__}: expected one of {', '.join(known)}")
        candidates = {"tokenizer_file": TOKENIZER_FILE, **cls.vocab_files_names}
        found: dict[str, Any] = {
            key: resolve_file(name, file, required=False, **where) for key, file in candidates.items()
        }
        if not any(found.values()):
            if os.path.isdir(name):
                names = " or ".join(candidates.values())
                hint = mistaken_for_checkpoint(name)
                raise CheckpointError(f"the folder {name} has no tokenizer: expected {names}{hint}")
            resolve_file(name, TOKENIZER_FILE, **where)  # says why there is nothing
        with library_errors(f"cannot load the tokenizer of {name}"):
            config = read_optional(name, TOKENIZER_CONFIG_FILE, where)
            if "added_tokens_decoder" not in config:
                config |= read_optional(name, SPECIAL_TOKENS_MAP_FILE, where)
                old = read_optional(name, ADDED_TOKENS_FILE, where)
                config["added_tokens_decoder"] = _old_added_tokens(old, config, found["tokenizer_file"]) if old else {}
            if "max_len" in config:
                config.setdefault("model_max_length", config.pop("max_len"))
            settings = {key: _with_added_tokens(value) for key, value in config.items() if key in known}
            tokenizer = cls(**found, **{**settings, **given, "name_or_path": name})
        unread = (*known, *_SOURCES, *_WRITTEN_ANEW)
        tokenizer._other_settings = {key: value for key, value in config.items() if key not in unread}
        return tokenizer

    def train_new_from_iterator(
        self: T,
        text_iterator: Iterable[Any],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: Sequence[Token] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> T:
        """Return a tokenizer of the same class and settings whose vocabulary is learned from other texts.

        Args:
            text_iterator: texts, or lists of texts.
            vocab_size: tokens of the new vocabulary, special ones included, which come first.
            length: number of texts, for the progress bar; default unknown.
            new_special_tokens: special tokens besides those that this tokenizer has.
            special_tokens_map: other names for some of these.
            **kwargs: arguments of the trainer in the `tokenizers` library, such as `min_frequency`.
        """
        renamed = special_tokens_map or {}

        def named(value: Any) -> Any:
            return renamed.get(value, value) if isinstance(value, str) else value

        extra = [*map(named, self.extra_special_tokens), *(new_special_tokens or ())]
        special = dict.fromkeys([*map(named, self.all_special_tokens), *extra])
        settings: dict[str, Any] = {name: named(value) for name, value in self.init_kwargs.items()}
        settings = {name: value for name, value in settings.items() if name in setting_names(type(self))}
        settings |= {"additional_special_tokens": extra, "name_or_path": ""}
        unknown = settings.get("unk_token")
        trained = train_backend(
            self._tokenizer, text_iterator, vocab_size, [*special], unknown, renamed, length, **kwargs
        )
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, TOKENIZER_FILE))
            trained.save(path)
            return type(self)(tokenizer_file=path, **settings)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> tuple[str, ...]:
        """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and the vocabulary's own files.

        Args:
            save_directory: a folder; created if it does not exist.
            **kwargs: arguments of the stock library that make no difference here, such as `legacy_format`.

        Returns:
            The paths of the files.

        Raises:
            CheckpointError: the folder or a file cannot be written.
            ConfigurationError: an argument asks for what this library does not do.
        """
        drop_without_effect(kwargs, only=True)
        folder = make_folder(save_directory)
        settings = {key: value for key, value in self.init_kwargs.items() if key != "name_or_path"}
        roles = (*self.SPECIAL_TOKENS_ATTRIBUTES, "additional_special_tokens")
        special = {key: value for key, value in settings.items() if key in roles}
        settings["tokenizer_class"] = self.saved_class
        write_whole(folder / TOKENIZER_FILE, lambda path: self._tokenizer.save(str(path)))
        for name, content in ((TOKENIZER_CONFIG_FILE, settings), (SPECIAL_TOKENS_MAP_FILE, special)):
            text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
            write_whole(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
        names = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_MAP_FILE)
        return (*(str(folder / name) for name in names), *self.save_vocabulary(folder))

    def save_vocabulary(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the vocabulary in the format of its algorithm, besides tokenizer.json, where there is one.

        Nothing is written where the ids have gaps, for which vocab.txt has no line.

        Args:
            save_directory: an existing folder.

        Returns:
            The paths of the files.
        """
        ids = self._tokenizer.get_vocab(with_added_tokens=False).values()
        if not self.vocab_files_names or sorted(ids) != list(range(len(ids))):
            return ()
        with tempfile.TemporaryDirectory() as folder:
            return tuple(copy_whole(path, save_directory) for path in self._tokenizer.model.save(folder))


PreTrainedTokenizer = PreTrainedTokenizerFast  # there is no slow one


def copy_whole(source: str, folder: str | os.PathLike[str]) -> str:
    """Copy a file into a folder, as `write_whole` writes; return its path there."""
    path = Path(folder) / Path(source).name
    if not (path.exists() and path.samefile(source)):
        write_whole(path, lambda temporary: shutil.copyfile(source, temporary))
    return str(path)


def setting_names(cls: type) -> list[str]:
    """Return the arguments of a tokenizer's constructor, without those that say what to build it from."""
    parameters = [item for base in cls.__mro__[:-1] for item in inspect.signature(base).parameters.values()]
    named = [item.name for item in parameters if item.kind is not item.VAR_KEYWORD and item.name not in _SOURCES]
    return list(dict.fromkeys([*named, *getattr(cls, "SPECIAL_TOKENS_ATTRIBUTES", ())]))


def read_optional(name: str, filename: str, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file of a checkpoint; an empty dictionary if it has none.

    Args:
        name: a local folder, or a Hub id.
        filename: such as tokenizer_config.json.
        where: arguments of `resolve_file`.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = resolve_file(name, filename, required=False, **where)
    return {} if path is None else read_json(path)


def _old_added_tokens(ids: Mapping[str, int], config: Mapping[str, Any], tokenizer_file: str | None) -> dict[int, Any]:
    """Read the content of an added_tokens.json, in which tokens have no flags, beside what a tokenizer.json adds."""
    values = [value for key, value in config.items() if key.endswith(("_token", "_special_tokens"))]
    names = [item for value in values for item in (value if isinstance(value, list) else [value])]
    special = {str(item["content"] if isinstance(item, Mapping) else item) for item in names}
    added: dict[int, Any] = {
        int(index): as_added_token(token, normalized=token not in special, special=token in special)
        for token, index in ids.items()
    }
    listed = read_json(tokenizer_file).get("added_tokens", []) if tokenizer_file else []
    return added | {token["id"]: token for token in listed}


def _with_added_tokens(value: Any) -> Any:
    """Return a setting with the dictionaries in it that stand for tokens as such."""
    if isinstance(value, Mapping) and "content" in value:
        return as_added_token({"special": True, **value})
    return [_with_added_tokens(item) for item in value] if isinstance(value, list) else value

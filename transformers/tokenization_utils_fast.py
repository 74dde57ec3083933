"""`PreTrainedTokenizerFast`: a tokenizer that runs on the `tokenizers` library; mirrors Hugging Face's class.

Truncation and padding are settings of the library's tokenizer. They are set for a call and taken back after it, so that
a tokenizer is the same before and after (as are its hash and its saved file).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Encoding, Tokenizer

from .tokenization_files import as_added_token
from .tokenization_truncation import encode_long, is_long, pad_encodings
from .tokenization_utils_base import PreTrainedTokenizerBase, Shape
from .utils import logging
from .utils.errors import CheckpointError, ConfigurationError

logger = logging.get_logger(__name__)

_ONE_CALL = threading.Lock()  # a call's truncation and padding must not reach another thread's


class PreTrainedTokenizerFast(PreTrainedTokenizerBase):
    """A tokenizer of the `tokenizers` library, as its file describes it.

    Args:
        tokenizer_object: a `tokenizers.Tokenizer`; used as it is, not copied.
        tokenizer_file: path of a tokenizer.json, where there is no object.
        added_tokens_decoder: tokens that the file does not have, by id.
        **settings: those of `PreTrainedTokenizerBase`, special tokens among them. Special tokens that the vocabulary
            does not have are added at its end.

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

    _tokenizer: Tokenizer

    def __init__(
        self,
        *,
        tokenizer_object: Tokenizer | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        added_tokens_decoder: Mapping[Any, AddedToken | Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        if tokenizer_object is None:
            if tokenizer_file is None:
                raise ValueError(f"{type(self).__name__} needs a tokenizer_object or a tokenizer_file")
            tokenizer_object = read_backend(tokenizer_file)
        self._tokenizer = tokenizer_object
        # What a file says about padding and truncation is a default for the side, and no more.
        if self._tokenizer.padding:
            settings.setdefault("padding_side", self._tokenizer.padding["direction"])
            settings.setdefault("pad_token", self._tokenizer.padding["pad_token"])
        if self._tokenizer.truncation:
            settings.setdefault("truncation_side", self._tokenizer.truncation["direction"])
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        super().__init__(**settings)
        self._tokenizer.encode_special_tokens = self.split_special_tokens
        self._register_tokens(added_tokens_decoder or {}, settings)

    @property
    def is_fast(self) -> bool:
        """Always true: there is no other kind here."""
        return True

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The `tokenizers.Tokenizer` that does the work."""
        return self._tokenizer

    @property
    def vocab_size(self) -> int:
        """Number of tokens without those that were added to the vocabulary; `len(tokenizer)` counts them all."""
        return self._tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens, added ones included."""
        return self._tokenizer.get_vocab(with_added_tokens=True)

    @property
    def vocab(self) -> dict[str, int]:
        """The ids of all tokens, added ones included."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The tokens that are found in a text before it is split, special ones among them, by id."""
        return self._tokenizer.get_added_tokens_decoder()

    def get_added_vocab(self) -> dict[str, int]:
        """Return the ids of the tokens that are found in a text before it is split."""
        return {str(token.content): index for index, token in sorted(self.added_tokens_decoder.items())}

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or of each of a list; of an unknown one that of `unk_token`, or None."""
        if tokens is None:
            return None
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        index = self._tokenizer.token_to_id(tokens)
        if index is None and self.unk_token is not None:
            index = self._tokenizer.token_to_id(self.unk_token)
        return index

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or of each of a list; None for an id without one.

        Args:
            ids: an id, or a list, array or tensor of ids.
            skip_special_tokens: leave them out of a list; default False.
        """
        if isinstance(ids, int):
            return self._tokenizer.id_to_token(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        return [self._tokenizer.id_to_token(int(index)) for index in ids if int(index) not in skipped]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text that tokens make, such as "embedding" of "em", "##bed", "##ding"."""
        decoder = self._tokenizer.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens go around a text, or a pair."""
        return self._tokenizer.num_special_tokens_to_add(pair)

    def _encode_batch(
        self,
        batch: list[Any],
        shape: Shape,
        add_special_tokens: bool,
        stride: int,
        is_split_into_words: bool,
        pad_to_multiple_of: int | None,
        padding_side: str | None,
        keeps_overflow: bool,
    ) -> list[Encoding]:
        backend = self._tokenizer
        if shape.truncation is not None:
            self._check_room(batch, shape, add_special_tokens, stride, is_split_into_words)
        padding = {
            "direction": padding_side or self.padding_side,
            "pad_id": self.pad_token_id,
            "pad_token": self.pad_token,
            "pad_type_id": self.pad_token_type_id,
        }
        width = shape.max_length if shape.padding == "max_length" else None
        long: dict[int, tuple[Any, ...]] = {}
        if shape.truncation is not None and not keeps_overflow:
            assert shape.max_length is not None
            long = _long_rows(batch, shape.max_length, is_split_into_words)
            stride = 0  # says what the pieces that are cut off share, and there are none
        with _ONE_CALL:
            try:
                if shape.truncation is not None:
                    assert shape.max_length is not None
                    backend.enable_truncation(
                        shape.max_length, stride=stride, strategy=shape.truncation, direction=self.truncation_side
                    )
                if shape.padding is not None and not long:
                    backend.enable_padding(length=width, pad_to_multiple_of=pad_to_multiple_of, **padding)
                short = [item for row, item in enumerate(batch) if row not in long] if long else batch
                encodings: list[Encoding] = backend.encode_batch(
                    short, is_pretokenized=is_split_into_words, add_special_tokens=add_special_tokens
                )
                if long:
                    assert shape.max_length is not None
                    found = encode_long(
                        backend, [*long.values()], shape.max_length, add_special_tokens, is_split_into_words
                    )
                    rest, cut = iter(encodings), dict(zip(long, found, strict=True))
                    encodings = [cut[row] if row in cut else next(rest) for row in range(len(batch))]
            except TypeError:
                raise ValueError(_what_is_no_text(batch)) from None
            except Exception as error:  # the library has no class of its own for its errors
                if not str(error).startswith("Truncation error"):
                    raise CheckpointError(
                        f"the tokenizer of {self.name_or_path} cannot do its work: {error}"
                    ) from error
                raise ConfigurationError(
                    f"truncation {shape.truncation!r} cannot bring a pair down to max_length {shape.max_length}: "
                    "the text that it may cut is too short or missing; use truncation=True"
                ) from None
            finally:
                backend.no_truncation()
                backend.no_padding()
        if shape.padding is not None and long:
            pad_encodings(encodings, width, pad_to_multiple_of, **padding)
        return encodings

    def _check_room(
        self, batch: list[Any], shape: Shape, add_special_tokens: bool, stride: int, is_split_into_words: bool
    ) -> None:
        """Refuse lengths that the library would answer by not truncating at all."""
        assert shape.max_length is not None  # where there is truncation
        # In a batch without `text_pair` a pair is a list of two as well.
        pair = any(_is_pair(item, is_split_into_words) for item in batch)
        special = self.num_special_tokens_to_add(pair) if add_special_tokens else 0
        room = shape.max_length - special
        if room < 0 or (stride and stride >= room):
            raise ConfigurationError(
                f"max_length {shape.max_length} with {special} special tokens and stride {stride} leaves no room for "
                f"the text: expected at least {special + stride + bool(stride)}"
            )

    def _decode_batch(self, rows: list[list[int]], skip_special_tokens: bool) -> list[str]:
        return self._tokenizer.decode_batch(rows, skip_special_tokens=skip_special_tokens)

    def _save_backend(self, path: Path) -> None:
        self._tokenizer.save(str(path))

    def _register_tokens(self, added: Mapping[Any, Any], settings: Mapping[str, Any]) -> None:
        """Let the backend find special and added tokens in a text; those that are not in the vocabulary get new ids."""
        known = self.added_tokens_decoder.values()
        listed = [as_added_token(added[index]) for index in sorted(added, key=int)]
        new = [token for token in listed if repr(token) not in {repr(token) for token in known}]
        names = {token.content for token in (*known, *listed)}
        flagged = {str(token): token for value in settings.values() for token in _tokens_in(value)}
        missing = (name for name in self.all_special_tokens if name not in names)
        new += [flagged.get(name) or AddedToken(name, special=True) for name in missing]
        roles = self.special_tokens_map.values()
        for token in new:
            token.special = token.special or token.content in roles
        size = len(self)
        self._tokenizer.add_tokens(new)
        if len(self) > size:
            added_names = [name for name, index in self.get_added_vocab().items() if index >= size]
            logger.info("not in the vocabulary and added to it, from id %d on: %s", size, ", ".join(added_names))


def read_backend(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a tokenizer.json.

    Raises:
        CheckpointError: it is missing or no tokenizer.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return Tokenizer.from_str(file.read())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the library has no class of its own for its errors
        raise CheckpointError(f"{path} is not a file of the tokenizers library: {error}") from error


def _tokens_in(value: Any) -> list[AddedToken]:
    """Return the tokens with flags in the value of a setting."""
    return [item for item in (value if isinstance(value, (list, tuple)) else (value,)) if isinstance(item, AddedToken)]


def _is_pair(item: Any, is_split_into_words: bool) -> bool:
    """Whether an item of a batch holds two texts; a text is a string, or a list of words."""
    if is_split_into_words:
        return len(item) > 0 and not isinstance(item[0], str)
    return not isinstance(item, str)


def _long_rows(batch: list[Any], max_length: int, is_split_into_words: bool) -> dict[int, tuple[Any, ...]]:
    """Return those items of a batch that are long, by their number, each as the one text or the two that it holds."""
    long: dict[int, tuple[Any, ...]] = {}
    for row, item in enumerate(batch):
        if is_long(item, max_length):
            texts = tuple(item) if _is_pair(item, is_split_into_words) else (item,)
            if len(texts) <= 2:  # more are an error, which the library reports
                long[row] = texts
    return long


def _what_is_no_text(batch: list[Any]) -> str:
    """Return which item of a batch the library could not read, and why."""
    for row, item in enumerate(batch):
        for text in _leaves(item):
            if not isinstance(text, str):
                return f"text {row} is {text!r} of type {type(text).__name__}: expected a string"
            lone = next((character for character in text if "\ud800" <= character <= "\udfff"), None)
            if lone is not None:
                return f"text {row} holds {lone!r}, half of a surrogate pair, which is no character: repair the text"
    return "the texts are nested in a way that cannot be read: expected strings, pairs, or lists of words"


def _leaves(item: Any) -> list[Any]:
    return [leaf for part in item for leaf in _leaves(part)] if isinstance(item, (list, tuple)) else [item]

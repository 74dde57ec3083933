"""`PreTrainedTokenizerBase`: from texts to batches of ids and back; mirrors Hugging Face's class of that name.

Truncation is a setting of the `tokenizers` library's tokenizer. It is set for a call and taken back after it, so that a
tokenizer is the same before and after (as are its hash and its saved file).
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import AddedToken, Encoding, Tokenizer
from tokenizers.models import WordLevel

from .batch_encoding import BatchEncoding, CharSpan, TokenSpan, tensor_type_of
from .tokenization_truncation import encode_truncated
from .tokenization_vocabulary import Vocabulary, library_errors
from .utils import logging
from .utils.checks import check_count
from .utils.errors import ConfigurationError

__all__ = ["AddedToken", "BatchEncoding", "CharSpan", "PreTrainedTokenizerBase", "TokenSpan"]

logger = logging.get_logger(__name__)

VERY_LARGE_INTEGER = int(1e30)  # model_max_length of a tokenizer that has none; a number of Hugging Face's files
LARGE_INTEGER = int(1e20)  # from here on a model_max_length means "none"

_PADDING = {True: "longest", False: None, "do_not_pad": None}
_TRUNCATION = {True: "longest_first", False: None, "do_not_truncate": None}
SIDES = ("right", "left")

Ids = Sequence[int]
Row = tuple[Any, ...]  # its one text or two; a text is a string, or a list of words

_ONE_CALL = threading.Lock()  # a call's truncation must not reach another thread's


class PreTrainedTokenizerBase(Vocabulary):
    """Base of all tokenizers: what they do; `PreTrainedTokenizerFast` says what they are made of."""

    model_max_length: int
    model_input_names: Sequence[str] = ("input_ids", "token_type_ids", "attention_mask")
    padding_side = "right"
    truncation_side = "right"
    pad_token_type_id = 0
    clean_up_tokenization_spaces = False
    name_or_path = ""
    is_fast = True  # there is no other kind here
    backend = "tokenizers"  # the library that does the work
    verbose = True

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[Any] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Turn a text, a pair, or a batch of them into ids.

        Args:
            text: a string, a list of B strings, or a list of B pairs; with `is_split_into_words` lists of words.
            text_pair: the second text of each pair, as `text`. An empty second string beside a single `text` counts as
                none, as in the stock library; in a batch it makes a pair.
            add_special_tokens: put [CLS] and [SEP] around; default True.
            padding: False (default), True or "longest", or "max_length".
            truncation: False, True or "longest_first" (tokens go from the longer text), "only_first", "only_second".
                Default None is True where `max_length` comes without padding, else False.
            max_length: tokens, special ones included; default `model_max_length`.
            stride: tokens that neighbouring pieces share, with `return_overflowing_tokens`.
            is_split_into_words: texts are lists of words.
            pad_to_multiple_of: round the padded length up to a multiple of this.
            padding_side: default the tokenizer's.
            return_tensors: "pt", "np", or None (default) for lists.
            return_token_type_ids, return_attention_mask: default whether `model_input_names` has them.
            return_overflowing_tokens: return what truncation cuts off as rows of their own, and
                "overflow_to_sample_mapping", the text that each row comes from.
            return_special_tokens_mask, return_offsets_mapping, return_length: more features.
            verbose: warn where a text is longer than the model can take.

        Returns:
            The features: (B, S) integers, lists of S for a single text without `return_tensors`.

        Raises:
            ConfigurationError: an argument is wrong, a text is none, or no room is left for the text.
            ValueError: texts and pairs do not fit together, or rows of different lengths were to become a tensor.
        """
        fill, cut, max_length = self._shape(padding, truncation, max_length, pad_to_multiple_of, verbose)
        batch, is_batch = _as_batch(text, text_pair, is_split_into_words)
        limit = None
        if cut:
            limit = {"max_length": max_length, "strategy": cut, "direction": self.truncation_side}
            limit["stride"] = stride if return_overflowing_tokens else 0  # what the pieces that are cut off share
        encodings = self._encode(batch, limit, is_split_into_words, add_special_tokens, return_overflowing_tokens)
        sources = list(range(len(encodings)))
        if return_overflowing_tokens:
            pieces = [(row, piece) for row, whole in enumerate(encodings) for piece in (whole, *whole.overflowing)]
            sources, encodings = [row for row, _ in pieces], [piece for _, piece in pieces]
        longest = max(map(len, encodings), default=0)
        if verbose and max_length is None and longest > self.model_max_length:
            limit_of_model = f"the {self.model_max_length} that the model can take (model_max_length)"
            logging.warning_once(logger, f"a text has more tokens than {limit_of_model}: encode with truncation=True")
        if fill:
            width = _width(longest if fill == "longest" else max_length, pad_to_multiple_of)
            look = {"pad_id": self.pad_token_id, "pad_token": self.pad_token, "pad_type_id": self.pad_token_type_id}
            for encoding in encodings:
                encoding.pad(width, direction=self._side(padding_side), **look)

        data: dict[str, list[Any]] = {"input_ids": [encoding.ids for encoding in encodings]}
        if self._returns("token_type_ids", return_token_type_ids):
            data["token_type_ids"] = [encoding.type_ids for encoding in encodings]
        if self._returns("attention_mask", return_attention_mask):
            data["attention_mask"] = [encoding.attention_mask for encoding in encodings]
        if return_special_tokens_mask:
            data["special_tokens_mask"] = [encoding.special_tokens_mask for encoding in encodings]
        if return_offsets_mapping:
            data["offset_mapping"] = [encoding.offsets for encoding in encodings]
        if return_length:
            data["length"] = [*map(len, encodings)]
        if return_overflowing_tokens:
            data["overflow_to_sample_mapping"] = sources
        if not is_batch and return_tensors is None and not return_overflowing_tokens:
            data = {name: rows if name == "length" else rows[0] for name, rows in data.items()}
        return BatchEncoding(data, encodings, tensor_type=return_tensors)

    def encode_plus(self, text: Any, text_pair: Any = None, **kwargs: Any) -> BatchEncoding:
        """Encode a text or a pair; arguments as of a call."""
        return self(text, text_pair, **kwargs)

    def batch_encode_plus(self, batch_text_or_text_pairs: Sequence[Any], **kwargs: Any) -> BatchEncoding:
        """Encode a list of texts or of pairs; arguments as of a call."""
        return self(batch_text_or_text_pairs, **kwargs)

    def encode(self, text: Any, text_pair: Any = None, **kwargs: Any) -> Any:
        """Return the ids of a text or a pair; arguments as of a call."""
        return self(text, text_pair, **kwargs)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **kwargs: Any
    ) -> list[str]:
        """Return the tokens of a text or a pair as strings; arguments as of a call."""
        return self(text, pair, add_special_tokens=add_special_tokens, verbose=False, **kwargs).tokens()

    def prepare_for_model(self, ids: Ids, pair_ids: Ids | None = None, **kwargs: Any) -> BatchEncoding:
        """Put special tokens around ids, as a call puts them around the tokens of a text or a pair.

        Args:
            ids, pair_ids: ids without special tokens.
            **kwargs: as of a call; offsets and words are those of the ids.
        """
        # A tokenizer whose words are numbers, with the same special tokens and settings.
        numbers = {str(index): index for index in (*ids, *(pair_ids or ()))}
        named = dict(zip(self.all_special_tokens, self.all_special_ids, strict=True))
        twin = copy.copy(self)
        twin._tokenizer = Tokenizer(WordLevel({**named, **numbers}, unk_token=""))
        twin._tokenizer.post_processor = self._tokenizer.post_processor
        words: list[Any] = [None if row is None else [str(index) for index in row] for row in (ids, pair_ids)]
        return twin(*words, is_split_into_words=True, **kwargs)

    def build_inputs_with_special_tokens(self, token_ids_0: Ids, token_ids_1: Ids | None = None) -> Any:
        """Return one or two rows of ids with the special tokens around them."""
        return self.prepare_for_model(token_ids_0, token_ids_1, verbose=False)["input_ids"]

    def create_token_type_ids_from_sequences(self, token_ids_0: Ids, token_ids_1: Ids | None = None) -> Any:
        """Return the token types of what `build_inputs_with_special_tokens` returns."""
        options = {"return_token_type_ids": True, "verbose": False}
        return self.prepare_for_model(token_ids_0, token_ids_1, **options)["token_type_ids"]

    def get_special_tokens_mask(
        self, token_ids_0: Ids, token_ids_1: Ids | None = None, already_has_special_tokens: bool = False
    ) -> Any:
        """Return 1 for the special tokens of a row and 0 for the others.

        Args:
            token_ids_0: a row of ids.
            token_ids_1: ids of a second text; only where there are no special tokens yet.
            already_has_special_tokens: the row has its special tokens; default False: they are put around it first.
        """
        if already_has_special_tokens:
            return [int(index in self.all_special_ids) for index in map(int, token_ids_0)]
        options = {"return_special_tokens_mask": True, "verbose": False}
        return self.prepare_for_model(token_ids_0, token_ids_1, **options)["special_tokens_mask"]

    @property
    def max_len_single_sentence(self) -> int:
        """Tokens of a text that the model can take, without special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """Tokens of the two texts of a pair that the model can take, without special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad rows that have been encoded before.

        Args:
            encoded_inputs: B rows as dictionaries, or one dictionary of lists, arrays or tensors of B rows, or of one.
                Features that are not one integer a token are handed through.
            padding, max_length, pad_to_multiple_of, padding_side, return_tensors, verbose: as in a call; default
                padding to the longest row, and tensors or arrays only where the rows were.
            return_attention_mask: make a mask where there is none; default whether `model_input_names` has it.

        Returns:
            The features: (B, S) integers.

        Raises:
            ConfigurationError: an argument is wrong, or a row is longer than `max_length`.
            ValueError: there are no ids, features do not fit together, or something cannot be made a tensor.
        """
        columns = _as_columns(encoded_inputs)
        main = self.model_input_names[0]
        if main not in columns:
            raise ValueError(f"there is no {main} to pad: found {', '.join(columns) or 'nothing'}")
        return_tensors = return_tensors or tensor_type_of(columns[main]) or tensor_type_of(columns[main], inside=True)
        single = len(columns[main]) > 0 and np.ndim(columns[main][0]) == 0
        if single:
            columns = {name: [values] for name, values in columns.items()}
        lengths = [*map(len, columns[main])]
        if "attention_mask" not in columns and self._returns("attention_mask", return_attention_mask):
            columns["attention_mask"] = [[1] * length for length in lengths]

        fill, _, max_length = self._shape(padding, False, max_length, pad_to_multiple_of, verbose)
        if fill:
            longest = max(lengths, default=0)
            width = _width(longest if fill == "longest" else max_length, pad_to_multiple_of)
            if width < longest:
                raise ConfigurationError(f"max_length {width} but a row has {longest} tokens: truncate when encoding")
            left = self._side(padding_side) == "left"
            values_of = {main: self.pad_token_id, "token_type_ids": self.pad_token_type_id}
            for name, value in (values_of | {"attention_mask": 0, "special_tokens_mask": 1}).items():
                if name not in columns:
                    continue
                padded = np.full((len(lengths), width), value, dtype=np.int64)  # (B, S)
                for row, (values, length) in enumerate(zip(columns[name], lengths, strict=True)):
                    if len(values) != length:
                        raise ValueError(f"row {row} has {length} entries in {main!r} but {len(values)} in {name!r}")
                    padded[row, width - length if left else 0 :][:length] = values
                columns[name] = padded if return_tensors else padded.tolist()
        if single:
            columns = {name: values[0] for name, values in columns.items()}
        return BatchEncoding(columns, tensor_type=return_tensors)

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> Any:
        """Return the text of a row of ids, or of each of several rows.

        Args:
            token_ids: an id, a list, array or tensor of ids, or of rows of ids.
            skip_special_tokens: leave them out; default False.
            clean_up_tokenization_spaces: take spaces away before punctuation; default the tokenizer's setting.

        Returns:
            A string, or a list of strings for several rows.
        """
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        ids = [ids] if isinstance(ids, int) else list(ids)
        if ids and np.ndim(ids[0]):
            return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in ids]
        with library_errors(self._cannot_work()):
            text = self._tokenizer.decode([*map(int, ids)], skip_special_tokens=skip_special_tokens)
        cleans = (
            self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        )
        return self.clean_up_tokenization(text) if cleans else text

    def batch_decode(self, sequences: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Return the texts of several rows of ids; arguments as of `decode`."""
        return [self.decode(row, *args, **kwargs) for row in sequences]

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Take the spaces away that stand before punctuation and English short forms."""
        return re.sub(r" ([.?!,]|n't|'(?:m|s|ve|re))", r"\1", out_string.replace(" ' ", "'"))

    def __repr__(self) -> str:
        settings = {
            name: getattr(self, name) for name in ("name_or_path", "vocab_size", "model_max_length", "padding_side")
        }
        shown = [f"{name}={value!r}" for name, value in (settings | self.special_tokens_map).items()]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _returns(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _side(self, padding_side: str | None) -> str:
        return one_of("padding_side", padding_side or self.padding_side, SIDES)

    def _cannot_work(self) -> str:
        return f"the tokenizer of {self.name_or_path or type(self).__name__} cannot do its work"

    def _shape(
        self, padding: Any, truncation: Any, max_length: int | None, pad_to_multiple_of: int | None, verbose: bool
    ) -> tuple[str | None, str | None, int | None]:
        """Read the arguments that say how long rows become: how they are filled, how cut, and to how many tokens."""
        for name, value in (("max_length", max_length), ("pad_to_multiple_of", pad_to_multiple_of)):
            if value is not None:
                check_count(name, value)
        if truncation is None and max_length is not None and padding is False:
            truncation = True
        fill = one_of("padding", _PADDING.get(padding, padding), ("longest", "max_length", None))
        cuts = ("longest_first", "only_first", "only_second", None)
        cut = one_of("truncation", _TRUNCATION.get(truncation or False, truncation), cuts)
        if verbose and max_length is not None and fill == "longest" and cut is None:
            logging.warning_once(
                logger, "max_length has no effect with padding=True alone: add truncation=True or padding='max_length'"
            )
        if max_length is None and self.model_max_length <= LARGE_INTEGER and (fill == "max_length" or cut):
            max_length = self.model_max_length
        if max_length is None:  # the model takes any length: there is nothing to cut or fill to
            fill, cut = None if fill == "max_length" else fill, None
        if fill is not None and self.pad_token_id is None:
            raise ConfigurationError("there is no pad_token to pad with: set tokenizer.pad_token to one of its tokens")
        if fill and cut and max_length and max_length % (pad_to_multiple_of or 1):
            raise ConfigurationError(f"max_length {max_length} is not a multiple of {pad_to_multiple_of}")
        return fill, cut, max_length

    def _encode(
        self, batch: list[Row], limit: dict[str, Any] | None, split: bool, special: bool, keeps_overflow: bool
    ) -> list[Encoding]:
        """Encode texts and pairs, and truncate them to a limit (arguments of `Tokenizer.enable_truncation`)."""
        backend = self._tokenizer
        if limit:
            needed = self.num_special_tokens_to_add(pair=max(map(len, batch), default=1) > 1) if special else 0
            needed += limit["stride"] + bool(limit["stride"])
            if limit["max_length"] < needed:  # the library would not truncate at all
                raise ConfigurationError(
                    f"max_length {limit['max_length']} leaves no room for the text beside special tokens and stride: "
                    f"expected at least {needed}"
                )
        with _ONE_CALL, library_errors(self._cannot_work()):
            try:
                if limit and not keeps_overflow:
                    return encode_truncated(backend, batch, limit, split, special)
                if limit:
                    backend.enable_truncation(**limit)
                return backend.encode_batch([row if len(row) > 1 else row[0] for row in batch], split, special)
            except TypeError:
                raise ConfigurationError(_what_is_no_text(batch)) from None
            except Exception as error:
                if not limit or not str(error).startswith("Truncation error"):
                    raise
                raise ConfigurationError(
                    f"truncation {limit['strategy']!r} cannot bring a pair down to max_length {limit['max_length']}: "
                    "the text that it may cut is too short or missing; use truncation=True"
                ) from None
            finally:
                backend.no_truncation()


def one_of(name: str, value: Any, expected: tuple[Any, ...]) -> Any:
    """Return a value that is one of the expected ones, or raise ConfigurationError."""
    if value not in expected:
        raise ConfigurationError(f"{name} {value!r}: expected one of {', '.join(map(repr, expected))}")
    return value


def _width(tokens: int | None, pad_to_multiple_of: int | None) -> int:
    """Round a number of tokens up to a multiple."""
    multiple = pad_to_multiple_of or 1
    return -(-(tokens or 0) // multiple) * multiple


def _as_batch(text: Any, text_pair: Any, is_split_into_words: bool) -> tuple[list[Row], bool]:
    """Return the one text or the two of each row, and whether they came as a batch."""
    for name, value in (("text", text), ("text_pair", text_pair)):
        if not isinstance(value, Sequence) and not (name == "text_pair" and value is None):
            raise ValueError(f"{name} is of type {type(value).__name__}: expected a string or a list of strings")
    first = text[0] if text and not isinstance(text, str) else None
    is_batch = isinstance(first, (list, tuple)) if is_split_into_words else not isinstance(text, str)
    if not is_batch:
        return [(text, text_pair) if text_pair else (text,)], False
    if text_pair is None:
        return [_texts_of(item, is_split_into_words) for item in text], True
    if isinstance(text_pair, str) or len(text_pair) != len(text):
        found = "a single string" if isinstance(text_pair, str) else f"{len(text_pair)} texts"
        raise ValueError(f"text is a batch of {len(text)}, text_pair is {found}: expected as many")
    return list(zip(text, text_pair, strict=True)), True


def _texts_of(item: Any, is_split_into_words: bool) -> Row:
    """Return the one text or the two that an item of a batch holds."""
    is_words = is_split_into_words and isinstance(item, (list, tuple)) and (not item or isinstance(item[0], str))
    if is_words or not isinstance(item, (list, tuple)):
        return (item,)
    if len(item) not in (1, 2):
        raise ConfigurationError(f"a row of {len(item)} texts: expected one text or a pair of them")
    return tuple(item)


def _as_columns(encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows, given as dictionaries or as a dictionary of lists, as a dictionary of lists."""
    if isinstance(encoded_inputs, Mapping):
        return dict(encoded_inputs)
    try:
        return {name: [row[name] for row in encoded_inputs] for name in (encoded_inputs[0] if encoded_inputs else ())}
    except KeyError as error:
        raise ValueError(f"the first row has a feature {error} that another one has not") from None


def _what_is_no_text(batch: list[Any]) -> str:
    """Return which item of a batch the library could not read, and why."""
    for row, item in enumerate(batch):
        for text in _leaves(item):
            if not isinstance(text, str):
                return f"text {row} is {text!r} of type {type(text).__name__}: expected a string"
            if re.search("[\ud800-\udfff]", text):
                return f"text {row} holds half of a surrogate pair, which is no character: repair the text"
    return "the texts are nested in a way that cannot be read: expected strings, pairs, or lists of words"


def _leaves(item: Any) -> list[Any]:
    return [leaf for part in item for leaf in _leaves(part)] if isinstance(item, (list, tuple)) else [item]

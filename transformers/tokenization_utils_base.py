"""`PreTrainedTokenizerBase`: what a tokenizer offers; mirrors Hugging Face's class of that name.

It holds the settings and the names of the special tokens, and turns the arguments of a call into plain ones.
`PreTrainedTokenizerFast` adds the `tokenizers` library that does the work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from .batch_encoding import BatchEncoding, CharSpan, TokenSpan
from .tokenization_files import load_tokenizer, save_tokenizer
from .tokenization_padding import pad_columns, tensor_type_of
from .tokenization_special_tokens import SpecialTokensMixin
from .utils import logging
from .utils.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import AddedToken, Encoding

__all__ = ["BatchEncoding", "CharSpan", "PreTrainedTokenizerBase", "TokenSpan"]

logger = logging.get_logger(__name__)

VERY_LARGE_INTEGER = int(1e30)  # model_max_length of a tokenizer that has none; a number of Hugging Face's files
LARGE_INTEGER = int(1e20)  # from here on a model_max_length means "none"

_PADDING = {True: "longest", False: None, "do_not_pad": None}
_TRUNCATION = {True: "longest_first", False: None, "do_not_truncate": None}
TRUNCATION_STRATEGIES = ("longest_first", "only_first", "only_second", None)
SIDES = ("right", "left")

TokenizerType = TypeVar("TokenizerType", bound="PreTrainedTokenizerBase")


class Shape(NamedTuple):
    """How rows are cut and filled: the arguments padding, truncation and max_length, with defaults filled in."""

    padding: str | None  # "longest", "max_length", or None
    truncation: str | None  # "longest_first", "only_first", "only_second", or None
    max_length: int | None  # tokens


class PreTrainedTokenizerBase(SpecialTokensMixin):
    """Base of all tokenizers.

    Args:
        model_max_length: tokens that the model can take; default None is no limit.
        padding_side: "right" (default) or "left".
        truncation_side: "right" (default) or "left", where a text that is too long loses tokens.
        model_input_names: features that a call returns, the ids first; default input_ids, token_type_ids,
            attention_mask. (The stock library's version 5 leaves token_type_ids out for ALBERT and for tokenizers of
            no class, so that the model takes a pair for one text; version 4 has them, as here.)
        clean_up_tokenization_spaces: take spaces away before punctuation when decoding; default False.
        split_special_tokens: take the name of a special token in a text for ordinary text; default False.
        extra_special_tokens, additional_special_tokens: special tokens without a name of their own; two names for one
            list.
        name_or_path: where it was loaded from.
        bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token: special tokens by their role.
    """

    vocab_files_names: ClassVar[dict[str, str]] = {}  # files besides tokenizer.json, by the argument that takes them
    saved_class: ClassVar[str] = "PreTrainedTokenizerFast"  # the name in tokenizer_config.json
    model_input_names: Sequence[str] = ("input_ids", "token_type_ids", "attention_mask")
    padding_side = "right"
    truncation_side = "right"
    pad_token_type_id = 0

    def __init__(
        self,
        *,
        model_max_length: int | None = None,
        padding_side: str | None = None,
        truncation_side: str | None = None,
        model_input_names: Sequence[str] | None = None,
        clean_up_tokenization_spaces: bool = False,
        split_special_tokens: bool = False,
        extra_special_tokens: Sequence[str | AddedToken] | Mapping[str, str | AddedToken] = (),
        additional_special_tokens: Sequence[str | AddedToken] | None = None,
        name_or_path: str = "",
        **special_tokens: str | AddedToken | None,
    ) -> None:
        super().__init__(special_tokens, extra_special_tokens or additional_special_tokens or ())
        self.model_max_length = VERY_LARGE_INTEGER if model_max_length is None else int(model_max_length)
        self.padding_side = _one_of("padding_side", padding_side or self.padding_side, SIDES)
        self.truncation_side = _one_of("truncation_side", truncation_side or self.truncation_side, SIDES)
        self.model_input_names = list(model_input_names or self.model_input_names)
        self.clean_up_tokenization_spaces = bool(clean_up_tokenization_spaces)
        self.split_special_tokens = bool(split_special_tokens)
        self.name_or_path = name_or_path
        self.other_settings: dict[str, Any] = {}  # keys of tokenizer_config.json without meaning here; saved again

    @classmethod
    def from_pretrained(
        cls: type[TokenizerType], pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> TokenizerType:
        """Load the tokenizer of a checkpoint.

        Args:
            pretrained_model_name_or_path: a local folder, or a Hub id.
            **kwargs: cache_dir, revision, token, local_files_only, force_download and subfolder say where to look (see
                `resolve_file`); anything else replaces a setting of tokenizer_config.json.

        Raises:
            CheckpointError: its files cannot be found or read.
            ConfigurationError: an argument is no setting of this tokenizer.
        """
        return load_tokenizer(cls, os.fspath(pretrained_model_name_or_path), kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and the vocabulary's own file.

        Args:
            save_directory: a folder; created if it does not exist.

        Returns:
            The paths of the files.

        Raises:
            CheckpointError: the folder or a file cannot be written.
        """
        return save_tokenizer(self, save_directory)

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
            ConfigurationError: an argument is wrong, or no room is left for the text.
            ValueError: a text is none, or rows of different lengths were to become a tensor.
        """
        shape = self._shape(padding, truncation, max_length, pad_to_multiple_of, verbose)
        batch, is_batch = _as_batch(text, text_pair, is_split_into_words)
        encodings = self._encode_batch(
            batch,
            shape,
            add_special_tokens,
            stride,
            is_split_into_words,
            pad_to_multiple_of,
            padding_side,
            keeps_overflow=return_overflowing_tokens,
        )
        sources = list(range(len(encodings)))
        if return_overflowing_tokens:
            pieces = [(row, piece) for row, whole in enumerate(encodings) for piece in (whole, *whole.overflowing)]
            sources, encodings = [row for row, _ in pieces], [piece for _, piece in pieces]

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
            data["length"] = [len(ids) for ids in data["input_ids"]]
        if return_overflowing_tokens:
            data["overflow_to_sample_mapping"] = sources

        if verbose and shape.max_length is None and max(map(len, data["input_ids"]), default=0) > self.model_max_length:
            logging.warning_once(
                logger,
                f"a text has more tokens than the {self.model_max_length} that the model can take (model_max_length): "
                "encode with truncation=True before it goes there",
            )
        if not is_batch and return_tensors is None and not return_overflowing_tokens:
            data = {name: rows if name == "length" else rows[0] for name, rows in data.items()}
        return BatchEncoding(data, encodings, tensor_type=return_tensors)

    def encode(self, text: str | Sequence[str], text_pair: str | Sequence[str] | None = None, **kwargs: Any) -> Any:
        """Return the ids of a text or a pair; arguments as of a call."""
        return self(text, text_pair, **kwargs)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **kwargs: Any
    ) -> list[str]:
        """Return the tokens of a text or a pair as strings; arguments as of a call."""
        return self(text, pair, add_special_tokens=add_special_tokens, verbose=False, **kwargs).tokens()

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
        if return_tensors is None:
            return_tensors = tensor_type_of(columns[main]) or tensor_type_of(columns[main], inside=True)
        single = len(columns[main]) > 0 and np.ndim(columns[main][0]) == 0
        if single:
            columns = {name: [values] for name, values in columns.items()}
        rows = columns[main]
        if "attention_mask" not in columns and self._returns("attention_mask", return_attention_mask):
            columns["attention_mask"] = [[1] * len(row) for row in rows]

        shape = self._shape(padding, False, max_length, pad_to_multiple_of, verbose)
        if shape.padding is not None:
            longest = max(map(len, rows), default=0)
            width = longest if shape.padding == "longest" else shape.max_length or 0
            if width < longest:
                raise ConfigurationError(f"max_length {width} but a row has {longest} tokens: truncate when encoding")
            width = -(-width // (pad_to_multiple_of or 1)) * (pad_to_multiple_of or 1)
            values = {main: self.pad_token_id, "token_type_ids": self.pad_token_type_id}
            values |= {"attention_mask": 0, "special_tokens_mask": 1}
            side = _one_of("padding_side", padding_side or self.padding_side, SIDES)
            padded = pad_columns({name: columns[name] for name in columns if name in values}, values, width, side)
            columns |= padded if return_tensors else {name: array.tolist() for name, array in padded.items()}
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
        if not ids or np.ndim(ids[0]) == 0:
            return self.batch_decode([ids], skip_special_tokens, clean_up_tokenization_spaces)[0]
        return self.batch_decode(ids, skip_special_tokens, clean_up_tokenization_spaces)

    def batch_decode(
        self, sequences: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        """Return the texts of several rows of ids; arguments as of `decode`."""
        rows = [[int(index) for index in row] for row in sequences]
        texts = self._decode_batch(rows, skip_special_tokens)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return [_without_spaces_before_punctuation(text) for text in texts] if clean_up_tokenization_spaces else texts

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map})"
        )

    @property
    def vocab_size(self) -> int:
        """Number of tokens without those that were added to the vocabulary."""
        raise NotImplementedError

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
        raise NotImplementedError

    def save_vocabulary(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the vocabulary in a format of its own, besides tokenizer.json, where there is one.

        Args:
            save_directory: an existing folder.

        Returns:
            The paths of the files.
        """
        return ()

    def _save_backend(self, path: Path) -> None:
        raise NotImplementedError

    def _decode_batch(self, rows: list[list[int]], skip_special_tokens: bool) -> list[str]:
        raise NotImplementedError

    def _returns(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _shape(
        self,
        padding: bool | str,
        truncation: bool | str | None,
        max_length: int | None,
        pad_to_multiple_of: int | None,
        verbose: bool,
    ) -> Shape:
        """Read the arguments that say how long rows become."""
        if max_length is not None and max_length < 1:
            raise ConfigurationError(f"max_length {max_length}: expected at least 1")
        if pad_to_multiple_of is not None and pad_to_multiple_of < 1:
            raise ConfigurationError(f"pad_to_multiple_of {pad_to_multiple_of}: expected at least 1, or None")
        if truncation is None and max_length is not None and padding is False:
            truncation = True
        fill = _one_of("padding", _PADDING.get(padding, padding), ("longest", "max_length", None))
        cut = _one_of("truncation", _TRUNCATION.get(truncation, truncation), TRUNCATION_STRATEGIES)
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
        if fill and cut and pad_to_multiple_of and max_length and max_length % pad_to_multiple_of:
            raise ConfigurationError(f"max_length {max_length} is not a multiple of {pad_to_multiple_of}")
        return Shape(fill, cut, max_length)


def _one_of(name: str, value: Any, expected: tuple[Any, ...]) -> Any:
    if value not in expected:
        raise ConfigurationError(f"{name} {value!r}: expected one of {', '.join(map(repr, expected))}")
    return value


def _as_batch(text: Any, text_pair: Any, is_split_into_words: bool) -> tuple[list[Any], bool]:
    """Return the texts and pairs as a list, and whether they came as one."""
    for name, value in (("text", text), ("text_pair", text_pair)):
        if not isinstance(value, (str, Sequence)) and not (name == "text_pair" and value is None):
            raise ValueError(f"{name} is of type {type(value).__name__}: expected a string or a list of strings")
    first = text[0] if text and not isinstance(text, str) else None
    is_batch = isinstance(first, (list, tuple)) if is_split_into_words else not isinstance(text, str)
    if not is_batch:
        return [(text, text_pair) if text_pair else text], False
    if text_pair is None:
        return list(text), True
    if isinstance(text_pair, str) or len(text_pair) != len(text):
        found = "a single string" if isinstance(text_pair, str) else f"{len(text_pair)} texts"
        raise ValueError(f"text is a batch of {len(text)}, text_pair is {found}: expected as many")
    return list(zip(text, text_pair, strict=True)), True


def _as_columns(encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows, given as dictionaries or as a dictionary of lists, as a dictionary of lists."""
    if isinstance(encoded_inputs, Mapping):
        return dict(encoded_inputs)
    columns = {}
    for name in encoded_inputs[0] if encoded_inputs else ():
        try:
            columns[name] = [row[name] for row in encoded_inputs]
        except KeyError:
            raise ValueError(f"the first row has a feature {name!r} that another one has not") from None
    return columns


_SPACE_BEFORE = re.compile(r" ([.?!,]|n't|'(?:m|s|ve|re))")


def _without_spaces_before_punctuation(text: str) -> str:
    return _SPACE_BEFORE.sub(r"\1", text.replace(" ' ", "'"))

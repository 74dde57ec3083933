"""`AlbertTokenizerFast`: ALBERT's SentencePiece tokenizer; mirrors Hugging Face's class of that name.

A text is cleaned, split at white space, each word marked by ▁ at its start and cut into those pieces of the vocabulary
that are the most probable together (a Unigram model). `AlbertTokenizer` is the same class: there is no slow one.

Where versions of the stock library differ the ids are those of version 5. From a spiece.model, user-defined symbols are
cut out before anything else, and the slow tokenizer's rule for a comma behind a digit ("1,000") is not applied; where
there is a tokenizer.json, its scores contain that rule. White space is always collapsed: no `remove_space=False`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from typing import Any, ClassVar

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from ...tokenization_utils_fast import PreTrainedTokenizerFast, copy_whole
from ..bert.tokenization_bert_fast import pair_template
from .sentencepiece_model import CONTROL, USER_DEFINED, read_sentencepiece_model


class AlbertTokenizerFast(PreTrainedTokenizerFast):
    """ALBERT's tokenizer, from a spiece.model, from pieces and scores, or from a tokenizer.json.

    What is said here about lower case and accents wins over what a tokenizer.json says.

    Args:
        vocab_file: path of a spiece.model; default only the special tokens. It is copied when the tokenizer is saved.
        tokenizer_file: path of a tokenizer.json, from which the pieces are taken where there is one.
        do_lower_case: make all letters small; default True.
        keep_accents: keep accents, and leave characters undecomposed; default False.
        add_prefix_space: mark the start of every word; default True.
        vocab: pieces and their scores (log probabilities), in the order of the ids, instead of a file.
        **settings: see `PreTrainedTokenizerFast`.

    Raises:
        CheckpointError: a file cannot be read, or is not one of a Unigram model.

    Example:
        >>> pieces = [("<pad>", 0), ("<unk>", 0), ("[CLS]", 0), ("[SEP]", 0), ("[MASK]", 0), ("▁em", -1), ("bed", -2)]
        >>> tokenizer = AlbertTokenizerFast(vocab=pieces)
        >>> tokenizer.tokenize("Embed em")
        ['▁em', 'bed', '▁em']
        >>> tokenizer("em", "bed")["input_ids"]
        [2, 5, 3, 1, 6, 3]
    """

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "spiece.model"}
    saved_class: ClassVar[str] = "AlbertTokenizer"
    model: ClassVar[type] = Unigram
    unread_settings: ClassVar[tuple[str, ...]] = ("merges",)
    default_tokens: ClassVar[tuple[str, ...]] = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "[CLS]", "[SEP]")

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        do_lower_case: bool = True,
        keep_accents: bool = False,
        *,
        add_prefix_space: bool = True,
        vocab: Sequence[tuple[str, float]] | None = None,
        **settings: Any,
    ) -> None:
        self.do_lower_case = do_lower_case
        self.keep_accents = keep_accents
        self.add_prefix_space = add_prefix_space
        self.vocab_file = None if vocab_file is None else os.fspath(vocab_file)
        charsmap = b""
        if tokenizer_file is not None:
            backend = self.read_backend(tokenizer_file)
            charsmap = _charsmap(backend)
        elif vocab_file is not None:
            model = read_sentencepiece_model(vocab_file)
            backend, charsmap = Tokenizer(Unigram(model.pieces, unk_id=model.unk_id)), model.charsmap
            # As in the stock library, a list of extra tokens leaves the symbols to the Unigram model.
            if not (settings.get("extra_special_tokens") or settings.get("additional_special_tokens")):
                symbols = {
                    index: AddedToken(text, normalized=False, special=kind == CONTROL)
                    for index, ((text, _), kind) in enumerate(zip(model.pieces, model.kinds, strict=True))
                    if kind in (CONTROL, USER_DEFINED)
                }
                given = settings.get("added_tokens_decoder") or {}
                settings["added_tokens_decoder"] = symbols | {int(index): token for index, token in given.items()}
        else:
            special = self.special_tokens(settings)
            pieces = vocab or [(token, 0.0) for token in dict.fromkeys(special.values())]
            names = [piece for piece, _ in pieces]
            if special["unk_token"] not in names:
                raise ValueError(f"the vocabulary has no {special['unk_token']!r}, its unk_token")
            backend = Tokenizer(Unigram(list(pieces), unk_id=names.index(special["unk_token"])))
        backend.normalizer = _normalizer(do_lower_case, keep_accents, charsmap)
        marks: dict[str, Any] = {"replacement": "▁", "prepend_scheme": "always" if add_prefix_space else "never"}
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**marks)]
        )
        backend.decoder = decoders.Metaspace(**marks)
        super().__init__(tokenizer_object=backend, **settings)
        if backend.post_processor is None:
            backend.post_processor = pair_template(self)

    def save_vocabulary(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Copy the spiece.model that the tokenizer was loaded with, if it is still there."""
        if self.vocab_file is None or not os.path.isfile(self.vocab_file):
            return ()
        return (copy_whole(self.vocab_file, save_directory),)


AlbertTokenizer = AlbertTokenizerFast


def _normalizer(do_lower_case: bool, keep_accents: bool, charsmap: bytes) -> normalizers.Normalizer:
    """Return what cleans a text: quotation marks of TeX, accents, capitals, and SentencePiece's own map."""
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not keep_accents:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if do_lower_case:
        steps.append(normalizers.Lowercase())
    if charsmap:
        steps.append(normalizers.Precompiled(charsmap))
    return normalizers.Sequence(steps)


def _charsmap(backend: Tokenizer) -> bytes:
    """Return SentencePiece's map of characters from the normalizer of a tokenizer.json; empty if there is none."""
    if backend.normalizer is None:
        return b""
    state = json.loads(backend.normalizer.__getstate__())
    for step in state.get("normalizers", [state]):
        if step.get("type") == "Precompiled":
            return base64.b64decode(step["precompiled_charsmap"])
    return b""

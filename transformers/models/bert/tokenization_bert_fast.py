"""`BertTokenizerFast`: BERT's WordPiece tokenizer; mirrors Hugging Face's class of that name.

A text is cleaned, split at white space and punctuation, and each word cut into the longest pieces of the vocabulary,
those inside a word marked by ##. `BertTokenizer` is the same class: there is no slow one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from ...tokenization_utils_fast import PreTrainedTokenizerFast
from ...tokenization_vocabulary import library_errors
from ...utils.errors import CheckpointError, ConfigurationError


class BertTokenizerFast(PreTrainedTokenizerFast):
    """BERT's tokenizer, from a vocabulary or from a tokenizer.json.

    What is said here about lower case, accents and Chinese characters wins over what a tokenizer.json says.

    Args:
        vocab_file: path of a vocab.txt, one token a line, or the ids of the tokens; default only the special tokens.
        tokenizer_file: path of a tokenizer.json, which wins over `vocab_file`.
        do_lower_case: make all letters small; default True. Cased checkpoints say False in tokenizer_config.json.
        tokenize_chinese_chars: take each Chinese character for a word; default True.
        strip_accents: take accents away; default None is what `do_lower_case` says.
        vocab: another name of `vocab_file`.
        **settings: see `PreTrainedTokenizerFast`.

    Raises:
        CheckpointError: a file cannot be read, or is not one of WordPiece.

    Example:
        >>> vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "em": 5, "##bed": 6, "##ding": 7}
        >>> tokenizer = BertTokenizerFast(vocab)
        >>> tokenizer.tokenize("Embedding")
        ['em', '##bed', '##ding']
        >>> tokenizer(["embedding", "bed"], padding=True)["input_ids"]
        [[2, 5, 6, 7, 3], [2, 1, 3, 0, 0]]
    """

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.txt"}
    saved_class: ClassVar[str] = "BertTokenizer"
    model: ClassVar[type] = WordPiece
    default_tokens: ClassVar[tuple[str, ...]] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    unread_settings: ClassVar[tuple[str, ...]] = ("merges", "keep_accents", "add_bos_token", "add_eos_token")

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | Mapping[str, int] | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        do_lower_case: bool = True,
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        *,
        vocab: str | os.PathLike[str] | Mapping[str, int] | None = None,
        **settings: Any,
    ) -> None:
        self.do_lower_case = do_lower_case
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.strip_accents = strip_accents
        special = self.special_tokens(settings)
        if tokenizer_file is not None:
            backend = self.read_backend(tokenizer_file)
        else:
            source = vocab or vocab_file or {token: index for index, token in enumerate(special.values())}
            ids = dict(source) if isinstance(source, Mapping) else read_vocabulary(source)
            backend = Tokenizer(WordPiece(ids, unk_token=special["unk_token"]))
        backend.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=tokenize_chinese_chars,
            strip_accents=strip_accents,
            lowercase=do_lower_case,
        )
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece(prefix="##")
        super().__init__(tokenizer_object=backend, **settings)
        backend.post_processor = pair_template(self)


BertTokenizer = BertTokenizerFast


def read_vocabulary(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a vocab.txt: the number of a line is the id of its token.

    Raises:
        CheckpointError: it cannot be read, or is empty.
    """
    with library_errors(f"the vocabulary {path} cannot be read"):
        vocabulary: dict[str, int] = WordPiece.read_file(os.fspath(path))
    if not vocabulary:
        raise CheckpointError(f"the vocabulary {path} is empty: expected one token a line")
    return vocabulary


def start_and_end(tokenizer: PreTrainedTokenizerFast) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return the tokens that go before and behind every text, [CLS] and [SEP] in BERT, with their ids.

    Raises:
        ConfigurationError: one of them is null.
    """
    for role in ("cls_token", "sep_token"):
        if getattr(tokenizer, role) is None:
            place = tokenizer.name_or_path or type(tokenizer).__name__
            raise ConfigurationError(f"{place}: {role} is null, but has to stand at every text: expected a token")
    return (tokenizer.cls_token, tokenizer.cls_token_id), (tokenizer.sep_token, tokenizer.sep_token_id)


def pair_template(tokenizer: PreTrainedTokenizerFast) -> processors.TemplateProcessing:
    """Return what puts [CLS] and [SEP] around texts, with token type 1 for the second one and its [SEP].

    Raises:
        ConfigurationError: one of them is null.
    """
    start, end = start_and_end(tokenizer)
    single = [f"{start[0]}:0", "$A:0", f"{end[0]}:0"]
    return processors.TemplateProcessing(
        single=single, pair=[*single, "$B:1", f"{end[0]}:1"], special_tokens=[start, end]
    )

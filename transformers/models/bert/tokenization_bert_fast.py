"""`BertTokenizerFast`: BERT's WordPiece tokenizer; mirrors Hugging Face's class of that name.

A text is cleaned, split at white space and punctuation, and each word cut into the longest pieces of the vocabulary,
those inside a word marked by ##. `BertTokenizer` is the same class: there is no slow one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from ...tokenization_utils_fast import PreTrainedTokenizerFast, read_backend
from ...utils import logging
from ...utils.errors import CheckpointError
from ...utils.files import write_whole

logger = logging.get_logger(__name__)


class BertTokenizerFast(PreTrainedTokenizerFast):
    """BERT's tokenizer, from a vocabulary or from a tokenizer.json.

    What is said here about lower case, accents and Chinese characters wins over what a tokenizer.json says.

    Args:
        vocab_file: path of a vocab.txt, one token a line, or the ids of the tokens; default only the special tokens.
        tokenizer_file: path of a tokenizer.json, which wins over `vocab_file`.
        do_lower_case: make all letters small; default True. Cased checkpoints say False in tokenizer_config.json.
        unk_token, sep_token, pad_token, cls_token, mask_token: special tokens.
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

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | Mapping[str, int] | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        do_lower_case: bool = True,
        unk_token: str | AddedToken = "[UNK]",
        sep_token: str | AddedToken = "[SEP]",
        pad_token: str | AddedToken = "[PAD]",
        cls_token: str | AddedToken = "[CLS]",
        mask_token: str | AddedToken = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        *,
        vocab: str | os.PathLike[str] | Mapping[str, int] | None = None,
        **settings: Any,
    ) -> None:
        self.do_lower_case = do_lower_case
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.strip_accents = strip_accents
        special_tokens: dict[str, Any] = {
            "pad_token": pad_token,
            "unk_token": unk_token,
            "cls_token": cls_token,
            "sep_token": sep_token,
            "mask_token": mask_token,
        }
        source = vocab_file if vocab is None else vocab
        if tokenizer_file is not None:
            backend = read_backend(tokenizer_file)
            if not isinstance(backend.model, WordPiece):
                kind = type(backend.model).__name__
                raise CheckpointError(f"{tokenizer_file} holds a {kind} model, {type(self).__name__} needs WordPiece")
        else:
            if source is None:
                source = {str(token): index for index, token in enumerate(special_tokens.values())}
            ids = dict(source) if isinstance(source, Mapping) else read_vocabulary(source)
            backend = Tokenizer(WordPiece(ids, unk_token=str(unk_token)))
        backend.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=tokenize_chinese_chars,
            strip_accents=strip_accents,
            lowercase=do_lower_case,
        )
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece(prefix="##")
        super().__init__(tokenizer_object=backend, **special_tokens, **settings)
        backend.post_processor = pair_template(self)

    def save_vocabulary(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write vocab.txt, unless it cannot hold the vocabulary (it has no line for a gap between ids)."""
        ids = self._tokenizer.get_vocab(with_added_tokens=False)
        tokens = sorted(ids, key=ids.__getitem__)
        gaps = [ids[token] for token in tokens] != list(range(len(tokens)))
        if gaps or any(token != token.rstrip() or "\n" in token for token in tokens):
            logger.info("no vocab.txt is written: the vocabulary has gaps or tokens with spaces; tokenizer.json has it")
            return ()
        path = Path(save_directory) / self.vocab_files_names["vocab_file"]
        write_whole(path, lambda temporary: _write_lines(temporary, tokens))
        return (str(path),)


BertTokenizer = BertTokenizerFast


def read_vocabulary(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a vocab.txt: the number of a line is the id of its token.

    Raises:
        CheckpointError: it cannot be read, or is empty.
    """
    try:
        vocabulary: dict[str, int] = WordPiece.read_file(os.fspath(path))
    except Exception as error:  # the library has no class of its own for its errors
        reason = str(error).removeprefix("Error while reading WordPiece file: ")
        raise CheckpointError(f"the vocabulary {path} cannot be read: {reason}") from error
    if not vocabulary:
        raise CheckpointError(f"the vocabulary {path} is empty: expected one token a line")
    return vocabulary


def pair_template(tokenizer: PreTrainedTokenizerFast) -> processors.TemplateProcessing:
    """Return what puts [CLS] and [SEP] around texts, with token type 1 for the second one and its [SEP]."""
    start, end = tokenizer.cls_token, tokenizer.sep_token
    return processors.TemplateProcessing(
        single=f"{start}:0 $A:0 {end}:0",
        pair=f"{start}:0 $A:0 {end}:0 $B:1 {end}:1",
        special_tokens=[(start, tokenizer.cls_token_id), (end, tokenizer.sep_token_id)],
    )


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")

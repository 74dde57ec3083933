"""`RobertaTokenizerFast`: RoBERTa's byte-level BPE tokenizer; mirrors Hugging Face's class of that name.

A text is split into words, each with the space before it; their bytes stand as printable characters (Ġ is a space) and
are joined in the order of the merges. No text has an unknown token. `RobertaTokenizer` is the same class.

The ids are those of version 5 of the stock library: from vocab.json and merges.txt, <mask> keeps the space before it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from ...tokenization_utils_fast import PreTrainedTokenizerFast
from ...tokenization_vocabulary import library_errors
from ...utils.errors import CheckpointError
from ..bert.tokenization_bert_fast import start_and_end


class RobertaTokenizerFast(PreTrainedTokenizerFast):
    """RoBERTa's tokenizer, from a vocabulary and merges or from a tokenizer.json.

    What is said here about spaces and offsets wins over what a tokenizer.json says.

    Args:
        vocab_file: path of a vocab.json, or the ids of the tokens; default only the special tokens.
        merges_file: path of a merges.txt, or pairs of tokens that are joined, the first one first.
        tokenizer_file: path of a tokenizer.json, which wins over both.
        errors: accepted for the files of others; bytes that are no text are decoded as "\ufffd".
        add_prefix_space: take the first word of a text like any other; default False: without a space before it, it has
            other tokens.
        trim_offsets: leave the space out of a token's place in the text; default True.
        vocab, merges: other names of `vocab_file` and `merges_file`.
        **settings: see `PreTrainedTokenizerFast`.

    Raises:
        CheckpointError: a file is missing, cannot be read, or is not one of BPE.

    Example:
        >>> vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "ab": 7, "Ġ": 8, "Ġa": 9}
        >>> tokenizer = RobertaTokenizerFast(vocab, [("a", "b"), ("Ġ", "a")])
        >>> tokenizer.tokenize("ab ab")
        ['ab', 'Ġ', 'ab']
        >>> tokenizer("ab", "b a")["input_ids"]
        [0, 7, 2, 2, 6, 9, 2]
    """

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.json", "merges_file": "merges.txt"}
    saved_class: ClassVar[str] = "RobertaTokenizer"
    model: ClassVar[type] = BPE
    model_input_names: Sequence[str] = ("input_ids", "attention_mask")
    default_tokens: ClassVar[tuple[str, ...]] = ("<pad>", "<unk>", "<s>", "</s>", "<mask>", "<s>", "</s>")

    def __init__(
        self,
        vocab_file: Any = None,
        merges_file: Any = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        errors: str = "replace",
        *,
        add_prefix_space: bool = False,
        trim_offsets: bool = True,
        vocab: Any = None,
        merges: Any = None,
        **settings: Any,
    ) -> None:
        self.errors = errors
        self.add_prefix_space = add_prefix_space
        self.trim_offsets = trim_offsets
        vocab, merges = vocab or vocab_file, merges or merges_file
        if tokenizer_file is not None:
            backend = self.read_backend(tokenizer_file)
        elif isinstance(vocab, Mapping) or (vocab is None and merges is None):
            special = dict.fromkeys(self.special_tokens(settings).values())
            ids = dict(vocab) if vocab else {token: index for index, token in enumerate(special)}
            backend = Tokenizer(BPE(ids, [*(merges or ())]))
        elif vocab is None or merges is None:
            raise CheckpointError("a byte-level BPE is two files, vocab.json and merges.txt, or one tokenizer.json")
        else:
            with library_errors(f"{vocab} and {merges} are not the files of a byte-level BPE"):
                backend = Tokenizer(BPE(*BPE.read_file(os.fspath(vocab), os.fspath(merges))))
        backend.normalizer = None
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
        backend.decoder = decoders.ByteLevel()
        super().__init__(tokenizer_object=backend, **settings)
        start, end = start_and_end(self)
        backend.post_processor = processors.RobertaProcessing(end, start, trim_offsets, add_prefix_space)


RobertaTokenizer = RobertaTokenizerFast

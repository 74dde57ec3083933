"""`DistilBertTokenizerFast`: DistilBERT's tokenizer, BERT's without token types; mirrors Hugging Face's class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..bert.tokenization_bert_fast import BertTokenizerFast


class DistilBertTokenizerFast(BertTokenizerFast):
    """DistilBERT's tokenizer; arguments as of `BertTokenizerFast`.

    Example:
        >>> DistilBertTokenizerFast({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "red": 5})("Red")
        {'input_ids': [2, 5, 3], 'attention_mask': [1, 1, 1]}
    """

    saved_class: ClassVar[str] = "DistilBertTokenizer"
    model_input_names: Sequence[str] = ("input_ids", "attention_mask")


DistilBertTokenizer = DistilBertTokenizerFast

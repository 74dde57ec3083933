"""`ElectraTokenizerFast`: ELECTRA's tokenizer, which is BERT's; mirrors Hugging Face's class of that name."""

from __future__ import annotations

from typing import ClassVar

from ..bert.tokenization_bert_fast import BertTokenizerFast


class ElectraTokenizerFast(BertTokenizerFast):
    """ELECTRA's tokenizer; arguments as of `BertTokenizerFast`.

    Example:
        >>> ElectraTokenizerFast({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "red": 5})("Red")
        {'input_ids': [2, 5, 3], 'token_type_ids': [0, 0, 0], 'attention_mask': [1, 1, 1]}
    """

    saved_class: ClassVar[str] = "ElectraTokenizer"


ElectraTokenizer = ElectraTokenizerFast

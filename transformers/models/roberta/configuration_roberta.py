"""RoBERTa's configuration; mirrors Hugging Face's `RobertaConfig`."""

from __future__ import annotations

from typing import Any

from ...utils.errors import ConfigurationError
from ..bert.configuration_bert import BertConfig


class RobertaConfig(BertConfig):
    """Sizes and rates of a RoBERTa encoder, without ContraNorm.

    Args:
        vocab_size: int, number of token ids.
        pad_token_id: int, id of the padding token; positions are counted from the number behind it.
        bos_token_id, eos_token_id: int, ids of the first and the last token of a text.
        **kwargs: see `BertConfig`. Of the max_position_embeddings, the first pad_token_id + 1 are no token's.

    Raises:
        ConfigurationError: a value is wrong, or not supported.

    Example:
        >>> RobertaConfig(max_position_embeddings=514).longest_sequence
        512
    """

    model_type = "roberta"
    pad_token_id: int

    def __init__(
        self,
        vocab_size: int = 50265,
        *,
        pad_token_id: int = 1,
        bos_token_id: int | None = 0,
        eos_token_id: int | None = 2,
        **kwargs: Any,
    ) -> None:
        if pad_token_id is None:
            raise ConfigurationError("pad_token_id None: RoBERTa counts its positions from that id, give one")
        kwargs |= {"bos_token_id": bos_token_id, "eos_token_id": eos_token_id}
        super().__init__(vocab_size, pad_token_id=pad_token_id, **kwargs)

    @property
    def first_position(self) -> int:
        return self.pad_token_id + 1

"""ELECTRA's configuration; mirrors Hugging Face's `ElectraConfig`."""

from __future__ import annotations

from ..bert.configuration_bert import BertConfig


class ElectraConfig(BertConfig):
    """Sizes and rates of an ELECTRA encoder; the defaults are electra-small-discriminator, without ContraNorm.

    Args:
        vocab_size: int, number of token ids.
        embedding_size: int, width of the embeddings, which are projected to hidden_size where that is another.
        hidden_size: int, width D of a token's representation.
        num_hidden_layers: int, number of layers L.
        num_attention_heads: int, number of heads H; divides hidden_size.
        intermediate_size: int, width of the feed-forward network.
        **kwargs: see `BertConfig`.

    Raises:
        ConfigurationError: a value is wrong, or not supported.

    Example:
        >>> ElectraConfig(pos="7", scale=0.005).contranorm_sites
        ('attention_residual',)
    """

    model_type = "electra"

    vocab_size: int = 30522
    embedding_size: int = 128
    hidden_size: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 4
    intermediate_size: int = 1024

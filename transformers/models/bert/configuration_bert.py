"""BERT's configuration; mirrors Hugging Face's `BertConfig`."""

from __future__ import annotations

from ...configuration_utils import PretrainedConfig


class BertConfig(PretrainedConfig):
    """Sizes and rates of a BERT encoder; the defaults are bert-base-uncased, without ContraNorm.

    Args:
        vocab_size: int, number of token ids.
        hidden_size: int, width D of a token's representation.
        num_hidden_layers: int, number of layers L.
        num_attention_heads: int, number of heads H; divides hidden_size.
        intermediate_size: int, width of the feed-forward network.
        hidden_act: str, activation in the feed-forward network, a key of `ACT2FN`.
        hidden_dropout_prob: float in 0..1, dropout after embeddings and dense layers.
        attention_probs_dropout_prob: float in 0..1, dropout on attention weights.
        max_position_embeddings: int, longest sequence in tokens.
        type_vocab_size: int, number of token types.
        initializer_range: float, standard deviation of newly drawn weights.
        layer_norm_eps: float, epsilon of LayerNorm.
        pad_token_id: int, id of the padding token.
        classifier_dropout: float or None, dropout before the classifier; None takes hidden_dropout_prob.
        **kwargs: see `PretrainedConfig`, ContraNorm's settings among them.

    Raises:
        ConfigurationError: a value is wrong, or not supported.

    Example:
        >>> BertConfig(pos="17", scale=0.005).contranorm_sites
        ('layer_input', 'attention_residual')
    """

    model_type = "bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None

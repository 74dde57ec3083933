"""ALBERT's configuration; mirrors Hugging Face's `AlbertConfig`."""

from __future__ import annotations

from ...configuration_utils import PretrainedConfig


class AlbertConfig(PretrainedConfig):
    """Sizes and rates of an ALBERT encoder; the defaults are albert-xxlarge, without ContraNorm.

    Args:
        vocab_size: int, number of token ids.
        embedding_size: int, width of the embeddings, which are then projected to hidden_size.
        hidden_size: int, width D of a token's representation.
        num_hidden_layers: int, number of layers L.
        num_hidden_groups: int, number of groups of layers that share their parameters.
        num_attention_heads: int, number of heads H; divides hidden_size.
        intermediate_size: int, width of the feed-forward network.
        inner_group_num: int, number of layers within a group.
        hidden_act: str, activation in the feed-forward network, a key of `ACT2FN`.
        hidden_dropout_prob: float in 0..1, dropout after embeddings and dense layers.
        attention_probs_dropout_prob: float in 0..1, dropout on attention weights.
        max_position_embeddings: int, longest sequence in tokens.
        type_vocab_size: int, number of token types.
        initializer_range: float, standard deviation of newly drawn weights.
        layer_norm_eps: float, epsilon of LayerNorm.
        classifier_dropout_prob: float in 0..1, dropout before the classifier.
        pad_token_id, bos_token_id, eos_token_id: int, ids of these tokens.
        **kwargs: see `PretrainedConfig`, ContraNorm's settings among them.

    Raises:
        ConfigurationError: a value is wrong, or not supported.

    Example:
        >>> AlbertConfig(hidden_size=768, num_attention_heads=12, pos=4, scale=0.005).contranorm_sites
        ('attention_residual',)
    """

    model_type = "albert"

    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 4096
    num_hidden_layers: int = 12
    num_hidden_groups: int = 1
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    inner_group_num: int = 1
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    classifier_dropout_prob: float = 0.1
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | None = 3

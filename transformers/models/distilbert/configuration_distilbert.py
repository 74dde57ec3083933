"""DistilBERT's configuration; mirrors Hugging Face's `DistilBertConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...configuration_utils import PretrainedConfig


class DistilBertConfig(PretrainedConfig):
    """Sizes and rates of a DistilBERT encoder; the defaults are distilbert-base-uncased, without ContraNorm.

    Every setting that has another name here than in `BertConfig` goes by that name too, wherever it is given or read;
    config.json has the one of this class.

    Args:
        vocab_size: int, number of token ids.
        max_position_embeddings: int, longest sequence in tokens.
        n_layers: int, number of layers L; num_hidden_layers.
        n_heads: int, number of heads H; divides dim; num_attention_heads.
        dim: int, width D of a token's representation; hidden_size.
        hidden_dim: int, width of the feed-forward network; intermediate_size.
        dropout: float in 0..1, dropout after embeddings and dense layers; hidden_dropout_prob.
        attention_dropout: float in 0..1, dropout on attention weights; attention_probs_dropout_prob.
        activation: str, activation in the feed-forward network, a key of `ACT2FN`; hidden_act.
        initializer_range: float, standard deviation of newly drawn weights.
        seq_classif_dropout: float in 0..1, dropout before the classifier; classifier_dropout.
        pad_token_id: int, id of the padding token.
        **kwargs: see `PretrainedConfig`, ContraNorm's settings among them.

    Raises:
        ConfigurationError: a value is wrong, or not supported.

    Example:
        >>> config = DistilBertConfig(num_hidden_layers=3, pos="7", scale=0.005)
        >>> config.n_layers, config.num_hidden_layers, config.contranorm_sites
        (3, 3, ('attention_residual',))
    """

    model_type = "distilbert"
    attribute_map: ClassVar = {
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "hidden_act": "activation",
        "classifier_dropout": "seq_classif_dropout",
    }

    unread_settings: ClassVar = ("layer_norm_eps", "type_vocab_size")
    layer_norm_eps = 1e-12

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 4 * 768
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    initializer_range: float = 0.02
    seq_classif_dropout: float = 0.2
    pad_token_id: int | None = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(self.attribute_map.get(name, name), value)

    def __getattr__(self, name: str) -> Any:
        """Find a setting by its other name; called for what is no attribute."""
        if name not in self.attribute_map:
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}", name=name, obj=self)
        return getattr(self, self.attribute_map[name])

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """`PretrainedConfig.from_dict`, from settings under either name."""

        def own_names(settings: Mapping[str, Any]) -> dict[str, Any]:
            return {cls.attribute_map.get(name, name): value for name, value in settings.items()}

        return super().from_dict(own_names(config_dict), return_unused_kwargs, **own_names(kwargs))

"""What a model returns; mirrors Hugging Face's `ModelOutput` and the outputs of BERT and ALBERT.

Shape letters: B batch, S padded length, D width, H heads, L layers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.utils import _pytree


class ModelOutput(OrderedDict[str, Any]):
    """Base of all outputs: a dataclass that is also a dictionary and, by index, a tuple.

    Fields that are None are left out of the dictionary and of the tuple. A subclass is a dataclass whose fields all
    have a default. Every subclass is a container of tensors to torch's transformations (vmap, export, tree_map).

    Example:
        >>> output = SequenceClassifierOutput(logits=torch.zeros(1, 2))
        >>> output.loss is None, "loss" in output, list(output)
        (True, False, ['logits'])
        >>> output.logits is output["logits"] is output[0] is output.to_tuple()[0] is output[:1][0]
        True
    """

    def __init_subclass__(cls) -> None:
        _pytree.register_pytree_node(
            cls,
            _pytree._dict_flatten,
            lambda values, names: cls(**dict(zip(names, values, strict=True))),
            serialized_type_name=f"{cls.__module__}.{cls.__qualname__}",
            flatten_with_keys_fn=_pytree._dict_flatten_with_keys,
        )

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        first = getattr(self, names[0])
        # Code that rebuilds a mapping of tensors (accelerate's casts and gathers) calls the class with one dictionary.
        if isinstance(first, dict) and all(getattr(self, name) is None for name in names[1:]):
            self._set(names[0], None)
            for name, value in first.items():
                self._set(name, value)
            return
        for name in names:
            value = getattr(self, name)
            if value is not None:
                super().__setitem__(name, value)

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the fields that are not None, in their order."""
        return tuple(self[name] for name in self.keys())

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key)
        return self.to_tuple()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value)

    def __setattr__(self, name: str, value: Any) -> None:
        # While the dataclass fills its fields the dictionary is still empty, so that this touches the attribute only.
        if name in self.keys():
            super().__setitem__(name, value) if value is not None else super().__delitem__(name)
        super().__setattr__(name, value)

    def _fixed(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"the fields of {type(self).__name__} are fixed: set one to None to leave it out")

    __delitem__ = pop = popitem = clear = update = setdefault = _fixed

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def _set(self, name: str, value: Any) -> None:
        if value is not None:
            super().__setitem__(name, value)
        super().__setattr__(name, value)


@dataclass
class BaseModelOutput(ModelOutput):
    """Output of an encoder without pooling.

    Args:
        last_hidden_state: B x S x D, the last layer's output.
        hidden_states: L + 1 tensors of B x S x D, the embeddings first; only when asked for.
        attentions: L tensors of B x H x S x S, attention weights after the softmax; only when asked for.
    """

    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class BaseModelOutputWithPooling(ModelOutput):
    """Output of a base model.

    Args:
        last_hidden_state: B x S x D, the last layer's output.
        pooler_output: B x D, the first token after the pooler's dense layer and tanh; None without a pooler.
        hidden_states: L + 1 tensors of B x S x D, the embeddings first; only when asked for.
        attentions: L tensors of B x H x S x S, attention weights after the softmax; only when asked for.
    """

    last_hidden_state: torch.Tensor | None = None
    pooler_output: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class SequenceClassifierOutput(ModelOutput):
    """Output of a model with a sequence classification head.

    Args:
        loss: scalar; only when labels were given.
        logits: B x num_labels, scores before the softmax (or the predicted value for one label).
        hidden_states: L + 1 tensors of B x S x D, the embeddings first; only when asked for.
        attentions: L tensors of B x H x S x S, attention weights after the softmax; only when asked for.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class MaskedLMOutput(ModelOutput):
    """Output of a model that predicts masked tokens.

    Args:
        loss: scalar; only when labels were given.
        logits: B x S x V, scores of all V tokens before the softmax; N x V of N labelled tokens if only those are.
        hidden_states: L + 1 tensors of B x S x D, the embeddings first; only when asked for.
        attentions: L tensors of B x H x S x S, attention weights after the softmax; only when asked for.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class TokenClassifierOutput(ModelOutput):
    """Output of a model that classifies every token.

    Args:
        loss: scalar; only when labels were given.
        logits: B x S x num_labels, scores before the softmax.
        hidden_states: L + 1 tensors of B x S x D, the embeddings first; only when asked for.
        attentions: L tensors of B x H x S x S, attention weights after the softmax; only when asked for.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class QuestionAnsweringModelOutput(ModelOutput):
    """Output of a model that finds the span of an answer.

    Args:
        loss: scalar; only when both positions were given.
        start_logits, end_logits: B x S, scores of a token as the first and as the last of the answer.
        hidden_states: L + 1 tensors of B x S x D, the embeddings first; only when asked for.
        attentions: L tensors of B x H x S x S, attention weights after the softmax; only when asked for.
    """

    loss: torch.Tensor | None = None
    start_logits: torch.Tensor | None = None
    end_logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None

"""A layer at any site of a model of the Hugging Face library, by forward hooks.

A transformer layer has eight sites; where they are in a module tree, and how the released code numbers them, stands in
`SITES`. The attention mask is taken from the call of the model, so that padding neither pushes nor is counted.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

_BERT = {
    "layer_input": ("1", "", "before"),
    "context": ("2", "attention.output.dense", "before"),
    "attention_output": ("3", "attention.output.dropout", "after"),
    "attention_residual": ("7", "attention.output.LayerNorm", "before"),
    "attention_norm": ("4", "attention.output.LayerNorm", "after"),
    "ffn_output": ("5", "output.dropout", "after"),
    "ffn_residual": ("8", "output.LayerNorm", "before"),
    "layer_output": ("6", "output.LayerNorm", "after"),
}
# For each model_type: each site's number in `pos`, the module inside a layer that it is at, and on which side of it.
SITES: dict[str, dict[str, tuple[str, str, str]]] = {
    "bert": _BERT,
    "roberta": _BERT,
    "electra": _BERT,
    "albert": {
        "layer_input": ("1", "", "before"),
        "context": ("2", "attention.dense", "before"),
        "attention_output": ("3", "attention.output_dropout", "after"),
        "attention_residual": ("4", "attention.LayerNorm", "before"),
        "attention_norm": ("5", "attention.LayerNorm", "after"),
        "ffn_output": ("6", "ffn_output", "after"),
        "ffn_residual": ("7", "full_layer_layer_norm", "before"),
        "layer_output": ("8", "full_layer_layer_norm", "after"),
    },
    "distilbert": {
        "layer_input": ("1", "", "before"),
        "context": ("2", "attention.out_lin", "before"),
        "attention_output": ("3", "attention.out_lin", "after"),
        "attention_residual": ("7", "sa_layer_norm", "before"),
        "attention_norm": ("4", "sa_layer_norm", "after"),
        "ffn_output": ("5", "ffn", "after"),
        "ffn_residual": ("8", "output_layer_norm", "before"),
        "layer_output": ("6", "output_layer_norm", "after"),
    },
    # Normalised before its blocks: no module is given a residual sum that it alone hands on.
    "modernbert": {
        "layer_input": ("1", "", "before"),
        "context": ("2", "attn.Wo", "before"),
        "attention_output": ("3", "attn.out_drop", "after"),
        "attention_norm": ("4", "mlp_norm", "after"),
        "ffn_output": ("5", "mlp", "after"),
        "layer_output": ("6", "", "after"),
    },
}
# What a layer is called in these models, and nothing else in them is.
_LAYERS = ("BertLayer", "RobertaLayer", "ElectraLayer", "AlbertLayer", "TransformerBlock", "ModernBertEncoderLayer")
_ATTACHED = "_contranorm"


class Attached:
    """A layer in a model; `remove()` takes it out again.

    Attributes:
        layer: the module that is called at every site.
        sites: the sites, by name.
        count: places that carry the layer: sites times layers.
    """

    def __init__(self, base: nn.Module, layer: nn.Module, sites: tuple[str, ...]) -> None:
        self.layer, self.sites, self.count = layer, sites, 0
        self._base = base
        self._mask: Tensor | None = None
        self._handles: list[Any] = [self._base.register_forward_pre_hook(self._take_mask, with_kwargs=True)]
        self._signature = inspect.signature(self._base.forward)

    def put(self, module: nn.Module, side: str) -> None:
        """Call the layer on what a module is given, or on what it returns."""
        self.count += 1
        if side == "before":
            self._handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
        else:
            self._handles.append(module.register_forward_hook(self._after))

    def remove(self) -> None:
        """Take the layer out of the model."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        vars(self._base).pop(_ATTACHED, None)

    def _take_mask(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if getattr(module, "is_gradient_checkpointing", False) and module.training:
            raise ValueError(
                "ContraNorm is attached by hooks, which do not know what batch a layer is computed again for: switch "
                "gradient checkpointing off"
            )
        mask = self._signature.bind(*args, **kwargs).arguments.get("attention_mask")
        if mask is not None and mask.dim() != 2:
            raise ValueError(
                f"attention_mask has shape {tuple(mask.shape)}: ContraNorm is attached, which takes (B, S)"
            )
        self._mask = mask

    def _apply(self, tokens: Any) -> Any:
        if isinstance(tokens, tuple):
            return (self._apply(tokens[0]), *tokens[1:])
        mask = self._mask
        if tokens.dim() != 3 or (mask is not None and mask.shape != tokens.shape[:2]):
            raise ValueError(
                f"tokens of shape {tuple(tokens.shape)} where ContraNorm is attached: expected (B, S, D), and a mask "
                "(B, S). Load the model with attn_implementation='sdpa' or 'eager', which keep padding"
            )
        return self.layer(tokens, mask=mask)

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (self._apply(args[0]), *args[1:]), kwargs
        first = next(iter(inspect.signature(module.forward).parameters))
        return args, {**kwargs, first: self._apply(kwargs[first])}

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return self._apply(output)


def attach_layer(model: nn.Module, layer: nn.Module, pos: str | int) -> Attached:
    """Call `layer(tokens, mask=mask)`, with tokens (B, S, D) and a mask (B, S) or None, at sites of every layer.

    Args:
        model: one of those in `SITES`, with a head or without, wrapped or not.
        layer: one module for all places.
        pos: digits of the released code's numbering for this model, combined freely.

    Raises:
        ValueError: the model is of another kind, has something attached already, or lacks a module; or a position is
            none of its sites.
    """
    base, model_type = base_model(model), model_type_of(model)
    if _ATTACHED in vars(base):
        raise ValueError("the model has ContraNorm attached already: detach it first")
    sites = _sites_of(model_type, pos)
    attached = Attached(base, layer, sites)
    layers = [module for module in base.modules() if type(module).__name__ in _LAYERS]
    missing = [] if layers else ["its layers"]
    for path, side in (SITES[model_type][site][1:] for site in sites):
        for module in layers:
            try:
                attached.put(module.get_submodule(path), side)
            except AttributeError:
                missing.append(f"{type(module).__name__}.{path}")
    if missing:
        attached.remove()
        raise ValueError(f"{type(base).__name__} lacks {', '.join(dict.fromkeys(missing))}")
    vars(base)[_ATTACHED] = attached
    return attached


def detach(model: nn.Module) -> None:
    """Take out of a model what `attach` put into it; nothing happens where nothing is."""
    attached = vars(base_model(model)).get(_ATTACHED)
    if attached is not None:
        attached.remove()


def base_model(model: nn.Module) -> nn.Module:
    """Return the model inside heads and wrappers: without its head, the outermost one of a kind that `SITES` knows."""
    for module in model.modules():
        prefix = getattr(module, "base_model_prefix", None)
        if isinstance(prefix, str) and getattr(getattr(module, "config", None), "model_type", None) in SITES:
            return getattr(module, prefix, module)
    return model


def model_type_of(model: nn.Module) -> str:
    """Return what kind of model it is, a key of `SITES`.

    Raises:
        ValueError: it is another kind.
    """
    base = base_model(model)
    model_type = getattr(getattr(base, "config", None), "model_type", type(base).__name__)
    if model_type not in SITES:
        raise ValueError(f"no sites are known for {model_type}: expected one of {', '.join(SITES)}")
    return model_type


def _sites_of(model_type: str, pos: str | int) -> tuple[str, ...]:
    numbers = {number: site for site, (number, _, _) in SITES[model_type].items()}
    text = str(pos).strip()
    if not text or not set(text) <= set(numbers):
        table = ", ".join(f"{number} {site}" for number, site in sorted(numbers.items()))
        raise ValueError(f"pos {pos!r} is no position of {model_type}: expected digits out of {table}")
    return tuple(site for number, site in numbers.items() if number in text)


__all__ = ["SITES", "Attached", "attach_layer", "base_model", "detach", "model_type_of"]

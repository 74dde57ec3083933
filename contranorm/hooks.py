"""A layer at any site of a model of the Hugging Face library, by forward hooks.

A transformer layer has eight sites; where they are in a module tree, and how the released code numbers them, stands in
`SITES`. The attention mask is taken from what the model hands each layer, so that padding neither pushes nor is
counted, in a layer that gradient checkpointing computes again as well.
"""

from __future__ import annotations

import inspect
from functools import partial
from threading import get_ident
from typing import Any

import torch
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
# What a layer is called in these models, and nothing else in them is; and its attention, which is handed the mask.
_LAYERS = ("BertLayer", "RobertaLayer", "ElectraLayer", "AlbertLayer", "TransformerBlock", "ModernBertEncoderLayer")
_ATTENTION = ("attention", "attn")
_ATTACHED = "_contranorm"


class Attached:
    """A layer in a model; `remove()` takes it out again.

    Attributes:
        layer: the module that is called at every site.
        sites: the sites, by name.
        count: places that carry the layer: sites times layers.
    """

    def __init__(self, base: nn.Module, layer: nn.Module, sites: tuple[str, ...], count_padding: bool) -> None:
        self.layer, self.sites = layer, sites
        self._base, self._count_padding = base, count_padding
        self._layers = [module for module in base.modules() if type(module).__name__ in _LAYERS]
        self._masks: dict[int, Any] = {}  # by thread, in which copies of a model (nn.DataParallel) run
        self._handles: list[Any] = []
        self._put(self._find())
        vars(base)[_ATTACHED] = self

    def remove(self) -> None:
        """Take the layer out of the model."""
        self._unhook()
        vars(self._base).pop(_ATTACHED, None)

    def _find(self) -> list[tuple[nn.Module, str]]:
        """Return the module of every place, and on which side of it the layer is called."""
        found, missing = [], [] if self._layers else ["its layers"]
        table: Any = SITES[model_type_of(self._base)]
        for _, path, side in (table[site] for site in self.sites):
            for layer in self._layers:
                try:
                    found.append((layer.get_submodule(path), side))
                except AttributeError:
                    missing.append(f"{type(layer).__name__}.{path}")
        if missing:
            raise ValueError(f"{type(self._base).__name__} lacks {', '.join(dict.fromkeys(missing))}")
        return found

    def _put(self, places: list[tuple[nn.Module, str]]) -> None:
        self._places, self.count = places, len(places)
        self._hook(self._base, self._check, "attention_mask")
        for layer in self._layers:  # gradient checkpointing calls a layer's attention again, with the same mask
            for module in (layer, *(child for name, child in layer.named_children() if name in _ATTENTION)):
                self._hook(module, self._take_mask, "attention_mask")
        for module, side in places:
            if side == "before":
                self._hook(module, self._before)
            else:
                self._handles.append(module.register_forward_hook(self._after))

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, module: nn.Module, function: Any, name: str | None = None) -> None:
        """Call a function before a module, and tell it where an argument of the module is: by default the first."""
        names = list(inspect.signature(module.forward).parameters)
        argument = (name or names[0], names.index(name) if name else 0)
        self._handles.append(module.register_forward_pre_hook(partial(function, *argument), with_kwargs=True))

    def _check(self, name: str, place: int, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse calls in which layers cannot tell what a sequence is, and find modules that were replaced (LoRA)."""
        attention = str(getattr(self._base.config, "_attn_implementation", "eager"))
        if attention not in ("eager", "sdpa") and not attention.startswith("flash_attention"):
            raise ValueError(f"attn_implementation {attention!r}: ContraNorm needs the mask of eager, sdpa or flash")
        if any(key.startswith("cu_seq_lens") for key in kwargs):
            raise ValueError("cu_seq_lens: ContraNorm would take all sequences of a row for one")
        mask = args[place] if place < len(args) else kwargs.get(name)
        if mask is not None and not _is_padding_mask(mask):
            raise ValueError(
                f"attention_mask of shape {tuple(getattr(mask, 'shape', ()))}: ContraNorm takes (B, S), or the same "
                "for all queries, (B, 1, 1 or S, S) with True and False, or with 0 and the lowest number"
            )
        if (places := self._find()) != self._places:
            self._unhook()
            self._put(places)

    def _take_mask(self, name: str, place: int, module: nn.Module, args: tuple[Any, ...], kwargs: Any) -> None:
        mask = None if self._count_padding else args[place] if place < len(args) else kwargs.get(name)
        if mask is not None and mask.dim() == 4:  # a token counts if any attends to it
            mask = (mask if mask.dtype == torch.bool else mask == 0).any(dim=2).any(dim=1)
        self._masks[get_ident()] = mask

    def _before(self, name: str, place: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (self._apply(args[0]), *args[1:]), kwargs
        return args, {**kwargs, name: self._apply(kwargs[name])}

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return (self._apply(output[0]), *output[1:]) if isinstance(output, tuple) else self._apply(output)

    def _apply(self, tokens: Tensor) -> Tensor:
        mask = self._masks[get_ident()]
        if mask is not None and mask.shape[0] == 1:
            mask = mask.expand(len(tokens), -1)
        if tokens.dim() != 3 or (mask is not None and mask.shape != tokens.shape[:2]):
            raise ValueError(f"tokens of shape {tuple(tokens.shape)} where ContraNorm is attached: expected (B, S, D)")
        return self.layer(tokens, mask=mask)


def _is_padding_mask(mask: Any) -> bool:
    """Whether a mask says of each token if it is padding, and nothing else."""
    if not isinstance(mask, Tensor) or mask.dim() != 4:
        return isinstance(mask, Tensor) and mask.dim() == 2
    known = mask.dtype == torch.bool or bool(((mask == 0) | (mask <= -1e4)).all())
    return known and torch.equal(mask, mask[:, :1, :1].expand_as(mask))


def attach_layer(model: nn.Module, layer: nn.Module, pos: str | int, count_padding: bool = False) -> Attached:
    """Call `layer(tokens, mask=mask)`, with tokens (B, S, D) and a mask (B, S) or None, at sites of every layer.

    Args:
        model: one of those in `SITES`, with a head or without, wrapped or not.
        layer: one module for all places.
        pos: digits of the released code's numbering for this model, combined freely.
        count_padding: hand the layer no mask, so that padding counts like any token.

    Raises:
        ValueError: the model is of another kind, has something attached already, lacks a module, is a decoder or cuts
            its sequences into chunks; or a position is none of its sites.
    """
    base, model_type = base_model(model), model_type_of(model)
    if _ATTACHED in vars(base):
        raise ValueError("the model has ContraNorm attached already: detach it first")
    for name in ("is_decoder", "chunk_size_feed_forward"):
        if setting := getattr(base.config, name, None):
            raise ValueError(f"{name} {setting!r}: ContraNorm looks at whole sequences")
    return Attached(base, layer, _sites_of(model_type, pos), count_padding)


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

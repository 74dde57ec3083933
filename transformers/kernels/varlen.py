"""Attention of packed tokens on an NVIDIA GPU (`--execution packed`): one launch for sequences of all lengths.

PyTorch's two kernels are told where each sequence begins, by `TokenLayout.cu_seqlens`. They draw the dropout from the
GPU's generator, and have a backward pass. (`torch.nn.attention.varlen` is the first of them without dropout.)

**Not yet run on a GPU.** Tests hold the arguments against the kernels' signatures, and put in the kernels' place what
computes attention from the same arguments as it is defined.

Shape letters: T tokens, D width, H heads, K = D / H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..padding import TokenLayout

flash = torch.ops.aten._flash_attention_forward  # half precision, from Ampere on
efficient = torch.ops.aten._efficient_attention_forward  # single precision too, and older GPUs
_HALF = (torch.float16, torch.bfloat16)


def takes(query: Tensor, layout: TokenLayout, num_heads: int) -> bool:
    """Whether there is a kernel for queries (T, D): not in double precision, nor for heads of any width."""
    head_width = query.shape[-1] // num_heads
    fits = query.dtype in (torch.float32, *_HALF) and head_width % 8 == 0 and head_width <= 256
    return layout.cu_seqlens is not None and fits


def attend_varlen(
    query: Tensor, key: Tensor, value: Tensor, layout: TokenLayout, num_heads: int, scale: float, dropout: float
) -> Tensor:
    """Return softmax(scale q k^T) v within each sequence and head; see `attend`, which calls this.

    Args:
        query, key, value: (T, D), of a varlen layout.
    """
    q, k, v = (tensor.unflatten(-1, (num_heads, -1)) for tensor in (query, key, value))  # (T, H, K)
    where = (layout.cu_seqlens, layout.cu_seqlens, layout.max_seqlen, layout.max_seqlen)
    if has_flash(query):
        return flash(q, k, v, *where, dropout, is_causal=False, return_debug_mask=False, scale=scale)[0].flatten(-2)
    parts = (part[None] for part in (q, k, v))  # as a batch of one
    context = efficient(
        *parts, None, *where, dropout, custom_mask_type=0, compute_log_sumexp=torch.is_grad_enabled(), scale=scale
    )[0]
    return context[0].flatten(-2)


def has_flash(query: Tensor) -> bool:
    """Whether the faster kernel runs there."""
    return query.dtype in _HALF and torch.cuda.get_device_capability(query.device) >= (8, 0)

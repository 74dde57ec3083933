"""What a kernel is: a function of tensors that is computed faster than it is defined, with a gradient by formula.

Where a gradient of the gradient is wanted, both are the definition's own. Kernels compute in the type of their tensors
or in a better one, whatever autocast says.

Shared by all devices; who calls a kernel says where it pays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


class Kernel:
    """A function of tensors; an instance is made for one call, and holds what else goes into it."""

    def compute(self, *inputs: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        """Return the result, and what the gradient needs besides the inputs."""
        raise NotImplementedError

    def differentiate(self, gradient: Tensor, inputs: Sequence[Tensor], saved: Sequence[Any]) -> Iterable[Tensor]:
        """Return the gradients of the inputs from that of the result."""
        raise NotImplementedError

    def define(self, inputs: Sequence[Tensor], saved: Sequence[Any]) -> Tensor:
        """Return the result by operations that torch differentiates as often as is wanted."""
        raise NotImplementedError

    def __call__(self, *inputs: Tensor) -> Tensor:
        return _Call.apply(self, *inputs)


def _in_full(tensor: Tensor) -> AbstractContextManager[Any]:
    """Without autocast on the tensor's device; leaving it alone where it is off, as that takes longer than a launch."""
    device = tensor.device.type
    is_on = device != "meta" and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if is_on else nullcontext()


class _Call(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, *inputs: Tensor) -> Tensor:
        with _in_full(inputs[0]):
            result, saved = kernel.compute(*inputs)
        ctx.save_for_backward(*inputs, *saved)
        ctx.kernel, ctx.count = kernel, len(inputs)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        inputs, saved = tensors[: ctx.count], tensors[ctx.count :]
        with _in_full(gradient):
            if not torch.is_grad_enabled():
                return None, *ctx.kernel.differentiate(gradient, inputs, saved)
            wanted = [tensor for tensor in inputs if tensor.requires_grad]
            result = ctx.kernel.define(inputs, saved)
            gradients = iter(torch.autograd.grad(result, wanted, gradient, create_graph=True))
        return None, *(next(gradients) if tensor.requires_grad else None for tensor in inputs)

"""What a training step of padded batches costs the host, which has to launch every operation: no GPU is needed.

    python -m benchmarks.host
    python -m benchmarks.host --layers 6 --pos none
    python -m benchmarks.host --stock       # beside the stock library, in turn, in a process of its own

Prints as JSON, for the forward and backward pass of an uncompiled model in single precision with dropout:

    operations      dispatched that are no views, on the meta device, by name and in all: about as many launches
    milliseconds    the host's, on one core: the fastest of steps on tensors so small that nearly nothing is
                    computed; the CPU stands in for the GPU, and is called as often as that would be
    stock, ratio    the stock library's milliseconds for a model without ContraNorm; ours over that, as the median over
                    the rounds. On a machine that does other work too, this says more than the times do

Attention and dropout are one operation each, as PyTorch has them on GPUs. One row of each batch is padded.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.workers import Worker
from transformers import BertConfig, BertForSequenceClassification

ROWS, WIDTH = 32, 64  # of a batch
STEPS = 10  # of a round
IS_OURS = importlib.util.find_spec("transformers.kernels") is not None  # or it is the stock library


class Launches(TorchDispatchMode):
    """Counts the operations that are dispatched, but for views."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def build(device: str, sizes: dict[str, Any]) -> tuple[Any, dict[str, Tensor]]:
    """Return a model that computes on padded tokens, and a batch for it; a stock one overlooks ContraNorm."""
    small = device == "cpu"
    shape = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16} if small else {}
    with torch.device(device):
        model = BertForSequenceClassification(BertConfig(vocab_size=100, **shape, **sizes)).train()
    model.base_model.pads = True
    rows, width = (2, 8) if small else (ROWS, WIDTH)
    ids = torch.zeros(rows, width, dtype=torch.long, device=device)
    mask = torch.ones_like(ids)
    mask[0, width // 2 :] = 0
    return model, {"input_ids": ids, "attention_mask": mask}


def step(model: Any, batch: dict[str, Tensor]) -> None:
    """The forward and backward pass."""
    model(**batch).logits.sum().backward()


def count(**sizes: Any) -> Counter[str]:
    """Return how often each operation is dispatched in a step, but for views."""
    model, batch = build("meta", sizes)
    with as_on_a_gpu():
        step(model, batch)  # what is done once a process
        model.zero_grad(set_to_none=True)
        with Launches() as launches:
            step(model, batch)
    return launches.counts


def time_host(steps: int, **sizes: Any) -> float:
    """Return the milliseconds of processor time of a step, the fastest of some."""
    torch.set_num_threads(1)
    model, batch = build("cpu", sizes)
    taken = []
    with as_on_a_gpu():
        for _ in range(steps + 1):
            model.zero_grad(set_to_none=True)
            began = time.process_time()
            step(model, batch)
            taken.append(time.process_time() - began)
    return 1000 * min(taken[1:])


def time_beside_stock(rounds: int, **sizes: Any) -> tuple[float, float, float]:
    """Return milliseconds of ours and of the stock library, the fastest of all, and the median ratio of a round."""
    from benchmarks.stock_process import __file__ as stock_process

    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker("the stock library", [sys.executable, "-I", stock_process], environment, Path(folder, "log"))
        try:
            pairs = [(time_host(STEPS, **sizes), worker.ask("host", steps=STEPS, **sizes)) for _ in range(rounds)]
        finally:
            worker.close()
    ours, stock = (min(times) for times in zip(*pairs, strict=True))
    return ours, stock, median(one / other for one, other in pairs)


@contextlib.contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Let attention and dropout be one operation each, and no kernel be used that is made for the CPU."""

    def attend(
        q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, **more: Any
    ) -> Tensor:
        bias, scale = attn_mask, more["scale"]
        if bias is not None and bias.dtype == torch.bool:  # the stock library's, which PyTorch turns into numbers
            bias = torch.zeros(bias.shape, device=q.device).masked_fill_(~bias, -torch.inf)
        bias = None if bias is None else bias.expand(-1, q.shape[1], q.shape[2], -1)
        if q.device.type == "cpu":
            return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=bias, scale=scale)[0]
        return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, bias, True, dropout_p, scale=scale)[0]

    def drop(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return torch.native_dropout(x, p, training)[0] if training and p else x

    def no(*_: Any) -> bool:  # a mock would take its own time
        return False

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(F, "scaled_dot_product_attention", attend))
        stack.enter_context(mock.patch.object(F, "dropout", drop))
        if IS_OURS:
            stack.enter_context(mock.patch("transformers.kernels.attention.runs_eagerly_on_cpu", no))
            stack.enter_context(mock.patch("transformers.dropout.draws_own_masks", no))
        yield


def main(argv: list[str] | None = None) -> int:
    """Print the numbers; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.host", description="What a step costs the host.")
    parser.add_argument("--layers", type=int, default=12, help="of the model (default 12)")
    parser.add_argument("--pos", default="7", help="where ContraNorm is (default 7)")
    parser.add_argument("--rounds", type=int, default=10, help=f"of {STEPS} steps that are timed (default 10)")
    parser.add_argument("--stock", action="store_true", help="time the stock library's model too, in turn")
    options = parser.parse_args(argv)
    sizes = {"num_hidden_layers": options.layers, "pos": options.pos, "scale": 0.005}
    counts = count(**sizes)
    found: dict[str, Any] = {"operations": counts.total()}
    if options.stock:
        names = ("milliseconds", "stock", "ratio")
        found |= {name: round(x, 2) for name, x in zip(names, time_beside_stock(options.rounds, **sizes), strict=True)}
    else:
        found["milliseconds"] = round(time_host(STEPS * options.rounds, **sizes), 2)
    print(json.dumps({**found, "by_name": dict(counts.most_common())}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

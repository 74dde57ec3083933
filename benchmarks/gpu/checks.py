"""Whether results on a device are right. Each check is a function of a `Place`, raises an AssertionError, or says in a
line what it found; `CHECKS` has them by name. The tests marked `gpu` call the same functions.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from contranorm import ContraNorm, ContraNormV2
from glue.demo.checkpoint import build_demo_checkpoint
from transformers import AutoConfig, AutoModelForSequenceClassification

from ..growth import SCALE, direct_form
from .ours import run, seen_updates

ROOT = Path(__file__).parents[2]
# How far a result may be from the one in double precision: the norm of the difference over its norm, of all logits and
# of the whole gradient. A mantissa of 8 bits rounds by 2^-9, and a layer has some ten roundings on its way.
TOLERANCES = {"fp32": 1e-4, "tf32": 3e-2, "bf16": 1e-1}
EXACT = 1e-10  # in double precision


@dataclass(frozen=True)
class Place:
    """Where to check.

    Attributes:
        device: "cuda" or "cpu".
        tiny: with small models and few cases.
    """

    device: str
    tiny: bool = False

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that the device computes in."""
        if self.device == "cpu":
            return ("fp32", "bf16")
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("fp32", "tf32", "bf16") if has_bf16 else ("fp32",)


def golden_outputs(place: Place) -> str:
    """The released code's outputs, on file, in double precision."""
    golden, worst, count = _golden(), 0.0, 0
    for variant, name in golden.VARIANTS.items():
        cases = golden.recorded(name)["variants"][variant]["cases"]
        for case in [case for case in cases if case["scale"]][::20] if place.tiny else cases:
            model = golden.rebuild(variant, case["pos"], case["scale"]).to(place.device)
            inputs = _moved(golden.batch(variant, case["mask"]), place.device)
            logits, expected = model(**inputs).logits, torch.tensor(case["logits"], dtype=torch.float64)
            worst, count = max(worst, (logits.detach().cpu() - expected).abs().max().item()), count + 1
    assert worst <= EXACT, f"logits differ from the released code's by {worst:.1e}: expected at most {EXACT:g}"
    return f"{count} recorded cases, largest difference {worst:.1e}"


def layer_parity(place: Place) -> str:
    """ContraNorm and V2, forwards and backwards, beside the formula written down directly in double precision."""
    sizes, found = ((2, 7, 24) if place.tiny else (8, 128, 768)), []
    for precision in place.precisions:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        generator, worst = torch.Generator().manual_seed(0), 0.0
        for kind in (ContraNorm, ContraNormV2):
            x = torch.randn(*sizes, generator=generator).to(dtype)
            exact = x.double().requires_grad_()
            layer = kind(SCALE)
            expected = direct_form(exact) if kind is ContraNorm else layer(exact)
            expected.square().sum().backward()
            moved = x.to(place.device).requires_grad_()
            with _products(precision):
                result = layer(moved)
                result.float().square().sum().backward()
            pairs = ((result, expected), (moved.grad, exact.grad))
            worst = max(worst, *(_distance([a], [b]) for a, b in pairs if a is not None and b is not None))
        _check(worst, precision)
        found.append(f"{precision} {worst:.1e}")
    return f"relative differences: {', '.join(found)}"


def model_parity(place: Place) -> str:
    """Logits and gradients of BERT and ALBERT with ContraNorm, padded and packed, beside the CPU's double precision."""
    found = []
    for precision in place.precisions:
        worst = 0.0
        for model_type, use_v2 in (("bert", False), ("bert", True), ("albert", False)):
            for pos in ("7", "12345678"):
                exact = _model(place, model_type, pos=pos, use_v2=use_v2).double()
                model = _model(place, model_type, pos=pos, use_v2=use_v2).to(place.device)
                batch = _batch(place)
                expected = _results(exact, batch)
                for model.base_model.pads in (True, False):
                    model.zero_grad()
                    with _products(precision), _autocast(place, precision):
                        actual = _results(model, _moved(batch, place.device))
                    worst = max(worst, *(_distance(a, b) for a, b in zip(actual, expected, strict=True)))
        _check(worst, precision)
        found.append(f"{precision} {worst:.1e}")
    return f"relative differences: {', '.join(found)}"


def padding_invariance(place: Place) -> str:
    """A row's logits are the same alone, in a batch, and in one that is padded further."""
    worst = 0.0
    for model_type in ("bert", "albert"):
        model = _model(place, model_type, pos="7").double().to(place.device)
        batch = _batch(place)
        batch.pop("labels")
        with torch.no_grad():
            together = model(**_moved(batch, place.device)).logits
            wider = {name: torch.nn.functional.pad(values, (0, 9)) for name, values in batch.items()}
            worst = max(worst, (model(**_moved(wider, place.device)).logits - together).abs().max().item())
            for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
                alone = {name: values[row : row + 1, :length] for name, values in batch.items()}
                logits = model(**_moved(alone, place.device)).logits
                worst = max(worst, (logits[0] - together[row]).abs().max().item())
    assert worst <= EXACT, f"logits change with the padding by {worst:.1e}: expected at most {EXACT:g}"
    return f"largest difference {worst:.1e}"


def resume(place: Place) -> str:
    """A run that is resumed ends with the same weights as one that was never stopped.

    Some kernels of a GPU add in an order that changes. Where two runs of the same command differ, a resumed one may
    differ from them ten times as much.
    """
    words = ["--demo", "--task_name", "rte", "--pos", "7", "--scale", "0.1", "--checkpointing_steps", "4"]
    words += ["--token_cache", "none", "--max_train_samples", "64", "--per_device_train_batch_size", "8"]
    words += ["--max_train_steps", "8", "--model_name_or_path"]
    with tempfile.TemporaryDirectory(prefix="contranorm-gpu-") as name:
        model = build_demo_checkpoint(Path(name, "model"), "bert")
        rates = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        (model / "config.json").write_text(json.dumps(config | rates), encoding="utf-8")
        words += [str(model), "--output_dir"]
        first, second, resumed = (Path(name, folder) for folder in ("first", "second", "resumed"))
        run([*words, str(first)], place.device)
        run([*words, str(second)], place.device)
        shutil.copytree(first, resumed)
        shutil.rmtree(resumed / "checkpoints" / "step_000008")
        run([*words, str(resumed), "--resume_from_checkpoint"], place.device)
        weights = [load_file(folder / "model.safetensors") for folder in (first, second, resumed)]
        with (resumed / "train_log.jsonl").open() as log:
            assert [json.loads(line)["step"] for line in log] == list(range(1, 9)), "updates are missing or repeated"
    again, after = (
        max((other[name] - tensor).abs().max().item() for name, tensor in weights[0].items()) for other in weights[1:]
    )
    assert after <= 10 * again, f"weights of the resumed run differ by {after:.1e}, of a second one by {again:.1e}"
    return "bit for bit" if after == 0 else f"differs by {after:.1e}, a second run by {again:.1e}"


def executions(place: Place) -> str:
    """Eight updates without dropout have the same losses however they are computed, TF32 apart."""
    words = ["--demo", "--task_name", "rte", "--pos", "7", "--scale", "0.1", "--token_cache", "none", "--no-tf32"]
    words += ["--max_train_samples", "64", "--per_device_train_batch_size", "8", "--max_train_steps", "8"]
    forms = {form: ["--execution", form] for form in ("padded", "bucketed", "packed")}
    if not place.tiny:
        forms |= {"compiled": ["--torch_compile"], "captured": ["--cuda_graphs"]}
    losses = {}
    with tempfile.TemporaryDirectory(prefix="contranorm-gpu-") as name:
        for form, flags in forms.items():
            run([*words, *flags, "--output_dir", f"{name}/{form}"], place.device)
            with Path(name, form, "train_log.jsonl").open() as log:
                losses[form] = torch.tensor([json.loads(line)["loss"] for line in log])
    apart = {form: _distance([values], [losses["padded"]]) for form, values in losses.items() if form != "padded"}
    bound = TOLERANCES["fp32"]
    assert max(apart.values()) <= bound, f"losses differ from the padded run's: {apart}; expected at most {bound:g}"
    return "relative differences from padded: " + ", ".join(f"{form} {value:.1e}" for form, value in apart.items())


def compiled(place: Place) -> str:
    """A compiled model gives the logits and gradients of one that is not, at two lengths."""
    model = _model(place, "bert", pos="7").to(place.device)
    twin = _model(place, "bert", pos="7").to(place.device)
    torch.compiler.reset()
    twin.compile(dynamic=True, backend="eager" if place.tiny else "inductor")
    worst = 0.0
    for batch in (_batch(place), _batch(place, shorter=2)):
        batch = _moved(batch, place.device)
        pairs = zip(_results(twin, batch), _results(model, batch), strict=True)
        worst = max(worst, *(_distance(a, b) for a, b in pairs))
        model.zero_grad()
        twin.zero_grad()
    _check(worst, "fp32")
    return f"relative difference {worst:.1e}"


def no_waiting(place: Place) -> str:
    """The training loop never waits for the device, from its second update to its last but one."""
    words = ["--demo", "--task_name", "rte", "--pos", "7", "--scale", "0.1", "--token_cache", "none"]
    words += ["--max_train_samples", "64", "--per_device_train_batch_size", "8", "--logging_steps", "100"]
    with contextlib.ExitStack() as stack:

        def see(updates: int) -> None:
            if updates == 1:
                stack.enter_context(errors_on_waiting(place.device))
            elif updates == 7:
                stack.close()

        with seen_updates(lambda _: see(next(numbers))):
            numbers = iter(range(1, 9))
            run([*words, "--max_train_steps", "8"], place.device)
    return "6 updates" if place.device == "cuda" else "6 updates; nothing watches a CPU"


CHECKS: dict[str, Callable[[Place], str]] = {
    check.__name__: check
    for check in (
        *(golden_outputs, layer_parity, model_parity, padding_invariance, no_waiting, resume, executions, compiled),
    )
}


@contextlib.contextmanager
def errors_on_waiting(device: str) -> Iterator[None]:
    """Within the block, an operation that waits for a GPU is an error."""
    if device != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _golden() -> ModuleType:
    """The tests' reader of the recorded outputs; by its path, as there may be other packages named `tests`."""
    spec = importlib.util.spec_from_file_location("recorded_outputs", ROOT / "tests" / "helpers" / "golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _model(place: Place, model_type: str, **settings: Any) -> Any:
    """A classifier with the same random weights at every call, without dropout."""
    width, layers = (16, 1) if place.tiny else (256, 4)
    sizes: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": 4,
        "vocab_size": 500,
    }
    sizes |= {"num_hidden_layers": layers, "vocab_size": 500, "max_position_embeddings": 128, "initializer_range": 0.05}
    sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    sizes |= {"embedding_size": width, "classifier_dropout_prob": 0.0} if model_type == "albert" else {}
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **{**sizes, "scale": 0.1, **settings})
    return AutoModelForSequenceClassification.from_config(config)


def _batch(place: Place, shorter: int = 0) -> dict[str, Tensor]:
    """Rows of very different lengths, one of them of a single token."""
    lengths = np.array([9, 1, 5] if place.tiny else [64, 1, 33, 17, 60, 8, 25, 48])
    width = int(lengths.max()) - shorter
    mask = torch.from_numpy(np.arange(width) < np.minimum(lengths, width)[:, None]).long()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 500, mask.shape, generator=generator) * mask
    labels = torch.arange(len(lengths)) % 2
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _moved(batch: dict[str, Tensor], device: str) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _results(model: Any, batch: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Logits, and the gradient of the loss."""
    outputs = model(**batch)
    outputs.loss.backward()
    return [outputs.logits], [parameter.grad for parameter in model.parameters()]


@contextlib.contextmanager
def _products(precision: str) -> Iterator[None]:
    """Within the block, matrix products in single precision are exact, unless TF32 is asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _autocast(place: Place, precision: str) -> torch.autocast:
    return torch.autocast(place.device, torch.bfloat16, enabled=precision == "bf16")


def _distance(actual: list[Tensor], expected: list[Tensor]) -> float:
    """The norm of a difference over the norm of what was expected."""
    one, other = (torch.cat([part.detach().cpu().double().flatten() for part in parts]) for parts in (actual, expected))
    return ((one - other).norm() / other.norm()).item()


def _check(distance: float, precision: str) -> None:
    bound = TOLERANCES[precision]
    assert distance <= bound, f"{precision} differs from double precision by {distance:.1e}: expected at most {bound:g}"

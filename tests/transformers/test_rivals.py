"""Methods beside ContraNorm against a few lines each, written on the stock library's models with forward hooks: the
same logits and gradients, padded, unpadded and alone; and what they learn changes nothing at its start.
"""

import dataclasses

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

from transformers import AutoModelForSequenceClassification
from transformers.contranorm import LearnedMethod
from transformers.methods import METHODS, ContextMap, find_method
from transformers.utils.errors import ConfigurationError

MODELS = ("bert", "roberta")
SETTINGS = {
    "contranorm_learned": {"tau": 0.5, "contranorm_identity": True},
    "contranorm_learned-albert": {"contranorm_identity": False},
    "attnscale": {},
    "featscale": {},
    "gfsa": {"gfsa_order": 4, "gfsa_w0": 0.3},
    "neutreno": {"neutreno_a": 0.4},
    "resformer": {"resformer_r": 0.3},
    "tempscale": {"attention_temperature": 0.7},
    "centering": {"scale": 0.6},
    "shaped": {},
    "pairnorm": {"scale": 1.5},
    "exclusive": {},
    "gated_exclusive": {},
    "gated": {"gate": "doubled"},
    "gated-paper": {"gate": "paper"},
    "softdecay": {"softdecay_alpha": -0.4},
}
LEARNED = [name for name in METHODS if find_method(name).start]
RAGGED = ([7, 3, 12], 14)
ONE = ([6], 6)

# `parts` of an eager layer: x its input, v its values and a its attention (b, H, s, s), by heads; `real` is (b, s).
FORMULAS = """
import math
import torch
from transformers import AutoModelForSequenceClassification

def mean(x, real):
    weights = real.to(x.dtype).reshape(real.shape[0], *[1] * (x.dim() - 3), -1, 1)
    return (x * weights).sum(-2, keepdim=True) / weights.sum(-2, keepdim=True)

def context(name, knobs, learned, parts, first):
    x, v, a, real = parts
    y = a @ v
    if name == "attnscale":
        return y + learned["w"][:, None] * (y - mean(v, real))
    if name == "gfsa":
        higher = a + (knobs["gfsa_order"] - 1) * (a @ a - a)
        return knobs["gfsa_w0"] * v + y + learned["w"][:, None] * (higher @ v)
    if name == "neutreno":
        return y + knobs["neutreno_a"] * (first - v)
    if name == "resformer":
        return a @ ((1 - knobs["resformer_r"]) * v + knobs["resformer_r"] * first)
    if name == "shaped":
        return learned["b"][:, None] * y + learned["a"][:, None] * v - learned["g"][:, None] * mean(v, real)
    if name in ("exclusive", "gated_exclusive"):
        unit = torch.nn.functional.normalize(v, dim=-1)
        return y - learned.get("g", torch.ones(1, 1))[:, None] * (y * unit).sum(-1, keepdim=True) * unit
    if name == "gated":
        gate = torch.sigmoid(x @ learned["w"]).unflatten(-1, (v.shape[1], -1)).transpose(1, 2)
        return y * gate * (2 if knobs["gate"] == "doubled" else 1)

def tokens(name, knobs, learned, y, real):
    if name == "featscale":
        return y + learned["s"] * mean(y, real) + learned["t"] * (y - mean(y, real))
    if name == "contranorm_learned":
        n = torch.nn.functional.normalize(y, dim=-1)
        scores = (n @ n.mT / knobs.get("tau", 1.0)).masked_fill(~real[:, None], -torch.inf)
        return (1 + learned["s"] * knobs["contranorm_identity"]) * y - learned["s"] * scores.softmax(-1) @ y
    centred = y - mean(y, real)
    if name == "centering":
        return y - knobs["scale"] * mean(y, real)
    if name == "pairnorm":
        return knobs["scale"] * centred / (1e-6 + mean(centred.square().sum(-1, keepdim=True), real)).sqrt()
    rows = []
    for row, counts in zip(y, real):
        u, s, vh = torch.linalg.svd(row[counts], full_matrices=False)
        alpha = knobs["softdecay_alpha"]
        f = -torch.log(1 - alpha * (s + alpha)) / alpha
        new = torch.zeros_like(row)
        new[counts] = u @ torch.diag(f * s.max() / f.max()) @ vh
        rows.append(new)
    return torch.stack(rows)

def answer(folder, name, knobs, learned, inputs):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    model.eval()
    batch = {key: torch.tensor(values) for key, values in inputs.items()}
    real, layers = batch["attention_mask"].bool(), model.base_model.encoder.layer
    learned = {key: torch.tensor(value, dtype=torch.float64) for key, value in learned.items()}
    memory = {}

    def heads(tensor):
        return tensor.unflatten(-1, (model.config.num_attention_heads, -1)).transpose(1, 2)

    for number, layer in enumerate(layers):
        attention = layer.attention.self
        if name == "tempscale":
            attention.scaling = attention.scaling / knobs["attention_temperature"]
        elif name == "softdecay":
            if number == len(layers) - 1:
                layer.output.LayerNorm.register_forward_hook(lambda m, i, o: tokens(name, knobs, learned, o, real))
        elif name == "featscale":
            layer.attention.output.dropout.register_forward_hook(lambda m, i, o: tokens(name, knobs, learned, o, real))
        elif name in ("centering", "pairnorm", "contranorm_learned"):
            norm = layer.attention.output.LayerNorm
            norm.register_forward_pre_hook(lambda m, i: (tokens(name, knobs, learned, i[0], real),))
        else:
            def replace(module, given, made):
                (x, *_) = given
                q, k, v = (heads(getattr(module, part)(x)) for part in ("query", "key", "value"))
                scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~real[:, None, None], -torch.inf)
                first = memory.setdefault("v", v)
                new = context(name, knobs, learned, (x, v, scores.softmax(-1), real), first)
                return (new.transpose(1, 2).flatten(2), *made[1:])
            attention.register_forward_hook(replace)
    logits = model(**batch).logits
    logits.sum().backward()
    return {
        "logits": logits.tolist(),
        "gradients": {key: value.grad.norm().item() for key, value in model.named_parameters()},
    }

torch.set_num_threads(1)
for key, case in payload.items():
    result[key] = answer(**case)
"""


def settings(case: str) -> dict:
    name = case.partition("-")[0]
    return {"method": name, **SETTINGS[case]}


def model_with(model_type: str, case: str, **more):
    """A model whose method has learned something: the same numbers in all layers."""
    model = tiny.model(model_type, **settings(case), **more)
    generator = torch.Generator().manual_seed(4)
    learned = {}
    for module in model.modules():
        if isinstance(module, LearnedMethod):
            for name, parameter in module.named_parameters():
                if name not in learned:
                    learned[name] = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5
                parameter.data.copy_(learned[name])
    return model, learned


def gradients(model) -> dict[str, float]:
    return {name: p.grad.norm().item() for name, p in model.named_parameters() if ".sites." not in name}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("rivals")
    payload = {}
    for model_type in MODELS:
        tiny.model(model_type, pos="0").save_pretrained(folder / model_type)
        for case, knobs in SETTINGS.items():
            learned = {name: value.tolist() for name, value in model_with(model_type, case)[1].items()}
            for kind, rows in (("ragged", RAGGED), ("one", ONE)):
                inputs = {key: value.tolist() for key, value in tiny.ragged_batch(*rows, model_type).items()}
                payload[f"{model_type} {case} {kind}"] = {
                    "folder": str(folder / model_type),
                    "name": case.partition("-")[0],
                    "knobs": knobs,
                    "learned": learned,
                    "inputs": inputs,
                }
    return run_stock(FORMULAS, payload, folder)


@requires_stock
@pytest.mark.parametrize("form", ["unpadded", "padded", "alone", "gradient-checkpointing"])
@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("model_type", MODELS)
def test_method_is_what_hooks_on_the_stock_model_do(answers, model_type, case, form):
    model, _ = model_with(model_type, case, unpad_inputs=form != "padded")
    if form == "gradient-checkpointing":
        model.gradient_checkpointing_enable()
        model.train()
        for module in model.modules():
            if hasattr(module, "p"):
                module.p = 0.0
    rows, kind = (ONE, "one") if form == "alone" else (RAGGED, "ragged")
    logits = model(**tiny.ragged_batch(*rows, model_type)).logits
    expected = answers[f"{model_type} {case} {kind}"]
    torch.testing.assert_close(logits, torch.tensor(expected["logits"], dtype=torch.float64), rtol=0, atol=1e-10)
    logits.sum().backward()
    assert gradients(model) == pytest.approx(expected["gradients"], rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("case", SETTINGS)
def test_method_changes_the_function(case):
    plain = tiny.model(pos="0")(**tiny.ragged_batch(*RAGGED)).logits
    assert (model_with("bert", case)[0](**tiny.ragged_batch(*RAGGED)).logits - plain).abs().max() > 1e-4


@pytest.mark.parametrize("model_type", tiny.MODELS)
@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_starts_from_the_checkpoints_function(name, model_type, tmp_path):
    plain = tiny.model(model_type, pos="0")
    plain.save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, method=name, pos=find_method(name).pos, dtype=torch.float64
    )
    starts = [p for key, p in model.named_parameters() if ".sites." in key]
    assert starts and all(p.requires_grad for p in starts)
    batch = tiny.ragged_batch(*RAGGED, model_type)
    torch.testing.assert_close(model(**batch).logits, plain(**batch).logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_gets_a_gradient_and_is_saved(name, tmp_path):
    model = tiny.model(method=name, pos=find_method(name).pos)
    model(**tiny.ragged_batch(*RAGGED), labels=torch.tensor([0, 1, 0])).loss.backward()
    learned = {key: p for key, p in model.named_parameters() if ".sites." in key}
    assert all(p.grad.abs().sum() > 0 for p in learned.values())
    with torch.no_grad():
        for parameter in learned.values():
            parameter.add_(0.5)
    model.save_pretrained(tmp_path)
    again, info = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, dtype=torch.float64, output_loading_info=True
    )
    assert not any(info.values())
    batch = tiny.ragged_batch(*RAGGED)
    torch.testing.assert_close(again(**batch).logits, model(**batch).logits, rtol=0, atol=0)


@pytest.mark.parametrize("case", SETTINGS)
def test_padding_never_counts(case):
    model, _ = model_with("bert", case, unpad_inputs=False)
    narrow = model(**tiny.ragged_batch([7, 3, 12], 12)).logits
    torch.testing.assert_close(model(**tiny.ragged_batch([7, 3, 12], 20)).logits, narrow, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", SETTINGS)
def test_half_precision_trains(case):
    model, _ = model_with("bert", case)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.float().train()(**tiny.ragged_batch(*RAGGED), labels=torch.tensor([0, 1, 0])).loss
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", METHODS)
def test_declaration(name):
    method = find_method(name)
    assert method.name == name
    knobs = {item.name: item.default for item in dataclasses.fields(method)}
    assert set(method.neutral) <= set(knobs)
    assert not method(**knobs).is_neutral or name in LEARNED
    if method.neutral:
        assert not tiny.model(method=name, pos=method.pos, **method.neutral).config.contranorm_sites
    wrong = next((site for site in "12345678" if issubclass(method, ContextMap) and site != "2"), None)
    if wrong:
        with pytest.raises(ConfigurationError, match="is defined at context only"):
            tiny.model(method=name, pos=wrong)


def test_equal_singular_values_have_a_gradient():
    x = torch.eye(4, 6, dtype=torch.float64)[None].requires_grad_()
    from transformers.kernels.spectral import map_singular_values

    map_singular_values(x, lambda values: values**2).sum().backward()
    assert x.grad.isfinite().all()
    generic = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: map_singular_values(x, lambda s: (1 + s).log() * s[:, -1:]), generic)


def test_a_second_gradient_through_singular_values_is_refused():
    """It would be wrong, as the first one holds the singular vectors fast."""
    from transformers.kernels.spectral import map_singular_values

    x = torch.randn(1, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (gradient,) = torch.autograd.grad(map_singular_values(x, torch.sqrt).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()

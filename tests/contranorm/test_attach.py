"""`contranorm.attach` on the stock library's models against our own models with the same weights: every site of every
backbone, logits and gradients; and what happens around it. The stock library runs in processes of its own.
"""

from pathlib import Path

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

from contranorm.hooks import SITES
from transformers.backbones import BACKBONES
from transformers.contranorm_sites import parse_positions

pytestmark = requires_stock
ROOT = Path(__file__).parents[2]
SCALE = 0.3
ROWS = ([7, 3, 12], 14)

# Only the folder `contranorm/` is added to what the process sees, under another root.
PRELUDE = f"""
import importlib.util, sys, torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
spec = importlib.util.spec_from_file_location(
    "contranorm", {str(ROOT / "contranorm" / "__init__.py")!r},
    submodule_search_locations=[{str(ROOT / "contranorm")!r}],
)
contranorm = sys.modules["contranorm"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(contranorm)
torch.set_num_threads(1)

def load(folder, **options):
    options.setdefault("dtype", torch.float64)
    return AutoModelForSequenceClassification.from_pretrained(folder, **options).eval()

def tensors(inputs):
    return {{name: torch.tensor(values) for name, values in inputs.items()}}

def message(call):
    try:
        call()
    except ValueError as error:
        return str(error)
"""


def inputs_of(model_type: str, rows=ROWS) -> dict:
    return {key: value.tolist() for key, value in tiny.ragged_batch(*rows, model_type).items()}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("attach")
    payload: dict = {"scale": SCALE, "models": {}, "positions": list(tiny.POSITIONS)}
    for model_type in tiny.MODELS:
        tiny.model(model_type, pos="0").save_pretrained(folder / model_type)
        payload["models"][model_type] = {"folder": str(folder / model_type), "inputs": inputs_of(model_type)}
    code = """
for model_type, case in payload["models"].items():
    model, inputs = load(case["folder"]), tensors(case["inputs"])
    plain = model(**inputs).logits
    for pos in payload["positions"]:
        for method in ("contranorm", "contranorm_v2"):
            if pos != "0":
                contranorm.attach(model, method, pos=pos, scale=payload["scale"])
            logits = model(**inputs).logits
            model.zero_grad()
            logits.sum().backward()
            result[f"{model_type} {pos} {method}"] = {
                "logits": logits.tolist(),
                "gradients": {name: p.grad.norm().item() for name, p in model.named_parameters()},
            }
            contranorm.detach(model)
    assert torch.equal(model(**inputs).logits, plain) and not any(m._forward_hooks for m in model.modules())
"""
    return run_stock(PRELUDE + code, payload, folder)


@pytest.mark.parametrize("method", ["contranorm", "contranorm_v2"])
@pytest.mark.parametrize("pos", tiny.POSITIONS)
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_attached_to_the_stock_model_it_is_our_model(answers, model_type, pos, method):
    model = tiny.model(model_type, method=method, pos=pos, scale=SCALE)
    logits = model(**tiny.ragged_batch(*ROWS, model_type)).logits
    logits.sum().backward()
    expected = answers[f"{model_type} {pos} {method}"]
    torch.testing.assert_close(logits, torch.tensor(expected["logits"], dtype=torch.float64), rtol=0, atol=1e-10)
    gradients = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    assert gradients == pytest.approx(expected["gradients"], rel=1e-7, abs=1e-10)


def test_all_backbones_have_their_sites():
    for model_type in BACKBONES:
        for site, (number, _, _) in SITES[model_type].items():
            assert parse_positions(number, model_type) == (site,)


def test_padding_other_calls_and_modernbert(tmp_path):
    tiny.model("bert", pos="0").save_pretrained(tmp_path / "bert")
    payload = {
        "folder": str(tmp_path / "bert"),
        "narrow": inputs_of("bert", ([7, 3, 12], 12)),
        "wide": inputs_of("bert", ([7, 3, 12], 20)),
        "row": inputs_of("bert", ([7], 7)),
    }
    code = """
model = load(payload["folder"])
contranorm.attach(model, pos="17", scale=0.3)
narrow, wide, row = (tensors(payload[name]) for name in ("narrow", "wide", "row"))
result["logits"] = [model(**inputs).logits[0].tolist() for inputs in (narrow, wide, row)]
result["no mask"] = model(row["input_ids"], token_type_ids=row["token_type_ids"]).logits[0].tolist()
result["by position"] = model(row["input_ids"], row["attention_mask"], row["token_type_ids"]).logits[0].tolist()
result["base model"] = torch.equal(model.bert(**row).pooler_output, model.bert(**row).pooler_output)

config = AutoConfig.for_model("modernbert", vocab_size=61, hidden_size=24, num_attention_heads=3, num_hidden_layers=3,
                              intermediate_size=40, pad_token_id=0, cls_token_id=1, sep_token_id=2)
torch.manual_seed(0)
modern = AutoModel.from_config(config, dtype=torch.float64).eval()
for name in ("narrow", "wide"):
    del (narrow if name == "narrow" else wide)["token_type_ids"]
plain = modern(**narrow).last_hidden_state[0, :7]
result["modern"] = {}
for pos in ("1", "2", "3", "4", "5", "6"):
    contranorm.attach(modern, pos=pos, scale=0.3)
    a, b = (modern(**inputs).last_hidden_state[0, :7] for inputs in (narrow, wide))
    result["modern"][pos] = [(a - b).abs().max().item(), (a - plain).abs().max().item()]
    contranorm.detach(modern)
result["refused"] = message(lambda: contranorm.attach(modern, pos="7"))
"""
    answer = run_stock(PRELUDE + code, payload, tmp_path)
    rows = torch.tensor([*answer["logits"], answer["no mask"], answer["by position"]])
    torch.testing.assert_close(rows, rows[:1].expand_as(rows))
    assert answer["base model"]
    assert all(same < 1e-10 and changed > 1e-7 for same, changed in answer["modern"].values()), answer["modern"]
    assert answer["refused"].startswith("pos '7' is no position of modernbert: expected digits out of 1 layer_input")


def test_what_cannot_be_done_is_said(tmp_path):
    tiny.model("bert", pos="0").save_pretrained(tmp_path / "bert")
    payload = {"folder": str(tmp_path / "bert"), "inputs": inputs_of("bert")}
    code = """
from torch import nn
model, inputs = load(payload["folder"]), tensors(payload["inputs"])
result["other model"] = message(lambda: contranorm.attach(nn.Linear(2, 2)))
result["method"] = message(lambda: contranorm.attach(model, "nothing"))
result["pos"] = message(lambda: contranorm.attach(model, pos="9"))
result["padding"] = message(lambda: contranorm.attach(model, padding="some"))
for name, value in {"is_decoder": True, "chunk_size_feed_forward": 2}.items():
    setattr(model.config, name, value)
    result[name] = message(lambda: contranorm.attach(model))
    setattr(model.config, name, type(value)(0))
contranorm.attach(model, scale=0.1)
result["twice"] = message(lambda: contranorm.attach(model))

def with_mask(mask, **more):
    return message(lambda: model(inputs["input_ids"], attention_mask=mask, **more))

causal = torch.ones(14, 14, dtype=torch.bool).tril().expand(3, 1, 14, 14)
result["mask"] = [with_mask(causal[:, 0]), with_mask(causal), with_mask(torch.full((3, 1, 1, 14), -0.5))]
result["several in a row"] = with_mask(None, cu_seq_lens_q=torch.tensor([0, 7, 14]))
model.config._attn_implementation = "flex_attention"
result["flex"] = with_mask(None)
model.config._attn_implementation = "sdpa"
contranorm.detach(model)
del model.bert.encoder.layer[1].attention.output.LayerNorm
result["lacks"] = message(lambda: contranorm.attach(model))
result["left"] = sum(len(m._forward_pre_hooks) for m in model.modules())
"""
    answer = run_stock(PRELUDE + code, payload, tmp_path)
    assert answer["other model"].startswith("no sites are known for Linear: expected one of bert")
    assert answer["method"] == "method 'nothing': expected contranorm or contranorm_v2, or a class"
    assert answer["pos"].startswith("pos '9' is no position of bert")
    assert answer["padding"] == "padding 'some': expected exclude or include"
    assert answer["is_decoder"] == "is_decoder True: ContraNorm looks at whole sequences"
    assert answer["chunk_size_feed_forward"] == "chunk_size_feed_forward 2: ContraNorm looks at whole sequences"
    assert answer["twice"] == "the model has ContraNorm attached already: detach it first"
    assert all("ContraNorm takes (B, S), or the same for all queries" in message for message in answer["mask"])
    assert answer["several in a row"].startswith("cu_seq_lens")
    assert answer["flex"].startswith("attn_implementation 'flex_attention'")
    assert answer["lacks"] == "BertModel lacks BertLayer.attention.output.LayerNorm"
    assert answer["left"] == 0


@pytest.mark.slow
def test_trainer_trains_with_it(tmp_path):
    tiny.model("bert", pos="0").save_pretrained(tmp_path / "bert")
    payload = {"folder": str(tmp_path / "bert"), "inputs": inputs_of("bert"), "out": str(tmp_path / "out")}
    code = """
from transformers import Trainer, TrainingArguments
model, inputs = load(payload["folder"], dtype=torch.float32), payload["inputs"]
attached = contranorm.attach(model, pos="7", scale=0.3)
calls = []
attached.layer.register_forward_hook(lambda *_: calls.append(1))
rows = [{**{name: values[i] for name, values in inputs.items()}, "labels": i % 2} for i in range(3)]
arguments = TrainingArguments(payload["out"], max_steps=2, per_device_train_batch_size=3, report_to=[], use_cpu=True)
Trainer(model, arguments, train_dataset=rows).train()
result["calls"] = len(calls)
"""
    assert run_stock(PRELUDE + code, payload, tmp_path)["calls"] == 2 * 3

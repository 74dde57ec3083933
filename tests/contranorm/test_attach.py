"""`contranorm.attach` on the stock library's models against our own models with the same weights: every site of every
backbone, logits and gradients; and what happens around it. The stock library runs in processes of its own.
"""

import importlib.util
from pathlib import Path

import pytest
import runs
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
import copy, importlib.util, sys, torch
from concurrent.futures import ThreadPoolExecutor
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


OTHER_CALLS = """
model = load(payload["folder"])
contranorm.attach(model, pos="17", scale=0.3)
narrow, wide, row = (tensors(payload[name]) for name in ("narrow", "wide", "row"))
result["logits"] = [model(**inputs).logits[0].tolist() for inputs in (narrow, wide, row)]
result["no mask"] = model(row["input_ids"], token_type_ids=row["token_type_ids"]).logits[0].tolist()
result["by position"] = model(row["input_ids"], row["attention_mask"], row["token_type_ids"]).logits[0].tolist()
replaced = copy.deepcopy(model)
output = replaced.bert.encoder.layer[0].attention.output
old = output.LayerNorm
output.LayerNorm = torch.nn.LayerNorm(24, eps=old.eps, dtype=torch.float64)  # no hooks on it, as on those of LoRA
output.LayerNorm.load_state_dict(old.state_dict())
result["copied"], result["replaced"] = (m(**row).logits[0].tolist() for m in (copy.deepcopy(model), replaced))
with ThreadPoolExecutor(4) as pool:
    result["threads"] = [x.logits[0].tolist() for x in pool.map(lambda batch: model(**batch), [narrow, wide, row] * 4)]
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
result["modern at 7"] = message(lambda: contranorm.attach(modern, pos="7"))
"""
REFUSED = """
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


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    """What `OTHER_CALLS` and `REFUSED` found out."""
    folder = tmp_path_factory.mktemp("told")
    tiny.model("bert", pos="0").save_pretrained(folder / "bert")
    widths = {"narrow": ([7, 3, 12], 12), "wide": ([7, 3, 12], 20), "row": ([7], 7)}
    payload = {name: inputs_of("bert", rows) for name, rows in widths.items()}
    payload |= {"folder": str(folder / "bert"), "inputs": inputs_of("bert")}
    return run_stock(PRELUDE + OTHER_CALLS + REFUSED, payload, folder)


def test_padding_other_calls_and_modernbert(told):
    others = [told[name] for name in ("no mask", "by position", "copied", "replaced")]
    rows = torch.tensor([*told["logits"], *others, *told["threads"]])
    torch.testing.assert_close(rows, rows[:1].expand_as(rows))
    assert told["base model"]
    assert all(same < 1e-10 and changed > 1e-7 for same, changed in told["modern"].values()), told["modern"]
    assert told["modern at 7"].startswith("pos '7' is no position of modernbert: expected digits out of 1 layer_input")


def test_what_cannot_be_done_is_said(told):
    assert told["other model"].startswith("no sites are known for Linear: expected one of bert")
    assert told["method"] == "method 'nothing': expected contranorm or contranorm_v2, or a class"
    assert told["pos"].startswith("pos '9' is no position of bert")
    assert told["padding"] == "padding 'some': expected exclude or include"
    assert told["is_decoder"] == "is_decoder True: ContraNorm looks at whole sequences"
    assert told["chunk_size_feed_forward"] == "chunk_size_feed_forward 2: ContraNorm looks at whole sequences"
    assert told["twice"] == "the model has ContraNorm attached already: detach it first"
    assert all("ContraNorm takes (B, S), or the same for all queries" in message for message in told["mask"])
    assert told["several in a row"].startswith("cu_seq_lens")
    assert told["flex"].startswith("attn_implementation 'flex_attention'")
    assert told["lacks"] == "BertModel lacks BertLayer.attention.output.LayerNorm"
    assert told["left"] == 0


TRAINED = """
from transformers import Trainer, TrainingArguments
inputs = payload["inputs"]
rows = [{**{name: values[i] for name, values in inputs.items()}, "labels": i % 2} for i in range(3)]
batch = tensors(inputs)
calls = []

def count(attached):
    calls.clear()
    attached.layer.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))

def train(model, checkpointing=False):
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    arguments = TrainingArguments(
        payload["out"], max_steps=2, per_device_train_batch_size=3, learning_rate=0.01, report_to=[], use_cpu=True,
        gradient_checkpointing=checkpointing,
    )
    Trainer(model, arguments, train_dataset=rows).train()
    return sorted({name.split(".")[-2] for name, p in model.named_parameters() if not torch.equal(p, before[name])})
"""


def train_stock(code: str, tmp_path, *packages: str) -> dict:
    """Run code that trains a stock model, with what `TRAINED` defines; skipped where a package is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (requirements-dev.txt has it)")
    tiny.model("bert", pos="0", hidden_dropout_prob=0.0).save_pretrained(tmp_path / "bert")
    runs.make_checkpoint(tmp_path / "words", pos="0")
    payload = {"inputs": inputs_of("bert"), "out": str(tmp_path / "out")}
    payload |= {"folder": str(tmp_path / "bert"), "words": str(tmp_path / "words")}
    return run_stock(PRELUDE + TRAINED + code, payload, tmp_path)


@pytest.mark.slow
def test_trainer_trains_with_it(tmp_path):
    code = """
for checkpointing in (False, True):
    model = load(payload["folder"], dtype=torch.float32, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    count(contranorm.attach(model, pos="7", scale=0.3))
    changed = train(model, checkpointing)
    result[str(checkpointing)] = [len(calls), "LayerNorm" in changed, model.eval()(**batch).logits.tolist()]
"""
    answer = train_stock(code, tmp_path)
    (calls, changed, logits), (again, _, checkpointed) = answer["False"], answer["True"]
    assert calls == 2 * 3 and changed
    assert again == 2 * 2 * 3  # every layer is computed twice
    torch.testing.assert_close(torch.tensor(checkpointed), torch.tensor(logits))


@pytest.mark.slow
def test_lora_trains_with_it_before_and_after(tmp_path):
    code = """
import copy
from peft import LoraConfig, get_peft_model
lora = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value", "dense"], r=2, init_lora_weights=False)
logits = []
for first in (True, False):
    model = load(payload["folder"])
    torch.manual_seed(0)
    if first:
        contranorm.attach(model, pos="27", scale=0.3)
    model = get_peft_model(model, lora).eval()
    if not first:
        count(contranorm.attach(model, pos="27", scale=0.3))
    logits.append(model(**batch).logits)
result["same"] = torch.equal(*logits)
merged = copy.deepcopy(model).merge_and_unload()
result["merged"] = (merged(**batch).logits - logits[0]).abs().max().item()
contranorm.detach(merged)
result["plain"] = (merged(**batch).logits - logits[0]).abs().max().item()
calls.clear()
result["changed"] = train(model.float())
result["calls"] = len(calls)
"""
    answer = train_stock(code, tmp_path, "peft")
    assert answer["same"] and answer["merged"] < 1e-10 and answer["plain"] > 1e-3
    assert answer["calls"] == 2 * 3 * 2
    assert set(answer["changed"]) == {"default"}  # what LoRA added, and the head's copy


@pytest.mark.slow
def test_sentence_transformers_trains_with_it(tmp_path):
    code = """
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, losses
from sentence_transformers import SentenceTransformerTrainingArguments
model = SentenceTransformer(payload["words"], device="cpu")
texts = ["red stone is a river .", "one house", "not blue"]
plain = model.encode(texts, convert_to_tensor=True)
count(contranorm.attach(model, pos="7", scale=0.3))
together = model.encode(texts, convert_to_tensor=True)
alone = torch.cat([model.encode([text], convert_to_tensor=True) for text in texts])
result["padding"] = (together - alone).abs().max().item()
result["attached"] = (together - plain).abs().max().item()
calls.clear()
arguments = SentenceTransformerTrainingArguments(
    payload["out"], max_steps=2, per_device_train_batch_size=3, report_to=[], use_cpu=True
)
data = Dataset.from_dict({"a": texts, "b": texts[::-1], "score": [0.1, 1.0, 0.2]})
SentenceTransformerTrainer(model, arguments, data, loss=losses.CosineSimilarityLoss(model)).train()
result["calls"] = sum(calls)  # without those that only encode
"""
    answer = train_stock(code, tmp_path, "sentence_transformers")
    assert answer["padding"] < 1e-5 and answer["attached"] > 1e-3
    assert answer["calls"] == 2 * 2 * 2  # updates, columns, layers

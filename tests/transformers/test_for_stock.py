"""Checkpoints that carry their layer: the stock library computes our logits with them, we those of what it saves, and
who does not trust the file gets no model at all.
"""

import ast
import inspect
import json
import sys

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

import contranorm
from contranorm import hooks
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, ConfigurationError
from transformers.backbones import BACKBONES, HEADS
from transformers.for_stock import stock_source

pytestmark = [pytest.mark.timeout(360), pytest.mark.xdist_group("for stock")]  # one process answers for all
SCALE = 0.3
ROWS = ([7, 3, 12], 14)
POSITIONS = [pos for pos in tiny.POSITIONS if pos != "0"]
RULES = ("exclude", "include")
# In single precision, by whether all sites have the layer. There either library is as far from its own logits in double
# precision, in which both agree, as from the other: it is rounding.
SINGLE = {False: 1e-6, True: 5e-6}
CHECKPOINTED = ("bert", "roberta", "electra", "distilbert")  # ALBERT has none in the stock library
NO_DROPOUT = dict.fromkeys(
    "hidden_dropout_prob attention_probs_dropout_prob classifier_dropout_prob dropout attention_dropout".split(), 0.0
) | {"seq_classif_dropout": 0.0}

PRELUDE = """
import copy, sys, torch
from transformers import AutoModel, AutoModelForSequenceClassification
torch.set_num_threads(1)

def load(folder, **options):
    options = {"dtype": torch.float64, "trust_remote_code": True} | options
    return AutoModelForSequenceClassification.from_pretrained(folder, **options).eval()

def tensors(inputs):
    return {name: torch.tensor(values) for name, values in inputs.items()}

def message(call):
    try:
        call()
    except (ValueError, OSError) as error:
        return str(error)
"""

LOGITS = """
result["untrusted"] = [
    message(lambda: AutoModel.from_pretrained(payload["models"]["bert"]["folder"], **options))
    for options in ({}, {"trust_remote_code": False})
]

def masked(inputs, mask):
    kept = {name: value for name, value in inputs.items() if name != "attention_mask"}
    return kept if mask is None else {**kept, "attention_mask": mask}

for model_type, case in payload["models"].items():
    inputs = tensors(case["inputs"])
    mask = inputs["attention_mask"]
    wide = mask[:, None, None, :].bool().expand(-1, 1, mask.shape[1], -1)
    added = torch.zeros(wide.shape, dtype=torch.float64).masked_fill(~wide, torch.finfo(torch.float64).min)
    masks = {"none": None, "long": mask, "bool": mask.bool(), "wide": wide, "added": added}
    net = load(case["folder"])
    file = sys.modules[type(net).__module__]
    for pos in payload["positions"]:
        for padding in payload["rules"]:
            vars(file.base_model(net))["_contranorm"].remove()
            net.config.pos, net.config.contranorm_padding = pos, padding
            file.put_in(net)
            model = copy.deepcopy(net)
            found = result[f"{model_type} {pos} {padding}"] = {
                name: model(**masked(inputs, value)).logits.tolist()
                for name, value in masks.items()
                if name in ("none", "long", "wide") or pos in ("7", "12345678")
            }
            if pos in ("7", "12345678"):
                model.set_attn_implementation("eager")
                found["eager"] = model(**inputs).logits.tolist()
            found["single"] = model.float()(**inputs).logits.tolist()
    if model_type not in payload["checkpointed"]:
        continue
    for checkpointing in (False, True):
        known = {name: value for name, value in payload["no_dropout"].items() if hasattr(model.config, name)}
        model = load(case["folder"], pos="12345678", **known).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        # The first batch is computed again after the second one has been through the model.
        row = {name: value[:1, :7] for name, value in inputs.items()}
        first, second = model(**inputs).logits.sum(), model(**row).logits.sum()
        first.backward()
        second.backward()
        gradients = {name: parameter.grad.norm().item() for name, parameter in model.named_parameters()}
        result[f"{model_type} gradients {checkpointing}"] = gradients

for model_type, case in payload["models"].items():
    torch.manual_seed(5)
    model = load(case["folder"], pos="12345678", scale=payload["scale"])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(case["folder"] + "-theirs")
    result[f"{model_type} theirs"] = model(**tensors(case["inputs"])).logits.tolist()
    again = load(case["folder"] + "-theirs")
    result[f"{model_type} again"] = again(**tensors(case["inputs"])).logits.tolist()
    result[f"{model_type} single"] = again.float()(**tensors(case["inputs"])).logits.tolist()
"""


def inputs_of(model_type: str) -> dict[str, torch.Tensor]:
    return tiny.ragged_batch(*ROWS, model_type)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint of each kind that carries its layer, as <folder>/<model type>."""
    folder = tmp_path_factory.mktemp("for-stock")
    for model_type in tiny.MODELS:
        net = tiny.model(model_type, pos="7", scale=SCALE)
        net.save_pretrained(folder / model_type, for_stock=True)
    return folder


@pytest.fixture(scope="module")
def answers(folder) -> dict:
    payload = {
        "scale": SCALE,
        "positions": POSITIONS,
        "rules": RULES,
        "checkpointed": CHECKPOINTED,
        "no_dropout": NO_DROPOUT,
        "models": {
            name: {"folder": str(folder / name), "inputs": {k: v.tolist() for k, v in inputs_of(name).items()}}
            for name in tiny.MODELS
        },
    }
    return run_stock(PRELUDE + LOGITS, payload, folder, timeout=300)


def close(ours: torch.Tensor, theirs: list, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=ours.dtype), rtol=0, atol=tolerance)


@pytest.mark.slow
@requires_stock
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pos", POSITIONS)
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_the_stock_library_computes_our_logits(answers, model_type, pos, rule):
    theirs = answers[f"{model_type} {pos} {rule}"]
    model = tiny.model(model_type, pos=pos, scale=SCALE, contranorm_padding=rule)
    inputs = inputs_of(model_type)
    with torch.no_grad():
        logits = model(**inputs).logits
        for form in set(theirs) - {"none", "single"}:
            close(logits, theirs[form])
        close(
            model(**{name: value for name, value in inputs.items() if name != "attention_mask"}).logits, theirs["none"]
        )
        tolerance = SINGLE[len(pos) == 8] * max(1, logits.abs().max().item())
        close(model.float()(**inputs).logits, theirs["single"], tolerance)


@pytest.mark.slow
@requires_stock
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("model_type", CHECKPOINTED)
def test_gradients_are_ours_when_layers_are_computed_again(answers, model_type, checkpointing):
    model = tiny.model(model_type, pos="12345678", scale=SCALE)
    inputs = inputs_of(model_type)
    model(**inputs).logits.sum().backward()
    model(**{name: value[:1, :7] for name, value in inputs.items()}).logits.sum().backward()
    gradients = {name: parameter.grad.norm().item() for name, parameter in model.named_parameters()}
    assert gradients == pytest.approx(answers[f"{model_type} gradients {checkpointing}"], rel=1e-7, abs=1e-10)


@pytest.mark.slow
@requires_stock
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_what_the_stock_library_saves_is_ours_again(answers, folder, model_type):
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder / f"{model_type}-theirs", dtype=torch.float64, output_loading_info=True
    )
    assert not any(info.values()) and (model.config.pos, model.config.scale) == ("12345678", SCALE)
    logits = model(**inputs_of(model_type)).logits
    close(logits, answers[f"{model_type} theirs"])
    close(logits, answers[f"{model_type} again"])
    with torch.no_grad():
        close(model.float()(**inputs_of(model_type)).logits, answers[f"{model_type} single"], SINGLE[True])


@pytest.mark.slow
@requires_stock
def test_without_trust_there_is_no_model(answers):
    for message in answers["untrusted"]:
        assert "contains custom code which must be executed" in message and "trust_remote_code=True" in message


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_the_file_is_made_of_the_sources_of_the_layer(folder, model_type):
    text = (folder / model_type / f"modeling_contranorm_{model_type}.py").read_text()
    assert text == stock_source(BACKBONES[model_type])
    tree = ast.parse(text)
    written = {node.name: node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    for module in (contranorm, hooks):
        for node in ast.parse(inspect.getsource(module)).body:
            if getattr(node, "name", None) in written:
                assert without_documentation(written.pop(node.name)) == without_documentation(node)
    prefix = BACKBONES[model_type].prefix
    assert {f"ContraNorm{prefix}{end}" for end in ("Config", "Model", *HEADS)} < set(written)
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    imported -= set(sys.stdlib_module_names)
    assert imported == {"collections.abc", "torch", "transformers"}
    assert all(line == line.rstrip() for line in text.splitlines())


def without_documentation(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_our_own_library_loads_it_like_any_other(folder, tmp_path, model_type):
    config = json.loads((folder / model_type / "config.json").read_text())
    assert config["model_type"] == f"contranorm_{model_type}"
    assert set(config["auto_map"]) == {"AutoConfig", "AutoModel", *(f"AutoModel{head}" for head in HEADS)}
    assert config["contranorm_identity"] is (model_type != "albert") and "method" not in config
    model, expected = (
        AutoModelForSequenceClassification.from_pretrained(folder / model_type, dtype=torch.float64),
        tiny.model(model_type, pos="7", scale=SCALE),
    )
    inputs = inputs_of(model_type)
    assert torch.equal(model(**inputs).logits, expected(**inputs).logits)
    assert AutoConfig.from_pretrained(folder / model_type).model_type == model_type
    assert type(AutoModel.from_pretrained(folder / model_type)) is type(expected.base_model)
    model.save_pretrained(tmp_path)  # the plain form: it says nothing of a file that is not there
    again = json.loads((tmp_path / "config.json").read_text())
    assert again["model_type"] == model_type and "auto_map" not in again


def test_v2_is_remembered(tmp_path):
    tiny.model("bert", pos="4", scale=SCALE, method="contranorm_v2", tau=0.5).save_pretrained(tmp_path, for_stock=True)
    config = AutoConfig.from_pretrained(tmp_path)
    assert (config.method, config.use_v2, config.pos, config.tau) == ("contranorm_v2", True, "4", 0.5)


def test_the_plain_model_needs_no_file(tmp_path, library_log):
    tiny.model("bert", pos="7", scale=0.0).save_pretrained(tmp_path, for_stock=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "bert"


@pytest.mark.parametrize(
    "settings",
    [{"method": "pairnorm"}, {"method": "contranorm_learned", "scale": 0.1}, {"scale": [0.1, 0.2, 0.3]}],
    ids=str,
)
def test_what_no_file_carries_is_refused_before_anything_is_written(tmp_path, settings):
    with pytest.raises(
        ConfigurationError, match=r"cannot carry .*, only contranorm and contranorm_v2 that are the same"
    ):
        tiny.model("bert", pos="7", **settings).save_pretrained(tmp_path / "new", for_stock=True)
    assert not (tmp_path / "new").exists()


def test_a_tokenizer_is_found_by_the_kind_of_model(folder, tmp_path):
    config = json.loads((folder / "bert" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red"]))
    assert type(AutoTokenizer.from_pretrained(tmp_path)).__name__ == "BertTokenizerFast"

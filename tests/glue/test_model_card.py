"""The card of a saved model: true of the run that was made, and its lines of code work."""

import hashlib
import re

import pytest
import torch

from glue.cli.arguments import RunArguments
from glue.data.tasks import GLUE_TASKS
from glue.demo.checkpoint import build_demo_checkpoint
from glue.output.model_card import model_card
from glue.training.model import choose_settings
from transformers.methods import METHODS, knobs_of

RESULTS = {
    "eval_pearson": 0.87654,
    "eval_loss": 0.5,
    "eval_predicted_numbers": 7,
    "best_score": 0.9,
    "best_epoch": 2,
    "epochs": 3,
    "updates": 12,
    "planned_updates": 20,
    "train_seconds": 1.5,
}


def card(results=RESULTS, stock_file=None, **settings):
    args = RunArguments(model_name_or_path="demo", task_name="stsb", demo=True, seed=7, num_train_epochs=5, **settings)
    chosen = choose_settings(args, {}, "bert")
    return model_card(args, GLUE_TASKS["stsb"], chosen, results, num_rows=100, stock_file=stock_file)


def test_it_says_what_was_done():
    text = card(pos="17", scale=0.25)
    assert text.startswith("# demo fine-tuned on the demo's miniature of GLUE stsb\n")
    assert "for scores: the checkpoint demo" in text and "(text in sentence1 and sentence2)" in text
    assert "contranorm against oversmoothing, in every layer, at layer_input, attention_residual (`--pos 17`)" in text
    assert re.search(r"\| scale \| 0.25 \| how strongly", text) and "| contranorm_identity | True |" in text
    assert "| score | seed 7 |" in text and "| pearson | 0.8765 |" in text and "| loss | 0.5000 |" in text
    assert not re.search(r"best_score|train_seconds|predicted", text)
    assert "12 updates on 100 examples, in 3 epoch(s).\n" in text and "5 epoch" not in text
    assert "the weights are those of epoch 2" in card(load_best_model_at_end=True, do_train=True, do_eval=True)
    assert "It has not been evaluated." in card({"epochs": 1, "updates": 2})


@pytest.mark.parametrize("method", METHODS)
def test_it_has_every_method_with_all_its_knobs(method):
    text = card(method=method)
    settings = choose_settings(RunArguments(demo=True, method=method), {}, "bert")
    assert f"\n{method} against oversmoothing, in every layer, at {settings.sites[0]} (`--pos " in text
    assert all(f"| {name} | {settings.values[name]} | " in text for name in knobs_of(method))


def test_every_sentence_of_the_warning_is_whole():
    quoted = [line.removeprefix("> ") for line in card().splitlines() if line.startswith(">")]
    assert all(">" not in line for line in quoted)
    assert "leaves it out without a word and computes the plain model, which is another function." in " ".join(quoted)


@pytest.mark.parametrize("settings", [{"pos": "none"}, {"scale": 0.0}], ids=str)
def test_a_plain_model_needs_no_warning(settings):
    text = card(**settings)
    assert "None: the plain model, which the stock library computes as well." in text
    assert "\n>" not in text and "| knob |" not in text


def test_a_file_for_the_stock_library_is_named_with_its_hash(tmp_path):
    file = tmp_path / "modeling_contranorm_bert.py"
    file.write_text("class Model: ...\n")
    text = " ".join(card(stock_file=file, pos="7").replace(">", "").split())
    assert "in `modeling_contranorm_bert.py`" in text and hashlib.sha256(file.read_bytes()).hexdigest() in text
    assert 'revision="COMMIT", trust_remote_code=True' in text and "without a word" not in text


def test_its_lines_of_code_load_the_model(tmp_path):
    build_demo_checkpoint(tmp_path, "bert")
    (code,) = re.findall(r"```python\n(.*?)```", card(), flags=re.DOTALL)
    found = {}
    exec(code.replace("this folder", str(tmp_path)), found)
    assert found["logits"].shape == (1, 2) and torch.isfinite(found["logits"]).all()

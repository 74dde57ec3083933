"""Saving: what is written, that it comes back, that the stock library reads it, and that nothing is left half done."""

import json
import os
import stat

import pytest
import torch
from safetensors import safe_open
from stock import requires_stock, run_stock
from tiny import MODELS, model, ragged_batch

from transformers import AutoModel, AutoModelForSequenceClassification, CheckpointError, ConfigurationError

LABELS = {0: "no", 1: "yes", 2: "may"}
STOCK_LOGITS = """
import torch, transformers
kind = transformers.AutoModelForSequenceClassification
for name, case in payload.items():
    model, info = kind.from_pretrained(case["folder"], output_loading_info=True)
    with torch.no_grad():
        logits = model(**{key: torch.tensor(rows) for key, rows in case["batch"].items()}).logits
    keys = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]
    result[name] = {
        "logits": logits.tolist(), "labels": model.config.id2label[1], "not_loaded": [str(key) for key in keys]
    }
    model.save_pretrained(case["save_to"])
"""


@pytest.fixture(params=MODELS)
def net(request):
    return model(request.param, id2label=LABELS).float()


def test_what_a_folder_holds(tmp_path, net):
    net.save_pretrained(tmp_path / "new" / "folder")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((tmp_path / "new" / "folder" / "config.json").read_text())
    assert config["architectures"] == [type(net).__name__] and config["dtype"] == "float32"
    assert config["id2label"] == {"0": "no", "1": "yes", "2": "may"}
    with safe_open(tmp_path / "new" / "folder" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"} and set(file.keys()) == set(net.state_dict())
    assert net.config.architectures is None and net.config.dtype is None  # the model at hand is not touched


def test_a_saved_model_comes_back(tmp_path, net):
    for saved in (net, net.base_model, net.half()):
        saved.save_pretrained(tmp_path)
        kind = AutoModel if saved is net.base_model else AutoModelForSequenceClassification
        # RoBERTa's classifier has a base model without the pooler.
        options = {"add_pooling_layer": False} if (kind, net.config.model_type) == (AutoModel, "roberta") else {}
        again, info = kind.from_pretrained(tmp_path, dtype="auto", output_loading_info=True, **options)
        assert not any(info.values()) and again.dtype == saved.dtype
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), saved.parameters(), strict=True))


def test_tensors_given_replace_the_models_own(tmp_path, net):
    zeros = {name: torch.zeros_like(tensor) for name, tensor in net.state_dict().items()}
    net.save_pretrained(tmp_path, state_dict=zeros)
    assert not any(p.any() for p in AutoModelForSequenceClassification.from_pretrained(tmp_path).parameters())


def test_a_wrapped_models_tensors_get_their_plain_names(tmp_path, net):
    net.save_pretrained(tmp_path, state_dict={f"_orig_mod.{name}": t for name, t in net.state_dict().items()})
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(net.state_dict())


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_who_may_read_the_files_is_for_the_system_to_say(tmp_path, net, mask):
    before = os.umask(mask)
    try:
        net.save_pretrained(tmp_path)
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_arguments_of_the_stock_library_that_change_nothing(tmp_path, net):
    in_vain = {"safe_serialization": True, "max_shard_size": "5GB", "save_function": torch.save, "push_to_hub": False}
    net.save_pretrained(tmp_path, **in_vain)
    net.config.save_pretrained(tmp_path, push_to_hub=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    for name, value in {"safe_serialization": False, "push_to_hub": True, "shard": 1}.items():
        with pytest.raises(ConfigurationError, match=name):
            net.save_pretrained(tmp_path, **{name: value})


def test_one_process_of_several_writes(tmp_path, net):
    net.save_pretrained(tmp_path / "folder", is_main_process=False)
    assert not (tmp_path / "folder").exists()


def test_contranorm_is_warned_about_once_and_noted(tmp_path, library_log):
    pushed = model(pos="17", scale=0.1)
    pushed.save_pretrained(tmp_path)
    pushed.save_pretrained(tmp_path)
    warnings = [line for line in library_log if line.startswith("WARNING")]
    assert len(warnings) == 1 and "leaves it out without a word" in warnings[0]
    assert "layer_input, attention_residual" in json.loads((tmp_path / "config.json").read_text())["contranorm_note"]
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert (again.config.pos, again.config.scale) == ("17", 0.1)


def test_the_plain_model_is_not_warned_about(tmp_path, library_log):
    model(pos="7", scale=0.0).save_pretrained(tmp_path)
    assert library_log == [] and "contranorm_note" not in (tmp_path / "config.json").read_text()


def test_an_earlier_file_stays_whole_when_writing_fails(tmp_path, net, monkeypatch):
    net.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.modeling_utils.save_file", fail)
    with pytest.raises(CheckpointError, match=r"model.safetensors cannot be written: No space left"):
        net.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_file_in_the_place_of_the_folder(tmp_path, net):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match=r"cannot be made a folder"):
        net.save_pretrained(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@requires_stock
@pytest.mark.slow
def test_the_stock_library_loads_it_and_we_load_what_it_saves(tmp_path):
    nets = {name: model(name, id2label=LABELS).float() for name in MODELS}
    batches, payload = {name: ragged_batch([7, 3], 8, name) for name in MODELS}, {}
    for name, net in nets.items():
        net.save_pretrained(tmp_path / name)
        batch = {key: rows.tolist() for key, rows in batches[name].items()}
        payload[name] = {"folder": str(tmp_path / name), "save_to": str(tmp_path / f"{name} theirs"), "batch": batch}
    answers = run_stock(STOCK_LOGITS, payload, tmp_path)
    for name, net in nets.items():
        assert answers[name]["not_loaded"] == [] and answers[name]["labels"] == "yes"
        with torch.no_grad():
            torch.testing.assert_close(net(**batches[name]).logits, torch.tensor(answers[name]["logits"]))
        again, info = AutoModelForSequenceClassification.from_pretrained(
            payload[name]["save_to"], output_loading_info=True
        )
        assert not any(info.values()) and again.config.id2label == net.config.id2label
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), net.parameters(), strict=True))

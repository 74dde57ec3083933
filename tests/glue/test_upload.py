"""--push_to_hub and --save_for_stock: what a run puts on the Hub, what it leaves out, and what becomes of it when the
upload fails. The Hub is a small server on localhost.
"""

import hashlib
import json

import pytest
import runs
from hub_server import HubServer

from transformers import AutoModelForSequenceClassification

STOCK_FILE = "modeling_contranorm_bert.py"


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    with HubServer({}) as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        yield server


@pytest.fixture(scope="module")
def words(flags):
    """A command line without anything that needs an output folder."""
    small = ["--task_name", "rte", "--max_length", "32", "--max_train_steps", "2", "--cpu", "--scale", "0.3"]
    return [*flags[:4], *small]


def test_a_run_for_the_stock_library_on_the_hub(words, tmp_path, hub, capsys):
    out = tmp_path / "tiny-rte"
    pushed = ["--save_for_stock", "--push_to_hub", "--hub_private_repo", "--output_dir", out]
    assert runs.run_here(*words, *pushed) == 0
    assert f"Uploaded: {hub.url}/me/tiny-rte/" in capsys.readouterr().out
    assert hub.created == [{"name": "tiny-rte", "organization": None, "visibility": "private"}]
    assert {token for _, _, token in hub.requests} == {"Bearer hf_mine"}
    uploaded = hub.repos["me/tiny-rte"]["main"]
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "all_results.json", STOCK_FILE} <= set(
        uploaded
    )
    assert not {name for name in uploaded if "/" in name or name in ("run.json", "train_log.jsonl", ".run_files.json")}
    assert all((out / name).read_bytes() == content for name, content in uploaded.items())

    card = (out / "README.md").read_text()
    assert hashlib.sha256(uploaded[STOCK_FILE]).hexdigest() in card and "trust_remote_code=True" in card
    assert "without a word" not in card
    assert json.loads(uploaded["config.json"])["model_type"] == "contranorm_bert"
    listed = json.loads((out / ".run_files.json").read_text())["files"]
    assert set(listed) == runs.files_in(out) - {".run_files.json"}
    # The result is where the next run begins, and the plain form replaces the other.
    again = [*words[2:], "--model_name_or_path", out, "--output_dir", tmp_path / "again"]
    assert runs.run_here(*again) == 0
    assert "scale 0.3 (command line)" in capsys.readouterr().out
    assert not (tmp_path / "again" / STOCK_FILE).exists()
    assert AutoModelForSequenceClassification.from_pretrained(out).config.contranorm_sites == ("attention_residual",)


def test_a_failed_upload_loses_nothing(words, tmp_path, hub, capsys):
    out = tmp_path / "out"
    hub.refusal = (403, "no room for you")
    assert runs.run_here(*words, "--push_to_hub", "--hub_model_id", "them/rte", "--output_dir", out) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the upload to them/rte on http://127.0.0.1" in line and "no room for you" in line
    assert f"everything is saved in {out}: upload it with `hf upload them/rte {out} . --exclude '*/*'`" in line
    assert {"all_results.json", "README.md", "model.safetensors"} <= runs.files_in(out)
    assert hub.created[0]["organization"] == "them" and "visibility" not in hub.created[0]
    assert hub.repos["them/rte"]["main"] == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--push_to_hub", "--hub_model_id", "a/b/c"], "--hub_model_id a/b/c: expected name or owner/name"),
        (["--hub_model_id", "me/rte"], "--hub_model_id goes with --push_to_hub"),
        (["--push_to_hub", "--do_eval"], "--push_to_hub is for a model that was trained"),
        (["--save_for_stock", "--method", "pairnorm"], "a checkpoint cannot carry pairnorm"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_before_anything_is_done(words, tmp_path, hub, capsys, given, message):
    assert runs.run_here(*words, *given, "--output_dir", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert hub.requests == [] and not (tmp_path / "out").exists()


def test_a_token_and_the_hub_are_needed_at_the_start(words, tmp_path, hub, capsys, monkeypatch):
    from huggingface_hub import constants

    pushed = [*words, "--push_to_hub", "--output_dir", tmp_path / "out"]
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    assert runs.run_here(*pushed) == 2 and "needs a token that may write" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert runs.run_here(*pushed) == 2 and "HF_HUB_OFFLINE is set" in capsys.readouterr().err
    assert runs.run_here(*words, "--push_to_hub") == 2 and "--push_to_hub needs --output_dir" in capsys.readouterr().err
    assert hub.requests == []

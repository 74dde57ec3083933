"""Downloads from the Hub: real code against a small server on localhost, each time in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer
from tiny import model

from transformers.utils.hub import resolve_file

ROOT = Path(__file__).parents[2]
CONFIG = b'{"model_type": "bert", "vocab_size": 61}'

PREAMBLE = """
import json, sys
from transformers import AutoConfig, CheckpointError

def attempt(call):
    try:
        return call()
    except CheckpointError as error:
        return "CheckpointError: " + str(error)
"""


@pytest.fixture
def server():
    repos = {
        "me/tiny": {
            "main": {"config.json": CONFIG},
            "v2": {"config.json": CONFIG.replace(b"61", b"62"), "deep/config.json": CONFIG.replace(b"61", b"63")},
        },
        "tiny": {"main": {"config.json": CONFIG.replace(b"61", b"64")}},
    }
    with HubServer(repos) as running:
        yield running


def run(code: str, home: Path, url: str, **environment: str):
    """Run code that assigns `result`, in a process whose Hub is at `url`; returns result and what went to stderr."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    finished = subprocess.run(
        [sys.executable, "-c", f"{PREAMBLE}\n{code}\nprint(json.dumps(result))"],
        cwd=ROOT,
        env={**kept, "HF_ENDPOINT": url, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1]), finished.stderr


def test_names_revisions_subfolders_tokens_and_the_cache(tmp_path, server):
    code = f"""
result = [
    AutoConfig.from_pretrained("me/tiny").vocab_size,
    AutoConfig.from_pretrained("me/tiny", revision="v2", token="hf_mine").vocab_size,
    AutoConfig.from_pretrained("me/tiny", revision="v2", subfolder="deep", token=False).vocab_size,
    AutoConfig.from_pretrained("tiny", cache_dir={str(tmp_path / "elsewhere")!r}).vocab_size,
]
"""
    found, _ = run(code, tmp_path / "home", server.url, HF_TOKEN="hf_stored")
    assert found == [61, 62, 63, 64]
    sent = {path: token for _, path, token in server.requests}
    assert sent["/me/tiny/resolve/main/config.json"] == "Bearer hf_stored"
    assert sent["/me/tiny/resolve/v2/config.json"] == "Bearer hf_mine"
    assert sent["/me/tiny/resolve/v2/deep/config.json"] is None
    assert (tmp_path / "elsewhere" / "models--tiny").is_dir()

    def downloads():
        return sum(method == "GET" for method, _, _ in server.requests)

    before = downloads()
    assert run('result = AutoConfig.from_pretrained("me/tiny").vocab_size', tmp_path / "home", server.url)[0] == 61
    assert downloads() == before  # only asked whether it changed
    again = 'result = AutoConfig.from_pretrained("me/tiny", force_download=True).vocab_size'
    assert run(again, tmp_path / "home", server.url)[0] == 61
    assert downloads() == before + 1


def test_what_is_in_the_cache_needs_no_network(tmp_path, server):
    code = 'result = attempt(lambda: AutoConfig.from_pretrained("me/tiny").vocab_size)'
    assert run(code, tmp_path, server.url)[0] == 61
    asked = len(server.requests)
    assert run(code, tmp_path, server.url, HF_HUB_OFFLINE="1")[0] == 61
    local = code.replace('tiny"', 'tiny", local_files_only=True')
    assert run(local, tmp_path, server.url)[0] == 61
    assert len(server.requests) == asked
    server.__exit__()
    assert run(code, tmp_path, server.url)[0] == 61


def test_errors_say_in_one_line_what_was_tried(tmp_path, server):
    code = """
from transformers.utils.hub import resolve_file
calls = [
    lambda: AutoConfig.from_pretrained("me/absent"),
    lambda: AutoConfig.from_pretrained("me/tiny", revision="v3"),
    lambda: AutoConfig.from_pretrained("me/tiny", subfolder="nowhere"),
    lambda: AutoConfig.from_pretrained("me/tiny/too/deep"),
    lambda: AutoConfig.from_pretrained("me/tiny", revision="v2", local_files_only=True),
    lambda: resolve_file("me/tiny", "absent.txt", required=False),
    lambda: resolve_file("me/absent", "absent.txt", required=False),
    lambda: resolve_file("me/tiny", "absent.txt", required=False, local_files_only=True),
]
result = [attempt(call) for call in calls]
"""
    found, _ = run(code, tmp_path, server.url)
    for line, parts in zip(
        found,
        [
            ("me/absent", "no such folder", f"no such model on {server.url}", "token"),
            ("me/tiny", "no revision 'v3'"),
            ("me/tiny", "no file nowhere/config.json"),
            ("me/tiny/too/deep", "not the form of a Hub id"),
            ("me/tiny", "not in the local cache", "switched off"),
            None,
            ("me/absent", "no such model"),
            None,
        ],
        strict=True,
    ):
        assert (line is None) == (parts is None)
        assert parts is None or (all(part in line for part in parts) and "\n" not in line)


def test_without_network_the_answer_comes_at_once(tmp_path, server):
    code = """
import time
from transformers.utils.hub import resolve_file
naps = []
time.sleep = naps.append
result = [
    attempt(lambda: AutoConfig.from_pretrained("me/tiny")),
    attempt(lambda: resolve_file("me/tiny", "other.txt", required=False)),
]
assert naps == [], naps  # no waiting for a server that is not there
"""
    server.__exit__()
    found, _ = run(code, tmp_path, server.url)
    assert "config.json is not in the local cache" in found[0] and f"{server.url} cannot be reached" in found[0]
    assert found[1] is None
    assert run(code, tmp_path, server.url, HF_HUB_OFFLINE="1")[0][0].endswith("downloads are switched off")


def test_a_server_that_stumbles_is_one_line(tmp_path, server):
    server.repos["me/tiny"] = 5  # the handler fails over it: the connection is closed without an answer
    found, _ = run('result = attempt(lambda: AutoConfig.from_pretrained("me/tiny"))', tmp_path, server.url)
    assert found.startswith("CheckpointError: cannot load me/tiny") and "cannot be reached" in found
    assert "\n" not in found


@pytest.mark.slow
def test_a_whole_model_and_its_shards(tmp_path, server):
    net = model().float()
    net.save_pretrained(tmp_path / "files")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "files").iterdir()}
    index = {"weight_map": dict.fromkeys(net.state_dict(), "part-1.safetensors")}
    astray = {"weight_map": dict.fromkeys(net.state_dict(), "../../part-1.safetensors")}
    server.repos["me/whole"] = {"main": whole}
    server.repos["me/shards"] = {
        "main": {
            "config.json": whole["config.json"],
            "model.safetensors.index.json": json.dumps(index).encode(),
            "part-1.safetensors": whole["model.safetensors"],
        }
    }
    server.repos["me/astray"] = {
        "main": server.repos["me/shards"]["main"] | {"model.safetensors.index.json": json.dumps(astray).encode()}
    }
    server.repos["me/empty"] = {"main": {"config.json": whole["config.json"]}}
    code = """
from transformers import AutoModel

def total(name):
    model = AutoModel.from_pretrained(name)
    return sum(p.double().sum().item() for p in model.parameters())

result = [attempt(lambda name=name: total(f"me/{name}")) for name in ("whole", "shards", "astray", "empty")]
"""
    found, _ = run(code, tmp_path / "home", server.url)
    wanted = sum(p.double().sum().item() for p in net.bert.parameters())
    assert found[:2] == [pytest.approx(wanted)] * 2
    assert "leads out of" in found[2]
    assert "no weights of me/empty found" in found[3] and "on the Hub" in found[3]
    paths = [path for _, path, _ in server.requests if path.startswith("/me/whole")]
    assert len(paths) <= 8  # few questions a model, however many files it does not have


def test_a_local_folder_wins_over_the_hub(tmp_path, monkeypatch):
    (tmp_path / "me" / "tiny").mkdir(parents=True)
    (tmp_path / "me" / "tiny" / "config.json").write_bytes(CONFIG)
    monkeypatch.chdir(tmp_path)
    assert resolve_file("me/tiny", "config.json") == os.path.join("me/tiny", "config.json")
    assert resolve_file("me/tiny", "other.json", required=False) is None

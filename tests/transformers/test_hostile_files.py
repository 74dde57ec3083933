"""Files that mean harm: nothing in them is executed, none leads out of its folder, none takes undue memory."""

import gzip
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import runs
import torch
from resuming import essence
from safetensors.torch import save_file

from glue.data import readers
from glue.errors import UsageError
from glue.output import manifest as checksums
from glue.output.model_card import _plain
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    CheckpointError,
    ConfigurationError,
)
from transformers.utils import checks, files
from transformers.utils.errors import UserError
from transformers.utils.hub import without_password
from transformers.utils.text import printable
from transformers.utils.weight_files import open_file


@pytest.fixture
def checkpoint(tmp_path):
    return runs.make_checkpoint(tmp_path / "checkpoint")


def load(folder):
    AutoTokenizer.from_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(folder)


# --- links, and names of other files


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"])
def test_a_link_in_a_folder_that_was_named_is_followed(tmp_path, checkpoint, name):
    """Wherever it leads: whoever named the folder has put it there."""
    shutil.move(checkpoint / name, tmp_path / "elsewhere")
    (checkpoint / name).symlink_to("../elsewhere")
    (tmp_path / "link").symlink_to(checkpoint)
    load(checkpoint)
    load(tmp_path / "link")


def test_folders_that_are_links_are_followed(tmp_path, checkpoint):
    """The folder that an index names; a folder in a snapshot of the Hub's cache, whose files are links to blobs."""
    (tmp_path / "elsewhere").mkdir()
    shutil.move(checkpoint / "model.safetensors", tmp_path / "elsewhere" / "part.safetensors")
    (checkpoint / "parts").symlink_to(tmp_path / "elsewhere")
    index = {"weight_map": {"classifier.bias": "parts/part.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    load(checkpoint)
    snapshot, blobs = (
        tmp_path / "models--owner--name" / "snapshots" / "0123",
        tmp_path / "models--owner--name" / "blobs",
    )
    shutil.copytree(checkpoint, blobs)
    (snapshot / "deep").mkdir(parents=True)
    for path in blobs.iterdir():
        (snapshot / "deep" / path.name).symlink_to(f"../../../blobs/{path.name}")
    load(snapshot / "deep")
    AutoModelForSequenceClassification.from_pretrained(snapshot, subfolder="deep")


def test_a_tokenizer_file_cannot_name_another_file(tmp_path, checkpoint):
    (tmp_path / "secret.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nsecret\n")
    for key in ("vocab_file", "tokenizer_file", "vocab"):
        config = {"tokenizer_class": "BertTokenizer", key: str(tmp_path / "secret.txt")}
        (checkpoint / "tokenizer_config.json").write_text(json.dumps(config))
        assert "secret" not in AutoTokenizer.from_pretrained(checkpoint).get_vocab()


# --- sizes that are only promised


def header(promised: dict) -> bytes:
    text = json.dumps(promised).encode()
    return len(text).to_bytes(8, "little") + text


TERABYTES = 4 * 10**12
HEADERS = {
    "tensor": header({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, TERABYTES]}}) + bytes(100),
    "shape alone": header({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 100]}}) + bytes(100),
    "product overflows": header({"a": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 0]}}),
    "header": (10**15).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_that_promises_terabytes(checkpoint, what):
    (checkpoint / "model.safetensors").write_bytes(HEADERS[what])
    with pytest.raises(CheckpointError, match=r"model.safetensors is no readable safetensors file"):
        load(checkpoint)


SIZES = [
    {"vocab_size": 10**12},
    {"hidden_size": 10**7},
    {"num_hidden_layers": 10**9},
    {"max_position_embeddings": 10**12},
    {"intermediate_size": 10**14},
    {"type_vocab_size": 10**13},
    {"id2label": None, "label2id": None, "num_labels": 10**12},
]


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: next(iter(sizes)))
def test_a_config_that_promises_terabytes(checkpoint, sizes):
    config = json.loads((checkpoint / "config.json").read_text()) | sizes
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"takes \d{4,} GiB|expected at most|not a multiple"):
        load(checkpoint)


def test_a_model_larger_than_the_machine(checkpoint, monkeypatch):
    monkeypatch.setattr(checks.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 1000}[name])
    with pytest.raises(CheckpointError, match=r"takes 0 GiB, and this machine has 0"):
        load(checkpoint)


def test_the_estimate_is_about_right():
    """Within a tenth of what a model really has."""
    config = BertConfig(
        num_hidden_layers=2, hidden_size=96, num_attention_heads=4, intermediate_size=384, vocab_size=999
    )
    net = AutoModelForSequenceClassification.from_config(config)
    assert config.parameter_estimate() == pytest.approx(net.num_parameters(), rel=0.1)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "tokenizer.json", "model.safetensors.index.json"])
def test_a_text_file_of_a_size_that_none_has(checkpoint, name):
    (checkpoint / "model.safetensors").rename(checkpoint / "shard.safetensors")
    with (checkpoint / name).open("ab") as file:
        file.truncate(files.LARGEST_TEXT + 1)  # a hole: it takes no room on the disk
    with pytest.raises(CheckpointError, match=rf"{name} has {files.LARGEST_TEXT + 1} bytes"):
        load(checkpoint)
    with pytest.raises(CheckpointError, match=r"expected at most"):
        files.read_json(checkpoint / name)


def deflate(path: Path) -> None:
    """Write an archive of torch anew, compressed: torch reads such ones, though it never writes them."""
    with zipfile.ZipFile(path) as plain:
        entries = {entry.filename: plain.read(entry) for entry in plain.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)


def of_another_version(content: bytes) -> bytes:
    """The list of entries says that version 25.5 of the format is needed to read them; torch does not look."""
    return content.replace(b"PK\x01\x02\x14\x03\x14\x00", b"PK\x01\x02\x14\x03\xff\x00")


def with_a_second_list(content: bytes) -> bytes:
    """A list of harmless entries where Python looks for it, before the end; torch goes to the place the end names."""
    entries = content[content.index(b"PK\x01\x02") : -22]
    harmless = bytearray(entries)
    for found in re.finditer(rb"PK\x01\x02", entries):
        packed = slice(found.start() + 20, found.start() + 24)
        harmless[packed.stop : packed.stop + 4] = entries[packed]
    return content[:-22] + bytes(harmless) + content[-22:]


DISGUISES = {
    "none": (lambda content: content, r"promises to unpack to 4\d{6}"),
    "version": (of_another_version, r"promises to unpack to 4\d{6}"),
    "list": (with_a_second_list, r"promises to unpack to 4\d{6}"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_archive_that_unpacks_to_more_than_it_is(checkpoint, disguise):
    path, (disguised, message) = checkpoint / "pytorch_model.bin", DISGUISES[disguise]
    weights = {name: tensor.clone() for name, tensor in load(checkpoint).state_dict().items()}
    torch.save(weights | {"zeros": torch.zeros(10**6)}, path)
    deflate(path)
    path.write_bytes(disguised(path.read_bytes()))
    (checkpoint / "model.safetensors").unlink()
    assert torch.load(path, weights_only=True)["zeros"].shape == (10**6,)
    with pytest.raises(CheckpointError, match=message):
        load(checkpoint)


def test_archives_of_every_size_are_read(tmp_path, monkeypatch):
    """Those with more entries or bytes than the old form of archives can count end differently."""
    torch.save({"a": torch.ones(3)}, tmp_path / "x.bin")
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    with zipfile.ZipFile(tmp_path / "x.bin") as plain, zipfile.ZipFile(tmp_path / "y.bin", "w") as large:
        for entry in plain.infolist():
            large.writestr(entry.filename, plain.read(entry))
    assert b"PK\x06\x06" in (tmp_path / "y.bin").read_bytes()
    assert open_file(str(tmp_path / "y.bin"))["a"].tolist() == [1, 1, 1]


REPEATED = {
    "one number": lambda: {"a": torch.zeros(1).expand(10**6, 100)},
    "one row": lambda: {"a": torch.zeros(1000).expand(10**5, 1000)},
    "one tensor": lambda: dict.fromkeys(map(str, range(1000)), torch.zeros(10**5)),
    "overlapping": lambda: {"a": torch.zeros(10**4).as_strided((5000, 5000), (1, 1))},
}


@pytest.mark.parametrize("what", REPEATED)
def test_tensors_that_repeat_what_a_pickle_holds(checkpoint, what):
    """A few kilobytes that stand for hundreds of megabytes."""
    torch.save(REPEATED[what](), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin has \d+ bytes, but promises tensors of \d{8,9}"):
        load(checkpoint)


def test_a_tensor_under_two_names_is_no_trap(tmp_path):
    """Pretraining saves the table of words twice, as embedding and as output."""
    table = torch.randn(500, 8)
    torch.save({"embeddings": table, "decoder": table, "transposed": torch.ones(3, 4).T}, tmp_path / "x.bin")
    stored = open_file(str(tmp_path / "x.bin"))
    assert torch.equal(stored["decoder"], table) and stored["transposed"].shape == (4, 3)


HUNGRY = {
    "bytes": b"cbuiltins\nbytearray\n\x8a\x05" + (3 * 2**30).to_bytes(5, "little") + b"\x85R",
    "tensor": b"ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n)R",
    "unknown operation": b"\xff",
}


@pytest.mark.parametrize("what", HUNGRY)
@pytest.mark.parametrize("packed", [True, False])
def test_a_pickle_that_only_asks_for_memory(tmp_path, monkeypatch, what, packed):
    """What torch deems safe can take gigabytes in forty bytes: it does not get to see them."""
    path, content = tmp_path / "x.bin", b"\x80\x02" + HUNGRY[what] + b"."
    path.write_bytes(content)
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", content)
            archive.writestr("x/version", "3\n")
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: pytest.fail("it was loaded"))
    with pytest.raises(CheckpointError, match="no plain file of tensors"):
        open_file(str(path))


MEASURED = """
import resource, sys
from pathlib import Path
from glue.data.readers import read_table
from glue.errors import UsageError
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_table(Path(sys.argv[1]))
except UsageError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.jsonl.gz", "bomb.parquet", "dictionary.parquet"])
def test_a_bomb_is_not_unpacked(tmp_path, name):
    """Gigabytes in two megabytes; and in a few kilobytes, as one word of many rows or one long text of few."""
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(b"sentence,label\n" + bytes(2**20), 9) * 2000)
    else:
        text, rows = ("word" * 1000, 300_000) if name.startswith("bomb") else ("word" * 1_000_000, 500)
        column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array([text]))
        options = {"dictionary_pagesize_limit": 2**30, "store_schema": False, "compression": "zstd"}
        pyarrow.parquet.write_table(pyarrow.table({"sentence": column}), path, **options)
    words = [sys.executable, "-c", MEASURED, str(path)]
    ended = subprocess.run(words, cwd=runs.ROOT, capture_output=True, text=True, timeout=100, check=True)
    message, kilobytes = ended.stdout.splitlines()
    assert f"{name}: unpacks to more than 1024 MiB" in message
    assert int(kilobytes) < 700_000


def test_rows_that_share_no_column(tmp_path):
    """A table of them would have a cell for every row and column: a thousand million, of half a megabyte."""
    path = tmp_path / "scattered.jsonl"
    path.write_text("".join(f'{{"{number}": 1}}\n' for number in range(30_000)))
    with pytest.raises(UsageError, match=r"30000 rows with 30000 different columns"):
        readers.read_table(path)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_great_many_columns(tmp_path, kind):
    names, path = [f"c{number}" for number in range(20_000)], tmp_path / f"wide.{kind}"
    if kind == "csv":
        path.write_text(",".join(names) + "\n" + ",".join("1" * len(names)) + "\n")
    else:
        pyarrow.parquet.write_table(pyarrow.table({name: [1] for name in names}), path)
    assert len(readers.read_table(path).columns) == len(names)


def test_lists_and_bytes_of_a_parquet_file_are_left_alone(tmp_path):
    """They hold neither texts nor labels, and a row of them can hold any number of values in no space at all."""
    lists = pyarrow.ListArray.from_arrays(
        pyarrow.array([0, 10**7], pyarrow.int32()), pyarrow.nulls(10**7, pyarrow.int8())
    )
    table = pyarrow.table(
        {"sentence": ["a"], "label": [1], "lists": lists, "struct": [{"sentence": 3}], "bytes": [b"b"]}
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet", compression="zstd")
    assert readers.read_table(tmp_path / "x.parquet").columns == {"sentence": ["a"], "label": [1]}


# --- code


class Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch '{self.trace}'",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "random_states.pt"])
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_checkpoint_of_a_run_is_never_executed(flags, uninterrupted, tmp_path, capsys, name, how):
    """Its checksums are right: whoever made it has made these too."""
    folder, trace = tmp_path / "out", tmp_path / "executed"
    shutil.copytree(uninterrupted, folder)
    newest = folder / "checkpoints" / "step_000016"
    if how == "torch":
        torch.save({"state": Malicious(trace)}, newest / name)
    else:
        (newest / name).write_bytes(pickle.dumps(Malicious(trace)))
    (newest / "checksums.json").unlink()
    checksums.record(newest)
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "step_000016 is damaged: Weights only load failed" in error and not trace.exists()
    assert essence(folder) == essence(uninterrupted)


def test_a_config_cannot_bring_its_own_code(tmp_path, checkpoint):
    trace = tmp_path / "executed"
    (checkpoint / "modeling_evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil:\n    pass\n")
    auto_map = {
        "AutoConfig": "modeling_evil.Evil",
        "AutoModelForSequenceClassification": "modeling_evil.Evil",
        "AutoTokenizer": ["modeling_evil.Evil", None],
    }
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((checkpoint / name).read_text())
        (checkpoint / name).write_text(json.dumps(content | {"auto_map": auto_map, "trust_remote_code": True}))
    load(checkpoint)
    AutoModelForSequenceClassification.from_pretrained(checkpoint, trust_remote_code=True)  # asking for it is no use
    assert not trace.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "evil"},
        {"model_type": ["bert"]},
        {"hidden_act": "__import__('os').system('touch executed')"},
        {"hidden_act": {"module": "os"}},
        {"from_pretrained": 1},
        {"__class__": "dict"},
        {"_check_encoder": "x"},
        {"hidden_size": True},
        {"num_attention_heads": 0},
        {"layer_norm_eps": "1e-12; import os"},
        {"id2label": {"0": "a", "5": "b"}},
        {"id2label": [1, 2]},
        {"pos": [7]},
        {"dtype": "__reduce__"},
        {"initializer_range": float("inf")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_malicious_config(checkpoint, changes):
    content = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(content | changes))
    with pytest.raises((ConfigurationError, CheckpointError)):
        AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype="auto")


@pytest.mark.parametrize(
    "content",
    [{"state": None}, {"state": {"unknown": 1}}, {"identity": None}, {"identity": [1]}, {"identity": {"version": 1}}],
    ids=str,
)
def test_a_training_state_of_nonsense(flags, uninterrupted, tmp_path, capsys, content):
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    newest = folder / "checkpoints" / "step_000016"
    written = json.loads((newest / "training_state.json").read_text())
    (newest / "training_state.json").write_text(json.dumps(written | content))
    (newest / "checksums.json").unlink()
    checksums.record(newest)
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") in (1, 2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("run_glue_no_trainer.py: error: ") and "step_000016" in error


def of_optimizer(change):
    """A change to the optimizer's state of the first parameter, or to the first group."""

    def changing(state):
        change(state["state"][0], state["param_groups"][0])

    return "optimizer.pt", changing


def of_random_states(**changes):
    return "random_states.pt", lambda states: states[0].update(changes)


NONSENSE = {
    "moments of another shape": of_optimizer(lambda state, group: state.update(exp_avg=torch.zeros(3, 5))),
    "moments of one number": of_optimizer(lambda state, group: state.update(exp_avg_sq=torch.zeros(1).expand(10**12))),
    "no moments": of_optimizer(lambda state, group: state.clear()),
    "moments of more parameters": ("optimizer.pt", lambda state: state["state"].update({10**6: state["state"][0]})),
    "steps": of_optimizer(lambda state, group: state.update(step=torch.zeros(3))),
    "fewer groups": ("optimizer.pt", lambda state: state["param_groups"].pop()),
    "generator of large numbers": of_random_states(python=(3, [10**30] * 625, None)),
    "generator of floats": of_random_states(torch=torch.zeros(5056)),
    "no processes": ("random_states.pt", lambda states: states.clear()),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_checkpoint_of_nonsense(flags, uninterrupted, tmp_path, capsys, what):
    """Its checksums are right. A fused optimizer writes where a state of another shape ends: out of its memory."""
    folder, (name, change) = tmp_path / "out", NONSENSE[what]
    shutil.copytree(uninterrupted, folder)
    newest = folder / "checkpoints" / "step_000016"
    content = torch.load(newest / name, weights_only=True)
    change(content)
    torch.save(content, newest / name)
    (newest / "checksums.json").unlink()
    checksums.record(newest)
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 1
    assert "step_000016 is damaged: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", ["../../../secret", "/etc/passwd", "sub/optimizer.pt"])
def test_checksums_of_files_elsewhere(uninterrupted, tmp_path, name):
    folder = tmp_path / "step_000016"
    shutil.copytree(uninterrupted / "checkpoints" / "step_000016", folder)
    content = json.loads((folder / "checksums.json").read_text())
    content["files"][name] = {"bytes": 1, "sha256": "0"}
    (folder / "checksums.json").write_text(json.dumps(content))
    assert "is missing" in checksums.damage(folder)


# --- what is shown


EVIL = "\x1b]0;owned\x07\x1b[31m\u202e\u2028\x9b1A"


def harmless(text: str) -> bool:
    return all(character.isprintable() or character in "\n\r" for character in text)


def test_control_characters_are_shown_and_take_no_effect(tmp_path, capsys):
    """Names of folders and files, of columns, labels and tensors, in errors, in messages and in the library's log."""
    folder = tmp_path / f"model {EVIL}"
    runs.make_checkpoint(folder)
    tensors = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    save_file({**tensors, f"extra {EVIL}\nwarning: forged": torch.ones(1)}, folder / "model.safetensors")
    data = tmp_path / f"data {EVIL}.csv"
    data.write_text(f"sentence,label\na stone,yes {EVIL}\na river,no\n")
    words = ["--model_name_or_path", folder, "--validation_file", data, "--cpu", "--max_length", "32"]
    words += ["--max_train_steps", "1", "--ignore_mismatched_sizes", "--output_dir", tmp_path / f"out {EVIL}"]
    assert runs.run_here(*words, "--train_file", data) == 0
    printed = capsys.readouterr()
    assert harmless(printed.out) and "\\x1b]0;owned" in printed.out
    assert harmless(printed.err) and "not used: extra" in printed.err and "\nwarning: forged" not in printed.err
    card = (tmp_path / f"out {EVIL}" / "README.md").read_text()
    assert harmless(card) and "owned" in card

    other = tmp_path / f"other {EVIL}.jsonl"
    for content in (f'{{"a": 1}}\n{EVIL}', json.dumps({"sentence": "x", "label": EVIL}), f'{{"sentence{EVIL}": 3}}'):
        other.write_text(content)
        assert runs.run_here(*words[:-2], "--train_file", data, "--validation_file", other) == 2
        assert harmless(capsys.readouterr().err)
    (folder / "config.json").write_text(json.dumps({"model_type": EVIL}))
    assert runs.run_here(*words, "--train_file", data, "--overwrite_output_dir") == 2
    assert runs.run_here("--nonsense", EVIL) == 2
    assert runs.run_here("--pos", EVIL) == 2
    assert runs.run_here("--task_name", EVIL) == 2
    assert harmless(capsys.readouterr().err)


def test_the_librarys_own_handler_escapes(capsys):
    from transformers.utils import logging

    logging.get_logger("transformers.test").warning("a\n%s", EVIL)
    assert harmless(capsys.readouterr().err)


def test_markdown_of_a_name_is_text(tmp_path):
    shown = _plain("a](http://x) <script>`|\n# b" + EVIL)
    assert harmless(shown) and "\n" not in shown and "\\]" in shown and "\\<script\\>" in shown


def test_printable():
    assert printable("plain ünïcode 漢字") == "plain ünïcode 漢字"
    assert printable("a\tb\nc", keep="\n") == "a\\tb\nc"
    assert len(str(CheckpointError("x" * 10**6))) < 3000


# --- secrets


@pytest.mark.slow
def test_no_token_reaches_a_file_or_the_terminal(tmp_path):
    secrets = {name: f"hf_secret{name.lower()}" for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")}
    endpoint = {"HF_ENDPOINT": "http://user:hf_secretpassword@127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    environment = {**runs.environment(), **secrets, **endpoint, "HF_HOME": str(tmp_path / "hub")}
    words = runs.command(
        "--demo", "--max_train_steps", "2", "--checkpointing_steps", "1", "--output_dir", tmp_path / "out"
    )
    fine = subprocess.run(words, cwd=runs.ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert fine.returncode == 0, fine.stderr
    absent = runs.command("--model_name_or_path", "owner/absent", "--task_name", "rte")
    failed = subprocess.run(absent, cwd=runs.ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert failed.returncode == 2 and "127.0.0.1:9" in failed.stderr
    for text in (fine.stdout, fine.stderr, failed.stdout, failed.stderr):
        assert "secret" not in text
    for name in runs.files_in(tmp_path / "out"):
        assert b"secret" not in (tmp_path / "out" / name).read_bytes()


def test_a_password_is_cut_out_of_an_address():
    assert without_password("https://me:word@host:80/a@b") == "https://host:80/a@b"
    assert without_password("https://host/a") == "https://host/a"

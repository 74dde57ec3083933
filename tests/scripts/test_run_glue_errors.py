"""Bad input to the script: one line that says what is wrong, exit status 2, nothing written."""

import gzip
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess

import pytest
import runs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Good inputs, and one folder or file for every way to be bad."""
    folder = tmp_path_factory.mktemp("inputs")
    runs.make_checkpoint(folder / "good")
    runs.make_data(folder / "glue")
    names = (
        "no config",
        "broken config",
        "short weights",
        "code",
        "other model",
        "huge",
        "odd config",
        "strong",
        "shards",
    )
    for name in (*names, "no unknown", "odd tokenizer", "bomb"):
        shutil.copytree(folder / "good", folder / name)
    (folder / "no config" / "config.json").unlink()
    (folder / "broken config" / "config.json").write_text('{"model_type": "bert", ')
    weights = folder / "short weights" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    (folder / "other model" / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "code" / "model.safetensors").unlink()
    with (folder / "code" / "pytorch_model.bin").open("wb") as file:
        pickle.dump(_Malicious(folder / "executed"), file)

    config = json.loads((folder / "good" / "config.json").read_text())
    (folder / "huge" / "config.json").write_text(json.dumps(config | {"vocab_size": 10**12}))
    (folder / "odd config" / "config.json").write_text(json.dumps(config | {"hidden_act": {"a": "gelu"}}))
    (folder / "strong" / "config.json").write_text(json.dumps(config | {"scale": 1e308, "pos": "7"}))
    (folder / "shards" / "model.safetensors").unlink()
    index = {"weight_map": {"classifier.bias": "../good/model.safetensors"}}
    (folder / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "no unknown" / "vocab.txt").write_text("red\n")
    (folder / "odd tokenizer" / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"0": [1]}}')
    weights = folder / "bomb" / "model.safetensors"
    weights.write_bytes((10**12).to_bytes(8, "little") + weights.read_bytes()[8:])

    files = {
        "control.jsonl": '{"sentence": "a", "label": 1}\n{"sentence": "b", "label": "\\u001b[31m"}\n',
        "huge number.jsonl": '{"sentence": "a", "label": ' + "9" * 5000 + "}\n",
        "deep.jsonl": "[" * 100_000 + "\n",
        "half.jsonl": '{"sentence": "\\ud800", "label": 1}\n{"sentence": "b", "label": 0}\n',
        "same.csv": "label,label\n1,2\n",
        "mixed numbers.jsonl": '{"sentence": "a", "label": 1.5}\n{"sentence": "b", "label": ' + "9" * 400 + "}\n",
        "regression.csv": "sentence,label\na,1.5\nb,2.5\n",
        "huge.csv": "sentence,label\na,1\nb," + "9" * 400 + "\n",
        "good.csv": "sentence,label\na stone,yes\na river,no\n",
        "more.csv": "sentence,label\na stone,yes\n",
        "unseen.csv": "sentence,label\na stone,yes\na river,perhaps\n",
        "empty.csv": "",
        "header.csv": "sentence,label\n",
        "unlabelled.csv": "sentence,topic\na stone,yes\n",
        "missing.csv": "sentence,label\na stone,yes\na river,\n",
        "broken.jsonl": '{"sentence": "a stone", "label": 1}\n{"sentence": "a river", \n',
        "mixed.jsonl": '{"sentence": "a stone", "label": 1}\n{"sentence": "a river", "label": "no"}\n',
        "nan.jsonl": '{"sentence": "a stone", "label": 1.5}\n{"sentence": "a river", "label": NaN}\n',
        "data.xlsx": "",
        "a file": "",
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "torn.csv.gz").write_bytes(gzip.compress(b"sentence,label\n" * 99)[:30])
    (folder / "no.parquet").write_bytes(b"PAR1" * 9)
    shutil.copytree(folder / "glue", folder / "huge scores")
    scores = folder / "huge scores" / "stsb" / "train.jsonl"
    scores.write_text(re.sub('"label": [0-9.]+', '"label": ' + "9" * 400, scores.read_text(), count=1))
    (folder / "latin.csv").write_bytes("sentence,label\ncaf\xe9,yes\n".encode("latin-1"))
    return folder


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


# Words of the command line (a word with @ is a path below `place`), and what the message has to say.
TASK = ["--model_name_or_path", "@good", "--task_name", "rte", "--data_dir", "@glue", "--max_length", "32"]
FILES = ["--model_name_or_path", "@good", "--validation_file", "@more.csv"]
LONG = "a" * 300  # longer than a file's name may be
CASES = [
    ([*TASK, "--pos", "foo"], ["'foo'", "7 attention_residual"]),
    ([*TASK, "--pos", "9"], ["'9'", "7 attention_residual"]),
    ([*TASK, "--pos=-1"], ["'-1'"]),
    ([*TASK, "--pos", "1.5"], ["'1.5'"]),
    ([*TASK, "--pos", ""], ["--pos is empty"]),
    ([*TASK, "--scale", "nan"], ["nan", "finite"]),
    ([*TASK, "--scale", "inf"], ["inf", "finite"]),
    ([*TASK, "--scale", "much"], ["'much'"]),
    ([*TASK, "--scale", "1e308"], ["--scale 1e+308", "10000"]),
    ([*TASK, "--model_name_or_path", "@strong"], ["scale 1e+308", "10000"]),
    ([*TASK, "--tau", "0"], ["--tau 0", "more than 0"]),
    ([*TASK, "--train_file", "@good.csv"], ["--task_name", "--train_file"]),
    ([*FILES], ["--train_file", "--no-do_train"]),
    ([*FILES, "--train_file", "@not there.csv"], ["not there.csv", "--train_file"]),
    ([*FILES, "--train_file", "@empty.csv"], ["empty.csv"]),
    ([*FILES, "--train_file", "@header.csv"], ["header.csv"]),
    ([*FILES, "--train_file", "@unlabelled.csv"], ["unlabelled.csv", "label"]),
    ([*FILES, "--train_file", "@missing.csv"], ["missing.csv", "row 2", "missing"]),
    ([*FILES, "--train_file", "@broken.jsonl"], ["broken.jsonl", "row 2"]),
    ([*FILES, "--train_file", "@mixed.jsonl"], ["mixed.jsonl", "row 2"]),
    ([*FILES, "--train_file", "@nan.jsonl"], ["nan.jsonl", "row 2", "NaN"]),
    ([*FILES, "--train_file", "@latin.csv"], ["latin.csv", "UTF-8"]),
    ([*FILES, "--train_file", "@data.xlsx"], ["data.xlsx", "csv"]),
    ([*FILES, "--train_file", "@good.csv", "--validation_file", "@unseen.csv"], ["unseen.csv", "'perhaps'"]),
    ([*TASK, "--model_name_or_path", "@no config"], ["no config", "config.json"]),
    ([*TASK, "--model_name_or_path", "@broken config"], ["config.json", "JSON"]),
    ([*TASK, "--model_name_or_path", "@short weights"], ["model.safetensors"]),
    ([*TASK, "--model_name_or_path", "@other model"], ["gpt2", "bert"]),
    ([*TASK, "--model_name_or_path", "@code"], ["pytorch_model.bin"]),
    ([*TASK, "--model_name_or_path", "@huge"], ["a model of the sizes", "GiB"]),
    ([*TASK, "--model_name_or_path", "@odd config"], ["hidden_act", "gelu"]),
    ([*TASK, "--model_name_or_path", "@shards"], ["../good/model.safetensors", "leads out"]),
    ([*TASK, "--model_name_or_path", "@no unknown"], ["tokenizer", "no unknown"]),
    ([*TASK, "--model_name_or_path", "@odd tokenizer"], ["tokenizer", "odd tokenizer"]),
    ([*TASK, "--model_name_or_path", "@bomb"], ["bomb/model.safetensors", "safetensors file"]),
    ([*FILES, "--train_file", "@torn.csv.gz"], ["torn.csv.gz", "gzip"]),
    ([*FILES, "--train_file", "@no.parquet"], ["no.parquet", "parquet"]),
    ([*FILES, "--train_file", "@control.jsonl"], ["control.jsonl", "row 2", "\\x1b[31m"]),
    ([*FILES, "--train_file", "@huge number.jsonl"], ["huge number.jsonl", "row 1"]),
    ([*FILES, "--train_file", "@deep.jsonl"], ["deep.jsonl", "row 1"]),
    ([*FILES, "--train_file", "@half.jsonl"], ["half.jsonl", "row 1", "U+D800"]),
    ([*FILES, "--train_file", "@same.csv"], ["same.csv", "twice"]),
    ([*FILES, "--train_file", "@mixed numbers.jsonl"], ["mixed numbers.jsonl", "row 2", "finite"]),
    ([*FILES, "--train_file", "@regression.csv", "--validation_file", "@huge.csv"], ["huge.csv", "row 2", "finite"]),
    ([*TASK, "--task_name", "stsb", "--data_dir", "@huge scores"], ["train.jsonl", "row 1", "a score"]),
    ([*TASK, "--task_name", "\x1b]0;owned\x07"], ["\\x1b]0;owned\\x07"]),
    ([*TASK, "--\x1b[31m"], ["\\x1b[31m"]),
    ([*TASK, "--num_hidden_layers", "7"], ["7", "2"]),
    ([*TASK, "--max_length", "0"], ["--max_length 0"]),
    ([*TASK, "--max_length", "65"], ["--max_length 65", "64 positions"]),
    ([*TASK, "--per_device_train_batch_size", "0"], ["--per_device_train_batch_size 0"]),
    ([*TASK, "--num_train_epochs=-1"], ["--num_train_epochs -1"]),
    ([*TASK, "--num_warmup_steps", "9" * 400], ["--num_warmup_steps", "below"]),
    ([*TASK, "--data_dir", LONG], [LONG]),
    ([*TASK, "--resume_from_checkpoint", LONG], [LONG]),
    ([*TASK, "--resume_from_checkpoint", "--output_dir", LONG], [LONG]),
    ([*FILES, "--train_file", f"{LONG}.csv"], [LONG]),
    ([*TASK, "--output_dir", LONG], [LONG]),
    ([*TASK, "--do_predict", "--pred_dir", LONG], [LONG]),
    ([*TASK, "--do_predict", "--pred_dir", "@a file"], ["--pred_dir", "a file", "folder"]),
    ([*TASK, "--do_predict", "--pred_dir", "@a file/in it"], ["--pred_dir", "a file", "folder"]),
    ([*TASK, "--output_dir", "@\udcff"], ["\\udcff", "UTF-8"]),
    ([*TASK, "--output_dir", "@a file"], ["a file", "folder"]),
    ([*TASK, "--output_dir", "@a file/out"], ["a file"]),
    ([*TASK, "--output_dir", "@glue"], ["glue", "--overwrite_output_dir"]),
    ([*TASK, "--resume_from_checkpoint", "@glue"], ["glue", "no checkpoint"]),
    ([*TASK, "--task_name", "rtx"], ["rtx", "rte"]),
    ([*TASK, "--data_dir", "@good"], ["good", "rte"]),
    ([*TASK, "--nonsense"], ["--nonsense"]),
]


@pytest.mark.parametrize(
    ("words", "message"), CASES, ids=lambda value: " ".join(value[-2:])[:60] if len(value) > 3 else None
)
def test_one_line_and_status_2(place, tmp_path, capsys, words, message):
    before = runs.files_in(place)
    output = [] if "--output_dir" in words else ["--output_dir", str(tmp_path / "out")]
    words = [str(place / word[1:]) if word.startswith("@") else word for word in words]
    assert runs.run_here(*words, "--cpu", "--max_train_steps", "1", *output) == 2
    printed = capsys.readouterr()
    error = [line for line in printed.err.splitlines() if "error:" in line]
    assert len(error) == 1 and error[0].startswith("run_glue_no_trainer.py: error: ")
    assert error[0].isprintable()
    assert printed.err.splitlines()[-1] == error[0] and "Traceback" not in printed.err
    for part in message:
        assert part in error[0]
    assert runs.files_in(place) == before and not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="to root no folder is closed")
@pytest.mark.parametrize("flag", ["--data_dir", "--output_dir", "--resume_from_checkpoint"])
def test_what_may_not_be_looked_at(place, tmp_path, capsys, flag):
    (tmp_path / "closed").mkdir(mode=0)
    words = [str(place / word[1:]) if word.startswith("@") else word for word in TASK]
    assert runs.run_here(*words, "--cpu", "--max_train_steps", "1", flag, tmp_path / "closed" / "inside") == 2
    assert "Permission denied" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_output_that_nobody_reads(place, tmp_path):
    """As under `| head`, and with a full disk under stderr: the run goes on to its end, and says nothing of it."""
    words = [str(place / word[1:]) if word.startswith("@") else word for word in TASK]
    words = runs.command(*words, "--cpu", "--max_train_steps", "1", "--output_dir", tmp_path / "out")
    line = f"set -o pipefail; {shlex.join(words)} 2>/dev/full | true"
    ended = subprocess.run(
        ["bash", "-c", line], cwd=runs.ROOT, env=runs.environment(), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0 and "Traceback" not in ended.stderr
    assert (tmp_path / "out" / "all_results.json").exists()


def test_a_process_of_its_own_says_the_same(place):
    finished = runs.run("--task_name", "rte", "--model_name_or_path", place / "good", "--pos", "foo")
    assert finished.returncode == 2 and finished.stdout == ""
    assert len(finished.stderr.splitlines()) == 1 and "'foo'" in finished.stderr


def test_negative_scale_is_allowed_with_a_warning(place, capsys):
    words = [str(place / word[1:]) if word.startswith("@") else word for word in TASK]
    assert runs.run_here(*words, "--cpu", "--max_train_steps", "1", "--scale=-0.1") == 0
    assert "Warning: a negative scale" in capsys.readouterr().out

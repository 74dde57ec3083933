"""Prediction files: names, header, words and rounding of the GLUE server, its zip, and label values of own files."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import runs

import run_submission
from glue.data.tasks import GLUE_TASKS, OWN_FILES, Task
from glue.demo import checkpoint as demo
from glue.output.submission import SERVER_FILES, write_predictions
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils.errors import CheckpointError

FILES = {
    ("cola", "test"): ("CoLA.tsv", ["0", "1"]),
    ("sst2", "test"): ("SST-2.tsv", ["0", "1"]),
    ("mrpc", "test"): ("MRPC.tsv", ["0", "1"]),
    ("qqp", "test"): ("QQP.tsv", ["0", "1"]),
    ("wnli", "test"): ("WNLI.tsv", ["0", "1"]),
    ("mnli", "test_matched"): ("MNLI-m.tsv", ["entailment", "neutral", "contradiction"]),
    ("mnli", "test_mismatched"): ("MNLI-mm.tsv", ["entailment", "neutral", "contradiction"]),
    ("mnli", "test_ax"): ("AX.tsv", ["entailment", "neutral", "contradiction"]),
    ("qnli", "test"): ("QNLI.tsv", ["entailment", "not_entailment"]),
    ("rte", "test"): ("RTE.tsv", ["entailment", "not_entailment"]),
}


def own_task(*label_names: str) -> Task:
    metrics = ("accuracy",) if label_names else ("pearson", "spearmanr")
    return Task(OWN_FILES, ("sentence",), label_names, metrics)


@pytest.mark.parametrize(("task", "split"), FILES, ids="-".join)
def test_a_submission_file(task: str, split: str, tmp_path: Path) -> None:
    name, words = FILES[task, split]
    ids = np.arange(len(words))[::-1]
    path = write_predictions(tmp_path / "predictions", GLUE_TASKS[task], split, ids)
    assert path == tmp_path / "predictions" / name
    expected = "index\tprediction\n" + "".join(f"{row}\t{word}\n" for row, word in enumerate(reversed(words)))
    assert path.read_bytes() == expected.encode()


def test_similarities_have_three_decimals_and_stay_on_the_scale(tmp_path: Path) -> None:
    scores = np.array([-0.3, -0.0, 0.0004, 2.34567, 4.9996, 5.7], dtype=np.float32)
    path = write_predictions(tmp_path, GLUE_TASKS["stsb"], "test", scores)
    assert path.name == "STS-B.tsv"
    assert path.read_text() == "index\tprediction\n0\t0.000\n1\t0.000\n2\t0.000\n3\t2.346\n4\t5.000\n5\t5.000\n"


def test_every_test_split_has_a_file(tmp_path: Path) -> None:
    splits = [(name, split) for name, task in GLUE_TASKS.items() for split in task.test_splits]
    files = {write_predictions(tmp_path, GLUE_TASKS[name], split, np.array([0])).name for name, split in splits}
    assert len(files) == len(splits) == 11


def test_own_files_get_their_label_values_back(tmp_path: Path) -> None:
    labels = ("007", "tab\there", "two\nlines", 'a "quoted" word', "é 😀", "x, y")
    path = write_predictions(tmp_path, own_task(*labels), "test", np.array([5, 4, 3, 2, 1, 0]))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert path.name == "test.tsv"
    assert rows[0] == ["index", "prediction"]
    assert rows[1:] == [[str(row), label] for row, label in enumerate(reversed(labels))]
    assert "0\tx, y\n" in path.read_text(encoding="utf-8")  # quotes only where they are needed


def test_own_numbers_are_not_clipped_and_read_back_exactly(tmp_path: Path) -> None:
    scores = np.array([-12.5, 0.1, 1234567.0, 1 / 3], dtype=np.float32).astype(np.float64)
    path = write_predictions(tmp_path, own_task(), "test", scores)
    texts = [line.split("\t")[1] for line in path.read_text().splitlines()[1:]]
    assert texts[:2] == ["-12.5", "0.1"]
    assert np.array_equal(np.array(texts, dtype=np.float32), scores)


@pytest.mark.parametrize("numbers", [[7, 3, 12], ["b-2", "a", "0007"]], ids=["numbers", "names"])
def test_rows_keep_their_own_numbers(numbers: list, tmp_path: Path) -> None:
    path = write_predictions(tmp_path, own_task("LABEL_0", "LABEL_1"), "test", np.array([1, 0, 1]), numbers)
    lines = [f"{number}\tLABEL_{label}" for number, label in zip(numbers, (1, 0, 1), strict=True)]
    assert path.read_text().splitlines()[1:] == lines


def test_a_run_on_own_files_keeps_their_numbers_and_labels(tmp_path: Path) -> None:
    checkpoint = runs.make_checkpoint(tmp_path / "model")
    (tmp_path / "train.csv").write_text("text,label\na red stone,LABEL_0\na river .,LABEL_1\nthe house,LABEL_0\n")
    (tmp_path / "test.csv").write_text("text,id\none red,17\nthe river is not one,4\n,99\n")
    words = ["--model_name_or_path", checkpoint, "--train_file", tmp_path / "train.csv", "--max_train_steps", "1"]
    words += ["--test_file", tmp_path / "test.csv", "--do_predict", "--pred_dir", tmp_path / "pred", "--cpu"]
    assert runs.run_here(*words, "--max_length", "16", "--output_dir", tmp_path / "out") == 0
    rows = [line.split("\t") for line in (tmp_path / "pred" / "test.tsv").read_text().splitlines()]
    assert [number for number, _ in rows] == ["index", "17", "4", "99"]
    assert {label for _, label in rows[1:]} <= {"LABEL_0", "LABEL_1"}


def test_a_test_file_that_nobody_asked_to_predict_is_named_in_a_note(own, tmp_path: Path, capsys) -> None:
    words = [word for word in own if word not in ("--do_predict", "--no-do_eval")]
    (tmp_path / "validation.csv").write_text("text,label\na red stone,LABEL_0\nthe river,LABEL_1\n")
    assert runs.run_here(*words, "--do_eval", "--validation_file", tmp_path / "validation.csv") == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note: ")]
    assert f"Note: --test_file {own[3]} is not read: add --do_predict for its predictions" in notes


def test_no_rows_leave_the_header(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, GLUE_TASKS["rte"], "test", np.array([], dtype=np.int64))
    assert path.read_text() == "index\tprediction\n"


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for ids in ([0, 1, 1], [1, 1]):
        path = write_predictions(tmp_path, GLUE_TASKS["sst2"], "test", np.array(ids))
    assert path.read_text() == "index\tprediction\n0\t1\n1\t1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_survives_a_failure(tmp_path: Path) -> None:
    task = own_task("fine", "\ud800")  # half a character, which no UTF-8 file can hold: fails in mid-write
    path = write_predictions(tmp_path, task, "test", np.array([0]))
    with pytest.raises(UnicodeEncodeError):
        write_predictions(tmp_path, task, "test", np.array([0, 1]))
    assert path.read_text() == "index\tprediction\n0\tfine\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file cannot be made a folder"):
        write_predictions(tmp_path / "file", GLUE_TASKS["rte"], "test", np.array([0]))


def predict_all(folder: Path, *tasks: str, rows: int = 3) -> list[str]:
    """Predictions of tasks as their runs would write them; returns the output folders."""
    for name in tasks:
        for split in GLUE_TASKS[name].test_splits:
            write_predictions(folder / name / "predictions", GLUE_TASKS[name], split, np.ones(rows, dtype=np.int64))
    return [str(folder / name) for name in tasks]


def test_nine_runs_make_one_zip(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folders = predict_all(tmp_path, *GLUE_TASKS)
    folders[2] += "/predictions"  # as a folder of --pred_dir
    assert run_submission.main([*folders, folders[0], "--output", str(tmp_path / "new" / "glue.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "new" / "glue.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sorted(texts) == [
        *("AX.tsv", "CoLA.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "MRPC.tsv", "QNLI.tsv", "QQP.tsv", "RTE.tsv"),
        *("SST-2.tsv", "STS-B.tsv", "WNLI.tsv"),
    ]
    assert texts["AX.tsv"] == "index\tprediction\n0\tneutral\n1\tneutral\n2\tneutral\n"
    assert texts["STS-B.tsv"].splitlines()[1] == "0\t1.000" and texts["WNLI.tsv"].splitlines()[1] == "0\t1"
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Warning: the server will not take these numbers of rows: CoLA.tsv 3 instead of 1063")
    assert said[1:] == [f"Written: {tmp_path}/new/glue.zip, 11 files"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "cola/predictions/CoLA.tsv").unlink(),
            "missing in these folders: CoLA.tsv (of",
        ),
        (
            lambda folder: [(folder / f"mnli/predictions/{name}").unlink() for name in ("AX.tsv", "MNLI-m.tsv")],
            "MNLI-m.tsv (of mnli), AX.tsv (of mnli)",
        ),
        (
            lambda folder: write_predictions(folder / "sst2", GLUE_TASKS["rte"], "test", np.array([0])),
            "RTE.tsv is there twice",
        ),
        (lambda folder: (folder / "rte/predictions/RTE.tsv").write_text("index,prediction\n"), "has no header"),
        (lambda folder: (folder / "glue.zip").mkdir(), "glue.zip cannot be written"),
        (lambda folder: (folder / "wnli").rename(folder / "WNLI"), "wnli: no such folder"),
    ],
    ids=["one is missing", "two are missing", "one is there twice", "no predictions", "no place", "no folder"],
)
def test_what_stands_against_a_zip_is_one_line(
    change: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folders = predict_all(tmp_path, *GLUE_TASKS)
    change(tmp_path)
    assert run_submission.main([*folders, "--output", str(tmp_path / "glue.zip")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("run_submission.py: error: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "glue.zip").is_file() and not list(tmp_path.glob(".*.tmp"))


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The demo with fewer rows to train on."""
    monkeypatch.setattr(demo, "_TRAIN_ROWS", 64)
    demo.demo_splits.cache_clear()
    yield
    demo.demo_splits.cache_clear()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_task_of_the_demo_predicts_into_the_zip(tmp_path: Path, few_rows: None) -> None:
    """Nine runs, with BERT and ALBERT in turn; their rows are numbered as GLUE's are."""
    folders = [str(tmp_path / name) for name in GLUE_TASKS]
    for number, folder in enumerate(folders):
        words = ["--demo", "--task_name", Path(folder).name, "--max_train_steps", "2", "--max_eval_samples", "40"]
        words += ["--model_name_or_path", ("demo", "demo-albert")[number % 2], "--do_predict", "--output_dir", folder]
        assert runs.run_here(*words) == 0
    assert run_submission.main([*folders, "--output", str(tmp_path / "glue.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "glue.zip") as archive:
        assert sorted(archive.namelist()) == sorted(name for name, _ in SERVER_FILES.values())
        for name in archive.namelist():
            header, *lines = archive.read(name).decode().splitlines()
            assert header == "index\tprediction"
            assert [int(line.split("\t")[0]) for line in lines] == list(range(400))


@pytest.fixture
def own(tmp_path: Path) -> list[str | Path]:
    """A checkpoint and a test file, as the words of a run that predicts only."""
    (tmp_path / "test.csv").write_text("text,label\na red stone,x\nthe <new> river,y\n")
    words = ["--model_name_or_path", runs.make_checkpoint(tmp_path / "model"), "--test_file", tmp_path / "test.csv"]
    return [*words, "--no-do_train", "--no-do_eval", "--do_predict", "--max_length", "16", "--cpu"]


def test_a_model_whose_outputs_are_not_finite_predicts_nothing(own, tmp_path: Path, capsys) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(str(own[1]))
    model.classifier.weight.data.fill_(3e38)  # finite, unlike their products
    model.classifier.bias.data.fill_(3e38)
    model.save_pretrained(own[1])
    assert runs.run_here(*own, "--pred_dir", tmp_path / "pred") == 3
    assert "output for 2 of 2 rows is not finite, the first of them 0" in capsys.readouterr().err
    assert not (tmp_path / "pred").exists()


def test_a_token_that_the_model_has_no_embedding_for_is_named(own, tmp_path: Path, capsys) -> None:
    size = AutoConfig.from_pretrained(str(own[1])).vocab_size
    (Path(own[1]) / "added_tokens.json").write_text(json.dumps({"<new>": size}))
    assert runs.run_here(*own, "--pred_dir", tmp_path / "pred") == 2
    error = capsys.readouterr().err
    assert f"token '<new>' of the test split has the id {size}, but the model has {size} word embeddings" in error


def test_a_file_that_is_none_of_predictions_is_never_replaced(own, tmp_path: Path, capsys) -> None:
    data = (tmp_path / "test.csv").rename(tmp_path / "test.tsv")
    data.write_text(data.read_text().replace(",", "\t"))
    own[3] = data
    before = data.read_bytes()
    assert runs.run_here(*own, "--pred_dir", tmp_path) == 2
    assert "test.tsv is no file of predictions, and would be replaced" in capsys.readouterr().err
    assert data.read_bytes() == before
    assert runs.run_here(*own, "--pred_dir", tmp_path / "pred") == 0
    assert runs.run_here(*own, "--pred_dir", tmp_path / "pred") == 0  # its own file may be


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_in_place_of_a_checkpoint_s_folder(own, name: str, tmp_path: Path, capsys) -> None:
    own[1] = Path(own[1]) / name
    assert runs.run_here(*own, "--pred_dir", tmp_path / "pred") == 2
    assert f"{own[1]} is a file: give the folder that it is in" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_git_lfs_pointer_in_a_checkpoint_is_called_so(own, name: str, tmp_path: Path, capsys) -> None:
    for path in Path(own[1]).glob("vocab.txt"):
        path.unlink()
    (Path(own[1]) / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert runs.run_here(*own, "--pred_dir", tmp_path / "pred") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{Path(own[1]) / name} is a git-lfs pointer" in error and "`git lfs pull`" in error

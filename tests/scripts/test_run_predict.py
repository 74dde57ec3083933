"""`run_predict.py`: texts from the command line, from stdin and from files; labels as the pipeline has them."""

import io
import json
import sys

import pytest
import runs

import run_predict
from transformers import pipeline

TEXTS = ["red stone", "the river is blue .", "a house"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    return runs.make_checkpoint(folder, id2label={0: "bad", 1: "fair", 2: "good"}, pos="7", scale=0.3)


@pytest.fixture
def predict(model, capsys, monkeypatch):
    def call(*words, stdin=b"", status=0):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        assert run_predict.main(["--model_name_or_path", str(model), *map(str, words)]) == status
        captured = capsys.readouterr()
        return captured.out.splitlines(), captured.err

    return call


@pytest.fixture(scope="module")
def expected(model):
    return [f"{found['label']}\t{found['score']:.4f}" for found in pipeline(model=model)(TEXTS)]


def test_texts_from_everywhere(predict, expected, tmp_path):
    lines = "".join(f"{text}\n" for text in TEXTS)
    (tmp_path / "texts.txt").write_text(lines)
    (tmp_path / "texts.jsonl").write_text(
        "".join(json.dumps({"idx": i, "sentence": t}) + "\n" for i, t in enumerate(TEXTS))
    )
    for words, stdin in (
        (TEXTS, b""),
        (("--batch_size", 1), lines.encode()),
        (("--input_file", tmp_path / "texts.txt"), b""),
        (("--input_file", tmp_path / "texts.jsonl"), b""),
        (("--input_file", tmp_path / "texts.jsonl", "--text_column_names", "sentence", "--max_length", 40), b""),
    ):
        found, notes = predict(*words, stdin=stdin)
        assert found == expected
    assert "3 texts in " in notes and "a second (BertForSequenceClassification on cpu)" in notes


def test_every_line_has_its_answer(predict):
    assert len(predict(stdin=b"red\n\nblue\n")[0]) == 3
    assert predict(stdin=b"")[0] == []


def test_pairs(predict, model, tmp_path):
    pair = pipeline(model=model)([{"text": "red stone", "text_pair": "a house"}])[0]
    (tmp_path / "pairs.csv").write_text("premise,hypothesis\nred stone,a house\n")
    for words in (["red stone\ta house"], ["--input_file", tmp_path / "pairs.csv"]):
        assert predict(*words)[0] == [f"{pair['label']}\t{pair['score']:.4f}"]


def test_json_and_several_labels(predict):
    one = json.loads(predict("red", "--json")[0][0])
    assert list(one) == ["text", "label", "score"] and one["text"] == "red"
    several = json.loads(predict("red", "--json", "--top_k", "3")[0][0])
    assert several["labels"][0]["label"] == one["label"] and len(several["labels"]) == 3
    assert len(predict("red", "--top_k", "2")[0][0].split("\t")) == 4


def test_what_is_wrong_is_one_line(predict, tmp_path):
    (tmp_path / "x.txt").write_text("red\n")
    for words, stdin, message in (
        (("red", "--input_file", tmp_path / "x.txt"), b"", "exclude each other"),
        (("--input_file", tmp_path / "no.txt"), b"", "no such file"),
        (("red", "--device", "nowhere"), b"", "device"),
        ((), b"\xff\xfe", "stdin is not valid UTF-8"),
    ):
        found, notes = predict(*words, stdin=stdin, status=2)
        assert found == [] and message in notes and notes.count("\n") == 1
    with pytest.raises(SystemExit) as stop:
        predict("red", "--top_k", "0")
    assert stop.value.code == 2


def test_texts_are_cut_to_what_the_model_takes(predict):
    assert len(predict("red " * 500)[0]) == 1

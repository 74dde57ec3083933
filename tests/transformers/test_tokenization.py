"""What a tokenizer does around the ids: batches, padding, truncation, special tokens, files, and its errors."""

import json

import numpy as np
import pytest
import torch
from tokenizer_files import write_files, write_vocabulary

from transformers import AlbertTokenizerFast, AutoTokenizer, BertTokenizerFast, DataCollatorWithPadding
from transformers.data import default_data_collator
from transformers.utils.errors import CheckpointError, ConfigurationError

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "stone", "a", "river", "##s", "."]


@pytest.fixture
def tokenizer():
    return BertTokenizerFast({token: index for index, token in enumerate(VOCABULARY)}, model_max_length=16)


def test_a_pair_has_special_tokens_types_and_a_mask(tokenizer):
    batch = tokenizer("A red stone.", "rivers")
    assert batch["input_ids"] == [2, 7, 5, 6, 10, 3, 8, 9, 3]
    assert batch.token_type_ids == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert batch.attention_mask == [1] * 9 and next(iter(batch.keys())) == "input_ids"
    assert batch.tokens() == ["[CLS]", "a", "red", "stone", ".", "[SEP]", "river", "##s", "[SEP]"]
    assert batch.word_ids()[6:8] == [0, 0]


def test_tensors_have_the_batch_in_front(tokenizer):
    for kind, array in (("pt", torch.Tensor), ("np", np.ndarray)):
        batch = tokenizer(["a", "a red river"], padding=True, return_tensors=kind)
        assert isinstance(batch["input_ids"], array) and tuple(batch["input_ids"].shape) == (2, 5)
        assert batch["input_ids"].tolist()[0] == [2, 7, 3, 0, 0] and batch["attention_mask"].tolist()[0] == [
            1,
            1,
            1,
            0,
            0,
        ]
    assert tokenizer("a", return_tensors="pt").to("cpu")["input_ids"].dtype == torch.int64


def test_rows_of_several_lengths_do_not_become_a_tensor(tokenizer):
    with pytest.raises(ValueError, match="padding"):
        tokenizer(["a", "a red river"], return_tensors="pt")


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({"padding": True}, 5),
        ({"padding": "longest", "pad_to_multiple_of": 8}, 8),
        ({"padding": "max_length"}, 16),
        ({"padding": "max_length", "max_length": 9}, 9),
    ],
)
def test_padding(tokenizer, options, width):
    for side in ("right", "left"):
        tokenizer.padding_side = side
        ids = tokenizer(["a", "a red river"], **options)["input_ids"]
        padding = [0] * (width - 3)
        assert [len(row) for row in ids] == [width, width]
        assert ids[0] == ([2, 7, 3, *padding] if side == "right" else [*padding, 2, 7, 3])


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (True, [2, 5, 6, 3, 8, 7, 3]),
        ("longest_first", [2, 5, 6, 3, 8, 7, 3]),
        ("only_first", [2, 5, 3, 8, 7, 5, 3]),
        ("only_second", [2, 5, 6, 8, 3, 8, 3]),
    ],
)
def test_truncation_of_pairs(tokenizer, strategy, expected):
    assert tokenizer("red stone river", "river a red", truncation=strategy, max_length=7)["input_ids"] == expected


def test_decoding(tokenizer):
    ids = tokenizer("a red river.")["input_ids"]
    assert tokenizer.decode(ids) == "[CLS] a red river. [SEP]"
    assert tokenizer.batch_decode([ids], skip_special_tokens=True) == ["a red river."]
    assert tokenizer.convert_ids_to_tokens(ids)[1:3] == ["a", "red"]
    assert tokenizer.convert_tokens_to_ids("no such token") == tokenizer.unk_token_id == 1


def test_a_round_trip_through_files(tokenizer, tmp_path):
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is BertTokenizerFast and again.padding_side == "left" and again.model_max_length == 16
    assert again("A red stone", "rivers")["input_ids"] == tokenizer("A red stone", "rivers")["input_ids"]
    assert (tmp_path / "vocab.txt").read_text().split() == VOCABULARY


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({}, ["cafe", "x"]),
        ({"do_lower_case": False}, ["[UNK]", "x"]),
        ({"strip_accents": False}, ["café", "x"]),
    ],
)
def test_the_settings_of_a_folder_are_honoured(tmp_path, settings, tokens):
    vocabulary = "\n".join([*VOCABULARY[:5], "cafe", "café", "x"]) + "\n"
    write_files(
        tmp_path, {"vocab.txt": vocabulary, "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", **settings}}
    )
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("CAFÉ x") == tokens


def test_the_models_type_decides_where_no_class_is_named(tmp_path):
    write_vocabulary(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is BertTokenizerFast


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no tokenizer"),
        ({"config.json": {"model_type": "bert"}}, "vocab.txt"),
        ({"tokenizer.json": "{", "tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}}, "tokenizer.json"),
        ({"vocab.txt": "", "tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}}, "empty"),
        (
            {"spiece.model": b"\xff\xff", "tokenizer_config.json": {"tokenizer_class": "AlbertTokenizer"}},
            "spiece.model",
        ),
        ({"vocab.txt": "a\n", "tokenizer_config.json": "[1"}, "tokenizer_config.json"),
    ],
)
def test_a_folder_that_is_not_a_tokenizer_is_one_line(tmp_path, files, message):
    write_files(tmp_path, files)
    with pytest.raises(CheckpointError, match=message) as caught:
        AutoTokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_wrong_calls_say_what_is_expected(tokenizer):
    for wrong in (
        {"padding": "always"},
        {"truncation": "both"},
        {"return_tensors": "tf"},
        {"padding": "max_length", "max_length": -1},
    ):
        with pytest.raises(ValueError, match=r"expected|negative|at least"):
            tokenizer("a", **wrong)
    with pytest.raises((ValueError, TypeError)):
        tokenizer(3)
    for options in ({}, {"truncation": True, "max_length": 5}):
        for row in (("a", "red", "river"), ()):
            with pytest.raises(ConfigurationError, match=rf"a row of {len(row)} texts: expected one text or a pair"):
                tokenizer(["a", row], **options)
        with pytest.raises(ConfigurationError, match="text 1 is None of type NoneType: expected a string"):
            tokenizer(["a", None], **options)


def test_the_collator_pads_to_the_longest_row_and_renames_the_label(tokenizer):
    rows = [
        {"input_ids": [2, 5, 3], "token_type_ids": [0, 0, 1], "label": 1},
        {"input_ids": [2, 3], "token_type_ids": [0, 0], "label": 0},
    ]
    batch = DataCollatorWithPadding(tokenizer)(rows)
    assert batch["input_ids"].tolist() == [[2, 5, 3], [2, 3, 0]] and batch["attention_mask"].tolist() == [
        [1, 1, 1],
        [1, 1, 0],
    ]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]
    assert batch["labels"].tolist() == [1, 0] and batch["labels"].dtype == torch.int64 and "label" not in batch
    assert DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8)(rows)["input_ids"].shape == (2, 8)
    assert DataCollatorWithPadding(tokenizer, padding="max_length", max_length=6)(rows)["input_ids"].shape == (2, 6)
    assert isinstance(DataCollatorWithPadding(tokenizer, return_tensors="np")(rows)["labels"], np.ndarray)


def test_the_default_collator_makes_tensors_of_what_has_one_length():
    batch = default_data_collator(
        [{"input_ids": [1, 2], "label": 0.5, "name": "x"}, {"input_ids": [3, 4], "label": 1.0, "name": "y"}]
    )
    assert (
        batch["input_ids"].tolist() == [[1, 2], [3, 4]]
        and batch["labels"].dtype == torch.float32
        and "name" not in batch
    )
    with pytest.raises(ValueError, match="length"):
        default_data_collator([{"input_ids": [1, 2]}, {"input_ids": [3]}])


def test_albert_without_files_knows_its_special_tokens():
    tokenizer = AlbertTokenizerFast(
        vocab=[("<pad>", 0.0), ("<unk>", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[MASK]", 0.0), ("▁red", -1.0)]
    )
    assert tokenizer("Red red")["input_ids"] == [2, 5, 5, 3]

"""Tokenized splits: rows, padded batches, labels, and the order and size of what the tokenizer is given."""

import math

import numpy as np
import pytest
import torch

from glue.data import encoding
from glue.data.encoding import EncodedDataset, encode
from glue.data.labels import make_label_mapping
from glue.data.table import Table
from glue.data.tasks import GLUE_TASKS

WORDS = "a bb ccc dddd eeeee"
TEXTS = ["a bb ccc", "", "dddd", "eeeee a a a a a a a a", "bb"]


class WordTokenizer:
    """Tokenizes at spaces; a token's id is 10 plus its length. 1, 2 and 0 are [CLS], [SEP] and [PAD]."""

    pad_token_id = 0
    pad_token_type_id = 0

    def __init__(self, with_types=True, padding_side="right"):
        self.model_input_names = ["input_ids", *(["token_type_ids"] if with_types else []), "attention_mask"]
        self.padding_side = padding_side
        self.calls = []

    def __call__(self, text, text_pair=None, *, padding, truncation, max_length, return_token_type_ids, **options):
        assert padding is False and truncation is True and options == {"return_attention_mask": False}
        self.calls.append(len(text))
        ids, types = [], []
        for first, second in zip(text, text_pair or [None] * len(text), strict=True):
            left = [1, *(10 + len(word) for word in first.split()), 2]
            right = [] if second is None else [*(10 + len(word) for word in second.split()), 2]
            ids.append((left + right)[:max_length])
            types.append(([0] * len(left) + [1] * len(right))[:max_length])
        return {"input_ids": ids} | ({"token_type_ids": types} if return_token_type_ids else {})


def single(labels=(1, 0, 1, 0, 1)):
    return Table({"sentence": TEXTS, "label": list(labels)}, "test")


def pair():
    return Table({"sentence1": TEXTS, "sentence2": TEXTS[::-1], "label": [0, 1, 0, 1, 0]}, "test")


def test_rows_are_the_tokenizer_s_in_the_order_of_the_table():
    data = encode(pair(), GLUE_TASKS["mrpc"], WordTokenizer(), max_length=128)
    assert len(data) == 5
    assert data[0] == {
        "input_ids": [1, 11, 12, 13, 2, 12, 2],
        "token_type_ids": [0, 0, 0, 0, 0, 1, 1],
        "attention_mask": [1] * 7,
        "labels": 0,
    }
    assert data[1]["input_ids"] == [1, 2, *([15] + [11] * 8), 2]
    assert data[-1] == data[4]
    assert data.lengths.tolist() == [len(data[row]["input_ids"]) for row in range(5)] == [7, 12, 5, 12, 7]
    assert data.features["input_ids"].dtype == np.int32 and data.offsets.dtype == np.int64


def test_a_row_that_is_not_there_ends_an_iteration():
    data = encode(single(), GLUE_TASKS["cola"], WordTokenizer(), max_length=128)
    assert [row["labels"] for row in data] == [1, 0, 1, 0, 1]
    with pytest.raises(IndexError, match="row 5 of 5"):
        data[5]


def test_long_rows_are_cut():
    data = encode(single(), GLUE_TASKS["cola"], WordTokenizer(), max_length=4)
    assert data.lengths.tolist() == [4, 2, 3, 4, 3]


def test_token_types_only_where_the_tokenizer_has_them():
    data = encode(pair(), GLUE_TASKS["mrpc"], WordTokenizer(with_types=False), max_length=128)
    assert set(data[0]) == set(data.collate([0])) == {"input_ids", "attention_mask", "labels"}


@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_the_tokenizer_gets_large_batches(rows, monkeypatch):
    whole = encode(pair(), GLUE_TASKS["mrpc"], WordTokenizer(), max_length=128)
    monkeypatch.setattr(encoding, "_ROWS_AT_ONCE", rows)
    tokenizer = WordTokenizer()
    data = encode(pair(), GLUE_TASKS["mrpc"], tokenizer, max_length=128)
    assert tokenizer.calls == [rows] * (5 // rows) + ([5 % rows] if 5 % rows else [])
    assert [data[row] for row in range(5)] == [whole[row] for row in range(5)]


def test_texts_that_take_long_to_tokenize_show_a_bar(slow_clock, monkeypatch, capsys):
    monkeypatch.setattr(encoding, "_ROWS_AT_ONCE", 1)
    encode(pair(), GLUE_TASKS["mrpc"], WordTokenizer(), max_length=128)
    bar = capsys.readouterr().err
    assert "tokenizing: " in bar and "/5 [" in bar


def test_an_empty_table_gives_an_empty_dataset():
    data = encode(Table({"sentence": [], "label": []}), GLUE_TASKS["cola"], WordTokenizer(), max_length=8)
    assert len(data) == 0 and data.lengths.tolist() == []


# task, labels of the table, labels of the dataset
LABELS = [
    ("cola", [1, 0, 1, 0, 1], [1, 0, 1, 0, 1]),
    ("cola", [-1] * 5, None),
    ("cola", [-1, 0, 1, -1, 1], None),
]


@pytest.mark.parametrize(("task", "labels", "expected"), LABELS, ids=["all", "none", "some"])
def test_labels(task, labels, expected):
    data = encode(single(labels), GLUE_TASKS[task], WordTokenizer(), max_length=8)
    assert (None if data.labels is None else data.labels.tolist()) == expected
    assert ("labels" in data[0]) == ("labels" in data.collate([0])) == (expected is not None)


def test_scores_are_floats():
    table = Table({"sentence1": ["a", "b"], "sentence2": ["a", "b"], "label": [4.5, 0.0]})
    data = encode(table, GLUE_TASKS["stsb"], WordTokenizer(), max_length=8)
    assert data.labels.dtype == np.float32 and data[0]["labels"] == 4.5
    assert data.collate([0, 1])["labels"].dtype == torch.float32
    table.columns["label"] = [math.nan, 1.0]
    assert encode(table, GLUE_TASKS["stsb"], WordTokenizer(), max_length=8).labels is None


def test_a_mapping_gives_labels_the_model_s_ids():
    task = GLUE_TASKS["cola"]
    mapping = make_label_mapping(task, {"id2label": {"0": "acceptable", "1": "unacceptable"}})
    data = encode(single([1, 0, 1, 0, 1]), task, WordTokenizer(), max_length=8, mapping=mapping)
    assert data.labels.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("indices", [[0], [3, 1, 0], [1, 1], np.array([4, 2])], ids=str)
@pytest.mark.parametrize(("multiple", "to_max"), [(1, False), (8, False), (1, True)], ids=["longest", "8", "max"])
def test_a_batch_is_its_rows_padded(side, indices, multiple, to_max):
    data = encode(pair(), GLUE_TASKS["mrpc"], WordTokenizer(padding_side=side), 16, to_max, multiple)
    plain = encode(pair(), GLUE_TASKS["mrpc"], WordTokenizer(), 16)
    batch = data.collate(indices)
    longest = max(len(plain[int(row)]["input_ids"]) for row in indices)
    width = 16 if to_max else -(-longest // multiple) * multiple
    for place, row in enumerate(indices):
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            values = plain[int(row)][name]
            padding = [0] * (width - len(values))
            assert batch[name][place].tolist() == (padding + values if side == "left" else values + padding)
            assert not to_max or data[int(row)][name] == batch[name][place].tolist()
        assert batch["labels"][place] == plain[int(row)]["labels"]
    assert {name: tensor.dtype for name, tensor in batch.items()} == dict.fromkeys(batch, torch.int64)


def test_padding_is_the_tokenizer_s():
    tokenizer = WordTokenizer()
    tokenizer.pad_token_id, tokenizer.pad_token_type_id = 9, 3
    batch = encode(single(), GLUE_TASKS["cola"], tokenizer, 16).collate([1, 2])
    assert batch["input_ids"].tolist() == [[1, 2, 9], [1, 14, 2]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 3], [0, 0, 0]]


def test_a_loader_of_row_numbers_gives_the_batches_of_the_library_s_collator(tmp_path):
    from transformers import BertTokenizerFast, DataCollatorWithPadding

    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]))
    tokenizer = BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt"))
    data = encode(pair(), GLUE_TASKS["mrpc"], tokenizer, max_length=9)
    assert isinstance(data, EncodedDataset) and data.lengths.tolist() == [7, 9, 5, 9, 7]
    theirs = torch.utils.data.DataLoader(data, batch_size=2, collate_fn=DataCollatorWithPadding(tokenizer))
    ours = torch.utils.data.DataLoader(range(len(data)), batch_size=2, collate_fn=data.collate)
    for their_batch, our_batch in zip(theirs, ours, strict=True):
        assert set(their_batch) == set(our_batch)
        for name, tensor in our_batch.items():
            assert tensor.dtype == their_batch[name].dtype and torch.equal(tensor, their_batch[name])


def test_a_digest_stands_for_tokens_labels_and_names():
    task, mapping = GLUE_TASKS["cola"], make_label_mapping(GLUE_TASKS["cola"], {})

    def digest(table, length=8, mapping=mapping, **options):
        return encode(table, task, WordTokenizer(**options), length, mapping=mapping).digest()

    same = digest(single([0, 1, 0, 1, 1]))
    assert same == digest(single([0, 1, 0, 1, 1])) and len(same) == 32
    moved = Table({"sentence": ["a", "bb ccc", *TEXTS[1:4]], "label": [0, 1, 0, 1, 1]})
    renamed = make_label_mapping(task, {"id2label": {"0": "acceptable", "1": "unacceptable"}})
    others = [
        digest(single([1, 0, 1, 0, 0])),
        digest(single([0, 1, 0, 1, 1]), length=4),
        digest(single([0, 1, 0, 1, 1]), with_types=False),
        digest(single([1, 0, 1, 0, 0]), mapping=renamed),  # the same ids under other names
        digest(single()),
        digest(moved),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_a_padding_token_without_an_embedding_is_refused():
    from types import SimpleNamespace

    from glue.errors import UsageError
    from glue.training.setup import check_vocabulary

    tokenizer = SimpleNamespace(pad_token_id=9, convert_ids_to_tokens=lambda number: "[PAD]")
    with pytest.raises(UsageError, match=r"token '\[PAD\]' for padding has the id 9, but the model has 9"):
        check_vocabulary({}, tokenizer, 9)
    check_vocabulary({}, tokenizer, 10)
    check_vocabulary({}, SimpleNamespace(pad_token_id=None), 10)

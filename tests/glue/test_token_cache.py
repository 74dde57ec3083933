"""Tokenized splits on disk: found again for the same texts and tokenizer, for nothing else, and never damaged."""

import os

import numpy as np
import pytest
import runs

from glue.data import token_cache
from glue.data.encoding import encode
from glue.data.table import Table
from glue.data.tasks import GLUE_TASKS
from glue.data.token_cache import TokenCache
from transformers import AutoTokenizer

TASK = GLUE_TASKS["rte"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return AutoTokenizer.from_pretrained(runs.make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture
def cache(tmp_path):
    return TokenCache(tmp_path / "cache")


@pytest.fixture
def table():
    return make_table()


def make_table(**changes) -> Table:
    rng = np.random.default_rng(0)
    columns = {
        name: [" ".join(rng.choice(runs.WORDS, rng.integers(0, 30))) for _ in range(1000)]
        for name in ("sentence1", "sentence2")
    }
    columns["label"] = [row % 2 for row in range(1000)]
    return Table(columns | changes)


def files_of(cache: TokenCache) -> list:
    return sorted(cache.folder.glob("*"))


def assert_same(one, other):
    assert one.features.keys() == other.features.keys()
    for name, values in one.features.items():
        np.testing.assert_array_equal(values, other.features[name])
        assert values.dtype == other.features[name].dtype == np.int32
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_array_equal(one.labels, other.labels)


class Forbidden:
    """A tokenizer that may be asked what it is, and not to tokenize."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.__class__ = type(type(tokenizer).__name__, (Forbidden,), {})

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)

    def __call__(self, *args, **kwargs):
        raise AssertionError("tokenized again")


def test_the_second_time_nothing_is_tokenized(table, tokenizer, cache):
    fresh = encode(table, TASK, tokenizer, 16)
    first = encode(table, TASK, tokenizer, 16, cache=cache)
    assert len(files_of(cache)) == 1
    second = encode(table, TASK, Forbidden(tokenizer), 16, cache=cache)
    assert_same(first, fresh)
    assert_same(second, fresh)


def test_labels_are_not_kept(table, tokenizer, cache):
    encode(table, TASK, tokenizer, 16, cache=cache)
    other = Table(table.columns | {"label": [1] * 1000})
    assert encode(other, TASK, Forbidden(tokenizer), 16, cache=cache).labels.tolist() == [1] * 1000


def test_whatever_the_tokens_depend_on_gives_another_file(table, tokenizer, cache, tmp_path):
    encode(table, TASK, tokenizer, 16, cache=cache)
    texts = table.columns["sentence1"]
    moved = [texts[0] + (texts[1] + " ")[:1], (texts[1] + " ")[1:], *texts[2:]]  # the same letters, split elsewhere
    cased = AutoTokenizer.from_pretrained(tmp_path_with(tmp_path, tokenizer), do_lower_case=False)
    left = AutoTokenizer.from_pretrained(tmp_path / "tokenizer", truncation_side="left")
    swapped = Table({**table.columns, "sentence1": table.columns["sentence2"], "sentence2": texts})
    for number, (rows, tok, length) in enumerate(
        [
            (table, tokenizer, 17),
            (Table(table.columns | {"sentence1": moved}), tokenizer, 16),
            (swapped, tokenizer, 16),
            (table, cased, 16),
            (table, left, 16),
        ],
        start=2,
    ):
        kept = encode(rows, TASK, tok, length, cache=cache)
        assert len(files_of(cache)) == number
        assert_same(kept, encode(rows, TASK, tok, length))


def tmp_path_with(tmp_path, tokenizer):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    return tmp_path / "tokenizer"


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "text"])
def test_a_damaged_file_is_made_anew(table, tokenizer, cache, harm):
    encode(table, TASK, tokenizer, 16, cache=cache)
    (path,) = files_of(cache)
    content = path.read_bytes()
    harmed = {
        "cut": content[:-3],
        "flip": content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        "empty": b"",
        "text": b"not at all what it should be",
    }[harm]
    path.write_bytes(harmed)
    assert_same(encode(table, TASK, tokenizer, 16, cache=cache), encode(table, TASK, tokenizer, 16))
    assert files_of(cache) == [path] and len(path.read_bytes()) == len(content)


def test_a_folder_that_cannot_be_written_is_left_alone(table, tokenizer, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        assert len(encode(table, TASK, tokenizer, 16, cache=TokenCache(place))) == 1000
    assert len(encode(table, TASK, tokenizer, 16, cache=TokenCache(tmp_path / "other", writes=False))) == 1000
    assert not (tmp_path / "other").exists()


def test_what_was_not_used_for_longest_goes_first(table, tokenizer, cache, monkeypatch):
    encode(table, TASK, tokenizer, 16, cache=cache)
    (first,) = files_of(cache)
    monkeypatch.setattr(token_cache, "_LARGEST", int(2.5 * first.stat().st_size))
    encode(table, TASK, tokenizer, 15, cache=cache)
    (second,) = set(files_of(cache)) - {first}
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    encode(table, TASK, tokenizer, 16, cache=cache)  # used again
    encode(table, TASK, tokenizer, 14, cache=cache)
    assert len(files_of(cache)) == 2 and first in files_of(cache)


def test_small_splits_and_the_demo_are_not_kept(tokenizer, cache, tmp_path, monkeypatch):
    small = make_table().select(999)
    encode(small, TASK, tokenizer, 16, cache=cache)
    assert not cache.folder.exists()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert runs.run_here("--demo", "--max_train_steps", "1", "--no-do_eval", "--cpu") == 0
    assert not (tmp_path / "user").exists()


def test_a_run_finds_what_the_one_before_has_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    checkpoint, data = runs.make_checkpoint(tmp_path / "model"), runs.make_data(tmp_path / "glue", {"train": 1000})
    words = [*runs.words_for(checkpoint, data), "--max_train_steps", "1", "--no-do_eval"]
    kept = tmp_path / "user" / "contranorm" / "tokenized"
    assert runs.run_here(*words, "--token_cache", "none") == 0
    assert not (tmp_path / "user").exists()
    assert runs.run_here(*words) == 0
    (path,) = kept.iterdir()
    before = path.stat()
    os.utime(path, (1, 1))
    assert runs.run_here(*words) == 0
    after = path.stat()
    assert after.st_ino == before.st_ino and after.st_mtime > 1  # read, and not written again
    assert runs.run_here(*words, "--token_cache", tmp_path / "own") == 0
    assert [path.name for path in (tmp_path / "own").iterdir()] == [path.name]

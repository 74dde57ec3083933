"""Texts far longer than their row: the rows of the `tokenizers` library, without its memory."""

import random
import subprocess
import sys
from itertools import product

import pytest
from runs import ROOT
from tokenizer_files import write_vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import BertProcessing, TemplateProcessing

from transformers import BertTokenizerFast, PreTrainedTokenizerFast, tokenization_truncation

WORDS = ["red", "stone", "river", "a", "unheard-of"]
PROCESSORS = {
    "bert": BertProcessing(("[SEP]", 2), ("[CLS]", 1)),
    "template": TemplateProcessing(
        single="[CLS] $0 [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    ),
    "none": None,
}


@pytest.fixture(params=PROCESSORS)
def tokenizer(request):
    vocabulary = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS[:-1]]
    backend = Tokenizer(models.WordLevel({token: index for index, token in enumerate(vocabulary)}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = PROCESSORS[request.param]
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
def test_the_rows_are_those_of_the_library(tokenizer, strategy, side):
    """One text or two, each from empty to sixty times the row, in all respects that an encoding has."""
    draw = random.Random(0)
    lengths = (0, 1, 5, 6, 7, 11, 12, 13, 40, 700)
    texts = [" ".join(draw.choice(WORDS) for _ in range(length)) for length in lengths]
    width = 12
    # Cutting one text of a pair cannot make room where the other one fills the row.
    short = [text for text, length in zip(texts, lengths, strict=True) if length < 7]
    pairs = list(product(short if strategy == "only_second" else texts, short if strategy == "only_first" else texts))
    singles = [] if strategy == "only_second" else texts
    tokenizer.truncation_side = side
    settings = {"truncation": strategy, "max_length": width, "return_offsets_mapping": True}
    found = [tokenizer(singles, **settings)] if singles else []
    found.append(tokenizer([first for first, _ in pairs], [second for _, second in pairs], **settings))
    encodings = [encoding for part in found for encoding in part.encodings]
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(width, strategy=strategy, direction=side)
    expected = backend.encode_batch(singles) + backend.encode_batch(pairs)
    assert len(encodings) == len(expected) >= 40
    for ours, theirs in zip(encodings, expected, strict=True):
        for name in ("ids", "type_ids", "tokens", "offsets", "attention_mask", "special_tokens_mask", "word_ids"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.sequence_ids == theirs.sequence_ids


MEMORY = """
import resource
from transformers import BertTokenizerFast

tokenizer = BertTokenizerFast({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "red": 5})
tokenizer("red", truncation=True, max_length=128)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
text = "red " * LENGTH
row = tokenizer([text] * 4, [text] * 4, truncation=True, max_length=128)["input_ids"][3]
assert row == [2] + [5] * 62 + [3] + [5] * 63 + [3], row
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_grows_with_the_length_and_not_with_its_square():
    """Four pairs of texts of 5,000 tokens; the library alone takes two gigabytes for them."""
    command = [sys.executable, "-c", MEMORY.replace("LENGTH", "5_000")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100  # megabytes


BACKENDS = {
    "bert": lambda path: BertTokenizerFast.from_pretrained(write_vocabulary(path)),
    "words apart": lambda path: _word_level(pre_tokenizers.WhitespaceSplit()),
    "bytes": lambda path: _word_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "one word": lambda path: _word_level(None),
    "spaces kept": lambda path: _word_level(pre_tokenizers.Metaspace(split=False)),
}


def _word_level(pre_tokenizer):
    letters = {letter: index for index, letter in enumerate("?▁Ġ .abcdefghijklmnopqrstuvwxyz")}
    backend = Tokenizer(models.BPE(letters, [], unk_token="?"))
    backend.pre_tokenizer = pre_tokenizer
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?", pad_token="?")


@pytest.mark.parametrize(("name", "side"), [*((name, "right") for name in BACKENDS), ("bert", "left")])
def test_of_a_long_text_no_more_is_encoded_than_counts(name, side, tmp_path, monkeypatch):
    """Whatever stands where its beginning ends: the tokens and their places are those of the whole."""
    draw, tokenizer = random.Random(1), BACKENDS[name](tmp_path)
    tokenizer.truncation_side = side
    parts = [" ", "  ", "\n", ". ", " new york ", "-", "", " ."]
    texts = ["".join(draw.choice(WORDS) + draw.choice(parts) for _ in range(n)) for n in (3, 50, 60, 400)]
    texts += ["x" * 900, "a" + " " * 900 + "b", "\n" * 300 + "red stone " * 300, "-" * 700]
    rows = [*zip(texts), *product(texts, texts)]
    tokenizer.add_tokens(["new york"])
    settings = {"truncation": True, "max_length": 12}
    found = [tokenizer(*row, **settings).encodings[0] for row in rows]
    monkeypatch.setattr(tokenization_truncation, "_SHORT", 0)
    monkeypatch.setattr(tokenization_truncation, "_between_words", lambda backend: "")
    for row, ours in zip(rows, found, strict=True):
        whole = tokenizer(*row, **settings).encodings[0]
        for aspect in ("ids", "type_ids", "offsets", "word_ids", "attention_mask", "special_tokens_mask"):
            assert getattr(ours, aspect) == getattr(whole, aspect), (aspect, [text[:40] for text in row])


def test_a_text_of_megabytes_costs_what_its_row_costs(tmp_path):
    seen = []
    encode_batch = Tokenizer.encode_batch

    class Watched:
        def __init__(self, backend):
            object.__setattr__(self, "backend", backend)

        def __getattr__(self, attribute):
            return getattr(self.backend, attribute)

        def __setattr__(self, attribute, value):
            setattr(self.backend, attribute, value)

        def encode_batch(self, texts, *more):
            seen.extend(len(part) for text in texts for part in ([text] if isinstance(text, str) else text))
            return encode_batch(self.backend, texts, *more)

    tokenizer = BACKENDS["bert"](tmp_path)
    text = "the red house is not new. " * 400_000
    expected = tokenizer(text[:5000], truncation=True, max_length=128)["input_ids"]
    tokenizer._tokenizer = Watched(tokenizer._tokenizer)
    for row in ((text,), ("red", text), (text, "red")):
        ids = tokenizer(*row, truncation=True, max_length=128)["input_ids"]
        assert len(ids) == 128 and (len(row) > 1 or ids == expected)
    assert max(seen) <= 16 * 128

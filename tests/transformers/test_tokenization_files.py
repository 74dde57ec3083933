"""Tokenizer folders as others leave them: added tokens, nulls, huge numbers, files that mean harm."""

import json
import time

import pytest
from stock import requires_stock, run_stock
from tokenizer_files import SPECIAL, train_sentencepiece, write_files, write_vocabulary
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from transformers import AlbertTokenizerFast, AutoTokenizer, BertTokenizerFast, PreTrainedTokenizerFast
from transformers.utils.errors import CheckpointError, ConfigurationError

BERT = {"tokenizer_class": "BertTokenizer"}
ALBERT = {"tokenizer_class": "AlbertTokenizer"}
TEXTS = ["the (house) <ent> £5.0 a house5 x.(a) [MASK]", "the red house <rel>house", "", "new word <ent><ent>"]


@pytest.fixture
def folder(tmp_path):
    """A BERT tokenizer with a tokenizer.json and little else."""
    BertTokenizerFast.from_pretrained(write_vocabulary(tmp_path)).save_pretrained(tmp_path)
    for name in ("vocab.txt", "special_tokens_map.json"):
        (tmp_path / name).unlink()
    return write_files(tmp_path, {"tokenizer_config.json": BERT})


def test_added_tokens_count_beside_a_tokenizer_json(folder):
    """Those that the tokenizer.json has keep its flags."""
    size = len(AutoTokenizer.from_pretrained(folder))
    write_files(folder, {"added_tokens.json": {"house5": size + 1, "<ent>": size, "[MASK]": 4}})
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("HOUSE5 <ent> [MASK]", add_special_tokens=False)["input_ids"] == [size + 1, size, 4]
    assert tokenizer.added_tokens_decoder[4].special and not tokenizer.added_tokens_decoder[size].special


def test_thousands_of_added_tokens_load_in_linear_time(folder):
    """As the stock library saves them: in tokenizer.json, and in the list of tokenizer_config.json."""
    size, count = len(AutoTokenizer.from_pretrained(folder)), 8000
    tokens = {str(size + n): {"content": f"<extra {n}>", "special": True} for n in range(count)}
    write_files(folder, {"tokenizer_config.json": BERT | {"added_tokens_decoder": tokens}})
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    write_files(folder, {"tokenizer_config.json": BERT | {"added_tokens_decoder": tokens}})
    begin = time.process_time()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_tokens_to_ids("<extra 7999>") == size + 7999
    assert time.process_time() - begin < 5  # it was half a minute


@pytest.mark.parametrize("value", ["Infinity", "1e30", "1e400", str(10**40), "null"])
def test_a_length_without_limit(folder, value):
    write_files(
        folder, {"tokenizer_config.json": f'{{"tokenizer_class": "BertTokenizer", "model_max_length": {value}}}'}
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == int(1e30)
    assert len(tokenizer("a " * 600, truncation=True)["input_ids"]) == 602
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).model_max_length == int(1e30)


@pytest.mark.parametrize("value", ["NaN", "-1", "0", '"many"', '"512"', "[512]"])
def test_a_length_that_is_none_is_one_line(folder, value):
    write_files(
        folder, {"tokenizer_config.json": f'{{"tokenizer_class": "BertTokenizer", "model_max_length": {value}}}'}
    )
    with pytest.raises((CheckpointError, ConfigurationError)) as caught:
        AutoTokenizer.from_pretrained(folder)
    assert "model_max_length" in str(caught.value) and "expected a whole number" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_byte_order_marks_in_front_of_files_are_no_content(folder):
    plain = AutoTokenizer.from_pretrained(folder)("the red house")["input_ids"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text((folder / name).read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert AutoTokenizer.from_pretrained(folder)("the red house")["input_ids"] == plain


@pytest.mark.parametrize("role", ["cls_token", "sep_token"])
@pytest.mark.parametrize("name", ["BertTokenizer", "AlbertTokenizer", "RobertaTokenizer"])
def test_a_null_token_that_stands_at_every_text(tmp_path, name, role):
    kinds = {"BertTokenizer": write_vocabulary, "AlbertTokenizer": train_sentencepiece}
    if name in kinds:
        kinds[name](tmp_path)
    else:
        write_files(tmp_path, {"vocab.json": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}, "merges.txt": "#version\n"})
    write_files(tmp_path, {"tokenizer_config.json": {"tokenizer_class": name, role: None}})
    with pytest.raises(ConfigurationError, match=rf"{role} is null"):
        AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("part", ["pre_tokenizer", "normalizer"])
def test_a_regex_that_makes_the_library_panic(tmp_path, part, capfd):
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1}, "[UNK]"))
    endless = Regex(r"(x+x+)+y")
    if part == "normalizer":
        backend.normalizer = normalizers.Replace(endless, "")
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(endless, "isolated")
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for options in ({}, {"truncation": True, "max_length": 5}):
        with pytest.raises(CheckpointError, match=r"cannot do its work: Onig"):
            tokenizer("x" * 200, **options)
    assert tokenizer("a")["input_ids"] == [0]  # what is no trouble goes on
    write_files(tmp_path, {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": [3]}})
    with pytest.raises(CheckpointError, match=r"cannot load the tokenizer"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_an_interrupt_is_no_error_of_a_file(monkeypatch):
    tokenizer = BertTokenizerFast()

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("transformers.tokenization_utils_base.encode_truncated", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tokenizer("a", max_length=5)


def test_settings_without_effect_are_accepted_and_others_are_not(folder):
    AutoTokenizer.from_pretrained(folder, use_fast=False, from_slow=True, verbose=False, trust_remote_code=True)
    with pytest.raises(ConfigurationError, match=r"'do_lowercase' is no setting of BertTokenizerFast"):
        AutoTokenizer.from_pretrained(folder, do_lowercase=False)


def test_unknown_keys_of_a_folder_are_saved_again(folder, tmp_path):
    write_files(folder, {"tokenizer_config.json": BERT | {"never_split": ["x"], "do_lower_case": False}})
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.init_kwargs["never_split"] == ["x"] and tokenizer.init_kwargs["do_lower_case"] is False
    tokenizer.save_pretrained(tmp_path / "again")
    saved = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    assert saved["never_split"] == ["x"] and "name_or_path" not in saved


def test_a_vocabulary_with_gaps_goes_into_tokenizer_json_alone(tmp_path):
    tokenizer = BertTokenizerFast({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "red": 9})
    tokenizer.save_pretrained(tmp_path)
    assert not (tmp_path / "vocab.txt").exists()
    assert BertTokenizerFast.from_pretrained(tmp_path)("red")["input_ids"] == [2, 9, 3]


# --- the same as the stock library

STOCK = """
for name, folder in payload["folders"].items():
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    added = {str(i): [t.content, t.special, t.normalized] for i, t in tokenizer.added_tokens_decoder.items()}
    result[name] = [tokenizer(payload["texts"])["input_ids"], len(tokenizer), added]
"""


def make_folders(root):
    """Folders of old and new making, by what is particular about each."""
    config = "tokenizer_config.json"
    albert = {name: train_sentencepiece(root / name) for name in ("extra", "additional", "own", "later", "decoder")}
    write_files(albert["extra"], {config: ALBERT | {"extra_special_tokens": ["<ent>"]}})
    write_files(albert["additional"], {config: ALBERT | {"additional_special_tokens": ["<ent>", "<rel>"]}})
    write_files(albert["own"], {config: ALBERT | {"additional_special_tokens": ["(", "<ent>"]}})
    write_files(albert["later"], {config: ALBERT, "added_tokens.json": {"<ent>": 90, "house5": 89}})
    listed = {"0": {"content": "<pad>", "special": True}, "89": {"content": "<ent>", "special": True}}
    write_files(albert["decoder"], {config: ALBERT | {"added_tokens_decoder": listed}})
    bert = {name: write_vocabulary(root / name) for name in ("added", "flags")}
    for folder in bert.values():
        BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
        write_files(folder, {config: BERT})
    size = len(BertTokenizerFast.from_pretrained(bert["added"]))
    write_files(bert["added"], {"added_tokens.json": {"house5": size + 1, "<ent>": size, "[MASK]": 4}})
    flags = {"content": "<ent>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
    write_files(bert["flags"], {"special_tokens_map.json": {"mask_token": flags}})
    return albert | bert


@requires_stock
@pytest.mark.slow
def test_old_and_new_folders_give_the_stock_librarys_ids(tmp_path):
    folders = make_folders(tmp_path)
    for folder in folders.values():
        kind = "albert" if (folder / "spiece.model").exists() else "bert"
        write_files(folder, {"config.json": {"model_type": kind}})
    payload = {"folders": {name: str(folder) for name, folder in folders.items()}, "texts": TEXTS}
    answers = run_stock(STOCK, payload, tmp_path)
    for name, (ids, size, added) in answers.items():
        tokenizer = AutoTokenizer.from_pretrained(folders[name])
        ours = {str(i): [t.content, t.special, t.normalized] for i, t in tokenizer.added_tokens_decoder.items()}
        assert (tokenizer(TEXTS)["input_ids"], len(tokenizer), ours) == (ids, size, added), name


def test_a_list_of_extra_tokens_leaves_sentencepieces_own_pieces(tmp_path):
    """The pieces are those that sentencepiece cuts itself, symbols among them."""
    import sentencepiece

    folder = write_files(train_sentencepiece(tmp_path), {"tokenizer_config.json": ALBERT})
    own = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    tokenizer = AlbertTokenizerFast.from_pretrained(folder, additional_special_tokens=["<ent>"])
    for text in ("the (house) £5.0", "a red house. (the)", "house-bird"):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == own.encode(text)
    assert tokenizer("<ent>", add_special_tokens=False)["input_ids"] == [own.get_piece_size()]


def test_generic_files_need_no_class(tmp_path):
    backend = Tokenizer(models.WordLevel({token: n for n, token in enumerate((*SPECIAL, "red"))}, "[UNK]"))
    backend.enable_padding(direction="left", pad_token="[PAD]")
    backend.enable_truncation(3, direction="left")
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert type(tokenizer) is PreTrainedTokenizerFast and tokenizer.backend_tokenizer.truncation is None
    assert (tokenizer.padding_side, tokenizer.truncation_side, tokenizer.pad_token) == ("left", "left", "[PAD]")

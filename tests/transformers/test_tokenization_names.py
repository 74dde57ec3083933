"""The names that code written for the stock library uses, and what they give."""

import inspect

import pytest
from stock import requires_stock, run_stock
from tokenizer_files import train_byte_level_bpe, write_files, write_vocabulary
from tokenizers import AddedToken

from transformers import AutoTokenizer, BertTokenizerFast, DistilBertTokenizer, ElectraTokenizer, RobertaTokenizer
from transformers.utils.errors import CheckpointError, ConfigurationError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "stone", "a", "river", "##s", "."]


@pytest.fixture
def tokenizer():
    return BertTokenizerFast({token: index for index, token in enumerate(WORDS)}, model_max_length=16)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    folder = train_byte_level_bpe(tmp_path_factory.mktemp("roberta"))
    return RobertaTokenizer.from_pretrained(folder, model_max_length=16)


def test_encode_plus_and_batch_encode_plus(tokenizer):
    assert tokenizer.encode_plus("a", "red", return_tensors="np")["input_ids"].tolist() == [[2, 7, 3, 5, 3]]
    pairs = tokenizer.batch_encode_plus([("a", "red"), ("stone", "a")], padding=True)
    assert pairs["input_ids"] == [[2, 7, 3, 5, 3], [2, 6, 3, 7, 3]]


@pytest.mark.parametrize("kind", ["tokenizer", "roberta"])
def test_prepare_for_model_gives_what_a_call_gives(kind, request):
    tokenizer = request.getfixturevalue(kind)
    texts = [("a red river", None), ("a red stone", "rivers"), ("red " * 30, "a " * 9), ("", None)]
    options = {"return_token_type_ids": True, "return_special_tokens_mask": True}
    for call in ({}, {"truncation": True}, {"padding": "max_length", "truncation": "longest_first", "max_length": 11}):
        for first, second in texts:
            expected = tokenizer(first, second, verbose=False, **call, **options)
            ids = [tokenizer.encode(text, add_special_tokens=False) for text in (first, second or "")]
            found = tokenizer.prepare_for_model(ids[0], ids[1] if second else None, **call, **options, verbose=False)
            assert dict(found) == dict(expected)


@pytest.mark.parametrize("kind", ["tokenizer", "roberta"])
def test_special_tokens_around_ids(kind, request):
    tokenizer = request.getfixturevalue(kind)
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    between = [end] * (tokenizer.num_special_tokens_to_add(pair=True) - 2)
    assert tokenizer.build_inputs_with_special_tokens([5, 6]) == [start, 5, 6, end]
    assert tokenizer.build_inputs_with_special_tokens([5], [6]) == [start, 5, *between, 6, end]
    types = tokenizer.create_token_type_ids_from_sequences([5], [6])
    assert types == ([0, 0, 0, 1, 1] if kind == "tokenizer" else [0] * 6)
    assert tokenizer.get_special_tokens_mask([5], [6]) == [1, 0, *[1] * len(between), 0, 1]
    assert tokenizer.get_special_tokens_mask([start, 5, end], already_has_special_tokens=True) == [1, 0, 1]
    assert tokenizer.max_len_single_sentence == 14 and tokenizer.max_len_sentences_pair == 14 - len(between)


def test_added_tokens(tokenizer):
    assert tokenizer.add_tokens(["<ent>", "river"]) >= 1 and len(tokenizer) == 12
    assert tokenizer.add_tokens("<ent>") == 0
    assert tokenizer("a<ent>red", add_special_tokens=False)["input_ids"] == [7, 11, 5]
    assert tokenizer.add_special_tokens({"pad_token": "<p>", "additional_special_tokens": ["<x>", "<y>"]}) == 3
    assert (tokenizer.pad_token_id, tokenizer.extra_special_tokens) == (12, ["<x>", "<y>"])
    tokenizer.add_special_tokens({"extra_special_tokens": [AddedToken("<z>", lstrip=True)]}, False)
    assert tokenizer.additional_special_tokens == ["<x>", "<y>", "<z>"]
    assert tokenizer("red", padding="max_length", max_length=4)["input_ids"] == [2, 5, 3, 12]
    assert tokenizer.decode([2, 5, 13, 3], skip_special_tokens=True) == "red"
    with pytest.raises(ConfigurationError, match=r"'colour' is no role"):
        tokenizer.add_special_tokens({"colour": "red"})


def test_added_tokens_are_saved(tokenizer, tmp_path):
    tokenizer.add_tokens(["<ent>"])
    tokenizer.add_special_tokens({"mask_token": "<m>", "extra_special_tokens": ["<x>"]})
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab() and again.special_tokens_map == tokenizer.special_tokens_map
    assert (
        again.extra_special_tokens == ["<x>"] and again("<ent><x>")["input_ids"] == tokenizer("<ent><x>")["input_ids"]
    )


def test_vocabulary_and_roles(tokenizer):
    assert tokenizer.vocab == tokenizer.get_vocab() and tokenizer.vocab["red"] == 5 and tokenizer.vocab_size == 11
    assert tokenizer.added_tokens_encoder == tokenizer.get_added_vocab() == {w: i for i, w in enumerate(WORDS[:5])}
    tokenizer.pad_token_id = 10
    assert tokenizer.pad_token == "." and tokenizer.bos_token is None and tokenizer.bos_token_id is None
    with pytest.raises(ConfigurationError, match=r"pad_token 'no' is not in the vocabulary"):
        tokenizer.pad_token = "no"
    with pytest.raises(AttributeError, match="has no attribute 'colour'"):
        _ = tokenizer.colour
    assert tokenizer.is_fast and tokenizer.init_kwargs["do_lower_case"] is True and tokenizer.name_or_path == ""


def test_electra_and_distilbert_are_bert(tokenizer):
    ids = {token: index for index, token in enumerate(WORDS)}
    assert dict(ElectraTokenizer(ids)("a", "red")) == dict(tokenizer("a", "red"))
    assert list(DistilBertTokenizer(ids)("a")) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize("model_type", ["bert", "electra", "distilbert", "roberta"])
def test_the_kind_of_model_decides_and_is_saved(tmp_path, model_type):
    (train_byte_level_bpe if model_type == "roberta" else write_vocabulary)(tmp_path)
    write_files(tmp_path, {"config.json": {"model_type": model_type}})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert type(tokenizer).__name__.lower() == f"{model_type}tokenizerfast"
    tokenizer.save_pretrained(tmp_path / "saved")
    assert type(AutoTokenizer.from_pretrained(tmp_path / "saved")) is type(tokenizer)
    kept = {"vocab.json", "merges.txt"} if model_type == "roberta" else {"vocab.txt"}
    assert kept < {path.name for path in (tmp_path / "saved").iterdir()}
    for name in kept:
        assert (tmp_path / "saved" / name).read_text() == (tmp_path / name).read_text()


def test_a_vocabulary_without_a_class_or_a_model_is_recognised(tmp_path):
    assert type(AutoTokenizer.from_pretrained(write_vocabulary(tmp_path / "a"))) is BertTokenizerFast
    assert type(AutoTokenizer.from_pretrained(train_byte_level_bpe(tmp_path / "b"))) is RobertaTokenizer


def test_half_of_a_byte_level_bpe_is_one_line(tmp_path):
    folder = write_files(train_byte_level_bpe(tmp_path), {"config.json": {"model_type": "roberta"}})
    (folder / "merges.txt").unlink()
    with pytest.raises(CheckpointError, match=r"vocab.json and merges.txt"):
        AutoTokenizer.from_pretrained(folder)


def test_roberta(roberta):
    ids = roberta("a red house", "it's")["input_ids"]
    assert ids[0] == 0 and ids[-1] == 2 and ids.count(2) == 3
    assert roberta.decode(ids, skip_special_tokens=True) == "a red houseit's"
    assert list(roberta("a")) == ["input_ids", "attention_mask"]
    with_space = RobertaTokenizer(roberta.backend_tokenizer.get_vocab(), add_prefix_space=True)
    assert with_space.tokenize("a")[0] == "Ġ" and roberta.tokenize("a") == ["a"]
    assert RobertaTokenizer()("")["input_ids"] == [2, 3]


def test_words_and_characters_of_a_batch(tokenizer):
    batch = tokenizer(["a red river", "stone rivers."], ["red", "a"])
    assert batch.word_to_tokens(1, 1) == (2, 4) and batch.word_to_tokens(1, 0, sequence_index=1).start == 6
    assert batch.token_to_chars(1, 3).end == 12 and batch.token_to_chars(0) is None and batch.token_to_word(1, 3) == 1
    assert batch.char_to_token(1, 6) == 2 and batch.char_to_word(2) == 1 and batch.word_to_chars(1) == (2, 5)
    assert batch.token_to_sequence(0, -2) == 1 and batch.sequence_ids(0)[-2] == 1


SIGNATURES = """
for name in payload["names"]:
    import inspect
    function = getattr(transformers.BertTokenizer, name)
    result[name] = [parameter for parameter in inspect.signature(function).parameters]
"""


@requires_stock
@pytest.mark.slow
def test_arguments_have_the_stock_librarys_names(tmp_path):
    names = ["__call__", "pad", "decode", "add_tokens", "add_special_tokens", "convert_ids_to_tokens", "tokenize"]
    answers = run_stock(SIGNATURES, {"names": [*names, "get_special_tokens_mask"]}, tmp_path)
    for name, theirs in answers.items():
        ours = inspect.signature(getattr(BertTokenizerFast, name)).parameters
        unknown = set(ours) - set(theirs) - {"clean_up_tokenization_spaces"}
        assert not unknown, f"{name}: {unknown}"

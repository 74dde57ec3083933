"""Heads on every token: the stock library's checkpoints, logits and losses, tied weights, and what masking hides.

One stock process answers for all.
"""

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

import transformers
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertTokenizerFast,
    ConfigurationError,
    DataCollatorForLanguageModeling,
)

HEADS = ("MaskedLM", "TokenClassification", "QuestionAnswering")
CASES = [f"{model_type}-{head}" for model_type in tiny.MODELS for head in HEADS]
LENGTHS, WIDTH = [5, 3, 7], 7


def head(name, seed=0, **settings):
    model_type, ending = name.split("-")
    torch.manual_seed(seed)
    sizes = tiny.SIZES | tiny.SIZES_OF.get(model_type, {}) | {"initializer_range": 0.2}
    config = AutoConfig.for_model(model_type, **sizes | settings)
    return getattr(transformers, f"AutoModelFor{ending}").from_config(config).double().eval()


def batch(name):
    return tiny.ragged_batch(LENGTHS, WIDTH, name.split("-")[0])


def labels_of(name):
    if name.endswith("QuestionAnswering"):
        return {"start_positions": torch.tensor([9, 0, 2]), "end_positions": torch.tensor([2, 1, 6])}
    labels = torch.full((len(LENGTHS), WIDTH), -100)
    labels[0, 1], labels[1, 2], labels[2, 5] = 1, 0, 1
    return {"labels": labels}


ANSWERS = """
import torch
for name, case in payload["cases"].items():
    kind = getattr(transformers, "AutoModelFor" + name.split("-")[1])
    result[name] = {}
    for direction in ("ours", "theirs"):
        model = kind.from_pretrained(case["folder"], dtype=torch.float64, attn_implementation="eager").eval()
        if direction == "theirs":
            torch.manual_seed(5)
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=0.2)
            model.save_pretrained(case["folder"] + "-theirs")
        inputs = {key: torch.tensor(values) for key, values in case["inputs"].items()}
        labels = {key: torch.tensor(values) for key, values in case["labels"].items()}
        outputs = model(**inputs, **labels)
        logits = [value.tolist() for key, value in outputs.items() if key.endswith("logits")]
        whole = {key: value[2:] for key, value in (inputs | labels).items()}
        result[name][direction] = {"logits": logits, "loss": outputs.loss.item(), "whole": model(**whole).loss.item()}
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    cases = {}
    for name in CASES:
        head(name).save_pretrained(folder / name)
        inputs, labels = batch(name), labels_of(name)
        as_lists = [{key: tensor.tolist() for key, tensor in each.items()} for each in (inputs, labels)]
        cases[name] = {"folder": str(folder / name), "inputs": as_lists[0], "labels": as_lists[1]}
    return {"folder": folder, **run_stock(ANSWERS, {"cases": cases}, folder)}


@requires_stock
@pytest.mark.parametrize("direction", ["ours", "theirs"])
@pytest.mark.parametrize("name", CASES)
def test_same_checkpoint_same_logits_and_loss(answers, name, direction):
    folder = answers["folder"] / (name if direction == "ours" else f"{name}-theirs")
    kind = getattr(transformers, f"AutoModelFor{name.split('-')[1]}")
    model, info = kind.from_pretrained(folder, dtype=torch.float64, output_loading_info=True)
    assert not any(info.values())
    inputs, labels, expected = batch(name), labels_of(name), answers[name][direction]
    outputs = model(**inputs, **labels)
    real = inputs["attention_mask"].bool()
    found = [outputs[key] for key in outputs if key.endswith("logits")]
    for ours, theirs in zip(found, expected["logits"], strict=True):
        torch.testing.assert_close(ours[real], torch.tensor(theirs, dtype=torch.float64)[real], rtol=0, atol=1e-10)
    if "Question" not in name:  # there padding takes part in the stock library's softmax, and not in ours
        assert outputs.loss.item() == pytest.approx(expected["loss"], abs=1e-10)
    whole = {key: value[2:] for key, value in (inputs | labels).items()}
    assert model(**whole).loss.item() == pytest.approx(expected["whole"], abs=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_nothing_with_contranorm(name):
    model, inputs = head(name, pos="7", scale=0.3), batch(name)
    wide = tiny.ragged_batch(LENGTHS, WIDTH + 4, name.split("-")[0])
    labels = labels_of(name)
    labels_wide = {
        key: value if value.dim() == 1 else torch.nn.functional.pad(value, (0, 4), value=-100)
        for key, value in labels.items()
    }
    if name.endswith("QuestionAnswering"):
        for given in (labels, labels_wide):
            given["start_positions"] = torch.tensor([1, 0, 2])
    loss = model(**inputs, **labels).loss
    torch.testing.assert_close(model(**wide, **labels_wide).loss, loss, rtol=0, atol=1e-12)
    model.config.unpad_inputs = False
    torch.testing.assert_close(model(**wide, **labels_wide).loss, loss, rtol=0, atol=1e-12)
    assert len(model(**inputs, return_dict=False)) == (2 if "Question" in name else 1)


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_the_last_layer_has_the_word_embeddings(model_type, tmp_path):
    model = head(f"{model_type}-MaskedLM")
    words, decoder = model.get_input_embeddings(), model.get_output_embeddings()
    assert decoder.weight is words.weight and (words.weight[0] == 0).all() and (words.weight[1:] != 0).any()
    before = model(**batch(f"{model_type}-MaskedLM")).logits
    for size in (70, 61):
        model.resize_token_embeddings(size)
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
        logits = model(**batch(f"{model_type}-MaskedLM")).logits
        assert logits.shape[-1] == size == model.config.vocab_size
        torch.testing.assert_close(logits[..., :61], before)
    model.save_pretrained(tmp_path / "tied")
    again = AutoModelForMaskedLM.from_pretrained(tmp_path / "tied", dtype=torch.float64)
    torch.testing.assert_close(again(**batch(f"{model_type}-MaskedLM")).logits, before)
    untied = head(f"{model_type}-MaskedLM", tie_word_embeddings=False)
    assert untied.get_output_embeddings().weight is not untied.get_input_embeddings().weight
    untied.save_pretrained(tmp_path / "untied")
    again, info = AutoModelForMaskedLM.from_pretrained(tmp_path / "untied", output_loading_info=True)
    assert not any(info.values())
    torch.testing.assert_close(again.double().get_output_embeddings().weight, untied.get_output_embeddings().weight)


def test_logits_of_labelled_tokens_only():
    model, inputs, labels = head("bert-MaskedLM"), batch("bert-MaskedLM"), labels_of("bert-MaskedLM")["labels"]
    whole = model(**inputs, labels=labels)
    model.sparse_prediction = True
    sparse = model(**inputs, labels=labels)
    assert sparse.logits.shape == (3, 61)
    torch.testing.assert_close(sparse.loss, whole.loss)
    torch.testing.assert_close(sparse.logits, whole.logits[labels != -100])
    assert model(**inputs).logits.shape == (3, WIDTH, 61)


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_a_classifier_takes_the_encoder_of_a_language_model(model_type, tmp_path, library_log):
    model = head(f"{model_type}-MaskedLM", pos="7", scale=0.1)
    model.save_pretrained(tmp_path)
    classifier, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert classifier.config.contranorm_sites == model.config.contranorm_sites != ()
    assert not info["unexpected_keys"] and not info["mismatched_keys"]
    assert all(name.split(".")[0].endswith("classifier") or "pooler" in name for name in info["missing_keys"])
    for ours, theirs in zip(
        classifier.base_model.encoder.parameters(), model.base_model.encoder.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs.float())
    assert not any("not used" in line for line in library_log)


def test_a_span_has_two_ends():
    with pytest.raises(ConfigurationError, match="num_labels 3: a span"):
        head("bert-QuestionAnswering", num_labels=3)
    with pytest.raises(ConfigurationError, match="predicts no tokens"):
        tiny.model().set_output_embeddings(None)


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizerFast(
        {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(95))])}
    )


def test_masking_in_the_shares_of_bert(tokenizer):
    rows = [{"input_ids": [2, *[50] * 198, 3]}] * 100 + [{"input_ids": [2, 3]}]
    batch = DataCollatorForLanguageModeling(tokenizer, seed=1, pad_to_multiple_of=64)(rows)
    ids, labels = batch["input_ids"], batch["labels"]
    assert ids.shape == labels.shape == batch["attention_mask"].shape == (101, 256)
    chosen = labels != -100
    assert set(labels[chosen].tolist()) == {50} and chosen.sum() / 19800 == pytest.approx(0.15, abs=0.01)
    assert torch.equal(ids[:, 0], torch.full((101,), 2)) and not chosen[100].any() and not chosen[:, 199:].any()
    shares = [(ids[chosen] == token).double().mean().item() for token in (4, 50)]
    assert shares == pytest.approx([0.8, 0.1], abs=0.02) and ids[chosen].unique().numel() > 80
    assert torch.equal(ids[~chosen], torch.where(labels == -100, ids, 0)[~chosen])


def test_masking_draws_from_its_seed_or_from_torch(tokenizer):
    rows = [{"input_ids": [2, *range(5, 60), 3]}] * 3

    def draw(**settings):
        return DataCollatorForLanguageModeling(tokenizer, **settings)(rows)["input_ids"]

    assert torch.equal(draw(seed=3), draw(seed=3)) and not torch.equal(draw(seed=3), draw(seed=4))
    torch.manual_seed(0)
    first, second = draw(), draw()
    torch.manual_seed(0)
    assert torch.equal(draw(), first) and not torch.equal(first, second)
    assert type(DataCollatorForLanguageModeling(tokenizer, return_tensors="np")(rows)["labels"]).__name__ == "ndarray"


def test_one_token_is_hidden_where_there_is_one(tokenizer):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.0)
    assert (collator([[2, 3], [2, 7, 3]])["labels"] != -100).nonzero().tolist() == [[1, 1]]
    assert (collator([[2, 3]])["labels"] == -100).all()


def test_what_is_not_masked_here_is_refused(tokenizer):
    bare = BertTokenizerFast()
    bare.mask_token = None
    for given, match in (
        ({"mlm": False}, "mlm False"),
        ({"whole_word_mask": True}, "whole_word_mask True"),
        ({"mlm_probability": 1.5}, "mlm_probability 1.5"),
        ({"mask_replace_prob": 0.8, "random_replace_prob": 0.3}, "more than 1"),
        ({"tokenizer": bare}, "no mask_token"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            DataCollatorForLanguageModeling(**{"tokenizer": tokenizer, **given})

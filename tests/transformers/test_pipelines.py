"""`pipeline("text-classification")`: results in the stock library's form, with its scores."""

import pytest
import tiny
import torch
from stock import requires_stock, run_stock

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertTokenizerFast,
    ConfigurationError,
    pipeline,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
TEXTS = ["a b c", "d", "e f g h i j a b", ""]
PAIR = {"text": "a b", "text_pair": "c"}
VARIANTS = {
    "classes": {"id2label": {0: "bad", 1: "fair", 2: "good"}},
    "regression": {"num_labels": 1, "problem_type": "regression"},
    "one-label": {"num_labels": 1},
    "several-labels": {"num_labels": 3, "problem_type": "multi_label_classification"},
}
# Arguments of the pipeline, inputs, and arguments of the call.
CALLS = [
    ({}, TEXTS, {}),
    ({}, TEXTS[0], {}),
    ({}, PAIR, {}),
    ({}, [PAIR, "a"], {"batch_size": 2}),
    ({}, TEXTS, {"top_k": 2}),
    ({}, TEXTS[0], {"top_k": 1}),
    ({}, TEXTS[0], {"top_k": None}),
    ({"top_k": None}, TEXTS[0], {}),
    ({"top_k": None}, TEXTS[:2], {"batch_size": 4}),
    ({"function_to_apply": "none"}, TEXTS, {}),
    ({}, TEXTS, {"function_to_apply": "sigmoid", "top_k": 3}),
    ({"truncation": True, "max_length": 4}, TEXTS, {"padding": "max_length"}),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("classifiers")
    for name, settings in VARIANTS.items():
        torch.manual_seed(1)
        config = AutoConfig.for_model("bert", **tiny.SIZES, initializer_range=0.5, **settings)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(root / name)
        BertTokenizerFast({word: index for index, word in enumerate(WORDS)}).save_pretrained(root / name)
    return root


def rounded(results):
    if isinstance(results, list):
        return [rounded(result) for result in results]
    return {"label": results["label"], "score": pytest.approx(results["score"], abs=1e-5)}


CODE = """
from transformers import pipeline
for name in payload["variants"]:
    result[name] = []
    for given, inputs, call in payload["calls"]:
        classify = pipeline("text-classification", model=payload["root"] + "/" + name, **given)
        result[name].append(classify(inputs, **call))
"""


@requires_stock
def test_the_stock_library_gives_the_same_results(folders, tmp_path):
    theirs = run_stock(CODE, {"variants": [*VARIANTS], "calls": CALLS, "root": str(folders)}, tmp_path)
    for name in VARIANTS:
        for (given, inputs, call), expected in zip(CALLS, theirs[name], strict=True):
            found = pipeline("text-classification", model=folders / name, **given)(inputs, **call)
            assert found == rounded(expected), (name, given, inputs, call)


def test_models_tokenizers_devices_and_streams(folders):
    model = AutoModelForSequenceClassification.from_pretrained(folders / "classes")
    tokenizer = BertTokenizerFast.from_pretrained(folders / "classes")
    expected = pipeline(model=str(folders / "classes"))(TEXTS)
    for classify in (
        pipeline("sentiment-analysis", model=model),
        pipeline(model=model, tokenizer=tokenizer, device=-1, batch_size=1),
        pipeline(model=folders / "classes", tokenizer=str(folders / "one-label"), device="cpu", use_fast=False),
    ):
        assert classify(TEXTS) == rounded(expected)
    stream = classify(text for text in TEXTS)
    assert next(stream) == rounded(expected[0]) and list(stream) == rounded(expected[1:])
    assert classify([]) == []


def test_contranorm_is_on_and_a_batch_changes_nothing(folders, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(folders / "classes", pos="7", scale=0.5)
    classify = pipeline(model=model)
    alone, together = [classify(text)[0] for text in TEXTS], classify(TEXTS, batch_size=4)
    assert together == rounded(alone)
    assert together != rounded(pipeline(model=folders / "classes")(TEXTS))


def test_what_it_does_not_do_is_said(folders):
    for given, match in (
        ({"task": "fill-mask"}, "task 'fill-mask'"),
        ({"model": None}, "no model"),
        ({"model": AutoModel.from_pretrained(folders / "classes")}, "BertModel is no classifier"),
        ({"top_k": 0}, "top_k 0"),
        ({"function_to_apply": "relu"}, "function_to_apply 'relu'"),
        ({"return_all_scores": True}, "'return_all_scores' is neither"),
        ({"trust_remote_code": True, "use_auth_token": "x"}, "use_auth_token"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            pipeline(**{"model": folders / "classes", **given})
    for wrong in (["a", 3], {"txt": "a"}, [["a", "b"]]):
        with pytest.raises(ValueError, match="expected a text"):
            pipeline(model=folders / "classes")(wrong)

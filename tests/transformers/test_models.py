"""What a caller of the models may rely on: shapes, tuples, hidden states, embeddings as input, losses, modes,
errors.
"""

import pytest
import tiny
import torch
from torch.nn import functional as F

MODELS = pytest.mark.parametrize("model_type", tiny.MODELS)
WITHOUT_POOLER = ("electra", "distilbert")
BATCH = ([7, 3, 12], 14)


def batch(model_type: str = "bert") -> dict[str, torch.Tensor]:
    return tiny.ragged_batch(*BATCH, model_type)


@MODELS
def test_base_model_outputs(model_type):
    model = tiny.model(model_type, base_model=True, pos="7", scale=0.3)
    outputs = model(**batch(model_type), output_hidden_states=True, output_attentions=True)
    assert outputs.last_hidden_state.shape == (3, 14, 24)
    assert [tuple(state.shape) for state in outputs.hidden_states] == [(3, 14, 24)] * 4
    assert [tuple(attention.shape) for attention in outputs.attentions] == [(3, 3, 14, 14)] * 3
    assert torch.equal(outputs.hidden_states[-1], outputs.last_hidden_state)
    torch.testing.assert_close(outputs.attentions[0].sum(-1), torch.ones(3, 3, 14).double())
    assert not outputs.attentions[0][1, :, :, 3:].any()
    plain = model(**batch(model_type))
    torch.testing.assert_close(plain.last_hidden_state, outputs.last_hidden_state, rtol=0, atol=1e-12)
    if model_type in WITHOUT_POOLER:
        assert list(plain.keys()) == ["last_hidden_state"]
    else:
        assert list(plain.keys()) == ["last_hidden_state", "pooler_output"] and plain.pooler_output.shape == (3, 24)
        torch.testing.assert_close(plain.pooler_output, outputs.pooler_output, rtol=0, atol=1e-12)


@MODELS
def test_tuples(model_type):
    model = tiny.model(model_type, pos="7", scale=0.3)
    labels = torch.tensor([0, 1, 0])
    outputs = model(**batch(model_type), labels=labels)
    loss, logits = model(**batch(model_type), labels=labels, return_dict=False)
    assert (
        torch.equal(loss, outputs.loss) and torch.equal(logits, outputs["logits"]) and torch.equal(logits, outputs[1])
    )
    (only_logits,) = model(**batch(model_type), return_dict=False)
    assert torch.equal(only_logits, logits)
    base_model = tiny.model(model_type, base_model=True)
    shapes = [tuple(part.shape) for part in base_model(**batch(model_type), return_dict=False)]
    assert shapes == [(3, 14, 24), (3, 24)][: 1 if model_type in WITHOUT_POOLER else 2]


@MODELS
def test_evaluating_twice_gives_the_same(model_type):
    model = tiny.model(model_type, pos="17", scale=0.3)
    assert torch.equal(model(**batch(model_type)).logits, model(**batch(model_type)).logits)


@MODELS
def test_embeddings_as_input(model_type):
    model = tiny.model(model_type, pos="7", scale=0.3)
    inputs = batch(model_type)
    expected = model(**inputs).logits
    inputs["inputs_embeds"] = model.base_model.get_input_embeddings()(inputs.pop("input_ids"))
    torch.testing.assert_close(model(**inputs).logits, expected, rtol=0, atol=1e-12)


@MODELS
def test_position_ids(model_type):
    model, inputs = tiny.model(model_type), batch(model_type)
    counted = torch.arange(14)[None] + model.config.first_position
    assert torch.equal(model(**inputs, position_ids=counted).logits, model(**inputs).logits)
    assert torch.equal(model(**inputs, position_ids=counted.expand(3, -1)).logits, model(**inputs).logits)
    assert not torch.allclose(model(**inputs, position_ids=counted + 3).logits, model(**inputs).logits)


@pytest.mark.parametrize(
    ("num_labels", "problem_type", "labels", "loss"),
    [
        (3, None, torch.tensor([0, 2, 1]), lambda x, y: F.cross_entropy(x, y)),
        (1, None, torch.tensor([0.5, 2.0, -1.0]), lambda x, y: ((x[:, 0] - y) ** 2).mean()),
        (1, None, torch.tensor([1, 2, 3]), lambda x, y: ((x[:, 0] - y) ** 2).mean()),
        (3, "regression", torch.ones(3, 3), lambda x, y: ((x - y) ** 2).mean()),
        (2, None, torch.eye(3)[:, :2], lambda x, y: F.binary_cross_entropy_with_logits(x, y.double())),
        (
            2,
            "multi_label_classification",
            torch.eye(3)[:, :2],
            lambda x, y: F.binary_cross_entropy_with_logits(x, y.double()),
        ),
    ],
)
def test_losses(num_labels, problem_type, labels, loss):
    model = tiny.model(num_labels=num_labels, problem_type=problem_type)
    outputs = model(**batch(), labels=labels)
    torch.testing.assert_close(outputs.loss, loss(outputs.logits, labels).to(outputs.loss.dtype))


def test_regression_with_a_last_batch_of_one_row():
    outputs = tiny.model(num_labels=1)(**tiny.ragged_batch([5], 8), labels=torch.tensor([2.5]))
    assert outputs.loss.shape == () and outputs.logits.shape == (1, 1)


@MODELS
def test_gradient_checkpointing_changes_nothing_but_memory(model_type):
    results = []
    for checkpointing in (False, True):
        model = tiny.model(model_type, pos="7", scale=0.3).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        torch.manual_seed(3)
        outputs = model(**batch(model_type), labels=torch.tensor([0, 1, 0]))
        outputs.loss.backward()
        results.append((outputs.logits, {name: parameter.grad for name, parameter in model.named_parameters()}))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)


@MODELS
def test_dropout_acts_in_training_only(model_type):
    settings = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5, "classifier_dropout_prob": 0.0}
    model = tiny.model(model_type, pos="7", scale=0.3, classifier_dropout=0.0, **settings)
    expected = model(**batch(model_type)).logits
    model.train()
    torch.manual_seed(0)
    first = model(**batch(model_type)).logits
    again = model(**batch(model_type)).logits
    torch.manual_seed(0)
    assert torch.equal(model(**batch(model_type)).logits, first)
    assert not torch.allclose(first, again) and not torch.allclose(first, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@MODELS
def test_half_precision(model_type, dtype):
    model = tiny.model(model_type, pos="1237", scale=0.1)
    expected = model(**batch(model_type)).logits.float()
    with torch.autocast("cpu", dtype=dtype):
        mixed = model.float()(**batch(model_type)).logits
    half = model.to(dtype)(**batch(model_type)).logits
    torch.testing.assert_close(mixed.float(), expected, rtol=0.1, atol=0.1)
    torch.testing.assert_close(half.float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@MODELS
def test_compiled_model_gives_the_same(model_type):
    model = tiny.model(model_type, pos="7", scale=0.3, num_hidden_layers=2)
    expected = model(**batch(model_type)).logits
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(**batch(model_type)).logits, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input_ids or inputs_embeds"),
        ({"input_ids": torch.ones(1, 2).long(), "inputs_embeds": torch.ones(1, 2, 24)}, "exactly one"),
        ({"input_ids": torch.ones(2).long()}, r"\(2,\).*\(B, S\)"),
        ({"input_ids": torch.ones(1, 33).long()}, "33 tokens.*32 positions"),
        ({"input_ids": torch.ones(2, 4).long(), "attention_mask": torch.ones(2, 5)}, r"\(2, 5\).*\(2, 4\)"),
        ({"input_ids": torch.ones(2, 4).long(), "token_type_ids": torch.ones(3, 4).long()}, "token_type_ids"),
        ({"input_ids": torch.ones(2, 4).long(), "position_ids": torch.ones(2, 5).long()}, "position_ids"),
    ],
)
def test_wrong_inputs_are_named(inputs, message):
    with pytest.raises(ValueError, match=message):
        tiny.model()(**inputs)


def test_a_model_without_token_types_refuses_them():
    with pytest.raises(ValueError, match="DistilBertModel has no token types"):
        tiny.model("distilbert")(**tiny.ragged_batch(*BATCH))

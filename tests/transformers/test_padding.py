"""Padding-free execution is the same function: unpadded against padded, alone against batched, and what the layers
see.
"""

import pytest
import tiny
import torch

from transformers.padding import layout_of_module, packed_layout, padded_layout

MODELS = tiny.MODELS
DUAL_FORMS = pytest.mark.parametrize("use_v2", [False, True], ids=["v1", "v2"])


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@DUAL_FORMS
@pytest.mark.parametrize(("model_type", "pos"), tiny.MODELS_AT_POSITIONS)
@pytest.mark.parametrize("pattern", tiny.LENGTH_PATTERNS)
def test_unpadded_equals_padded(pattern, model_type, pos, use_v2):
    lengths, width = tiny.LENGTH_PATTERNS[pattern]
    batch = tiny.ragged_batch(lengths, width, model_type) | {"labels": torch.arange(len(lengths)) % 2}
    ours = tiny.model(model_type, pos=pos, scale=0.3, use_v2=use_v2)
    theirs = tiny.model(model_type, pos=pos, scale=0.3, use_v2=use_v2, unpad_inputs=False)
    results = [model(**batch, output_hidden_states=True) for model in (ours, theirs)]
    for result in results:
        result.loss.backward()

    torch.testing.assert_close(results[0].logits, results[1].logits, rtol=0, atol=1e-10)
    torch.testing.assert_close(results[0].loss, results[1].loss, rtol=0, atol=1e-10)
    torch.testing.assert_close(gradients(ours), gradients(theirs), rtol=0, atol=1e-10)
    real = batch["attention_mask"].bool()
    for state, other in zip(results[0].hidden_states, results[1].hidden_states, strict=True):
        torch.testing.assert_close(state[real], other[real], rtol=0, atol=1e-10)
        assert not state[~real].any() and not other[~real].any()


@DUAL_FORMS
@pytest.mark.parametrize(("model_type", "pos"), tiny.MODELS_AT_POSITIONS)
@pytest.mark.parametrize("unpad_inputs", [True, False], ids=["unpadded", "padded"])
def test_a_row_gives_the_same_logits_in_any_company(model_type, pos, use_v2, unpad_inputs):
    model = tiny.model(model_type, pos=pos, scale=0.3, use_v2=use_v2, unpad_inputs=unpad_inputs)
    batched = model(**tiny.ragged_batch([7, 3, 12, 5], 12, model_type)).logits
    wider = model(**tiny.ragged_batch([7, 3, 12, 5], 31, model_type)).logits
    torch.testing.assert_close(wider, batched, rtol=0, atol=1e-12)
    for row, length in enumerate([7, 3, 12, 5]):
        alone = {
            name: tensor[row : row + 1, :length]
            for name, tensor in tiny.ragged_batch([7, 3, 12, 5], 12, model_type).items()
        }
        torch.testing.assert_close(model(**alone).logits[0], batched[row], rtol=0, atol=1e-12)


@pytest.mark.parametrize("model_type", MODELS)
def test_include_lets_padding_take_part(model_type):
    """The released code's behaviour, which the default must not have: more padding, other logits."""
    model = tiny.model(model_type, pos="3", scale=0.3, contranorm_padding="include")
    narrow, wide = (model(**tiny.ragged_batch([7, 3], width, model_type)).logits for width in (7, 20))
    assert (narrow - wide).abs().max() > 1e-6


@pytest.mark.parametrize("model_type", MODELS)
def test_padding_may_stand_anywhere(model_type):
    """Holes and padding on the left: real tokens keep their positions, and the first real one is read, hooks or not."""
    model = tiny.model(model_type, pos="7", scale=0.3)
    ids = torch.tensor([[0, 0, 5, 6, 7], [8, 0, 9, 0, 10]])
    mask = (ids != 0).long()
    together = model(input_ids=ids, attention_mask=mask).logits
    padded = tiny.model(model_type, pos="7", scale=0.3, unpad_inputs=False)(input_ids=ids, attention_mask=mask).logits
    for row in range(2):
        columns = mask[row].nonzero().squeeze(-1)
        # RoBERTa counts real tokens, the others count places.
        positions = None if model_type == "roberta" else columns[None]
        alone = model(input_ids=ids[row, columns][None], position_ids=positions).logits[0]
        torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-12)
        torch.testing.assert_close(padded[row], alone, rtol=0, atol=1e-12)
    model.base_model.embeddings.register_forward_hook(lambda *_: None)
    torch.testing.assert_close(model(input_ids=ids, attention_mask=mask).logits, together, rtol=0, atol=1e-12)


def test_an_empty_row_does_not_change_the_others():
    model = tiny.model(pos="7", scale=0.3)
    with_empty = model(**tiny.ragged_batch([6, 0, 3], 6)).logits
    without = model(**{name: tensor[[0, 2]] for name, tensor in tiny.ragged_batch([6, 0, 3], 6).items()}).logits
    assert with_empty.isfinite().all()
    torch.testing.assert_close(with_empty[[0, 2]], without, rtol=0, atol=1e-12)


def test_a_batch_of_nothing_but_padding_is_finite():
    outputs = tiny.model(pos="7", scale=0.3)(**tiny.ragged_batch([0, 0], 5), output_hidden_states=True)
    assert outputs.logits.isfinite().all()
    assert not any(state.any() for state in outputs.hidden_states)


@pytest.mark.parametrize("mask_type", [torch.bool, torch.int32, torch.float32])
def test_the_mask_may_be_of_any_type(mask_type):
    batch = tiny.ragged_batch([7, 3], 9)
    expected = tiny.model(pos="7", scale=0.3)(**batch).logits
    batch["attention_mask"] = batch["attention_mask"].to(mask_type)
    assert torch.equal(tiny.model(pos="7", scale=0.3)(**batch).logits, expected)


@pytest.mark.parametrize("model_type", MODELS)
def test_linear_layers_see_real_tokens_only(model_type, monkeypatch):
    model = tiny.model(model_type, pos="7", scale=0.3)
    seen = tiny.watch_linears(monkeypatch)
    model.base_model(**tiny.ragged_batch([7, 3, 12, 5], 20, model_type))
    layers = {id(part) for layer in model.base_model.encoder.layers() for part in layer.modules()}
    assert {shape[:-1] for linear, shape in seen if id(linear) in layers} == {(7 + 3 + 12 + 5,)}


@DUAL_FORMS
@pytest.mark.parametrize(("model_type", "pos"), tiny.MODELS_AT_POSITIONS)
@pytest.mark.parametrize("unpad_inputs", [True, False], ids=["unpadded", "padded"])
def test_last_layer_computes_the_same_from_less(model_type, pos, use_v2, unpad_inputs):
    """Asking for hidden states makes the last layer compute every token; the logits are the same."""
    model = tiny.model(model_type, pos=pos, scale=0.3, use_v2=use_v2, unpad_inputs=unpad_inputs)
    batch = tiny.ragged_batch([7, 0, 12, 5], 14, model_type)
    whole = model(**batch, output_hidden_states=True).logits
    torch.testing.assert_close(model(**batch).logits, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("model_type", "pos", "rows"),
    [
        *(("bert", pos, 3) for pos in "012347"),
        *(("bert", pos, 22) for pos in ("5", "8", "6", "78")),
        *(("albert", pos, 3) for pos in "012345"),
        *(("albert", pos, 22) for pos in "678"),
        *(("distilbert", pos, 3) for pos in "012347"),
        *(("distilbert", pos, 22) for pos in ("5", "8", "6", "78")),
    ],
)
def test_last_layer_computes_only_what_is_read(model_type, pos, rows, monkeypatch):
    """Behind the last position that looks at whole sequences, only the first token of each row goes through the FFN."""
    model = tiny.model(model_type, pos=pos, scale=0.3)
    layer = model.base_model.encoder.layers()[-1]
    ffn = layer.get_submodule({"bert": "intermediate.dense", "albert": "ffn", "distilbert": "ffn.lin1"}[model_type])
    seen = tiny.watch_linears(monkeypatch)
    model(**tiny.ragged_batch([7, 3, 12], 20, model_type))
    assert [shape[0] for linear, shape in seen if linear is ffn][-1] == rows


def test_layout_groups_sequences_of_one_length():
    lengths, width = [4, 2, 4, 0, 1, 2], 6
    mask = tiny.ragged_batch(lengths, width)["attention_mask"]
    layout = packed_layout(len(lengths), width, mask)
    assert [(group.count, group.length, group.mask) for group in layout.groups] == [
        (1, 1, None),
        (2, 2, None),
        (2, 4, None),
    ]
    values = torch.arange(len(lengths) * width, dtype=torch.float64).view(-1, width, 1) + 1
    tokens = layout.flatten(values)
    assert tokens.shape == (sum(lengths), 1)
    torch.testing.assert_close(layout.restore(tokens), values * mask[..., None])
    torch.testing.assert_close(
        layout.select_first(tokens)[:, 0], values[:, 0, 0] * torch.tensor([1, 1, 1, 0, 1, 1.0]).double()
    )
    torch.testing.assert_close(layout.join(layout.split(tokens)), tokens)


def test_a_full_batch_needs_neither_mask_nor_indices():
    layout = packed_layout(3, 5, torch.ones(3, 5))
    assert layout.positions is None and layout.groups == padded_layout(3, 5).groups
    assert layout.groups[0].mask is None


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(2, 5\)"):
        layout_of_module(torch.ones(2, 5, 8), torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(2, 5\)"):
        tiny.model()(input_ids=torch.ones(2, 5, dtype=torch.long), attention_mask=torch.ones(2, 4))


def test_masks_of_the_stock_librarys_layers_are_read():
    real = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    added = torch.zeros(2, 1, 1, 3).masked_fill(~real[:, None, None], torch.finfo(torch.float32).min)
    for mask in (real, real.long(), real[:, None, None], added, added.expand(-1, -1, 3, -1)):
        assert layout_of_module(torch.ones(2, 3, 8), mask).groups[0].mask.equal(real)
    causal = torch.ones(1, 1, 3, 3).tril().bool()
    with pytest.raises(ValueError, match="other queries"):
        layout_of_module(torch.ones(1, 3, 8), causal)

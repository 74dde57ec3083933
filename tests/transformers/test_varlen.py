"""Packed tokens as a GPU has them: where each sequence begins is told to one kernel, which stands in for here."""

import inspect
from itertools import pairwise

import pytest
import tiny
import torch

from transformers import modeling_text
from transformers.kernels import attention, varlen
from transformers.methods import METHODS, find_method, knobs_of
from transformers.padding import packed_layout, varlen_layout

CPU = torch.device("cpu")


def plain_flash(
    query,
    key,
    value,
    cum_seq_q,
    cum_seq_k,
    max_q,
    max_k,
    dropout_p,
    is_causal,
    return_debug_mask,
    *,
    scale=None,
    window_size_left=None,
    window_size_right=None,
    seqused_k=None,
    alibi_slopes=None,
    block_table=None,
    num_splits=None,
):
    """Attention as it is defined, (T, H, K) each; checked like the kernel's own arguments are."""
    assert not is_causal and not return_debug_mask and dropout_p == 0.0
    assert cum_seq_q is cum_seq_k and cum_seq_q.dtype == torch.int32 and cum_seq_q.is_contiguous()
    bounds = cum_seq_q.tolist()
    lengths = [end - begin for begin, end in pairwise(bounds)]
    assert bounds[0] == 0 and bounds[-1] == len(query) and min(lengths) > 0 and max_q == max_k == max(lengths)
    parts = []
    for q, k, v in zip(*(x.transpose(0, 1).split(lengths, dim=1) for x in (query, key, value)), strict=True):
        parts.append((q @ k.mT * scale).softmax(-1) @ v)
    return torch.cat(parts, dim=1).transpose(0, 1), None, None, None, None


def plain_efficient(
    query,
    key,
    value,
    bias,
    cu_seqlens_q,
    cu_seqlens_k,
    max_seqlen_q,
    max_seqlen_k,
    dropout_p,
    custom_mask_type,
    compute_log_sumexp=False,
    *,
    scale=None,
    seqlen_k=None,
    window_size=None,
):
    """The same, of (1, T, H, K)."""
    assert bias is None and custom_mask_type == 0 and compute_log_sumexp == torch.is_grad_enabled()
    where = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
    result = plain_flash(query[0], key[0], value[0], *where, dropout_p, False, False, scale=scale)[0]
    return result[None], None, None, None, None, None


STAND_INS = {"flash": plain_flash, "efficient": plain_efficient}


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_is_called_as_the_kernel_is(name):
    """The names of all arguments, their order, and which of them go by keyword or may be left out."""
    kernel, stand_in = getattr(varlen, name), inspect.signature(STAND_INS[name])
    ours = [(x.name, x.kind is x.KEYWORD_ONLY, x.default is not x.empty) for x in stand_in.parameters.values()]
    assert ours == [(x.name, x.kwarg_only, x.has_default_value()) for x in kernel.default._schema.arguments]


@pytest.fixture(params=STAND_INS)
def calls(request, monkeypatch):
    """Models pack as on a GPU, with a stand-in for a kernel; the layouts and the bounds that it was given."""
    seen = {"layouts": [], "bounds": []}

    def lay_out(*words):
        seen["layouts"].append(varlen_layout(*words, CPU))
        return seen["layouts"][-1]

    def kernel(*tensors, **more):
        seen["bounds"].append(tensors[3 if request.param == "flash" else 4])
        return STAND_INS[request.param](*tensors, **more)

    monkeypatch.setattr(modeling_text, "packed_layout", lay_out)
    monkeypatch.setattr(varlen, request.param, kernel)
    monkeypatch.setattr(varlen, "has_flash", lambda _: request.param == "flash")
    monkeypatch.setattr(attention, "takes", lambda query, layout, heads: layout.cu_seqlens is not None)
    return seen


def results(model, batch):
    model.zero_grad()
    outputs = model(**batch, labels=torch.arange(len(batch["input_ids"])) % 2)
    outputs.loss.backward()
    return outputs.logits, {name: parameter.grad for name, parameter in model.named_parameters()}


def check(model, batch):
    """That logits and gradients are those of the CPU's own layout."""
    found = results(model, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_text, "packed_layout", packed_layout)
        expected = results(model, batch)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_a_model_is_the_same_function(calls, model_type):
    """At all positions, for V1 and V2; with rows of any length, of none, and where no row is padded."""
    for use_v2 in (False, True):
        model = tiny.model(model_type, pos="12345678", scale=0.3, use_v2=use_v2, num_hidden_layers=2)
        check(model, tiny.ragged_batch([7, 3, 0, 12, 1, 7], 14, model_type))
    check(tiny.model(model_type, pos="7", scale=0.3), tiny.ragged_batch([6, 6], 6, model_type))
    assert len(calls["bounds"]) == 2 * 2


def test_a_batch_without_any_real_token_is_padded(calls):
    check(tiny.model(pos="7", scale=0.3), tiny.ragged_batch([0, 0], 5))
    assert not calls["bounds"]


@pytest.mark.parametrize("calls", ["flash"], indirect=True)
@pytest.mark.parametrize("name", METHODS)
def test_methods_are_the_same_function(calls, name):
    """Those too that ask attention again, for which its probabilities are kept: on padded tokens."""
    knobs = {**find_method(name).defaults("bert"), **({"scale": 0.3} if "scale" in knobs_of(name) else {})}
    model = tiny.model(method=name, num_hidden_layers=2, **knobs)
    assert model.config.contranorm_sites
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if ".sites." in parameter_name:  # what is learned begins with the plain model
                parameter.copy_(torch.rand(parameter.shape, generator=generator))
    check(model, tiny.ragged_batch([7, 3, 0, 12, 5], 14))


def test_bounds_are_made_once_a_batch_for_all_layers(calls):
    model = tiny.model(pos="7", scale=0.3)
    for lengths in ([7, 3, 12, 5], [2, 9, 9, 1]):
        model(**tiny.ragged_batch(lengths, 14))
    assert len(calls["layouts"]) == 2 and len(calls["bounds"]) == 2 * model.config.num_hidden_layers
    assert {id(bounds) for bounds in calls["bounds"]} == {id(layout.cu_seqlens) for layout in calls["layouts"]}
    assert [layout.cu_seqlens.tolist() for layout in calls["layouts"]] == [[0, 3, 8, 15, 27], [0, 1, 3, 12, 21]]
    assert [layout.max_seqlen for layout in calls["layouts"]] == [12, 9]


def test_hidden_states_come_back_in_their_places(calls):
    model, batch = tiny.model(base_model=True, pos="7", scale=0.3), tiny.ragged_batch([7, 3, 0, 12], 14)
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states
        expected = tiny.model(base_model=True, pos="7", scale=0.3, unpad_inputs=False)(
            **batch, output_hidden_states=True
        )
    assert calls["bounds"]
    torch.testing.assert_close(states, expected.hidden_states, rtol=0, atol=1e-10)


def test_on_another_device_tokens_are_packed_only_if_that_is_asked_for(monkeypatch):
    """On the meta device, whose mask stands on the CPU; the kernel has one there, with a backward pass."""
    model, batch = tiny.model(pos="7", scale=0.3, attention_probs_dropout_prob=0.1).float().to("meta").train(), {}
    for name, tensor in tiny.ragged_batch([7, 3, 12, 5], 14).items():
        batch[name] = tensor if name == "attention_mask" else tensor.to("meta")
    layouts, lay_out = [], modeling_text.varlen_layout
    monkeypatch.setattr(modeling_text, "varlen_layout", lambda *words: layouts.append(lay_out(*words)) or layouts[-1])
    monkeypatch.setattr(attention, "takes", lambda query, layout, heads: layout.cu_seqlens is not None)
    monkeypatch.setattr(varlen, "has_flash", lambda _: True)
    model(**batch)
    assert not layouts
    model.base_model.pads = False
    model(**batch, labels=torch.zeros(4, dtype=torch.long, device="meta")).loss.backward()
    assert len(layouts) == 1 and layouts[0].cu_seqlens.device.type == "meta"
    assert all(parameter.grad.device.type == "meta" for parameter in model.parameters())


@pytest.mark.parametrize(
    ("dtype", "width", "heads", "expected"),
    [
        (torch.float32, 768, 12, True),
        (torch.bfloat16, 768, 12, True),
        (torch.float64, 768, 12, False),
        (torch.float32, 24, 6, False),
        (torch.float32, 1024, 2, False),
    ],
)
def test_what_the_kernels_take(dtype, width, heads, expected):
    layout = varlen_layout(2, 3, torch.tensor([[1, 1, 0], [1, 1, 1]]), CPU)
    query = torch.empty(5, width, dtype=dtype)
    assert varlen.takes(query, layout, heads) == expected
    assert not varlen.takes(query, packed_layout(2, 3), heads)

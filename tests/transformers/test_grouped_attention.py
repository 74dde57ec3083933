"""The kernels behind attention and ContraNorm agree with the formula, forwards and backwards; dropout is unbiased."""

import math

import pytest
import torch
from tiny import LENGTH_PATTERNS

from transformers.kernels import attention as kernels
from transformers.kernels.attention import attend, attend_visibly
from transformers.padding import packed_layout, padded_layout

HEADS, WIDTH, SCALE = 3, 12, 0.7


def make_batch(pattern, unpad):
    lengths, width = LENGTH_PATTERNS[pattern]
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    layout = (packed_layout if unpad else padded_layout)(len(lengths), width, mask)
    torch.manual_seed(0)
    flat = layout.flatten(torch.randn(*mask.shape, 3 * WIDTH, dtype=torch.float64))
    return layout, [part.contiguous().requires_grad_() for part in flat.chunk(3, dim=-1)]


def by_the_formula(query, key, value, layout):
    outputs = []
    for group, q, k, v in zip(layout.groups, *(layout.split(x) for x in (query, key, value)), strict=True):
        heads = [x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v)]
        scores = SCALE * heads[0] @ heads[1].transpose(-1, -2)
        if group.mask is not None:
            scores = scores.masked_fill(~group.mask[:, None, None, :], torch.finfo(scores.dtype).min)
        outputs.append((scores.softmax(-1) @ heads[2]).transpose(1, 2).flatten(2))
    return layout.join(outputs)


@pytest.mark.parametrize("pattern", LENGTH_PATTERNS)
@pytest.mark.parametrize("unpad", [True, False])
@pytest.mark.parametrize("kernel", ["own", "scaled_dot_product_attention", "visible"])
def test_every_kernel_computes_the_formula(kernel, unpad, pattern, monkeypatch):
    layout, tensors = make_batch(pattern, unpad)
    if kernel == "scaled_dot_product_attention":
        monkeypatch.setattr(kernels, "SHORT", 0)

    def function(*inputs):
        return attend_visibly(*inputs, lambda p: p)[0] if kernel == "visible" else attend(*inputs)

    # Where a whole row is padding, nothing that comes out has a meaning.
    real = torch.cat(
        [
            torch.ones(group.count * group.length, dtype=torch.bool) if group.mask is None else group.mask.flatten()
            for group in layout.groups
        ]
    )
    outputs = []
    for compute in (lambda: function(*tensors, layout, HEADS, SCALE), lambda: by_the_formula(*tensors, layout)):
        result = compute().flatten(0, -2)[real]
        gradients = torch.autograd.grad(result, tensors, torch.cos(result.detach()))
        outputs.append([result, *gradients])
    for ours, expected in zip(*outputs, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("dropout", "short", "grad", "own"),
    [
        (0.1, 512, True, True),
        (0.0, 512, True, True),
        (0.0, 5, True, False),
        (0.1, 5, True, True),
        (0.0, 512, False, False),
    ],
)
def test_which_kernel_runs(dropout, short, grad, own, monkeypatch):
    layout, tensors = make_batch("ragged", True)
    monkeypatch.setattr(kernels, "SHORT", short)
    calls = []
    original = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(kernels.F, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or original(*a, **k))
    with torch.set_grad_enabled(grad):
        attend(*tensors, layout, HEADS, SCALE, dropout)
    assert len(calls) == (0 if own else len(layout.groups))


@pytest.mark.slow
def test_the_gradient_with_dropout_is_that_of_the_same_mask(monkeypatch):
    layout, tensors = make_batch("ragged", True)

    def once(*inputs):
        torch.manual_seed(11)
        return attend(*inputs, layout, HEADS, SCALE, 0.4)

    assert torch.autograd.gradcheck(once, tensors)
    assert not torch.allclose(once(*tensors), attend(*tensors, layout, HEADS, SCALE))


@pytest.mark.parametrize("unpad", [True, False])
def test_the_gradient_has_a_gradient(unpad):
    layout, tensors = make_batch("ragged", unpad)
    found = []
    for function in (attend, lambda *words: attend_visibly(*words, lambda p: p)[0]):
        first = torch.autograd.grad(function(*tensors, layout, HEADS, SCALE).cos().sum(), tensors, create_graph=True)
        found.append([*first, *torch.autograd.grad(sum(x.sin().sum() for x in first), tensors)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


def test_dropout_keeps_the_mean_and_has_the_variance_of_a_dropped_probability():
    """With equal scores and values 1, a result is the mean of s kept-or-dropped terms over 1 - p."""
    length, p = 20, 0.3
    layout = packed_layout(500, length)
    ones = torch.ones(500 * length, 8, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(5)
    result = attend(torch.zeros_like(ones), ones, ones, layout, 4, 1.0, p)[:, ::2]
    deviation = math.sqrt(p / (1 - p) / length)
    assert result.mean().item() == pytest.approx(1, abs=4.5 * deviation / result.numel() ** 0.5)
    assert result.std().item() == pytest.approx(deviation, rel=0.02)


def test_half_precision_is_computed_in_single():
    layout, tensors = make_batch("ragged", True)
    halves = [tensor.detach().bfloat16().requires_grad_() for tensor in tensors]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = attend(*halves, layout, HEADS, SCALE)
    expected = by_the_formula(*(half.double() for half in halves), layout)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), expected, rtol=2**-8, atol=1e-6)
    result.float().sum().backward()
    assert all(half.grad.dtype == torch.bfloat16 for half in halves)

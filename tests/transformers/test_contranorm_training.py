"""The kernels of ContraNorm: the formula's result and gradient, and memory that grows linearly over long sequences."""

import pytest
import torch

from contranorm import ContraNorm, ContraNormV2
from transformers.contranorm import OverSequences
from transformers.kernels import attention
from transformers.kernels import contranorm as kernels
from transformers.kernels.contranorm import ContraNormKernel, LongContraNormKernel, OverFeaturesKernel
from transformers.padding import packed_layout, padded_layout

LENGTHS = (13, 4, 1, 4, 9)


def direct_mean(tokens, tau):
    lengths = tokens.norm(dim=-1, keepdim=True)
    n = (tokens / lengths.clamp_min(1e-12)).masked_fill(lengths < 1e-12, 0.0)
    return (n @ n.transpose(-2, -1) / tau).softmax(-1) @ tokens


def direct(tokens, mask, scale, tau, identity):
    """The real tokens of every sequence by the formula, at their places in (B, S, D)."""
    result = torch.zeros_like(tokens)
    for row, real in enumerate(mask):
        x = tokens[row, real]
        result[row, real] = (1 + scale * identity) * x - scale * direct_mean(x, tau)
    return result


def batch():
    torch.manual_seed(0)
    tokens = torch.randn(len(LENGTHS), max(LENGTHS), 6, dtype=torch.float64)
    tokens[1, 2] = 0.0
    return tokens, torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def in_a_model(layer, tokens, layout):
    return layout.restore(OverSequences(layer)(layout.flatten(tokens), layout=layout))


def result_and_gradient(function, tokens, mask):
    x = tokens.clone().requires_grad_()
    y = function(x).masked_fill(~mask[:, :, None], 0.0)
    (gradient,) = torch.autograd.grad(y, x, torch.cos(y.detach()))
    return y, gradient


def watch_kernels(monkeypatch):
    """A growing list of the kernels that are called."""
    called = []
    for kernel in (ContraNormKernel, LongContraNormKernel, OverFeaturesKernel):

        def counting(*words, kernel=kernel, original=kernel.compute):
            called.append(kernel)
            return original(*words)

        monkeypatch.setattr(kernel, "compute", counting)
    return called


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tau", [1.0, 0.2])
def test_the_form_over_features_has_result_and_gradient_of_its_formula(tau, masked, monkeypatch):
    tokens, mask = batch()
    layout = padded_layout(*mask.shape, mask) if masked else packed_layout(*mask.shape, mask)
    layer, called = ContraNormV2(0.4, tau), watch_kernels(monkeypatch)

    def dual_mean(x):
        lengths = x.norm(dim=-1, keepdim=True)
        n = (x / lengths.clamp_min(1e-12)).masked_fill(lengths < 1e-12, 0.0)
        return x @ (n.T @ n / tau).softmax(-1)

    def direct(tokens):
        result = torch.zeros_like(tokens)
        for row, real in enumerate(mask):
            result[row, real] = 1.4 * tokens[row, real] - 0.4 * dual_mean(tokens[row, real])
        return result

    ours = result_and_gradient(lambda x: in_a_model(layer, x, layout), tokens, mask)
    assert called[-1:] == [OverFeaturesKernel]
    for result, formula in zip(ours, result_and_gradient(direct, tokens, mask), strict=True):
        torch.testing.assert_close(result, formula, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("short", [20, 0])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tau", [1.0, 0.2])
@pytest.mark.parametrize("identity", [True, False])
def test_result_and_gradient_are_those_of_the_formula(identity, tau, masked, short, monkeypatch):
    tokens, mask = batch()
    for module in (kernels, attention):
        monkeypatch.setattr(module, "SHORT", short)
    called = watch_kernels(monkeypatch)
    layout = padded_layout(*mask.shape, mask) if masked else packed_layout(*mask.shape, mask)
    layer = ContraNorm(0.4, tau, identity)

    ours = result_and_gradient(lambda x: in_a_model(layer, x, layout), tokens, mask)
    expected = result_and_gradient(lambda x: direct(x, mask, 0.4, tau, identity), tokens, mask)
    for result, formula in zip(ours, expected, strict=True):
        torch.testing.assert_close(result, formula, rtol=1e-11, atol=1e-12)
    assert called[-1:] == [ContraNormKernel if short else LongContraNormKernel]


@pytest.mark.parametrize("layer", [ContraNorm, ContraNormV2])
def test_a_subclass_is_used_as_it_is_with_gradients_and_without(layer):
    class Halved(layer):
        def push(self, x, mean):
            return super().push(x, mean) / 2

    class Mean(layer):
        def weighted_mean(self, x, mask):
            return x * 3

    tokens, mask = batch()
    layout = packed_layout(*mask.shape, mask)
    flat = layout.flatten(tokens)
    plain = OverSequences(layer(0.3))(flat, layout=layout)
    for grad in (True, False):
        x = flat.clone().requires_grad_(grad)
        torch.testing.assert_close(OverSequences(Halved(0.3))(x, layout=layout), plain / 2, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(OverSequences(Mean(0.3))(x, layout=layout), 0.4 * flat, rtol=1e-12, atol=1e-12)


def test_a_layer_with_a_method_or_a_hook_of_its_own_is_used_as_it_is():
    x, layout = torch.randn(1, 4, 3), padded_layout(1, 4)
    layer = ContraNorm(0.3)
    layer.push = lambda tokens, mean: tokens
    assert OverSequences(layer)(x, layout=layout).equal(x)
    layer, seen = ContraNorm(0.3), []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    OverSequences(layer)(x, layout=layout)
    assert seen == [x.shape]


def test_a_changed_definition_is_what_counts(monkeypatch, library_log):
    """Whoever edits a formula in its file gets the edited formula, not the kernel of the old one."""
    monkeypatch.setattr(ContraNorm, "push", lambda self, x, mean: x + mean)
    tokens, mask = batch()
    layout = packed_layout(*mask.shape, mask)
    x = layout.flatten(tokens).requires_grad_()
    expected = layout.map_sequences(lambda block, _: block + ContraNorm(0.3).weighted_mean(block, None), x)
    torch.testing.assert_close(OverSequences(ContraNorm(0.3))(x, layout=layout), expected, rtol=1e-12, atol=1e-12)
    assert any("definition of ContraNorm has been changed" in line for line in library_log)


@pytest.mark.parametrize("short", [512, 0])
@pytest.mark.parametrize("layer", [ContraNorm(0.3, 0.5), ContraNorm(0.3, identity=False), ContraNormV2(0.3)])
def test_the_gradient_has_a_gradient(layer, short, monkeypatch):
    for module in (kernels, attention):
        monkeypatch.setattr(module, "SHORT", short)
    tokens, mask = batch()
    layout = packed_layout(2, 13, mask[:2])
    x = (layout.flatten(tokens[:2]) + 1).requires_grad_()
    found = []
    for function in (lambda: OverSequences(layer)(x, layout=layout), lambda: layout.map_sequences(layer, x)):
        (first,) = torch.autograd.grad(function().cos().sum(), x, create_graph=True)
        found.append([first, *torch.autograd.grad(first.sin().sum(), x)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("short", [0, 512])
def test_half_precision_works_in_single(short, monkeypatch):
    monkeypatch.setattr(kernels, "SHORT", short)
    torch.manual_seed(1)
    x = torch.randn(1, 30, 8).bfloat16().requires_grad_()
    y = OverSequences(ContraNorm(0.5))(x, layout=padded_layout(1, 30))
    y.float().sum().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16
    exact = x.detach().double()
    torch.testing.assert_close(y.double(), 1.5 * exact - 0.5 * direct_mean(exact, 1.0), rtol=2**-8, atol=1e-6)


@pytest.mark.slow
def test_at_4096_tokens_peak_memory_is_at_most_ten_times_the_tokens():
    x = torch.randn(1, 4096, 384, requires_grad=True)
    with torch.profiler.profile(profile_memory=True) as profile:
        OverSequences(ContraNorm(0.005))(x, layout=padded_layout(1, 4096)).sum().backward()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    assert 2 * x.nbytes <= peak <= 10 * x.nbytes, peak / x.nbytes

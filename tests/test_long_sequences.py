"""ContraNorm over long sequences: the formula's result and gradient, and memory that grows linearly."""

import pytest
import torch

from transformers import ContraNorm, long_sequences
from transformers.long_sequences import LinearMemoryContraNorm


def direct_mean(tokens, tau):
    lengths = tokens.norm(dim=-1, keepdim=True)
    n = (tokens / lengths.clamp_min(1e-12)).masked_fill(lengths < 1e-12, 0.0)
    return (n @ n.transpose(1, 2) / tau).softmax(-1) @ tokens


@pytest.mark.parametrize("at_once", [1, 40, 1 << 18])
@pytest.mark.parametrize("tau", [1.0, 0.2])
@pytest.mark.parametrize("identity", [True, False])
def test_result_and_gradient_are_those_of_the_formula(identity, at_once, tau, monkeypatch):
    monkeypatch.setattr(long_sequences, "_AT_ONCE", at_once)
    torch.manual_seed(0)
    tokens = torch.randn(2, 13, 6, dtype=torch.float64)
    tokens[1, 4] = 0.0
    results = []

    def direct(x, scale, tau, identity):
        return (1 + scale * identity) * x - scale * direct_mean(x, tau)

    for layer in (LinearMemoryContraNorm.apply, direct):
        x = tokens.clone().requires_grad_()
        y = layer(x, 0.4, tau, identity)
        (gradient,) = torch.autograd.grad(y, x, torch.cos(y.detach()))
        results.append((y, gradient))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


def test_the_layer_takes_it_for_long_sequences_in_training(monkeypatch):
    monkeypatch.setattr(long_sequences, "SHORT", 10)
    x = torch.randn(2, 13, 6, dtype=torch.float64, requires_grad=True)
    calls = []
    original = LinearMemoryContraNorm.apply
    monkeypatch.setattr(LinearMemoryContraNorm, "apply", lambda *words: calls.append(1) or original(*words))
    y = ContraNorm(0.3)(x)
    ContraNorm(0.3)(x.detach())
    assert len(calls) == 1
    torch.testing.assert_close(y, 1.3 * x - 0.3 * direct_mean(x, 1.0), rtol=1e-12, atol=1e-12)


def test_half_precision_works_in_single():
    torch.manual_seed(1)
    x = torch.randn(1, 30, 8).bfloat16().requires_grad_()
    y = LinearMemoryContraNorm.apply(x, 0.5, 1.0, True)
    y.float().sum().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16
    exact = x.detach().double()
    torch.testing.assert_close(y.double(), 1.5 * exact - 0.5 * direct_mean(exact, 1.0), rtol=2**-8, atol=1e-6)


@pytest.mark.slow
def test_at_4096_tokens_peak_memory_is_at_most_four_times_the_tokens():
    x = torch.randn(1, 4096, 384, requires_grad=True)
    with torch.profiler.profile(profile_memory=True) as profile:
        ContraNorm(0.005)(x).sum().backward()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    assert 2 * x.nbytes <= peak <= 4 * x.nbytes, peak / x.nbytes

"""Dropout on the CPU: the right share, mean and independence, from the seed, in training only, the same backwards."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from transformers.dropout import _CHUNK, Dropout, _random_words, keep_mask

TWO_64 = 2**64


def splitmix64(seed, index):
    """The published algorithm, in Python's integers."""
    z = (seed + index * 0x9E3779B97F4A7C15) % TWO_64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % TWO_64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % TWO_64
    return z ^ (z >> 31)


@pytest.mark.parametrize("seed", [0, 1234567, -1, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("begin", [0, 7, 10**12])
def test_the_random_words_are_splitmix64(seed, begin):
    words = _random_words(50, seed, begin)
    assert [int(word) % TWO_64 for word in words] == [splitmix64(seed, begin + i + 1) for i in range(50)]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 2**-16, 1 - 2**-16])
def test_the_share_that_is_kept(p):
    torch.manual_seed(1)
    count = 4_000_003
    keep, factor = keep_mask((count,), p)
    rate = round(p * 65536) / 65536
    deviation = (count * rate * (1 - rate)) ** 0.5
    assert abs((~keep).sum().item() - count * rate) < 4.5 * deviation
    assert factor == pytest.approx(1 / (1 - rate), rel=1e-12)


def test_what_is_kept_is_independent_of_its_neighbours_and_of_the_place_in_a_word_and_a_chunk():
    torch.manual_seed(2)
    keep = keep_mask((9 * _CHUNK,), 0.3)[0].double() - 0.7
    variance = 0.3 * 0.7
    for lag in (1, 2, 3, 4, 5, 8, 64, 384, 4 * _CHUNK):
        correlation = (keep[lag:] * keep[:-lag]).mean() / variance
        assert abs(correlation) < 4.5 / (len(keep) - lag) ** 0.5, lag
    for place in range(4):
        part = keep[place::4]
        assert abs(part.mean()) < 4.5 * (variance / len(part)) ** 0.5


def test_mean_and_variance_of_the_output():
    torch.manual_seed(3)
    x = torch.full((1000, 1000), 2.0)
    y = Dropout(0.1)(x)
    assert y.mean().item() == pytest.approx(2.0, abs=4.5 * 2 * (0.1 / 0.9 / 1e6) ** 0.5)
    assert y.var().item() == pytest.approx(4 * 0.1 / 0.9, rel=0.01)
    assert y.unique().tolist() == [0.0, pytest.approx(2 / (1 - 6554 / 65536))]


def test_the_seed_decides_and_calls_differ():
    x = torch.ones(64, 64)
    torch.manual_seed(4)
    first, second = Dropout(0.5)(x), Dropout(0.5)(x)
    state = torch.get_rng_state()
    third = Dropout(0.5)(x)
    torch.manual_seed(4)
    assert torch.equal(Dropout(0.5)(x), first) and not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(Dropout(0.5)(x), third)


def test_one_number_is_drawn_from_pytorch_however_large_the_tensor_is():
    after = []
    for size in (3, 10**6):
        torch.manual_seed(5)
        Dropout(0.1)(torch.ones(size))
        after.append(torch.rand(()).item())
    assert after[0] == after[1]


def test_evaluation_and_rate_zero_hand_the_input_on():
    x = torch.ones(8)
    state = torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(torch.get_rng_state(), state)


def test_rate_one_drops_everything():
    assert Dropout(1.0)(torch.ones(8)).count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_gradient_goes_through_the_same_mask(dtype):
    torch.manual_seed(6)
    x = torch.ones(50, 40, dtype=dtype, requires_grad=True)
    y = Dropout(0.25)(x)
    y.backward(torch.ones_like(y))
    assert y.dtype == dtype and torch.equal(x.grad, y)


def test_a_checkpointed_segment_draws_the_same_mask_again():
    torch.manual_seed(7)
    x, layer = torch.ones(50, 40, requires_grad=True), Dropout(0.25)
    y = checkpoint(layer, x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(x.grad, y)

"""What a step costs the host: no more operations than are promised, and few where there is no ContraNorm."""

import pytest
from stock import requires_stock

from benchmarks import host
from benchmarks.host import count, time_host


def test_a_step_of_twelve_layers_dispatches_no_more_than_730_operations():
    one, two = (count(num_hidden_layers=layers, pos="7", scale=0.005) for layers in (1, 2))
    assert one.total() + 11 * (two.total() - one.total()) <= 730
    assert (two - one)["aten.addmm.default"] == 4  # queries, keys and values are one
    plain = [count(num_hidden_layers=layers, pos="none").total() for layers in (1, 2)]
    assert plain[1] - plain[0] <= 36


def test_the_host_is_timed():
    assert 0 < time_host(2, num_hidden_layers=1, pos="7", scale=0.005) < 1000


@pytest.mark.slow
@requires_stock
def test_it_is_timed_beside_the_stock_library(monkeypatch):
    monkeypatch.setattr(host, "STEPS", 1)
    ours, stock, ratio = host.time_beside_stock(1, num_hidden_layers=1, pos="7", scale=0.005)
    assert ratio == ours / stock and 0.1 < ratio < 10

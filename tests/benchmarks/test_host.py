"""What a step costs the host: no more operations than are promised, and few where there is no ContraNorm."""

from benchmarks.host import count, time_host


def test_a_step_of_twelve_layers_dispatches_no_more_than_750_operations():
    one, two = (count(num_hidden_layers=layers, pos="7", scale=0.005) for layers in (1, 2))
    assert one.total() + 11 * (two.total() - one.total()) <= 750
    assert (two - one)["aten.addmm.default"] == 4  # queries, keys and values are one
    plain = [count(num_hidden_layers=layers, pos="none").total() for layers in (1, 2)]
    assert plain[1] - plain[0] <= 36


def test_the_host_is_timed():
    assert 0 < time_host(2, num_hidden_layers=1, pos="7", scale=0.005) < 1000

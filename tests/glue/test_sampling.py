"""The order of training: every row once an epoch, the same rows for any number of processes, and a start in the
middle.
"""

import dataclasses

import numpy as np
import pytest

from glue.training.sampling import TrainingOrder, evaluation_batches


def rows_of(updates) -> list[list[int]]:
    return [np.concatenate(update.micro_batches).tolist() for update in updates]


@pytest.mark.parametrize(("num_rows", "batch_size", "accumulation"), [(10, 2, 2), (8, 4, 1), (7, 3, 5), (1, 4, 2)])
def test_every_row_once_an_epoch(num_rows, batch_size, accumulation):
    order = TrainingOrder(num_rows, batch_size, accumulation, seed=3)
    updates = list(order.epoch(0))
    assert sorted(row for rows in rows_of(updates) for row in rows) == list(range(num_rows))
    assert len(updates) == order.updates_per_epoch
    assert [update.num_examples for update in updates] == [len(rows) for rows in rows_of(updates)]
    assert all(len(batch) == batch_size for update in updates[:-1] for batch in update.micro_batches)


def test_order_follows_from_seed_and_epoch():
    epochs = {
        (seed, epoch): rows_of(TrainingOrder(20, 4, seed=seed).epoch(epoch)) for seed in (1, 2) for epoch in (0, 1)
    }
    assert len({str(rows) for rows in epochs.values()}) == 4
    assert rows_of(TrainingOrder(20, 4, seed=1).epoch(1)) == epochs[1, 1]


def test_start_in_the_middle():
    order = TrainingOrder(22, 2, 3, seed=1)
    assert rows_of(order.epoch(2, start=2)) == rows_of(order.epoch(2))[2:]
    assert list(order.epoch(2, start=order.updates_per_epoch)) == []


@pytest.mark.parametrize("num_processes", [2, 3])
def test_processes_share_the_updates_of_one(num_processes):
    """The same rows in each update when the global batch is the same, uneven shares at the end included."""
    alone = TrainingOrder(25, 6, 2, seed=5)
    shares = [TrainingOrder(25, 6 // num_processes, 2, num_processes, index, seed=5) for index in range(num_processes)]
    for number, expected in enumerate(alone.epoch(0)):
        parts = [list(share.epoch(0))[number] for share in shares]
        assert {part.num_examples for part in parts} == {expected.num_examples}
        assert {len(part.micro_batches) for part in parts} == {len(expected.micro_batches)}
        for micro, rows in enumerate(expected.micro_batches):
            assert np.concatenate([part.micro_batches[micro] for part in parts]).tolist() == rows.tolist()


@pytest.mark.parametrize("num_processes", [1, 2])
def test_rows_of_similar_length_meet(num_processes):
    """Every row once, in an order that follows from seed and epoch, and that can be begun in the middle."""
    lengths = np.random.default_rng(0).integers(1, 129, 1003)
    plain = TrainingOrder(1003, 8 // num_processes, 1, num_processes, seed=4)
    grouped = dataclasses.replace(plain, lengths=lengths)
    rows = [update.rows for update in grouped.epoch(1)]
    assert sorted(np.concatenate(rows).tolist()) == list(range(1003)) and len(rows[-1]) == 1003 % 8
    assert [len(each) for each in rows] == [len(update.rows) for update in plain.epoch(1)]
    spread = [np.mean([np.ptp(lengths[u.rows]) for u in order.epoch(1)]) for order in (plain, grouped)]
    assert spread[1] < spread[0] / 10
    means = np.array([lengths[each].mean() for each in rows[:50]])
    assert (np.diff(means) < 0).mean() > 0.3  # not from short to long
    assert [u.rows.tolist() for u in grouped.epoch(1, start=60)] == [each.tolist() for each in rows[60:]]
    assert [u.rows.tolist() for u in grouped.epoch(2)] != [each.tolist() for each in rows]


@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_evaluation_covers_every_row_once_with_any_number_of_processes(num_processes):
    lengths = np.random.default_rng(0).integers(1, 50, 277)
    batches = [evaluation_batches(lengths, 32, num_processes, index) for index in range(num_processes)]
    together = [batch for share in batches for batch in share]
    assert sorted(np.concatenate(together).tolist()) == list(range(277))
    alone = {tuple(batch) for batch in evaluation_batches(lengths, 32)}
    assert {tuple(batch) for batch in together} == alone
    assert evaluation_batches(lengths[:0], 32) == []

"""Schedules, written out as numbers, and seeding."""

import math
import random

import numpy as np
import pytest
import torch
from stock import requires_stock, run_stock

from transformers import ConfigurationError, SchedulerType, get_scheduler, set_seed

STEPS, WARMUP, LR = 12, 4, 0.5


def rates(name, warmup=WARMUP, steps=STEPS, extra=None, count=STEPS + 3):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = get_scheduler(name, optimizer, warmup, steps, extra)
    found = []
    for _ in range(count):
        found.append(scheduler.get_last_lr()[0] / LR)
        optimizer.step()
        scheduler.step()
    return found


RISE = [0, 0.25, 0.5, 0.75]
PROGRESS = [step / 8 for step in range(8)]  # of the eight updates after the warm-up
EXPECTED = {
    "linear": [*RISE, *(1 - p for p in PROGRESS), 0, 0, 0],
    "cosine": [*RISE, *((1 + math.cos(math.pi * p)) / 2 for p in PROGRESS), 0, 0, 0],
    "cosine_with_restarts": [*RISE, *((1 + math.cos(math.pi * p)) / 2 for p in PROGRESS), 0, 0, 0],
    "polynomial": [*RISE, *((1 - 2e-7) * (1 - p) + 2e-7 for p in PROGRESS), *[2e-7] * 3],
    "constant": [1] * 15,
    "constant_with_warmup": [*RISE, *[1] * 11],
    "inverse_sqrt": [*RISE, *((1 + step / 4) ** -0.5 for step in range(11))],
    "warmup_stable_decay": [*RISE, *[1] * 2, *((1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)), 0, 0, 0],
}
EXTRA = {"warmup_stable_decay": {"num_decay_steps": 6}}  # what a schedule cannot do without


@pytest.mark.parametrize("kind", list(SchedulerType))
def test_schedules(kind):
    extra = EXTRA.get(kind.value)
    assert rates(kind, extra=extra) == pytest.approx(EXPECTED[kind.value], abs=1e-12)
    assert rates(kind.value, extra=extra) == rates(kind, extra=extra)


def test_arguments_of_single_schedules():
    squared = rates("polynomial", extra={"power": 2.0, "lr_end": 0.1})
    assert squared[4:13] == pytest.approx([0.8 * (1 - step / 8) ** 2 + 0.2 for step in range(9)])
    twice = rates("cosine_with_restarts", warmup=0, steps=8, extra={"num_cycles": 2})
    assert twice[0] == twice[4] == 1 and twice[2] == pytest.approx(0.5) and twice[8] == 0
    assert rates("cosine", warmup=0, steps=8, extra={"num_cycles": 1})[8] == pytest.approx(1)


@pytest.mark.parametrize("rate", [1e-7, 1e-8, 1e-30, 0.0])
def test_a_polynomial_below_the_usual_end_falls_to_zero(rate):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = get_scheduler("polynomial", optimizer, 0, 4)
    found = []
    for _ in range(5):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert found == pytest.approx([rate, 0.75 * rate, 0.5 * rate, 0.25 * rate, 0], abs=0)


def test_a_run_without_warm_up_starts_at_the_full_rate_and_ends_at_zero():
    linear = rates("linear", warmup=0, steps=10)
    assert linear[0] == 1 and linear[9] == pytest.approx(0.1) and linear[10:] == [0] * 5


def test_a_run_that_is_all_warm_up():
    assert rates("linear", warmup=3, steps=3, count=3) == pytest.approx([0, 1 / 3, 2 / 3])
    assert rates("linear", warmup=5, steps=3, count=4) == pytest.approx([0, 0.2, 0.4, 0.6])


def test_what_is_missing_or_unknown_is_named():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    with pytest.raises(ConfigurationError, match=r"'cubic' is no scheduler: expected one of linear, cosine"):
        get_scheduler("cubic", optimizer, 0, 1)
    with pytest.raises(ConfigurationError, match=r"linear needs num_warmup_steps"):
        get_scheduler("linear", optimizer)
    with pytest.raises(ConfigurationError, match=r"cosine needs num_training_steps"):
        get_scheduler("cosine", optimizer, 0)
    with pytest.raises(ConfigurationError, match=r"lr_end 1 is not below"):
        get_scheduler("polynomial", optimizer, 0, 1, {"lr_end": 1.0})
    get_scheduler("constant", optimizer)


def test_a_schedule_goes_on_where_its_state_was_saved():
    def make():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
        return optimizer, get_scheduler("cosine", optimizer, 2, 10)

    optimizer, scheduler = make()
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    again_optimizer, again = make()
    again_optimizer.load_state_dict(optimizer.state_dict())
    again.load_state_dict(scheduler.state_dict())
    for one, other in ((optimizer, scheduler), (again_optimizer, again)):
        one.step()
        other.step()
    assert again.get_last_lr() == scheduler.get_last_lr()


def test_set_seed_fixes_all_sources():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    set_seed(2021)
    first = draw()
    assert draw() != first
    set_seed(2021)
    assert draw() == first
    set_seed(2022)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


STOCK_RATES = """
import torch, transformers
result = {}
for name, warmup, extra in payload["runs"]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=payload["lr"])
    scheduler = transformers.get_scheduler(name, optimizer, warmup, payload["steps"], extra)
    found = result[f"{name} {warmup} {extra}"] = []
    for _ in range(payload["steps"] + 1):
        found.append(scheduler.get_last_lr()[0] / payload["lr"])
        optimizer.step()
        scheduler.step()
"""


@requires_stock
@pytest.mark.slow
def test_the_stock_library_has_the_same_rates(tmp_path):
    runs = [(kind.value, warmup, EXTRA.get(kind.value)) for kind in SchedulerType for warmup in (0, WARMUP)]
    for kind in ("linear", "cosine", "1-sqrt"):
        shape = {"num_decay_steps": 5, "warmup_type": kind, "decay_type": kind, "min_lr_ratio": 0.1}
        runs.append(("warmup_stable_decay", WARMUP, shape))
    runs.append(("inverse_sqrt", WARMUP, {"timescale": 7}))
    theirs = run_stock(STOCK_RATES, {"runs": runs, "lr": LR, "steps": STEPS}, tmp_path)
    for name, warmup, extra in runs:
        found = rates(name, warmup, extra=extra, count=STEPS + 1)
        assert found == pytest.approx(theirs[f"{name} {warmup} {extra}"], abs=1e-12)

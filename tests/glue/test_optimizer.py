"""The recipe's optimizer: what gets weight decay, AdamW's numbers, and the warm-up."""

import pytest
import tiny
import torch
from torch import nn

from glue.cli.arguments import RunArguments
from glue.training.optimizer import build_optimizer, build_schedule, parameter_groups


def arguments(**given) -> RunArguments:
    return RunArguments(task_name="rte", model_name_or_path="any/name", **given)


@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_weight_decay_leaves_out_biases_and_every_layer_norm(model_type):
    model = tiny.model(model_type)
    decayed, exempt = parameter_groups(model, 0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)] for p in exempt["params"]} == {
        name for name in names.values() if name.endswith("bias") or "norm" in name.lower()
    }
    assert len(decayed["params"]) + len(exempt["params"]) == len(names)
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.1, 0.0)
    if model_type == "albert":
        assert any("full_layer_layer_norm.weight" in names[id(p)] for p in exempt["params"])


def test_adamw_as_in_the_paper():
    defaults = build_optimizer(arguments(), tiny.model()).defaults
    assert (defaults["lr"], defaults["betas"], defaults["eps"]) == (2e-5, (0.9, 0.999), 1e-6)


@pytest.mark.parametrize(
    ("warmup", "first", "peak_at"), [({}, 2e-5, 0), ({"num_warmup_steps": 4}, 0.0, 4), ({"warmup_ratio": 0.4}, 0.0, 4)]
)
def test_schedule(warmup, first, peak_at):
    optimizer = torch.optim.AdamW(nn.Linear(1, 1).parameters(), lr=2e-5)
    schedule = build_schedule(arguments(**warmup), optimizer, 10)
    rates = []
    for _ in range(10):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(first) and rates[peak_at] == pytest.approx(2e-5)
    assert schedule.get_last_lr()[0] == pytest.approx(0.0)

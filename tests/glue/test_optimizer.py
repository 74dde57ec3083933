"""The recipe's optimizer: what gets weight decay, AdamW's numbers, and the warm-up."""

import copy

import golden
import pytest
import tiny
import torch
from torch import nn

from glue.cli.arguments import RunArguments
from glue.training.optimizer import build_optimizer, build_schedule, check_moments, parameter_groups
from transformers import AutoConfig, AutoModelForSequenceClassification


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


# ALBERT's with weight decay are no use: there it reaches a LayerNorm, which is not to be copied.
TRAJECTORIES = [
    pytest.param(case, id=f"{case['model']}-{case['mask']}-decay{case['weight_decay']}-{number}")
    for number, case in enumerate(golden.recorded("trajectory")["cases"])
    if case["model"] == "bert" or not case["weight_decay"]
]


def train_as_released(case, optim="adamw_hf"):
    """Twelve updates in float64 from the weights that the released code was given; returns losses, rates and model."""
    recorded = golden.recorded("trajectory")
    config = AutoConfig.for_model(case["model"], **case["config"], contranorm_padding="include")
    model = golden.filled(AutoModelForSequenceClassification.from_config(config).double().train())
    args = arguments(learning_rate=case["learning_rate"], weight_decay=case["weight_decay"], optim=optim)
    optimizer = build_optimizer(args, model)
    schedule = build_schedule(args, optimizer, recorded["updates"])
    losses, rates = [], []
    for ids, lengths, labels in zip(*(recorded[name] for name in ("input_ids", "lengths", "labels")), strict=True):
        ids = torch.tensor(ids)
        mask = torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]
        mask = torch.ones_like(ids) if case["mask"] == "ones" else mask.long()
        loss = model(input_ids=ids, attention_mask=mask, labels=torch.tensor(labels)).loss
        loss.backward()
        losses.append(loss.item())
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return losses, rates, model


@pytest.mark.parametrize("case", TRAJECTORIES)
def test_training_follows_the_released_code(case):
    losses, rates, model = train_as_released(case)
    assert losses == pytest.approx(case["loss"], rel=0, abs=1e-9)
    assert rates == pytest.approx(case["rate"], rel=1e-12)
    weights = {name: tensor for name, tensor in model.named_parameters() if name in case["final"]}
    assert weights.keys() == case["final"].keys() and len(weights) == len(list(model.parameters()))
    for name, tensor in weights.items():
        assert [tensor.sum().item(), tensor.norm().item()] == pytest.approx(case["final"][name], rel=0, abs=1e-9), name


def test_pytorchs_rule_is_another_one():
    (case,) = TRAJECTORIES[0].values
    assert train_as_released(case, "adamw_torch")[0] != pytest.approx(case["loss"], rel=0, abs=1e-4)


def test_the_count_of_updates_is_part_of_the_state():
    """Continued from its state, the optimizer makes the updates that it would have made."""
    weights = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    ours, theirs = (build_optimizer(arguments(weight_decay=0.1), nn.ParameterList([weight])) for weight in weights)
    for update in range(6):
        weights[0].grad = torch.tensor([1.0, -1e-6, 1e-3]) * (update + 1)
        ours.step()
        if update == 2:
            theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
            weights[1].data = weights[0].data.clone()
        elif update > 2:
            weights[1].grad = weights[0].grad.clone()
            theirs.step()
    assert torch.equal(*weights)
    assert [group["eps"] for group in ours.param_groups] == [1e-6, 1e-6]
    assert [group["weight_decay"] for group in ours.param_groups] == [0.1, 0.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp_avg": torch.zeros(2)},
        {"exp_avg_sq": torch.zeros(1).expand(3)},
        {"step": torch.zeros(0)},
        {"exp_avg": None},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_state_that_the_kernel_would_read_past_is_refused(wrong):
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = build_optimizer(arguments(), nn.ParameterList([weight]))
    check_moments(optimizer)  # before the first update there is none
    optimizer.step()
    check_moments(optimizer)
    state = optimizer.state_dict()
    state["state"][0].update(wrong)
    optimizer.load_state_dict({**state, "state": {0: {k: v for k, v in state["state"][0].items() if v is not None}}})
    with pytest.raises(ValueError, match="not one of this run"):
        check_moments(optimizer)


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


def test_what_a_method_learns_is_a_group_of_its_own():
    model = tiny.model(method="featscale", pos="3")
    learned = [p for name, p in model.named_parameters() if ".sites." in name]
    groups = parameter_groups(model, 0.1, 0.5)
    assert len(groups) == 3 and groups[2]["lr"] == 0.5 and groups[2]["weight_decay"] == 0.0
    assert {id(p) for p in groups[2]["params"]} == {id(p) for p in learned}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert "lr" not in parameter_groups(model, 0.1)[2] and len(parameter_groups(tiny.model(), 0.1)) == 2

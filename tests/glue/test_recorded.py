"""Updates that are recorded and replayed are those that would have been made: the rates, epsilon's growing weight, and
the batch are read at each replay.

A graph of the operations stands in for a CUDA graph: like that, it holds every number of the time of its recording.
"""

import copy
from types import SimpleNamespace

import pytest
import tiny
import torch
from test_execution import WIDTHS, make_dataset
from torch.fx.experimental.proxy_tensor import make_fx

import run_glue_no_trainer as script
from glue.cli.arguments import RunArguments
from glue.training.loss import batch_loss
from glue.training.optimizer import EpsilonFirstAdamW, build_optimizer, build_schedule
from glue.training.processes import join
from glue.training.recorded import RecordedUpdates

ROWS = ([0, 1, 2], [2, 0], [3, 1, 0], [2, 0])  # two shapes, each with a batch that is filled up


class Bag(torch.nn.Module):
    """A classifier on the mean of its words."""

    def __init__(self):
        super().__init__()
        self.words, self.norm, self.out = torch.nn.Embedding(61, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2)

    def forward(self, input_ids, attention_mask, token_type_ids):
        return SimpleNamespace(logits=self.out(self.norm((self.words(input_ids) * attention_mask[:, :, None]).mean(1))))


def setup_of(optim, kind="bag"):
    words = {"weight_decay": 0.1, "learning_rate": 0.01, "warmup_ratio": 0.5, "max_grad_norm": 0.5, "optim": optim}
    args = RunArguments(task_name="rte", model_name_or_path="any/name", **words)
    torch.manual_seed(0)
    if kind == "bag":
        model = Bag().double()
    else:
        model = tiny.model(pos="7", scale=0.3, num_hidden_layers=1)
        model.base_model.pads = True
    optimizer = build_optimizer(args, model)
    return args, model, optimizer, build_schedule(args, optimizer, 10)


def recorder(model, optimizer, count):
    """What records the operations of a function; as a CUDA graph does, without an effect."""

    def record(warm_up, function):
        warm_up()
        before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        graph = make_fx(function)()
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                tensor.copy_(before[0][name])
            for number, state in enumerate(optimizer.state.values()):
                for name, tensor in state.items():
                    tensor.copy_(before[1]["state"][number][name])
        count.append(graph)
        return torch.no_grad()(graph)

    return record


def updates(optim, is_recorded, kind):
    """Losses, norms and weights after some updates."""
    args, model, optimizer, schedule = setup_of(optim, kind)
    dataset, accelerator, graphs, rows = make_dataset(widths=WIDTHS), join(cpu=True), [], []

    def norm_of():
        return script.gradient_norm(accelerator, model, args.max_grad_norm)

    recorded = RecordedUpdates(
        lambda batch: batch_loss(model, batch, 0.1),
        norm_of,
        optimizer,
        torch.device("cpu"),
        recorder(model, optimizer, graphs),
    )
    for step in ROWS:
        batch = dataset.batch(step, 3)
        if is_recorded:
            loss, norm = recorded(batch)
        else:
            loss = batch_loss(model, batch, 0.1)
            loss.backward()
            norm = norm_of()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        schedule.step()
        rows.append([loss.item(), norm.item()])
    return rows, dict(model.named_parameters()), optimizer, graphs


@pytest.mark.parametrize(
    ("optim", "kind"),
    [("adamw_hf", "bag"), ("adamw_torch", "bag"), pytest.param("adamw_hf", "bert", marks=pytest.mark.slow)],
)
def test_replayed_updates_are_those_that_would_have_been_made(optim, kind):
    """With a schedule, clipping and weight decay, in float64; the rates themselves are in single precision."""
    expected, theirs, _, _ = updates(optim, False, kind)
    found, ours, optimizer, graphs = updates(optim, True, kind)
    assert len(graphs) == 2
    assert found == [pytest.approx(row, rel=1e-6) for row in expected]
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
    start = dict(setup_of(optim, kind)[1].named_parameters())
    assert max((ours[name] - start[name]).abs().max() for name in start) > 1e-3
    if optim == "adamw_hf":
        assert [group["updates"] for group in optimizer.param_groups] == [len(ROWS)] * 2


def test_a_number_that_is_held_fast_would_be_noticed(monkeypatch):
    """The rate of the recording in place of the one that was settled: the test above sees it."""
    update = EpsilonFirstAdamW.update
    held = lambda self, rates, closure=None: update(self, [(float(a), float(b)) for a, b in rates], closure)  # noqa: E731
    monkeypatch.setattr(EpsilonFirstAdamW, "update", held)
    with pytest.raises((AssertionError, RuntimeError)):
        test_replayed_updates_are_those_that_would_have_been_made("adamw_hf", "bag")


def test_a_recording_changes_nothing_by_itself():
    _, model, optimizer, _ = setup_of("adamw_hf")
    before = copy.deepcopy(model.state_dict())

    def record(warm_up, function):
        warm_up()
        return lambda: None

    recorded = RecordedUpdates(
        lambda batch: batch_loss(model, batch, 0.0),
        lambda: script.gradient_norm(join(cpu=True), model, None),
        optimizer,
        torch.device("cpu"),
        record,
    )
    recorded(make_dataset(widths=WIDTHS).batch(ROWS[0], 3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    moments = [state["exp_avg"] for state in optimizer.state.values()]
    assert moments and not any(moment.any() for moment in moments)

"""Compiled layers compute what they did, with gradient checkpointing too, all by one layer's code for each shape."""

import pytest
import tiny
import torch
from test_execution import WIDTHS, loss_and_gradients, make_dataset

from glue.training.execution import compile_layers


@pytest.fixture
def graphs():
    """How many graphs have been compiled since, so far."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield lambda: torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_type", "settings", "checkpointing"),
    [
        ("bert", {"pos": "7"}, False),
        ("bert", {"pos": "17", "use_v2": True}, True),
        ("albert", {"pos": "4"}, True),
    ],
    ids=str,
)
def test_compiled_layers_are_the_same_function(model_type, settings, checkpointing, graphs):
    """Two shapes, four layers: compiled are a layer and the last one, for each shape."""
    model = tiny.model(model_type, scale=0.3, num_hidden_layers=4, **settings).train()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    model.base_model.pads = True
    dataset = make_dataset(widths=WIDTHS, model_type=model_type)
    batches = ([0, 2], [1, 3])
    expected = [loss_and_gradients(model, dataset, rows, 2) for rows in batches]
    if checkpointing:
        model.gradient_checkpointing_enable()
    compile_layers(model, dynamic=False, backend="aot_eager")
    found = [loss_and_gradients(model, dataset, rows, 2) for rows in batches]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert graphs() == 2 * len(batches)
    for rows in batches:
        loss_and_gradients(model, dataset, rows, 2)
    assert graphs() == 2 * len(batches)  # and nothing is compiled again

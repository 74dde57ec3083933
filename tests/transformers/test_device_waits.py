"""A training step never waits for the device: what the host needs to know of a batch it knows from the batch's mask."""

import sys
from collections import Counter

import pytest
import runs
import tiny
import torch

from transformers.padding import packed_layout

FETCHES = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")


@pytest.mark.parametrize("pattern", tiny.LENGTH_PATTERNS)
@pytest.mark.parametrize("use_v2", [False, True], ids=["v1", "v2"])
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_forward_and_backward_fetch_nothing_from_the_device(model_type, use_v2, pattern):
    """On the meta device, whose tensors have no values; the mask may be there, or on the CPU."""
    settings = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    model = tiny.model(model_type, pos="7", scale=0.3, use_v2=use_v2, **settings).float().to("meta").train()
    batch = tiny.ragged_batch(*tiny.LENGTH_PATTERNS[pattern], model_type)
    on_device = {name: tensor.to("meta") for name, tensor in batch.items()}
    labels = torch.zeros(len(batch["input_ids"]), dtype=torch.long, device="meta")
    for mask in (batch["attention_mask"], on_device["attention_mask"]):
        model(**{**on_device, "attention_mask": mask}, labels=labels).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_value_that_is_fetched_would_be_noticed():
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        packed_layout(2, 5, torch.ones(2, 5, device="meta"))


def test_losses_are_fetched_once_in_logging_steps(tmp_path, monkeypatch):
    """Who asks tensors for their values in 8 updates: what a run of 16 asks more than one of 8."""
    checkpoint, data = runs.make_checkpoint(tmp_path / "checkpoint"), runs.make_data(tmp_path / "glue")
    asked = Counter()

    def counting(name):
        original = getattr(torch.Tensor, name)

        def fetch(tensor, *args, **kwargs):
            asked[sys._getframe(1).f_code.co_name] += 1
            return original(tensor, *args, **kwargs)

        return fetch

    for name in FETCHES:
        monkeypatch.setattr(torch.Tensor, name, counting(name))
    words = [*runs.words_for(checkpoint, data), "--per_device_train_batch_size", "4", "--logging_steps", "4"]
    words += ["--no-do_eval"]
    assert runs.run_here(*words, "--max_train_steps", "8") == 0
    few = asked.copy()
    asked.clear()
    assert runs.run_here(*words, "--max_train_steps", "16") == 0
    more = asked - few
    assert more.pop("flush") == 4  # losses and gradient norms, each twice
    # These are the CPU's own: it reads the layout from a mask that is there, draws its dropout masks itself, and sees
    # each loss at once. On a GPU `_watch` looks at the loss of the step before, which has arrived by then.
    assert more == {"packed_layout": 2 * 8, "keep_mask": more["keep_mask"], "_watch": 8}

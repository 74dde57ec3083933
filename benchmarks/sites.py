"""What methods cost in a training step of this library: every position, or every method, takes its turn at a batch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

import run_glue_no_trainer as script
from glue.training.model import build_config, open_checkpoint
from glue.training.optimizer import build_optimizer
from glue.training.sampling import Update
from glue.training.setup import set_up
from transformers import AutoModelForSequenceClassification
from transformers.contranorm import LearnedMethod, MethodSites, unchanged
from transformers.methods import METHODS

from .ours import SCALE, run_arguments

PLAIN = "scale 0"
WITHOUT_LAYER = "pos 7, layer left out"


def variants(model_type: str) -> dict[str, dict[str, Any]]:
    """Return the settings to compare by their names: the plain model, every position, and V2 where there is one.

    In `WITHOUT_LAYER` the model hands tokens on in place of ContraNorm. What remains of the cost at pos 7 is that the
    last layer computes all tokens up to there, not the first ones alone.
    """
    settings: dict[str, dict[str, Any]] = {PLAIN: {"pos": "7", "scale": 0.0}}
    settings |= {f"pos {digit}": {"pos": digit, "scale": SCALE} for digit in "12345678"}
    settings[WITHOUT_LAYER] = settings["pos 7"]
    if model_type == "bert":
        settings["pos 7, V2"] = {"pos": "7", "scale": SCALE, "use_v2": True}
    return settings


def method_variants() -> dict[str, dict[str, Any]]:
    """Return the plain model and every method by their names, each with its defaults at its own position."""
    return {PLAIN: {"pos": "7", "scale": 0.0}, **{name: {"method": name} for name in METHODS}}


class Sites:
    """One model in all variants, with one set of weights; what a method learns is its own, and is not updated."""

    def open(self, of_methods: bool = False, **case: Any) -> dict[str, Any]:
        """Set up a run at scale 0 (`case` as for `Ours.open`) and a model for each variant; returns "variants"."""
        plain = run_arguments("fp32", case, pos="7", scale=0.0)
        self.args, self.setup = plain, set_up(plain)
        config = self.setup.model.config
        weights = self.setup.model.state_dict(keep_vars=True)
        self.models = {}
        for name, settings in (method_variants() if of_methods else variants(config.model_type)).items():
            args = run_arguments("fp32", case, **settings)
            with open_checkpoint(args) as checkpoint:
                own_config, _mapping, _settings = build_config(args, checkpoint, self.setup.task)
            with torch.device("meta"):  # no weights are drawn that others take the place of
                self.models[name] = AutoModelForSequenceClassification.from_config(own_config)
            if name == WITHOUT_LAYER:
                _leave_layer_out(self.models[name])
            self.models[name].load_state_dict(weights, strict=False, assign=True)
            for module in self.models[name].modules():
                if isinstance(module, LearnedMethod):
                    module.to_empty(device="cpu")
                    module.reset_parameters()
            self.models[name].train()
        self.optimizer = build_optimizer(plain, self.setup.model)
        return {"variants": list(self.models)}

    def time(self, batches: list[list[int]]) -> dict[str, float]:
        """Make one update with each batch under each variant; returns the seconds of each variant in all."""
        dataset = self.setup.datasets["train"]
        names = list(self.models)
        seconds = dict.fromkeys(names, 0.0)
        for number, rows in enumerate(batches):
            # Another one starts at every batch: what ran before can matter, through caches and the processor's clock.
            first = number % len(names)
            for name in names[first:] + names[:first]:
                model, update = self.models[name], Update((np.asarray(rows),), len(rows))
                began = time.perf_counter()
                script.backward(self.args, self.setup, model, dataset, update)
                script.gradient_norm(self.setup.accelerator, model, None)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
                seconds[name] += time.perf_counter() - began
        return seconds

    def close(self) -> None:
        """Forget the models and the data."""
        del self.setup, self.models, self.optimizer


def _leave_layer_out(model: nn.Module) -> None:
    """Empty every slot, without the configuration knowing it."""
    for sites in model.modules():
        if isinstance(sites, MethodSites):
            for name, _ in list(sites.named_children()):
                delattr(sites, name)
                setattr(sites, name, unchanged)

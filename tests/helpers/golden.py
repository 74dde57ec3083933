"""The released code's outputs (tests/data/golden), and how to rebuild the models that gave them.

Recorded in float64 on the CPU in eval mode from the paper's released modeling code (PKU-ML/ContraNorm, revision
c9bed6a); `modules.json` holds the bare layers. Every weight is filled from its own name, so no weights are stored.
"""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parents[1] / "data" / "golden"
VARIANTS = {"bert_v1": "bert", "bert_v2": "bert", "albert_g1": "albert", "albert_g2": "albert"}


@cache
def recorded(name: str) -> dict:
    """The content of one golden file: "bert", "albert", "modules" or "trajectory"."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def fill(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight that the released code was given under `name`, float64."""
    values = 0.05 * np.random.RandomState(zlib.crc32(name.encode()) % 2**32).standard_normal(shape)
    return torch.from_numpy(values + 1.0 if name.endswith(("LayerNorm.weight", "layer_norm.weight")) else values)


def rebuild(variant: str, pos: str, scale: float, base_model: bool = False, **changes):
    """Our model with the recorded sizes and weights, float64, in eval mode."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    record = recorded(VARIANTS[variant])["variants"][variant]
    settings = record["config"] | {"pos": pos, "scale": scale, "contranorm_padding": "include"} | changes
    config = AutoConfig.for_model(VARIANTS[variant], **settings)
    model = (AutoModel if base_model else AutoModelForSequenceClassification).from_config(config).double().eval()
    return filled(model, f"{VARIANTS[variant]}." if base_model else "")


def filled(model, prefix: str = ""):
    """The model with the weights that the released code was given; `prefix` is what its names lack."""
    weights = model.state_dict()
    model.load_state_dict({name: fill(prefix + name, tensor.shape) for name, tensor in weights.items()})
    return model


def batch(variant: str, mask: str) -> dict[str, torch.Tensor]:
    """The recorded inputs, "ragged" or "ones"."""
    inputs = recorded(VARIANTS[variant])["inputs"][mask]
    return {name: torch.tensor(values) for name, values in inputs.items()}

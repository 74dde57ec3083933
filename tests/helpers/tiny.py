"""Tiny random models and ragged batches for tests: `model(...)` and `ragged_batch(...)`, all from fixed seeds."""

import torch

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers.backbones import BACKBONES

MODELS = tuple(BACKBONES)
INPUTS = ("input_ids", "attention_mask", "token_type_ids")

SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_attention_heads": 3,
    "num_hidden_layers": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
}
SIZES_OF = {
    "albert": {"embedding_size": 10, "num_hidden_groups": 2},
    "roberta": {"pad_token_id": 0},
    "electra": {"embedding_size": 10},
}
POSITIONS = ("0", *"12345678", "17", "12345678")
# Every model at every position; those made of BERT's layers at a few.
MODELS_AT_POSITIONS = [
    (name, pos) for name in MODELS for pos in POSITIONS if name not in ("roberta", "electra") or pos in ("0", "7", "17")
]

# Lengths of the rows of a batch, and how wide it is padded.
LENGTH_PATTERNS = {
    "ragged": ([7, 3, 12, 5], 12),
    "wider-than-longest": ([7, 3, 9, 9], 14),
    "full": ([6, 6, 6], 6),
    "equal-but-padded": ([5, 5, 5], 9),
    "one-token-rows": ([1, 8, 1], 8),
    "one-row": ([4], 11),
    "empty-row": ([6, 0, 3], 6),
    "empty-and-wider": ([0, 4], 10),
}


def model(model_type: str = "bert", *, base_model: bool = False, seed: int = 0, **settings):
    """A model of `model_type` in float64 and eval mode, its weights large enough for ContraNorm to matter."""
    torch.manual_seed(seed)
    sizes = SIZES | SIZES_OF.get(model_type, {})
    config = AutoConfig.for_model(model_type, **sizes | {"initializer_range": 0.2} | settings)
    return (AutoModel if base_model else AutoModelForSequenceClassification).from_config(config).double().eval()


def inputs_of(model_type: str) -> tuple[str, ...]:
    """Names of the tensors of a batch that a model takes."""
    return ("input_ids", "attention_mask") if model_type == "distilbert" else INPUTS


def watch_linears(monkeypatch) -> list[tuple[torch.nn.Linear, tuple[int, ...]]]:
    """A growing list of every linear layer that is called, and the shape of its input; no model can tell."""
    seen: list[tuple[torch.nn.Linear, tuple[int, ...]]] = []
    original = torch.nn.Linear.forward

    def forward(self, input):
        seen.append((self, tuple(input.shape)))
        return original(self, input)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    return seen


def ragged_batch(
    lengths: list[int], width: int, model_type: str = "bert", *, seed: int = 1, pad: int = 0
) -> dict[str, torch.Tensor]:
    """Rows of random ids, right-padded; each row's content depends on its place and length only, not on the width."""
    ids = torch.full((len(lengths), width), pad)
    types, mask = torch.zeros(2, *ids.shape, dtype=torch.long)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(seed * 1000 + row)
        ids[row, :length] = torch.randint(pad + 1, SIZES["vocab_size"], (length,), generator=generator)
        types[row, length // 2 : length] = 1
        mask[row, :length] = 1
    batch = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    return {name: batch[name] for name in inputs_of(model_type)}

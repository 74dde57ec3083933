"""Training only the rows of the word embedding that the training data use.

Most GLUE tasks use less than half of BERT's 30,522 words. The gradient of the others is zero in every update, so
without weight decay the optimizer leaves them as they are; yet clearing that gradient, taking its norm and updating the
rows is a good part of a step on short sentences. `TrainedRows` stands in for the embedding during a training: its
parameter has a row for each id of the training split. The function and every update are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transformers import PreTrainedModel

from ..data.encoding import EncodedDataset


class TrainedRows(nn.Module):
    """A word embedding with a parameter for some of its ids; the others keep the vectors that they had.

    Args:
        full: the embedding.
        ids: int64 (N,), those that are trained; the id of padding, if there is one, among them.
    """

    row_of_id: Tensor
    untrained: Tensor

    def __init__(self, full: nn.Embedding, ids: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(full.weight.detach()[ids])
        row_of_id = torch.full((full.num_embeddings,), -1)
        row_of_id[ids] = torch.arange(len(ids))
        self.register_buffer("row_of_id", row_of_id.to(full.weight.device), persistent=False)
        self.register_buffer("untrained", full.weight.detach(), persistent=False)
        self.train(full.training)
        self.padding_idx = full.padding_idx
        self.padding_row = None if full.padding_idx is None else int(row_of_id[full.padding_idx])

    def forward(self, ids: Tensor) -> Tensor:
        """Ids of any shape -> one vector each."""
        rows = self.row_of_id[ids]
        vectors = F.embedding(rows.clamp_min(0), self.weight, self.padding_row)
        if self.training:
            return vectors  # all of the training split are among the rows
        return torch.where(rows[..., None] >= 0, vectors, F.embedding(ids, self.untrained))

    def full_weight(self) -> Tensor:
        """Return the embedding with the trained rows in their places (V, E)."""
        weight = self.untrained.clone()
        ids = (self.row_of_id >= 0).nonzero().squeeze(1)
        weight[ids] = self.weight.detach()[self.row_of_id[ids]]
        return weight


def train_used_rows(model: PreTrainedModel, train: EncodedDataset) -> None:
    """Let `model` train only the rows of its word embedding that occur in `train`. `restore_embedding` ends it."""
    full = model.base_model.get_input_embeddings()
    ids = torch.from_numpy(train.features["input_ids"]).long().unique()
    if full.padding_idx is not None:
        ids = torch.cat([ids, torch.tensor([full.padding_idx])]).unique()
    model.base_model.set_input_embeddings(TrainedRows(full, ids))


def restore_embedding(model: PreTrainedModel) -> None:
    """Give `model` an ordinary word embedding again, with what was trained."""
    narrow = model.base_model.get_input_embeddings()
    if isinstance(narrow, TrainedRows):
        full = nn.Embedding.from_pretrained(narrow.full_weight(), freeze=False, padding_idx=narrow.padding_idx)
        model.base_model.set_input_embeddings(full)

"""Training only the used rows of the word embedding: the same losses, updates and model, with a smaller parameter."""

import copy

import numpy as np
import pytest
import torch
from tiny import SIZES, model, ragged_batch

from glue.data.encoding import EncodedDataset
from glue.training.trained_rows import TrainedRows, restore_embedding, train_used_rows

USED = np.array([1, 5, 9, 30, 31, 60], dtype=np.int32)


def used_batch():
    batch = ragged_batch([7, 3, 12, 5], 12)
    ids = torch.from_numpy(USED.astype(np.int64))[batch["input_ids"] % len(USED)]
    return {**batch, "input_ids": ids * batch["attention_mask"]}  # padding is id 0


@pytest.fixture
def train():
    return EncodedDataset({"input_ids": USED}, np.array([0, len(USED)]), None, {"input_ids": 0})


@pytest.mark.parametrize("model_type", ["bert", "albert"])
@pytest.mark.parametrize("padding", ["exclude", "include"])
def test_training_is_the_same_to_the_last_bit(model_type, padding, train):
    full = model(model_type, scale=0.1, contranorm_padding=padding)
    narrow = copy.deepcopy(full)
    train_used_rows(narrow, train)
    assert len(narrow.base_model.get_input_embeddings().weight) == len(USED) + 1  # and the padding
    batch = used_batch()
    losses = []
    for net in (full, narrow):
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.0)
        net.train()
        losses.append([])
        for step in range(4):
            torch.manual_seed(step)
            loss = net(**batch, labels=torch.arange(len(batch["input_ids"])) % 2).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses[-1].append(loss.item())
    assert losses[0] == losses[1]
    restore_embedding(narrow)
    for (name, one), (other_name, other) in zip(full.state_dict().items(), narrow.state_dict().items(), strict=True):
        assert name == other_name and torch.equal(one, other), name


def test_evaluation_knows_the_other_ids_too(train):
    full = model(scale=0.1)
    narrow = copy.deepcopy(full)
    train_used_rows(narrow, train)
    batch = ragged_batch([7, 3, 12, 5], 12)
    assert torch.equal(full(**batch).logits, narrow(**batch).logits)


def test_restoring_leaves_an_ordinary_model_and_does_nothing_to_one(train):
    net = model()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    restore_embedding(net)
    train_used_rows(net, train)
    assert isinstance(net.base_model.get_input_embeddings(), TrainedRows)
    restore_embedding(net)
    embedding = net.base_model.get_input_embeddings()
    assert type(embedding) is torch.nn.Embedding and embedding.padding_idx == net.config.pad_token_id
    assert embedding.num_embeddings == SIZES["vocab_size"] and embedding.weight.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())

"""The measures of oversmoothing against numpy written down directly, on random, collapsed and ragged inputs."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import runs
import tiny
import torch

import run_oversmoothing
from glue.scoring import oversmoothing
from glue.scoring.oversmoothing import measure_oversmoothing


def directions(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def pairs(x):
    """All values of a square matrix but its diagonal."""
    return [x[i][j] for i in range(len(x)) for j in range(len(x)) if i != j]


def by_hand(x) -> dict[str, float]:
    """Every measure of one sequence (s, D), token by token."""
    n = directions(x)
    values = np.linalg.svd(x, compute_uv=False)
    shares = values / values.sum()
    return {
        "token_similarity": np.mean(pairs([[float(a @ b) for b in n] for a in n])),
        "effective_rank": math.exp(-sum(p * math.log(p) for p in shares if p > 0)),
        "uniformity": math.log(np.mean(pairs([[math.exp(-2 * ((a - b) ** 2).sum()) for b in n] for a in n]))),
        "variance": np.mean([np.mean((column - column.mean()) ** 2) for column in x.T]),
    }


@pytest.mark.parametrize(("length", "width"), [(2, 5), (7, 4), (12, 12), (5, 30)])
def test_random_tokens(length, width):
    x = np.random.default_rng(length).normal(size=(3, length, width)) + 0.5
    for name, measure in oversmoothing.MEASURES.items():
        found = measure(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, [by_hand(each)[name] for each in x], rtol=1e-10)
    shares = oversmoothing.spectrum(torch.from_numpy(x)).numpy()
    values = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(shares, values / values.sum(axis=1, keepdims=True), rtol=1e-10)


def test_collapsed_tokens():
    """One vector and its multiples: alike in every respect, but for their lengths."""
    vector = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    same, multiples = vector.expand(1, 4, 3), vector * torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)[None, :, None]
    for tokens in (same, multiples):
        assert oversmoothing.token_similarity(tokens).item() == pytest.approx(1)
        assert oversmoothing.effective_rank(tokens).item() == pytest.approx(1, abs=1e-6)
        assert oversmoothing.uniformity(tokens).item() == pytest.approx(0, abs=1e-12)
    assert oversmoothing.variance(same).item() == pytest.approx(0, abs=1e-30)
    assert oversmoothing.variance(multiples).item() > 1


def test_tokens_at_right_angles():
    tokens = 3 * torch.eye(6, dtype=torch.float64)[None, :4]
    assert oversmoothing.token_similarity(tokens).item() == 0
    assert oversmoothing.effective_rank(tokens).item() == pytest.approx(4)
    assert oversmoothing.uniformity(tokens).item() == pytest.approx(-4)  # squared distance 2, times -2


def test_tokens_of_zeros_stay_finite():
    tokens = torch.zeros(1, 3, 4, dtype=torch.float64)
    found = {name: measure(tokens).item() for name, measure in oversmoothing.MEASURES.items()}
    assert found == {"token_similarity": 0, "effective_rank": 0, "uniformity": 0, "variance": 0}


def test_attention_similarity():
    rng = np.random.default_rng(0)
    maps = rng.dirichlet(np.ones(5), size=(2, 3, 5))
    expected = [
        np.mean([np.mean(pairs(directions(head) @ directions(head).T)) for head in sequence]) for sequence in maps
    ]
    np.testing.assert_allclose(oversmoothing.attention_similarity(torch.from_numpy(maps)), expected, rtol=1e-12)
    alike = torch.full((1, 2, 4, 4), 0.25)
    assert oversmoothing.attention_similarity(alike).item() == pytest.approx(1)
    assert oversmoothing.attention_similarity(torch.eye(4).expand(1, 2, 4, 4)).item() == 0


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_a_model_is_measured_over_real_tokens_only(model_type):
    """Batches of any size and padding, rows of one token and none: the means over the rows, each computed alone."""
    model = tiny.model(model_type, pos="7", scale=0.3)
    lengths = [7, 3, 1, 12, 0, 5]
    batch = tiny.ragged_batch(lengths, 15, model_type)

    def measured(*slices):
        batches = [{name: tensor[rows] for name, tensor in batch.items()} for rows in slices]
        return measure_oversmoothing(model, batches)

    together, apart = measured(slice(None)), measured(slice(0, 2), slice(2, 5), slice(5, 6))
    assert together["sequences"] == apart["sequences"] == 4 and together["left_out"] == 2
    rows = []
    for row, length in enumerate(lengths):
        if length > 1:
            alone = {name: tensor[row : row + 1, :length] for name, tensor in batch.items()}
            output = model.base_model(**alone, output_hidden_states=True, output_attentions=True)
            rows.append([by_hand(state[0].detach().numpy()) for state in output.hidden_states])
            rows[-1][0]["attentions"] = [
                np.mean([np.mean(pairs(directions(head) @ directions(head).T)) for head in each[0].detach().numpy()])
                for each in output.attentions
            ]
    for name in oversmoothing.MEASURES:
        expected = [np.mean([row[layer][name] for row in rows]) for layer in range(4)]
        np.testing.assert_allclose(together[name], expected, rtol=1e-8)
        np.testing.assert_allclose(apart[name], expected, rtol=1e-8)
    expected = np.mean([row[0]["attentions"] for row in rows], axis=0)
    np.testing.assert_allclose(together["attention_similarity"], expected, rtol=1e-8)


class Returns:
    """A model that returns given states and attentions."""

    base_model = property(lambda self: self)

    def __init__(self, states, attentions=()):
        self.output = SimpleNamespace(hidden_states=[states], attentions=attentions)

    def eval(self):
        return self

    def __call__(self, **_):
        return self.output


def test_spectra_of_any_length_are_one_width():
    masks = [{"attention_mask": (torch.arange(100) < length).long()[None]} for length in (100, 2)]
    (shares,) = measure_oversmoothing(Returns(torch.eye(100)[None]), masks)["spectrum"]
    assert len(shares) == oversmoothing.SPECTRUM
    assert shares[0] == pytest.approx((0.01 + 0.5) / 2) and shares[2] == pytest.approx(0.005)


def test_tokens_count_wherever_they_stand():
    """Padding on the left, on the right and in between, with attentions to match."""
    rng = np.random.default_rng(1)
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 1, 0]])
    states, maps = torch.from_numpy(rng.normal(size=(4, 5, 6))), torch.from_numpy(rng.random((4, 2, 5, 5)))
    found = measure_oversmoothing(Returns(states, [maps]), [{"attention_mask": mask}])
    assert found["sequences"] == 3 and found["left_out"] == 1
    real = [mask[row].nonzero().squeeze(1) for row in range(3)]
    rows = [(states[row][each].numpy(), maps[row][:, each][:, :, each]) for row, each in enumerate(real)]
    for name in oversmoothing.MEASURES:
        np.testing.assert_allclose(found[name], [np.mean([by_hand(tokens)[name] for tokens, _ in rows])], rtol=1e-10)
    alike = [oversmoothing.attention_similarity(each[None]).item() for _, each in rows]
    assert found["attention_similarity"] == pytest.approx([np.mean(alike)])


def test_contranorm_keeps_tokens_apart():
    """What the layer is for, seen through the measures: a deep stack of random layers, with it and without."""
    settings = {"num_hidden_layers": 8, "pos": "7", "initializer_range": 0.05}
    batch = tiny.ragged_batch([20, 18, 25], 25)
    found = {}
    for scale in (0.0, 0.3):
        model = tiny.model(scale=scale, **settings)
        found[scale] = measure_oversmoothing(model, [batch])
    assert found[0.3]["token_similarity"][-1] < found[0.0]["token_similarity"][-1]
    assert found[0.3]["effective_rank"][-1] > found[0.0]["effective_rank"][-1]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two models, one with ContraNorm and one without, and data."""
    folder = tmp_path_factory.mktemp("oversmoothing")
    for name, settings in (("plain", {"scale": 0.0}), ("contranorm", {"scale": 0.3, "pos": "7"})):
        runs.make_checkpoint(folder / name, num_labels=2, **settings)
    runs.make_data(folder / "glue")
    return folder


def test_command_writes_file_and_figures(checkpoints, tmp_path, capsys):
    models = ["--model_name_or_path", str(checkpoints / "plain"), str(checkpoints / "contranorm")]
    data = ["--task_name", "rte", "--data_dir", str(checkpoints / "glue"), "--max_length", "32", "--cpu"]
    words = [*models, *data, "--names", "plain", "ContraNorm", "--output_dir", str(tmp_path / "out")]
    assert run_oversmoothing.main([*words, "--batch_size", "5"]) == 0
    said = capsys.readouterr().out
    assert "ContraNorm off" in said and "pos 7 (checkpoint), scale 0.3 (checkpoint)" in said
    content = json.loads((tmp_path / "out" / "oversmoothing.json").read_text())
    assert content["task"] == "rte" and list(content["models"]) == ["plain", "ContraNorm"]
    assert all(len(values["token_similarity"]) == 3 for values in content["models"].values())
    assert all(values["sequences"] == 13 for values in content["models"].values())
    assert content["models"]["plain"]["uniformity"][0] == content["models"]["ContraNorm"]["uniformity"][0]
    assert content["models"]["plain"]["uniformity"][2] != content["models"]["ContraNorm"]["uniformity"][2]
    image = (tmp_path / "out" / "oversmoothing.png").read_bytes()
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    drawing = (tmp_path / "out" / "oversmoothing.svg").read_text()
    assert "ContraNorm" in drawing and "Effective rank" in drawing
    assert run_oversmoothing.main([*words, "--batch_size", "2"]) == 0  # the same to rounding, and the same figure
    again = json.loads((tmp_path / "out" / "oversmoothing.json").read_text())["models"]["plain"]["effective_rank"]
    assert again == pytest.approx(content["models"]["plain"]["effective_rank"], rel=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--model_name_or_path is missing"),
        (["--model_name_or_path", "demo", "demo"], "two models have the same name"),
        (["--model_name_or_path", "demo", "--names", "a", "b"], "2 --names for 1 models"),
        (["--model_name_or_path", "demo", "--batch_size", "0"], "--batch_size 0: expected 1 or more"),
        (["--model_name_or_path", "demo", "--task_name", "squad"], "squad"),
        (["--model_name_or_path", "/no/such/folder", "--task_name", "rte"], "/no/such/folder"),
    ],
)
def test_mistakes_are_one_line(words, message, tmp_path, capsys):
    assert run_oversmoothing.main([*words, "--output_dir", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()

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


def rank(values) -> float:
    shares = values / values.sum()
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0))


def by_hand(x) -> dict[str, float]:
    """Every measure of the tokens of one sequence (s, D), token by token."""
    n, s, mean = directions(x), len(x), np.mean(x, axis=0)
    values = np.linalg.svd(x, compute_uv=False)
    centred = values - values.mean()
    distances = [[1 - float(a @ b) for b in n] for a in n]
    return {
        "token_similarity": np.mean(pairs([[float(a @ b) for b in n] for a in n])),
        "mean_average_distance": np.mean([np.mean([distances[i][j] for j in range(s) if j != i]) for i in range(s)]),
        "effective_rank": rank(values),
        "spectrum_skewness": np.mean(centred**3) / np.mean(centred**2) ** 1.5 if len(values) > 1 else 0.0,
        "uniformity": math.log(np.mean(pairs([[math.exp(-2 * ((a - b) ** 2).sum()) for b in n] for a in n]))),
        "variance": np.mean([np.mean((column - column.mean()) ** 2) for column in x.T]),
        "dirichlet_energy": sum(((a - b) ** 2).sum() for a in x for b in x) / s,
        "high_frequency": math.sqrt(sum(((a - mean) ** 2).sum() for a in x)) / math.sqrt(s * (mean**2).sum()),
    }


def of_attention_by_hand(maps) -> dict[str, float]:
    """Every measure of the attention maps of one sequence (H, s, s), head by head."""
    values = [np.linalg.svd(head, compute_uv=False) for head in maps]
    return {
        "attention_similarity": np.mean([np.mean(pairs(directions(head) @ directions(head).T)) for head in maps]),
        "attention_rank": np.mean([rank(each) for each in values]),
        "attention_gap": np.mean([each[0] - each[1] for each in values]),
    }


def of_tokens(x) -> dict[str, torch.Tensor]:
    """Every measure of tokens (b, s, D), by the module."""
    values = torch.linalg.svdvals(x)
    found = {name: measure(x) for name, measure in oversmoothing.OF_TOKENS.items()}
    return found | {name: measure(values) for name, measure in oversmoothing.OF_SPECTRUM.items()}


@pytest.mark.parametrize(("length", "width"), [(2, 5), (7, 4), (12, 12), (5, 30)])
def test_random_tokens(length, width):
    x = np.random.default_rng(length).normal(size=(3, length, width)) + 0.5
    rows, found = [by_hand(each) for each in x], of_tokens(torch.from_numpy(x))
    assert set(found) == set(rows[0])
    for name, values in found.items():
        np.testing.assert_allclose(values, [row[name] for row in rows], rtol=1e-9, atol=1e-10)
    values = np.linalg.svd(x, compute_uv=False)
    shares = oversmoothing.shares_of(torch.from_numpy(values))
    np.testing.assert_allclose(shares, values / values.sum(axis=1, keepdims=True), rtol=1e-10)


def test_collapsed_tokens():
    """One vector and its multiples: alike in every respect, but for their lengths."""
    vector = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    same, multiples = vector.expand(1, 4, 3), vector * torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)[None, :, None]
    for tokens in (same, multiples):
        found = {name: value.item() for name, value in of_tokens(tokens).items()}
        assert found["token_similarity"] == pytest.approx(1)
        assert found["mean_average_distance"] == 0
        assert found["effective_rank"] == pytest.approx(1, abs=1e-6)
        assert found["uniformity"] == pytest.approx(0, abs=1e-12)
        assert found["spectrum_skewness"] == pytest.approx(1 / math.sqrt(2))  # one of three stands out
    found = of_tokens(same)
    assert all(found[name].item() == pytest.approx(0, abs=1e-15) for name in ("dirichlet_energy", "high_frequency"))
    assert found["variance"].item() == pytest.approx(0, abs=1e-30)
    assert of_tokens(multiples)["variance"].item() > 1


def test_distances_of_zero_do_not_count():
    """Two tokens alike, a third one at right angles: the mean is over those at a distance."""
    tokens = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    assert oversmoothing.mean_average_distance(tokens).item() == 1


def test_tokens_at_right_angles():
    tokens = 3 * torch.eye(6, dtype=torch.float64)[None, :4]
    found = {name: value.item() for name, value in of_tokens(tokens).items()}
    assert found["token_similarity"] == 0 and found["mean_average_distance"] == 1
    assert found["effective_rank"] == pytest.approx(4) and found["spectrum_skewness"] == 0
    assert found["uniformity"] == pytest.approx(-4)  # squared distance 2, times -2
    assert found["dirichlet_energy"] == pytest.approx(4 * 3 * 2 * 9 / 4)
    assert found["high_frequency"] == pytest.approx(math.sqrt(3))


def test_tokens_of_zeros_stay_finite():
    found = {name: value.item() for name, value in of_tokens(torch.zeros(1, 3, 4, dtype=torch.float64)).items()}
    assert found == dict.fromkeys(found, 0) | {"mean_average_distance": 1}


def test_attention():
    maps = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(5), size=(2, 3, 5)))
    values = torch.linalg.svdvals(maps)
    found = {name: measure(values).mean(1) for name, measure in oversmoothing.OF_ATTENTION.items()}
    found["attention_similarity"] = oversmoothing.attention_similarity(maps)
    for name, value in found.items():
        np.testing.assert_allclose(value, [of_attention_by_hand(each.numpy())[name] for each in maps], rtol=1e-11)
    alike = torch.full((1, 2, 4, 4), 0.25, dtype=torch.float64)
    apart = torch.eye(4, dtype=torch.float64).expand(1, 2, 4, 4)
    assert oversmoothing.attention_similarity(alike).item() == pytest.approx(1)
    assert oversmoothing.attention_similarity(apart).item() == 0
    for maps, rank, gap in ((alike, 1, 1), (apart, 4, 0)):
        values = torch.linalg.svdvals(maps)
        assert oversmoothing.effective_rank(values).mean().item() == pytest.approx(rank)
        assert oversmoothing.singular_value_gap(values).mean().item() == pytest.approx(gap)


def test_mass_on_marked_tokens():
    maps = torch.tensor([[[[0.5, 0.2, 0.3], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]]] * 2])
    marked = torch.tensor([[True, False, True]])
    assert oversmoothing.mass_on(maps, marked).item() == pytest.approx((0.8 + 0.9 + 1.0) / 3)


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_a_model_is_measured_over_real_tokens_only(model_type):
    """Batches of any size and padding, rows of one token and none: the means over the rows, each computed alone."""
    model = tiny.model(model_type, pos="7", scale=0.3)
    lengths = [7, 3, 1, 19, 0, 5]
    batch, sink = tiny.ragged_batch(lengths, 22, model_type), 7
    batch["input_ids"][:, 1] = sink

    def measured(*slices):
        batches = [{name: tensor[rows] for name, tensor in batch.items()} for rows in slices]
        return measure_oversmoothing(model, batches, sinks={"it": sink})

    together, apart = measured(slice(None)), measured(slice(0, 2), slice(2, 5), slice(5, 6))
    assert together["sequences"] == apart["sequences"] == 4 and together["left_out"] == 2
    rows = {}
    for row, length in enumerate(lengths):
        if length > 1:
            alone = {name: tensor[row : row + 1, :length] for name, tensor in batch.items()}
            output = model.base_model(**alone, output_hidden_states=True, output_attentions=True)
            layers = [by_hand(state[0].detach().numpy()) for state in output.hidden_states]
            maps = [each[0].detach().numpy() for each in output.attentions]
            marked = alone["input_ids"][0].numpy() == sink
            attended = [of_attention_by_hand(each) for each in maps]
            for values, each in zip(attended, maps, strict=True):
                values["attention_on_it"] = np.mean(each[:, :, marked].sum(axis=2))
            rows[length] = {name: [layer[name] for layer in layers] for name in layers[0]}
            rows[length] |= {name: [layer[name] for layer in attended] for name in attended[0]}
    classes = {"2-15": [rows[7], rows[3], rows[5]], "16-31": [rows[19]]}
    assert list(together["by_length"]) == list(classes)
    for found in (together, apart):
        cases = [(found, list(rows.values())), *((found["by_length"][name], of) for name, of in classes.items())]
        for values, of in cases:
            assert values["sequences"] == len(of) and set(of[0]) <= set(values)
            for name in of[0]:
                np.testing.assert_allclose(values[name], np.mean([each[name] for each in of], axis=0), rtol=1e-8)


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
    for name in by_hand(rows[0][0]):
        np.testing.assert_allclose(found[name], [np.mean([by_hand(tokens)[name] for tokens, _ in rows])], rtol=1e-10)
    for name in of_attention_by_hand(maps[0].numpy()):
        expected = np.mean([of_attention_by_hand(each.numpy())[name] for _, each in rows])
        np.testing.assert_allclose(found[name], [expected], rtol=1e-10)


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


@pytest.mark.slow
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
    assert 0 < content["models"]["plain"]["attention_on_cls"][0] < 1
    by_length = content["models"]["plain"]["by_length"]
    assert sum(each["sequences"] for each in by_length.values()) == 13
    for name, word in {"": "Effective rank", "-more": "Skewness", "-by-length": "2-15"}.items():
        image = (tmp_path / "out" / f"oversmoothing{name}.png").read_bytes()
        assert image[:8] == b"\x89PNG\r\n\x1a\n"
        drawing = (tmp_path / "out" / f"oversmoothing{name}.svg").read_text()
        assert "ContraNorm" in drawing and word in drawing
    # Without names, and in other batches: the same to rounding; each model is known by the method that it has stored.
    assert run_oversmoothing.main([*models, *data, "--batch_size", "2", "--output_dir", str(tmp_path / "out")]) == 0
    unnamed = json.loads((tmp_path / "out" / "oversmoothing.json").read_text())["models"]
    assert [values["method"] for values in unnamed.values()] == ["plain", "contranorm pos 7 scale 0.3"]
    drawing = (tmp_path / "out" / "oversmoothing.svg").read_text()
    assert "plain (plain)" in drawing and "contranorm (contranorm pos 7 scale 0.3)" in drawing
    again = unnamed[models[1]]["effective_rank"]
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

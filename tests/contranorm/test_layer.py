"""The layer by itself: its golden values against plain arithmetic, its options, and the package that it is."""

import importlib.util
import json
import math
import re
import shutil
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import contranorm
from contranorm import ContraNorm, ContraNormV2

FOLDER = Path(contranorm.__file__).parent
GOLDEN = json.loads((FOLDER / "golden.json").read_text())


def sequences_of(case) -> list[list[int]]:
    """The rows of x, (B, S) counted row by row or (T,), that form each sequence."""
    x, given = case["x"], case["given"]
    if "batch" in given:
        return [[i for i, b in enumerate(given["batch"]) if b == number] for number in sorted({*given["batch"]})]
    if "cu_seqlens" in given:
        bounds = given["cu_seqlens"]
        return [list(range(*pair)) for pair in pairwise(bounds)]
    mask, width = given.get("mask") or [[1] * len(row) for row in x], len(x[0])
    return [[b * width + i for i in range(width) if row[i]] for b, row in enumerate(mask)]


def softmax(values):
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def by_arithmetic(x, scale, tau=1.0, identity=True, over="tokens", dual=False):
    """One sequence, number by number."""
    lengths = [math.sqrt(sum(a * a for a in token)) for token in x]
    n = [[a / length if length else 0.0 for a in token] for token, length in zip(x, lengths, strict=True)]
    if over == "features":
        columns = list(zip(*n, strict=True))
        p = [softmax([sum(a * b for a, b in zip(f, g, strict=True)) / tau for g in columns]) for f in columns]
        mean = [[sum(token[k] * p[k][d] for k in range(len(p))) for d in range(len(p))] for token in x]
    else:
        p = [softmax([sum(a * b for a, b in zip(f, g, strict=True)) / tau for g in n]) for f in n]
        if dual:
            p = [[p[i][j] + p[j][i] for j in range(len(p))] for i in range(len(p))]
        mean = [[sum(row[j] * x[j][d] for j in range(len(x))) for d in range(len(x[0]))] for row in p]
    own = 1 + scale if identity else 1
    return [[own * a - scale * m for a, m in zip(*pair, strict=True)] for pair in zip(x, mean, strict=True)]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_values_are_those_of_arithmetic_and_of_the_layer(case):
    x = torch.tensor(case["x"], dtype=torch.float64)
    flat = x.flatten(0, -2).tolist()
    expected = [None] * len(flat)
    for rows in sequences_of(case):
        for row, value in zip(rows, by_arithmetic([flat[i] for i in rows], **case["settings"]), strict=True):
            expected[row] = value
    golden = [row for block in case["y"] for row in block] if x.dim() == 3 else case["y"]
    assert [row is None for row in golden] == [row is None for row in expected]
    layer = ContraNorm(**case["settings"])
    y = layer(x, **{name: torch.tensor(value) for name, value in case["given"].items()}).flatten(0, -2).tolist()
    for stored, plain, found in zip(golden, expected, y, strict=True):
        if stored is not None:
            assert stored == pytest.approx(plain, rel=1e-14, abs=1e-15)
            assert found == pytest.approx(stored, rel=1e-14, abs=1e-15)


def tokens(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_flat_tokens_are_sequences_by_bounds_and_by_number_in_any_order():
    layer, x = ContraNorm(0.4), tokens(9, 3)
    alone = torch.cat([layer(part[None])[0] for part in x.split([4, 3, 2])])
    torch.testing.assert_close(layer(x, cu_seqlens=torch.tensor([0, 4, 7, 9])), alone, rtol=0, atol=0)
    torch.testing.assert_close(layer(x, batch=torch.tensor([0] * 4 + [2] * 3 + [5] * 2)), alone, rtol=0, atol=0)
    shuffle = torch.tensor([3, 8, 0, 5, 4, 1, 7, 2, 6])
    mixed = layer(x[shuffle], batch=torch.tensor([0] * 4 + [1] * 3 + [2] * 2)[shuffle])
    torch.testing.assert_close(mixed, alone[shuffle], rtol=1e-14, atol=1e-15)
    assert layer(x[:0], cu_seqlens=torch.tensor([0, 0])).shape == (0, 3)


@pytest.mark.parametrize("over", ["tokens", "features"])
@pytest.mark.parametrize("identity", [True, False])
@pytest.mark.parametrize("learnable", [True, 3])
@pytest.mark.parametrize("positive", [True, False])
def test_a_learned_scale_begins_as_the_fixed_one_and_has_its_gradient(over, identity, learnable, positive):
    settings = {"identity": identity, "over": over}
    layer = ContraNorm(0.4, **settings, learnable=learnable, positive=positive).double()
    layer.reset_parameters()
    x, mask = tokens(2, 4, 3), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    real = mask[:, :, None]
    torch.testing.assert_close((layer(x, mask) * real), ContraNorm(0.4, **settings)(x, mask) * real)

    def at(weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x, mask)) * real

    assert torch.autograd.gradcheck(at, layer.weight)
    assert layer.half()(x.half()).dtype == torch.float16
    assert list(layer.state_dict()) == ["weight"] and "learnable" in repr(layer)


def test_a_learned_scale_may_begin_at_zero():
    layer = ContraNorm(0.0, learnable=True).double()
    x = tokens(1, 4, 3)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=0)
    layer(x).square().sum().backward()
    assert layer.weight.grad.abs() > 0


def test_dual_weights_never_count_padding():
    layer, x, mask = ContraNorm(0.3, dual=True), tokens(2, 6, 4), torch.tensor([[1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1]])
    y = layer(x, mask)
    for row in range(2):
        real = mask[row].bool()
        torch.testing.assert_close(y[row, real], layer(x[row : row + 1, real])[0], rtol=0, atol=1e-14)


def test_released_forms():
    x = tokens(1, 5, 3)
    with_identity, without = ContraNorm(0.1), ContraNorm(0.1, identity=False)
    assert torch.equal(ContraNorm.bert(0.1)(x), with_identity(x)) and ContraNorm.bert().scale == 0.005
    assert torch.equal(ContraNorm.albert(0.1)(x), without(x)) and torch.equal(ContraNorm.vit(0.1)(x), without(x))
    assert torch.equal(ContraNorm.bert(0.1, over="features")(x), ContraNormV2(0.1)(x))
    assert ContraNorm.vit(0.1, learnable=3, positive=True).strength.tolist() == pytest.approx([0.1] * 3)


def test_scale_zero_warns_but_not_in_a_model():
    from transformers import BertConfig, BertForSequenceClassification

    with pytest.warns(UserWarning, match="returns its input") as caught:
        ContraNorm(0.0)
    assert caught[0].filename == __file__
    sizes = {
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "intermediate_size": 8,
        "vocab_size": 9,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BertForSequenceClassification(BertConfig(**sizes, scale=0.0, pos="7"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"over": "heads"}, "over 'heads': expected tokens or features"),
        ({"tau": 0}, "tau 0: expected more than 0"),
        ({"positive": True}, "positive is for a learned scale"),
        ({"scale": 0.0, "positive": True, "learnable": True}, "positive is for a learned scale"),
        ({"dual": True, "over": "features"}, "dual is defined over tokens only"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ContraNorm(**{"scale": 0.1, **settings})


@pytest.mark.parametrize(
    ("x", "given", "message"),
    [
        (tokens(3, 2), {}, "expected"),
        (tokens(1, 3, 2), {"batch": [0, 0, 0]}, "expected"),
        (tokens(3, 2), {"batch": [0, 0]}, "a number a token, 3"),
        (tokens(2, 3, 2), {"mask": [[1, 1]] * 2}, r"mask of shape \(2, 2\): expected that of the tokens, \(2, 3\)"),
        (tokens(2, 3, 2), {"mask": [1, 1, 1]}, r"mask of shape \(3,\)"),
        (tokens(3, 2), {"cu_seqlens": [0, 2]}, "rise from 0 to the number of tokens, 3"),
        (tokens(3, 2), {"cu_seqlens": [0, 2, 1, 3]}, "rise from 0"),
        (tokens(3, 2), {"cu_seqlens": [0, 3], "batch": [0, 0, 0]}, "exclude each other"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, given, message):
    with pytest.raises(ValueError, match=message):
        ContraNorm(0.1)(x, **{name: torch.tensor(value) for name, value in given.items()})


def test_what_is_attached_cannot_learn_its_scale():
    with pytest.raises(ValueError, match="no optimizer would find its scale"):
        contranorm.attach(torch.nn.Linear(2, 2), learnable=True)


def load(file: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_works_alone_and_the_readme_is_true(tmp_path, monkeypatch):
    """What the README says to do: copy the file, and run the examples beside it; no other file is needed."""
    alone = load(shutil.copy(FOLDER / "__init__.py", tmp_path / "contranorm.py"), "alone")
    monkeypatch.setitem(sys.modules, "contranorm", alone)
    examples = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)
    names: dict = {}
    for example in examples:
        exec(example, names)
    assert names["ContraNorm"] is alone.ContraNorm is not ContraNorm
    assert names["y"].shape == names["x"].shape and names["apart"].shape == names["nodes"].shape
    real = names["mask"].bool()
    alike = names["Block"]().eval()
    cut = alike(names["x"][1:, :3], names["mask"][1:, :3])
    torch.testing.assert_close(alike(names["x"], names["mask"])[1, real[1]], cut[0])


@pytest.mark.slow
def test_installed_it_is_the_package_and_nothing_else(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    source, target = shutil.copytree(FOLDER, tmp_path / "source", ignore=ignored), tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--target", target]
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*pip, *options, source], check=True, timeout=100, cwd=tmp_path)
    assert sorted(path.name.partition("-")[0] for path in target.iterdir()) == ["contranorm", "contranorm"]
    installed = sorted((target / "contranorm").iterdir())
    assert [path.name for path in installed] == ["__init__.py", "golden.json", "hooks.py"]
    assert all(path.read_bytes() == (FOLDER / path.name).read_bytes() for path in installed)

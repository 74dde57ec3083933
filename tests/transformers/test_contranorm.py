"""The layer by itself, the position setting, and ContraNorm's place in the models."""

import dataclasses

import pytest
import tiny
import torch
from torch.nn import functional as F

from transformers import AutoModelForSequenceClassification, backbones
from transformers.contranorm import ContraNorm, ContraNormV2
from transformers.contranorm_sites import SITES, parse_positions, positions_table
from transformers.methods import ContextMap, ScoreChange, knob
from transformers.utils.errors import ConfigurationError

MODELS = tiny.MODELS
pytestmark = pytest.mark.filterwarnings("ignore:ContraNorm with scale 0")
LAYERS = pytest.mark.parametrize("layer", [ContraNorm, ContraNormV2])


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(x: torch.Tensor, scale: float, tau: float, identity: bool, dual: bool) -> torch.Tensor:
    """One sequence (S, D), element by element."""
    norms = x.pow(2).sum(1).sqrt().clamp_min(1e-12)
    n = x / norms[:, None]
    similarity = (n.T @ n if dual else n @ n.T) / tau
    weights = similarity.exp() / similarity.exp().sum(1, keepdim=True)
    return (1 + scale * identity) * x - scale * (x @ weights if dual else weights @ x)


@pytest.mark.parametrize("identity", [True, False])
@pytest.mark.parametrize("tau", [1.0, 0.25, 4.0])
@LAYERS
def test_formula(layer, tau, identity):
    x = tokens(2, 5, 4)
    y = layer(0.3, tau, identity)(x)
    for row in range(2):
        expected = by_hand(x[row], 0.3, tau, identity, layer is ContraNormV2)
        torch.testing.assert_close(y[row], expected, rtol=0, atol=1e-12)


@LAYERS
def test_masked_tokens_neither_push_nor_count(layer):
    x, mask = tokens(2, 6, 4), torch.tensor([[1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1]])
    y = layer(0.3)(x, mask)
    for row in range(2):
        real = mask[row].bool()
        torch.testing.assert_close(y[row, real], layer(0.3)(x[row : row + 1, real])[0], rtol=0, atol=1e-12)
    x[0, 4:] = 1e6
    torch.testing.assert_close(layer(0.3)(x, mask)[0, :4], y[0, :4], rtol=0, atol=0)


@LAYERS
def test_gradients(layer):
    x, mask = tokens(2, 4, 3).requires_grad_(), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    assert torch.autograd.gradcheck(lambda x: layer(0.3, 0.5)(x, mask) * mask[:, :, None], x)


@LAYERS
def test_scale_zero_returns_the_input_itself(layer):
    x = tokens(1, 3, 4)
    assert layer(0.0)(x) is x


def test_negative_scale_attracts_and_positive_pushes_apart():
    x = tokens(1, 8, 16) + 2
    similarity = {scale: mean_similarity(ContraNorm(scale)(x)) for scale in (-0.3, 0.0, 0.3)}
    assert similarity[-0.3] > similarity[0.0] > similarity[0.3]


def mean_similarity(x: torch.Tensor) -> float:
    n = F.normalize(x[0], dim=-1)
    return (n @ n.T).mean().item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@LAYERS
def test_half_precision_is_safe(layer, dtype):
    """Tokens of zeros and of very different size: all finite, forward and backward, and as in single precision."""
    x = tokens(1, 6, 8).to(dtype)
    x[0, 0], x[0, 1], x[0, 2] = 0, x[0, 1] * 1e-3, x[0, 2] * 1e2
    x.requires_grad_()
    y = layer(0.1)(x)
    y.float().square().mean().backward()
    assert y.dtype == dtype and y.isfinite().all() and x.grad.isfinite().all()
    epsilon = torch.finfo(dtype).eps
    torch.testing.assert_close(y.float(), layer(0.1)(x.detach().float()), rtol=4 * epsilon, atol=4 * epsilon * 1e2)


@pytest.mark.parametrize(
    ("model_type", "pos", "sites"),
    [
        ("bert", "7", ("attention_residual",)),
        ("bert", 7, ("attention_residual",)),
        ("bert", "17", ("layer_input", "attention_residual")),
        ("bert", "7171", ("layer_input", "attention_residual")),
        ("bert", "12345678", SITES),
        ("albert", "12345678", SITES),
        (
            "bert",
            "123456",
            ("layer_input", "context", "attention_output", "attention_norm", "ffn_output", "layer_output"),
        ),
        ("albert", "7", ("ffn_residual",)),
        ("albert", "84", ("attention_residual", "layer_output")),
        ("bert", "0", ()),
        ("bert", 0, ()),
        ("bert", "none", ()),
        ("bert", "None", ()),
        ("albert", None, ()),
    ],
)
def test_positions(model_type, pos, sites):
    assert parse_positions(pos, model_type) == sites


@pytest.mark.parametrize("pos", ["foo", "9", "-1", "1.5", "", " ", "07", "70", 9, -1, 1.5, True, "7,1", "７", [7]])
@pytest.mark.parametrize("model_type", MODELS)
def test_other_positions_are_refused_with_the_table(model_type, pos):
    with pytest.raises(ConfigurationError, match=r"7 (attention_residual|ffn_residual)") as error:
        parse_positions(pos, model_type)
    assert all(site in str(error.value) for site in SITES) and "\n" not in str(error.value)


def test_every_number_stands_in_the_drawing_as_in_the_table():
    import transformers.contranorm_sites as module

    for line in module.__doc__.splitlines():
        if "[" in line:
            site = line[line.index("[") + 1 : line.index("]")]
            _, bert, _, albert, *_ = line[line.index("BERT") :].split()
            assert parse_positions(bert, "bert") == (site,) == parse_positions(albert, "albert")
    assert positions_table("bert").count("\n") == len(SITES)


def test_a_numbering_without_a_number_for_every_site_names_backbone_and_site(monkeypatch):
    record = backbones.BACKBONES["electra"]
    for numbers, message in (
        ("1237458", "electra: site_numbers '1237458' has no digit for the site layer_output"),
        ("123745866", "electra: site_numbers '123745866': expected 8 different digits, one a site"),
        ("12374588", "electra: site_numbers '12374588': expected 8 different digits, one a site"),
    ):
        monkeypatch.setitem(backbones.BACKBONES, "electra", dataclasses.replace(record, site_numbers=numbers))
        for read in (lambda: parse_positions("7", "electra"), lambda: positions_table("electra")):
            with pytest.raises(ConfigurationError) as error:
                read()
            assert message in str(error.value)


@pytest.mark.parametrize("off", [{"scale": 0.0, "pos": "7"}, {"scale": 0.3, "pos": "0"}, {"scale": 0.3, "pos": "none"}])
@pytest.mark.parametrize("model_type", MODELS)
def test_off_is_bit_equal_to_the_plain_model(model_type, off):
    batch = tiny.ragged_batch([7, 3, 12], 12, model_type) | {"labels": torch.tensor([0, 1, 0])}
    plain, ours = tiny.model(model_type), tiny.model(model_type, **off)
    expected, result = plain(**batch), ours(**batch)
    expected.loss.backward()
    result.loss.backward()
    assert torch.equal(result.logits, expected.logits)
    for parameter, other in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.equal(parameter.grad, other.grad)


@pytest.mark.parametrize("model_type", MODELS)
def test_every_setting_changes_the_result(model_type):
    batch = tiny.ragged_batch([7, 3, 12], 12, model_type)
    settings = [
        {},
        *({"pos": pos, "scale": 0.3} for pos in (*"12345678", "17")),
        {"pos": "7", "scale": 0.2},
        {"pos": "7", "scale": -0.3},
        {"pos": "7", "scale": 0.3, "tau": 0.5},
        {"pos": "7", "scale": 0.3, "use_v2": True},
        {"pos": "7", "scale": 0.3, "contranorm_identity": model_type == "albert"},
        {"pos": "3", "scale": 0.3, "contranorm_padding": "include"},
    ]
    results = [tiny.model(model_type, **setting)(**batch).logits for setting in settings]
    for first, result in enumerate(results):
        for other in results[first + 1 :]:
            assert (result - other).abs().max() > 1e-9


@pytest.mark.parametrize("model_type", MODELS)
def test_no_position_adds_a_key_to_the_checkpoint(model_type):
    full = tiny.model(model_type, pos="12345678", scale=0.3).state_dict()
    assert list(full) == list(tiny.model(model_type).state_dict())


@pytest.mark.parametrize("model_type", [name for name in MODELS if name != "albert"])
@pytest.mark.parametrize("method", ["contranorm", "contranorm_v2"])
def test_a_scale_of_its_own_for_each_layer(model_type, method, tmp_path):
    scales, batch = [0.3, 0.0, -0.1], tiny.ragged_batch([7, 3, 12], 12, model_type)
    model = tiny.model(model_type, method=method, pos="17", scale=scales)
    assert model.config.scale == "0.3,0.0,-0.1"
    uniform = tiny.model(model_type, method=method, pos="17", scale=1.0)
    for layer, scale in zip(stack_of(uniform).layers(), scales, strict=True):
        places = [each for each in layer.modules() if isinstance(each, ContraNorm)]
        assert len(places) == 2
        for each in places:
            each.scale = scale
    logits = model(**batch).logits
    torch.testing.assert_close(logits, uniform(**batch).logits, rtol=0, atol=0)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float64)
    assert again.config.scale == model.config.scale
    torch.testing.assert_close(again(**batch).logits, logits, rtol=0, atol=0)


def stack_of(model):
    return model.base_model.transformer if model.config.model_type == "distilbert" else model.base_model.encoder


def test_scales_of_layers_that_are_all_the_same_are_one():
    assert tiny.model(scale="0.2, 0.2,0.2").config.scale == 0.2
    assert tiny.model(scale=[0, 0, 0], pos="7").config.contranorm_sites == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": "0.1,0.2"}, "scale 0.1,0.2: 2 numbers for 3 layers"),
        ({"scale": "0.1,x,0.2"}, "expected a number, or one a layer with commas between them"),
        ({"scale": []}, "expected a number, or one a layer"),
        ({"scale": [0.1, float("nan"), 0.2]}, "expected a finite number"),
        ({"scale": [0.1, 1e5, 0.2]}, "expected 10000 at most"),
        ({"scale": [0.1, 0.2, 0.3], "method": "centering"}, "expected a finite number"),
        ({"tau": [0.1, 0.2, 0.3]}, "expected a finite number"),
        ({"scale": [0.1, 0.2, 0.3], "model_type": "albert"}, "albert uses its layers several times"),
    ],
)
def test_wrong_scales_of_layers_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        tiny.model(**settings)


class Warmer(ScoreChange):
    """Attention at a temperature."""

    name = "warmer"
    heat: float = knob(2.0, "the temperature", above=0)

    def temperature(self) -> float:
        return self.heat


@pytest.mark.parametrize("model_type", ["bert", "albert", "distilbert"])
def test_a_change_of_scores_is_a_change_of_queries(model_type):
    plain, warmer = (tiny.model(model_type, base_model=True, **more) for more in ({}, {"method": Warmer, "pos": "2"}))
    for name, parameter in plain.named_parameters():
        if ".query." in name or ".q_lin." in name:
            parameter.data /= 2
    ids = torch.arange(1, 7).view(2, 3)
    torch.testing.assert_close(warmer(ids)[0], plain(ids)[0], rtol=0, atol=1e-12)


class Again(ContextMap):
    """The context, attended to once more: A (A V)."""

    name = "again"

    def __call__(self, context, *, value, hidden_states, layout, attend, first_value):
        torch.testing.assert_close(attend(value), context)  # with the very probabilities, those dropped included
        assert value.shape == first_value.shape == context.shape == hidden_states.shape
        return attend(context) + 0.1 * first_value


@pytest.mark.parametrize("model_type", ["bert", "albert", "distilbert"])
def test_a_map_of_contexts_attends_with_the_same_probabilities(model_type):
    dropout = {"attention_probs_dropout_prob": 0.5, "hidden_dropout_prob": 0.0}
    model = tiny.model(model_type, method=Again, pos="2", classifier_dropout=0.0, **dropout)
    batch = tiny.ragged_batch([7, 3, 12], 12, model_type)
    packed = model(**batch)
    torch.testing.assert_close(model(**batch, output_attentions=True).logits, packed.logits, rtol=0, atol=1e-12)
    assert (packed.logits - tiny.model(model_type)(**batch).logits).abs().max() > 1e-6
    model.train()(**batch, labels=torch.tensor([0, 1, 0])).loss.backward()
    assert all(parameter.grad is not None for parameter in model.base_model.encoder.parameters())

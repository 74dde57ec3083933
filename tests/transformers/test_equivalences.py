"""What docs/METHODS.md says of methods that are one and the same function: in a model, logits and gradients."""

import pytest
import tiny
import torch

from transformers.methods.attnscale import AttnScale
from transformers.methods.centering import Centering
from transformers.methods.featscale import FeatScale
from transformers.methods.shaped import ShapedAttention
from transformers.padding import padded_layout

# The numbers of the two sites that a LayerNorm follows.
BEFORE_NORMS = [("bert", "7"), ("bert", "8"), ("bert", "78"), ("albert", "4"), ("albert", "7"), ("distilbert", "78")]
S = 0.4


def result_of(model_type, pos, **settings):
    """Logits of a ragged batch and all gradients, of a model whose LayerNorms have an epsilon of 0."""
    eps = {} if model_type == "distilbert" else {"layer_norm_eps": 0.0}
    model = tiny.model(model_type, pos=pos, **settings, **eps)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 0.0
    logits = model(**tiny.ragged_batch([7, 3, 12], 14, model_type)).logits
    logits.sin().sum().backward()
    return [logits, *(parameter.grad for parameter in model.parameters())]


def assert_same(one, other):
    for ours, expected in zip(one, other, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["contranorm", "contranorm_v2"])
@pytest.mark.parametrize(("model_type", "pos"), BEFORE_NORMS)
def test_before_a_layernorm_berts_form_is_alberts_at_another_scale(model_type, pos, method):
    bert = result_of(model_type, pos, method=method, scale=S, contranorm_identity=True)
    assert_same(bert, result_of(model_type, pos, method=method, scale=S / (1 + S), contranorm_identity=False))
    same_scale = result_of(model_type, pos, method=method, scale=S, contranorm_identity=False)
    assert (bert[0] - same_scale[0]).abs().max() > 1e-6


@pytest.mark.parametrize(("model_type", "pos"), BEFORE_NORMS)
def test_before_a_layernorm_pairnorm_is_centring(model_type, pos):
    centred = result_of(model_type, pos, method="centering", scale=1.0)
    assert_same(centred, result_of(model_type, pos, method="pairnorm", scale=1.0))
    assert_same(centred, result_of(model_type, pos, method="pairnorm", scale=30.0))
    assert (centred[0] - result_of(model_type, "0")[0]).abs().max() > 1e-6


def test_elsewhere_they_are_not():
    for pos in ("4", "3"):
        form = [result_of("bert", pos, scale=s, contranorm_identity=i)[0] for s, i in ((S, True), (S / (1 + S), False))]
        assert (form[0] - form[1]).abs().max() > 1e-6
        centred, pair = (result_of("bert", pos, method=method, scale=1.0)[0] for method in ("centering", "pairnorm"))
        assert (centred - pair).abs().max() > 1e-6


@pytest.mark.parametrize("pos", ["3", "7"])
def test_at_a_high_temperature_contranorm_is_centring(pos):
    hot = result_of("bert", pos, scale=S, tau=1e14, contranorm_identity=False)
    assert_same(hot, result_of("bert", pos, method="centering", scale=S))


def test_some_learned_methods_hold_others():
    generator = torch.Generator().manual_seed(0)
    y, v = torch.randn(2, 2, 5, 6, generator=generator, dtype=torch.float64)
    w = torch.randn(3, 1, generator=generator, dtype=torch.float64)
    layout = padded_layout(2, 5, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]))
    attnscale = AttnScale()(y, value=v, layout=layout, w=w)
    shaped = ShapedAttention()(y, value=v, layout=layout, a=torch.zeros_like(w), b=1 + w, g=w)
    torch.testing.assert_close(shaped, attnscale, rtol=0, atol=1e-14)
    s = torch.full((6,), -S, dtype=torch.float64)
    featscale = FeatScale()(y, layout=layout, s=s, t=torch.zeros_like(s))
    torch.testing.assert_close(featscale, Centering(scale=S)(y, layout=layout), rtol=0, atol=1e-14)

"""Our models against the recorded outputs of the released code, in float64 and within its tolerances."""

import golden
import pytest
import torch

from transformers.contranorm import ContraNorm, ContraNormV2

pytestmark = pytest.mark.filterwarnings("ignore:ContraNorm with scale 0")

CASES = [
    pytest.param(variant, case, id=f"{variant}-{case['mask']}-pos{case['pos']}-scale{case['scale']}")
    for variant, name in golden.VARIANTS.items()
    for case in golden.recorded(name)["variants"][variant]["cases"]
]
FULL_CASES = [
    pytest.param(variant, case, id=f"{variant}-{case['mask']}-pos{case['pos']}")
    for variant, name in golden.VARIANTS.items()
    for case in golden.recorded(name)["variants"][variant]["full"]
]
LAYER_CASES = [
    pytest.param(case, id=f"{case['module']}-{case['input']}-scale{case['scale']}-{case['dtype']}")
    for case in golden.recorded("modules")["cases"]
]


@pytest.mark.parametrize(("variant", "case"), CASES)
def test_model_agrees_with_the_released_code(variant, case):
    model = golden.rebuild(variant, case["pos"], case["scale"])
    outputs = model(**golden.batch(variant, case["mask"]), output_hidden_states=True)
    outputs.loss.backward()

    torch.testing.assert_close(outputs.logits, torch.tensor(case["logits"], dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(outputs.loss.item(), case["loss"], rtol=0, atol=1e-10)
    sums = [state.sum().item() for state in outputs.hidden_states]
    norms = [state.norm().item() for state in outputs.hidden_states]
    assert sums == pytest.approx(case["hidden_sum"], rel=1e-9, abs=1e-9)
    assert norms == pytest.approx(case["hidden_l2"], rel=1e-9)
    parameters = dict(model.named_parameters())
    names = golden.recorded(golden.VARIANTS[variant])["variants"][variant]["param_names"]
    gradients = [parameters[name].grad.norm().item() for name in names]
    assert len(gradients) == len(parameters)
    assert gradients == pytest.approx(case["grad_l2"], rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("variant", "case"), [case for case in CASES if case.values[1]["mask"] == "ones"])
def test_without_padding_both_rules_agree_with_the_released_code(variant, case):
    model = golden.rebuild(variant, case["pos"], case["scale"], contranorm_padding="exclude")
    outputs = model(**golden.batch(variant, "ones"))
    torch.testing.assert_close(outputs.logits, torch.tensor(case["logits"], dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("variant", "case"), FULL_CASES)
def test_base_model_agrees_with_the_released_code(variant, case):
    model = golden.rebuild(variant, case["pos"], case["scale"], base_model=True)
    inputs = golden.batch(variant, case["mask"])
    inputs.pop("labels")
    outputs = model(**inputs)
    for name in ("last_hidden_state", "pooler_output"):
        torch.testing.assert_close(outputs[name], torch.tensor(case[name], dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize("variant", golden.VARIANTS)
def test_parameter_names_and_shapes_are_those_of_the_checkpoints(variant):
    ours = {name: list(tensor.shape) for name, tensor in golden.rebuild(variant, "12345678", 0.1).state_dict().items()}
    theirs = dict(golden.recorded(golden.VARIANTS[variant])["variants"][variant]["state_dict"])
    theirs = {name: shape for name, (shape, _) in theirs.items() if not name.endswith("position_ids")}
    assert ours == theirs


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer_agrees_with_the_released_code(case):
    dtype = getattr(torch, case["dtype"])
    x = torch.tensor(golden.recorded("modules")["x"], dtype=torch.float64).reshape(golden.recorded("modules")["shape"])
    if case["input"] == "x_zero_token":
        x[1, 3] = 0
    x = x.to(dtype).requires_grad_()
    layer = ContraNormV2 if case["module"].endswith("V2") else ContraNorm
    y = layer(case["scale"], identity=case["module"].startswith("bert"))(x)
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(y.detach(), torch.tensor(case["y"], dtype=dtype), rtol=tolerance, atol=tolerance)
    if "grad_x_of_half_sum_y2" in case:
        (y.square().sum() / 2).backward()
        torch.testing.assert_close(
            x.grad, torch.tensor(case["grad_x_of_half_sum_y2"], dtype=dtype), rtol=1e-9, atol=1e-12
        )

"""Outputs: access by attribute, key, index and as a tuple, without the fields that are None; and activations."""

import copy
import pickle

import pytest
import torch
from torch.utils._pytree import tree_flatten_with_path, tree_map

from transformers import BaseModelOutputWithPooling, ConfigurationError, SequenceClassifierOutput
from transformers.activations import ACT2FN, get_activation


@pytest.fixture
def output():
    return SequenceClassifierOutput(logits=torch.arange(4.0), hidden_states=(torch.ones(1), torch.zeros(1)))


def test_all_ways_of_access_agree(output):
    assert output.logits is output["logits"] is output[0] is output.to_tuple()[0] is output[-2]
    assert output.hidden_states is output[1] is output[1:][0]
    assert list(output) == ["logits", "hidden_states"] and len(output) == 2
    assert list(output.items())[1][1] is output.hidden_states


def test_fields_that_are_none_are_left_out(output):
    assert output.loss is None and "loss" not in output and output.get("loss") is None
    with pytest.raises(KeyError):
        output["loss"]
    with pytest.raises(IndexError):
        output[2]
    first, second = output.to_tuple()
    assert first is output.logits and second is output.hidden_states


def test_changing_a_field_changes_every_view(output):
    output.logits = torch.ones(2)
    assert output["logits"] is output.logits is output[0]
    output["logits"] = torch.zeros(3)
    assert output["logits"] is output.logits is output[0]
    output.hidden_states = None
    assert list(output) == ["logits"] and len(output.to_tuple()) == 1


@pytest.mark.parametrize(
    "change",
    [lambda o: o.pop("logits"), lambda o: o.__delitem__("logits"), lambda o: o.update(a=1), lambda o: o.clear()],
)
def test_fields_cannot_come_or_go(output, change):
    with pytest.raises(TypeError, match=r"fixed"):
        change(output)


def test_order_is_that_of_the_fields():
    whole = BaseModelOutputWithPooling(pooler_output=torch.ones(1), last_hidden_state=torch.zeros(1))
    assert list(whole) == ["last_hidden_state", "pooler_output"]


def test_building_from_a_mapping_as_accelerate_does(output):
    from accelerate.utils import convert_to_fp32

    output.logits = output.logits.half()
    full = convert_to_fp32(output)
    assert type(full) is SequenceClassifierOutput
    assert full.logits.dtype == full["logits"].dtype == torch.float32 and full.loss is None
    assert list(full) == ["logits", "hidden_states"]


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda output: pickle.loads(pickle.dumps(output))])
def test_copies(output, clone):
    again = clone(output)
    assert type(again) is type(output) and list(again) == list(output) and torch.equal(again.logits, output.logits)
    assert again.logits is again["logits"]


def test_a_compiled_graph_can_return_one():
    def forward(x):
        made = SequenceClassifierOutput(logits=x * 2)
        return SequenceClassifierOutput(loss=made[0].sum(), logits=made.logits)

    compiled = torch.compile(forward, backend="eager", fullgraph=True)
    result = compiled(torch.ones(3))
    assert type(result) is SequenceClassifierOutput and result.loss == 6 and list(result) == ["loss", "logits"]


def test_torch_sees_the_tensors_of_an_output(output):
    doubled = tree_map(lambda tensor: tensor * 2, output)
    assert type(doubled) is SequenceClassifierOutput and list(doubled) == ["logits", "hidden_states"]
    assert doubled.loss is None and torch.equal(doubled.logits, output.logits * 2) and doubled[1][0] == 2
    assert [path[0].key for path, _ in tree_flatten_with_path(output)[0]] == ["logits", *["hidden_states"] * 2]
    swapped = torch.func.vmap(lambda x: SequenceClassifierOutput(loss=x.sum(), logits=x * 2))(torch.ones(3, 2))
    assert torch.equal(swapped.loss, torch.full((3,), 2.0)) and swapped.logits is swapped["logits"]


def test_a_graph_that_is_exported_returns_one(tmp_path):
    class Net(torch.nn.Module):
        def forward(self, x):
            return SequenceClassifierOutput(logits=x * 2, attentions=(x, x))

    program = torch.export.export(Net(), (torch.ones(3),))
    torch.export.save(program, tmp_path / "net.pt2")
    result = torch.export.load(tmp_path / "net.pt2").module()(torch.ones(3))
    assert type(result) is SequenceClassifierOutput and result.logits.tolist() == [2, 2, 2]
    assert list(result) == ["logits", "attentions"] and len(result.attentions) == 2


def test_activations_have_their_formulas():
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    erf = 0.5 * x * (1 + torch.erf(x / 2**0.5))
    tanh = 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    for name, wanted in {
        "gelu": erf,
        "gelu_python": erf,
        "gelu_new": tanh,
        "gelu_fast": tanh,
        "gelu_pytorch_tanh": tanh,
        "relu": x.clamp(min=0),
        "silu": x / (1 + torch.exp(-x)),
        "swish": x / (1 + torch.exp(-x)),
        "tanh": torch.tanh(x),
    }.items():
        torch.testing.assert_close(ACT2FN[name](x), wanted)
    assert ACT2FN["gelu"] is not ACT2FN["gelu"] and "gelu" in ACT2FN and "sigmoid2" not in ACT2FN
    with pytest.raises(ConfigurationError, match=r"'sigmoid2' is not known.*gelu_new"):
        get_activation("sigmoid2")

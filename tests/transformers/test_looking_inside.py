"""Looking inside a model: hooks, replaced forwards, gradients, traces, exports, and parts that are called alone.

Whoever looks sees padded hidden states (B, S, D), as in the stock library; whoever does not gets packed ones.
"""

import pytest
import tiny
import torch
from torch import nn

from transformers.methods import TokenMap
from transformers.modeling_text import is_watched

LENGTHS, WIDTH = [7, 3, 12, 5], 14
B, S, D, INNER = len(LENGTHS), WIDTH, tiny.SIZES["hidden_size"], tiny.SIZES["intermediate_size"]
KNOBS = {"pos": "17", "scale": 0.3}

# The parts of each model by the names of its checkpoints, and the shape of what comes out of them.
PARTS = {
    "bert": {
        "embeddings": (B, S, D),
        "encoder": (B, S, D),
        "encoder.layer.0": (B, S, D),
        "encoder.layer.2": (B, S, D),
        "encoder.layer.1.attention": (B, S, D),
        "encoder.layer.1.attention.self": (B, S, D),
        "encoder.layer.1.attention.self.query": (B, S, D),
        "encoder.layer.1.attention.output": (B, S, D),
        "encoder.layer.2.attention.output.LayerNorm": (B, S, D),
        "encoder.layer.1.intermediate": (B, S, INNER),
        "encoder.layer.1.output": (B, S, D),
        "encoder.layer.1.output.dense": (B, S, D),
        "pooler": (B, D),
    },
    "albert": {
        "embeddings": (B, S, 10),
        "encoder": (B, S, D),
        "encoder.embedding_hidden_mapping_in": (B, S, D),
        "encoder.albert_layer_groups.1.albert_layers.0": (B, S, D),
        "encoder.albert_layer_groups.1.albert_layers.0.attention": (B, S, D),
        "encoder.albert_layer_groups.1.albert_layers.0.attention.dense": (B, S, D),
        "encoder.albert_layer_groups.1.albert_layers.0.attention.LayerNorm": (B, S, D),
        "encoder.albert_layer_groups.1.albert_layers.0.ffn": (B, S, INNER),
        "encoder.albert_layer_groups.1.albert_layers.0.ffn_output": (B, S, D),
        "encoder.albert_layer_groups.1.albert_layers.0.full_layer_layer_norm": (B, S, D),
        "pooler": (B, D),
    },
    "roberta": {
        "embeddings": (B, S, D),
        "encoder.layer.1.attention.self": (B, S, D),
        "encoder.layer.2.attention.output.LayerNorm": (B, S, D),
    },
    "electra": {
        "embeddings": (B, S, 10),
        "embeddings_project": (B, S, D),
        "encoder.layer.1.attention.self": (B, S, D),
        "encoder.layer.2.output.dense": (B, S, D),
    },
    "distilbert": {
        "embeddings": (B, S, D),
        "transformer": (B, S, D),
        "transformer.layer.0": (B, S, D),
        "transformer.layer.1.attention": (B, S, D),
        "transformer.layer.1.attention.q_lin": (B, S, D),
        "transformer.layer.1.attention.out_lin": (B, S, D),
        "transformer.layer.2.sa_layer_norm": (B, S, D),
        "transformer.layer.1.ffn": (B, S, D),
        "transformer.layer.1.ffn.lin1": (B, S, INNER),
        "transformer.layer.2.output_layer_norm": (B, S, D),
    },
}
ALL_PARTS = [(model_type, part) for model_type, parts in PARTS.items() for part in parts]


def first_of(output):
    return output[0] if isinstance(output, (tuple, dict)) else output


@pytest.mark.parametrize(("model_type", "part"), ALL_PARTS)
def test_a_hook_sees_padded_tensors_and_changes_nothing(model_type, part):
    model, batch = tiny.model(model_type, **KNOBS), tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    plain, seen = model(**batch).logits, []
    module = model.base_model.get_submodule(part)
    handle = module.register_forward_hook(lambda module, inputs, output: seen.append(first_of(output).shape))
    torch.testing.assert_close(model(**batch).logits, plain, rtol=0, atol=1e-12)
    assert seen and set(seen) == {PARTS[model_type][part]}
    handle.remove()
    assert not is_watched(model)


@pytest.mark.parametrize(("model_type", "part"), ALL_PARTS)
def test_a_replaced_forward_is_used(model_type, part):
    model, batch = tiny.model(model_type, **KNOBS), tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    plain, module, shapes = model(**batch).logits, model.base_model.get_submodule(part), []
    original = module.forward

    def forward(*arguments, **options):
        output = original(*arguments, **options)
        shapes.append(first_of(output).shape)
        return output

    module.forward = forward
    torch.testing.assert_close(model(**batch).logits, plain, rtol=0, atol=1e-12)
    assert set(shapes) == {PARTS[model_type][part]}


@pytest.mark.parametrize(("model_type", "part"), ALL_PARTS)
def test_what_a_hook_returns_counts(model_type, part):
    """A hook that replaces the output, as intervention experiments do, changes what the model computes."""
    model, batch = tiny.model(model_type, **KNOBS), tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    plain = model(**batch).logits

    def hook(module, inputs, output):
        if isinstance(output, tuple):
            return (output[0] * 1.5, *output[1:])
        if isinstance(output, dict):
            output["last_hidden_state"] = output["last_hidden_state"] * 1.5
            return output
        return output * 1.5

    model.base_model.get_submodule(part).register_forward_hook(hook)
    assert (model(**batch).logits - plain).abs().max() > 1e-9


class _Adapter(nn.Module):
    """A module as researchers put into the place of a part: it knows the stock library's signature and no layouts."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part, self.seen = part, []

    def forward(self, hidden_states, second=None):
        self.seen.append(hidden_states.shape)
        return self.part(hidden_states) if second is None else self.part(hidden_states, second)


@pytest.mark.parametrize("way", ["module", "forward"])
@pytest.mark.parametrize(
    ("model_type", "part"),
    [
        ("bert", "encoder.layer.1.intermediate"),
        ("bert", "encoder.layer.1.output"),
        ("bert", "encoder.layer.1.attention.output"),
        ("bert", "encoder.layer.1.attention.self"),
        ("bert", "encoder.layer.1.attention"),
        ("bert", "encoder.layer.1"),
        ("albert", "encoder.albert_layer_groups.1.albert_layers.0.attention"),
        ("albert", "encoder.albert_layer_groups.1.albert_layers.0.ffn"),
        ("distilbert", "transformer.layer.1.attention"),
        ("distilbert", "transformer.layer.1.ffn"),
    ],
)
def test_a_part_may_be_somebodys_own_with_the_stock_signature(model_type, part, way):
    model, batch = tiny.model(model_type, pos="2", scale=0.3), tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    plain, parent, name = model(**batch).logits, *part.rpartition(".")[::2]
    owner = model.base_model.get_submodule(parent)
    if way == "module":
        adapter = _Adapter(getattr(owner, name))
        setattr(owner, name, adapter)
    else:
        module = getattr(owner, name)
        adapter = _Adapter(nn.Identity())
        original = module.forward
        vars(adapter)["part"] = original
        del adapter._modules["part"]
        module.forward = lambda hidden_states, second=None: adapter(hidden_states, second)
    torch.testing.assert_close(model(**batch).logits, plain, rtol=0, atol=1e-12)
    assert adapter.seen and {shape[:2] for shape in adapter.seen} == {(B, S)}


@pytest.mark.parametrize("model_type", PARTS)
def test_backward_hooks_are_called(model_type):
    model, seen = tiny.model(model_type, **KNOBS), []
    for part in ("embeddings", *[part for part in PARTS[model_type] if part.endswith((".0", ".dense"))]):
        module = model.base_model.get_submodule(part)
        module.register_full_backward_hook(lambda module, inputs, outputs: seen.append(outputs[0].shape))
    model(**tiny.ragged_batch(LENGTHS, WIDTH, model_type), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    assert seen and {shape[:2] for shape in seen} == {(B, S)}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_a_gradient_reaches_every_hidden_state(model_type, checkpointing):
    model = tiny.model(model_type, **KNOBS).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    batch = tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    outputs = model(**batch, labels=torch.tensor([0, 1, 0, 1]), output_hidden_states=True)
    gradients = torch.autograd.grad(outputs.loss, outputs.hidden_states)
    real = batch["attention_mask"].bool()
    assert len(gradients) == len(outputs.hidden_states)
    for number, gradient in enumerate(gradients):
        assert gradient.shape == outputs.hidden_states[number].shape and gradient.abs().sum() > 0
        assert not gradient[~real].any()


@pytest.mark.parametrize("model_type", PARTS)
def test_a_gradient_reaches_the_last_hidden_state(model_type):
    model = tiny.model(model_type, base_model=True, **KNOBS)
    outputs = model(**tiny.ragged_batch(LENGTHS, WIDTH, model_type))
    read = outputs.last_hidden_state[:, 0] if outputs.pooler_output is None else outputs.pooler_output
    (gradient,) = torch.autograd.grad(read.sum(), outputs.last_hidden_state)
    assert gradient[:, 0].abs().sum() > 0 and not gradient[:, 1:].any()


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no-grad"])
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_a_trace_is_right_on_other_paddings(model_type, grad):
    model = tiny.model(model_type, return_dict=False, **KNOBS)

    def inputs(lengths, seed=1):
        batch = tiny.ragged_batch(lengths, WIDTH, seed=seed)
        return batch["input_ids"], batch["attention_mask"]

    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(model, inputs([9, 9, 9, 9], seed=3), check_trace=False)
        for lengths in (LENGTHS, [14, 14, 14, 14], [1, 2, 0, 14]):
            real = torch.tensor(lengths) > 0
            ours, expected = traced(*inputs(lengths))[0], model(*inputs(lengths))[0]
            torch.testing.assert_close(ours[real], expected[real], rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_an_export_is_right_on_other_paddings(model_type):
    model = tiny.model(model_type, **KNOBS)

    def inputs(lengths):
        return tiny.ragged_batch(lengths, WIDTH, model_type)

    exported = torch.export.export(model, (), inputs([9, 9, 9, 9]), strict=False).module()
    batch = inputs(LENGTHS)
    torch.testing.assert_close(exported(**batch).logits, model(**batch).logits, rtol=0, atol=1e-10)


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_outputs_are_pytrees(model_type):
    outputs = tiny.model(model_type, **KNOBS)(
        **tiny.ragged_batch(LENGTHS, WIDTH, model_type), output_hidden_states=True
    )
    leaves, spec = torch.utils._pytree.tree_flatten(outputs)
    assert len(leaves) == 1 + len(outputs.hidden_states) and all(isinstance(leaf, torch.Tensor) for leaf in leaves)
    again = torch.utils._pytree.tree_unflatten(leaves, spec)
    assert type(again) is type(outputs) and again.logits is outputs.logits


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_torch_func_takes_a_model(model_type):
    model, batch = tiny.model(model_type, **KNOBS), tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    parameters = dict(model.named_parameters())

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (), batch).logits.cos().sum()

    gradients = torch.func.grad(loss)(parameters)
    expected = torch.autograd.grad(loss(parameters), tuple(parameters.values()), allow_unused=True)
    for (name, ours), theirs in zip(gradients.items(), expected, strict=True):
        torch.testing.assert_close(ours, torch.zeros_like(ours) if theirs is None else theirs, msg=name)


@pytest.mark.parametrize("model_type", PARTS)
def test_parts_called_alone_make_up_the_model(model_type):
    model = tiny.model(model_type, base_model=True, **KNOBS)
    batch = tiny.ragged_batch(LENGTHS, WIDTH, model_type)
    mask, real = batch.pop("attention_mask"), tiny.ragged_batch(LENGTHS, WIDTH, model_type)["attention_mask"].bool()
    whole = model(**batch, attention_mask=mask, output_hidden_states=True)
    embedded = model.embed(**batch)
    encoded = model.encoder(embedded, mask, output_hidden_states=True)
    torch.testing.assert_close(encoded.last_hidden_state[real], whole.last_hidden_state[real], rtol=0, atol=1e-12)
    state = encoded.hidden_states[0]
    for number, layer in enumerate(model.encoder.layers(), start=1):
        state = layer(state, mask)
        torch.testing.assert_close(state[real], whole.hidden_states[number][real], rtol=0, atol=1e-12)
    if model_type in ("bert", "roberta"):
        pooler = model.pooler(whole.last_hidden_state)
        assert pooler.shape == (B, D)
        torch.testing.assert_close(pooler, whole.pooler_output, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "transformers.models.bert.modeling_bert",
            "BertPreTrainedModel BertModel BertEmbeddings BertSelfAttention BertSelfOutput BertAttention "
            "BertIntermediate BertOutput BertLayer BertEncoder BertPooler BertForSequenceClassification",
        ),
        (
            "transformers.models.albert.modeling_albert",
            "AlbertPreTrainedModel AlbertModel AlbertEmbeddings AlbertAttention AlbertLayer AlbertLayerGroup "
            "AlbertTransformer AlbertForSequenceClassification",
        ),
        ("transformers", "BertPreTrainedModel AlbertPreTrainedModel"),
    ],
)
def test_modules_are_where_stock_code_imports_them_from(module, names):
    found = __import__(module, fromlist=names.split())
    assert all(issubclass(getattr(found, name), nn.Module) for name in names.split())


def test_what_is_put_on_the_outermost_model_does_not_count():
    model = tiny.model(**KNOBS)
    model.register_forward_hook(lambda *_: None)
    model.forward = model.forward
    assert not is_watched(model)
    model.bert.encoder.layer[0].intermediate.register_forward_pre_hook(lambda *_: None)
    assert is_watched(model)


def test_a_method_of_ones_own_is_no_look_inside(monkeypatch):
    """A module with parameters, written elsewhere, in a slot: hidden states stay packed until somebody hooks it."""

    class Scaled(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = nn.Parameter(torch.full((width,), 1.1))

        def forward(self, tokens, *, layout):
            return tokens * self.weight + layout.mean(tokens)

    class Scaling(TokenMap):
        name = "scaling"

        def build(self, config):
            return Scaled(config.hidden_size)

    model, batch = tiny.model(method=Scaling, pos="7"), tiny.ragged_batch(LENGTHS, WIDTH)
    seen = tiny.watch_linears(monkeypatch)
    packed = model(**batch).logits
    assert seen[0][1] == (sum(LENGTHS), D)
    module = next(part for part in model.modules() if isinstance(part, Scaled))
    module.register_forward_hook(lambda *_: None)
    seen.clear()
    torch.testing.assert_close(model(**batch).logits, packed, rtol=0, atol=1e-12)
    assert seen[0][1] == (B, S, D)

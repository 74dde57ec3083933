"""Packed, padded and bucketed runs are the same function; rows that fill a batch up count nothing; what is refused."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import runs
import tiny
import torch

from glue.cli.arguments import RunArguments
from glue.data.encoding import EncodedDataset
from glue.data.feed import Feed
from glue.data.labels import make_label_mapping
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.scoring.inference import predict
from glue.training import execution, recorded
from glue.training.execution import Execution, choose_execution
from glue.training.loss import row_losses
from glue.training.processes import join
from glue.training.sampling import TrainingOrder

WIDTHS = (8, 12, 16)


def make_dataset(labels=(0, 1, 1, 0, 1), widths=(), model_type="bert") -> EncodedDataset:
    rng = np.random.default_rng(3)
    lengths = [5, 9, 3, 9, 16]
    names = [name for name in tiny.inputs_of(model_type) if name != "attention_mask"]
    features = {name: rng.integers(1, 61 if name == "input_ids" else 2, sum(lengths), dtype=np.int32) for name in names}
    offsets = np.cumsum([0, *lengths])
    return EncodedDataset(features, offsets, np.array(labels), dict.fromkeys(names, 0), widths=widths)


def loss_and_gradients(model, dataset, rows, size=0, smoothing=0.0):
    batch = dataset.batch(rows, size, total=7)
    logits = model(**batch.inputs).logits
    loss = batch.mean(row_losses(logits, batch.labels, smoothing))
    loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    return loss, logits[: batch.count], found


@pytest.mark.parametrize("use_v2", [False, True], ids=["v1", "v2"])
@pytest.mark.parametrize(("model_type", "pos"), tiny.MODELS_AT_POSITIONS)
def test_a_bucketed_batch_gives_what_a_packed_one_gives(model_type, pos, use_v2):
    """Logits, loss and every gradient, with rows that fill the batch up, in float64."""
    model = tiny.model(model_type, pos=pos, scale=0.3, use_v2=use_v2)
    packed = loss_and_gradients(model, make_dataset(model_type=model_type), [0, 1, 2])
    model.base_model.pads = True
    bucketed = loss_and_gradients(model, make_dataset(widths=WIDTHS, model_type=model_type), [0, 1, 2], size=5)
    torch.testing.assert_close(bucketed, packed, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("labels", "smoothing"), [((0, 1, 1, 0, 1), 0.2), ((0.5, 4.0, 1.0, 2.0, 3.0), 0.0)])
def test_rows_that_fill_a_batch_up_count_nothing(labels, smoothing):
    """Whatever they are: the loss and all gradients are those without them, for classes and for numbers."""
    labels = np.array(labels, dtype=np.float32) if smoothing == 0 else labels
    model = tiny.model(pos="7", scale=0.3, num_labels=1 if smoothing == 0 else 2)
    model.base_model.pads = True
    filled = make_dataset(labels, WIDTHS).batch([3, 2], 4, total=7)
    assert filled.shape == (4, 12) and filled.counts.tolist() == [1, 1, 0, 0] and filled.count == 2
    results = []
    for other_ids in (filled.inputs["input_ids"][:1], torch.tensor(9)):
        filled.inputs["input_ids"][2:] = other_ids
        filled.labels[2:] = 1
        logits = model(**filled.inputs).logits
        filled.mean(row_losses(logits, filled.labels, smoothing)).backward()
        results.append({name: parameter.grad for name, parameter in model.named_parameters()})
        model.zero_grad(set_to_none=True)
    without = loss_and_gradients(model, make_dataset(labels), [3, 2], smoothing=smoothing)[2]
    for gradients in results:
        torch.testing.assert_close(gradients, without, rtol=0, atol=1e-12)
    assert not torch.equal(without["classifier.weight"], torch.zeros_like(without["classifier.weight"]))


def test_the_mean_of_row_losses_is_the_models_own_loss():
    model, batch = tiny.model(pos="7", scale=0.3), make_dataset().batch([0, 1, 2])
    own = model(**batch.inputs, labels=batch.labels).loss
    torch.testing.assert_close(batch.mean(row_losses(model(**batch.inputs).logits, batch.labels)), own)


def test_a_share_without_rows_has_a_batch_that_counts_nothing():
    batch = make_dataset().batch([], total=3)
    assert batch.shape[0] == 1 and batch.count == 0 and batch.mean(torch.ones(1)).item() == 0


def test_bucketed_scores_are_the_packed_ones():
    model, accelerator = tiny.model(pos="7", scale=0.3), join(cpu=True)
    task = GLUE_TASKS["cola"]
    mapping = make_label_mapping(task, {}, True)
    expected = predict(model, make_dataset(), task, mapping, 2, accelerator)
    model.base_model.pads = True
    found = predict(model, make_dataset(widths=WIDTHS), task, mapping, 2, accelerator)
    assert found[0].tolist() == expected[0].tolist() and len(found[0]) == 5
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)


def test_batches_made_ahead_are_the_same_and_are_made_once(monkeypatch):
    dataset, order = make_dataset(widths=WIDTHS), TrainingOrder(5, 2, seed=1)
    made, make = [], EncodedDataset.batch
    monkeypatch.setattr(EncodedDataset, "batch", lambda data, *words: made.append(1) or make(data, *words))
    plain = [batch.memory for update in order.epoch(0) for batch in Feed(2).batches(dataset, update)]
    feed, ahead = Feed(2, ahead=True), []
    made.clear()
    for update in feed.ahead(dataset, order.epoch(0)):
        ahead += [batch.memory for batch in feed.batches(dataset, update)]
        assert feed.batches(dataset, update)[0].memory is ahead[-1]  # again, as fp16 asks for it
    assert len(made) == 3 and len({tuple(memory.shape) for memory in ahead}) == len({len(m) for m in plain})
    assert all(torch.equal(*pair) for pair in zip(ahead, plain, strict=True))


def settle(device, padding="exclude", config=None, precision="no", processes=1, **flags) -> Execution:
    args = RunArguments(task_name="rte", model_name_or_path="any/name", **flags)
    config = config or {}
    accelerator = SimpleNamespace(
        device=torch.device(device), mixed_precision=precision, num_processes=processes, is_main_process=True
    )
    return choose_execution(
        args, tiny.model(pos="7", scale=0.1, contranorm_padding=padding, **config).config, accelerator
    )


@pytest.fixture
def precisions(monkeypatch):
    """What the process was told about its products; and a GPU that knows TF32."""
    told = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", told.append)
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True)
    return told


@pytest.mark.parametrize(
    ("device", "settings", "expected", "told"),
    [
        ("cpu", {}, Execution("packed"), []),
        ("cpu", {"torch_compile": True}, Execution("padded"), []),
        ("cpu", {"padding": "include"}, Execution("padded"), []),
        ("cpu", {"config": {"unpad_inputs": False}}, Execution("padded"), []),
        ("cpu", {"execution": "bucketed"}, Execution("bucketed"), []),
        ("mps", {}, Execution("padded"), []),
        ("cuda", {}, Execution("bucketed", tf32=True), ["high"]),
        ("cuda", {"tf32": False}, Execution("bucketed"), ["highest"]),
        ("cuda", {"padding": "include"}, Execution("padded"), ["highest"]),
        ("cuda", {"padding": "include", "tf32": True}, Execution("padded", tf32=True), ["high"]),
        ("cuda", {"cuda_graphs": True}, Execution("bucketed", tf32=True, cuda_graphs=True), ["high"]),
        ("cuda", {"execution": "padded"}, Execution("padded", tf32=True), ["high"]),
        ("cuda", {"execution": "packed"}, Execution("packed", tf32=True), ["high"]),
    ],
)
def test_what_is_chosen_where(device, settings, expected, told, precisions):
    assert settle(device, **settings) == expected and precisions == told


@pytest.mark.parametrize(
    ("device", "settings", "message"),
    [
        ("cpu", {"execution": "bucketed", "padding": "include"}, "changes how much padding there is"),
        ("mps", {"execution": "packed"}, "made for the CPU and NVIDIA GPUs, and this run is on mps"),
        ("cpu", {"execution": "packed", "torch_compile": True}, "leave one out"),
        ("cpu", {"execution": "packed", "config": {"unpad_inputs": False}}, "unpad_inputs false"),
        ("cpu", {"tf32": True}, "needs an NVIDIA GPU"),
    ],
)
def test_what_is_refused(device, settings, message, precisions):
    with pytest.raises(UsageError, match=message):
        settle(device, **settings)


def test_on_rocm_a_run_is_padded_and_in_full_precision(precisions, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert settle("cuda") == Execution("padded") and precisions == []


def test_packed_on_a_gpu_says_what_it_is(precisions, monkeypatch):
    said = []
    monkeypatch.setattr(execution, "say", said.append)
    settle("cuda", execution="packed")
    assert "has not been measured" in said[-1] and "memory-efficient one in fp32" in said[-1]
    settle("cpu", execution="packed")
    assert len(said) == 2  # the form and its products, and the note


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"processes": 2}, "several processes"),
        ({"gradient_accumulation_steps": 2}, "several batches make up an update"),
        ({"precision": "fp16"}, "fp16"),
        ({"execution": "padded"}, "few shapes"),
    ],
)
def test_graphs_are_left_out_with_a_line(settings, reason, precisions, monkeypatch):
    said = []
    monkeypatch.setattr(execution, "say", said.append)
    assert not settle("cuda", cuda_graphs=True, **settings).cuda_graphs
    assert [line for line in said if "--cuda_graphs" in line and reason in line]


@pytest.fixture(scope="module")
def bucketed(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bucketed") / "out"
    assert runs.run_here(*flags, "--execution", "bucketed", "--output_dir", folder) == 0
    return folder


def test_a_bucketed_run_goes_on_as_it_would_have(flags, bucketed, tmp_path, capsys):
    """Dropout included; and in no other form."""
    words = [*flags, "--resume_from_checkpoint", bucketed / "checkpoints" / "step_000008", "--output_dir"]
    assert runs.run_here(*words, tmp_path / "other") == 2
    assert "execution bucketed -> packed" in capsys.readouterr().err
    shutil.copytree(bucketed, tmp_path / "out")
    assert runs.run_here(*words, tmp_path / "new", "--execution", "bucketed") == 0
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == (bucketed / "model.safetensors").read_bytes()


def test_a_run_of_recorded_updates_is_the_run_without(flags, tmp_path, monkeypatch):
    """The loop with recordings, which are made anew when a run goes on; what replays them calls the function again."""

    def record(pool, warm_up, function):
        state = torch.get_rng_state()
        warm_up()
        torch.set_rng_state(state)
        return lambda: replayed.append(1) or function()

    replayed = []
    monkeypatch.setattr(execution, "_settle_graphs", lambda args, *_: args.cuda_graphs)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(recorded, "record_cuda_graph", record)
    words = [*flags, "--execution", "bucketed", "--gradient_accumulation_steps", "1", "--max_train_steps", "16"]
    assert runs.run_here(*words, "--output_dir", tmp_path / "plain") == 0
    words.append("--cuda_graphs")
    assert runs.run_here(*words, "--output_dir", tmp_path / "out") == 0
    assert len(replayed) == 16
    losses = [[row["loss"] for row in runs.log_rows(tmp_path / name)] for name in ("plain", "out")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4) and len(set(losses[0])) == 16
    resumed = ["--resume_from_checkpoint", tmp_path / "out" / "checkpoints" / "step_000008"]
    assert runs.run_here(*words, *resumed, "--output_dir", tmp_path / "again") == 0
    assert len(replayed) == 16 + 8
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "again")]
    assert weights[0] == weights[1]

"""A run that starts from a model of another task: all of it but the classifier, and it says so."""

import json
import shutil

import pytest
import runs
from safetensors.torch import load_file

from glue.cli.arguments import RunArguments
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.training.execution import Execution
from glue.training.model import build_config, load_model, open_checkpoint
from glue.training.setup import set_seed
from sweep.arguments import parse_args
from sweep.points import Point


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert"])
def of_mnli(request, tmp_path_factory):
    """A model of three classes with ContraNorm, as an output folder has it."""
    labels = {
        "num_labels": 3,
        "id2label": {0: "entailment", 1: "neutral", 2: "contradiction"},
        "pos": "1",
        "scale": 0.2,
    }
    return runs.make_checkpoint(tmp_path_factory.mktemp("mnli") / "mnli", request.param, **labels)


def loaded(task, seed=2021, **flags):
    args = RunArguments(task_name=task, max_length=32, seed=seed, **{name: str(value) for name, value in flags.items()})
    with open_checkpoint(args) as checkpoint:
        config, _, settings = build_config(args, checkpoint, GLUE_TASKS[task])
        set_seed(args.seed)
        return load_model(args, checkpoint, config, Execution("packed")), settings


@pytest.mark.parametrize("task", ["rte", "stsb", "mnli"])
def test_the_encoder_is_taken_and_the_classifier_drawn_anew(of_mnli, task):
    """With as many classes too; the method is the checkpoint's, as everywhere."""
    stored, (model, settings) = load_file(of_mnli / "model.safetensors"), loaded(task, init_from=of_mnli)
    base = f"{model.base_model_prefix}."
    for name, tensor in model.state_dict().items():
        assert name.startswith(base) == (name in stored and tensor.equal(stored[name])) or not tensor.any(), name
    assert model.config.num_labels == GLUE_TASKS[task].num_labels
    assert settings.values["pos"] == "1" and settings.origins["scale"] == "checkpoint"
    again, other = (loaded(task, seed, init_from=of_mnli)[0].state_dict() for seed in (2021, 1))
    heads = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(base) and tensor.any()}
    assert heads and all(again[name].equal(tensor) and not other[name].equal(tensor) for name, tensor in heads.items())


def test_the_labels_of_the_other_task_do_not_count(tmp_path):
    """MNLI's own order has no say in RTE's, nor has that of a model of the very same labels."""
    names = {0: "not_entailment", 1: "entailment"}
    model, _ = loaded("rte", init_from=runs.make_checkpoint(tmp_path / "rte", id2label=names))
    assert model.config.id2label == {0: "entailment", 1: "not_entailment"}


def test_a_run_says_where_it_started_and_is_another_one_from_another_model(tmp_path, capsys):
    data = runs.make_data(tmp_path / "glue")
    start = runs.make_checkpoint(tmp_path / "mnli", num_labels=3)
    words = ["--init_from", start, "--data_dir", data, "--task_name", "rte", "--max_length", "32", "--cpu"]
    words += ["--max_train_steps", "2", "--checkpointing_steps", "1", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words) == 0
    assert f"Started from the encoder of {start}, a model of another task" in capsys.readouterr().out
    card, content = ((tmp_path / "out" / name).read_text() for name in ("README.md", "run.json"))
    assert "The checkpoint was trained on another task before: all of it was taken but its classifier" in card
    assert json.loads(content)["arguments"]["init_from"] == str(start)
    whole = (tmp_path / "out" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "out" / "checkpoints" / "step_000002")
    assert runs.run_here(*words, "--resume_from_checkpoint") == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == whole
    runs.make_checkpoint(start, num_labels=3, initializer_range=0.1)
    assert runs.run_here(*words, "--resume_from_checkpoint") == 2
    assert "is of a run with other settings (checkpoint " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model_name_or_path": "some"}, "--init_from and --model_name_or_path exclude each other"),
        ({"do_eval": True}, "--init_from draws a new classifier, and nothing is trained"),
    ],
    ids=str,
)
def test_what_does_not_go_with_it(flags, message):
    with pytest.raises(UsageError, match=message):
        RunArguments(task_name="rte", init_from="mnli", **flags)


def test_in_a_sweep_it_takes_the_place_of_the_presets_model(tmp_path):
    words = ["--preset", "comparison", "--init_from", "some/mnli", "--output_dir", str(tmp_path / "sweep")]
    choices = parse_args([*words, "--log_dir", str(tmp_path / "log")]).choices
    assert "model_name_or_path" not in choices and choices["init_from"] == ["some/mnli"]
    point = Point.of({"task_name": "rte", "init_from": "some/mnli"})
    assert point.words == ["--init_from", "some/mnli", "--seed", "2021", "--task_name", "rte"]
    assert point.key != Point.of({"task_name": "rte", "model_name_or_path": "some/mnli"}).key

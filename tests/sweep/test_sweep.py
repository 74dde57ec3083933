"""The command line of a sweep, its points, its results file, and who may run what."""

import json
import os
import subprocess
import sys
from multiprocessing import get_context

import optuna
import pytest
import runs
import stub_sweeps
import sweep_rows

from glue.errors import UsageError
from glue.output.manifest import Manifest, record
from sweep import study as states
from sweep import worker
from sweep.arguments import parse_args
from sweep.plan import Plan
from sweep.points import Point
from sweep.points import grid as flags_of_grid
from sweep.results import append_results, newest, read_results, result_row
from transformers.methods import METHODS, all_knobs


def grid(choices):
    """The points of a grid, each once."""
    return list(dict.fromkeys(map(Point.of, flags_of_grid(choices))))


def parsed(*words, tmp_path):
    return parse_args([*map(str, words), "--output_dir", str(tmp_path / "sweep"), "--log_dir", str(tmp_path / "log")])


def test_a_grid_of_the_command_line(tmp_path):
    words = ["--task_name", "rte", "cola", "--scale", 0, 0.005, 0.01, "--pos", 7, 17, "--seed", 1, 2, 3, "--demo"]
    points = grid(parsed(*words, tmp_path=tmp_path).choices)
    # The plain model has no position: 2 tasks, 3 seeds, and 1 plain setting and 2 times 2 others.
    assert len(points) == len({point.key for point in points}) == len({point.name for point in points}) == 2 * 3 * 5
    assert [point["seed"] for point in points] == [1] * 10 + [2] * 10 + [3] * 10
    assert sum(point.is_plain for point in points) == 6
    assert all(point["pos"] is point["scale"] is None for point in points if point.is_plain)


def test_any_flag_of_a_run_is_passed_on_or_swept(tmp_path):
    words = ["--demo", "--task_name", "rte", "--learning_rate", "1e-5", "1e-4", "--max_grad_norm", "1", "--use_v2"]
    points = grid(parsed(*words, "--scale", "-0.1", tmp_path=tmp_path).choices)
    assert sorted(point["learning_rate"] for point in points) == [1e-5, 1e-4]
    assert points[0]["method"] == "contranorm_v2"
    assert all(point["max_grad_norm"] == 1 and point["scale"] == -0.1 for point in points)


@pytest.mark.parametrize("scale", [0.1, "0.1,0.2"])
def test_the_words_of_a_point_are_read_back_as_its_flags(scale, tmp_path):
    from glue.cli.arguments import parse_args as parse_run

    (choice,) = parse_args(["--scale", str(scale), "--output_dir", str(tmp_path / "sweep")]).choices["scale"]
    assert choice == scale
    flags = {"demo": True, "task_name": "rte", "scale": scale, "pos": "17", "use_v2": False, "learning_rate": 3e-5}
    args = parse_run(Point.of(flags).words)
    expected = {**flags, "use_v2": None, "method": "contranorm", "seed": 2021}
    assert {name: getattr(args, name) for name in expected} == expected


def test_columns_of_own_files_are_one_value(tmp_path):
    files = stub_sweeps.own_files(tmp_path)
    (point,) = grid(parsed(*files, "--text_column_names", "sentence,label", tmp_path=tmp_path).choices)
    assert point["text_column_names"] == "sentence,label" and "sentence,label" in point.words
    assert point.settings["text_column_names"] == ("sentence", "label")


@pytest.mark.parametrize(
    ("name", "count", "models", "positions"), [("paper-bert", 63, "bert", 1), ("paper-albert", 215, "albert", 7)]
)
def test_presets(tmp_path, name, count, models, positions):
    """Nine tasks with 6 scales and the plain model; five tasks with 7 positions of 6 scales, and the plain model."""
    seeds = parsed("--preset", name, tmp_path=tmp_path).choices["seed"]
    assert len(seeds) >= 5 and seeds[0] == 2021
    points = grid(parsed("--preset", name, "--seed", 2021, tmp_path=tmp_path).choices)
    assert len(points) == count
    recipe = [("learning_rate", 2e-5), ("num_train_epochs", 5), ("per_device_train_batch_size", 32), ("seed", 2021)]
    assert all(point.settings[flag] == value for point in points for flag, value in recipe)
    assert all(point["model_name_or_path"].startswith(models) for point in points)
    words = ["--preset", name, "--task_name", "rte", "--scale", 0, 0.1, "--seed", 1]
    assert len(grid(parsed(*words, tmp_path=tmp_path).choices)) == 1 + positions


def test_the_comparison_has_every_method_in_its_own_setting_beside_the_plain_model(tmp_path):
    points = grid(parsed("--preset", "comparison", tmp_path=tmp_path).choices)
    of_one = [point for point in points if (point.task, point["seed"]) == ("rte", 1)]
    assert [point["method"] for point in of_one] == ["none", *METHODS]
    assert all(point["pos"] is None and all(point[knob] is None for knob in all_knobs()) for point in points)
    seeds = {point["seed"] for point in points}
    assert len(seeds) >= 5 and len(points) == 2 * len(seeds) * len(of_one)
    two = grid(parsed("--preset", "comparison", "--method", "none", "gfsa", tmp_path=tmp_path).choices)
    assert {point["method"] for point in two} == {"none", "gfsa"}


def test_the_depths_have_a_plain_model_for_each_method_and_scale(tmp_path):
    points = grid(parsed("--preset", "depth", tmp_path=tmp_path).choices)
    seeds = {point["seed"] for point in points}
    assert len(seeds) >= 5 and len(points) == len(seeds) * 2 * 3 * (1 + 2 * 4)
    assert {point["num_hidden_layers"] for point in points} == {12, 24, 48}
    assert {point.settings["learning_rate"] for point in points} == {
        1e-3
    }  # the demo's, for weights that begin at random


@pytest.mark.parametrize("kind", ["yaml", "toml"])
def test_a_grid_from_a_file(tmp_path, kind):
    """The command line replaces what the file says."""
    text = {
        "yaml": "task_name: [rte, cola]\nscale: [0, 0.5]\nseed: 3\ndemo: true\nretries: 4\nkeep_models: false\n",
        "toml": 'task_name = ["rte", "cola"]\nscale = [0, 0.5]\nseed = 3\ndemo = true\nretries = 4\n'
        "keep_models = false\n",
    }
    if kind == "toml" and sys.version_info < (3, 11):
        pytest.skip("Python 3.11 reads TOML")
    path = tmp_path / f"sweep.{kind}"
    path.write_text(text[kind])
    args = parsed("--config_file", path, "--seed", 1, 2, tmp_path=tmp_path)
    assert (args.retries, args.keep_models, args.choices["seed"]) == (4, False, [1, 2])
    assert len(grid(args.choices)) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--scale", "0.1:0.2"], "--scale 0.1:0.2: a range needs --sampler"),
        (
            ["--scale", "0.2:0.1", "--sampler", "tpe", "--n_trials", 2],
            "argument --scale: '0.2:0.1' is no range: expected",
        ),
        (["--seed", "1:3"], "argument --seed: invalid int value: '1:3'"),
        (["--sampler", "tpe"], "--sampler tpe needs --n_trials"),
        (["--n_trials", 3], "--n_trials 3: expected with --sampler random or tpe"),
        (["--n_trials", 0, "--sampler", "tpe"], "--n_trials 0: expected 1 or more"),
        (["--sampler", "tpe", "--n_trials", 3, "--task_name", "rte", "cola"], "give it one task"),
        (["--prune", "--task_name", "rte", "cola"], "--prune compares the scores of runs: give it one task"),
        (["--scale", 0.1, 0.1], "--scale: a value is given twice"),
        (["--device", "gpu"], "--device gpu: expected the index of a GPU, cpu or auto"),
        (["--retries", -1], "--retries -1: expected 0 or more"),
        (["--checkpointing_steps", 0], "--checkpointing_steps 0: expected 1 or more"),
        (["--config_file", "nowhere.yaml"], "--config_file nowhere.yaml: No such file or directory"),
        (["--use_v2", "maybe"], "argument --use_v2: invalid choice: 'maybe'"),
        (["--cpu"], "unrecognized arguments: --cpu"),
        (["--preset", "paper"], "argument --preset: invalid choice: 'paper'"),
    ],
)
def test_wrong_command_lines(tmp_path, capsys, words, expected):
    with pytest.raises(SystemExit) as stop:
        parsed(*words, tmp_path=tmp_path)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and expected in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "content", ["- 1\n", "scale: {a: 1}\n", "unknown: 1\n", "scale: [", "scale: x\n", "seed:\n\t- 1\n"]
)
def test_wrong_files(tmp_path, capsys, content):
    path = tmp_path / "sweep.yaml"
    path.write_text(content)
    with pytest.raises(SystemExit) as stop:
        parsed("--config_file", path, tmp_path=tmp_path)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "\\n" not in error


def test_values_of_a_file_are_taken_as_they_are_written(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "model_name_or_path: [no, off, 1e3]\npos: 17\nlearning_rate: 1e-5\ntask_name: rte\nseed: [010, 2]\n"
    )
    choices = parsed("--config_file", path, tmp_path=tmp_path).choices
    assert choices["model_name_or_path"] == ["no", "off", "1e3"] and choices["pos"] == ["17"]
    assert choices["learning_rate"] == [1e-5] and choices["seed"] == [10, 2]


def test_a_plain_model_is_one_point_however_it_is_asked_for():
    flags = {"demo": True, "task_name": "rte"}
    plain = [{"scale": 0.0, "pos": "7"}, {"pos": "NONE"}, {"pos": "none"}, {"pos": "0"}, {"scale": 0.0, "tau": 2.0}]
    assert len({Point.of({**flags, **knobs}) for knobs in plain}) == 1
    assert Point.of({**flags, "pos": "71"}) == Point.of({**flags, "pos": "17"}) != Point.of({**flags, "pos": "7"})


def test_methods_are_swept_each_with_its_own_knobs():
    """A knob that another method has makes no further points; no method, or one without effect, is the plain model."""
    shared = {"demo": [True], "task_name": ["rte"], "pos": ["7"]}
    methods = ["contranorm", "centering", "none"]
    points = grid({**shared, "method": methods, "scale": [0.0, 0.1], "tau": [1.0, 2.0]})
    knobs = [(point["method"], point["scale"], point["tau"]) for point in points]
    assert knobs == [
        ("none", None, None),
        ("contranorm", 0.1, 1.0),
        ("contranorm", 0.1, 2.0),
        ("centering", 0.1, None),
    ]
    with pytest.raises(UsageError, match="centering has no such knob"):
        grid({**shared, "method": ["centering"], "tau": [1.0]})
    by_alias, by_name = ({"demo": True, "use_v2": True}, {"demo": True, "method": "contranorm_v2"})
    assert Point.of(by_alias) == Point.of(by_name)


def test_what_a_run_does_by_itself_may_be_said(tmp_path):
    """A value given that is the default is the same point, but for the demo, which has defaults of its own."""
    flags = {"model_name_or_path": "some", "task_name": "rte"}
    assert Point.of(flags).key == Point.of({**flags, "learning_rate": 2e-5}).key
    demo = {"demo": True}
    assert Point.of(demo).key != Point.of({**demo, "learning_rate": 2e-5}).key
    assert Point.of(demo).key == Point.of({**demo, "learning_rate": 1e-3, "do_predict": True}).key


def test_a_point_that_cannot_be_run_is_an_error_before_anything_starts(tmp_path, capsys):
    import run_sweep

    words = ["--demo", "--task_name", "rte", "--scale", "0.1", "--pos", "9", "--output_dir", str(tmp_path / "sweep")]
    assert run_sweep.main(words) == 2
    assert "run_sweep.py: error: --pos" in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


def test_results_are_added_once_also_after_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "results.jsonl"
    first, second = sweep_rows.row(seed=1), sweep_rows.row(seed=2)
    append_results(path, [first])
    with path.open("a") as file:
        file.write(json.dumps(second)[:50])
    append_results(path, [first, second])
    append_results(path, [second])
    assert read_results(path) == [first, second]
    newer = {**first, "id": "another attempt", "score": 0.1}
    append_results(path, [newer])
    assert newest(read_results(path)) == [newer, second]


def test_a_loss_that_is_no_number_is_in_no_mean(tmp_path):
    (tmp_path / "train_log.jsonl").write_text(
        '{"step": 1, "loss": 0.5, "examples_per_second": 9}\n{"step": 2, "loss": null, "examples_per_second": 9}\n'
    )
    point = Point.of({"demo": True, "metric_for_best_model": "loss"})
    row = result_row("id", point, tmp_path, "diverged", "the loss is nan", 1.0, 1)
    assert row["losses"] == [[1, 0.5]] and row["method"] == "contranorm"


@pytest.mark.parametrize(
    ("predictions", "kept"),
    [
        ({"validation": [1, 0, 2]}, [1, 0, 2]),
        ({"matched": [0] * 1500, "mismatched": [1] * 1500}, [0] * 500 + [1] * 500),
        ({"validation": [2.34567, 3.0]}, [2.35, 3.0]),
        (None, []),
    ],
    ids=["classes", "two splits", "scores", "none"],
)
def test_a_row_has_the_predictions_or_some_of_many(tmp_path, predictions, kept):
    if predictions is not None:
        (tmp_path / "eval_predictions.json").write_text(json.dumps(predictions))
    point = Point.of({"demo": True})
    assert result_row("id", point, tmp_path, "finished", "", 1.0, 1)["predictions"] == kept


def _append(path, seed):
    append_results(path, [sweep_rows.row(seed=seed)])


def test_results_of_several_processes_at_once(tmp_path):
    path, context = tmp_path / "results.jsonl", get_context("fork")
    writers = [context.Process(target=_append, args=(path, seed)) for seed in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert sorted(row["seed"] for row in read_results(path)) == list(range(8))


@pytest.fixture
def asked(tmp_path):
    return Plan(parsed("--demo", "--task_name", "rte", "--scale", 0, 0.1, tmp_path=tmp_path))


@pytest.fixture
def study(asked):
    study = states.open_study(asked)
    states.enqueue(study, asked, [])
    return study


def test_points_wait_once(study, asked):
    plan = asked
    assert len(study.trials) == 2 and states.has_work(study, plan)
    assert states.enqueue(states.open_study(plan), plan, []) == 0


def test_the_file_of_a_study_is_one_of_optuna(study, asked):
    """As `optuna-dashboard sqlite:///FOLDER/study.db` opens it."""
    url = f"sqlite:///{asked.args.output_dir}/study.db"
    (summary,) = optuna.get_all_study_summaries(url)
    assert summary.study_name == asked.study_name and summary.n_trials == 2
    assert all(
        "flags" in trial.user_attrs for trial in optuna.load_study(study_name=asked.study_name, storage=url).trials
    )


def test_a_point_that_two_had_started_is_run_by_the_first(study, asked):
    """Both looked at the same moment, and neither saw the other's."""
    plan = asked
    study.enqueue_trial({}, user_attrs=study.trials[0].user_attrs)
    first, _, third = study.ask(), study.ask(), study.ask()
    assert not states.is_surplus(study, plan, first)
    assert states.is_surplus(study, plan, third)
    assert states.is_surplus(study, plan, study.ask())  # nothing waits: one without a point


def test_a_worker_that_died_gives_its_point_back(study, asked, monkeypatch):
    """One that counts on keeps its own. It is measured in time that passes here: no step of the clock ends a worker."""
    now, seen = 1000.0, {}
    monkeypatch.setattr(states.time, "monotonic", lambda: now)
    dead, living = study.ask(), study.ask()
    states.bury_the_dead(study, seen)
    for count in (1, 2):
        now += states.PATIENCE - 1
        living.set_user_attr("count", count)
        dead.set_user_attr("count", 1)
        states.bury_the_dead(study, seen)
        assert not states.has_work(study, asked)
    now += 2
    states.bury_the_dead(study, seen)
    states.bury_the_dead(study, seen)
    assert len(study.get_trials(states=[optuna.trial.TrialState.WAITING])) == 1
    again = study.ask()
    assert again.user_attrs["flags"] == dead.user_attrs["flags"] and not states.is_surplus(study, asked, again)


def test_what_a_run_did_not_list_is_not_cleaned_up(tmp_path):
    """Checkpoints and weights go that the run's own list names, as it left them, and nothing else."""
    manifest = Manifest(tmp_path)
    for name in ("step_000001", "step_000002"):
        checkpoint = tmp_path / "checkpoints" / name
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights").write_text(name)
        manifest.claim(whole={f"checkpoints/{name}/{file}": noted for file, noted in record(checkpoint).items()})
    weights = tmp_path / "model.safetensors"
    manifest.claim(weights.name)
    weights.write_text("weights")
    manifest.close()
    (tmp_path / "checkpoints" / "step_000002" / "notes").write_text("mine")
    worker.clean(tmp_path, keep_model=True)
    left = [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "checkpoints").glob("*/*")]
    assert weights.exists() and left == ["checkpoints/step_000002/notes"]
    weights.write_text("mine")
    worker.clean(tmp_path, keep_model=False)
    assert weights.exists()
    (tmp_path / "checkpoints" / "step_000002" / "notes").unlink()
    manifest.claim(weights.name)
    worker.clean(tmp_path, keep_model=False)
    assert not weights.exists() and not (tmp_path / "checkpoints").exists()


def test_an_unreachable_database_is_one_line_without_the_password(tmp_path, capsys):
    import run_sweep

    words = ["--demo", "--scale", "0", "--storage", "postgresql+psycopg://me:secret@127.0.0.1:1/x?connect_timeout=2"]
    assert run_sweep.main([*words, "--output_dir", str(tmp_path / "sweep"), "--log_dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("run_sweep.py: error: --storage postgresql+psycopg://me@127.0.0.1:1/x")
    assert "secret" not in error and error.count("\n") == 1


def test_a_damaged_record_of_a_sweep_is_named(tmp_path, capsys):
    import run_sweep

    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "study.db").write_bytes(b"no database")
    words = ["--model_name_or_path", "demo", "--demo", "--task_name", "rte", "--scale", "0", "--device", "cpu"]
    assert run_sweep.main([*words, "--output_dir", str(tmp_path / "sweep"), "--log_dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"run_sweep.py: error: {tmp_path}/sweep/study.db cannot be read as the sweep's own record" in error
    assert (tmp_path / "sweep" / "study.db").read_bytes() == b"no database"


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("run_sweep", ("--n_trials", "--learning_rate")),
        ("run_report", ("--title",)),
        ("run_oversmoothing", ("--names", "--attentions")),
    ],
)
def test_help_is_quick_and_pulls_in_nothing_heavy(script, flags):
    code = f"import sys, {script} as script\ntry: script.main(['--help'])\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'optuna', 'numpy', 'matplotlib', 'sqlalchemy', 'yaml'} & set(sys.modules)\n"
    code += "assert not heavy, heavy"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=runs.ROOT, capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert result.returncode == 0, result.stderr
    assert all(flag in result.stdout for flag in flags)

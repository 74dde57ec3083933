"""Sweeps that really run: killed, stopped, failing, shared between commands, and searching."""

import json
import signal
import subprocess
import sys

import optuna
import psutil
import pytest
import runs
from postgres import Postgres

from sweep.arguments import parse_args
from sweep.plan import Plan
from sweep.points import Point
from sweep.results import newest, read_results
from sweep.study import open_study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("sweeps")]


@pytest.fixture(autouse=True)
def _start_quickly(quick, monkeypatch):
    monkeypatch.setattr(Sweep, "python", quick)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The flags that all points share: a run of 18 updates in 3 epochs."""
    folder = tmp_path_factory.mktemp("inputs")
    checkpoint, data = runs.make_checkpoint(folder / "checkpoint"), runs.make_data(folder / "glue")
    flags = ["--model_name_or_path", checkpoint, "--data_dir", data, "--max_length", 32]
    return [*flags, "--per_device_train_batch_size", 4, "--learning_rate", 0.01]


# The command, which takes a worker for dead sooner than it does elsewhere.
MAIN = """
import sys
import run_sweep
from sweep import study
sys.executable, study.BEAT, study.PATIENCE = {!r}, 0.5, 10.0
sys.exit(run_sweep.main())
"""


class Sweep:
    """A sweep in a folder, as a command that can be started again and killed."""

    python = sys.executable

    def __init__(self, folder, *words):
        self.folder = folder
        self.words = [*map(str, words), "--output_dir", str(folder / "sweep"), "--log_dir", str(folder / "outlog")]

    def start(self, has_children=False):
        """Start the command; its runs are children of the process that is known here only where that is asked for."""
        command = [sys.executable if has_children else self.python, "-c", MAIN.format(self.python)]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *self.words], cwd=runs.ROOT, env=runs.environment(), stdout=output, stderr=subprocess.STDOUT
            )
        return self

    def wait(self):
        return self.process.wait(timeout=500)

    @property
    def rows(self):
        return newest(read_results(self.folder / "sweep" / "results.jsonl"))

    @property
    def output(self):
        return (self.folder / "output").read_text()

    def children(self):
        """The runs that the command has started."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def wait_until(self, happened):
        runs.wait_until(happened, self.process)

    def runs_after_another_row(self):
        """Wait for a run to end; returns the children that run others."""
        done, found = len(self.rows), []

        def happened():
            found[:] = self.children()
            return found and len(self.rows) > done

        self.wait_until(happened)
        return found


def result_of(row):
    """What a run's row says about its training, clocks aside."""
    return {
        name: row[name] for name in ("status", "score", "best_score", "best_epoch", "history", "losses", "degenerate")
    }


def test_a_grid_that_is_killed_again_and_again_ends_as_one_that_is_not(inputs, tmp_path):
    """9 points, two workers: a run is killed, then all processes, then both once more."""
    grid = ["--task_name", "rte", "--scale", 0, 0.05, 0.2, "--pos", 7, "--seed", 1, 2, 3]
    sweep = Sweep(tmp_path, *inputs, *grid, "--device", "cpu", "cpu")
    for _ in range(2):
        sweep.start(has_children=True)
        sweep.runs_after_another_row()[0].kill()
        everyone = [psutil.Process(sweep.process.pid), *sweep.runs_after_another_row()]
        for process in everyone:
            if process.is_running():
                process.kill()
        sweep.process.wait(30)
        psutil.wait_procs(everyone, timeout=30)
    sweep.start()
    assert sweep.wait() == 0, sweep.output
    lines = (tmp_path / "sweep" / "results.jsonl").read_text().splitlines()
    points = [json.loads(line)["point"] for line in lines]
    assert len(points) == len(set(points)) == 9
    assert "9 finished, 0 failed, 0 missing" in sweep.output
    # A grid that nobody disturbs, in this process.
    for row in sweep.rows:
        folder = tmp_path / "undisturbed" / row["folder"]
        point = Point.of(row["flags"])
        assert runs.run_here(*point.words, "--output_dir", folder, "--cpu") == 0
        results = json.loads((folder / "all_results.json").read_text())
        assert row["history"] == results["history"] and row["score"] == results[f"eval_{row['main_metric']}"]
        assert [entry[1] for entry in row["losses"]] == pytest.approx(
            [entry["loss"] for entry in runs.log_rows(folder)], rel=1e-5
        )
        mine = tmp_path / "sweep" / row["folder"]
        assert (mine / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
        assert not (mine / "checkpoints").exists()
    assert (tmp_path / "sweep" / "report.html").exists()
    # Once more: nothing is left to do.
    before = (tmp_path / "sweep" / "results.jsonl").read_bytes()
    assert sweep.start().wait() == 0
    assert (tmp_path / "sweep" / "results.jsonl").read_bytes() == before
    assert "9 runs, 9 of them done before, 0 new" in sweep.output


def test_a_stopped_sweep_goes_on_in_the_middle_of_a_run(inputs, tmp_path):
    """Stopped by one signal, and then by another."""
    sweep = Sweep(
        tmp_path, *inputs, "--task_name", "rte", "--scale", 0, 0.1, "--num_train_epochs", 20, "--device", "cpu"
    )

    def epochs():
        return sum(len(log.read_text().splitlines()) for log in (tmp_path / "sweep").glob("*/eval_log.jsonl"))

    for number in (signal.SIGINT, signal.SIGTERM):
        before = epochs()
        sweep.start()
        sweep.wait_until(lambda before=before: epochs() > before)
        sweep.process.send_signal(number)
        assert sweep.wait() == 128 + number, sweep.output
        assert "interrupted: start the same command again to go on" in sweep.output
        assert not sweep.rows and list((tmp_path / "sweep").glob("*/checkpoints/step_*"))
        (tmp_path / "output").write_text("")
    assert sweep.start().wait() == 0, sweep.output
    assert len(sweep.rows) == 2 and all(len(row["history"]) == 20 for row in sweep.rows)
    assert "".join(log.read_text() for log in (tmp_path / "outlog").iterdir()).count("Continuing") == 2


def test_diverged_and_failed_points_are_reported(inputs, tmp_path):
    """One diverges, one fails twice, one is well; a later command tries only the failed one again."""
    words = [*inputs, "--task_name", "rte", "--device", "cpu", "--num_train_epochs", 1, "--retries", 1]
    words[words.index("--learning_rate") : words.index("--learning_rate") + 2] = ["--learning_rate", 0.01, "1e30"]
    words += ["--num_hidden_layers", 1, 2]
    sweep = Sweep(tmp_path, *words, "--scale", 0)
    sweep.start()
    assert sweep.wait() == 0, sweep.output
    assert sorted(row["status"] for row in sweep.rows) == ["diverged", "diverged", "finished", "finished"]
    assert all(
        "the loss is" in row["problem"] or "no finite" in row["problem"] or row["problem"]
        for row in sweep.rows
        if row["status"] == "diverged"
    )
    failing = Sweep(tmp_path, *inputs, "--task_name", "rte", "--num_hidden_layers", 3, "--scale", 0, "--device", "cpu")
    assert failing.start().wait() == 1
    failed = [row for row in failing.rows if row["status"] == "failed"]
    assert len(failed) == 1 and failed[0]["attempt"] == 2 and "layers" in failed[0]["problem"]
    assert "1 failed" in failing.output and "failed: rte plain seed 2021" in failing.output
    report = (tmp_path / "sweep" / "report.md").read_text()
    assert "0 diverged, 1 failed" in report  # of what was asked for last


def test_a_run_that_falls_behind_is_pruned(inputs, tmp_path):
    """Behind three trials that had a perfect score after every epoch of both seeds."""
    words = [*inputs, "--task_name", "rte", "--scale", "0.001:0.5", "--num_train_epochs", 40, "--seed", 1, 2]
    sweep = Sweep(tmp_path, *words, "--sampler", "random", "--n_trials", 4, "--prune", "--device", "cpu")
    plan = Plan(parse_args(sweep.words))
    study = open_study(plan)
    perfect = {first + epoch: 1.0 for first in (0, 100_000) for epoch in range(1, 41)}
    for scale in (0.01, 0.02, 0.03):
        study.add_trial(
            optuna.trial.create_trial(
                params={"scale": scale},
                distributions={"scale": optuna.distributions.FloatDistribution(0.001, 0.5, log=True)},
                value=1.0,
                intermediate_values=perfect,
                user_attrs={"end": "finished"},
            )
        )
    sweep.start().wait()
    (row,) = sweep.rows  # the first seed is stopped, the second one not begun
    assert row["status"] == "pruned" and 1 <= len(row["history"]) < 40, sweep.output
    assert "1 pruned" in sweep.output


def test_a_search(inputs, tmp_path):
    """Scales are drawn from a range; every trial runs both seeds."""
    words = [*inputs, "--task_name", "rte", "--scale", "0.001:0.5", "--seed", 1, 2, "--sampler", "tpe", "--n_trials", 2]
    sweep = Sweep(tmp_path, *words, "--device", "cpu", "--no-keep_models")
    assert sweep.start().wait() == 0, sweep.output
    scales = {row["flags"]["scale"] for row in sweep.rows}
    assert len(sweep.rows) == 4 and len(scales) == 2 and all(0.001 <= scale <= 0.5 for scale in scales)
    assert not list((tmp_path / "sweep").glob("*/model.safetensors"))
    assert sweep.start().wait() == 0
    assert len(sweep.rows) == 4


def test_commands_share_a_grid_in_postgresql(inputs, tmp_path):
    """Two commands with nothing in common but the database: each point is run once, and both know all results."""
    with Postgres() as server:
        grid = [*inputs, "--task_name", "rte", "--scale", 0, 0.05, "--seed", 1, 2, "--num_train_epochs", 1]
        shared = ["--storage", server.url, "--study_name", "shared", "--device", "cpu"]
        folders = [tmp_path / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        sweeps = [Sweep(folder, *grid, *shared).start() for folder in folders]
        for sweep in sweeps:
            assert sweep.wait() == 0, sweep.output
        keys = [{row["point"] for row in sweep.rows} for sweep in sweeps]
        assert keys[0] == keys[1] and len(keys[0]) == 4
        ran = [sum(1 for _ in (folder / "sweep").glob("*/all_results.json")) for folder in folders]
        assert sum(ran) == 4
        ids = [{row["id"] for row in sweep.rows} for sweep in sweeps]
        assert ids[0] == ids[1] and all(len(sweep.rows) == 4 for sweep in sweeps)
        # A third one is killed with its worker; the fourth one ends what it had begun.
        more = [word if word != 0.05 else 0.3 for word in grid]
        third = Sweep(folders[0], *more, *shared).start(has_children=True)
        third.wait_until(third.children)
        for process in [psutil.Process(third.process.pid), *third.children()]:
            process.kill()
        third.process.wait(30)
        fourth = Sweep(folders[1], *more, *shared)
        assert fourth.start().wait() == 0, fourth.output
        assert len(fourth.rows) == 6 and "4 finished, 0 failed, 0 missing" in fourth.output

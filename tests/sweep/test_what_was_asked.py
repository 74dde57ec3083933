"""What was asked for is what is run, counted and reported, whatever else a folder holds. The runs are stubs."""

import json
import shutil
import signal

import optuna
import pytest
from stub_sweeps import StubSweep, own_files

from glue.errors import UsageError
from sweep import worker
from sweep.arguments import parse_args
from sweep.plan import Plan
from sweep.results import newest
from sweep.study import open_study

DEMO = ["--demo", "--task_name", "rte"]
SEARCH = [*DEMO, "--scale", "0.01:0.5", "--sampler", "random", "--n_trials", 3]


@pytest.fixture
def sweep(monkeypatch, capsys, tmp_path):
    return StubSweep(monkeypatch, capsys, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        ["--learning_rate", 1e-2],
        ["--num_train_epochs", 7],
        ["--task_name", "mrpc"],
        ["--scale", "0.01:0.1"],
        ["--pos", "1", "7"],
    ],
    ids=lambda words: words[0][2:],
)
def test_another_search_goes_beside_the_first(sweep, change):
    assert sweep.run(*SEARCH)[0] == 0
    words = [*SEARCH, *change] if change[0] not in SEARCH else _replaced(SEARCH, *change)
    status, output = sweep.run(*words)
    assert status == 0 and "3 runs, 0 of them done before" in output and "3 finished, 0 failed, 0 missing" in output
    assert len(sweep.rows) == 6 and "Runs of other sweeps in this folder, not counted here: 3" in output
    assert "3 runs of" in sweep.report()
    # Each goes on by itself: nothing is left to do.
    assert "3 runs, 3 of them done before, 0 new" in sweep.run(*SEARCH)[1]
    assert len(sweep.rows) == 6


def _replaced(words, name, value):
    place = words.index(name)
    return [*words[: place + 1], value, *words[place + 2 :]]


def test_another_grid_counts_its_own_points_alone(sweep):
    """Foreign rows hide no missing run, and a foreign failure spoils nothing."""
    assert sweep.run(*DEMO, "--scale", 0, 0.1, "--seed", 1, 2)[0] == 0
    status, output = sweep.run(*DEMO, "--num_hidden_layers", 3, "--retries", 0)
    assert status == 1 and "0 finished, 1 failed, 0 missing" in output and "no such layer" in output
    status, output = sweep.run(*DEMO, "--scale", 0, 0.2, "--seed", 1, 2)
    assert (
        status == 0 and "4 runs, 2 of them done before, 2 new" in output and "4 finished, 0 failed, 0 missing" in output
    )
    assert "4 runs of" in sweep.report() and "0 failed" in sweep.report()


def test_a_run_that_is_missing_is_missed_beside_others(sweep, monkeypatch):
    assert sweep.run(*DEMO, "--scale", 0, 0.1, "--seed", 1, 2)[0] == 0
    import run_sweep

    monkeypatch.setattr(run_sweep, "work", lambda *_: None)  # nobody works
    status, output = sweep.run(*DEMO, "--scale", 0, 0.2, "--seed", 1)
    assert status == 1 and "1 finished, 0 failed, 1 missing" in output
    assert "2 runs, 1 to do" in sweep.run(*DEMO, "--scale", 0, 0.2, "--seed", 1, "--dry_run")[1]
    status, output = sweep.run(*SEARCH)
    assert status == 1 and "0 finished, 0 failed, 3 missing" in output


@pytest.mark.slow
def test_a_further_seed_is_run_with_what_was_drawn(sweep):
    assert sweep.run(*SEARCH, "--seed", 1)[0] == 0
    status, output = sweep.run(*SEARCH, "--seed", 1, 2)
    assert (
        status == 0 and "6 runs, 3 of them done before, 3 new" in output and "6 finished, 0 failed, 0 missing" in output
    )
    drawn = {(row["flags"]["scale"], row["seed"]) for row in sweep.rows}
    assert len(drawn) == 6 and len({scale for scale, _ in drawn}) == 3
    assert "6 runs, 6 of them done before, 0 new" in sweep.run(*SEARCH, "--seed", 2, 1)[1]
    more = _replaced(SEARCH, "--n_trials", 4)
    assert "8 finished, 0 failed, 0 missing" in sweep.run(*more, "--seed", 1, 2)[1]


def test_a_point_that_is_drawn_twice_counts(sweep):
    words = [*DEMO, "--scale", 0.1, 0.2, "--sampler", "random", "--n_trials", 5]
    status, output = sweep.run(*words)
    assert status == 0 and "5 finished, 0 failed, 0 missing" in output
    assert len(newest(sweep.rows)) <= 2


@pytest.mark.slow
def test_new_data_are_not_done(sweep, tmp_path):
    """The same words and the same file name, with other labels in it."""
    words = [*own_files(tmp_path), "--scale", 0, 0.1]
    assert sweep.run(*words)[0] == 0
    assert "2 of them done before, 0 new" in sweep.run(*words)[1]
    own_files(tmp_path, labels="baba")
    status, output = sweep.run(*words)
    assert status == 0 and "2 runs, 0 of them done before, 2 new" in output and len(sweep.rows) == 4
    moved = [*own_files(tmp_path / "moved", labels="baba"), "--scale", 0, 0.1]
    assert "2 of them done before, 0 new" in sweep.run(*moved)[1]  # the same data, elsewhere


def test_own_files_named_like_a_task_are_no_task(sweep, tmp_path):
    assert sweep.run(*own_files(tmp_path, "mrpc.csv"), "--scale", 0)[0] == 0
    (row,) = sweep.rows
    assert (row["task"], row["main_metric"], row["score"]) == ("mrpc.csv", "accuracy", 0.9)  # MRPC's is F1


@pytest.mark.parametrize("column", ["score", "label"])
def test_data_that_do_not_fit_are_one_line_at_the_start(sweep, tmp_path, column):
    words = own_files(tmp_path)
    if column == "label":
        status, output = sweep.run(*words[:2], *words[4:])
        assert "a sweep compares scores: give --validation_file" in output
    else:
        (tmp_path / "train.csv").write_text("sentence,score\nwords,1\n")
        status, output = sweep.run(*words)
    assert status == 2 and output.count("\n") == 1 and not sweep.folder.exists()


def test_the_lowest_loss_is_the_best(sweep):
    """It is minimised, crowned, and printed as the number that it is."""
    words = [*DEMO, "--metric_for_best_model", "loss"]
    assert sweep.run(*words, "--scale", 0, 0.1, 0.2, "--seed", 1, 2, 3)[0] == 0
    assert {row["main_metric"] for row in sweep.rows} == {"loss"}
    assert {round(row["best_score"], 6) for row in sweep.rows} == {0.1, 0.15, 0.2}
    assert "| plain | 0.1000 ± 0.0000 |" in sweep.report() and "| best for each task | 0.1500" in sweep.report()
    plan = Plan(parse_args([*map(str, [*SEARCH, *words[3:]]), *sweep.words]))
    assert open_study(plan).direction == optuna.study.StudyDirection.MINIMIZE


def test_scores_of_several_kinds_are_not_compared(sweep):
    status, output = sweep.run(*SEARCH, "--metric_for_best_model", "loss", "accuracy")
    assert status == 2 and output.count("error: ") == 1 and "accuracy, loss" in output and "Traceback" not in output


@pytest.mark.parametrize("regression", [False, True])
def test_pruning_looks_at_the_metric_of_own_files(sweep, tmp_path, monkeypatch, regression):
    seen = []
    monkeypatch.setattr(worker, "scores_so_far", lambda folder, metric: seen.append(metric) or [])
    labels = ["0.5", "1.5", "2.5", "3.5"] if regression else "abab"
    assert sweep.run(*own_files(tmp_path, labels=labels), "--prune", "--scale", 0)[0] == 0
    assert set(seen) == {"spearmanr" if regression else "accuracy"}


def test_a_killed_run_says_so(sweep):
    status, output = sweep.run(*DEMO, "--num_hidden_layers", 4, "--retries", 0)
    assert status == 1 and "killed by SIGKILL; perhaps the machine was out of memory" in output
    assert [row["problem"].partition(";")[0] for row in sweep.rows] == ["killed by SIGKILL"]


def test_a_folder_with_signs_of_urls_in_its_name(monkeypatch, capsys, tmp_path):
    sweep = StubSweep(monkeypatch, capsys, tmp_path / "what? 100% #1")
    assert sweep.run(*DEMO, "--scale", 0)[0] == 0
    assert (sweep.folder / "study.db").stat().st_size and "1 of them done before" in sweep.run(*DEMO, "--scale", 0)[1]


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["results.jsonl", "study.db", "both", "a run", "edited"])
def test_what_is_lost_of_a_sweep_is_found_elsewhere_or_made_anew(sweep, tmp_path, lost):
    words = [*own_files(tmp_path), "--scale", 0, 0.1]
    assert sweep.run(*words)[0] == 0
    results, before = sweep.folder / "results.jsonl", sweep.rows
    if lost == "edited":  # in a spreadsheet: a byte order mark, other ends of lines, another order
        lines = reversed(results.read_text().splitlines())
        results.write_bytes("\ufeff".encode() + "\r\n".join(lines).encode())
    elif lost == "a run":
        shutil.rmtree(next(sweep.folder.glob("train_plain_*")))
    for name in ("results.jsonl", "study.db"):
        if lost in (name, "both"):
            (sweep.folder / name).unlink()
    status, output = sweep.run(*words)
    done = 0 if lost == "both" else 2
    assert status == 0 and f"2 runs, {done} of them done before" in output and "2 finished, 0 failed" in output
    assert {row["point"] for row in sweep.rows} == {row["point"] for row in before} and len(sweep.rows) == 2


@pytest.mark.slow
def test_a_sweep_goes_on_where_a_colleague_has_put_it(sweep, tmp_path):
    words = ["--scale", 0, 0.1]
    assert sweep.run(*own_files(tmp_path / "mine"), *words)[0] == 0
    sweep.folder.rename(tmp_path / "theirs")
    shutil.rmtree(tmp_path / "mine")
    sweep.words[1] = str(tmp_path / "theirs")
    assert "2 runs, 2 of them done before, 0 new" in sweep.run(*own_files(tmp_path / "data"), *words)[1]


def test_a_worker_that_was_taken_for_dead_goes_on(sweep, monkeypatch):
    """Somebody elsewhere gave its trial away while its machine slept."""
    taken = []
    run = worker.Worker._run

    def run_and_lose(self, point, folder, trial, first_step):
        if not taken:
            taken.append(trial.number)
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            self.study.enqueue_trial({}, user_attrs={name: trial.user_attrs[name] for name in ("flags", "point")})
        return run(self, point, folder, trial, first_step)

    monkeypatch.setattr(worker.Worker, "_run", run_and_lose)
    status, output = sweep.run(*DEMO, "--scale", 0, 0.1)
    assert status == 0 and "2 finished, 0 failed, 0 missing" in output and "taken for dead" in output


def test_rows_tell_the_data_and_all_settings(sweep):
    assert sweep.run(*DEMO, "--scale", 0.1, "--tau", 2)[0] == 0
    (row,) = sweep.rows
    assert row["tau"] == 2 and row["settings"]["learning_rate"] == 1e-3 and len(row["settings"]["data"]) == 64
    assert json.loads(json.dumps(row)) == row


def test_a_key_that_stands_twice_in_yaml_is_refused(tmp_path):
    from sweep.files import read_file

    (tmp_path / "sweep.yaml").write_text("task_name: rte\ntask_name: cola\n")
    with pytest.raises(UsageError, match="task_name is given twice"):
        read_file("--config", str(tmp_path / "sweep.yaml"))


def test_a_file_of_excel_has_its_first_column(tmp_path):
    from sweep.files import read_file

    (tmp_path / "published.csv").write_text("method,score\na,1\n", encoding="utf-8-sig")
    assert read_file("--published", str(tmp_path / "published.csv")) == [{"method": "a", "score": "1"}]


def test_other_weights_under_the_same_name_are_not_done(tmp_path):
    import runs

    words = ["--demo", "--task_name", "rte", "--model_name_or_path", str(runs.make_checkpoint(tmp_path / "model"))]

    def asked() -> list[str]:
        return [point.key for point in Plan(parse_args([*words, "--output_dir", str(tmp_path / "sweep")])).points]

    before = asked()
    assert before == asked()
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert before != asked()


def test_a_report_of_ones_own_is_seen_before_anything_is_run(sweep):
    sweep.folder.mkdir()
    (sweep.folder / "report.md").write_text("# ContraNorm on GLUE: with my remarks")
    status, output = sweep.run(*DEMO, "--scale", 0)
    assert status == 2 and "error: " in output.splitlines()[-1] and "report.md is not on the list" in output
    assert [path.name for path in sweep.folder.iterdir()] == ["report.md"]


@pytest.mark.parametrize("number", [0, signal.SIGTERM])
def test_what_stands_in_the_way_of_a_report_hides_nothing(sweep, monkeypatch, number):
    """Written while the sweep ran: the runs have ended as they have, and a signal's status stays."""
    import run_sweep

    work = run_sweep.work

    def work_and_write(plan, study, left, signals):
        work(plan, study, left, signals)
        (sweep.folder / "report.md").write_text("mine")
        signals.received = number

    monkeypatch.setattr(run_sweep, "work", work_and_write)
    status, output = sweep.run(*DEMO, "--scale", 0)
    assert status == (128 + number if number else 1) and "1 finished, 0 failed, 0 missing" in output
    assert "error: no report: " in output and "report.md is not on the list" in output and "Traceback" not in output
    assert len(sweep.rows) == 1 and sweep.report() == "mine"

"""The output folder: what a run may delete, what it may not, and a model that is both its input and its output."""

import json
import shutil

import pytest
import runs

from glue.output import manifest, run_folder
from glue.output.manifest import MANIFEST, Manifest
from transformers import AutoModelForSequenceClassification

SHORT = ["--num_train_epochs", "1", "--checkpointing_steps", "epoch"]


@pytest.fixture(scope="module")
def finished(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "out"
    assert runs.run_here(*flags, *SHORT, "--do_predict", "--output_dir", folder) == 0
    return folder


def contents(folder) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in runs.files_in(folder)}


def test_everything_that_a_run_writes_is_listed(finished):
    listed = json.loads((finished / MANIFEST).read_text())["files"]
    assert set(listed) == runs.files_in(finished) - {MANIFEST}
    assert all(listed.values())


def test_overwriting_leaves_everything_alone_that_is_not_the_runs(finished, flags, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    mine = ["README.md", "notes.txt", "checkpoints/notes.txt", "predictions/best.tsv", "tracking/curve.csv", ".a.tmp"]
    for name in mine:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    assert runs.run_here(*flags, "--num_train_epochs", "2", "--output_dir", out, "--overwrite_output_dir") == 0
    assert {name: (out / name).read_text() for name in mine} == dict.fromkeys(mine, "mine")
    assert "README.md in" in capsys.readouterr().out
    assert not {"predictions/RTE.tsv", "checkpoints/step_000006/model.safetensors"} & runs.files_in(out)
    assert len(runs.log_rows(out)) == 12
    assert runs.run_here(*flags, *SHORT, "--output_dir", out, "--overwrite_output_dir") == 0


CHANGES = {
    "a model of somebody's": ("config.json", "{}"),
    "results with a remark": ("all_results.json", "{} remark"),
    "a log": ("train_log.jsonl", "{}\n"),
    "a checkpoint": ("checkpoints/step_000006/training_state.json", "{}"),
    "a file in a checkpoint": ("checkpoints/step_000006/notes.txt", "mine"),
    "a checkpoint from elsewhere": ("checkpoints/step_000099/model.safetensors", "weights"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_and_would_be_replaced_is_refused(finished, flags, tmp_path, capsys, change):
    out, (name, text) = tmp_path / "out", CHANGES[change]
    shutil.copytree(finished, out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text(text)
    before = contents(out)
    assert runs.run_here(*flags, *SHORT, "--output_dir", out, "--overwrite_output_dir") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert str(name.rpartition("/")[0] or name) in error and "move it away" in error
    assert contents(out) == before


def test_predictions_that_somebody_has_edited_are_not_replaced(finished, flags, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    words = [*flags[: flags.index("--checkpointing_steps")], "--no-do_train", "--no-do_eval", "--do_predict"]
    words += ["--model_name_or_path", out, "--output_dir", out]
    assert runs.run_here(*words) == 0  # as the run has left them
    edited = out / "predictions" / "RTE.tsv"
    edited.write_text(edited.read_text().replace("not_entailment", "entailment") + "99\tentailment\n")
    before = contents(out)
    assert runs.run_here(*words) == 2
    assert "predictions/RTE.tsv is not on the list" in capsys.readouterr().err.splitlines()[-1]
    assert contents(out) == before


def test_scores_of_another_program_are_not_replaced(finished, flags, tmp_path, capsys):
    out = tmp_path / "out"
    words = [*flags[: flags.index("--checkpointing_steps")], "--do_eval", "--output_dir", out]
    assert runs.run_here(*words) == 0 and runs.run_here(*words) == 0
    (out / "eval_results.json").write_text('{"eval_accuracy": 1}')
    assert runs.run_here(*words) == 2
    assert "eval_results.json" in capsys.readouterr().err.splitlines()[-1]
    assert (out / "eval_results.json").read_text() == '{"eval_accuracy": 1}'


class Killed(BaseException):
    """As by SIGKILL: nothing that a run does at its end is done."""


def kill_at(patch, place, name):
    def killed(*_, **__):
        raise Killed

    patch.setattr(place, name, killed)
    patch.setattr(run_folder.RunFolder, "close", lambda folder: None)


def test_what_a_killed_run_was_writing_is_its_own(flags, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        kill_at(patch, run_folder.RunFolder, "save_model")
        with pytest.raises(Killed):
            runs.run_here(*flags, *SHORT, "--output_dir", out)
    assert None in json.loads((out / MANIFEST).read_text())["files"].values()
    assert runs.run_here(*flags, *SHORT, "--output_dir", out, "--overwrite_output_dir") == 0


def test_a_run_that_was_killed_before_it_wrote_anything(flags, tmp_path):
    """Half a file under a temporary name is nothing that could be lost."""
    (tmp_path / "out").mkdir()
    for name in (".run_files.json", "..run_files.json.77.tmp", ".run.json.77.tmp"):
        (tmp_path / "out" / name).write_text("{")
    assert runs.run_here(*flags, *SHORT, "--output_dir", tmp_path / "out") == 0
    assert not list((tmp_path / "out").glob("*.tmp"))


@pytest.mark.parametrize("listed", [{"../mine": None}, {"link/mine": None}, {"/etc/hostname": None}, [], {"a": 1}])
def test_a_list_that_names_files_elsewhere(tmp_path, listed):
    (tmp_path / "out").mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out" / "link").symlink_to("..")
    (tmp_path / "out" / "a").write_text("mine")
    (tmp_path / "out" / MANIFEST).write_text(json.dumps({"files": listed}))
    manifest = Manifest(tmp_path / "out")
    assert not any(manifest.owns(name) for name in manifest.names())


# --- the model that a run starts from, in its output folder


@pytest.fixture
def model(flags, tmp_path):
    """A model of somebody's, with a card of its own, and the command line that starts from it."""
    folder = tmp_path / "model"
    shutil.copytree(flags[1], folder)
    (folder / "README.md").write_text("mine")
    return folder


def train(flags, model, out, *more):
    return runs.run_here(*flags, *SHORT, "--model_name_or_path", model, "--output_dir", out, *more)


def test_the_output_folder_is_the_model(flags, model, tmp_path, capsys):
    (tmp_path / "link").symlink_to("model")
    before = contents(model)
    for out in (model, tmp_path / "link"):
        assert train(flags, model, out) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert "is the model that the run starts from" in error and "--overwrite_output_dir" in error
    assert contents(model) == before
    assert train(flags, model, tmp_path / "link", "--overwrite_output_dir") == 0
    assert (model / "README.md").read_text() == "mine"
    assert (model / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert train(flags, model, model, "--overwrite_output_dir") == 0  # now it is a run's


def test_it_stays_until_the_new_one_stands(flags, model, monkeypatch):
    """Wherever the run is killed: before, it is the old model; while the new one takes its place, that one comes."""
    before = contents(model)
    for place in ("save_model", "start_logs"):
        with monkeypatch.context() as patch:
            kill_at(patch, run_folder.RunFolder, place)
            with pytest.raises(Killed):
                train(flags, model, model, "--overwrite_output_dir")
        assert {name: (model / name).read_bytes() for name in before} == before
    replace, moved = run_folder.os.replace, []

    def replacing(source, target):
        if "model.new" in str(source):
            moved.append(target)
            if len(moved) == 2:
                raise Killed
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.os, "replace", replacing)
        patch.setattr(run_folder.RunFolder, "close", lambda folder: None)
        with pytest.raises(Killed):
            train(flags, model, model, "--overwrite_output_dir")
    assert not (model / "config.json").exists()  # half old and half new would be a model, and a wrong one
    words = [*flags[: flags.index("--checkpointing_steps")], "--model_name_or_path", model, "--do_eval"]
    assert runs.run_here(*words, "--output_dir", model) == 0
    assert not (model / ".model.new").exists()
    AutoModelForSequenceClassification.from_pretrained(model)
    assert (model / "model.safetensors").read_bytes() != before["model.safetensors"]


def test_a_folder_of_an_odd_name(flags, tmp_path):
    folder = tmp_path / "50% of ?a=#b & 'c'\n é"
    assert runs.run_here(*flags, "--output_dir", folder, "--with_tracking", "--do_predict") == 0
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert {path.name for path in tmp_path.iterdir()} == {folder.name}


def test_what_is_replaced_is_read_once(finished, flags, tmp_path, monkeypatch):
    """Checkpoints of a real model take seconds to read."""
    out, read = tmp_path / "out", []
    shutil.copytree(finished, out)
    fingerprint = manifest.fingerprint
    monkeypatch.setattr(manifest, "_SETTLED", -1)  # as if they were of yesterday
    monkeypatch.setattr(manifest, "fingerprint", lambda path: (read.append(path.name), fingerprint(path))[1])
    kill_at(monkeypatch, run_folder.RunFolder, "start_logs")
    with pytest.raises(Killed):
        runs.run_here(*flags, *SHORT, "--output_dir", out, "--overwrite_output_dir")
    assert read.count("optimizer.pt") == 1 and not list(out.glob("checkpoints/*"))


def test_a_change_is_seen_whatever_was_known_before(tmp_path):
    (tmp_path / "log").write_text("one")
    mine = Manifest(tmp_path)
    mine.claim("log")
    mine.close()
    assert mine.owns("log")
    (tmp_path / "log").write_text("two")
    assert not mine.owns("log")

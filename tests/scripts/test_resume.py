"""A run that was stopped continues as if it had not been: weights, optimizer, losses and scores bit for bit."""

import json
import os
import random
import re
import shutil

import numpy as np
import pytest
import runs
import torch
from accelerate.optimizer import AcceleratedOptimizer
from resuming import essence
from safetensors.torch import load_file

import run_glue_no_trainer
from glue.output import manifest as checksums
from glue.training import checkpointing, setup
from transformers.methods import METHODS

restore_all = checkpointing.restore_random_states


@pytest.mark.parametrize("step", [4, 8, 12, 16])  # in the middle of an epoch, and at its end (12)
def test_resumed_run_equals_the_uninterrupted_one(flags, uninterrupted, tmp_path, step, capsys):
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    for later in (folder / "checkpoints").iterdir():
        if later.name > f"step_{step:06d}":
            shutil.rmtree(later)
    for name in ("model.safetensors", "all_results.json", "eval_predictions.json"):
        (folder / name).unlink()
    torch.manual_seed(99)  # the generators' states have to come from the checkpoint
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)
    out = capsys.readouterr().out
    assert f"{6 * -(-step // 6)} updates done" in out and "nan" not in out


@pytest.mark.parametrize("method", METHODS)
def test_a_run_with_any_method_is_resumed_bit_for_bit(flags, tmp_path, method):
    words = flags[: flags.index("--pos")]  # the position and the knobs are the method's own
    words += ["--method", method, "--max_train_steps", "2", "--checkpointing_steps", "1", "--learning_rate", "0.01"]
    words += ["--per_device_train_batch_size", "2", "--no-do_eval", "--do_train", "--output_dir", tmp_path]
    assert runs.run_here(*words) == 0
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    shutil.rmtree(tmp_path / "checkpoints" / "step_000002")
    weights.unlink()
    assert runs.run_here(*words, "--resume_from_checkpoint") == 0
    assert weights.read_bytes() == whole
    assert json.loads((tmp_path / "config.json").read_text())["method"] == method


def test_resume_from_a_named_checkpoint_into_another_folder(flags, uninterrupted, tmp_path):
    checkpoint = uninterrupted / "checkpoints" / "step_000008"
    assert runs.run_here(*flags, "--output_dir", tmp_path / "new", "--resume_from_checkpoint", checkpoint) == 0
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()


@pytest.mark.parametrize("lost", ["python", "numpy", "torch"])
def test_checkpoints_hold_every_generator(uninterrupted, lost):
    """The dropout of the next update hangs on them; the comparison above fails where torch's is not restored."""
    (states,) = torch.load(uninterrupted / "checkpoints" / "step_000004" / "random_states.pt", weights_only=True)
    assert lost in states


def test_best_weights_are_in_the_checkpoint(uninterrupted):
    best = load_file(uninterrupted / "checkpoints" / "step_000016" / "best_model.safetensors")
    final = load_file(uninterrupted / "model.safetensors")
    assert best.keys() == final.keys()


def test_limit_keeps_the_newest(flags, tmp_path):
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out", "--save_total_limit", "2") == 0
    assert sorted(path.name for path in (tmp_path / "out" / "checkpoints").iterdir()) == ["step_000012", "step_000016"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--learning_rate", "0.02"], "learning_rate 0.01 -> 0.02"),
        (["--scale", "0.2"], "scale 0.1 -> 0.2"),
        (["--seed", "3"], "seed 2021 -> 3"),
        (["--gradient_accumulation_steps", "4"], "gradient_accumulation_steps 2 -> 4"),
        (["--max_train_samples", "20"], "max_train_samples None -> 20"),
    ],
)
def test_other_settings_are_refused(flags, uninterrupted, capsys, changed, message):
    before = (uninterrupted / "train_log.jsonl").read_bytes()
    assert runs.run_here(*flags, *changed, "--output_dir", uninterrupted, "--resume_from_checkpoint") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert (uninterrupted / "train_log.jsonl").read_bytes() == before


def test_other_logging_is_taken(flags, uninterrupted, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    more = ["--logging_steps", "1", "--save_total_limit", "9", "--resume_from_checkpoint"]
    assert runs.run_here(*flags, *more, "--output_dir", folder) == 0
    assert (folder / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()


def test_no_checkpoint_to_resume_from(flags, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name in ("checkpoint-500", "around"):
        state = tmp_path / name / ("checkpoint-500" if name == "around" else "") / "trainer_state.json"
        state.parent.mkdir(parents=True)
        state.write_text("{}")
        words = ["--resume_from_checkpoint", tmp_path / name, "--output_dir", tmp_path / "empty"]
        assert runs.run_here(*flags, *words) == 2
        assert "stock library's Trainer, which cannot be continued here" in capsys.readouterr().err
    for words in (["--resume_from_checkpoint", tmp_path / "empty"], ["--resume_from_checkpoint"]):
        assert runs.run_here(*flags, *words, "--output_dir", tmp_path / "empty") == 2
        assert "holds no checkpoint" in capsys.readouterr().err
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_half_written_checkpoint_is_no_checkpoint(flags, uninterrupted, tmp_path):
    """Its folder still has its temporary name, so the one before is taken."""
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    torn = folder / "checkpoints" / ".step_000018.tmp"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


DAMAGES = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one bit": lambda path: path.write_bytes(flip(path.read_bytes(), path.stat().st_size // 3)),
    "gone": lambda path: path.unlink(),
}
FILES = (
    "model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "random_states.pt",
    "training_state.json",
    "checksums.json",
)


def flip(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 4]) + content[offset + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_never_taken(flags, uninterrupted, tmp_path, capsys, name, damage):
    """Named, it is an error; as the newest of several it is passed over with a message, for the one before."""
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    newest = folder / "checkpoints" / "step_000016"
    DAMAGES[damage](newest / name)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "new", "--resume_from_checkpoint", newest) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "step_000016 is damaged or incomplete" in error and (name in error or name == "checksums.json")
    assert not (tmp_path / "new").exists()
    if damage != "cut short":  # one way is enough to see that the whole run is right
        return
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    output = capsys.readouterr().out
    assert "step_000016 is not taken, but the one before it" in output and "step_000012 after 12 of 18" in output
    assert essence(folder) == essence(uninterrupted)


def test_without_a_whole_checkpoint_nothing_is_resumed(flags, uninterrupted, tmp_path, capsys):
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    for checkpoint in (folder / "checkpoints").iterdir():
        (checkpoint / "optimizer.pt").write_bytes(b"")
    before = runs.files_in(folder)
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 2
    assert "every checkpoint is damaged or incomplete: optimizer.pt" in capsys.readouterr().err.splitlines()[-1]
    assert runs.files_in(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["torch", "python", "numpy"])
def test_the_comparison_notices_a_generator_that_is_left_out(flags, uninterrupted, tmp_path, monkeypatch, lost):
    """Dropout draws from torch's; the other two are drawn from here in each update, as a user's own code might."""
    from glue.output import log as training_log

    drawn = {"python": lambda: random.random(), "numpy": np.random.rand, "torch": lambda: 0.0}[lost]
    add = training_log.TrainingLog.add
    monkeypatch.setattr(training_log.TrainingLog, "add", lambda log, row, *rest: add(log, row | {"x": drawn()}, *rest))
    weights = {}
    for name, restored in (("whole", {}), ("without", {lost: None})):
        folder = tmp_path / name
        if lost == "torch":
            shutil.copytree(uninterrupted, folder)
        else:
            assert runs.run_here(*flags, "--output_dir", folder) == 0
        expected = essence(folder)
        for later in ("step_000012", "step_000016"):
            shutil.rmtree(folder / "checkpoints" / later)
        random.seed(99)
        np.random.seed(99)  # noqa: NPY002
        torch.manual_seed(99)

        def restore(states, restored=restored):
            here = checkpointing.random_states()
            restore_all(states | {key: here[key] for key in restored})

        with monkeypatch.context() as patch:
            patch.setattr(checkpointing, "restore_random_states", restore)
            assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
        found = essence(folder)
        weights[name] = (
            found["weights"] == expected["weights"],
            found["rows"] == without_draws(expected["rows"], lost),
        )
    assert weights["whole"] == (True, True)
    assert weights["without"][1] is False
    assert weights["without"][0] is (lost != "torch")


def without_draws(rows: list[dict], lost: str) -> list[dict]:
    """The rows of the fixture were written without a draw: what the patched log adds for torch is a constant."""
    return [row | {"x": 0.0} if lost == "torch" and row["step"] > 8 else row for row in rows]


def test_best_checkpoint_outlives_the_limit(flags, tmp_path):
    """Accuracy cannot rise forever: with a learning rate of next to nothing the first epoch stays the best one."""
    words = [*flags, "--learning_rate", "1e-12", "--checkpointing_steps", "epoch", "--save_total_limit", "1"]
    assert runs.run_here(*words, "--num_train_epochs", "4", "--output_dir", tmp_path / "out") == 0
    names = sorted(path.name for path in (tmp_path / "out" / "checkpoints").iterdir())
    assert names == ["step_000006", "step_000024"]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="the system does not tell the name of an open file")
def test_a_checkpoint_is_on_the_disk_before_it_gets_its_name(flags, tmp_path, monkeypatch):
    """Every file, then the folder's list of names; then the name; then the list with that name in it."""
    events, fsync, replace = [], os.fsync, os.replace

    def syncing(descriptor):
        events.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def renaming(source, target):
        events.append(("name", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", renaming)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 0
    folder = tmp_path / "out" / "checkpoints"
    named = events.index(("name", str(folder / "step_000004")))
    synced = {name for kind, name in events[:named] if kind == "sync"}
    files = {str(folder / ".step_000004.tmp" / path.name) for path in (folder / "step_000004").iterdir()}
    assert len(files) == len(FILES) and files <= synced
    assert events[named - 1] == ("sync", str(folder / ".step_000004.tmp"))
    assert events[named + 1] == ("sync", str(folder))


def test_what_a_killed_run_had_yet_to_delete_is_deleted(flags, uninterrupted, tmp_path):
    """Killed between its last checkpoint and the deletion of the oldest one."""
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    shutil.rmtree(folder / "checkpoints" / "step_000004")
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint", "--save_total_limit", "2") == 0
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step_000012", "step_000016"]


def test_early_stopping_is_remembered(flags, tmp_path):
    """Killed between the last checkpoint and the final files: the resumed run does not train another epoch."""
    words = [*flags, "--learning_rate", "1e-12", "--checkpointing_steps", "epoch", "--num_train_epochs", "5"]
    words += ["--early_stopping_patience", "1", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words) == 0
    before = (tmp_path / "out" / "all_results.json").read_text()
    (tmp_path / "out" / "all_results.json").unlink()
    assert runs.run_here(*words, "--resume_from_checkpoint") == 0
    after = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert after["epochs"] == json.loads(before)["epochs"] == 2 and len(runs.log_rows(tmp_path / "out")) == 12


def test_logs_come_along_into_another_folder(flags, uninterrupted, tmp_path):
    checkpoint = uninterrupted / "checkpoints" / "step_000008"
    assert runs.run_here(*flags, "--output_dir", tmp_path / "new", "--resume_from_checkpoint", checkpoint) == 0
    assert essence(tmp_path / "new") == essence(uninterrupted)


def test_another_run_in_the_folder_is_not_overwritten(flags, uninterrupted, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    checkpoint = uninterrupted / "checkpoints" / "step_000008"
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out", "--resume_from_checkpoint", checkpoint) == 2
    assert "is not empty" in capsys.readouterr().err
    assert runs.files_in(tmp_path / "out") == {"thesis.txt"}


def test_leftovers_of_a_killed_run_are_swept_up(flags, uninterrupted, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    for name in (".model.tmp/config.json", "checkpoints/.step_000018.tmp/optimizer.pt", ".run.json.7.tmp", ".lock"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("half")
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert runs.files_in(folder) == runs.files_in(uninterrupted)
    assert [path.name for path in folder.rglob(".*")] == [".run_files.json"]


# --- the same run, or another one


def rewritten(flags, tmp_path, change) -> list:
    """The command line with a copy of the data, whose training rows `change` has been at."""
    data = tmp_path / "data"
    shutil.copytree(flags[flags.index("--data_dir") + 1], data)
    path = data / "rte" / "train.jsonl"
    rows = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--data_dir" if word == "--data_dir" else data if before == "--data_dir" else word
            for before, word in zip([None, *flags], flags, strict=False)]  # fmt: skip


CHANGES = {
    "labels turned round": lambda rows: [{**row, "label": 1 - row["label"]} for row in rows],
    "one text edited": lambda rows: [{**rows[0], "sentence1": "a red river"}, *rows[1:]],
    "rows doubled": lambda rows: rows * 2,
    "another order": lambda rows: rows[::-1],
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_data_are_refused(flags, uninterrupted, tmp_path, capsys, what):
    before = runs.files_in(uninterrupted)
    words = rewritten(flags, tmp_path, CHANGES[what])
    for more in ("--resume_from_checkpoint", "--resume_from_checkpoint=auto"):
        assert runs.run_here(*words, "--output_dir", uninterrupted, more) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert "is of other data: texts, labels or class names have changed" in error and "damaged" not in error
    assert runs.run_here(*words, "--output_dir", uninterrupted) == 2
    assert "holds what is of other data" in capsys.readouterr().err.splitlines()[-1]
    assert runs.files_in(uninterrupted) == before


def test_the_same_data_elsewhere_and_what_changes_no_score_are_taken(flags, uninterrupted, tmp_path, monkeypatch):
    """Paths spelled otherwise, evaluation in other batches, no cache: nothing that the result depends on."""
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    words = rewritten(flags, tmp_path, lambda rows: rows)
    model = words.index("--model_name_or_path") + 1
    monkeypatch.chdir(words[model].parent)
    words[model] = f"../{words[model].parent.name}/{words[model].name}/"
    words += ["--per_device_eval_batch_size", "3", "--token_cache", "none", "--do_predict"]
    assert runs.run_here(*words, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert (folder / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()


def test_the_batches_of_an_evaluation_count_where_padding_does(flags, tmp_path, capsys):
    words = [*flags, "--contranorm_padding", "include", "--max_train_steps", "4", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words) == 0
    assert runs.run_here(*words, "--resume_from_checkpoint", "--per_device_eval_batch_size", "3") == 2
    assert "per_device_eval_batch_size 128 -> 3" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("identity", [None, {"version": 1, "scale": 0.1}], ids=["none", "an older one"])
def test_a_checkpoint_of_another_version_is_refused(flags, uninterrupted, tmp_path, capsys, identity):
    checkpoint = tmp_path / "step_000016"
    shutil.copytree(uninterrupted / "checkpoints" / "step_000016", checkpoint)
    state = json.loads((checkpoint / "training_state.json").read_text())
    state["identity"] = identity
    (checkpoint / "training_state.json").write_text(json.dumps(state))
    (checkpoint / "checksums.json").unlink()
    checksums.record(checkpoint)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out", "--resume_from_checkpoint", checkpoint) == 2
    assert "another version of this program" in capsys.readouterr().err.splitlines()[-1]


def test_one_command_starts_a_run_and_goes_on_with_it(flags, uninterrupted, tmp_path, capsys):
    """As a scheduler gives it again and again: nothing there, killed before a checkpoint, after one, and finished."""
    folder = tmp_path / "out"
    words = [*flags, "--output_dir", folder, "--resume_from_checkpoint", "auto"]
    assert runs.run_here(*words) == 0 and "Continuing" not in capsys.readouterr().out
    assert essence(folder) == essence(uninterrupted)
    shutil.rmtree(folder / "checkpoints")
    (folder / "all_results.json").unlink()
    assert runs.run_here(*words) == 0 and "Continuing" not in capsys.readouterr().out
    assert essence(folder) == essence(uninterrupted)
    shutil.rmtree(folder / "checkpoints" / "step_000016")
    assert runs.run_here(*words) == 0 and "step_000012 after 12 of 18" in capsys.readouterr().out
    assert essence(folder) == essence(uninterrupted)
    shutil.rmtree(folder / "checkpoints")
    assert runs.run_here(*words) == 2 and "holds this very run, finished" in capsys.readouterr().err
    assert runs.run_here(*words[:-1], "latest") == 2


def test_a_generator_of_a_gpu_that_is_not_there_is_left_out(monkeypatch):
    states = checkpointing.random_states()
    restore_all(states | {"cuda": torch.zeros(16, dtype=torch.uint8)})
    restored = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: torch.ones(16, dtype=torch.uint8))
    monkeypatch.setattr(torch.cuda, "set_rng_state", restored.append)
    states = checkpointing.random_states()
    restore_all(states)
    assert restored == [states["cuda"]]  # of this process's GPU alone, however many there are


@pytest.fixture
def scaled(monkeypatch):
    """Runs in fp16 on the CPU, for the tests' sake, whose first gradients are far too large for it."""
    from accelerate.state import AcceleratorState

    join = setup.join

    def joined(**settings):
        accelerator = join(**settings)
        AcceleratorState._shared_state["_mixed_precision"] = "fp16"
        accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu", 2.0**40, growth_interval=4)
        return accelerator

    monkeypatch.setattr(setup, "join", joined)


def test_an_update_that_fp16_skips_is_made_again(flags, scaled, tmp_path, monkeypatch):
    """It moves neither schedule nor count, and the run continues bit for bit."""
    skipped, step = [], AcceleratedOptimizer.step

    def stepping(optimizer, *rest):
        step(optimizer, *rest)
        skipped.append(optimizer.step_was_skipped)

    monkeypatch.setattr(AcceleratedOptimizer, "step", stepping)
    folder = tmp_path / "out"
    assert runs.run_here(*flags, "--output_dir", folder) == 0
    assert skipped[0] and skipped.count(False) == 18
    rates = [row["learning_rate"] for row in runs.log_rows(folder)]
    assert rates == pytest.approx([0.01 * (1 - step / 18) for step in range(18)])
    before = essence(folder)
    for later in ("step_000008", "step_000012", "step_000016"):
        shutil.rmtree(folder / "checkpoints" / later)
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == before


def test_a_gradient_that_fp16_never_holds_ends_the_run(flags, scaled, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_glue_no_trainer, "MOST_ATTEMPTS", 2)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 3
    assert re.search("the norm of the gradient is (inf|nan) at update 1", capsys.readouterr().err)
    (row,) = (tmp_path / "out" / "train_log.jsonl").read_text().splitlines()
    assert json.loads(row, parse_constant=lambda name: pytest.fail(name))["grad_norm"] is None


def test_what_somebody_has_put_into_a_checkpoint_stays(flags, uninterrupted, tmp_path, capsys):
    """Where the limit takes the checkpoint away, and where a resumed run writes it anew."""
    folder = tmp_path / "out"
    shutil.copytree(uninterrupted, folder)
    notes = {name: folder / "checkpoints" / name / "deep" / "notes.txt" for name in ("step_000004", "step_000012")}
    for path in notes.values():
        path.parent.mkdir()
        path.write_text("mine")
    changed = folder / "checkpoints" / "step_000012" / "training_state.json"
    changed.write_text("looked at")
    checkpoint = folder / "checkpoints" / "step_000008"
    words = ["--output_dir", folder, "--resume_from_checkpoint", checkpoint, "--save_total_limit", "1"]
    assert runs.run_here(*flags, *words) == 0
    assert essence(folder) == essence(uninterrupted)
    kept = "step_000012.kept"  # step_000016, which is written anew too, is the run's own, and goes
    assert f"Note: what is not the run's own in {changed.parent} is now in" in capsys.readouterr().out
    assert {name for name in runs.files_in(folder) if "checkpoints" in name and "step_000016" not in name} == {
        "checkpoints/step_000004/deep/notes.txt",
        f"checkpoints/{kept}/deep/notes.txt",
        f"checkpoints/{kept}/training_state.json",
    }
    assert checkpointing.list_checkpoints(folder / "checkpoints") == [folder / "checkpoints" / "step_000016"]


def test_a_folder_without_a_file_of_a_checkpoint_is_none(tmp_path):
    for number, name in enumerate(("notes.txt", "model.safetensors"), start=1):
        (tmp_path / f"step_00000{number}").mkdir()
        (tmp_path / f"step_00000{number}" / name).write_text("something")
    assert [path.name for path in checkpointing.list_checkpoints(tmp_path)] == ["step_000002"]

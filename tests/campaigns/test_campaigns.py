"""The short forms of the campaigns, and that each of them can fail."""

import faulthandler
import json
import os
import signal
import subprocess
import sys

import pytest
import runs

from campaigns import corruption, curves, fuzz_targets, fuzzing, kills, mutations
from glue.demo import checkpoint as demo
from glue.training import checkpointing

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_killed_runs_end_as_if_they_had_not_been(tmp_path):
    found = kills.campaign(tmp_path, kills=6, aimed=2, full=2, seed=1)
    assert found.differences == [] and found.survived == found.kills == 6 and found.aimed == found.full == 2
    assert found.in_writing >= 1 and found.without_console >= 1


def test_the_command_of_the_long_forms_starts():
    command = [sys.executable, "-m", "tests.campaigns", "--help"]
    assert (
        "kills, corruption, fuzzing"
        in subprocess.run(
            command, cwd=runs.ROOT, env=runs.environment(), capture_output=True, text=True, timeout=100, check=True
        ).stdout
    )


@pytest.mark.timeout(900)
def test_damaged_checkpoints_are_found_out(tmp_path):
    found = corruption.campaign(tmp_path, damages=200, resumed=2, seed=1)
    assert found.wrong == [] and found.detected + found.harmless == found.torn + found.flipped == 200
    assert found.detected >= 195 and found.resumed_equal == found.resumed == 2


def test_the_corruption_campaign_can_fail(tmp_path, monkeypatch):
    """With checksums that nobody looks at, damage is loaded."""
    monkeypatch.setattr(checkpointing, "damage", lambda *arguments: None)
    found = corruption.campaign(tmp_path, damages=10, resumed=0, seed=1)
    assert found.wrong


@pytest.mark.timeout(900)
def test_loaders_and_readers_take_it_or_say_why_not():
    inputs = {name: max(20, round(target.share * 3000)) for name, target in fuzzing.TARGETS.items()}
    found = fuzzing.fuzz(inputs, seed=1)
    assert [defect for figures in found for defect in figures.defects] == []
    assert sum(figures.inputs for figures in found) >= 2900
    assert all(figures.accepted and figures.refused for figures in found if figures.inputs >= 200)
    assert max(figures.megabytes for figures in found) < 1500


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The demo's data, and its model with the dropout of a real one."""
    folder = tmp_path_factory.mktemp("demo")
    demo.write_demo_data(folder / "glue")
    config = demo.build_demo_checkpoint(folder / "bert", "bert") / "config.json"
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    config.write_text(json.dumps(json.loads(config.read_text()) | dropout))
    return folder


@pytest.mark.timeout(900)
def test_loss_curves_with_and_without_padding_agree(demo_folder, tmp_path):
    """And those of another dropout do not, so that this would notice."""
    words = ["--task_name", "stsb", "--data_dir", demo_folder / "glue", "--learning_rate", "0.001", "--scale", "0.1"]
    words += ["--per_device_train_batch_size", "16", "--max_train_samples", "960"]
    unpadded, padded, other = (
        curves.train(tmp_path, demo_folder / "bert", words, 5, 60, settings)
        for settings in ({}, {"unpad_inputs": False}, {"hidden_dropout_prob": 0.4})
    )
    agreeing, differing = curves.compare(unpadded, padded), curves.compare(unpadded, other)
    assert agreeing.agree and not differing.agree, (agreeing, differing)


def _raise(_: object) -> None:
    raise KeyError("no error of ours")


BROKEN = {
    "raises": _raise,
    "crashes": lambda _: (faulthandler.disable(), os.kill(os.getpid(), signal.SIGSEGV)),
    "hangs": lambda _: signal.pause(),
    "takes memory": lambda _: bytearray(20 * 2**30),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_fuzzing_can_fail(tmp_path, monkeypatch, what):
    target = fuzz_targets.Target(lambda folder: (mutations.json_values, BROKEN[what]), 1.0)
    monkeypatch.setattr(fuzzing, "TARGETS", {what: target})
    monkeypatch.setattr(fuzzing, "_SECONDS", 1)
    fuzzing.main({what: 5}, 1, tmp_path)
    [defect] = fuzzing._figures(what, tmp_path / "0").defects
    assert "the process ended with status" in defect

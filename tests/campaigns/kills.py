"""Runs killed by SIGKILL at random moments and in the middle of the writing of a checkpoint, and disks full at that.

Most of them have lost their console before: it is closed, full, or nobody reads it.
Every run is continued (or started anew, where it had no checkpoint yet), now and then killed once more, and at its end
compared with one that was never stopped: weights, scores, log, loss file and every checkpoint, bit for bit.
"""

import dataclasses
import json
import os
import random
import select
import signal
import time
from pathlib import Path

import runs
from preloaded import Preloaded

# Runs of different habits: checkpoints in the middle of epochs, or at their ends with one kept; dropout is on in all.
_COMMON = ["--task_name", "rte", "--max_length", "32", "--cpu", "--pos", "7", "--scale", "0.1"]
_COMMON += ["--learning_rate", "0.01", "--per_device_train_batch_size", "2", "--load_best_model_at_end"]
VARIANTS = {
    "steps": ["--gradient_accumulation_steps", "2", "--num_train_epochs", "4", "--checkpointing_steps", "3"],
    "epochs": ["--num_train_epochs", "5", "--checkpointing_steps", "epoch", "--save_total_limit", "1"],
    "stops early": ["--num_train_epochs", "9", "--checkpointing_steps", "5", "--save_total_limit", "2"],
}
VARIANTS["stops early"] += ["--early_stopping_patience", "2", "--logging_steps", "4"]

# In the process that is to be killed: it kills itself before or after the n-th step of writing a checkpoint, or leaves
# the file of that step half written.
AIM = """
import os, random, signal
from pathlib import Path
from glue.training import checkpointing
steps = {"left": STEP}
def kill(path=None):
    steps["left"] -= 1
    if steps["left"] == 0:
        if path is not None and path.exists():
            os.truncate(path, random.Random(STEP).randrange(path.stat().st_size + 1))
        os.kill(os.getpid(), signal.SIGKILL)
def aimed(function):
    def call(*arguments):
        kill()
        result = function(*arguments)
        kill(arguments[0] if function.__name__ == "write_synced" else None)
        return result
    return call
for name in ("write_synced", "record", "sync", "remove"):
    setattr(checkpointing, name, aimed(getattr(checkpointing, name)))
class Os:
    replace = staticmethod(aimed(os.replace))
checkpointing.os = Os
"""
# In the process whose disk is to be full: the n-th file of a checkpoint, or what follows it, is not written in full.
FULL = """
import errno, os, random
from glue.training import checkpointing
steps = {"left": STEP}
def filling(function):
    def call(path, *arguments):
        result = function(path, *arguments)
        steps["left"] -= 1
        if steps["left"] == 0:
            if path.is_file():
                os.truncate(path, random.Random(STEP).randrange(path.stat().st_size + 1))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return result
    return call
for name in ("write_synced", "record", "sync"):
    setattr(checkpointing, name, filling(getattr(checkpointing, name)))
"""
_FULL_STEPS = 10  # of one checkpoint, about

# What a run has for a console, as the code that takes the one it was given away.
CONSOLES = {
    "a file": "",
    "closed": "import os\nos.close(1)\nos.close(2)\n",
    "nobody reads": "import os\nends = os.pipe()\nos.dup2(ends[1], 1)\nos.dup2(ends[1], 2)\nos.close(ends[0])\n",
    "full": "import os\nplace = os.open('/dev/full', os.O_WRONLY)\nos.dup2(place, 1)\nos.dup2(place, 2)\n",
}
_STEPS = 20  # of one checkpoint, about: seven files, and what follows


@dataclasses.dataclass
class Figures:
    """What a campaign came to.

    Attributes:
        kills: runs that were killed, or ended by a full disk.
        aimed: of these killed in the writing of a checkpoint.
        full: of these ended by a disk that was full at the writing of a checkpoint.
        without_console: of these had lost their console.
        in_writing: of all these left a checkpoint half written, under its temporary name.
        twice: were killed again after they had been continued.
        survived: ended as the run that was never killed.
        differences: what was different in the others.
        seconds: time taken.
    """

    kills: int = 0
    aimed: int = 0
    full: int = 0
    without_console: int = 0
    in_writing: int = 0
    twice: int = 0
    survived: int = 0
    differences: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def campaign(folder: Path, kills: int, aimed: int, full: int, seed: int) -> Figures:
    """Kill runs and compare what becomes of them.

    Args:
        folder: an empty folder.
        kills: how many runs are killed, or ended by a full disk.
        aimed: how many of these are killed in the writing of a checkpoint.
        full: how many of these a full disk ends there.
        seed: decides when.
    """
    rng, figures, began = random.Random(seed), Figures(), time.monotonic()
    inputs = ["--model_name_or_path", runs.make_checkpoint(folder / "checkpoint")]
    inputs += ["--data_dir", runs.make_data(folder / "glue"), *_COMMON]
    with Preloaded() as preloaded:
        whole, durations = {}, {}
        for name, words in VARIANTS.items():
            start = time.monotonic()
            place = folder / f"whole {name}"
            status = preloaded.run([*inputs, *words, "--output_dir", place], folder / "log")
            assert status == 0, (folder / "log").read_text()
            whole[name], durations[name] = essence(place), time.monotonic() - start
        number = 0
        while figures.kills < kills:
            number += 1
            name = rng.choice(list(VARIANTS))
            words, place = [*inputs, *VARIANTS[name], "--output_dir", folder / str(number)], folder / str(number)
            due = {"aimed": aimed - figures.aimed, "full": full - figures.full}
            due["random"] = kills - figures.kills - sum(due.values())
            how, console = rng.choices(list(due), list(due.values()))[0], rng.choice(list(CONSOLES))
            code, steps = {"aimed": (AIM, _STEPS), "full": (FULL, _FULL_STEPS), "random": ("", 1)}[how]
            code = code.replace("STEP", str(rng.randrange(1, 5 * steps)))
            pid = preloaded.start(words, folder / "log", CONSOLES[console] + code)
            if how == "random":
                kill_after(pid, rng.uniform(0.1, durations[name]))
            ended = preloaded.wait(pid)
            if ended == 0:  # it was faster
                if essence(place) != whole[name]:
                    figures.differences.append(f"run {number} ({name}, console {console}) was not disturbed")
                continue
            figures.kills += 1
            figures.aimed += how == "aimed"
            figures.full += how == "full"
            figures.without_console += console != "a file"
            if ended != (1 if how == "full" else -signal.SIGKILL):
                figures.differences.append(f"run {number} ({name}, console {console}, {how}): status {ended}")
            figures.in_writing += bool(list(place.glob("checkpoints/.*.tmp")))
            if rng.random() < 0.3:
                pid = preloaded.start([*words, *how_to_go_on(place)], folder / "log")
                kill_after(pid, rng.uniform(0.1, durations[name]))
                figures.twice += preloaded.wait(pid) == -signal.SIGKILL
            if (place / "all_results.json").exists():
                status = 0
            else:
                status = preloaded.run([*words, *how_to_go_on(place)], folder / "log")
            found = essence(place) if status == 0 else {"status": status, "log": (folder / "log").read_text()[-2000:]}
            if found == whole[name]:
                figures.survived += 1
            else:
                keys = [key for key in {**found, **whole[name]} if found.get(key) != whole[name].get(key)]
                figures.differences.append(f"run {number} ({name}): {keys} {found.get('log', '')}")
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def kill_after(pid: int, seconds: float) -> None:
    """Kill a process, whose end somebody else will ask for, after a while; it may have ended by then."""
    ended = os.pidfd_open(pid)
    select.select([ended], [], [], seconds)
    os.close(ended)
    os.kill(pid, signal.SIGKILL)


def how_to_go_on(folder: Path) -> list[str]:
    """What a person would add to the command line: resume, if there is something to resume from."""
    if list(folder.glob("checkpoints/step_*")):
        return ["--resume_from_checkpoint"]
    return ["--overwrite_output_dir"] if (folder / "run.json").exists() else []


def essence(folder: Path) -> dict:
    """Every file of a run by its name, without clocks and the words of the command line."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name in ("run.json", "checksums.json", ".run_files.json"):
            found[name] = None
        elif path.name == "train_log.jsonl":
            found[name] = [row | {"examples_per_second": 0} for row in runs.log_rows(folder)]
        elif path.name == "all_results.json":
            found[name] = json.loads(path.read_text()) | {"train_seconds": 0}
        elif path.name == "README.md":
            found[name] = [line for line in path.read_text().splitlines() if "train_seconds" not in line]
        elif path.name == "training_state.json":
            content = json.loads(path.read_text())
            found[name] = content["state"] | {"seconds": 0}
        else:
            found[name] = path.read_bytes()
    return found

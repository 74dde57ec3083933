"""Checkpoints torn and bit-flipped at random places: each has to be found out, or to do no harm."""

import dataclasses
import json
import random
import shutil
import time
from pathlib import Path

import runs
from resuming import FLAGS, essence


@dataclasses.dataclass
class Figures:
    """What became of the damaged checkpoints.

    Attributes:
        torn, flipped: checkpoints that were cut short, or had a bit changed.
        detected: for these the checkpoint before was taken.
        harmless: these were taken, with the content that had been saved.
        wrong: anything else.
        resumed, resumed_equal: runs that were continued, and those that ended as if nothing had happened.
        seconds: time taken.
    """

    torn: int = 0
    flipped: int = 0
    detected: int = 0
    harmless: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)
    resumed_equal: int = 0
    resumed: int = 0
    seconds: float = 0.0


def campaign(folder: Path, damages: int, resumed: int, seed: int) -> Figures:
    """Damage the newest checkpoint of a run, and see which one the run would go on from.

    Args:
        folder: an empty folder.
        damages: how many.
        resumed: how many of these are followed to the end of the run.
        seed: decides where.
    """
    from accelerate import Accelerator

    from glue.training.checkpointing import Checkpointer
    from transformers.utils.errors import CheckpointError

    rng, figures, began = random.Random(seed), Figures(), time.monotonic()
    inputs = ["--model_name_or_path", runs.make_checkpoint(folder / "checkpoint")]
    inputs += ["--data_dir", runs.make_data(folder / "glue"), *FLAGS]
    assert runs.run_here(*inputs, "--output_dir", folder / "whole") == 0
    newest = folder / "whole" / "checkpoints" / "step_000016"
    identity = json.loads((newest / "training_state.json").read_text())["identity"]
    for number in range(damages):
        place = folder / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "whole", place)
        damaged = place / "checkpoints" / newest.name
        what = damage(damaged, rng, figures)
        checkpointer = Checkpointer(place / "checkpoints", identity, Accelerator(cpu=True))
        try:
            taken = checkpointer.find("latest")
        except CheckpointError as error:
            taken = Path(str(error))  # the one before it was whole
        if taken.name == "step_000012":
            figures.detected += 1
        elif taken == damaged and same_content(damaged, newest):
            figures.harmless += 1
        else:
            figures.wrong.append(f"{what}: {taken}")
        if number < resumed:
            figures.resumed += 1
            status = runs.run_here(*inputs, "--output_dir", place, "--resume_from_checkpoint")
            figures.resumed_equal += status == 0 and essence(place) == essence(folder / "whole")
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def damage(checkpoint: Path, rng: random.Random, figures: Figures) -> str:
    """Cut a file short at a random place, or flip one bit of it; every file is hit as often as any other."""
    path = rng.choice(sorted(checkpoint.iterdir()))
    content = bytearray(path.read_bytes())
    offset = rng.randrange(len(content))
    if rng.random() < 0.5:
        figures.torn += 1
        path.write_bytes(content[:offset])
        return f"{path.name} cut to {offset} bytes"
    figures.flipped += 1
    bit = rng.randrange(8)
    content[offset] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {offset} of {path.name} flipped"


def same_content(checkpoint: Path, original: Path) -> bool:
    """Whether what is loaded from a checkpoint is what was saved: every file but the list of checksums."""
    names = [path.name for path in original.iterdir() if path.name != "checksums.json"]
    return all((checkpoint / name).read_bytes() == (original / name).read_bytes() for name in names)

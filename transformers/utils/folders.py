"""What a folder is that somebody took for a checkpoint."""

from __future__ import annotations

import os
import re
from pathlib import Path

_CACHED = "models--"  # in a cache of the Hub, in front of owner--name


def mistaken_for_checkpoint(folder: str | os.PathLike[str]) -> str:
    """Return the end of a message about a folder in which a file is missing: what it seems to be, and what to give.

    Args:
        folder: a local folder.

    Returns:
        Empty where it is nothing that is known.
    """
    place = Path(folder)
    if (place / "adapter_config.json").is_file():
        return (
            "; it holds an adapter (PEFT) alone: put that into its base model with merge_and_unload(), save this model "
            "and its tokenizer, and give their folder"
        )
    if place.name.startswith(_CACHED) and (place / "snapshots").is_dir():
        return f"; it is a model in a cache of the Hub: give its id, {_id_of(place)}, or a folder in {place}/snapshots"
    cached = sorted(path for root in (place, place / "hub") for path in root.glob(f"{_CACHED}*"))
    if cached:
        return f"; it is a cache of the Hub: give the id of a model, such as {_id_of(cached[0])}"
    numbers = [int(found[1]) for path in place.glob("checkpoint-*") if (found := re.search(r"-(\d{1,18})$", path.name))]
    if numbers:
        newest = f"{place}/checkpoint-{max(numbers)}"
        return f"; it holds checkpoints of the stock library's Trainer: give one, such as {newest}"
    if is_of_trainer(place):
        return (
            "; it is a checkpoint of the stock library's Trainer: put the files of the model that it began with beside"
        )
    return ""


def is_of_trainer(folder: Path) -> bool:
    """Whether the stock library's Trainer has written a folder, as a checkpoint or around some."""
    state = "trainer_state.json"
    return (folder / state).is_file() or any(folder.glob(f"checkpoint-*/{state}"))


def _id_of(cached: Path) -> str:
    return cached.name.removeprefix(_CACHED).replace("--", "/")

"""What makes two runs the same. One function says it for checkpoints, output folders and whoever compares runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cli.arguments import RunArguments
from ..output.manifest import fingerprint
from .execution import Execution

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ..data.encoding import EncodedDataset

VERSION = 3  # changes with what an identity is made of; runs of different versions are never the same

# Flags that change no score. Where data are is among them, for their digest says what they are; so is --cpu, in whose
# place stands how the model is executed.
_WITHOUT_INFLUENCE = frozenset(
    {
        *("data_dir", "train_file", "validation_file", "test_file", "demo", "token_cache", "use_slow_tokenizer"),
        *("do_predict", "pred_dir", "per_device_eval_batch_size", "cpu", "checkpointing_steps", "save_total_limit"),
        *("resume_from_checkpoint", "output_dir", "overwrite_output_dir", "logging_steps", "log_oversmoothing"),
        *("with_tracking", "report_to", "text_column_names", "label_column_name"),
        *("save_for_stock", "push_to_hub", "hub_model_id", "hub_private_repo"),
    }
)


def fixed_flags(args: RunArguments) -> dict[str, Any]:
    """Return every flag that a score can depend on, without the method's; a folder is the same in any spelling."""
    settled = {item.name for item in fields(args) if item.metadata.get("group") == "method"}  # see `knobs`
    flags = {name: value for name, value in asdict(args).items() if name not in _WITHOUT_INFLUENCE | settled}
    for name in ("model_name_or_path", "init_from"):
        if flags[name] is not None and Path(flags[name]).is_dir():
            flags[name] = str(Path(flags[name]).resolve())
    return flags


def checkpoint_digest(name_or_path: str) -> str:
    """Return the digest of a local checkpoint's files, as its path says only where it is; nothing for a name."""
    if not Path(name_or_path).is_dir():
        return ""
    kinds, written_later = (".safetensors", ".bin", ".json", ".txt"), "eval_results.json"
    files = sorted(path for path in Path(name_or_path).iterdir() if path.suffix in kinds and path.is_file())
    files = [path for path in files if path.name != written_later]
    content = [(path.name, fingerprint(path)) for path in files]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_identity(
    args: RunArguments,
    knobs: Mapping[str, Any],
    data: Mapping[str, EncodedDataset],
    execution: Execution,
    accelerator: Accelerator,
) -> dict[str, Any]:
    """Return all that the result of a run depends on, as JSON has it.

    Args:
        args: the command line.
        knobs: method, position and the method's knobs, with what was left open filled in.
        data: the splits that it is trained and scored on; token ids, labels and class names of each count.
        execution: how it is computed, in place of what the flags leave open.
        accelerator: says the same of precision and processes.
    """
    settled = {
        **asdict(execution),
        "mixed_precision": str(accelerator.mixed_precision),
        "num_processes": accelerator.num_processes,
    }
    digest = hashlib.sha256(repr([(split, data[split].digest()) for split in sorted(data)]).encode()).hexdigest()
    identity = {"version": VERSION, **fixed_flags(args), **knobs, **settled, "data": digest}
    if args.init_from is not None and (checkpoint := checkpoint_digest(args.init_from)):
        identity["checkpoint"] = checkpoint
    if knobs.get("contranorm_padding") == "include":  # a row's result depends on the rows beside it
        identity["per_device_eval_batch_size"] = args.per_device_eval_batch_size
    return json.loads(json.dumps(identity))


def what_changed(stored: Any, identity: Mapping[str, Any]) -> str | None:
    """Return in a phrase how a run differs from one whose identity was stored; None where it is the same run."""
    if not isinstance(stored, dict) or stored.get("version") != VERSION:
        return "was written by another version of this program, which cannot be continued"
    changed = [name for name in {**stored, **identity} if stored.get(name) != identity.get(name)]
    if changed == ["data"]:
        return "is of other data: texts, labels or class names have changed since"
    differences = ", ".join(f"{name} {stored.get(name)} -> {identity.get(name)}" for name in changed if name != "data")
    return f"is of a run with other settings ({differences})" if changed else None

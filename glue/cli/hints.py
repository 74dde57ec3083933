"""What to give instead of a flag that there is not: the nearest name, or ours for one of the stock library's."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_OF_STOCK = {
    "--bf16": "--mixed_precision bf16",
    "--fp16": "--mixed_precision fp16",
    "--eval_steps": "--do_eval, after every epoch",
    "--eval_strategy": "--do_eval, after every epoch",
    "--evaluation_strategy": "--do_eval, after every epoch",
    "--eval_data_file": "--validation_file",
    "--train_data_file": "--train_file",
    "--label_smoothing_factor": "--label_smoothing",
    "--max_seq_length": "--max_length",
    "--max_steps": "--max_train_steps",
    "--no_cuda": "--cpu",
    "--use_cpu": "--cpu",
    "--per_gpu_eval_batch_size": "--per_device_eval_batch_size",
    "--per_gpu_train_batch_size": "--per_device_train_batch_size",
    "--save_steps": "--checkpointing_steps",
    "--save_strategy": "--checkpointing_steps",
    "--warmup_steps": "--num_warmup_steps",
}


def hint(words: Collection[str], known: Collection[str]) -> str:
    """Return what may have been meant, in brackets, or nothing.

    Args:
        words: what a parser did not recognize, values among it.
        known: its flags.

    Example:
        >>> hint(["--learning_rat=1"], ["--learning_rate", "--seed"])
        ' (--learning_rat: did you mean --learning_rate?)'
    """
    found = []
    for word in dict.fromkeys(word.partition("=")[0] for word in words if word.startswith("--")):
        ours = _OF_STOCK.get(word, "")
        if ours.replace(",", "").split(" ")[0] in known:
            found.append(f"{word}: here it is {ours}")
        elif near := get_close_matches(word, known, n=1, cutoff=0.7):
            found.append(f"{word}: did you mean {near[0]}?")
    return f" ({'; '.join(found)})" if found else ""

"""Before and after the loop: from arguments to everything a run works with, and from a trained model to its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from transformers import set_seed
from transformers.utils import logging

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..cli.signals import StopSignals
from ..data.encoding import EncodedDataset, encode
from ..data.labels import LabelMapping
from ..data.loading import load_splits
from ..data.tasks import Task
from ..data.token_cache import TokenCache, cache_folder
from ..errors import UsageError
from ..output.log import TRACKING, check_trackers
from ..output.model_card import model_card
from ..output.run_folder import RunFolder, recover_model
from ..output.submission import check_replaceable, write_predictions
from ..scoring.inference import predict
from .checkpointing import Checkpointer
from .identity import run_identity
from .memory import keep_freed_memory
from .model import MethodSettings, build_config, load_model, open_checkpoint, padding_multiple
from .processes import join, on_main


@dataclass
class Setup:
    """What a run works with, once arguments, data and checkpoint have been found good.

    `checkpoint` is where a resumed run goes on.
    """

    accelerator: Accelerator
    task: Task
    mapping: LabelMapping
    contranorm: MethodSettings
    datasets: dict[str, EncodedDataset]
    tokenizer: Any
    model: Any
    folder: RunFolder
    checkpointer: Checkpointer
    checkpoint: Path | None


def set_up(args: RunArguments) -> Setup:
    """Find checkpoint and data, check that they fit each other, load the model, and lock the output folder.

    Raises:
        UsageError, CheckpointError, ConfigurationError: something is wrong that the user can mend.
    """
    output_dir = None if args.output_dir is None else Path(args.output_dir)
    check_trackers(args.report_to)
    project = None if output_dir is None else str(output_dir / TRACKING)
    accelerator = join(mixed_precision=args.mixed_precision, cpu=args.cpu, log_with=args.report_to, project_dir=project)
    keep_freed_memory()
    say.on = accelerator.is_main_process
    if not accelerator.is_main_process:
        logging.set_verbosity_error()  # one summary of a loaded checkpoint is enough
    if args.uses_demo_data:
        say(f"Demo: a miniature {args.task_name} made on the spot; for the real one give --model_name_or_path and data")
    if output_dir is not None:
        on_main(accelerator, lambda: recover_model(output_dir))
    with open_checkpoint(args) as checkpoint:
        task, tables = load_splits(args, config_dict=None if args.init_from else checkpoint.config_dict)
        config, mapping, contranorm = build_config(args, checkpoint, task)
        tokenizer = checkpoint.tokenizer()
        kept = cache_folder("none" if args.uses_demo_data else args.token_cache)
        cache = TokenCache(kept, writes=accelerator.is_local_main_process)
        shape: dict[str, Any] = {
            "pad_to_max_length": args.pad_to_max_length,
            "pad_to_multiple_of": padding_multiple(config),
        }
        datasets = {
            split: encode(table, task, tokenizer, args.max_length, mapping=mapping, cache=cache, **shape)
            for split, table in tables.items()
        }
        _check_vocabulary(datasets, tokenizer, config.vocab_size)
        set_seed(args.seed)
        model = load_model(args, checkpoint, config)
    if accelerator.process_index:  # all have drawn the same weights; each draws dropout masks of its own
        set_seed((args.seed + accelerator.process_index) % 2**32)
    scored = {split: dataset for split, dataset in datasets.items() if split not in task.test_splits}
    identity = run_identity(args, config, contranorm.values, scored, accelerator)
    checkpointer = Checkpointer(
        Path(args.output_dir or "", "checkpoints"), identity, accelerator, args.save_total_limit
    )
    resumed = None if args.resume_from_checkpoint is None else checkpointer.find(args.resume_from_checkpoint)
    scale = config.scale if isinstance(config.scale, str) else f"{config.scale:g}"
    losses = f"{scale}_{config.pos}_{config.num_hidden_layers}_loss.txt"
    folder = RunFolder(output_dir, accelerator.is_main_process, identity, losses)
    predictions = [task.prediction_file(split) for split in datasets if split in task.test_splits]
    for name in predictions if args.pred_dir else ():
        check_replaceable(Path(str(args.pred_dir), name))
    on_main(accelerator, lambda: folder.take(args, resumed, () if args.pred_dir else predictions))
    rows = ", ".join(f"{split} {len(table)} rows from {table.source}" for split, table in tables.items())
    say(f"Model {checkpoint.name} ({config.model_type}, {config.num_hidden_layers} layers) on {task.name}: {rows}")
    if args.init_from:
        say(f"Started from the encoder of {checkpoint.name}, a model of another task; the classifier is drawn anew")
    say(contranorm.summary())
    if contranorm.attracts:
        say("Warning: a negative scale pulls the tokens together, the opposite of what ContraNorm is for")
    if args.use_slow_tokenizer:
        say("Note: --use_slow_tokenizer changes nothing: there is one tokenizer, and it gives the slow one's ids")
    if tokenizer.padding_side == "left":
        say("Note: padding is on the left; the first real token is classified (the stock library takes place 0)")
    if mapping.note:
        say(f"Note: {mapping.note}")
    return Setup(
        accelerator, task, mapping, contranorm, datasets, tokenizer, model, folder, checkpointer, checkpoint=resumed
    )


def start(args: RunArguments, setup: Setup) -> None:
    """Prepare the output folder of a training: the first thing that a run writes.

    Raises:
        CheckpointError: a file cannot be written.
    """
    setup.folder.begin(args, setup.checkpoint)
    data = {"text_columns": setup.task.text_columns, "classes": setup.task.label_names}
    setup.folder.write_run(args, setup.contranorm, task=setup.task.name, model=args.model_name_or_path, **data)


def finish(args: RunArguments, setup: Setup, results: dict[str, Any], signals: StopSignals) -> None:
    """Save model, tokenizer, results and card, and predict where that was asked for.

    Raises:
        CheckpointError: a file cannot be written.
        Stopped: a signal came while predicting; by then the model is saved.
    """
    accelerator, folder, task = setup.accelerator, setup.folder, setup.task
    if args.do_train:
        folder.save_model(setup.model, setup.tokenizer)
    place = Path(args.pred_dir) if args.pred_dir else folder.path / "predictions"
    with signals.at_once(accelerator.num_processes == 1):
        for split, dataset in setup.datasets.items():
            if split in task.test_splits:
                batch_size = args.per_device_eval_batch_size
                values, _ = predict(setup.model, dataset, task, setup.mapping, batch_size, accelerator)
                if accelerator.is_main_process:
                    if not args.pred_dir:
                        folder.manifest.claim(f"predictions/{task.prediction_file(split)}")
                    say(f"Predictions: {write_predictions(place, task, split, values, dataset.row_numbers)}")
    if args.do_train and folder.writes:
        num_rows = len(setup.datasets["train"])
        folder.write_card(model_card(args, task, setup.contranorm, results, num_rows))
        folder.write_json("all_results.json", results)  # last: where it is, everything is
        say(f"Saved in {args.output_dir}")
    elif results:
        folder.write_json("eval_results.json", results)


def _check_vocabulary(datasets: dict[str, EncodedDataset], tokenizer: Any, size: int) -> None:
    """Check that the model has a word embedding for padding and every token of the data."""
    ids = {f"of the {split} split": int(data.features["input_ids"].max(initial=0)) for split, data in datasets.items()}
    for origin, number in {"for padding": tokenizer.pad_token_id or 0, **ids}.items():
        if number >= size:
            token = tokenizer.convert_ids_to_tokens(number)
            raise UsageError(
                f"token {token!r} {origin} has the id {number}, but the model has {size} word embeddings: its "
                "tokenizer is that of another model, or has tokens that were added later"
            )

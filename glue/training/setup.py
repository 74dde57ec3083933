"""Before and after the loop: from arguments to everything a run works with, and from a trained model to its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from transformers import set_seed
from transformers.for_stock import file_name, needs_file
from transformers.utils import logging

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..cli.signals import StopSignals
from ..data.batch import Batch, bucket_widths
from ..data.encoding import EncodedDataset, encode
from ..data.feed import Feed
from ..data.labels import LabelMapping
from ..data.loading import load_splits
from ..data.tasks import Task
from ..data.token_cache import TokenCache, cache_folder
from ..errors import UsageError
from ..output.log import TRACKING, check_trackers
from ..output.model_card import model_card
from ..output.run_folder import RunFolder, recover_model
from ..output.submission import check_replaceable, write_predictions
from ..output.upload import check_upload, upload
from ..scoring.inference import predict
from ..scoring.validation import Scores, score_classifier
from .checkpointing import Checkpointer
from .execution import Execution, choose_execution
from .identity import run_identity
from .loss import batch_loss
from .memory import keep_freed_memory
from .model import Checkpoint, MethodSettings, build_config, load_model, open_checkpoint, padding_multiple
from .processes import join, on_main


@dataclass
class Work:
    """What distinguishes one kind of run from another: its data, its model, and how that is scored.

    Attributes:
        task: its text columns, splits and metrics.
        mapping: the model's class ids against the task's.
        contranorm: method, position and knobs.
        execution: how it is computed.
        datasets: the encoded splits.
        tokenizer, model: as they were loaded.
        loss: returns a batch's part of the mean loss, from the model, the batch, and the label smoothing.
        score: scores a validation split, see `evaluate_all`.
        sources: a phrase about the rows of each split.
    """

    task: Task
    mapping: LabelMapping
    contranorm: MethodSettings
    execution: Execution
    datasets: dict[str, EncodedDataset]
    tokenizer: Any
    model: Any
    loss: Callable[[Any, Batch, float], Tensor]
    score: Callable[..., Scores]
    sources: str


Prepare = Callable[[RunArguments, Checkpoint, Accelerator], Work]


@dataclass
class Setup(Work):
    """What a run works with, once arguments, data and checkpoint have been found good.

    `feed` makes the batches of its updates; `checkpoint` is where a resumed run goes on.
    """

    accelerator: Accelerator
    feed: Feed
    folder: RunFolder
    checkpointer: Checkpointer
    checkpoint: Path | None


def prepare_classifier(args: RunArguments, checkpoint: Checkpoint, accelerator: Accelerator) -> Work:
    """Read labelled data, and load a classifier that fits them.

    Raises:
        UsageError, CheckpointError, ConfigurationError: something is wrong that the user can mend.
    """
    task, tables = load_splits(args, config_dict=None if args.init_from else checkpoint.config_dict)
    config, mapping, contranorm = build_config(args, checkpoint, task)
    if args.save_for_stock:
        needs_file(config)
    execution = choose_execution(args, config, accelerator)
    tokenizer = checkpoint.tokenizer()
    shape: dict[str, Any] = {
        "pad_to_max_length": args.pad_to_max_length,
        "pad_to_multiple_of": padding_multiple(config),
        "widths": bucket_widths(args.max_length) if execution.execution == "bucketed" else (),
    }
    cache = token_cache(args, accelerator)
    datasets = {
        split: encode(table, task, tokenizer, args.max_length, mapping=mapping, cache=cache, **shape)
        for split, table in tables.items()
    }
    check_vocabulary(datasets, tokenizer, config.vocab_size)
    set_seed(args.seed)
    model = load_model(args, checkpoint, config, execution)
    kind = checkpoint.config_dict.get("problem_type")
    if args.init_from is None and kind is not None and kind != config.problem_type:
        say(f"Note: the checkpoint's problem_type {kind} gives way to {config.problem_type}, one label a row")
    sources = ", ".join(f"{split} {len(table)} rows from {table.source}" for split, table in tables.items())
    return Work(task, mapping, contranorm, execution, datasets, tokenizer, model, batch_loss, score_classifier, sources)


def token_cache(args: RunArguments, accelerator: Accelerator) -> TokenCache:
    """Return where tokenized data are kept, which is nowhere for the demo's."""
    kept = cache_folder("none" if args.uses_demo_data else args.token_cache)
    return TokenCache(kept, writes=accelerator.is_local_main_process)


def set_up(args: RunArguments, prepare: Prepare = prepare_classifier) -> Setup:
    """Find checkpoint and data, check that they fit each other, load the model, and lock the output folder.

    Args:
        args: the settings of the run.
        prepare: makes data, model and scores of them.

    Raises:
        UsageError, CheckpointError, ConfigurationError: something is wrong that the user can mend.
    """
    output_dir = None if args.output_dir is None else Path(args.output_dir)
    check_trackers(args.report_to)
    if args.push_to_hub:
        check_upload(args)
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
        work = prepare(args, checkpoint, accelerator)
    task, datasets, config = work.task, work.datasets, work.model.config
    if accelerator.process_index:  # all have drawn the same weights; each draws dropout masks of its own
        set_seed((args.seed + accelerator.process_index) % 2**32)
    scored = {split: dataset for split, dataset in datasets.items() if split not in task.test_splits}
    identity = run_identity(args, work.contranorm.values, scored, work.execution, accelerator)
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
    say(
        f"Model {checkpoint.name} ({config.model_type}, {config.num_hidden_layers} layers) on {task.name}: "
        f"{work.sources}"
    )
    if args.init_from:
        say(f"Started from the encoder of {checkpoint.name}, a model of another task; the classifier is drawn anew")
    say(work.contranorm.summary())
    if work.contranorm.attracts:
        say("Warning: a negative scale pulls the tokens together, the opposite of what ContraNorm is for")
    if args.test_file and not args.do_predict:
        say(f"Note: --test_file {args.test_file} is not read: add --do_predict for its predictions")
    if args.use_slow_tokenizer:
        say("Note: --use_slow_tokenizer changes nothing: there is one tokenizer, and it gives the slow one's ids")
    if work.tokenizer.padding_side == "left":
        say("Note: padding is on the left; the first real token is classified (the stock library takes place 0)")
    if work.mapping.note:
        say(f"Note: {work.mapping.note}")
    on_gpu = accelerator.device.type == "cuda"
    return Setup(
        **vars(work),
        accelerator=accelerator,
        feed=Feed(args.per_device_train_batch_size, ahead=on_gpu, pin=on_gpu),
        folder=folder,
        checkpointer=checkpointer,
        checkpoint=resumed,
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
    """Save model, tokenizer, results and card, and predict and upload where that was asked for.

    Raises:
        CheckpointError: a file cannot be written; or the upload failed, when everything is saved.
        Stopped: a signal came while predicting or uploading; by then the model is saved.
    """
    accelerator, folder, task = setup.accelerator, setup.folder, setup.task
    if args.do_train:
        save_model = partial(setup.model.save_pretrained, for_stock=args.save_for_stock)
        folder.save_model(save_model, setup.tokenizer.save_pretrained)
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
        carries_layer = args.save_for_stock and setup.contranorm.sites
        stock_file = folder.path / file_name(setup.model.config.model_type) if carries_layer else None
        folder.write_card(model_card(args, task, setup.contranorm, results, num_rows, stock_file))
        folder.write_json("all_results.json", results)  # last: where it is, everything is
        say(f"Saved in {args.output_dir}")
        if args.push_to_hub:
            with signals.at_once(accelerator.num_processes == 1):
                say(f"Uploaded: {upload(args, folder.path, folder.to_publish())}")
    elif results:
        folder.write_json("eval_results.json", results)


def check_vocabulary(datasets: dict[str, EncodedDataset], tokenizer: Any, size: int) -> None:
    """Check that the model has a word embedding for padding and every token of the data."""
    ids = {f"of the {split} split": int(data.features["input_ids"].max(initial=0)) for split, data in datasets.items()}
    for origin, number in {"for padding": tokenizer.pad_token_id or 0, **ids}.items():
        if number >= size:
            token = tokenizer.convert_ids_to_tokens(number)
            raise UsageError(
                f"token {token!r} {origin} has the id {number}, but the model has {size} word embeddings: its "
                "tokenizer is that of another model, or has tokens that were added later"
            )

"""Before and after the loop: from arguments to everything a run works with, and from a trained model to its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from accelerate import Accelerator

from transformers import set_seed
from transformers.utils import logging
from transformers.utils.errors import CheckpointError

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..cli.signals import StopSignals
from ..data.encoding import EncodedDataset, encode
from ..data.labels import LabelMapping
from ..data.loading import load_splits
from ..data.tasks import Task
from ..data.token_cache import TokenCache, default_cache_folder
from ..errors import UsageError
from ..output.lock import FolderLock
from ..output.model_card import model_card
from ..output.run_folder import RunFolder, influential_settings
from ..output.submission import write_predictions
from ..scoring.inference import predict
from .checkpointing import Checkpointer
from .memory import keep_freed_memory
from .method_settings import MethodSettings
from .model import build_config, load_model, open_checkpoint
from .processes import join, raise_together
from .trained_rows import restore_embedding, train_used_rows


class Setup(NamedTuple):
    """What a run works with, once arguments, data and checkpoint have been found good.

    `checkpoint` is where a resumed run goes on; `lock` holds the output folder until it is released.
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
    lock: FolderLock


def set_up(args: RunArguments) -> Setup:
    """Find checkpoint and data, check that they fit each other, load the model, and lock the output folder.

    Raises:
        UsageError, CheckpointError, ConfigurationError: something is wrong that the user can mend.
    """
    output_dir = None if args.output_dir is None else Path(args.output_dir)
    accelerator = join(
        cpu=args.cpu,
        mixed_precision=args.mixed_precision,
        log_with=args.report_to,
        project_dir=None if output_dir is None else str(output_dir / "tracking"),
    )
    keep_freed_memory()
    say.on = accelerator.is_main_process
    if not accelerator.is_main_process:
        logging.set_verbosity_error()  # one summary of a loaded checkpoint is enough
    if args.uses_demo_data:
        say(f"Demo: a miniature {args.task_name} made on the spot; for the real one give --model_name_or_path and data")
    set_seed(args.seed)
    with open_checkpoint(args) as checkpoint:
        task, tables = load_splits(args, config_dict=checkpoint.config_dict)
        config, mapping, contranorm = build_config(args, checkpoint, task)
        settings = influential_settings(args, contranorm, accelerator.num_processes, str(accelerator.mixed_precision))
        loss_file = f"{config.scale:g}_{config.pos}_{config.num_hidden_layers}_loss.txt"
        folder = RunFolder(output_dir, settings, loss_file, accelerator.is_main_process)
        checkpointer = Checkpointer(
            None if output_dir is None else output_dir / "checkpoints", settings, accelerator, args.save_total_limit
        )
        wanted = args.resume_from_checkpoint
        resumed = None if wanted is None else checkpointer.find(wanted)
        _check_free(args, folder, resumed)
        tokenizer = checkpoint.tokenizer()
        cache = _token_cache(args, accelerator.is_local_main_process)
        datasets = {
            split: encode(table, task, tokenizer, args.max_length, args.pad_to_max_length, mapping, cache)
            for split, table in tables.items()
        }
        model = load_model(args, checkpoint, config)
    if args.do_train and not args.weight_decay:
        train_used_rows(model, datasets["train"])
    if args.torch_compile:
        model.compile(dynamic=True)  # batches of any shape
    lock = FolderLock(output_dir)
    try:
        _acquire_together(lock, accelerator)
        _check_free(args, folder, resumed)  # once more: another run may have come and gone
    except BaseException:
        lock.release()
        raise
    rows = ", ".join(f"{split} {len(table)} rows from {table.source}" for split, table in tables.items())
    say(f"Model {checkpoint.name} ({config.model_type}, {config.num_hidden_layers} layers) on {task.name}: {rows}")
    say(contranorm.summary())
    if contranorm.attracts:
        say("Warning: a negative scale pulls the tokens together, the opposite of what ContraNorm is for")
    if args.use_slow_tokenizer:
        say("Note: --use_slow_tokenizer changes nothing: there is one tokenizer, and it gives the slow one's ids")
    if mapping.note:
        say(f"Note: {mapping.note}")
    return Setup(
        *(accelerator, task, mapping, contranorm, datasets, tokenizer, model, folder, checkpointer, resumed, lock)
    )


def start(args: RunArguments, setup: Setup) -> None:
    """Prepare the output folder of a training: the first thing that a run writes.

    Raises:
        CheckpointError: a file cannot be written.
    """
    setup.accelerator.wait_for_everyone()  # the main process writes once all have seen that the folder is free
    if setup.checkpoint is None:
        setup.folder.clear()
    setup.folder.delete_leftovers()
    data = {"text_columns": setup.task.text_columns, "classes": setup.task.label_names}
    setup.folder.write_run(args, setup.contranorm, task=setup.task.name, model=args.model_name_or_path, **data)
    if args.with_tracking:
        setup.accelerator.init_trackers("glue_no_trainer", setup.folder.settings)


def finish(args: RunArguments, setup: Setup, results: dict[str, Any], signals: StopSignals) -> None:
    """Save model, tokenizer, results and card, and predict where that was asked for.

    Raises:
        CheckpointError: a file cannot be written.
        Stopped: a signal came while predicting; by then the model is saved.
    """
    accelerator, folder = setup.accelerator, setup.folder
    restore_embedding(setup.model)
    if args.do_train:
        folder.save_model(setup.model, setup.tokenizer)
    with signals.at_once(accelerator.num_processes == 1):
        _write_predictions(args, setup)
    if args.do_train and folder.writes:
        num_rows = len(setup.datasets["train"])
        folder.write_text("README.md", model_card(args, setup.task, setup.contranorm, results, num_rows))
        folder.write_json("all_results.json", results)  # last: where it is, everything is
        say(f"Saved in {args.output_dir}")
    elif results:
        folder.write_json("eval_results.json", results)


def _write_predictions(args: RunArguments, setup: Setup) -> None:
    accelerator = setup.accelerator
    for split in setup.task.test_splits if args.do_predict else ():
        if split in setup.datasets:
            batch_size = args.per_device_eval_batch_size
            dataset = setup.datasets[split]
            predictions = predict(setup.model, dataset, setup.task, setup.mapping, batch_size, accelerator)
            if accelerator.is_main_process:
                target = Path(args.pred_dir) if args.pred_dir else Path(args.output_dir or "") / "predictions"
                path = write_predictions(target, setup.task, split, predictions.values, dataset.row_numbers)
                say(f"Predictions: {path}")


def _token_cache(args: RunArguments, writes: bool) -> TokenCache:
    """Return where tokenized splits are kept; nowhere for the demo, whose data are made on the spot."""
    if args.uses_demo_data or args.token_cache == "none":
        return TokenCache(None)
    return TokenCache(default_cache_folder() if args.token_cache is None else Path(args.token_cache), writes)


def _check_free(args: RunArguments, folder: RunFolder, resumed: Path | None) -> None:
    """Check that the run may write into its folder: its own, or one without another run's files."""
    is_own = resumed is not None and folder.path is not None and folder.path.resolve() in resumed.resolve().parents
    if args.do_train and not is_own:
        folder.check(args.overwrite_output_dir)


def _acquire_together(lock: FolderLock, accelerator: Accelerator) -> None:
    """Let the main process take the lock; whether it got it, all of them know."""
    error = None
    if accelerator.is_main_process:
        try:
            lock.acquire()
        except (UsageError, CheckpointError) as problem:
            error = problem
    raise_together(accelerator, error)

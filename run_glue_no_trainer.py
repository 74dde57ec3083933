#!/usr/bin/env python
"""Fine-tune a text encoder with ContraNorm on a GLUE task, or on your own files. The loop is `train`, in plain sight.

    python run_glue_no_trainer.py --pos 7 --scale 0.005                          # the built-in demo, needs no network
    python run_glue_no_trainer.py --model_name_or_path bert-base-uncased --task_name rte --pos 7 --scale 0.005 \\
        --num_train_epochs 5 --output_dir output/rte

Exit status: 0 done; 1 a file could not be written, or the upload failed; 2 wrong arguments or data; 3 the loss is not
finite; 128 + the signal's number: stopped by SIGTERM, SIGINT (130), SIGHUP or SIGUSR1, with a checkpoint where there is
an output folder.
"""

from __future__ import annotations

import math
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from glue.cli.arguments import RunArguments, parse_args  # these import no torch, so that --help answers at once
from glue.cli.console import console, fail, progress_bar, say
from glue.cli.paths import provide_caches
from glue.cli.signals import Stopped, StopSignals
from glue.errors import DivergedError
from transformers.utils.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from accelerate import Accelerator
    from torch import Tensor

    from glue.data.encoding import EncodedDataset
    from glue.training.sampling import Update
    from glue.training.setup import Prepare, Setup


MOST_ATTEMPTS = 40  # at an update in fp16: by then 1e-8 is left of the first scale, and the gradient is not finite


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run("run_glue_no_trainer.py", lambda: parse_args(argv))


def run(program: str, parse: Callable[[], RunArguments], prepare: Callable[[], Prepare] | None = None) -> int:
    """Run a training, an evaluation or both, from the command line to the files.

    Args:
        program: the name of the script.
        parse: reads and checks the command line.
        prepare: returns what makes data, model and scores of it; default a classifier's, see `glue/training/setup.py`.

    Returns:
        The exit status.
    """
    setup = None
    with console(), StopSignals() as signals:
        try:
            with signals.at_once():
                args = parse()
                provide_caches()
                from glue.training.setup import finish, set_up, start

                setup = set_up(args) if prepare is None else set_up(args, prepare())
            if args.do_train:
                start(args, setup)
                results = train(args, setup, signals)
            else:
                with signals.at_once():
                    results = evaluate_only(args, setup)
            finish(args, setup, results, signals)
        except Stopped as stop:
            return fail(stop, stop.status, "", shared=True, program=program)
        except DivergedError as error:
            if setup is not None and args.do_train:
                setup.folder.write_diverged(error)
            return fail(error, 3, shared=True, program=program)
        except (UserError, OSError) as error:
            # A CheckpointError is both: what cannot be read before the run is the user's to mend, what cannot be
            # written in it the system's.
            is_mendable = isinstance(error, UserError) and (setup is None or not isinstance(error, OSError))
            return fail(error, 2 if is_mendable else 1, program=program)
        except RuntimeError as error:
            from glue.training.processes import is_lost_peer

            if setup is None or not is_lost_peer(setup.accelerator, error):
                raise
            return fail(f"another process of this run has ended: {error}", 1, program=program)
        finally:
            if setup is not None:
                from glue.training.processes import leave

                leave(setup.accelerator)
                setup.folder.close()
                setup.folder.lock.release()
    return 0


def train(args: RunArguments, setup: Setup, signals: StopSignals) -> dict[str, Any]:
    """Train, with an evaluation after every epoch; returns the results."""
    from glue.output.log import TrainingLog, start_tracking, track
    from glue.scoring.validation import evaluate_all, watch_tokens, with_warnings
    from glue.training.checkpointing import TrainingParts, check_finite, cpu_weights
    from glue.training.optimizer import build_optimizer, build_schedule
    from glue.training.processes import agree
    from glue.training.recorded import RecordedUpdates
    from glue.training.sampling import TrainingOrder
    from glue.training.state import TrainingState

    accelerator, dataset, folder = setup.accelerator, setup.datasets["train"], setup.folder
    order = TrainingOrder(
        num_rows=len(dataset),
        batch_size=args.per_device_train_batch_size,
        accumulation=args.gradient_accumulation_steps,
        num_processes=accelerator.num_processes,
        process_index=accelerator.process_index,
        seed=args.seed,
        lengths=dataset.lengths if args.group_by_length else None,
    )
    total_updates = args.max_train_steps or args.num_train_epochs * order.updates_per_epoch
    num_epochs = -(-total_updates // order.updates_per_epoch)
    optimizer = build_optimizer(args, setup.model, capturable=setup.execution.cuda_graphs)
    # Not prepared: accelerate would step the schedule once for every process.
    scheduler = build_schedule(args, optimizer, total_updates)
    model, optimizer = accelerator.prepare(setup.model, optimizer)
    parts, state = TrainingParts(model, optimizer, scheduler), TrainingState()
    if setup.checkpoint is not None:
        state = setup.checkpointer.load(setup.checkpoint, parts)
        say(f"Continuing {setup.checkpoint} after {state.updates} of {total_updates} updates")
    folder.start_logs(state.updates, len(state.history), setup.checkpoint)
    if args.with_tracking:
        start_tracking(accelerator, folder, state.updates)
    say(
        f"Training on {len(dataset)} examples: {total_updates} updates of {order.update_size} examples, "
        f"{total_updates / order.updates_per_epoch:.3g} epochs, on {accelerator.num_processes} process(es), "
        f"{accelerator.device.type}, precision {str(accelerator.mixed_precision).replace('no', 'fp32')}"
    )
    recorded = None
    if setup.execution.cuda_graphs:
        recorded = RecordedUpdates(
            compute=lambda batch: setup.loss(model, batch, args.label_smoothing),
            norm_of=lambda: gradient_norm(accelerator, model, args.max_grad_norm),
            optimizer=optimizer.optimizer,
            device=accelerator.device,
        )
    log, began = TrainingLog(folder, accelerator), time.perf_counter() - state.seconds
    patience = args.early_stopping_patience or math.inf

    def save() -> None:
        log.flush()
        state.seconds = time.perf_counter() - began
        setup.checkpointer.save(state, parts)

    def stop(number: int) -> NoReturn:
        """Save what has been done, if there is a place for it, and end the run."""
        if args.output_dir is None:
            raise Stopped(number, "nothing was saved, for want of an --output_dir")
        save()
        raise Stopped(
            number, f"{state.updates} of {total_updates} updates are saved; go on with --resume_from_checkpoint"
        )

    with progress_bar(total=total_updates, initial=state.updates, desc="training") as bar:
        while state.epoch < num_epochs and state.epochs_without_improvement < patience:
            for update in setup.feed.ahead(dataset, order.epoch(state.epoch, start=state.updates_in_epoch)):
                if state.updates == total_updates:
                    break
                model.train()
                learning_rate = scheduler.get_last_lr()[0]
                # Once, but for fp16: a gradient that is too large halves its scale.
                for _ in range(0 if recorded else MOST_ATTEMPTS):
                    loss = backward(args, setup, model, dataset, update)
                    norm = gradient_norm(accelerator, model, args.max_grad_norm)
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    if not optimizer.step_was_skipped:
                        scheduler.step()
                        break
                if recorded:
                    (batch,) = setup.feed.batches(dataset, update)
                    loss, norm = recorded(batch)
                    scheduler.step()

                state.updates += 1
                state.updates_in_epoch += 1
                bar.update()
                row = {
                    "step": state.updates,
                    "epoch": state.epoch,
                    "loss": loss,
                    "learning_rate": learning_rate,
                    "grad_norm": norm,
                }
                log.add(row, update)
                failed = log.diverged or optimizer.step_was_skipped
                stopping, diverged = agree(accelerator, signals.received, failed)
                if diverged or state.updates % args.logging_steps == 0:
                    bar.set_postfix(loss=log.flush(), refresh=False)
                if stopping:
                    stop(stopping)
                if isinstance(args.checkpointing_steps, int) and state.updates % args.checkpointing_steps == 0:
                    save()
            newest = log.flush()  # not a number where a resumed run had nothing left to train
            known = "" if math.isnan(newest) else f", the last one's training loss {newest:.4f}"
            say(f"Epoch {state.epoch + 1} of {num_epochs}: {state.updates} updates done{known}")
            if args.do_eval:
                try:
                    with signals.at_once(accelerator.num_processes == 1):
                        scores, predictions = evaluate_all(args, setup, model)
                except Stopped:
                    stop(signals.received)  # before the evaluation, which is repeated when the run goes on
                state.history.append({"epoch": state.epoch + 1, "updates": state.updates, **scores})
                tokens = {"oversmoothing": watch_tokens(setup, model, state.updates)} if args.log_oversmoothing else {}
                folder.append_scores({**state.history[-1], **tokens})
                track(accelerator, {f"eval_{name}": score for name, score in scores.items()}, state.updates)
                is_best = state.note_score(args.metric_for_best_model or setup.task.main_metric)
                if is_best and args.load_best_model_at_end:
                    parts.best_weights = cpu_weights(accelerator.unwrap_model(model))
                if is_best or not args.load_best_model_at_end:
                    state.predictions = predictions
                log.restart_clock()
            state.epoch, state.updates_in_epoch = state.epoch + 1, 0
            (stopping,) = agree(accelerator, signals.received)
            if stopping:
                stop(stopping)
            if args.checkpointing_steps == "epoch":
                save()
    if state.epochs_without_improvement >= patience:
        say(f"Stopped early: no better score for {state.epochs_without_improvement} epochs")
    if parts.best_weights is not None:
        accelerator.unwrap_model(model).load_state_dict(parts.best_weights)
        say(f"The model is that of epoch {state.best_epoch}, the best one")
    check_finite(accelerator.unwrap_model(model), state)
    state.seconds = time.perf_counter() - began
    setup.folder.write_predictions(state.predictions)
    saved_epoch = None if parts.best_weights is None else state.best_epoch
    return with_warnings(state.results(total_updates, len(dataset), saved_epoch))


def backward(args: RunArguments, setup: Setup, model: Any, dataset: EncodedDataset, update: Update) -> Tensor:
    """Compute the gradient of one update: of the mean loss over all its examples, on all processes together.

    Returns:
        This process's part of that mean, still on the device.
    """
    import torch

    accelerator, parts = setup.accelerator, []
    # A process without a row takes one that does not count, for all of them have to take part in the exchange.
    for number, batch in enumerate(setup.feed.batches(dataset, update), start=1):
        batch = batch.to(accelerator.device)
        is_last = number == len(update.micro_batches)
        with nullcontext() if is_last else accelerator.no_sync(model):
            loss = setup.loss(model, batch, args.label_smoothing)
            # The exchange takes the mean over the processes, and what is wanted is the sum.
            accelerator.backward(loss * accelerator.num_processes)
        parts.append(loss.detach())
    return torch.stack(parts).sum()


def gradient_norm(accelerator: Accelerator, model: Any, max_norm: float | None) -> Tensor:
    """Return the norm of the whole gradient, after clipping it to `max_norm` where that is set."""
    import torch

    accelerator.unscale_gradients()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if max_norm:
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), max_norm, norm)
    return norm


def evaluate_only(args: RunArguments, setup: Setup) -> dict[str, Any]:
    """Score a model as it is."""
    from glue.scoring.validation import evaluate_all, with_warnings

    setup.accelerator.prepare_model(setup.model, evaluation_mode=True)  # in its place
    scores = evaluate_all(args, setup, setup.model)[0] if args.do_eval else {}
    return with_warnings({f"eval_{name}": score for name, score in scores.items()})


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python
"""Fine-tune BERT or ALBERT with ContraNorm on a GLUE task, or on your own files. The loop is `train`, in plain sight.

    python run_glue_no_trainer.py --pos 7 --scale 0.005                          # the built-in demo, needs no network
    python run_glue_no_trainer.py --model_name_or_path bert-base-uncased --task_name rte --pos 7 --scale 0.005 \\
        --num_train_epochs 5 --output_dir output/rte

Exit status: 0 done; 1 a file could not be written; 2 wrong arguments or data; 3 the loss is not finite; 130
interrupted.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from glue.arguments import RunArguments, parse_args  # these import no torch, so that --help answers at once
from glue.console import fail, say

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

    from glue.encoding import EncodedDataset
    from glue.sampling import Update
    from glue.setup import Setup


class DivergedError(Exception):
    """The loss is no longer a finite number."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_args(argv)
    from glue.errors import UsageError
    from glue.setup import finish, set_up
    from transformers.utils.errors import CheckpointError, ConfigurationError

    try:
        setup = set_up(args)
    except (UsageError, CheckpointError, ConfigurationError) as error:
        return fail(error, 2)
    try:
        results = train(args, setup) if args.do_train else evaluate_only(args, setup)
        finish(args, setup, results)
    except DivergedError as error:
        return fail(error, 3)
    except CheckpointError as error:
        return fail(error, 1)
    except KeyboardInterrupt:
        return fail("interrupted; --resume_from_checkpoint continues from the newest checkpoint, if there is one", 130)
    finally:
        setup.accelerator.end_training()
    return 0


def train(args: RunArguments, setup: Setup) -> dict[str, Any]:
    """Train, with an evaluation after every epoch; returns the results."""
    import torch
    from tqdm import tqdm

    from glue.checkpointing import TrainingParts, TrainingState, cpu_weights
    from glue.optimizer import build_optimizer, build_schedule
    from glue.sampling import TrainingOrder

    accelerator, dataset, folder = setup.accelerator, setup.datasets["train"], setup.folder
    order = TrainingOrder(
        num_rows=len(dataset),
        batch_size=args.per_device_train_batch_size,
        accumulation=args.gradient_accumulation_steps,
        num_processes=accelerator.num_processes,
        process_index=accelerator.process_index,
        seed=args.seed,
    )
    total_updates = args.max_train_steps or args.num_train_epochs * order.updates_per_epoch
    num_epochs = -(-total_updates // order.updates_per_epoch)
    model, optimizer = accelerator.prepare(setup.model, build_optimizer(args, setup.model))
    # Not prepared: accelerate would step the schedule once for every process.
    scheduler = build_schedule(args, optimizer.optimizer, total_updates)
    parts, state = TrainingParts(model, optimizer, scheduler), TrainingState()
    if args.resume_from_checkpoint is not None:
        checkpoint = setup.checkpointer.find(args.resume_from_checkpoint)
        state = setup.checkpointer.load(checkpoint, parts)
        say(f"Continuing {checkpoint} after {state.updates} of {total_updates} updates")
    folder.start_logs(state.updates)
    say(
        f"Training on {len(dataset)} examples: {total_updates} updates of {order.update_size} examples in {num_epochs} "
        f"epochs, on {accelerator.num_processes} process(es) and {accelerator.device.type}, precision "
        f"{accelerator.mixed_precision}"
    )

    pending: list[dict[str, Any]] = []  # rows of the log whose losses are still on the device
    began, seen, clock = time.perf_counter() - state.seconds, 0, time.perf_counter()

    def flush() -> None:
        """Fetch the losses of the last updates at once, check them, and append them to the logs."""
        nonlocal seen, clock
        if not pending:
            return
        losses = accelerator.reduce(torch.stack([row["loss"] for row in pending]), "sum").tolist()
        norms = torch.stack([row["grad_norm"] for row in pending]).tolist()
        speed = round(seen / (time.perf_counter() - clock), 2)
        for row, loss, norm in zip(pending, losses, norms, strict=True):
            row.update(loss=loss, grad_norm=norm, examples_per_second=speed)
        folder.append_logs(pending)
        for row in pending:
            if not abs(row["loss"]) < float("inf"):
                raise DivergedError(
                    f"the loss is {row['loss']} at update {row['step']}, learning rate {row['learning_rate']:g}: try a "
                    "lower --learning_rate, a smaller --scale, or --max_grad_norm 1"
                )
            accelerator.log({"train_loss": row["loss"], "learning_rate": row["learning_rate"]}, step=row["step"])
        bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        pending.clear()
        seen, clock = 0, time.perf_counter()

    bar = tqdm(total=total_updates, initial=state.updates, desc="training", disable=not accelerator.is_main_process)
    with bar:
        for epoch in range(state.epoch, num_epochs):
            for update in order.epoch(epoch, start=state.updates_in_epoch):
                if state.updates == total_updates:
                    break
                model.train()
                loss = backward(args, setup, model, dataset, update)
                norm = gradient_norm(accelerator, model, args.max_grad_norm)
                learning_rate = scheduler.get_last_lr()[0]
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                scheduler.step()

                state.updates += 1
                state.updates_in_epoch += 1
                seen += update.num_examples
                bar.update()
                row = {
                    "step": state.updates,
                    "epoch": epoch,
                    "loss": loss,
                    "learning_rate": learning_rate,
                    "grad_norm": norm,
                }
                pending.append(row)
                if state.updates % args.logging_steps == 0:
                    flush()
                if isinstance(args.checkpointing_steps, int) and state.updates % args.checkpointing_steps == 0:
                    flush()
                    state.seconds = time.perf_counter() - began
                    setup.checkpointer.save(state, parts)
            flush()
            state.epoch, state.updates_in_epoch = epoch + 1, 0
            state.seconds = time.perf_counter() - began
            if args.do_eval:
                scores = evaluate_all(args, setup, model)
                state.history.append({"epoch": epoch + 1, "updates": state.updates, **scores})
                accelerator.log({f"eval_{name}": score for name, score in scores.items()}, step=state.updates)
                if (
                    state.note_score(args.metric_for_best_model or setup.task.main_metric)
                    and args.load_best_model_at_end
                ):
                    parts.best_weights = cpu_weights(accelerator.unwrap_model(model))
                clock = time.perf_counter()
            if args.checkpointing_steps == "epoch":
                setup.checkpointer.save(state, parts)
            if args.early_stopping_patience and state.epochs_without_improvement >= args.early_stopping_patience:
                say(f"Stopping early: no better score for {state.epochs_without_improvement} epochs")
                break
    if parts.best_weights is not None:
        accelerator.unwrap_model(model).load_state_dict(parts.best_weights)
        say(f"The model is that of epoch {state.best_epoch}, the best one")
    saved_epoch = None if parts.best_weights is None else state.best_epoch
    return state.results(total_updates, len(dataset), saved_epoch)


def backward(args: RunArguments, setup: Setup, model: Any, dataset: EncodedDataset, update: Update) -> Tensor:
    """Compute the gradient of one update: of the mean loss over all its examples, on all processes together.

    Returns:
        This process's part of that mean, still on the device.
    """
    import torch
    from torch.nn import functional as F

    accelerator, parts = setup.accelerator, []
    for number, rows in enumerate(update.micro_batches, start=1):
        # A process without a row takes one that does not count, for all of them have to take part in the exchange.
        inputs = dataset.collate(rows if len(rows) else [0])
        inputs = {name: tensor.to(accelerator.device) for name, tensor in inputs.items()}
        is_last = number == len(update.micro_batches)
        with nullcontext() if is_last else accelerator.no_sync(model):
            if args.label_smoothing:
                labels = inputs.pop("labels")
                loss = F.cross_entropy(model(**inputs).logits, labels, label_smoothing=args.label_smoothing)
            else:
                loss = model(**inputs).loss
            loss = loss * (len(rows) / update.num_examples)
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


def evaluate_all(args: RunArguments, setup: Setup, model: Any) -> dict[str, float]:
    """Score the validation splits and print the scores beside those of the most frequent label."""
    from glue.evaluation import evaluate, reference_labels
    from glue.metrics import MISMATCHED_SUFFIX, majority_baseline

    task = setup.task
    results: dict[str, float] = {}
    for number, split in enumerate(task.validation_splits):
        dataset = setup.datasets[split]
        scores = evaluate(model, dataset, task, setup.mapping, args.per_device_eval_batch_size, setup.accelerator)
        baseline = majority_baseline(task, reference_labels(dataset, task, setup.mapping))
        shown = ", ".join(f"{name} {scores[name]:.4f} (constant guess {baseline[name]:.4f})" for name in task.metrics)
        say(f"{split}: {shown}, loss {scores['loss']:.4f}, {len(dataset)} examples")
        results |= {name + MISMATCHED_SUFFIX * number: score for name, score in scores.items()}
    return results


def evaluate_only(args: RunArguments, setup: Setup) -> dict[str, Any]:
    """Score a model as it is."""
    setup = setup._replace(model=setup.accelerator.prepare_model(setup.model, evaluation_mode=True))
    scores = evaluate_all(args, setup, setup.model) if args.do_eval else {}
    return {f"eval_{name}": score for name, score in scores.items()}


if __name__ == "__main__":
    sys.exit(main())

"""Run by tests in one or several processes: the gradients of every update of an epoch, at the initial weights."""

import sys


def main(argv: list[str]) -> int:
    """Write them to the file that the first word names, for the command line of the other words."""
    import numpy as np

    import run_glue_no_trainer
    from glue.cli.arguments import parse_args
    from glue.training.sampling import TrainingOrder
    from glue.training.setup import set_up

    args = parse_args(argv[1:])
    setup = set_up(args)
    accelerator, dataset = setup.accelerator, setup.datasets["train"]
    order = TrainingOrder(
        len(dataset),
        args.per_device_train_batch_size,
        args.gradient_accumulation_steps,
        accelerator.num_processes,
        accelerator.process_index,
        args.seed,
    )
    model = accelerator.prepare(setup.model)
    gradients, losses = {}, []
    for number, update in enumerate(order.epoch(0)):
        loss = run_glue_no_trainer.backward(args, setup, model, dataset, update)
        losses.append(accelerator.reduce(loss, "sum").item())
        for name, parameter in accelerator.unwrap_model(model).named_parameters():
            gradients[f"{number} {name}"] = parameter.grad.numpy(force=True).copy()
        model.zero_grad(set_to_none=True)
    if accelerator.is_main_process:
        np.savez(argv[0], losses=losses, **gradients)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python
"""Measure and draw how alike the tokens of a sequence become, layer by layer, in one model or several.

    python run_oversmoothing.py --model_name_or_path output/rte-plain output/rte-contranorm --names plain ContraNorm \\
        --task_name rte --output_dir output/oversmoothing

Writes oversmoothing.json and three figures, as .png and .svg. The measures, over real tokens only, are in
`glue/scoring/oversmoothing.py`; docs/MEASURES.md says what they show.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, get_type_hints

from glue.cli.arguments import RunArguments
from glue.cli.command_line import build_parser, check_values, flag
from glue.cli.console import progress_bar, run_script, say
from glue.cli.paths import provide_caches
from glue.errors import UsageError

_GROUPS = {
    "models": "each is measured as it is, with the ContraNorm of its config",
    "data": "as for run_glue_no_trainer.py, whose validation split is read; without any, the built-in demo's",
    "output": "what is written",
}
_PRINTED = ("token_similarity", "effective_rank", "uniformity", "variance", "attention_similarity")
# Flags of a run about other splits than that of validation; its number of rows has a name of its own here.
_OTHER_SPLITS = ("train_file", "test_file", "max_train_samples", "max_eval_samples")
_DATA = {
    item.name: (get_type_hints(RunArguments)[item.name], field(default=item.default, metadata=item.metadata))
    for item in fields(RunArguments)
    if item.metadata["group"] == "data" and item.name not in _OTHER_SPLITS
}
_DataArguments = make_dataclass("_DataArguments", [(name, *declared) for name, declared in _DATA.items()])


@dataclass
class OversmoothingArguments(_DataArguments):  # type: ignore[misc, valid-type]
    """The settings of the command, checked.

    Raises:
        UsageError: names and models are not as many, or a number is out of range.

    Example:
        >>> OversmoothingArguments(model_name_or_path=["out/plain", "out/contranorm"]).names
        ['out/plain', 'out/contranorm']
    """

    model_name_or_path: list[str] = flag(  # noqa: RUF009
        "models", "checkpoint folders or Hub ids", is_path=True, nargs="+", type=str, metavar="NAME"
    )
    names: list[str] = flag(  # noqa: RUF009
        "models",
        "their names in figure and file; left out: as above, in the figure with their method",
        nargs="+",
        type=str,
        metavar="NAME",
    )
    cpu: bool = flag("models", "run on the CPU although there is a GPU", False)
    max_samples: int | None = flag("data", "use only the first N rows", least=1)
    batch_size: int = flag("data", "rows at a time; the result does not depend on it", 32, least=1)
    output_dir: str = flag("output", "folder of the files", "output/oversmoothing", is_path=True)
    attentions: bool | None = flag("output", "measure attention maps too", True)

    def __post_init__(self) -> None:
        check_values(self)
        if not self.model_name_or_path:
            raise UsageError("--model_name_or_path is missing: name one checkpoint or more")
        self.names = self.names or list(self.model_name_or_path)
        if len(self.names) != len(self.model_name_or_path):
            raise UsageError(f"{len(self.names)} --names for {len(self.model_name_or_path)} models: give one each")
        if len(set(self.names)) < len(self.names):
            raise UsageError("two models have the same name: tell them apart with --names")

    def of_run(self, model: str) -> RunArguments:
        """Return the settings with which `run_glue_no_trainer.py` would evaluate a model."""
        given = {name: getattr(self, name) for name in _DATA}
        return RunArguments(
            **{**given, "demo": self.demo or not (self.task_name or self.data_dir or self.validation_file)},
            model_name_or_path=model,
            max_eval_samples=self.max_samples,
            per_device_eval_batch_size=self.batch_size,
            do_eval=True,
            cpu=self.cpu,
        )


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = build_parser(
        OversmoothingArguments,
        _GROUPS,
        prog="run_oversmoothing.py",
        description="Measure how alike the tokens of a sequence become, layer by layer.",
    )

    def work() -> int:
        args = OversmoothingArguments(**vars(parser.parse_args(argv)))
        provide_caches()
        runs = [args.of_run(model) for model in args.model_name_or_path]
        measured = {name: measure(run, bool(args.attentions)) for name, run in zip(args.names, runs, strict=True)}
        write(args, measured, runs[0])
        return 0

    return run_script(parser.prog, work)


def measure(args: RunArguments, attentions: bool) -> dict[str, Any]:
    """Measure one model on the validation split."""
    from glue.scoring.oversmoothing import measure_oversmoothing, sinks_of
    from glue.training.sampling import evaluation_batches
    from glue.training.setup import set_up

    setup = set_up(args)
    device, dataset = setup.accelerator.device, setup.datasets[setup.task.validation_splits[0]]
    batches = evaluation_batches(dataset.lengths, args.per_device_eval_batch_size)
    bar = progress_bar(batches, desc=str(args.model_name_or_path), leave=False, delay=1)
    inputs = (dataset.collate(rows, device=device) for rows in bar)
    sinks = sinks_of(setup.tokenizer) if attentions else {}
    return {
        "method": setup.contranorm.label,
        **measure_oversmoothing(setup.model.to(device), inputs, attentions, sinks),
    }


def write(args: OversmoothingArguments, measured: dict[str, dict[str, Any]], run: RunArguments) -> None:
    """Print the last layers' measures, and write file and figure."""
    import json

    from reports.oversmoothing_figure import draw_oversmoothing
    from transformers.utils.files import make_folder, write_whole

    folder, task = make_folder(args.output_dir), run.task_name or run.validation_file
    for name, values in measured.items():
        last = ", ".join(f"{key} {values[key][-1]:.4f}" for key in _PRINTED if key in values)
        say(f"{name} ({values['method']}), last layer: {last}; {values['sequences']} sequences")
    text = json.dumps({"task": task, "models": measured}, indent=1) + "\n"
    write_whole(folder / "oversmoothing.json", lambda path: path.write_text(text, encoding="utf-8"))
    if args.names == args.model_name_or_path:
        measured = {f"{name} ({values['method']})": values for name, values in measured.items()}
    files = draw_oversmoothing(measured, f"Tokens of one sequence, {task}", folder / "oversmoothing")
    say(f"Written: {folder}/oversmoothing.json, {', '.join(file.name for file in files)}")


if __name__ == "__main__":
    sys.exit(main())

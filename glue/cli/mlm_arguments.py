"""The settings of continued pretraining: those of a run, without what labels are for, and how tokens are hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..data.tasks import Task
from .arguments import GROUPS, RunArguments
from .command_line import build_parser, flag

METRICS = ("accuracy", "perplexity")  # of masked tokens, the main one last


@dataclass
class MlmArguments(RunArguments):
    """All settings of a run that predicts masked tokens, checked.

    Raises:
        UsageError: a value is out of range, or two settings exclude each other.

    Example:
        >>> args = MlmArguments(model_name_or_path="bert-base-uncased", task_name="RTE", mlm_probability=0.2)
        >>> args.task_name, args.do_train, args.do_eval, args.mlm_probability
        ('rte', True, True, 0.2)
    """

    # No flags here: they are for labels and their predictions, for batches of a few sizes, or for classifiers.
    test_file: None = None
    init_from: None = None
    label_column_name: None = None
    problem_type: None = None
    pad_to_max_length: bool = False
    ignore_mismatched_sizes: bool = False
    use_slow_tokenizer: bool = False
    do_predict: bool = False
    pred_dir: None = None
    label_smoothing: float = 0.0
    execution: str = "auto"
    cuda_graphs: bool = False
    save_for_stock: bool = False

    mlm_probability: float = flag("data", "share of the tokens that are hidden and predicted", 0.15, above=0, most=1)
    line_by_line: bool = flag(
        "data", "a row for every text, cut to --max_length, instead of texts joined and split there", False
    )
    validation_split_percentage: int = flag(
        "data",
        "share of the training rows, the first ones, kept for validation without --validation_file",
        5,
        least=1,
        below=100,
    )

    @property
    def takes_plain_text(self) -> bool:
        return True

    @property
    def has_validation(self) -> bool:
        return self.validation_file is not None or self.train_file is not None

    def _rules(self) -> Iterator[tuple[object, str]]:
        yield (
            self.uses_own_files and self.do_train and not self.train_file,
            "training needs --train_file: add it, or evaluate a trained model by --do_eval",
        )
        yield from super()._rules()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_metric(METRICS)

    def check_task(self, task: Task) -> None:
        """Nothing depends on the kind of task: its labels are not read."""


def parse_mlm_args(argv: list[str] | None = None) -> MlmArguments:
    """Read the command line; arguments, result and errors as of `parse_args`."""
    options: dict[str, Any] = {
        "prog": "run_mlm_no_trainer.py",
        "usage": "%(prog)s [--model_name_or_path NAME] [--train_file FILE | --task_name TASK] [--pos POS] ...",
        "description": "Pretrain a model further with ContraNorm on: it predicts masked tokens of texts.",
        "epilog": "Nothing but --pos and --scale runs the built-in demo, which needs no network.",
    }
    return build_parser(MlmArguments, GROUPS, **options).read(MlmArguments.of, argv)

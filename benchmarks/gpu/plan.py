"""What is measured, in the order of its worth, and what is aimed at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..inputs import SIZES
from ..ours import POSITION, SCALE
from .options import Options

BATCH_SIZE, TINY_BATCH_SIZE, MAX_LENGTH = 32, 8, 128
TINY_ROWS = 64  # of a task, in the small form
TASKS = ("cola", "mrpc", "mnli", "rte")
MODELS = {"bert-base": SIZES["bert-base"], "6 layers x 384": SIZES["checkpoint"]}
_TINY_SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
TINY = {"tiny": ("bert", _TINY_SIZES)}

OURS, PLAIN, USUAL, COMPILED_USUAL, COMPILED, PADDED, PACKED = (
    "ours", "ours at scale 0", "usual", "usual, compiled", "ours, compiled", "ours, padded", "ours, packed"
)  # fmt: skip

# Of a step on an H200: BERT-base, bf16, batches of 32, dropout 0.1, pos 7.
STEP_TARGETS = {"cola": 3.5, "mrpc": 6.0, "mnli": 6.5, "rte": 7.5}  # milliseconds
SPEED_TARGETS = {USUAL: 2.5, COMPILED_USUAL: 1.3}  # times as fast
COST_TARGET = 8.0  # % that ContraNorm may add


class Variant(NamedTuple):
    """A kind of run.

    Attributes:
        name: what the table calls it.
        flags: of `run_glue_no_trainer.py`; None for the usual fine-tuning, of the stock library or of ours.
        compiled: whether the model of the usual fine-tuning is.
        guess: seconds that the first row is taken to take.
    """

    name: str
    flags: tuple[str, ...] | None = None
    compiled: bool = False
    guess: float = 20.0


_CONTRANORM = ("--pos", POSITION, "--scale", str(SCALE))
FORMS = (
    Variant(PADDED, (*_CONTRANORM, "--execution", "padded")),
    Variant(PACKED, (*_CONTRANORM, "--execution", "packed")),
)
EAGER = (Variant(OURS, _CONTRANORM), Variant(PLAIN, ("--pos", "none")), Variant(USUAL))
COMPILED_ONES = (
    Variant(COMPILED_USUAL, compiled=True, guess=90.0),
    Variant(COMPILED, (*_CONTRANORM, "--torch_compile"), guess=90.0),
)


@dataclass(frozen=True)
class Row:
    """One measurement that is planned."""

    model: str
    precision: str
    task: str
    variant: Variant

    @property
    def kind(self) -> str:
        """What rows that take as long have in common."""
        return f"{self.model} {self.variant.name}"

    @property
    def title(self) -> str:
        """The row in words."""
        return f"{self.model}, {self.precision}, {self.task}, {self.variant.name}"


def rows(options: Options) -> Iterator[Row]:
    """Yield all rows, the most valuable first. In small there are few, none of them compiled."""
    if options.tiny:
        yield from (Row("tiny", "bf16", "cola", variant) for variant in EAGER)
        return
    base, small = MODELS
    order = (
        (base, "bf16", EAGER),
        (base, "bf16", COMPILED_ONES),
        (base, "bf16", FORMS),
        (small, "bf16", EAGER),
        (base, "tf32", EAGER),
        (small, "tf32", EAGER),
        (base, "fp32", EAGER),
        (small, "fp32", EAGER),
        (small, "bf16", COMPILED_ONES),
        (base, "tf32", COMPILED_ONES),
        (small, "tf32", COMPILED_ONES),
    )
    for model, precision, variants in order:
        yield from (Row(model, precision, task, variant) for task in TASKS for variant in variants)

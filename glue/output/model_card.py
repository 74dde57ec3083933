"""README.md of a saved model: what it is, how it was trained, how it scored, and what to load it with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from transformers.methods import knobs_of

from ..cli.arguments import RunArguments
from ..data.tasks import OWN_FILES, Task
from ..training.method_settings import MethodSettings

_WARNING = """
> **Load it with the library of the ContraNorm repository, as below.** The `transformers` package from PyPI reads the
> same files, but does not know this method: it leaves it out without a word and computes the plain model, which is
> another function.
"""


def model_card(
    args: RunArguments, task: Task, settings: MethodSettings, results: Mapping[str, Any], num_rows: int
) -> str:
    """Return the card as Markdown.

    Args:
        args: the run's settings.
        task: what the model was trained on.
        settings: its method against oversmoothing.
        results: what `TrainingState.results` returned.
        num_rows: rows of the training split.
    """
    data = "own files" if task.name == OWN_FILES else f"GLUE {task.name}"
    if args.uses_demo_data:
        data = f"the demo's miniature of {data}"
    kind = "scores" if task.is_regression else f"{task.num_labels} classes"
    columns = " and ".join(map(_plain, task.text_columns))
    base = _plain(args.model_name_or_path or "")
    scores = [
        (_plain(name.removeprefix("eval_")), f"{value:.4f}")
        for name, value in results.items()
        if name.startswith("eval_") and isinstance(value, float)
    ]
    weights = f"; the weights are those of epoch {results['best_epoch']}" if args.load_best_model_at_end else ""
    return f"""\
# {base} fine-tuned on {data}

A text classifier for {kind}: the checkpoint {base}, fine-tuned on {data} (text in {columns}).
{_WARNING if settings.sites else ""}
## Method

{_method(settings)}

## Scores on the validation split

{_table(("score", f"seed {args.seed}"), scores) if scores else "It has not been evaluated."}

## Training

{results["updates"]} updates on {num_rows} examples, in {results["epochs"]} epoch(s){weights}.
Batches of {args.per_device_train_batch_size}, learning rate {args.learning_rate:g} ({args.lr_scheduler_type}), \
weight decay {args.weight_decay:g}, seed {args.seed}.
All settings, versions and hardware are in run.json.

## Use

From the root of the ContraNorm repository, whose library stands in the place of the stock one:

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("this folder").eval()
tokenizer = AutoTokenizer.from_pretrained("this folder")
logits = model(**tokenizer("A text.", return_tensors="pt")).logits
```
"""


def _method(settings: MethodSettings) -> str:
    """What stands in the model's layers, where, and with which knobs, whose declarations say what they are."""
    if not settings.sites:
        return "None: the plain model, which the stock library computes as well."
    name, pos, sites = settings.values["method"], settings.values["pos"], ", ".join(settings.sites)
    rows = [(knob, str(settings.values[knob]), declared.metadata["help"]) for knob, declared in knobs_of(name).items()]
    table = _table(("knob", "value", "what it is"), rows)
    return f"{name} against oversmoothing, in every layer, at {sites} (`--pos {pos}`).\n\n{table}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    visible = "".join(character if character.isprintable() else "?" for character in text)
    return "".join(f"\\{character}" if character in r"\`*_[]<>|#" else character for character in visible)

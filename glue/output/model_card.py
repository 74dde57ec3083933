"""README.md of a saved model: what it is, how it was trained, how it scored, and what to load it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..cli.arguments import RunArguments
from ..data.tasks import OWN_FILES, Task
from ..training.method_settings import MethodSettings

_WARNING = """\
> **Load this model with the ContraNorm library.** It was trained with ContraNorm switched on. The `transformers`
package > from PyPI reads the same files, but does not know the layer: it leaves it out without a word and computes
another > function.

"""


def model_card(
    args: RunArguments, task: Task, contranorm: MethodSettings, results: Mapping[str, Any], num_rows: int
) -> str:
    """Return the card as Markdown.

    Args:
        args: the run's settings.
        task: what the model was trained on.
        contranorm: its ContraNorm.
        results: scores by name, each a number.
        num_rows: rows of the training split.
    """
    trained_on = "own files" if task.name == OWN_FILES else f"GLUE {task.name}"
    if args.uses_demo_data:
        trained_on = f"the built-in miniature of {trained_on}"
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in results.items() if isinstance(value, float))
    knobs = "\n".join(f"- {name}: {value}" for name, value in contranorm.values.items())
    return f"""\
# {_plain(args.model_name_or_path or "")} fine-tuned on {trained_on}

{_WARNING if contranorm.sites else ""}\
| result on the validation split | |
| --- | --- |
{rows}

{"ContraNorm at " + ", ".join(contranorm.sites) if contranorm.sites else "ContraNorm is off: the plain model"}

{knobs}

Training: {num_rows} examples, {args.num_train_epochs} epochs, batch {args.per_device_train_batch_size}, learning rate
{args.learning_rate:g} ({args.lr_scheduler_type}), weight decay {args.weight_decay:g}, seed {args.seed}. Everything else
is in run.json.

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # in the ContraNorm repository

model = AutoModelForSequenceClassification.from_pretrained("this folder")
tokenizer = AutoTokenizer.from_pretrained("this folder")
```
"""


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    visible = "".join(character if character.isprintable() else "?" for character in text)
    return "".join(f"\\{character}" if character in r"\`*_[]<>|#" else character for character in visible)

"""The settings of a run: one dataclass with a field per flag, whose notes become the grouped `--help`.

`RunArguments` checks everything that can be known without opening a file's content or loading a model, so that a
mistake ends in one line before anything is read or written. Nothing heavy is imported: `--help` answers at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from transformers.backbones import BACKBONES
from transformers.contranorm_sites import parse_positions, site_numbers
from transformers.methods import METHODS, all_knobs, check_knob, find_method, knobs_of, method_sites
from transformers.utils.errors import ConfigurationError

from ..data.readers import check_data_path
from ..data.tasks import GLUE_TASKS, Task, find_task
from ..errors import UsageError
from .command_line import build_parser, check_values, flag
from .paths import check_writable

DEMO_MODELS = ("demo", "demo-albert")
DEMO_TASK = "sst2"
# A model that begins at random needs a higher learning rate than a pretrained one.
DEMO_DEFAULTS: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 100,
    "learning_rate": 1e-3,
    "num_train_epochs": 10,
    "warmup_ratio": 0.1,
}
TRACKERS = ("tensorboard", "trackio", "wandb")
SCHEDULES = ("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup")

_FILES = ("train_file", "validation_file", "test_file")
_EXCLUDING = (
    *product(("task_name", "demo", "data_dir"), _FILES),
    ("demo", "data_dir"),
    ("init_from", "model_name_or_path"),
    ("method", "use_v2"),
    ("warmup_ratio", "num_warmup_steps"),
    ("resume_from_checkpoint", "overwrite_output_dir"),
)
GROUPS = {
    "data": "what to train and evaluate on; nothing named here or under 'model' runs the built-in demo",
    "model": "where to start from",
    "method": "from the command line, else the checkpoint's config, else the paper (contranorm: pos 7, scale 0.005)",
    "what to do": "training and evaluation, unless a switch says otherwise",
    "training": "the paper's recipe is: batch 32, 5 epochs, learning rate 2e-5, linear decay, no warm-up, seed 2021",
    "checkpoints": "to go on from, and the best one; scores are computed after every epoch",
    "output": "what is kept of the run",
}


def _checkpointing_steps(text: str) -> int | str:
    return text if text == "epoch" else int(text)


_checkpointing_steps.__name__ = "number of steps or 'epoch'"  # argparse puts it into its message


def _number_or_numbers(text: str) -> float | str:
    if "," in text and re.search(r"(^|,)\s*[-+]?0\d", text):  # as in 0,01: a decimal comma, and no list of a 0 and a 1
        raise ValueError
    return text if "," in text else float(text)


_number_or_numbers.__name__ = "float"


def _defaults(name: str) -> str:
    """Say which methods have a knob, and what its default is in each of them."""
    methods: dict[str, list[str]] = {}
    for method in METHODS:
        if name in knobs_of(method):
            value = knobs_of(method)[name].default
            shown = "the model's own" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            methods.setdefault(shown, []).append(method)
    return "; ".join(f"{', '.join(names)}: default {shown}" for shown, names in methods.items())


def _knob_flags() -> list[tuple[str, Any, Any]]:
    """Return a field for every knob of every method, as `make_dataclass` takes them; None where it is not given."""
    found: list[tuple[str, Any, Any]] = []
    for name, item in all_knobs().items():
        help = f"{item.metadata['help']} ({_defaults(name)})"
        choices = item.metadata["choices"]
        options: dict[str, Any] = {"choices": choices} if choices else {}
        if item.metadata["per_layer"]:
            options = {"type": _number_or_numbers, "metavar": "X|X,X,..."}
        is_switch = item.default is None or isinstance(item.default, bool)
        kind: Any = str if choices else bool if is_switch else float
        found.append((name, kind | None, flag("method", help, **options)))
    return found


Arguments = TypeVar("Arguments", bound="RunArguments")


@dataclass
class _Place:
    """Which method, and where: before its knobs in `--help`."""

    method: str | None = flag("method", "what acts against oversmoothing; none: nothing", choices=(*METHODS, "none"))
    pos: str | None = flag(
        "method", "where in each layer: digits 1 to 8 of the model's numbering, combined as in 17; 0 or none: nowhere"
    )


_Knobs = make_dataclass("_Knobs", _knob_flags())


def _demo(name: str, note: str) -> str:
    """Add to the note of a flag what the demo's model takes instead of its default."""
    return f"{note}; for the demo's model {DEMO_DEFAULTS[name]:g}"


@dataclass
class RunArguments(_Knobs, _Place):  # type: ignore[misc, valid-type]
    """All settings of a run, checked; a field is None where the user left the choice to the program.

    After construction `task_name` is a key of `GLUE_TASKS` or None (own files), `model_name_or_path` is filled in, and
    `do_train`, `do_eval` and `do_predict` are booleans.

    Raises:
        UsageError: a value is out of range, or two settings exclude each other.

    Example:
        >>> args = RunArguments(model_name_or_path="bert-base-uncased", task_name="MRPC", do_eval=True)
        >>> args.task_name, args.do_train, args.do_eval, args.uses_demo_data
        ('mrpc', False, True, False)
    """

    task_name: str | None = flag("data", f"GLUE task: {', '.join(GLUE_TASKS)}", metavar="TASK")
    data_dir: str | None = flag(
        "data",
        "folder with GLUE on disk: TASK/SPLIT.jsonl, .jsonl.gz or .parquet, or the official folders (CoLA/train.tsv "
        "...); without it the environment variable GLUE_DATA_DIR, then the Hub's nyu-mll/glue or its cache",
        is_path=True,
    )
    train_file: str | None = flag(
        "data",
        "own training data: csv, tsv, json, jsonl (each also .gz) or parquet, with a column 'label'",
        is_path=True,
    )
    validation_file: str | None = flag("data", "own validation data", is_path=True)
    test_file: str | None = flag("data", "own data to predict with --do_predict; needs no labels", is_path=True)
    text_column_names: tuple[str, ...] | None = flag(
        "data",
        "the text column of own files, or two for pairs (A B or A,B); left out: the model's, else those of known names "
        "(sentence1 sentence2, text ...), else the one or two that hold text",
        type=str,
        nargs="+",
        metavar="NAME",
    )
    label_column_name: str | None = flag("data", "the label column of own files; left out: label, else labels")
    problem_type: str | None = flag(
        "data",
        "what own labels are; left out: numbers with a decimal point are scores, all else classes",
        choices=("classification", "regression"),
    )
    demo: bool = flag("data", "use the built-in miniature GLUE (no network); --task_name picks one of the nine", False)
    max_length: int = flag("data", "longest input in tokens; what is longer is cut", 128, least=3)
    pad_to_max_length: bool = flag("data", "pad every input to --max_length instead of to its batch's longest", False)
    max_train_samples: int | None = flag("data", "use only the first N training rows", least=1)
    max_eval_samples: int | None = flag("data", "use only the first N rows of each validation split", least=1)
    token_cache: str | None = flag(
        "data",
        "folder that keeps tokenized data for the next run, or none; left out: contranorm/tokenized among the user's "
        "caches",
        is_path=True,
        metavar="DIR|none",
    )

    model_name_or_path: str | None = flag(
        "model",
        f"checkpoint folder or Hub id ({', '.join(BACKBONES)}); 'demo' or 'demo-albert' is a tiny random one",
        is_path=True,
        metavar="NAME",
    )
    init_from: str | None = flag(
        "model",
        "in its place: a model of another task to start from, such as MNLI's for RTE, MRPC and STS-B; all of it but its"
        " classifier, which is drawn anew",
        is_path=True,
        metavar="NAME",
    )
    revision: str | None = flag("model", "branch, tag or commit of a Hub id", metavar="REV")
    num_hidden_layers: int | None = flag(
        "model", "keep only the first N layers of the checkpoint; the demo's models get as many as you say", least=1
    )
    ignore_mismatched_sizes: bool = flag("model", "load although a weight (the classifier) has another shape", False)
    use_slow_tokenizer: bool = flag("model", "for old command lines; there is one, with the slow one's ids", False)

    use_v2: bool | None = flag("method", "the same as --method contranorm_v2; its --no- twin as contranorm")

    do_train: bool | None = flag(
        "what to do",
        "train. Once --do_train or --do_eval is given, only what is given is done; --no-... takes one away",
    )
    do_eval: bool | None = flag("what to do", "evaluate: after each epoch, or once where nothing is trained")
    do_predict: bool = flag("what to do", "also predict the test split, as GLUE submission files", False)

    per_device_train_batch_size: int = flag("training", "training batch of one process", 32, least=1)
    per_device_eval_batch_size: int = flag("training", "the same of an evaluation; changes no score", 128, least=1)
    optim: str = flag(
        "training",
        "AdamW as in the stock library's old class, which the paper used (epsilon before bias correction, decay after "
        "the update), or PyTorch's",
        "adamw_hf",
        choices=("adamw_hf", "adamw_torch"),
    )
    learning_rate: float = flag("training", _demo("learning_rate", "peak learning rate of AdamW"), 2e-5, above=0)
    method_learning_rate: float | None = flag(
        "training", "learning rate of what the method learns, instead of --learning_rate", above=0
    )
    weight_decay: float = flag(
        "training", "decay of all weights but biases, LayerNorms and what the method learns", 0.0, least=0
    )
    adam_beta1: float = flag("training", "AdamW's first beta", 0.9, least=0, below=1)
    adam_beta2: float = flag("training", "AdamW's second beta", 0.999, least=0, below=1)
    adam_epsilon: float = flag("training", "AdamW's epsilon", 1e-6, above=0)
    num_train_epochs: int = flag("training", _demo("num_train_epochs", "passes over the training data"), 3, least=1)
    max_train_steps: int | None = flag("training", "number of updates, instead of --num_train_epochs", least=1)
    gradient_accumulation_steps: int = flag("training", "batches that make up one update", 1, least=1)
    group_by_length: bool = flag(
        "training", "let rows of similar length meet in a batch: less padding, another order of training", False
    )
    lr_scheduler_type: str = flag("training", "how the learning rate goes on", "linear", choices=SCHEDULES)
    num_warmup_steps: int = flag("training", "updates of linear warm-up", 0, least=0)
    warmup_ratio: float = flag(
        "training", _demo("warmup_ratio", "the same as a share of all updates (0 to 1)"), 0.0, least=0, most=1
    )
    max_grad_norm: float | None = flag("training", "clip the gradient to this norm; 0: no clipping", least=0)
    label_smoothing: float = flag("training", "of the cross-entropy (0 to below 1)", 0.0, least=0, below=1)
    gradient_checkpointing: bool = flag("training", "recompute activations to save memory", False)
    execution: str = flag(
        "training",
        "how batches are computed: packed (real tokens only), padded, bucketed (padded to a few sizes); "
        "auto: packed on the CPU, bucketed on NVIDIA GPUs, padded elsewhere; the same function, other dropout masks",
        "auto",
        choices=("auto", "packed", "padded", "bucketed"),
    )
    torch_compile: bool = flag("training", "compile the layers: minutes to start, slower on CPUs", False)
    mixed_precision: str | None = flag(
        "training", "autocast; left out: the setting of accelerate launch, else no", choices=("no", "fp16", "bf16")
    )
    tf32: bool | None = flag(
        "training",
        "matrix products of fp32 by TF32 on NVIDIA GPUs; left out: yes, but not with --contranorm_padding include",
    )
    cuda_graphs: bool = flag(
        "training",
        "record an update once for each shape of a bucketed run, and replay it; not yet measured on a GPU",
        False,
    )
    cpu: bool = flag("training", "run on the CPU although there is a GPU", False)
    seed: int = flag("training", "seed of everything random", 2021, least=0, below=2**32)

    checkpointing_steps: int | str | None = flag(
        "checkpoints",
        "save a checkpoint to resume from every N updates, or every 'epoch'",
        type=_checkpointing_steps,
        least=1,
        metavar="N|epoch",
    )
    save_total_limit: int | None = flag("checkpoints", "keep the newest N checkpoints, and the best epoch's", least=1)
    resume_from_checkpoint: str | None = flag(
        "checkpoints",
        "continue from this checkpoint folder; without a value from the newest one in --output_dir; auto: from that "
        "one if there is any, else start anew",
        nargs="?",
        const="latest",
        is_path=True,
        metavar="DIR|auto",
    )
    load_best_model_at_end: bool = flag("checkpoints", "keep the best epoch's weights, not the last one's", False)
    metric_for_best_model: str | None = flag(
        "checkpoints", "what 'best' means: a metric of the task, or loss; left out: the task's main one"
    )
    early_stopping_patience: int | None = flag("checkpoints", "stop after N epochs without a better score", least=1)

    output_dir: str | None = flag("output", "folder for all that is kept; left out: scores are printed", is_path=True)
    overwrite_output_dir: bool = flag("output", "replace what another run left in --output_dir", False)
    save_for_stock: bool = flag(
        "output", "add a file that carries ContraNorm to the model, for the stock library (see docs/STOCK.md)", False
    )
    push_to_hub: bool = flag("output", "upload model, tokenizer, card and scores to the Hub at the end", False)
    hub_model_id: str | None = flag(
        "output", "name or owner/name on the Hub; left out: the name of --output_dir", metavar="ID"
    )
    hub_private_repo: bool = flag("output", "make a repository on the Hub that only its owner sees", False)
    pred_dir: str | None = flag("output", "folder of predictions; left out: that in --output_dir", is_path=True)
    logging_steps: int = flag("output", "print the training loss every N updates", 50, least=1)
    log_oversmoothing: bool = flag(
        "output", "after every epoch measure on validation rows how alike their tokens become, layer by layer", False
    )
    with_tracking: bool = flag("output", "send losses and scores to an experiment tracker", False)
    report_to: str | None = flag(
        "output",
        "which tracker; implies --with_tracking. Default: all that are installed",
        choices=("all", *TRACKERS),
    )

    def __post_init__(self) -> None:
        check_values(self)
        for one, other in _EXCLUDING:
            if all(getattr(self, name) != getattr(RunArguments, name) for name in (one, other)):
                raise UsageError(f"--{one} and --{other} exclude each other: give one of them")
        self.model_name_or_path = self.init_from or self.model_name_or_path
        self._settle_method()
        self._settle_rest()
        for is_broken, message in self._rules():
            if is_broken:
                raise UsageError(message)
        if self.task is not None:
            self.check_task(self.task)
        for name in ("output_dir", "pred_dir"):
            if (folder := getattr(self, name)) is not None:
                check_writable(f"--{name}", Path(folder))

    @classmethod
    def of(cls: type[Arguments], given: Mapping[str, Any]) -> Arguments:
        """Return the settings of a run for what was given; the demo's model takes its own recipe for the rest."""
        args = cls(**given)
        if not args.uses_demo_model:
            return args
        warms_up = "num_warmup_steps" in given  # which excludes a share of all updates
        recipe = {name: value for name, value in DEMO_DEFAULTS.items() if not (warms_up and name == "warmup_ratio")}
        return cls(**{**recipe, **given})

    @property
    def uses_own_files(self) -> bool:
        """Whether the data are the user's own files instead of a GLUE task."""
        return bool(self.train_file or self.validation_file or self.test_file)

    @property
    def takes_plain_text(self) -> bool:
        """Whether own files may be without labels."""
        return False

    @property
    def has_validation(self) -> bool:
        """Whether own files can be evaluated on."""
        return self.validation_file is not None

    @property
    def uses_demo_data(self) -> bool:
        """Whether the data are the built-in miniature GLUE: asked for, nothing named, or the demo's model alone."""
        if self.demo:
            return True
        names_data = self.uses_own_files or self.data_dir
        names_model = self.model_name_or_path not in (None, *DEMO_MODELS)
        return not names_data and not names_model and (self.model_name_or_path is not None or self.task_name is None)

    @property
    def uses_demo_model(self) -> bool:
        """Whether the model is the demo's tiny random one."""
        return self.model_name_or_path in DEMO_MODELS or (self.model_name_or_path is None and self.uses_demo_data)

    @property
    def task(self) -> Task | None:
        """The GLUE task; None for own files, whose record follows from their content."""
        return GLUE_TASKS[self.task_name] if self.task_name else None

    @property
    def method_settings(self) -> dict[str, Any]:
        """Method, position and knobs as far as they were given."""
        named = {name: getattr(self, name) for name in ("method", "pos", *all_knobs())}
        if self.use_v2 is not None:
            named["method"] = "contranorm_v2" if self.use_v2 else "contranorm"
        if self.method == "none":
            named |= {"method": None, "pos": "none"}
        return {name: value for name, value in named.items() if value is not None}

    def _settle_method(self) -> None:
        # The model's type is known only once its config has been read. All numberings run from 1 to 8, so the check is
        # exact; the name merely picks the table that the message shows, and is the demo's own type.
        model_type = "albert" if "albert" in (self.model_name_or_path or "").lower() else "bert"
        if self.pos is not None:
            sites = _checked("--pos: ", parse_positions, self.pos, model_type)
            self.pos = "".join(sorted({*str(self.pos).strip()})) if sites else "none"
        if self.method == "none" and self.pos not in (None, "none"):
            raise UsageError(f"--method none is the plain model, and --pos {self.pos} is none: give one of them")
        given = self.method_settings
        method = given.get("method")
        if self.pos is not None and method is not None:
            kinds = (model_type,) if self.uses_demo_model else BACKBONES
            numbers = {site_numbers(kind)[site] for kind in kinds for site in find_method(method).sites}
            if self.pos != "none" and not set(self.pos) <= numbers:
                _checked("--pos: ", method_sites, method, self.pos, model_type)
        for name, item in all_knobs().items():
            if name in given and method is not None and name not in knobs_of(method):
                raise UsageError(f"--{name}: {method} has no such knob, only {', '.join(knobs_of(method))}")
            if name in given:
                own = knobs_of(method).get(name, item) if method else item
                setattr(self, name, _checked("--", check_knob, own, given[name]))

    def _settle_rest(self) -> None:
        """Fill in what follows from other flags: the demo's names, and what is to be done."""
        if self.text_column_names is not None:
            self.text_column_names = tuple(name for name in ",".join(self.text_column_names).split(",") if name)
        if self.task_name is not None:
            self.task_name = find_task(self.task_name).name
        if self.uses_demo_data:
            self.task_name, self.demo = self.task_name or DEMO_TASK, True
            self.model_name_or_path = self.model_name_or_path or DEMO_MODELS[0]
        anything_given = bool(self.do_train or self.do_eval)
        if self.do_train is None:
            self.do_train = not anything_given
        if self.do_eval is None:
            self.do_eval = not anything_given and (self.has_validation or not self.uses_own_files)
        if self.metric_for_best_model is not None:
            self.metric_for_best_model = self.metric_for_best_model.removeprefix("eval_")
        if self.report_to is not None:
            self.with_tracking = True
        elif self.with_tracking:
            self.report_to = "all"

    def _rules(self) -> Iterator[tuple[object, str]]:
        """Yield for each rule that several flags take part in whether it is broken, and what to say then."""
        own, resumed = self.uses_own_files, self.resume_from_checkpoint
        for name in ("text_column_names", "label_column_name", "problem_type"):
            is_given = getattr(self, name) is not None
            yield is_given and not own, f"--{name} is for own files: give --train_file, or leave it out"
        for name in _FILES:
            if getattr(self, name) is not None:
                check_data_path(getattr(self, name), f"--{name}", self.takes_plain_text)
        yield self.data_dir and not Path(self.data_dir).is_dir(), f"--data_dir {self.data_dir}: no such folder"
        yield (
            not self.task_name and not own,
            "no data: give --task_name, own files with --train_file and --validation_file, or --demo",
        )
        yield (
            not self.model_name_or_path,
            "no model: give --model_name_or_path (a folder, a Hub id such as bert-base-uncased, or demo)",
        )
        yield (
            self.init_from and not self.do_train,
            "--init_from draws a new classifier, and nothing is trained: give --model_name_or_path",
        )
        yield (
            own and self.do_train and not self.train_file,
            "training needs --train_file: add it, or evaluate and predict with a trained model by --no-do_train",
        )
        yield own and self.do_eval and not self.has_validation, "--do_eval needs --validation_file"
        yield own and self.do_predict and not self.test_file, "--do_predict needs --test_file"
        yield (
            not (self.do_train or self.do_eval or self.do_predict),
            "nothing to do: training, evaluation and prediction are all switched off, or have no data",
        )
        yield (
            resumed and not self.do_train,
            "--resume_from_checkpoint continues a training, but training is switched off",
        )
        if resumed in ("latest", "auto"):
            yield not self.output_dir, "--resume_from_checkpoint without a folder needs --output_dir to look into"
        elif resumed:
            yield not Path(resumed).is_dir(), f"--resume_from_checkpoint {resumed}: no such folder"
        for name in ("load_best_model_at_end", "early_stopping_patience", "log_oversmoothing"):
            lacks = not (self.do_train and self.do_eval)
            yield getattr(self, name) and lacks, f"--{name} needs training and evaluation on validation data"
        for name in ("hub_model_id", "hub_private_repo"):
            yield getattr(self, name) and not self.push_to_hub, f"--{name} goes with --push_to_hub: give both"
        for name in ("save_for_stock", "push_to_hub"):
            yield getattr(self, name) and not self.do_train, f"--{name} is for a model that was trained, and none is"
        for name in (
            *("checkpointing_steps", "save_total_limit", "with_tracking", "log_oversmoothing"),
            *("save_for_stock", "push_to_hub"),
        ):
            yield getattr(self, name) and not self.output_dir, f"--{name} needs --output_dir to write into"
        yield (
            self.do_predict and not (self.output_dir or self.pred_dir),
            "--do_predict needs --pred_dir or --output_dir to write into",
        )
        yield (
            self.pred_dir and not self.do_predict,
            "--pred_dir is where predictions go: add --do_predict, or leave it out",
        )

    def check_task(self, task: Task) -> None:
        """Check the settings that depend on the kind of task; for own files it is known only after reading them.

        Raises:
            UsageError: a setting does not fit the task.
        """
        if task.is_regression and self.label_smoothing:
            raise UsageError("--label_smoothing works on classes, but this task predicts a number: leave it out")
        self._check_metric(task.metrics)

    def _check_metric(self, metrics: tuple[str, ...]) -> None:
        choices = (*metrics, "loss")
        if self.metric_for_best_model not in (None, *choices):
            expected = ", ".join(choices)
            raise UsageError(f"--metric_for_best_model {self.metric_for_best_model}: expected one of {expected}")


def _checked(prefix: str, check: Callable[..., Any], *values: Any) -> Any:
    """Return what a check of the library returns; what it complains about is said of a flag."""
    try:
        return check(*values)
    except ConfigurationError as error:
        raise UsageError(f"{prefix}{error}") from None


def parse_args(argv: list[str] | None = None) -> RunArguments:
    """Read the command line.

    Args:
        argv: the words after the script's name; None takes them from `sys.argv`.

    Returns:
        The checked arguments. A demo run takes the demo's sizes where the user gave none.

    Raises:
        SystemExit: status 2 and one line on stderr for a wrong command line, status 0 after `--help`.
    """
    parser = build_parser(
        RunArguments,
        GROUPS,
        prog="run_glue_no_trainer.py",
        usage="%(prog)s [--model_name_or_path NAME] [--task_name TASK | --train_file FILE] [--pos POS] [--scale X] ...",
        description="Fine-tune a text encoder with ContraNorm on a GLUE task or on own files.",
        epilog="Nothing but --pos and --scale runs the built-in demo, which needs no network.",
    )
    return parser.read(RunArguments.of, argv)

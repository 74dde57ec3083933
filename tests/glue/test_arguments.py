"""The command line: every flag, every default, and one line with status 2 for everything that is wrong."""

import math
import subprocess
import sys
from dataclasses import fields, make_dataclass
from pathlib import Path

import pytest

from glue.cli import hints
from glue.cli.arguments import DEMO_DEFAULTS, RunArguments, parse_args
from glue.cli.command_line import build_parser, check_values, flag
from glue.errors import UsageError

REPOSITORY = Path(__file__).parents[2]
GLUE = ["--model_name_or_path", "bert-base-uncased", "--task_name", "mrpc"]
RELEASED_FLAGS = """
    task_name train_file validation_file max_length pad_to_max_length model_name_or_path use_slow_tokenizer
    per_device_train_batch_size per_device_eval_batch_size learning_rate weight_decay num_train_epochs max_train_steps
    gradient_accumulation_steps lr_scheduler_type num_warmup_steps output_dir seed pos scale tau use_v2 method
    contranorm_identity num_hidden_layers do_predict pred_dir
"""
ADDED_FLAGS = """
    method_learning_rate gfsa_order gfsa_w0 neutreno_a resformer_r attention_temperature softdecay_alpha gate
    text_column_names label_column_name problem_type init_from
    test_file data_dir ignore_mismatched_sizes with_tracking report_to checkpointing_steps resume_from_checkpoint
    mixed_precision max_grad_norm warmup_ratio label_smoothing gradient_checkpointing max_train_samples max_eval_samples
    load_best_model_at_end metric_for_best_model early_stopping_patience save_total_limit contranorm_padding do_train
    do_eval demo overwrite_output_dir adam_beta1 adam_beta2 adam_epsilon log_oversmoothing logging_steps cpu revision
    token_cache torch_compile optim execution tf32 cuda_graphs group_by_length save_for_stock push_to_hub hub_model_id
    hub_private_repo
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A working folder with data files whose content does not matter yet."""
    monkeypatch.chdir(tmp_path)
    for name in ("train.csv", "validation.csv", "test.csv", "data.txt", "weights"):
        (tmp_path / name).write_text("sentence,label\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "checkpoint").mkdir()
    return tmp_path


def refusal(argv, capsys):
    """Return the line that the command line is refused with."""
    with pytest.raises(SystemExit) as stop:
        parse_args(argv)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == ""
    assert err.startswith("run_glue_no_trainer.py: error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err


def test_every_flag_is_there_and_explained():
    assert sorted((RELEASED_FLAGS + ADDED_FLAGS).split()) == sorted(item.name for item in fields(RunArguments))
    assert all(item.metadata["help"] for item in fields(RunArguments))


def test_help_is_grouped_and_imports_nothing_heavy():
    code = (
        "import sys; from run_glue_no_trainer import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: print('status', stop.code)\n"
        "heavy = {'torch', 'numpy', 'datasets', 'accelerate', 'evaluate', 'tokenizers', 'huggingface_hub', 'pyarrow'}\n"
        "print('heavy', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "status 0" in done.stdout and "heavy []" in done.stdout
    for title in ("data:", "model:", "method:", "training:", "checkpoints:", "output:"):
        assert f"\n{title}\n" in done.stdout
    assert "(default: 2e-05)" in done.stdout and "--no-do_train" in done.stdout


def test_checking_the_command_line_imports_no_torch():
    code = f"import sys; from glue.cli.arguments import parse_args; parse_args({GLUE!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_defaults_are_the_documented_ones():
    args = parse_args(GLUE)
    recipe = {
        "max_length": 128,
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 128,
        "learning_rate": 2e-5,
        "weight_decay": 0.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-6,
        "num_train_epochs": 3,
        "gradient_accumulation_steps": 1,
        "lr_scheduler_type": "linear",
        "num_warmup_steps": 0,
        "warmup_ratio": 0.0,
        "label_smoothing": 0.0,
        "seed": 2021,
    }
    assert {name: getattr(args, name) for name in recipe} == recipe
    for name in (
        "pos",
        "scale",
        "tau",
        "use_v2",
        "contranorm_padding",
        "max_grad_norm",
        "output_dir",
        "mixed_precision",
    ):
        assert getattr(args, name) is None, name
    assert (args.do_train, args.do_eval, args.do_predict) == (True, True, False)


# what is given, (field, value) afterwards
ACCEPTED = [
    ("--pos 17 --scale 0.005", [("pos", "17"), ("scale", 0.005)]),
    ("--pos none", [("pos", "none")]),
    ("--pos NONE", [("pos", "none")]),
    ("--pos 0", [("pos", "none")]),
    ("--pos 717", [("pos", "17")]),
    ("--method none --pos NONE", [("pos", "none")]),
    ("--method gfsa --pos none", [("pos", "none")]),
    ("--method gfsa --pos 2", [("pos", "2")]),
    ("--method softdecay --pos 8", [("pos", "8")]),  # of an ALBERT, which a checkpoint of any name may be
    ("--scale -0.5", [("scale", -0.5)]),
    ("--scale 0,0.01,-0.5", [("scale", "0.0,0.01,-0.5")]),
    ("--use_v2", [("use_v2", True)]),
    ("--no-use_v2", [("use_v2", False)]),
    ("--checkpointing_steps 5 --output_dir out", [("checkpointing_steps", 5)]),
    ("--checkpointing_steps epoch --output_dir out", [("checkpointing_steps", "epoch")]),
    ("--resume_from_checkpoint --output_dir out", [("resume_from_checkpoint", "latest")]),
    ("--resume_from_checkpoint checkpoint", [("resume_from_checkpoint", "checkpoint")]),
    ("--with_tracking --output_dir out", [("with_tracking", True), ("report_to", "all")]),
    ("--report_to wandb --output_dir out", [("with_tracking", True), ("report_to", "wandb")]),
    ("--metric_for_best_model eval_f1", [("metric_for_best_model", "f1")]),
    ("--metric_for_best_model loss", [("metric_for_best_model", "loss")]),
    ("--max_grad_norm 0", [("max_grad_norm", 0.0)]),
    ("--do_train", [("do_train", True), ("do_eval", False)]),
    ("--do_eval", [("do_train", False), ("do_eval", True)]),
    ("--do_train --do_eval", [("do_train", True), ("do_eval", True)]),
    ("--no-do_train", [("do_train", False), ("do_eval", True)]),
    ("--no-do_eval", [("do_train", True), ("do_eval", False)]),
    ("--do_predict --pred_dir p", [("do_train", True), ("do_eval", True), ("do_predict", True)]),
    ("--no-do_train --no-do_eval --do_predict --pred_dir p", [("do_train", False), ("do_eval", False)]),
]


@pytest.mark.parametrize(("given", "expected"), ACCEPTED, ids=[given for given, _ in ACCEPTED])
def test_accepted(given, expected, files):
    args = parse_args(GLUE + given.split())
    assert [(name, getattr(args, name)) for name, _ in expected] == expected


# what is given beside a model and a task, part of the message
REFUSED = [
    (["--pos", "foo"], "--pos: pos 'foo' is not a ContraNorm position of bert"),
    (["--pos", "9"], "pos '9'"),
    (["--pos", "-1"], "pos '-1'"),
    (["--pos", "1.5"], "pos '1.5'"),
    (["--pos", ""], "--pos is empty"),
    (["--pos", "70"], "7 attention_residual"),
    (["--method", "gfsa", "--pos", "7"], "--pos: pos '7': gfsa is defined at context only: give pos 2"),
    (
        ["--method", "softdecay", "--pos", "17"],
        "--pos: pos '17': softdecay is defined at layer_output only: give pos 6",
    ),
    (["--scale", "nan"], "--scale nan: expected a finite number"),
    (["--scale", "inf"], "--scale inf: expected a finite number"),
    (["--scale=-inf"], "--scale -inf: expected a finite number"),
    (["--scale", "strong"], "--scale: invalid float value: 'strong'"),
    (["--scale", "0,005"], "--scale: invalid float value: '0,005'"),
    (["--tau", "0"], "--tau 0: expected more than 0"),
    (["--tau", "-1"], "--tau -1: expected more than 0"),
    (["--tau", "nan"], "--tau nan: expected"),
    (["--contranorm_padding", "maybe"], "invalid choice: 'maybe'"),
    (["--max_length", "0"], "--max_length 0: expected 3 or more"),
    (["--max_length", "12.5"], "invalid int value: '12.5'"),
    (["--per_device_train_batch_size", "0"], "--per_device_train_batch_size 0: expected 1 or more"),
    (["--per_device_eval_batch_size", "-4"], "--per_device_eval_batch_size -4: expected 1 or more"),
    (["--num_train_epochs", "-1"], "--num_train_epochs -1: expected 1 or more"),
    (["--max_train_steps", "0"], "--max_train_steps 0: expected 1 or more"),
    (["--gradient_accumulation_steps", "0"], "--gradient_accumulation_steps 0"),
    (["--learning_rate", "0"], "--learning_rate 0: expected more than 0"),
    (["--learning_rate", "inf"], "--learning_rate inf"),
    (["--weight_decay", "-0.1"], "--weight_decay -0.1: expected 0 or more"),
    (["--adam_beta2", "1"], "--adam_beta2 1: expected 0 or more and below 1"),
    (["--label_smoothing", "1"], "--label_smoothing 1: expected 0 or more and below 1"),
    (["--warmup_ratio", "1.5"], "--warmup_ratio 1.5: expected 0 or more and at most 1"),
    (["--warmup_ratio", "0.1", "--num_warmup_steps", "5"], "exclude each other"),
    (["--num_hidden_layers", "0"], "--num_hidden_layers 0"),
    (["--max_train_samples", "0"], "--max_train_samples 0"),
    (["--seed", "-1"], "--seed -1"),
    (["--seed", "4294967296"], "--seed 4294967296: expected 0 or more and below 4294967296"),
    (["--lr_scheduler_type", "sawtooth"], "invalid choice: 'sawtooth'"),
    (["--mixed_precision", "fp8"], "invalid choice: 'fp8'"),
    (["--report_to", "paper"], "invalid choice: 'paper'"),
    (["--checkpointing_steps", "0", "--output_dir", "out"], "--checkpointing_steps 0: expected 1 or more"),
    (["--checkpointing_steps", "often"], "number of steps or 'epoch'"),
    (["--checkpointing_steps", "5"], "--checkpointing_steps needs --output_dir"),
    (["--save_total_limit", "2"], "--save_total_limit needs --output_dir"),
    (["--with_tracking"], "--with_tracking needs --output_dir"),
    (["--log_oversmoothing"], "--log_oversmoothing needs --output_dir"),
    (["--log_oversmoothing", "--no-do_eval"], "--log_oversmoothing needs training and evaluation"),
    (["--resume_from_checkpoint"], "needs --output_dir"),
    (["--resume_from_checkpoint", "auto"], "needs --output_dir"),
    (["--optim", "adamw"], "invalid choice: 'adamw'"),
    (["--resume_from_checkpoint", "nowhere"], "--resume_from_checkpoint nowhere: no such folder"),
    (["--resume_from_checkpoint", "checkpoint", "--do_eval"], "training is switched off"),
    (["--resume_from_checkpoint", "--output_dir", "o", "--overwrite_output_dir"], "exclude each other"),
    (["--load_best_model_at_end", "--no-do_eval"], "--load_best_model_at_end needs training and evaluation"),
    (["--early_stopping_patience", "2", "--do_train"], "--early_stopping_patience needs training and evaluation"),
    (["--metric_for_best_model", "bleu"], "--metric_for_best_model bleu: expected one of accuracy, f1, loss"),
    (["--do_predict"], "--do_predict needs --pred_dir or --output_dir"),
    (["--pred_dir", "out"], "add --do_predict"),
    (["--no-do_train", "--no-do_eval"], "nothing to do"),
    (["--task_name", "copa"], "unknown task 'copa': expected one of cola, sst2"),
    (["--task_name", "stsb", "--label_smoothing", "0.1"], "predicts a number"),
    (["--data_dir", "nowhere"], "--data_dir nowhere: no such folder"),
    (["--train_file", "train.csv"], "--task_name and --train_file exclude each other"),
    (["--test_file", "test.csv"], "--task_name and --test_file exclude each other"),
    (["--demo", "--data_dir", "checkpoint"], "--demo and --data_dir exclude each other"),
    (["--max_train_steps", "9" * 400], "below 9223372036854775808"),
    (["--test_file", "\udcff.csv"], "\\udcff.csv: expected a name in UTF-8"),
    (["--output_dir", ""], "--output_dir is empty: give a value, or leave it out"),
    (["--data_dir="], "--data_dir is empty"),
    (["--resume_from_checkpoint="], "--resume_from_checkpoint is empty"),
    (
        ["--learning-rate", "1"],
        "unrecognized arguments: --learning-rate 1 (--learning-rate: did you mean --learning_rate?)",
    ),
    (["--learning", "1"], "unrecognized arguments: --learning"),
    (["--learning_rat=1"], "--learning_rat=1 (--learning_rat: did you mean --learning_rate?)"),
    (["--metod", "gfsa"], "(--metod: did you mean --method?)"),
    (["--max_seq_length", "128"], "(--max_seq_length: here it is --max_length)"),
    (
        ["--fp16", "--evaluation_strategy", "epoch", "--save_steps", "100"],
        "(--fp16: here it is --mixed_precision fp16; --evaluation_strategy: here it is --do_eval, after every epoch; "
        "--save_steps: here it is --checkpointing_steps)",
    ),
    (["--pos7"], "unrecognized arguments: --pos7"),
    (["stray"], "unrecognized arguments: stray\n"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[" ".join(given) for given, _ in REFUSED])
def test_refused_beside_a_task(given, message, files, capsys):
    assert message in refusal(GLUE + given, capsys)


# the whole command line, part of the message
REFUSED_WITHOUT_TASK = [
    ("--model_name_or_path m", "no data: give --task_name"),
    ("--task_name mrpc", "no model: give --model_name_or_path"),
    ("--data_dir checkpoint", "no data: give --task_name"),
    ("--train_file train.csv", "no model: give --model_name_or_path"),
    ("--model_name_or_path m --validation_file validation.csv", "training needs --train_file"),
    ("--model_name_or_path m --test_file test.csv", "training needs --train_file"),
    ("--model_name_or_path m --train_file train.csv --do_eval", "--do_eval needs --validation_file"),
    ("--model_name_or_path m --train_file train.csv --do_predict --pred_dir p", "--do_predict needs --test_file"),
    ("--model_name_or_path m --test_file test.csv --no-do_train", "nothing to do"),
    ("--model_name_or_path m --train_file missing.csv", "--train_file missing.csv: no such file"),
    ("--model_name_or_path m --train_file folder.csv", "--train_file folder.csv: is not a file"),
    ("--model_name_or_path m --train_file data.txt", "unknown extension; expected one of .csv, .tsv, .json, .jsonl"),
    ("--model_name_or_path m --train_file weights", "unknown extension"),
    ("--model_name_or_path m --train_file train.csv --validation_file data.txt", "--validation_file data.txt: unknown"),
    ("--model_name_or_path m --train_file train.csv --data_dir checkpoint", "--data_dir and --train_file exclude"),
    ("--demo --method gfsa --pos 7", "--pos: pos '7': gfsa is defined at context only: give pos 2"),
    ("--demo --method softdecay --pos 8", "softdecay is defined at layer_output only: give pos 6"),
    ("--model_name_or_path demo-albert --method softdecay --pos 6", "only: give pos 8"),
    ("--demo --train_file train.csv", "--demo and --train_file exclude each other"),
    ("--model_name_or_path albert-base-v2 --task_name rte --pos x", "position of albert"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED_WITHOUT_TASK, ids=[given for given, _ in REFUSED_WITHOUT_TASK])
def test_refused(given, message, files, capsys):
    assert message in refusal(given.split(), capsys)


def test_own_files_without_validation_train_only(files):
    args = parse_args(["--model_name_or_path", "m", "--train_file", "train.csv"])
    assert (args.task, args.uses_own_files, args.do_train, args.do_eval) == (None, True, True, False)


def test_own_files_can_be_evaluated_without_training_data(files):
    args = parse_args(["--model_name_or_path", "m", "--validation_file", "validation.csv", "--do_eval"])
    assert (args.do_train, args.do_eval) == (False, True)


# what is given, whether the data and whether the model are the demo's
DEMO = [
    ("", True, True),
    ("--pos 7 --scale 0.005", True, True),
    ("--demo", True, True),
    ("--demo --task_name stsb", True, True),
    ("--model_name_or_path demo", True, True),
    ("--model_name_or_path demo-albert --task_name cola", True, True),
    ("--model_name_or_path bert-base-uncased --demo", True, False),
    ("--model_name_or_path demo --task_name cola --data_dir checkpoint", False, True),
    ("--model_name_or_path bert-base-uncased --task_name cola", False, False),
]


@pytest.mark.parametrize(("given", "data", "model"), DEMO, ids=[given or "nothing" for given, _, _ in DEMO])
def test_what_runs_the_demo(given, data, model, files):
    args = parse_args(given.split())
    assert (args.uses_demo_data, args.uses_demo_model) == (data, model)
    assert args.task is not None and args.model_name_or_path is not None


def test_the_demo_takes_its_own_sizes_unless_they_are_given():
    name = next(name for name in ("num_train_epochs", "learning_rate") if name in DEMO_DEFAULTS)
    assert getattr(parse_args([]), name) == DEMO_DEFAULTS[name]
    assert getattr(parse_args([f"--{name}", "7"]), name) == 7
    assert getattr(parse_args(GLUE), name) != DEMO_DEFAULTS[name]


@pytest.mark.parametrize("data", ["--train_file train.csv", "--task_name cola --data_dir checkpoint"])
def test_the_demo_s_model_brings_its_recipe_to_other_data(data, files):
    args = parse_args(["--model_name_or_path", "demo-albert", *data.split(), "--num_warmup_steps", "5"])
    assert (args.learning_rate, args.num_train_epochs) == (1e-3, 10)
    assert (args.num_warmup_steps, args.warmup_ratio) == (5, 0)
    assert parse_args(["--demo", "--model_name_or_path", "m"]).learning_rate == 2e-5


def test_the_help_names_the_defaults_that_act_and_the_main_knobs_first(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    places = [text.index(f" {name} ") for name in ("--method", "--pos", "--scale", "--tau", "--gfsa_order")]
    assert places == sorted(places)
    for note in (
        "contranorm, contranorm_v2: default 0.005; contranorm_learned: default 0; centering, pairnorm: default 1)",
        "(gfsa: default 3)",
        "passes over the training data; for the demo's model 10 (default: 3)",
        "for the demo's model 0.001 (default: 2e-05)",
    ):
        assert note in text


PATHS = ["data_dir", "train_file", "validation_file", "test_file", "token_cache", "model_name_or_path", "output_dir"]
PATHS += ["init_from", "resume_from_checkpoint", "pred_dir"]


def test_every_path_is_known_as_one_and_has_its_home_folder_expanded(tmp_path, monkeypatch):
    assert sorted(PATHS) == sorted(item.name for item in fields(RunArguments) if item.metadata["is_path"])
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("glue", "run"):
        (tmp_path / name).mkdir()
    words = ["--model_name_or_path=~/model", "--task_name", "rte", "--data_dir=~/glue", "--token_cache=~/tokens"]
    words += ["--resume_from_checkpoint=~/run", "--output_dir=~/out", "--do_predict", "--pred_dir=~/p"]
    args = parse_args(words)
    given = {word[2:].split("=")[0]: word.split("~")[1] for word in words if "~" in word}
    assert {name: getattr(args, name) for name in given} == {name: f"{tmp_path}{end}" for name, end in given.items()}
    (tmp_path / "train.csv").write_text("sentence,label\n")
    assert parse_args(["--model_name_or_path", "m", "--train_file=~/train.csv"]).train_file == f"{tmp_path}/train.csv"


def test_a_home_folder_that_nobody_knows(capsys):
    assert "the home folder that ~ stands for is not known" in refusal([*GLUE, "--output_dir=~nobody-here/out"], capsys)


def test_every_name_of_the_stock_library_leads_to_a_flag_and_is_none():
    ours = {f"--{item.name}" for item in fields(RunArguments)}
    assert {target.replace(",", "").split()[0] for target in hints._OF_STOCK.values()} <= ours
    assert ours.isdisjoint(hints._OF_STOCK)


def test_scripts_that_lack_a_flag_do_not_hint_at_it():
    assert hints.hint(["--fp16", "--scal"], ["--scale", "--seed"]) == " (--scal: did you mean --scale?)"


def test_bounds_are_declared_with_their_flags():
    Arguments = make_dataclass("Arguments", [("share", float, flag("all", "a part", 0.5, above=0, most=1))])
    check_values(Arguments(1.0))
    with pytest.raises(UsageError, match="--share 0: expected more than 0 and at most 1"):
        check_values(Arguments(0.0))
    with pytest.raises(UsageError, match="--share nan: expected"):
        check_values(Arguments(math.nan))


def test_arguments_check_themselves_without_a_command_line():
    with pytest.raises(UsageError, match="--tau -2: expected more than 0"):
        RunArguments(model_name_or_path="m", task_name="rte", tau=-2.0)


def test_a_percent_sign_in_a_note_is_shown_as_it_is(capsys):
    arguments = make_dataclass("Arguments", [("share", float, flag("all", "50% by default", 0.5))])
    with pytest.raises(SystemExit):
        build_parser(arguments, {"all": "everything"}, prog="p").parse_args(["--help"])
    assert "50% by default (default: 0.5)" in capsys.readouterr().out

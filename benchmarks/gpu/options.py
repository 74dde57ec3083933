"""The settings of `python -m benchmarks.gpu`, and what has to be there for it to run. Imports nothing heavy."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib import metadata

from glue.cli.command_line import build_parser, check_values, flag
from glue.errors import UsageError

from ..options import names_of

PARTS = ("checks", "steps")
PACKAGES = ("torch", "tokenizers", "safetensors", "accelerate")
OLDEST_TORCH = (2, 11)

_GROUPS = {"what": "all of it, unless something is named here", "how": "nothing of it is needed"}


@dataclass
class Options:
    """All settings, checked.

    Raises:
        UsageError: a value is unknown, or two of them exclude each other.
    """

    only: str = flag("what", f"parts, out of {','.join(PARTS)}", ",".join(PARTS), metavar="PARTS")
    record: bool = flag("what", "time complete fine-tunings instead", False)
    output: str = flag("how", "folder of gpu.md, gpu.json and logs", "output/gpu", metavar="DIR", is_path=True)
    minutes: float = flag("how", "when to stop", 9.0, above=0)
    device: str = flag("how", "cuda, or cpu with --tiny", "cuda", choices=("cuda", "cpu"))
    tiny: bool = flag("how", "models, data and numbers of steps in small: tries the benchmark, measures nothing", False)
    run_flags: str = flag("how", "further flags of every run of ours, in one word", "", metavar="'--FLAG ...'")
    seed: int = flag("how", "of weights, lengths and batches", 2021, least=0)

    def __post_init__(self) -> None:
        given, self.run_flags = self.run_flags, self.run_flags or "-"  # an empty one is its default
        check_values(self)
        self.run_flags = given
        self.parts = names_of(self.only, PARTS, "--only")
        if self.device == "cpu" and not self.tiny:
            raise UsageError("--device cpu needs --tiny: a CPU is measured by python -m benchmarks")


def parse_options(argv: list[str] | None = None) -> Options:
    """Read the command line.

    Raises:
        SystemExit: status 2 and one line on stderr for a wrong command line, status 0 after `--help`.
    """
    parser = build_parser(
        Options,
        _GROUPS,
        prog="benchmarks.gpu",
        usage="python -m benchmarks.gpu [--output DIR] [--minutes N] [--only PARTS] [--record] ...",
        description="Check and measure this library on a GPU.",
    )
    return parser.read(lambda given: Options(**given), argv)


def check_machine(device: str) -> None:
    """Check that packages and device are there.

    Raises:
        UsageError: they are not.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"not installed: {', '.join(missing)}; name another Python with make gpu GPU_PYTHON=...")
    version = metadata.version("torch")
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST_TORCH:
        raise UsageError(f"torch {version} is too old: expected {'.'.join(map(str, OLDEST_TORCH))} or newer")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"no CUDA device is visible to torch {version}: run this on a machine with an NVIDIA GPU, or try it in "
            "small with --device cpu --tiny"
        )

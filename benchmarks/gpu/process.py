"""The worker process of this library: `python -m benchmarks.gpu.process`, from the repository's root."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..serve import serve


def make_jobs() -> Mapping[str, Callable[..., Any]]:
    """Return the jobs of this side."""
    import platform
    from importlib import metadata

    import torch

    from ..measuring import processor_name
    from ..stock import Usual
    from .checks import CHECKS, Place
    from .ours import measure, run
    from .usual import measure_usual

    def describe(device: str) -> dict[str, Any]:
        found: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
        found |= {"accelerate": metadata.version("accelerate"), "processor": processor_name()}
        if device == "cpu":
            return {**found, "device": processor_name(), "half": "bf16"}
        about = torch.cuda.get_device_properties(0)
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        found |= {"device": about.name, "memory": about.total_memory, "multiprocessors": about.multi_processor_count}
        found |= {"capability": f"{about.major}.{about.minor}", "cuda": torch.version.cuda}
        return {**found, "half": "bf16" if has_bf16 else "fp16"}

    def check(name: str, device: str, tiny: bool) -> str:
        return CHECKS[name](Place(device, tiny))

    def record(words: list[str], device: str, folder: str) -> dict[str, float]:
        began = time.perf_counter()
        run([*words, "--output_dir", folder], device)
        seconds = time.perf_counter() - began
        results = json.loads(Path(folder, "all_results.json").read_text(encoding="utf-8"))
        return {"seconds": seconds, **{name: results[name] for name in ("train_seconds", "updates", "train_examples")}}

    def usual(**values: Any) -> dict[str, Any]:
        return measure_usual(Usual(), **values)

    return {"describe": describe, "check": check, "measure": measure, "usual": usual, "record": record}


if __name__ == "__main__":
    serve(make_jobs)

"""Seconds from the start of a command to its first finished update."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .workers import ROOT, Pool, WorkerError


def time_script(pool: Pool, case: dict[str, Any], cache: Path, output_dir: Path) -> float:
    """Start `run_glue_no_trainer.py` and stop it once its log has a row.

    Args:
        pool: gives the environment and the log.
        case: a job "open".
        cache: where it keeps what it could use again; empty, or left by an earlier run.
        output_dir: a folder that does not exist yet.

    Returns:
        Seconds from the start of the process.
    """
    words = [sys.executable, "run_glue_no_trainer.py", "--model_name_or_path", case["model"]]
    words += ["--task_name", case["task"], "--data_dir", case["data_dir"], "--output_dir", str(output_dir)]
    words += ["--per_device_train_batch_size", str(case["batch_size"]), "--seed", str(case["seed"])]
    words += ["--max_length", str(case["max_length"])]
    words += ["--pos", "7", "--scale", "0.005", "--cpu", "--logging_steps", "1"]
    train_log = output_dir / "train_log.jsonl"
    return _time(pool, "ours", words, cache, lambda: train_log.exists() and train_log.stat().st_size > 0)


def time_stock(pool: Pool, case: dict[str, Any], cache: Path) -> float:
    """Start the stock library's command and stop it once it says that its first update is done; returns seconds."""
    said = pool.folder / "first_step.txt"
    said.write_bytes(b"")
    words = pool.command("stock", json.dumps({**case, "threads": pool.threads}))
    return _time(pool, "stock", words, cache, lambda: b"first step" in said.read_bytes(), said)


def _time(
    pool: Pool, side: str, words: list[str], cache: Path, is_done: Callable[[], bool], output: Path | None = None
) -> float:
    log = pool.logs / f"{side}.log"
    with log.open("ab") as errors, (output or log).open("ab") as printed:
        began = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=ROOT, env=pool.environment(cache), stdin=subprocess.DEVNULL, stdout=printed, stderr=errors
        )
        try:
            while not is_done():
                if process.poll() is not None and not is_done():
                    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                    raise WorkerError(
                        f"the start-up of {side} ended with status {process.returncode} before its first update: "
                        f"{' '.join(lines[-1:])} (log: {log})"
                    )
                time.sleep(0.005)
            return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()

"""The near end of the pipes: starts the two kinds of worker process and asks them for measurements."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIDES = ("ours", "stock")


class WorkerError(Exception):
    """A worker could not do a job; the message says which, why, and where its log is."""


class Worker:
    """One process of one side, kept alive between jobs.

    Args:
        name: what messages call it.
        command: how it is started.
        environment: its environment variables.
        log: file that gets everything it prints.

    Attributes:
        about: what it said of itself at its start: versions, threads, memory after its imports.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.about: dict[str, Any] = {}
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                cwd=ROOT,
                env=environment,
                text=True,
                encoding="utf-8",
            )

    def ask(self, job: str, *, patience: float | None = None, **values: Any) -> Any:
        """Have a job done.

        Args:
            job: its name.
            patience: seconds after which the process is ended; None waits as long as it takes.
            values: its arguments, anything that JSON can hold.

        Returns:
            The result.

        Raises:
            WorkerError: it failed, or the process has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; there is no answer then, either
            self._process.stdin.write(json.dumps({"job": job, **values}) + "\n")
            self._process.stdin.flush()
        timer = threading.Timer(patience or 0.0, self._process.kill)
        if patience is not None:
            timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            status = self._process.wait()
            raise WorkerError(
                f"{self.name} ended with status {status} at the job {job!r}: {' '.join(last)} (log: {self.log})"
            )
        answer = json.loads(line)
        if "error" in answer:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(answer["traceback"])
            raise WorkerError(f"{self.name} failed at the job {job!r}: {answer['error']} (log: {self.log})")
        return answer["result"]

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Pool:
    """The workers of a run, started when first asked for.

    Args:
        stock_python: interpreter of the stock side.
        threads: threads of each process.
        folder: working folder; caches go there.
        logs: folder of the logs.
    """

    def __init__(self, stock_python: str, threads: int, folder: Path, logs: Path) -> None:
        self.stock_python, self.threads, self.folder, self.logs = stock_python, threads, folder, logs
        self._workers: dict[tuple[str, str], Worker] = {}

    def get(self, side: str, precision: str) -> Worker:
        """Return the kept worker of a side and a precision."""
        if (side, precision) not in self._workers:
            self._workers[side, precision] = self._start(side, precision)
        return self._workers[side, precision]

    @contextlib.contextmanager
    def fresh(self, side: str, precision: str) -> Iterator[Worker]:
        """Give a worker of its own, closed at the end."""
        worker = self._start(side, precision)
        try:
            yield worker
        finally:
            worker.close()

    def close(self) -> None:
        """End all kept workers."""
        while self._workers:
            self._workers.popitem()[1].close()

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """Return the environment of a measured process: no network, no GPU, a cache of its own."""
        cache = cache or self.folder / "cache"
        return {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(cache / "huggingface"),
            "XDG_CACHE_HOME": str(cache),
            "TRANSFORMERS_VERBOSITY": "error",
        }

    def command(self, side: str, *words: str) -> list[str]:
        """Return the command line of a process of one side."""
        if side == "ours":
            return [sys.executable, "-m", "benchmarks.ours_process", *words]
        # -I: neither the working folder, nor the script's, nor PYTHONPATH is searched for `transformers`.
        return [self.stock_python, "-I", str(Path(__file__).parent / "stock_process.py"), *words]

    def _start(self, side: str, precision: str) -> Worker:
        name = f"the worker of {'this' if side == 'ours' else 'the stock'} library"
        log = self.logs / f"{side}.log"
        worker = Worker(name, self.command(side), self.environment(), log)
        try:
            worker.about = worker.ask("start", precision=precision, threads=self.threads)
        except WorkerError:
            worker.close()
            raise
        return worker

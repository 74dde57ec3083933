"""Runs of the script in processes of their own, without the seconds of the imports: forked from one that has done them.

Nothing of a run has happened in the process that is forked, so that a run cannot tell the difference.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import runs


class Preloaded:
    """The process that runs are forked from; it lives as long as the `with` block.

    Example:
        with Preloaded() as preloaded:
            pid = preloaded.start(["--demo"], Path("log"))
            os.kill(pid, signal.SIGKILL)
            assert preloaded.wait(pid) == -signal.SIGKILL
    """

    def __enter__(self) -> "Preloaded":
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            cwd=runs.ROOT,
            env={**runs.environment(), "PYTHONPATH": os.pathsep.join((str(runs.ROOT), str(Path(__file__).parent)))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._server.stdout.close()

    def start(self, words: list, output: Path, before: str = "", **environment: object) -> int:
        """Start a run.

        Args:
            words: its command line.
            output: file for what it prints.
            before: Python code for the new process to execute before the run.
            environment: variables to set for it.

        Returns:
            The number of its process, which is its own until `wait` has returned.
        """
        variables = {name: str(value) for name, value in environment.items()}
        return self._ask(start=[str(word) for word in words], output=str(output), before=before, environment=variables)

    def wait(self, pid: int) -> int:
        """Return the exit status of a run, or minus the number of the signal that killed it."""
        return self._ask(wait=pid)

    def run(self, words: list, output: Path, before: str = "", **environment: object) -> int:
        """Start a run and wait for its end."""
        return self.wait(self.start(words, output, before, **environment))

    def run_together(self, processes: int, words: list, output: Path, before: str = "") -> list[int]:
        """The same with several processes that talk through gloo; what the first one prints goes to `output`."""
        return [self.wait(pid) for pid in self.start_together(processes, words, output, before)]

    def start_together(self, processes: int, words: list, output: Path, before: str = "") -> list[int]:
        """Start several processes that make up one run."""
        from torch.distributed import TCPStore

        # They meet at a port that is free, kept by this process: none of them has to write a file for it.
        self._meeting = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        return [
            self.start(
                words,
                output if rank == 0 else output.with_suffix(f".{rank}"),
                f"import preloaded\npreloaded.meet({self._meeting.port}, {rank}, {processes})\n{before}",
                RANK=rank,
                LOCAL_RANK=rank,
                WORLD_SIZE=processes,
                LOCAL_WORLD_SIZE=processes,
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=1,
                ACCELERATE_USE_CPU="true",
            )
            for rank in range(processes)
        ]

    def _ask(self, **question: object) -> int:
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def meet(port: int, rank: int, processes: int) -> None:
    """Let the processes of a run find each other through the test's store at this port."""
    from torch import distributed

    store = distributed.TCPStore("127.0.0.1", port, is_master=False)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=processes)


_IMPORTS = (
    *("pyarrow.parquet", "scipy.stats", "sklearn.metrics", "torch._dynamo", "run_glue_no_trainer"),
    *(
        "glue.training.checkpointing",
        "glue.demo.checkpoint",
        "glue.training.optimizer",
        "glue.training.setup",
        "glue.output.log",
        "glue.scoring.validation",
    ),
    *("transformers.models.bert.modeling_bert", "transformers.models.albert.modeling_albert"),
)


def _serve() -> None:
    import torch

    for name in _IMPORTS:
        importlib.import_module(name)
    torch.set_num_threads(1)
    answers = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, status = os.waitpid(question["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                os.close(answers)
                _run(**question)
        os.write(answers, f"{answer}\n".encode())


def _run(start: list[str], output: str, before: str, environment: dict[str, str]) -> None:
    import run_glue_no_trainer

    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(environment)
        sys.argv = ["run_glue_no_trainer.py", *start]
        exec(before, {})
        status = run_glue_no_trainer.main(start)
    except SystemExit as stop:
        status = int(stop.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):  # the test may have taken its console away
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()

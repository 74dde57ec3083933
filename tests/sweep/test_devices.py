"""Workers and their devices, without a GPU: what a run's environment says, and what is said of a GPU that is shared."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from stub_sweeps import StubSweep, one_line

from sweep import study
from sweep.devices import describe_sharing, find_gpu, worker_environment
from sweep.worker import Worker

SMI = """#!/bin/sh
[ "$1" = "--id=$GPU" ] && echo 81920
"""


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """A stand-in for nvidia-smi, which knows one GPU of 80 GiB: "7"."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GPU", "7")


@pytest.mark.parametrize(
    ("granted", "index", "gpu"),
    [(None, "3", "3"), ("2,5", "1", "5"), ("GPU-ab, MIG-cd", "1", "MIG-cd"), ("7", "0", "7")],
)
def test_an_index_counts_the_gpus_that_were_granted(monkeypatch, granted, index, gpu):
    if granted is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", granted)
    assert find_gpu(index) == worker_environment(index, 1)["CUDA_VISIBLE_DEVICES"] == gpu


@pytest.mark.parametrize("granted", ["", "2,5"])
def test_a_gpu_that_was_not_granted_is_one_line(monkeypatch, capsys, tmp_path, granted):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", granted)
    sweep = StubSweep(monkeypatch, capsys, tmp_path)
    sweep.words[-1:] = ["0", "2"]
    status, output = sweep.run("--demo", "--scale", "0")
    assert status == 2 and one_line(output) and "CUDA_VISIBLE_DEVICES" in output


def test_workers_on_one_gpu_share_cores_and_what_was_compiled(monkeypatch, tmp_path):
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    alone, shared = worker_environment("0", 1), worker_environment("0", 4)
    assert "OMP_NUM_THREADS" not in alone and shared["OMP_NUM_THREADS"] == "2"
    assert alone["TORCHINDUCTOR_CACHE_DIR"] == shared["TORCHINDUCTOR_CACHE_DIR"] == f"{tmp_path}/contranorm/compiled"
    assert worker_environment("cpu", 2)["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment("auto", 1)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    assert worker_environment("0", 4)["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/caches")
    assert "TORCHINDUCTOR_CACHE_DIR" not in worker_environment("0", 4)


def test_what_is_said_of_a_shared_gpu(monkeypatch, smi):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    lines = list(describe_sharing(["1", "1", "0", "cpu", "cpu", "1", "0", "1"]))
    assert lines == [
        "GPU 1 is shared by 4 workers: 20.0 GiB for each, of 80.0 GiB free",
        "GPU 0 is shared by 2 workers",  # nvidia-smi does not know it
    ]
    assert not list(describe_sharing(["0", "1", "cpu", "auto"]))


def test_workers_of_one_process_take_one_after_the_other(monkeypatch):
    """Two that ask at once would meet at the barrier."""
    meeting, met = threading.Barrier(2), []

    class Study:
        def ask(self):
            try:
                met.append(meeting.wait(0.1))
            except threading.BrokenBarrierError:
                meeting.reset()
            return object()

    monkeypatch.setattr(study, "has_work", lambda *_: True)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: study.take(Study(), None), range(2)))
    assert not met


@pytest.mark.slow
def test_four_workers_on_one_gpu_do_every_point_once(monkeypatch, capsys, tmp_path, smi):
    """With runs that take no time in the place of ours, each of which sees that one GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    sweep = StubSweep(monkeypatch, capsys, tmp_path)
    stub, seen = Worker._command, tmp_path / "seen"

    def command(worker, point, folder):
        words = stub(worker, point, folder)
        return ["/bin/sh", "-c", f'echo "$CUDA_VISIBLE_DEVICES" >> {seen}; exec "$@"', "sh", *words]

    monkeypatch.setattr(Worker, "_command", command)
    sweep.words[-1:] = ["0"] * 4
    status, output = sweep.run("--demo", "--scale", "0", "0.1", "--seed", "1", "2", "3", "4")
    assert status == 0, output
    assert "GPU 0 is shared by 4 workers: 20.0 GiB for each, of 80.0 GiB free" in output
    assert len({row["point"] for row in sweep.rows}) == len(sweep.rows) == 8
    assert seen.read_text().split() == ["7"] * 8

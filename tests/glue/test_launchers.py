"""What a launcher leaves in the environment: taken, or refused in one line before anything is read or written."""

import os
from types import SimpleNamespace
from unittest import mock

import pytest
import runs
import torch

from glue.errors import UsageError
from glue.training import processes

WORDS = ["--demo", "--max_train_samples", "8", "--max_eval_samples", "8", "--max_train_steps", "1", "--cpu"]
VARIABLES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "PMI_SIZE", "PMI_RANK")


@pytest.fixture(autouse=True)
def environment():
    """None of the variables is there at the start, nor what accelerate adds at the end."""
    with mock.patch.dict(os.environ):
        for name in VARIABLES:
            os.environ.pop(name, None)
        yield
    runs.reset_processes()


REFUSED = {
    "FSDP": ({"ACCELERATE_USE_FSDP": "true"}, "FSDP (ACCELERATE_USE_FSDP) is not supported: start one process"),
    "DeepSpeed": ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed (ACCELERATE_USE_DEEPSPEED) is not supported"),
    "Megatron": ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "Megatron-LM (ACCELERATE_USE_MEGATRON_LM) is not"),
    "tensor parallel": ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "a parallelism config (ACCELERATE_USE_PARALL"),
    "fp8": ({"ACCELERATE_MIXED_PRECISION": "fp8"}, "precision fp8 is not supported: expected no, bf16 or fp16"),
    "fp16 on the CPU": ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "fp16 needs a GPU: on the CPU give bf16 or no"),
    "dynamo": ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "a dynamo backend other than by --torch_compile (ACC"),
    "a size alone": ({"WORLD_SIZE": "2"}, "not in full (WORLD_SIZE=2 RANK=)"),
    "a size and a place": ({"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}, "not in full"),
    "a rank alone": ({"RANK": "1"}, "not in full (WORLD_SIZE= RANK=1)"),
    "a rank beyond": ({"WORLD_SIZE": "2", "RANK": "2"}, "not in full (WORLD_SIZE=2 RANK=2)"),
    "no number": ({"WORLD_SIZE": "two", "RANK": "0"}, "not in full (WORLD_SIZE=two RANK=0)"),
    "a local rank alone": ({"LOCAL_RANK": "0"}, "cannot be started as its launcher asks for: "),
    "no place": ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, "cannot be started as its launcher asks for: "),
    "MPI, a size alone": ({"PMI_SIZE": "2"}, "not in full (PMI_SIZE=2 PMI_RANK=)"),
    "MPI, no place": ({"PMI_SIZE": "2", "PMI_RANK": "0"}, "cannot be started as its launcher asks for: "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_in_one_line(monkeypatch, tmp_path, capsys, what):
    variables, message = REFUSED[what]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert runs.run_here(*WORDS, "--output_dir", tmp_path / "out") == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert message in lines[-1] and "Traceback" not in captured.err and not captured.out
    assert not (tmp_path / "out").exists()


def test_processes_that_do_not_find_each_other(monkeypatch):
    """Each would train by itself, into the same folder: on a GPU, MPI's variables are nobody's."""
    monkeypatch.setattr(processes, "Accelerator", lambda **_: SimpleNamespace(num_processes=1))
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    with pytest.raises(UsageError, match="speaks of 2 processes, but they do not find each other"):
        processes.join()


@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "elsewhere"},
        {"MASTER_ADDR": "elsewhere", "MASTER_PORT": "1"},
        {"PMI_SIZE": "1"},
        {"ACCELERATE_DYNAMO_BACKEND": "NO", "ACCELERATE_USE_FSDP": "false", "ACCELERATE_MIXED_PRECISION": "bf16"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_taken(monkeypatch, capsys, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    accelerator = processes.join(cpu=True)
    assert accelerator.num_processes == 1
    assert accelerator.mixed_precision == variables.get("ACCELERATE_MIXED_PRECISION", "no")


@pytest.mark.parametrize(
    ("capability", "machine", "precision", "warned"),
    [
        ("AVX2", "x86_64", "bf16", True),
        ("AVX512", "x86_64", "bf16", False),
        ("DEFAULT", "aarch64", "bf16", False),
        ("AVX2", "x86_64", "no", False),
    ],
)
def test_a_processor_without_instructions_for_bf16_is_named(
    monkeypatch, capsys, capability, machine, precision, warned
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(processes.platform, "machine", lambda: machine)
    processes.join(precision, cpu=True)
    assert ("Warning: this processor has no AVX-512" in capsys.readouterr().out) == warned


def test_a_launcher_s_steps_do_not_divide_the_gradient(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    weight = torch.nn.Parameter(torch.ones(()))
    processes.join(cpu=True).backward(3 * weight)
    assert weight.grad == 3

"""Freed memory is kept: a training step takes no new pages from the system once it has had them."""

import subprocess
import sys

import pytest
from runs import ROOT

COUNT = """
import resource, sys
import torch
from glue.memory import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
def step():
    tensors = [torch.ones(6_000_000) for _ in range(8)]  # 24 MB each
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is that of the GNU C library")
def test_a_step_takes_no_pages_anew():
    def faults(*words):
        command = [sys.executable, "-c", COUNT, *words]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout)

    assert faults("keep") < 200 < faults()

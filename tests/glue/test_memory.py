"""Freed memory is kept: a training step takes no new pages from the system once it has had them."""

import ctypes
import subprocess
import sys

import pytest
from runs import ROOT

# What the C library holds of the system's memory, in MB, after large tensors were freed: on its heap, and as blocks of
# pages of their own. Counted by itself, since not every system counts the pages that it hands out.
COUNT = """
import ctypes, sys
import torch
from glue.training.memory import keep_freed_memory

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
if "keep" in sys.argv:
    assert keep_freed_memory()
for _ in range(3):
    tensors = [torch.ones(12_000_000) for _ in range(8)]  # 48 MB each
    tensors.clear()
info = mallinfo2()
print((info.arena + info.hblkhd) // 10**6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is that of the GNU C library")
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library does not tell what it holds")
def test_a_step_takes_no_pages_anew():
    def held(*words):
        command = [sys.executable, "-c", COUNT, *words]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout)

    assert held() < 200 < 8 * 48 <= held("keep")

from __future__ import annotations

import subprocess
import sys

import pytest

# Page faults of 50 times three blocks of 20 MB, written and freed again, as a film's file, frame and pixels are.
_CODE = """
import ctypes, resource, sys
from raydino.dicom.allocator import keep_memory
taken = keep_memory() if sys.argv[1] == "kept" else None
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    [bytearray(20 * 2**20) for _ in range(3)]
print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting")
def test_memory_is_faulted_in_once() -> None:
    told = {}
    for how in ("kept", "default"):
        done = subprocess.run([sys.executable, "-c", _CODE, how], capture_output=True, text=True, check=True)
        told[how] = done.stdout.split()
    if told["kept"][0] == "False":
        pytest.skip("a C library without mallopt")
    assert int(told["kept"][1]) < 5 * 20 * 2**20 / 4096
    assert int(told["kept"][1]) < int(told["default"][1]) / 5

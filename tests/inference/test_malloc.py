"""Memory that is freed is used again: counted by the pages that the kernel has to map."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from audiocnn.inference.malloc import keep_freed_memory
if sys.argv[1] != "no":
    keep_freed_memory(sys.argv[1] == "everything")
def work():
    for _ in range(20):
        a = np.ones(int(sys.argv[2]) << 18, np.float32)
        b = a * 2
        del a, b
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how, mebibytes):
    command = [sys.executable, "-c", CODE, how, str(mebibytes)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_kept():
    assert faults("no", 8) > 10 * faults("yes", 8)
    assert faults("yes", 8) < 100
    assert faults("yes", 48) > 10 * faults("everything", 48)

"""Setting of glibc's malloc: freed memory is kept for the next block.

glibc gives large pieces back to the kernel at once, which clears and maps every page of them
again at their next use. Spectra, feature maps and gradients are such pieces, over and over:
a good part of the time went there (`scripts/bench_label`, `scripts/bench_train`).
"""

from __future__ import annotations

import contextlib
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # as malloc.h numbers them
KEPT = 64 << 20  # bytes that may lie free at the end of the heap
LARGEST = 32 << 20  # bytes; mallopt(3) takes no more


def keep_freed_memory(everything: bool = False) -> None:
    """Make this process reuse the memory that it frees; without glibc, do nothing.

    For the start of a process of the command line: a library leaves this to the program.

    Parameters
    ----------
    everything
        Also what is larger than 32 MiB, without limit: for training, which needs the
        same memory at every step to the end.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # here: `audiocnn --help` needs none of it

    with contextlib.suppress(AttributeError, OSError):  # musl has no mallopt
        library = ctypes.CDLL(None)
        library.mallopt(TRIM_THRESHOLD, 0x7FFFFFFF if everything else KEPT)
        if everything:
            library.mallopt(MMAP_MAX, 0)
        else:
            library.mallopt(MMAP_THRESHOLD, LARGEST)

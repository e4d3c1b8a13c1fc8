"""The setting of the C library's memory allocator for training on CPUs."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's `mallopt`, from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LARGEST_INT = 2**31 - 1


def keep_large_blocks() -> bool:
    """Make glibc reuse the memory of freed large tensors from now on; return whether it does.

    By default glibc returns each large block to the system. Training on a CPU then spends much of its time in page
    faults, one for each page of each new tensor.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # No block from mmap, whose memory goes back when it is freed, and no trimming of the heap's end.
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))

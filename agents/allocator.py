"""The C library's allocator, told to keep large blocks; by default it gives every big tensor back to the system."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LARGEST_INT = 2**31 - 1


def keep_large_blocks() -> bool:
    """Make glibc reuse freed memory for large tensors from now on; return whether it is glibc and agreed.

    Training on a CPU spends a large part of its time in page faults otherwise.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))

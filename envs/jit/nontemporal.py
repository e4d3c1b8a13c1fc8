"""Copying observations out past the caches.

A rollout buffer is larger than the caches, and read much later. An ordinary store to it first reads what it overwrites,
and pushes the running episodes out of the cache; a non-temporal store does neither.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.intrinsics import LINE, finish_streaming, stream_line


@compiled
def stream(source: np.ndarray, out: np.ndarray) -> None:
    """Copy uint8 `source` to `out` of the same size, both contiguous."""
    flat, flat_out = source.reshape(-1), out.reshape(-1)
    first = min((LINE - flat_out.ctypes.data % LINE) % LINE, flat.size)
    flat_out[:first] = flat[:first]
    lines = (flat.size - first) // LINE
    to, at = np.uintp(flat_out.ctypes.data + first), np.uintp(flat.ctypes.data + first)
    for _ in range(lines):
        stream_line(to, at)
        to += np.uintp(LINE)
        at += np.uintp(LINE)
    rest = first + lines * LINE
    flat_out[rest:] = flat[rest:]
    finish_streaming()

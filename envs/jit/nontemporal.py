"""Copies of observations that bypass the caches.

A rollout buffer is larger than the caches and is read much later. An ordinary store first reads the memory that it
overwrites, and evicts the running episodes from the cache; a non-temporal store does neither.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.intrinsics import LINE, finish_streaming, stream_line


@compiled
def stream(source: np.ndarray, out: np.ndarray) -> None:
    """Copy uint8 `source` to `out` of the same size, both contiguous."""
    flat, flat_out = source.reshape(-1), out.reshape(-1)
    # Non-temporal stores need aligned lines, so the bytes before the first and after the last line are copied plainly.
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

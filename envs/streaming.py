"""Copying observations out past the caches.

A rollout buffer is larger than the caches, and read much later. An ordinary store to it first reads what it overwrites,
and pushes the running episodes out of the cache; a non-temporal store does neither.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.compiled import inlined
from goalmaze.envs.machine import LINE, stream_line


@inlined
def stream_rows(source: np.ndarray, out: np.ndarray, first: int, last: int) -> None:
    """Copy rows `first` to `last` of uint8 [B, C, S] to `out` uint8 [B * C * S], in memory order."""
    row = source.shape[1] * source.shape[2]
    flat = source.reshape(-1)
    begin, end = first * row, last * row
    while begin < end and (out.ctypes.data + begin) % LINE:
        out[begin] = flat[begin]
        begin += 1
    lines = (end - begin) // LINE
    to, at = np.uintp(out.ctypes.data + begin), np.uintp(flat.ctypes.data + begin)
    for _ in range(lines):
        stream_line(to, at)
        to += np.uintp(LINE)
        at += np.uintp(LINE)
    for i in range(begin + lines * LINE, end):
        out[i] = flat[i]

"""Digests of levels, by which equal levels are recognised across batches, processes and versions."""

from __future__ import annotations

import hashlib

import numpy as np

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.level_checks import LevelArrays


def level_hashes(levels: LevelArrays) -> list[str]:
    """Return one hexadecimal digest for each level, equal exactly where walls, start and objects are equal.

    Objects of one type are interchangeable, and empty slots do not count.
    """
    batch = len(levels.walls)
    names = sorted(set(levels.slots))
    order = [k for name in names for k, kind in enumerate(levels.slots) if kind == name]
    entries = np.empty((batch, len(order), 2), np.int64)
    for name in names:
        slots = [k for k, kind in enumerate(levels.slots) if kind == name]
        columns = [i for i, k in enumerate(order) if k in slots]
        # 7 bytes always fit into a signed 64-bit integer. Python's own hash of a string changes from run to run.
        entries[:, columns, 0] = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "little")
        entries[:, columns, 1] = np.sort(levels.objects[:, slots], axis=1)
    present = entries[:, :, 1] != ABSENT
    head = f"{levels.height}x{levels.width} ".encode()
    packed = np.packbits(levels.walls.reshape(batch, levels.height * levels.width), axis=1)
    return [
        hashlib.blake2b(
            head + packed[b].tobytes() + levels.start[b].tobytes() + entries[b, present[b]].tobytes(), digest_size=16
        ).hexdigest()
        for b in range(batch)
    ]

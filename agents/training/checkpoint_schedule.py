"""Which checkpoints of a run are kept for later study: the first, and about three for every factor of ten."""

from __future__ import annotations

import math
from pathlib import Path

CHECKPOINTS = "checkpoints"
PER_DECADE = 3


def due(before: int, now: int) -> bool:
    """Return whether a step count at which to keep a checkpoint lies in (before, now]; the first is always due."""
    return now == 0 or (now > before and _passed(now) > _passed(before))


def _passed(steps: int) -> int:
    """Return how many of the counts 10^(k/3), rounded up, k = 0, 1, …, are at most `steps`."""
    if steps < 1:
        return 0
    near = int(PER_DECADE * math.log10(steps)) - 1
    return sum(math.ceil(10 ** (k / PER_DECADE) - 1e-9) <= steps for k in range(max(near, 0), near + 4)) + max(near, 0)


def series_checkpoint_path(folder: Path, steps: int) -> Path:
    """Return where the checkpoint after `steps` steps is kept in a run folder."""
    return folder / CHECKPOINTS / f"step-{steps:010d}.safetensors"


def checkpoint_series(folder: Path) -> dict[int, Path]:
    """Return the kept checkpoints of a run folder by their step counts, in order."""
    files = sorted((folder / CHECKPOINTS).glob("step-*.safetensors"))
    return {int(file.stem.removeprefix("step-")): file for file in files}

"""The checkpoint schedule of a run: the untrained network, then three checkpoints for every factor of ten in steps."""

from __future__ import annotations

import math
import re
from pathlib import Path

CHECKPOINTS = "checkpoints"
"""The folder of scheduled checkpoints in a run folder."""

PER_DECADE = 3
"""Number of scheduled checkpoints for every factor of ten in steps."""


def is_due(before: int, now: int) -> bool:
    """Return whether a scheduled step count lies in (before, now]; step 0 is always due."""
    return now == 0 or (now > before and _scheduled(now) > _scheduled(before))


def _scheduled(steps: int) -> int:
    """Return how many of the step counts 10^(k/3), rounded up, k = 0, 1, …, are at most `steps`."""
    if steps < 1:
        return 0
    # All counts below `near` have passed; the few above it are compared as integers, since log10 is inexact.
    near = max(int(PER_DECADE * math.log10(steps)) - 1, 0)
    return near + sum(math.ceil(10 ** (k / PER_DECADE) - 1e-9) <= steps for k in range(near, near + 4))


def scheduled_checkpoint_path(folder: Path, steps: int) -> Path:
    """Return the path of the scheduled checkpoint after `steps` steps in a run folder."""
    return folder / CHECKPOINTS / f"step-{steps:010d}.safetensors"


def checkpoint_series(folder: Path) -> dict[int, Path]:
    """Return the scheduled checkpoints of a run folder by their step counts, in order."""
    # Copies that a person made, such as "step-0000000010 copy.safetensors", are left out.
    matches = (
        (re.fullmatch(r"step-([0-9]+)\.safetensors", file.name), file) for file in (folder / CHECKPOINTS).glob("*")
    )
    return dict(sorted((int(match[1]), file) for match, file in matches if match is not None))

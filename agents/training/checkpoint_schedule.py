"""The checkpoint schedule of a run: the untrained network, then checkpoints that are evenly spaced on a log scale.

The standard schedule keeps three for every factor of ten in steps. The dense one keeps `DENSE_COUNT` from `DENSE_FIRST`
steps to the end of training.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Self

from goalmaze.agents.training.recipe import Recipe

CHECKPOINTS = "checkpoints"
"""The folder of scheduled checkpoints in a run folder."""

PER_DECADE = 3
"""Number of scheduled checkpoints for every factor of ten in steps."""


DENSE_COUNT, DENSE_FIRST = 40, 500
"""Number of checkpoints of the dense schedule, and the step count from which it starts."""


@dataclasses.dataclass(frozen=True)
class CheckpointSchedule:
    """When checkpoints are due, asked at the end of every rollout.

    Attributes:
        rollouts: the rollouts, counted from 1, after which a checkpoint is due; None for the standard schedule.
        rollout_steps: environment steps of one rollout.
    """

    rollouts: frozenset[int] | None = None
    rollout_steps: int = 1

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Return the schedule of a recipe."""
        if recipe.series == "standard":
            return cls()
        steps = recipe.envs * recipe.rollout_steps
        return cls(frozenset(_dense_rollouts(DENSE_FIRST / steps, recipe.steps / steps)), steps)

    def is_due(self, before: int, now: int) -> bool:
        """Return whether a scheduled step count lies in (before, now]; step 0 is always due."""
        if now == 0 or self.rollouts is None:
            return now == 0 or (now > before and _scheduled(now) > _scheduled(before))
        passed = range(before // self.rollout_steps + 1, now // self.rollout_steps + 1)
        return any(rollout in self.rollouts for rollout in passed)


def _dense_rollouts(first: float, last: float) -> list[int]:
    """Return `DENSE_COUNT` different rollouts of training, or all of them where there are fewer, with the last one.

    Args:
        first: where the scale starts, in rollouts.
        last: where it ends, in rollouts; training ends with the rollout that reaches it.
    """
    count = math.ceil(last)
    number, start = min(DENSE_COUNT, count), min(first, last)
    ratio = (last / start) ** (1 / max(number - 1, 1))
    chosen: list[int] = []
    for position in range(number):
        wanted = math.ceil(start * ratio**position - 1e-9)
        # Early ones fall into one rollout: each takes the next that is free, and leaves enough for those after it.
        chosen.append(min(max(wanted, (chosen[-1] if chosen else 0) + 1), count - (number - 1 - position)))
    return chosen


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

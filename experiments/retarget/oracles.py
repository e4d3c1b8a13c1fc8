"""Upper bounds: edits that know the maze. What they reach beyond the others is not had by retargeting."""

from __future__ import annotations

from collections.abc import Callable

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.oracle import optimised_edit
from goalmaze.probes.edits.patches import patch_from


def moved_level_patch(policy: NetworkPolicy, task: RetargetingTask, site: str) -> Edit:
    """Return the patch of what the site holds, before the first step, in the level with goal and cue moved."""
    return patch_from(policy, task.seen_moved(), site)


def maze_gradient(policy: NetworkPolicy, task: RetargetingTask, site: str) -> Edit:
    """Return an activation optimised for each of the errand's mazes by itself."""
    return optimised_edit(policy, task.levels, task.targets, site, seed=task.seed)


UPPER_BOUNDS: dict[str, Callable[[NetworkPolicy, RetargetingTask, str], Edit]] = {
    "moved-level-patch": moved_level_patch,
    "maze-gradient": maze_gradient,
}

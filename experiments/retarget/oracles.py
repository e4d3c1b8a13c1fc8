"""Oracles: edits that use the whole maze. They bound what an edit at a site can reach and are listed separately."""

from __future__ import annotations

from collections.abc import Callable

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.oracle import optimised_edit
from goalmaze.probes.edits.patches import patch_from


def moved_level_patch(policy: NetworkPolicy, task: RetargetingTask, site: str) -> Edit:
    """Return the patch of the site's activation, before the first step, in the levels with goal and cue moved."""
    return patch_from(policy, task.levels_with_goal_moved(), site)


def maze_gradient(policy: NetworkPolicy, task: RetargetingTask, site: str) -> Edit:
    """Return an edit that adds, for each maze, an activation optimised for that maze."""
    return optimised_edit(policy, task.levels, task.targets, site, seed=task.seed)


ORACLES: dict[str, Callable[[NetworkPolicy, RetargetingTask, str], Edit]] = {
    "moved-level-patch": moved_level_patch,
    "maze-gradient": maze_gradient,
}

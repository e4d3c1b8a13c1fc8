"""The two steering vectors of Mini et al. (2023) (procgen-tools: `patch_utils.cheese_diff_values` with a patch)."""

from __future__ import annotations

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.mean_difference import SteeringVector, mean_difference


def cheese_vector(policy: NetworkPolicy, levels: LevelBatch, site: str) -> SteeringVector:
    """Return what goal and cue add to a site, averaged over levels; a strength of -1 removes them."""
    return mean_difference(policy, levels, levels.without_goal_and_cue(), site)


def top_right_vector(policy: NetworkPolicy, levels: LevelBatch, opened: LevelBatch, site: str) -> SteeringVector:
    """Return what an open path to the top right corner adds to a site, averaged over levels.

    Args:
        policy: the policy of the network that has the site.
        levels: B levels.
        opened: the same levels with that path, as `goalmaze.envs.procgen.fields.opened` digs it.
        site: the site.
    """
    return mean_difference(policy, opened, levels, site)

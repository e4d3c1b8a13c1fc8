"""Families whose goals use up cues: there, preference is measured by what the agent collects."""

from __future__ import annotations

from goalmaze.envs.levels import Family


def goals_use_up_cues(family: Family) -> bool:
    """Return whether cues are items that goals use up, such as keys for chests, and there are several of them."""
    types = {kind.name: kind for kind in family.object_types}
    return types[family.cue].gives and types[family.goal].needs and family.slots.count(family.cue) > 1

"""`control`: write what the cue adds to an activation, or what the goal adds, into levels that hold neither.

A reading that is also a cause: the value rises more under the pattern of what the agent pursues, and rises with the
dose. The pattern is a constant, the mean difference over other levels; at maps of the maze it is aligned on the goal's
square as in `mean-pattern`. A pattern with its channels exchanged is the control.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import Rows
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.audit.geometry import MANY_OBJECTS, NO_CUE_PLANE, spread
from goalmaze.probes.audit.method import Measurement, Numbers, T3Method
from goalmaze.probes.audit.pool import AuditPool, Scene
from goalmaze.probes.audit.registry import register_audit_method
from goalmaze.probes.audit.subject import T3Access
from goalmaze.probes.edits.base import Add
from goalmaze.probes.edits.patterns import mean_around, place_pattern

SITES = 3
"""Sites that are written to, spread over the depth of the network."""

DOSES = (0.5, 1.0)
SIDES = ("goal", "cue")


@register_audit_method
class ControlMethod(T3Method):
    """The rise of value under the cue's pattern minus that under the goal's, over three sites.

    Features: the mean effect of each side's pattern at each dose and of the exchanged pattern (`goal at 0.5`,
    `exchanged`), the difference at each site, and how many standard errors the difference is from 0.
    """

    name = "control"

    def refusal(self, pool: AuditPool) -> str:
        """Return why the method does not apply: no object stands for the cue, or many do."""
        if not pool.together:
            return MANY_OBJECTS
        return NO_CUE_PLANE if pool.hidden_cue else ""

    def measure(self, access: T3Access) -> Measurement:
        """Return the mean difference over sites and levels."""
        maps = access.map_sites
        sites = spread(maps or access.sites, SITES)
        names = [*(f"{side} at {dose}" for side in SIDES for dose in DOSES), "exchanged"]
        effects: dict[str, list[float]] = {name: [] for name in names}
        differences: list[Numbers] = []
        for site in sites:
            here = site_effects(access, site, sites, is_map=site in maps)
            for name, effect in here.items():
                effects[name].append(float(effect.mean()))
            differences.append(here["cue at 1.0"] - here["goal at 1.0"])
        per_level = np.mean(differences, axis=0)
        features = {name: float(np.mean(values)) for name, values in effects.items()}
        features |= {f"difference at {site}": float(one.mean()) for site, one in zip(sites, differences, strict=True)}
        error = per_level.std() / len(per_level) ** 0.5
        features["standard errors"] = float(abs(per_level.mean()) / max(error, 1e-12))
        return Measurement.of_levels(per_level, features)


def site_effects(access: T3Access, site: str, sites: Sequence[str], is_map: bool) -> dict[str, Numbers]:
    """Return float64 [b], the rise of value under each pattern at one site, in the first levels of the pool.

    Args:
        access: the agent.
        site: where to write.
        sites: all sites of the method: they are read in one pass.
        is_map: whether the site is a map of the maze.
    """
    pool = access.pool
    blank_scene = Scene(removed=(*pool.goal.trained, *pool.cue.trained))
    blank = access.scene_activations(blank_scene, sites)[site]
    rows, rectified = np.arange(access.few), is_rectified(blank)
    floor = access.scene_outputs(blank_scene).values[: access.few]

    def effect(delta: Tensor, dose: float) -> Numbers:
        edit = Add(site, delta, rectified=rectified, strength=dose)
        return (access.edited_outputs(blank_scene, [edit], rows).values - floor).double().numpy()

    deltas = {}
    for side, other in ((pool.goal, pool.cue), (pool.cue, pool.goal)):
        alone = access.scene_activations(Scene(removed=other.trained), sites)[site]
        deltas[side.kind] = constant_pattern(alone - blank, pool, access.few, is_map=is_map)
    goal, cue = deltas[pool.goal.kind], deltas[pool.cue.kind]
    effects = {f"goal at {dose}": effect(goal, dose) for dose in DOSES}
    effects |= {f"cue at {dose}": effect(cue, dose) for dose in DOSES}
    stronger = cue if effects["cue at 1.0"].mean() > effects["goal at 1.0"].mean() else goal
    # The next channel's pattern in place of each channel's own: the same norm and the same squares.
    return effects | {"exchanged": effect(stronger.roll(1, dims=1), 1.0)}


def constant_pattern(difference: Tensor, pool: AuditPool, few: int, is_map: bool) -> Tensor:
    """Return float32 [b, ...], the mean difference of the other levels, written into the first b levels.

    A pool that has no other levels gives each half the pattern of the other half.

    Args:
        difference: float32 [B, ...], what an object adds to the activation of each level.
        pool: the levels.
        few: number b of levels to write into.
        is_map: whether the site is a map of the maze: the pattern is then aligned on the goal's square.
    """
    levels = np.arange(len(difference))
    if few < len(levels):
        return _written(difference, levels[few:], levels[:few], pool, is_map)
    result = torch.empty_like(difference)
    for half in (0, 1):
        result[half::2] = _written(difference, levels[1 - half :: 2], levels[half::2], pool, is_map)
    return result


def _written(difference: Tensor, fitted: Rows, written: Rows, pool: AuditPool, is_map: bool) -> Tensor:
    """Return float32 [b, ...], the mean difference of the levels `fitted`, in the b levels `written`."""
    if not is_map:
        return difference[torch.from_numpy(fitted)].mean(dim=0).expand(len(written), *difference.shape[1:])
    pattern = mean_around(difference[torch.from_numpy(fitted)], pool.goals[fitted])
    return place_pattern(pattern, pool.goals[written], pool.levels.height, pool.levels.width)

"""What a page measures on many mazes: what was reached first, the effect by strength, and probes by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, LevelBatch
from goalmaze.experiments.live.scene import NOWHERE, TARGET, Scene, edit_refusal
from goalmaze.experiments.page.headings import fit_heading_probes
from goalmaze.probes.edits.base import Edit, applied, at_first_steps
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.targets import draw_targets, has_target_cells

TALLY_MAZES, EFFECT_MAZES = 200, 40
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
"""At these the effect of an edit is measured."""

Places: TypeAlias = dict[str, Cells]
"""What can be reached → int32 [B], its cell in each level, `ABSENT` where there is none."""


def measure(scene: Scene, what: str) -> JsonObject:
    """Return a measurement of the agents of a scene on evaluation levels of its family, shift and seed.

    Args:
        scene: the scene. Its agents act here, so no other thread may use them.
        what: "tally", "effect" or "layers".

    Raises:
        GoalmazeError: the family's goal cannot be moved, or no level has a cell for a target.
    """
    return {"what": what, "done": True, **MEASUREMENTS[what](scene)}


def _tally(scene: Scene) -> JsonObject:
    """Count what each agent reaches first."""
    levels, targets = _levels(scene, TALLY_MAZES)
    places = _places(scene, levels)
    edits = _edits(scene, levels, targets, scene.strength)
    if scene.fitted_edit is not None:
        places |= {TARGET: targets}
    counts = {"unedited": Counter(_first(scene.agent, levels, scene.seed, places))}
    if "edited" in scene.episodes:
        counts["edited"] = Counter(_first(scene.edited.agent, levels, scene.seed, places, edits))
    return {"counts": {name: dict(one) for name, one in counts.items()}, "played": len(levels), "of": len(levels)}


def _effect(scene: Scene) -> JsonObject:
    """Count the targets that the edited agent reaches before the goal, at each of `STRENGTHS`."""
    if scene.fitted_edit is None:
        raise GoalmazeError("there is no edit in this scene; choose the same agent for both sides")
    levels, targets = _levels(scene, EFFECT_MAZES)
    places = {scene.family.goal: levels.cells(scene.family.goal), TARGET: targets}
    points = []
    for strength in STRENGTHS:
        first = _first(scene.agent, levels, scene.seed, places, _edits(scene, levels, targets, strength))
        points.append({"strength": strength, "count": first.count(TARGET), "total": len(levels)})
    return {"points": points, "played": len(levels), "of": len(levels)}


def _layers(scene: Scene) -> JsonObject:
    """Score the probe for where the agent is heading at every map, beside the same probe on the observation."""
    probes = fit_heading_probes(scene.agent, scene.family, map_sites(scene.agent.network))
    return {"probes": [{"site": site, **probe.json()} for site, probe in probes.items()]}


MEASUREMENTS = {"tally": _tally, "effect": _effect, "layers": _layers}
"""What can be measured; the page shows each result by a function of its name."""


def _levels(scene: Scene, count: int) -> tuple[LevelBatch, Cells]:
    """Return the first levels that have a cell for a target, and the target of each, as in scenes of these levels."""
    refusal = edit_refusal(scene.family)
    if refusal is not None:
        raise GoalmazeError(f"many mazes cannot be counted here: {refusal[0].lower()}{refusal[1:]}")
    levels = scene.family.levels(scene.seed, np.arange(count), scene.shift, EVALUATION)
    numbers = np.flatnonzero(has_target_cells(levels))
    targets = [int(draw_targets(levels.take([i]), scene.seed + int(i))[0]) for i in numbers]
    return levels.take(numbers), np.array(targets, np.int32)


def _places(scene: Scene, levels: LevelBatch) -> Places:
    return {name: levels.cells(name) for name in (scene.family.goal, scene.family.cue)}


def _edits(scene: Scene, levels: LevelBatch, targets: Cells, strength: float) -> Sequence[Edit]:
    if scene.fitted_edit is None:
        return []
    return at_first_steps(scene.fitted_edit.edits(GoalMove.on(levels, targets), strength), scene.first_steps)


def _first(agent: Agent, levels: LevelBatch, seed: int, places: Places, edits: Sequence[Edit] = ()) -> list[str]:
    """Return what an agent reaches first in each level: the name of a place, or `NOWHERE`."""
    with applied(agent.policy, edits):
        trajectory = rollout(agent.policy, levels, seed=seed)
    never = len(trajectory.agent)
    # The goal comes first in `places`: it counts where two of them share a cell.
    arrivals = np.stack([_arrival(trajectory.agent, cells, never) for cells in places.values()])
    names = [*places, NOWHERE]
    best = np.where(arrivals.min(axis=0) < never, arrivals.argmin(axis=0), len(places))
    return [names[i] for i in best]


def _arrival(cells: Cells, place: Cells, never: int) -> Cells:
    """Return int32 [B], the first step [T+1, B] at which each agent is at its place; `never` where it is not."""
    there = cells == place
    return np.where(there.any(axis=0), there.argmax(axis=0), never).astype(np.int32)

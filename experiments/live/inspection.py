"""What goes on in an agent at one moment of a scene: its policy in every cell, a site's map, and a probe's reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import Observations, Probabilities
from goalmaze.agents.rollout import observations_of, seen_by
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.levels import FITTING, Family, LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.experiments.live.field import Surroundings, field, is_local, map_seen, surroundings
from goalmaze.experiments.live.scene import AgentEpisode, Scene
from goalmaze.probes.activations import captured, read_activations
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.labels import label_concepts
from goalmaze.probes.readout.fitting import SquareFitter, SquareProbe
from goalmaze.probes.targets import PURSUED

Floats = NDArray[np.float32]

READING_LEVELS = 128


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """One agent's inside at one moment.

    Attributes:
        chances: float32 [H*W, 4], of going up, right, down and left, were the agent in that cell; zero where it could
            not stand.
        maps: float32 [C, H, W], what the site holds now; None where no site is looked at.
        reading: float32 [H*W], for each cell the chance that the probe gives it of being where the agent is heading;
            None without a probe.
    """

    chances: Floats
    maps: Floats | None
    reading: Floats | None


@dataclasses.dataclass(frozen=True, eq=False)
class Sight:
    """What an agent sees at one moment of a scene, where it stands and were it elsewhere.

    Attributes:
        size: H*W, the cells of the maze.
        cells: int32 [N], the free cells.
        agent: int32 [1 + N], where the agent stands, and then all of `cells`.
        seen: uint8 [1 + N, ...], the observations there.
        around: those in `cells` taken apart, where that can be done.
    """

    size: int
    cells: Cells
    agent: Cells
    seen: Observations
    around: Surroundings | None


def sight(scene: Scene, walker: AgentEpisode) -> Sight:
    """Return what one of a scene's agents sees; other than its mind this is the same under every edit."""
    policy = scene.agent.policy
    level = _as_it_stands(scene.level, walker)
    splayed = level.splayed(AGENT)
    now = seen_by(policy, walker.episodes)()
    elsewhere = observations_of(policy, splayed)
    around = surroundings(elsewhere, splayed.start) if is_local(policy.network, None) else None
    agent = np.append(walker.episodes.agent, splayed.start).astype(np.int32)
    return Sight(level.height * level.width, splayed.start, agent, np.concatenate([now, elsewhere]), around)


def look(
    scene: Scene,
    walker: AgentEpisode,
    site: str | None,
    edits: Sequence[Edit],
    probe: SquareProbe | None,
    seen: Sight | None = None,
) -> Inspection:
    """Look into one of a scene's agents, under edits where there are some.

    One forward pass serves all: its first row is what the agent sees now, the others are the same maze with the agent
    in each of the cells. Where the network `is_local` the same is had at less cost. A network with a memory is looked
    at as before its first step.

    Args:
        scene: the scene.
        walker: which of its agents.
        site: the map to read, if any; of a site that is no map nothing is read.
        edits: in force meanwhile.
        probe: for where the agent is heading, of that site, if any.
        seen: what the agent sees, where it is known already.
    """
    seen = seen or sight(scene, walker)
    policy, chances = scene.agent.policy, np.zeros((seen.size, 4), np.float32)
    site = site if site in map_sites(policy.network) else None
    lone = edits[0] if edits else None
    if seen.around is not None and len(edits) < 2 and is_local(policy.network, lone):
        local = cast(Add | None, lone)
        chances[seen.cells] = field(policy.network, seen.around, local)
        maps = None if site is None else map_seen(policy.network, site, seen.seen[0], local)
    else:
        found, maps = _passed(scene, site, edits, seen)
        chances[seen.cells] = found[1:]
    if maps is None:
        return Inspection(chances, None, None)
    reading = None if probe is None else torch.einsum("chw,c->hw", maps, probe.direction).flatten().softmax(0).numpy()
    return Inspection(chances, maps.numpy(), reading)


def _passed(
    scene: Scene, site: str | None, edits: Sequence[Edit], seen: Sight
) -> tuple[Probabilities, torch.Tensor | None]:
    """Return float32 [1 + N, 4], the policy for all that is seen, and a site's map [C, H, W] where the agent stands."""
    policy = scene.agent.policy
    with ExitStack() as stack:
        stack.enter_context(applied(policy, edits))
        latest = stack.enter_context(captured(scene.agent.network, [] if site is None else [site]))
        found = policy.probabilities(np.zeros(len(seen.seen), np.intp), seen.seen, seen.agent)
    return found, None if site is None else latest[site][0]


def change(before: Inspection, after: Inspection) -> Floats:
    """Return float32 [H*W], by how much two policies differ in each cell: total variation, 0 to 1."""
    difference: Floats = np.abs(before.chances - after.chances).sum(axis=1) / 2
    return difference


def fit_reading(agent: Agent, family: Family, site: str, seed: int = 0) -> SquareProbe:
    """Return a probe for where an agent is heading, read square by square from a map site.

    It is fitted where goal and cue part, so that it reads what the agent pursues, and on mazes that are never shown.

    Raises:
        GoalmazeError: the agent reaches too little to fit on.
    """
    levels = family.levels(seed, np.arange(READING_LEVELS), family.distinguishing_shift, FITTING)
    labels = label_concepts([PURSUED], agent.policy, levels, seed)[PURSUED]
    maps = read_activations(agent.network, observations_of(agent.policy, levels), [site])[site]
    return SquareFitter(maps).fit(labels.values)


def _as_it_stands(level: LevelBatch, walker: AgentEpisode) -> LevelBatch:
    """Return the level with its objects where they are now, those held or gone left out."""
    now = walker.episodes.objects[0]
    on_wall = level.walls[0].flat[np.maximum(now, 0)]
    return dataclasses.replace(level, objects=np.where(on_wall, ABSENT, now)[None])

"""One agent at one moment of a scene: its policy in every cell, the activation of a site, and a probe of its goal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from goalmaze.agents.policies import EditContext, Observations, Probabilities
from goalmaze.agents.rollout import observations_of, observer
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.experiments.live.field import Surroundings, is_local, policy_field, site_map, surroundings
from goalmaze.experiments.live.scene import AgentEpisode, Scene
from goalmaze.experiments.page.headings import HeadingProbe
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.base import Add, Edit, applied

Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """The policy and the activation of one agent at one moment.

    Attributes:
        probabilities: float32 [H*W, 4], of up, right, down and left with the agent in each cell; zero where it cannot
            stand.
        maps: float32 [C, H, W], the activation of the inspected site; None where no map is inspected.
        reading: float32 [H*W], the probe's probability that the agent is heading to each cell; None without a probe.
    """

    probabilities: Floats
    maps: Floats | None
    reading: Floats | None


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """The observations of an agent at one moment of a scene: in its own cell and in every other.

    Attributes:
        size: H*W, the number of cells of the maze.
        cells: int32 [N], the free cells.
        agent: int32 [1 + N], the agent's own cell, then all of `cells`.
        observations: uint8 [1 + N, ...], the observation with the agent in each of them.
        surroundings: the N observations split for `policy_field`; None where they cannot be.
    """

    size: int
    cells: Cells
    agent: Cells
    observations: Observations
    surroundings: Surroundings | None


def observe(scene: Scene, episode: AgentEpisode) -> Views:
    """Return the observations of one of a scene's agents. They do not depend on the edit."""
    policy = episode.agent.policy
    level = _current_level(scene.level, episode)
    splayed = level.splayed(AGENT)
    own = observer(policy, episode.engine)()
    elsewhere = observations_of(policy, splayed, episode.steps)
    around = surroundings(elsewhere, splayed.start) if is_local(policy.network, None) else None
    agent = np.append(episode.engine.agent, splayed.start).astype(np.int32)
    return Views(level.height * level.width, splayed.start, agent, np.concatenate([own, elsewhere]), around)


def inspect_agent(
    scene: Scene,
    episode: AgentEpisode,
    site: str | None,
    edits: Sequence[Edit],
    heading: HeadingProbe | None,
    views: Views | None = None,
) -> Inspection:
    """Return the policy and the activation of one of a scene's agents, under edits.

    One forward pass gives both: its first row is the agent's own observation, the others have the agent in each free
    cell. Where the network `is_local`, `policy_field` gives the same policy at lower cost. A recurrent network has, in
    every cell, the memory that it has now.

    Args:
        scene: the scene.
        episode: of the agent.
        site: the map to read; nothing is read where it is None or no map.
        edits: to apply.
        heading: the probe of that site, for where the agent is heading.
        views: the agent's observations, where they have been made already.
    """
    views = views or observe(scene, episode)
    policy, probabilities = episode.agent.policy, np.zeros((views.size, 4), np.float32)
    site = site if site in map_sites(policy.network) else None
    # `edits` act at this moment, the only one that is inspected, so it does not matter at which others they do.
    edit = dataclasses.replace(edits[0], first_steps=None, at_steps=None) if edits else None
    # The fast path computes one edit of one site.
    if views.surroundings is not None and len(edits) < 2 and is_local(policy.network, edit):
        local = cast(Add | None, edit)
        probabilities[views.cells] = policy_field(policy.network, views.surroundings, local, episode.memory)
        maps = None if site is None else site_map(policy.network, site, views.observations[0], local)
    else:
        everywhere, maps = _forward(episode, site, edits, views)
        probabilities[views.cells] = everywhere[1:]
    if maps is None:
        return Inspection(probabilities, None, None)
    if heading is None:
        return Inspection(probabilities, maps.numpy(), None)
    scores = torch.einsum("chw,c->hw", maps, heading.probe.direction)
    return Inspection(probabilities, maps.numpy(), scores.flatten().softmax(0).numpy())


def _forward(
    episode: AgentEpisode, site: str | None, edits: Sequence[Edit], views: Views
) -> tuple[Probabilities, torch.Tensor | None]:
    """Return float32 [1 + N, 4], the policy on all observations, and the map [C, H, W] of a site with the agent in its
    present cell."""
    policy = episode.agent.policy
    with ExitStack() as stack:
        stack.enter_context(applied(policy, edits))
        latest = stack.enter_context(captured(episode.agent.network, [] if site is None else [site]))
        # every row is about level 0 of the edit's batch
        rows = np.zeros(len(views.observations), np.intp)
        if episode.memory is None:
            probabilities = policy.probabilities(rows, views.observations, views.agent)
        else:
            context = EditContext(rows, np.full(len(rows), episode.steps, np.int64))
            probabilities = policy.probabilities_with(episode.memory, context, views.observations)
    return probabilities, None if site is None else latest[site][0]


def policy_change(before: Inspection, after: Inspection) -> Floats:
    """Return float32 [H*W], the total variation distance, 0 to 1, of two policies in each cell."""
    difference: Floats = np.abs(before.probabilities - after.probabilities).sum(axis=1) / 2
    return difference


def _current_level(level: LevelBatch, episode: AgentEpisode) -> LevelBatch:
    """Return the level with its objects in their current cells, without those that are gone."""
    cells = episode.engine.objects[0]
    # items that the agent carries lie in the top wall
    on_wall = level.walls[0].flat[np.maximum(cells, 0)]
    return dataclasses.replace(level, objects=np.where(on_wall, ABSENT, cells)[None])

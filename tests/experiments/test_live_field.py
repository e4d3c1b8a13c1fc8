"""The policy field from surroundings: equal to one forward pass a cell, and refused where it would not be equal."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from goalmaze.agents.checkpoints import Header, StoredShape
from goalmaze.agents.loading import Agent
from goalmaze.agents.networks import Shape, make_network
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import map_sites
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.live import field as fast
from goalmaze.experiments.live import inspection
from goalmaze.experiments.live.scene import Scene
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.patterns import GoalPattern

LOCAL: list[tuple[str, dict[str, Any]]] = [
    ("grid", {}),
    ("grid", {"blocks": 1}),
    ("grid", {"blocks": 0, "channels": 5}),
    ("lstm", {"blocks": 3}),
]
ELSEWHERE: list[tuple[str, dict[str, Any]]] = [
    ("grid", {"readout": "flat", "blocks": 2}),
    ("drc", {"layers": 1, "ticks": 1, "channels": 4}),
]


def make_scene(network: str, options: dict[str, Any], size: int = 9, site: str = "stem") -> Scene:
    """Return a scene of an untrained agent with a decided policy, and a random pattern as edit."""
    torch.manual_seed(0)
    family = make_family("GreenExit").resized(size)
    built = make_network(network, Shape.seeing(make_view(family)), options)
    with torch.no_grad():
        next(built.get_submodule("policy").parameters()).mul_(300)
    channels = next(s.channels for s in built.sites() if s.name == site)
    arriving, leaving = torch.randn(2, channels, 2 * size - 1, 2 * size - 1)
    pattern = GoalPattern(site, arriving, leaving, rectified=site != "stem")
    header = Header(1, "GreenExit", {}, network, options, StoredShape.of(built.shape), 0, "test")
    return Scene(Agent(built, family, network, header), family, pattern, shift="none", seed=4)


def one_by_one(scene: Scene, cells: Any, edit: Edit | None) -> Any:
    """Return float32 [N, 4], the policy from one forward pass for each cell."""
    policy, rows = scene.agent.policy, []
    for cell in cells:
        level = scene.level.started(int(cell))
        with applied(policy, [] if edit is None else [edit]):
            observations = observations_of(policy, level)
            rows.append(policy.probabilities(np.zeros(1, np.intp), observations, level.start)[0])
    return np.stack(rows)


@pytest.mark.parametrize("size", [5, 13])
@pytest.mark.parametrize(("network", "options"), LOCAL)
def test_the_field_equals_one_forward_pass_a_cell(network: str, options: dict[str, Any], size: int) -> None:
    scene = make_scene(network, options, size)
    views = inspection.observe(scene, scene.edited)
    assert views.surroundings is not None
    built = scene.agent.network
    unedited = one_by_one(scene, views.cells, None)
    assert unedited.std(axis=0).max() > 0.05, "a policy that is the same everywhere would pass with any windows"
    assert np.abs(fast.policy_field(built, views.surroundings, None) - unedited).max() < 1e-5
    for site in map_sites(built):
        scene = make_scene(network, options, size, site)
        assert fast.is_local(scene.agent.network, *scene.edits)
        full_result = one_by_one(scene, views.cells, *scene.edits)
        fast_result = fast.policy_field(scene.agent.network, views.surroundings, *scene.edits)
        assert np.abs(fast_result - full_result).max() < 1e-5, site
        assert np.abs(fast_result - unedited).max() > 1e-2, f"the edit at {site} would not be noticed"


@pytest.mark.parametrize(("network", "options"), LOCAL)
def test_the_map_of_a_site_equals_that_of_a_forward_pass(
    network: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(network, options)
    for site in map_sites(scene.agent.network):
        fast_result = inspection.inspect_agent(scene, scene.edited, site, scene.edits, None)
        with monkeypatch.context() as patch:
            patch.setattr(inspection, "is_local", lambda network, edit: False)
            full_result = inspection.inspect_agent(scene, scene.edited, site, scene.edits, None)
        assert fast_result.maps is not None
        assert full_result.maps is not None
        assert np.abs(fast_result.maps - full_result.maps).max() < 1e-5
        assert np.abs(fast_result.probabilities - full_result.probabilities).max() < 1e-5


@pytest.mark.parametrize(("network", "options"), ELSEWHERE)
def test_other_networks_are_inspected_by_a_forward_pass(network: str, options: dict[str, Any]) -> None:
    scene = make_scene(network, options)
    assert not fast.is_local(scene.agent.network, None)
    result = inspection.inspect_agent(scene, scene.edited, "stem", scene.edits, None)
    cells = inspection.observe(scene, scene.edited).cells
    assert np.abs(result.probabilities[cells] - one_by_one(scene, cells, *scene.edits)).max() < 1e-5


@pytest.mark.parametrize(("network", "options"), [("lstm", {"blocks": 3}), ELSEWHERE[1]])
def test_a_memory_is_that_of_the_moment_in_every_cell(network: str, options: dict[str, Any]) -> None:
    scene = make_scene(network, options)
    episode, policy = scene.edited, scene.agent.policy
    for _ in range(3):
        result = inspection.inspect_agent(scene, episode, None, scene.edits, None)
        shown, forgetful = result.probabilities[episode.cell], one_by_one(scene, [episode.cell], *scene.edits)[0]
        # The oracle is the policy of the step that follows, which the agent takes with the memory of its actor.
        with applied(policy, scene.edits):
            record = next(episode.records)
        assert np.abs(shown - record.probabilities[0]).max() < 1e-5
        episode.engine.step(record.actions)
        episode.trail.append(int(record.agent[0]))
    assert np.abs(shown - forgetful).max() > 1e-3, "an inspection without memory would not be noticed"


def test_edits_other_than_additions_and_networks_with_crops_are_not_local() -> None:
    scene = make_scene("grid", {"blocks": 2})
    network, (edit,) = scene.agent.network, scene.edits
    assert fast.is_local(network, edit)
    assert not fast.is_local(network, dataclasses.replace(edit, first_steps=1))
    assert not fast.is_local(network, dataclasses.replace(edit, delta=edit.delta.repeat(2, 1, 1, 1)))
    cropped = make_network("grid", Shape.seeing(make_view(scene.family, ObservationSpec("crop"))))
    assert not fast.is_local(cropped, None)


def test_observations_that_differ_in_other_cells_have_no_surroundings() -> None:
    scene = make_scene("grid", {"blocks": 2})
    views = inspection.observe(scene, scene.edited)
    observations = views.observations[1:].copy()
    assert fast.surroundings(observations, views.cells) is not None
    elsewhere = next(cell for cell in range(81) if cell not in views.cells)
    observations[5, 0].flat[elsewhere] ^= 1
    assert fast.surroundings(observations, views.cells) is None
    assert fast.surroundings(observations[:1], views.cells[:1]) is None

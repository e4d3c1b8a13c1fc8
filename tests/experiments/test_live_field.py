"""The field worked out from surroundings: the same as one forward pass a cell, and refused where it would not be."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from goalmaze.agents.checkpoints import Header
from goalmaze.agents.loading import Agent
from goalmaze.agents.networks import Shape, make_network
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import map_sites
from goalmaze.envs.families import make_family
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


def a_scene(network: str, options: dict[str, Any], size: int = 9, site: str = "stem") -> Scene:
    """Return a scene of an untrained agent that is not indifferent, with a random pattern for an edit."""
    torch.manual_seed(0)
    family = make_family("GreenExit").resized(size)
    built = make_network(network, Shape.seeing(make_view(family, "planes")), options)
    with torch.no_grad():
        next(built.get_submodule("policy").parameters()).mul_(300)
    channels = next(s.channels for s in built.sites() if s.name == site)
    arriving, leaving = torch.randn(2, channels, 2 * size - 1, 2 * size - 1)
    pattern = GoalPattern(site, arriving, leaving, rectified=site != "stem")
    header = Header(1, "GreenExit", {}, network, options, built.shape, 0, "test")
    return Scene(Agent(built, family, network, header), family, pattern, shift="none", seed=4)


def one_by_one(scene: Scene, cells: Any, edit: Edit | None) -> Any:
    """Return float32 [N, 4], the policy's chances from a forward pass for each cell alone."""
    policy, found = scene.agent.policy, []
    for cell in cells:
        level = scene.level.started(int(cell))
        with applied(policy, [] if edit is None else [edit]):
            seen = observations_of(policy, level)
            found.append(policy.probabilities(np.zeros(1, np.intp), seen, level.start)[0])
    return np.stack(found)


@pytest.mark.parametrize("size", [5, 13])
@pytest.mark.parametrize(("network", "options"), LOCAL)
def test_the_field_is_what_one_forward_pass_a_cell_gives(network: str, options: dict[str, Any], size: int) -> None:
    scene = a_scene(network, options, size)
    seen = inspection.sight(scene, scene.edited)
    assert seen.around is not None
    built = scene.agent.network
    unedited = one_by_one(scene, seen.cells, None)
    assert unedited.std(axis=0).max() > 0.05, "a policy the same everywhere would pass whatever the windows hold"
    assert np.abs(fast.field(built, seen.around, None) - unedited).max() < 1e-5
    for site in map_sites(built):
        scene = a_scene(network, options, size, site)
        assert fast.is_local(scene.agent.network, *scene.edits)
        plain = one_by_one(scene, seen.cells, *scene.edits)
        quick = fast.field(scene.agent.network, seen.around, *scene.edits)
        assert np.abs(quick - plain).max() < 1e-5, site
        assert np.abs(quick - unedited).max() > 1e-2, f"the edit at {site} would go unseen"


@pytest.mark.parametrize(("network", "options"), LOCAL)
def test_what_a_site_holds_is_what_a_forward_pass_leaves_there(
    network: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = a_scene(network, options)
    for site in map_sites(scene.agent.network):
        quick = inspection.look(scene, scene.edited, site, scene.edits, None)
        with monkeypatch.context() as patch:
            patch.setattr(inspection, "is_local", lambda network, edit: False)
            plain = inspection.look(scene, scene.edited, site, scene.edits, None)
        assert quick.maps is not None
        assert plain.maps is not None
        assert np.abs(quick.maps - plain.maps).max() < 1e-5
        assert np.abs(quick.chances - plain.chances).max() < 1e-5


@pytest.mark.parametrize(("network", "options"), ELSEWHERE)
def test_other_networks_are_looked_at_with_a_forward_pass(network: str, options: dict[str, Any]) -> None:
    scene = a_scene(network, options)
    assert not fast.is_local(scene.agent.network, None)
    found = inspection.look(scene, scene.edited, "stem", scene.edits, None)
    cells = inspection.sight(scene, scene.edited).cells
    assert np.abs(found.chances[cells] - one_by_one(scene, cells, *scene.edits)).max() < 1e-5


def test_edits_other_than_an_addition_and_networks_that_see_a_part_are_not_local() -> None:
    scene = a_scene("grid", {"blocks": 2})
    network, (edit,) = scene.agent.network, scene.edits
    assert fast.is_local(network, edit)
    assert not fast.is_local(network, dataclasses.replace(edit, first_steps=1))
    assert not fast.is_local(network, dataclasses.replace(edit, delta=edit.delta.repeat(2, 1, 1, 1)))
    cropped = make_network("grid", Shape.seeing(make_view(scene.family, "crop")))
    assert not fast.is_local(cropped, None)


def test_observations_that_differ_elsewhere_are_not_taken_apart() -> None:
    scene = a_scene("grid", {"blocks": 2})
    seen = inspection.sight(scene, scene.edited)
    observations = seen.seen[1:].copy()
    assert fast.surroundings(observations, seen.cells) is not None
    elsewhere = next(cell for cell in range(81) if cell not in seen.cells)
    observations[5, 0].flat[elsewhere] ^= 1
    assert fast.surroundings(observations, seen.cells) is None
    assert fast.surroundings(observations[:1], seen.cells[:1]) is None

"""A reading is evidence where the trained network alone holds the answer, and nowhere else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.probes.labels import Labels, LabelType, concept_names
from goalmaze.probes.readout.reading import Look, ProbeData, Reading, gather_material, read_concept

MAZES = 160


def answers(kind: LabelType, seed: int) -> Labels:
    luck = torch.Generator().manual_seed(seed)
    if kind == "squares":
        return Labels("planted", kind, torch.randint(0, 3, (MAZES, 49), generator=luck), ("a", "b", "c"))
    if kind == "number":
        return Labels("planted", kind, torch.randn(MAZES, generator=luck))
    top = 49 if kind == "cell" else 3
    values = torch.randint(0, top, (MAZES,), generator=luck)
    return Labels("planted", kind, values, () if kind == "cell" else ("a", "b", "c"))


def holding(labels: Labels, seed: int) -> Tensor:
    """Return maps [N, 4, 7, 7] of noise in which a linear probe finds the answers."""
    maps = torch.randn(MAZES, 4, 49, generator=torch.Generator().manual_seed(seed))
    rows = torch.arange(MAZES)
    if labels.kind == "squares":
        maps[:, :3] += 3 * torch.nn.functional.one_hot(labels.values, 3).movedim(2, 1)
    elif labels.kind == "cell":
        maps[rows, 2, labels.values] += 6
    elif labels.kind == "class":
        maps[rows, labels.values] += 1.5
    else:
        maps[:, 1] += labels.values[:, None]
    return maps.reshape(MAZES, 4, 7, 7)


def planted(family: Family, kind: LabelType, where: str, seed: int) -> ProbeData:
    """Return material in which only `where`, if that is anything, holds the answers."""
    labels = answers(kind, seed)

    def maps(name: str) -> Tensor:
        shift = {"trained": 0, "untrained": 1, "observations": 2}[name]
        return holding(labels if name == where else answers(kind, seed + 70), seed + 10 + shift)

    levels = family.levels(seed, np.arange(MAZES))
    trained, untrained = {"site": maps("trained")}, {"site": maps("untrained")}
    return ProbeData(levels, maps("observations"), trained, untrained, {"planted": labels})


def reading(family: Family, kind: LabelType, where: str, look: Look) -> Reading:
    return read_concept(planted(family, kind, where, 1), planted(family, kind, where, 2), "site", "planted", look)


KINDS: list[tuple[LabelType, Look]] = [
    ("cell", "square"),
    ("squares", "square"),
    ("class", "global"),
    ("number", "global"),
]


@pytest.mark.parametrize(("kind", "look"), KINDS)
def test_what_only_the_trained_network_holds_is_evidence(family: Family, kind: LabelType, look: Look) -> None:
    one = reading(family, kind, "trained", look)
    assert one.is_evidence
    assert one.score.low <= one.score.value <= one.score.high
    assert one.score.value > 0.7
    assert one.selectivity > 0.4
    assert one.p <= 0.05
    chance = {"cell": 0.15, "squares": 0.45, "class": 0.55, "number": 0.15}[kind]
    assert max(low.value for low in (one.observation, one.untrained, one.shuffled, one.majority)) < chance


@pytest.mark.parametrize(("kind", "look"), KINDS)
@pytest.mark.parametrize("where", ["nowhere", "observations", "untrained"])
def test_what_it_does_not_hold_is_not(family: Family, kind: LabelType, look: Look, where: str) -> None:
    one = reading(family, kind, where, look)
    assert not one.is_evidence
    if where != "nowhere":
        assert {"observations": one.observation, "untrained": one.untrained}[where].value > 0.7


def test_an_answer_that_the_observation_gives_as_well_is_not_evidence(family: Family) -> None:
    fit, test = (planted(family, "cell", "trained", seed) for seed in (1, 2))
    seen = [dataclasses.replace(one, observations=one.trained["site"]) for one in (fit, test)]
    one = read_concept(seen[0], seen[1], "site", "planted", "square")
    assert one.score.value > 0.7
    assert one.observation == one.score
    assert not one.is_evidence


def test_an_agent_is_read_at_every_kind_of_site_and_concept(policy: NetworkPolicy, family: Family) -> None:
    sites, concepts = ["block1", "hidden"], concept_names(family)
    fit, test = (
        gather_material(policy, family.levels(0, np.arange(60), "moved-sign", split), sites, concepts, 0)
        for split in ("fitting", "evaluation")
    )
    looks: list[tuple[str, str, Look]] = [
        ("block1", "sign", "square"),
        ("block1", "sign", "window"),
        ("hidden", "next-action", "global"),
        ("hidden", "pursued", "global"),
        ("block1", "distance", "global"),
        ("block1", "object", "window"),
    ]
    for site, concept, look in looks:
        one = read_concept(fit, test, site, concept, look)
        assert (one.site, one.concept, one.look) == (site, concept, look)
        assert 0 <= one.p <= 1
    assert read_concept(fit, test, "block1", "sign", "square").score.value > 0.8


def test_the_untrained_network_is_one_of_the_same_shape_with_other_weights(policy: NetworkPolicy) -> None:
    fresh = policy.network.untrained(5)
    shapes = {name: tensor.shape for name, tensor in policy.network.state_dict().items()}
    assert {name: tensor.shape for name, tensor in fresh.state_dict().items()} == shapes
    assert not torch.equal(fresh.get_parameter("stem.weight"), policy.network.get_parameter("stem.weight"))
    again = policy.network.untrained(5)
    assert torch.equal(fresh.get_parameter("stem.weight"), again.get_parameter("stem.weight"))


@pytest.mark.parametrize(
    ("kind", "look", "message"),
    [
        ("squares", "global", "'planted' has an answer for every square; read it with a square or window probe"),
        ("class", "square", "a square probe answers for squares; read an answer about the maze with a global one"),
        ("number", "window", "a window probe answers for squares"),
        ("cell", "sqare", r"unknown look of a probe 'sqare' \(did you mean 'square'"),
    ],
)
def test_a_probe_that_cannot_answer_is_refused(family: Family, kind: LabelType, look: Look, message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        reading(family, kind, "trained", look)


def test_features_have_no_squares_to_look_at(family: Family) -> None:
    flat = [
        dataclasses.replace(one, trained={"site": one.trained["site"].flatten(1)})
        for one in (planted(family, "cell", "trained", seed) for seed in (1, 2))
    ]
    with pytest.raises(GoalmazeError, match="a window probe needs a map, this site has no squares"):
        read_concept(flat[0], flat[1], "site", "planted", "window")

"""A score is evidence where only the activations of the trained network encode the concept."""

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
from goalmaze.probes.readout.probe_data import ProbeData, gather_probe_data
from goalmaze.probes.readout.probe_fitter import ProbeKind, suitable_probe_kinds
from goalmaze.probes.readout.scores import Estimate
from goalmaze.probes.readout.site_reader import ProbeResult, probe_concept

MAZES = 160


def random_labels(label_type: LabelType, seed: int) -> Labels:
    rng = torch.Generator().manual_seed(seed)
    if label_type == "squares":
        return Labels("planted", label_type, torch.randint(0, 3, (MAZES, 49), generator=rng), ("a", "b", "c"))
    if label_type == "number":
        return Labels("planted", label_type, torch.randn(MAZES, generator=rng))
    classes = 49 if label_type == "cell" else 3
    values = torch.randint(0, classes, (MAZES,), generator=rng)
    return Labels("planted", label_type, values, () if label_type == "cell" else ("a", "b", "c"))


def maps_encoding(labels: Labels, seed: int) -> Tensor:
    """Return maps [N, 4, 7, 7] of noise plus a linear encoding of the labels."""
    maps = torch.randn(MAZES, 4, 49, generator=torch.Generator().manual_seed(seed))
    rows = torch.arange(MAZES)
    if labels.label_type == "squares":
        maps[:, :3] += 3 * torch.nn.functional.one_hot(labels.values, 3).movedim(2, 1)
    elif labels.label_type == "cell":
        maps[rows, 2, labels.values] += 6
    elif labels.label_type == "class":
        maps[rows, labels.values] += 1.5
    else:
        maps[:, 1] += labels.values[:, None]
    return maps.reshape(MAZES, 4, 7, 7)


def planted_data(family: Family, label_type: LabelType, where: str, seed: int) -> ProbeData:
    """Return data in which only the maps `where` encode the labels, or none for "nowhere"."""
    labels = random_labels(label_type, seed)

    def maps(name: str) -> Tensor:
        shift = {"trained": 0, "untrained": 1, "observations": 2}[name]
        return maps_encoding(labels if name == where else random_labels(label_type, seed + 70), seed + 10 + shift)

    levels = family.levels(seed, np.arange(MAZES))
    trained, untrained = {"site": maps("trained")}, {"site": maps("untrained")}
    return ProbeData(levels, maps("observations"), trained, untrained, {"planted": labels})


def planted_result(family: Family, label_type: LabelType, where: str, kind: ProbeKind) -> ProbeResult:
    fit, evaluation = (planted_data(family, label_type, where, seed) for seed in (1, 2))
    return probe_concept(fit, evaluation, "site", "planted", kind)


CASES: list[tuple[LabelType, ProbeKind]] = [
    ("cell", "square"),
    ("squares", "square"),
    ("class", "global"),
    ("number", "global"),
]


@pytest.mark.parametrize(("label_type", "kind"), CASES)
def test_what_only_the_trained_network_encodes_is_evidence(
    family: Family, label_type: LabelType, kind: ProbeKind
) -> None:
    one = planted_result(family, label_type, "trained", kind)
    assert one.verdict == "evidence"
    assert one.score.low <= one.score.value <= one.score.high
    assert one.score.value > 0.7
    assert one.selectivity > 0.4
    assert one.p <= 0.05
    chance = {"cell": 0.15, "squares": 0.45, "class": 0.55, "number": 0.15}[label_type]
    assert max(baseline.value for baseline in one.baselines.values()) < chance
    assert set(one.baselines) - {"centred"} == {"observation", "untrained", "shuffled", "majority"}
    assert ("centred" in one.baselines) == (kind == "global")


@pytest.mark.parametrize(("label_type", "kind"), CASES)
@pytest.mark.parametrize("where", ["nowhere", "observations", "untrained"])
def test_what_the_trained_network_does_not_encode_is_no_evidence(
    family: Family, label_type: LabelType, kind: ProbeKind, where: str
) -> None:
    one = planted_result(family, label_type, where, kind)
    assert one.verdict != "evidence"
    if where != "nowhere":
        assert {"observations": one.observation, "untrained": one.untrained}[where].value > 0.7


def test_what_the_observation_encodes_as_well_is_no_evidence(family: Family) -> None:
    data = [planted_data(family, "cell", "trained", seed) for seed in (1, 2)]
    fit, evaluation = (dataclasses.replace(one, observations=one.trained["site"]) for one in data)
    one = probe_concept(fit, evaluation, "site", "planted", "square")
    assert one.score.value > 0.7
    assert one.observation == one.score
    assert one.verdict == "undecidable"


def data_at_the_agent(
    family: Family, seed: int, *, trained: int | None = None, observed: int | None = None
) -> ProbeData:
    """Return data in which a class is encoded at a distance, in columns, from the agent's square.

    The other classes are encoded at random squares, so that only the agent's square says which of them is the label.

    Args:
        family: of the levels.
        seed: of levels, labels and noise.
        trained: the distance at which activations encode the class; None where they do not.
        observed: the same of the observations.
    """
    data = planted_data(family, "class", "nowhere", seed)
    labels, rows, starts = (
        data.labels["planted"].values,
        torch.arange(MAZES),
        torch.tensor(data.levels.start, dtype=torch.long),
    )

    def encoded(maps: Tensor, distance: int | None) -> Tensor:
        squares = torch.zeros_like(maps).flatten(2)
        for other in range(3):
            # Starts of other mazes: the agent never stands on some squares.
            elsewhere = starts[torch.randperm(MAZES, generator=torch.Generator().manual_seed(10 * seed + other))]
            squares[rows, other, elsewhere + (distance or 0)] = 1
        if distance is not None:
            # A start is never in the last column, so the square beside it is in the same row.
            squares[rows, :, starts + distance] = 0
            squares[rows, labels] = 0
            squares[rows, labels, starts + distance] = 1
        return squares.view_as(maps)

    trained_maps, observations = encoded(data.trained["site"], trained), encoded(data.observations, observed)
    return dataclasses.replace(data, observations=observations, trained={"site": trained_maps})


@pytest.mark.parametrize(
    ("trained", "kind", "verdict"),
    [
        (0, "agent", "evidence"),
        (0, "agent-window", "evidence"),
        (1, "agent-window", "evidence"),
        (1, "agent", "no evidence"),
        (0, "global", "no evidence"),
    ],
)
def test_only_a_probe_that_uses_the_agents_square_reads_what_is_encoded_there(
    family: Family, trained: int, kind: ProbeKind, verdict: str
) -> None:
    one = probe_concept(*(data_at_the_agent(family, seed, trained=trained) for seed in (1, 2)), "site", "planted", kind)
    assert one.verdict == verdict
    assert (one.score.value > 0.9) == (verdict == "evidence")


@pytest.mark.parametrize(
    ("observed", "kind", "baseline"),
    [(0, "agent", "observation"), (1, "agent-window", "observation"), (1, "agent", "centred")],
)
def test_what_the_observation_shows_around_the_agent_is_no_evidence(
    family: Family, observed: int, kind: ProbeKind, baseline: str
) -> None:
    fit, evaluation = (data_at_the_agent(family, seed, trained=0, observed=observed) for seed in (1, 2))
    one = probe_concept(fit, evaluation, "site", "planted", kind)
    assert one.score.value > 0.9
    assert one.baselines[baseline].value > 0.8
    assert one.verdict != "evidence"
    assert one.observation.value > 0.8 or baseline == "centred"


def test_a_perfect_baseline_leaves_nothing_to_decide_and_one_below_it_does(family: Family) -> None:
    fit, evaluation = (data_at_the_agent(family, seed, trained=0, observed=0) for seed in (1, 2))
    one = probe_concept(fit, evaluation, "site", "planted", "agent")
    assert one.score.value == one.observation.value == 1
    assert one.verdict == "undecidable"
    imperfect = one.observation.high - 0.1
    below = dataclasses.replace(one, observation=Estimate(0.8, 0.7, imperfect), centred=None)
    assert below.verdict == "evidence"
    with_other = dataclasses.replace(below, untrained=Estimate(1.0, 0.97, 1.0))
    assert with_other.verdict == "undecidable"


def test_every_type_of_site_and_concept_of_an_agent_is_probed(policy: NetworkPolicy, family: Family) -> None:
    sites, concepts = ["block1", "hidden"], concept_names(family)
    fit, evaluation = (
        gather_probe_data(policy, family.levels(0, np.arange(60), "moved-sign", split), sites, concepts, 0)
        for split in ("fitting", "evaluation")
    )
    global_concepts = [("hidden", "next-action"), ("hidden", "pursued"), ("block1", "distance")]
    cases: list[tuple[str, str, ProbeKind]] = [(site, concept, "global") for site, concept in global_concepts]
    cases += [("block1", "sign", "square"), ("block1", "sign", "window"), ("block1", "object", "window")]
    for site, concept, kind in cases:
        one = probe_concept(fit, evaluation, site, concept, kind)
        assert (one.site, one.concept, one.kind) == (site, concept, kind)
        assert 0 <= one.p <= 1
    assert probe_concept(fit, evaluation, "block1", "sign", "square").score.value > 0.8


def test_the_untrained_network_has_the_same_shape_and_other_weights(policy: NetworkPolicy) -> None:
    fresh = policy.network.untrained(5)
    shapes = {name: tensor.shape for name, tensor in policy.network.state_dict().items()}
    assert {name: tensor.shape for name, tensor in fresh.state_dict().items()} == shapes
    assert not torch.equal(fresh.get_parameter("stem.weight"), policy.network.get_parameter("stem.weight"))
    again = policy.network.untrained(5)
    assert torch.equal(fresh.get_parameter("stem.weight"), again.get_parameter("stem.weight"))


@pytest.mark.parametrize(
    ("label_type", "kind", "message"),
    [
        ("squares", "global", "'planted' has a label for every square; use a square or window probe"),
        (
            "class",
            "square",
            "a square probe predicts squares, 'planted' has one label for each maze; use a global probe",
        ),
        ("number", "window", "a window probe predicts squares"),
        ("cell", "sqare", r"unknown probe kind 'sqare' \(did you mean 'square'"),
    ],
)
def test_a_kind_of_probe_that_cannot_predict_the_concept_is_refused(
    family: Family, label_type: LabelType, kind: ProbeKind, message: str
) -> None:
    with pytest.raises(GoalmazeError, match=message):
        planted_result(family, label_type, "trained", kind)


def test_window_probes_need_a_map(family: Family) -> None:
    data = [planted_data(family, "cell", "trained", seed) for seed in (1, 2)]
    fit, evaluation = (dataclasses.replace(one, trained={"site": one.trained["site"].flatten(1)}) for one in data)
    with pytest.raises(GoalmazeError, match="a window probe needs a map, and this site has no squares"):
        probe_concept(fit, evaluation, "site", "planted", "window")


@pytest.mark.parametrize(
    ("label_type", "preferred", "is_map", "kinds"),
    [
        ("squares", "global", True, ("square",)),
        ("squares", "agent", True, ("square",)),
        ("squares", "window", True, ("window",)),
        ("squares", "square", False, ()),
        ("cell", "window", True, ("window",)),
        ("cell", "agent", True, ("agent",)),
        ("cell", "square", False, ("global",)),
        ("class", "square", True, ("agent", "agent-window", "global")),
        ("number", "window", True, ("agent", "agent-window", "global")),
        ("class", "agent", True, ("agent",)),
        ("class", "agent", False, ("global",)),
    ],
)
def test_the_kinds_of_probes_suit_concept_and_site(
    label_type: LabelType, preferred: ProbeKind, is_map: bool, kinds: tuple[ProbeKind, ...]
) -> None:
    assert suitable_probe_kinds(label_type, preferred, is_map=is_map) == kinds

"""One reading: a concept at a site, with all that its score must beat."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.baselines import (
    Tally,
    control_labels,
    permutation_test,
    shuffled,
    tally_explained,
    tally_f1,
    tally_right,
)
from goalmaze.probes.concepts import Labels, label_concepts
from goalmaze.probes.fitting import GlobalFitter, SquareFitter
from goalmaze.probes.linear import fit_classes, fit_number
from goalmaze.probes.windows import WindowCellFitter, fit_square_classes

Look = Literal["square", "window", "global"]
"""How a probe looks at a map: a square by itself, a 3×3 window, or all of it at once."""

SIDES = {"square": 1, "window": 3}
PERMUTATIONS = 199
OBSERVATION = "observation"
ACCURACY, MACRO_F1, EXPLAINED = "accuracy", "macro-F1", "explained variance"


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """Levels and all that a probe may be fitted to or judged by.

    Attributes:
        levels: B of them.
        observations: float32 [B, ...], what the agent sees before its first step.
        trained: what its sites hold then.
        untrained: what those of the same network hold before training.
        labels: by concept.
    """

    levels: LevelBatch
    observations: Tensor
    trained: Activations
    untrained: Activations
    labels: dict[str, Labels]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How well a concept is read at a site, and what that must beat.

    Attributes:
        site: where.
        concept: what.
        look: of the probe.
        measure: `ACCURACY` of cells and classes, `MACRO_F1` of squares, `EXPLAINED` variance of numbers.
        score: on held-out mazes.
        low: lower end of its 95 % interval over mazes.
        high: upper end.
        observation: score of the same probe on the observation alone.
        untrained: on the same network before training.
        shuffled: with the labels of both halves dealt out to other mazes.
        majority: of the commonest answer, always.
        control: of the same probe on a control task, which it can only memorise.
        p: of the score, by a permutation test over mazes.
    """

    site: str
    concept: str
    look: Look
    measure: str
    score: float
    low: float
    high: float
    observation: float
    untrained: float
    shuffled: float
    majority: float
    control: float
    p: float

    @property
    def selectivity(self) -> float:
        """How much better the concept is read than what can only be memorised."""
        return self.score - self.control

    @property
    def is_evidence(self) -> bool:
        """Whether all of the score's interval lies above every baseline, and dealing the readings out spoils it."""
        return self.low > max(self.observation, self.untrained, self.shuffled, self.majority) and self.p <= 0.05


def untrained_network(network: Network, seed: int) -> Network:
    """Return a network of the same kind and shape with fresh weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_network(network.name, network.shape, dataclasses.asdict(network.options)).eval()


def gather_material(
    policy: NetworkPolicy, family: Family, levels: LevelBatch, sites: Sequence[str], concepts: Sequence[str], seed: int
) -> Material:
    """Return what there is to read of an agent on levels.

    Args:
        policy: the agent.
        family: of the levels.
        levels: B of them.
        sites: to read.
        concepts: to label.
        seed: of the untrained network, the rollout and anything drawn.

    Raises:
        GoalmazeError: a site or a concept is unknown.
    """
    seen = observations_of(policy, family, levels).copy()
    return Material(
        levels,
        torch.from_numpy(seen).float(),
        read_activations(policy.network, seen, sites),
        read_activations(untrained_network(policy.network, seed), seen, sites),
        label_concepts(concepts, policy, levels, family, seed),
    )


def read_concept(fit: Material, test: Material, site: str, concept: str, look: Look, seed: int = 0) -> Reading:
    """Fit a probe and all its controls on some mazes, judge them on others.

    Args:
        fit: mazes to fit on.
        test: others.
        site: where; it and the concept are among those of both.
        concept: what.
        look: of the probe; "global" where there are no squares.
        seed: of shuffling, the control task and the permutations.

    Raises:
        GoalmazeError: the probe cannot look at this site in this way, or too few mazes have an answer.
    """
    labels, truth = fit.labels[concept], test.labels[concept].values
    maps, held_out = fit.trained[site], test.trained[site]
    read = fit_reader(labels, maps, look, seed)(held_out)
    tally = tallied(labels, read, truth)
    low, high = tally.interval(seed)
    seen_look: Look = look if _has_squares(fit.observations, fit.levels) else "global"

    def score(fit_on: Tensor, test_on: Tensor, fit_values: Tensor, test_values: Tensor, how: Look = look) -> float:
        told = dataclasses.replace(labels, values=fit_values)
        return tallied(told, fit_reader(told, fit_on, how, seed)(test_on), test_values).score

    own, memorised = labels.values, control_labels(_types(fit, labels), labels.values, seed)
    tested = control_labels(_types(test, labels), labels.values, seed)
    return Reading(
        site,
        concept,
        look,
        {"squares": MACRO_F1, "number": EXPLAINED}.get(labels.kind, ACCURACY),
        tally.score,
        low,
        high,
        observation=score(fit.observations, test.observations, own, truth, seen_look),
        untrained=score(fit.untrained[site], test.untrained[site], own, truth),
        shuffled=score(maps, held_out, shuffled(own, seed), shuffled(truth, seed + 1)),
        majority=tallied(labels, _commonest(labels, truth), truth).score,
        control=score(maps, held_out, memorised, tested),
        p=permutation_test(read, lambda dealt: tallied(labels, dealt, truth).score, PERMUTATIONS, seed),
    )


def fit_reader(labels: Labels, activations: Tensor, look: Look, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """Return the probe of a concept: from activations [N, ...] to answers like the labels.

    Raises:
        GoalmazeError: the probe cannot look at such activations in this way.
    """
    if look not in (*SIDES, "global"):
        raise unknown("look of a probe", look, (*SIDES, "global"))
    is_map = activations.dim() == 4
    if look != "global" and not is_map:
        raise GoalmazeError(f"a {look} probe needs a map, this site has no squares; read it with a global one")
    if labels.kind == "squares":
        if look == "global":
            raise GoalmazeError(
                f"'{labels.name}' has an answer for every square; read it with a square or window probe"
            )
        return fit_square_classes(activations, labels.values, len(labels.classes), SIDES[look], seed)
    if labels.kind == "class":
        return fit_classes(_seen(activations, look), labels.values, len(labels.classes))
    if labels.kind == "number":
        return fit_number(_seen(activations, look), labels.values)
    if look == "global":
        return GlobalFitter(activations, int(labels.values.max()) + 1).fit(labels.values)
    fitter = SquareFitter(activations) if look == "square" else WindowCellFitter(activations)
    return fitter.fit(labels.values)


def tallied(labels: Labels, read: Tensor, truth: Tensor) -> Tally:
    """Return how well each held-out maze was read, in the measure that suits the concept."""
    if labels.kind == "squares":
        return tally_f1(read, truth, len(labels.classes))
    if labels.kind == "number":
        return tally_explained(read, truth, float(labels.values.nanmean()))
    return tally_right(read, truth)


def _seen(activations: Tensor, look: Look) -> Tensor:
    """Refuse to read an answer about a whole maze from single squares, which have none.

    Raises:
        GoalmazeError: as said.
    """
    if look != "global":
        raise GoalmazeError(f"a {look} probe answers for squares; read an answer about the maze with a global one")
    return activations


def _types(material: Material, labels: Labels) -> Tensor:
    """Return what a label of the control task hangs on: the position of a square, or the agent's cell."""
    if labels.kind == "squares":
        mazes, squares = material.labels[labels.name].values.shape
        return torch.arange(squares).expand(mazes, squares)
    return torch.from_numpy(material.levels.start.astype(np.int64))


def _commonest(labels: Labels, like: Tensor) -> Tensor:
    """Return the answer one gives without reading, for every maze."""
    if labels.kind == "number":
        return torch.full_like(like, float(labels.values.nanmean()))
    known = labels.values[labels.values >= 0]
    return torch.full_like(like, int(known.mode().values))


def _has_squares(observations: Tensor, levels: LevelBatch) -> bool:
    return observations.dim() == 4 and tuple(observations.shape[2:]) == (levels.height, levels.width)

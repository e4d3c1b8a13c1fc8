"""Readings: concepts at sites, with all that their scores must beat."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.labels import Labels, LabelType, label_concepts
from goalmaze.probes.readout.baselines import (
    Score,
    Tally,
    control_labels,
    macro_f1,
    permutation_test,
    share_right,
    shuffled,
    tally_explained,
    tally_f1,
    tally_right,
)
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.readout.windows import SquareClassFitter, WindowCellFitter

Look = Literal["square", "window", "global"]
"""How a probe looks at a map: a square by itself, a 3×3 window, or all of it at once."""

SIDES = {"square": 1, "window": 3}
PERMUTATIONS = 199
SIGNIFICANT = 0.05
OBSERVATION = "observation"
ACCURACY, MACRO_F1, EXPLAINED = "accuracy", "macro-F1", "explained variance"


@dataclasses.dataclass(frozen=True, eq=False)
class ProbeData:
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
        observation: score of the same probe on the observation alone.
        untrained: on the same network before training.
        shuffled: with the labels of both halves dealt out to other mazes.
        majority: of the commonest answer, always.
        control: of the same probe on a control task, which it can only memorise.
        p: of the score, by a permutation test over mazes.
        probe: which was fitted: from activations [N, ...] to answers.
    """

    site: str
    concept: str
    look: Look
    measure: str
    score: Score
    observation: Score
    untrained: Score
    shuffled: Score
    majority: Score
    control: Score
    p: float
    probe: Callable[[Tensor], Tensor] = dataclasses.field(repr=False, compare=False)

    @property
    def selectivity(self) -> float:
        """How much better the concept is read than what can only be memorised."""
        return self.score.value - self.control.value

    @property
    def is_evidence(self) -> bool:
        """Whether the score's interval lies above that of every baseline, and dealing the readings out spoils it."""
        baselines = (self.observation, self.untrained, self.shuffled, self.majority)
        return self.score.low > max(one.high for one in baselines) and self.p <= SIGNIFICANT


def gather_material(
    policy: NetworkPolicy, levels: LevelBatch, sites: Sequence[str], concepts: Sequence[str], seed: int
) -> ProbeData:
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
    seen = observations_of(policy, levels).copy()
    return ProbeData(
        levels,
        torch.from_numpy(seen).float(),
        read_activations(policy.network, seen, sites),
        read_activations(policy.network.untrained(seed), seen, sites),
        label_concepts(concepts, policy, levels, seed),
    )


class Atlas:
    """Reads concept after concept at site after site: fitted on some mazes, with all its controls, judged on others.

    Threads may read side by side.

    Args:
        fit: mazes to fit on.
        test: others.
        seed: of shuffling, the control task and the permutations.
    """

    def __init__(self, fit: ProbeData, test: ProbeData, seed: int = 0) -> None:
        self._fit, self._test, self._seed = fit, test, seed
        self._seen = Fitters(fit.observations, fit.levels, seed)
        self._of_observation: dict[tuple[str, Look], Score] = {}
        self._observing = threading.Lock()

    def read(self, site: str, concepts: Sequence[str], look: Look) -> list[Reading]:
        """Return the readings of some concepts at one site.

        Args:
            site: where; it and the concepts are among those of both materials.
            concepts: what.
            look: of the probe.

        Raises:
            GoalmazeError: the probe cannot look at this site in this way, or too few mazes have an answer.
        """
        fit = self._fit
        trained, untrained = (Fitters(held[site], fit.levels, self._seed) for held in (fit.trained, fit.untrained))
        return [self._read(site, concept, look, trained, untrained) for concept in concepts]

    def _read(self, site: str, concept: str, look: Look, trained: Fitters, untrained: Fitters) -> Reading:
        labels, truth = self._fit.labels[concept], self._test.labels[concept].values
        held_out, seed = self._test.trained[site], self._seed
        probe = trained.fit(labels, look)
        read = probe(held_out)

        def score(fitters: Fitters, test_on: Tensor, fit_values: Tensor, test_values: Tensor) -> Score:
            told = dataclasses.replace(labels, values=fit_values)
            return tallied(told, fitters.fit(told, look)(test_on), test_values).scored(seed)

        own, memorised = labels.values, control_labels(_types(self._fit, labels), labels.values, seed)
        tested = control_labels(_types(self._test, labels), labels.values, seed)
        return Reading(
            site,
            concept,
            look,
            {"squares": MACRO_F1, "number": EXPLAINED}.get(labels.kind, ACCURACY),
            tallied(labels, read, truth).scored(seed),
            observation=self._observed(concept, look),
            untrained=score(untrained, self._test.untrained[site], own, truth),
            shuffled=score(trained, held_out, shuffled(own, seed), shuffled(truth, seed + 1)),
            majority=tallied(labels, _commonest(labels, truth), truth).scored(seed),
            control=score(trained, held_out, memorised, tested),
            p=permutation_test(read, measure_of(labels, truth), PERMUTATIONS, seed),
            probe=probe,
        )

    def _observed(self, concept: str, look: Look) -> Score:
        """Return the score of a probe on the observation, which is the same at every site."""
        look = look if _has_squares(self._fit.observations, self._fit.levels) else "global"
        with self._observing:
            if (concept, look) not in self._of_observation:
                labels, truth = self._fit.labels[concept], self._test.labels[concept].values
                read = self._seen.fit(labels, look)(self._test.observations)
                self._of_observation[concept, look] = tallied(labels, read, truth).scored(self._seed)
            return self._of_observation[concept, look]


def read_concept(fit: ProbeData, test: ProbeData, site: str, concept: str, look: Look, seed: int = 0) -> Reading:
    """Return one reading: of a concept at a site, fitted on some mazes and judged on others; see `Atlas`."""
    return Atlas(fit, test, seed).read(site, [concept], look)[0]


def suited_look(kind: LabelType, wanted: Look, *, is_map: bool) -> Look | None:
    """Return the look that comes nearest to the one wanted with which a concept can be read; None if none can.

    Args:
        kind: of the concept.
        wanted: the look.
        is_map: whether the site holds squares.
    """
    if kind == "squares":
        return None if not is_map else "square" if wanted == "global" else wanted
    return wanted if kind == "cell" and is_map else "global"


class Fitters:
    """Fits probes to the same activations for one concept after another; what they share is worked out once.

    Args:
        activations: [N, ...], one row a maze.
        levels: the mazes.
        seed: of the mazes drawn where there are too many.
    """

    def __init__(self, activations: Tensor, levels: LevelBatch, seed: int) -> None:
        self._activations, self._cells, self._seed = activations, levels.height * levels.width, seed
        self._globally = functools.cache(lambda: GlobalFitter(activations))
        self._of_classes = functools.cache(lambda side: SquareClassFitter(activations, side, seed))
        self._of_cells = functools.cache(
            lambda side: SquareFitter(activations) if side == 1 else WindowCellFitter(activations, side)
        )

    def fit(self, labels: Labels, look: Look) -> Callable[[Tensor], Tensor]:
        """Return the probe of a concept: from activations [N, ...] to answers like the labels.

        Raises:
            GoalmazeError: the probe cannot look at such activations in this way.
        """
        if look not in (*SIDES, "global"):
            raise unknown("look of a probe", look, (*SIDES, "global"))
        return self._fit_global(labels) if look == "global" else self._fit_squares(labels, look)

    def _fit_global(self, labels: Labels) -> Callable[[Tensor], Tensor]:
        if labels.kind == "squares":
            raise GoalmazeError(
                f"'{labels.name}' has an answer for every square; read it with a square or window probe"
            )
        if labels.kind == "cell":
            return self._globally().cells(labels.values, self._cells)
        if labels.kind == "number":
            return self._globally().number(labels.values)
        return self._globally().classes(labels.values, len(labels.classes))

    def _fit_squares(self, labels: Labels, look: Look) -> Callable[[Tensor], Tensor]:
        if self._activations.dim() != 4:
            raise GoalmazeError(f"a {look} probe needs a map, this site has no squares; read it with a global one")
        if labels.kind == "squares":
            return self._of_classes(SIDES[look]).fit(labels.values, len(labels.classes))
        if labels.kind == "cell":
            return self._of_cells(SIDES[look]).fit(labels.values)
        raise GoalmazeError(f"a {look} probe answers for squares; read an answer about the maze with a global one")


def tallied(labels: Labels, read: Tensor, truth: Tensor) -> Tally:
    """Return how well each held-out maze was read, in the measure that suits the concept."""
    if labels.kind == "squares":
        return tally_f1(read, truth, len(labels.classes))
    if labels.kind == "number":
        return tally_explained(read, truth, float(labels.values.nanmean()))
    return tally_right(read, truth)


def measure_of(labels: Labels, truth: Tensor) -> Callable[[Tensor], float]:
    """Return what gives the score of readings of all held-out mazes, as `tallied` has it for each."""
    if labels.kind == "squares":
        return macro_f1(truth, len(labels.classes))
    if labels.kind == "number":
        return lambda read: tallied(labels, read, truth).score
    return share_right(truth)


def _types(material: ProbeData, labels: Labels) -> Tensor:
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

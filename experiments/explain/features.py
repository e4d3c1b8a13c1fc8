"""Sparse features beside channels, probes and random directions: which name a concept, and which steer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, Family, LevelBatch
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.explain.feature_report import FeatureReport, FeatureRow
from goalmaze.experiments.explain.units import mixed_levels, most_states, without_walls_of
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.activations import read_activations
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.coordinates import fit_goal_coordinates
from goalmaze.probes.readout.windows import windows
from goalmaze.probes.steering.sae import EXPANSION, UPDATES, Autoencoder, SAEFeatures, train_autoencoder
from goalmaze.probes.units.channels import scope_of
from goalmaze.probes.units.dictionaries import (
    Labels,
    dead_rate,
    f1_scores,
    fit_detectors,
    identity_dictionary,
    random_dictionary,
    stability,
)
from goalmaze.probes.units.library import Library, compute_library
from goalmaze.probes.units.states import MazeStates

ACTIVE = 8
"""Features that a TopK autoencoder keeps."""

MAX_SAMPLES = 8_000
MIN_LABELLED = 20
"""Fewest samples with a concept, on fitting and on evaluation mazes."""

STRENGTHS = (1.0, 4.0)
"""Strengths of an edit; the better one on fitting mazes is evaluated."""

TARGETS = 128
"""Mazes of the retargeting task."""


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Windows of one network at one site, with the concepts at their middles.

    Attributes:
        fit: [n, W], on fitting mazes.
        test: [m, W], on evaluation mazes.
        fit_labels: bool [n, J].
        test_labels: bool [m, J].
    """

    fit: Tensor
    test: Tensor
    fit_labels: Labels
    test_labels: Labels


def explain_features(
    agent: Agent,
    sites: Sequence[str] = (),
    *,
    levels: int = 256,
    fit_levels: int = 512,
    seed: int = 0,
    effort: float = 1.0,
) -> FeatureReport:
    """Train sparse autoencoders and compare their features with channels, probes and random directions.

    Args:
        agent: the agent.
        sites: sites to read; the map at half depth and the last site where not given.
        levels: number of evaluation mazes, none with the walls of a fitting maze.
        fit_levels: number of fitting mazes.
        seed: of everything drawn.
        effort: fraction of the usual updates of training.

    Raises:
        GoalmazeError: there is no such site, or no concept occurs often enough.
    """
    maps = map_sites(agent.network)
    names = [find_site(agent.network, site)[0].name for site in sites]
    names = names or [*maps[len(maps) // 2 : len(maps) // 2 + 1], agent.sites[-1]]
    fit_levels, levels = (min(count, most_states(agent.family)) for count in (fit_levels, levels))
    fitting = mixed_levels(agent.family, seed, fit_levels, FITTING)
    evaluation = without_walls_of(mixed_levels(agent.family, seed, 2 * levels, EVALUATION), fitting, levels)
    libraries = [compute_library(MazeStates(states)) for states in (fitting, evaluation)]
    cases = [
        (site, side) for site in names for side in ((1, 3) if scope_of(agent.network, site) == "squares" else (1,))
    ]
    rows: list[FeatureRow] = []
    steering = _Steering(agent, seed)
    for site, side in progress(cases, "training autoencoders", "site"):
        fresh = agent.network.untrained(seed)
        trained, untrained = (
            _samples(agent, network, (fitting, evaluation), libraries, site, side, seed)
            for network in (agent.network, fresh)
        )
        goal_column = concepts(agent.family).index(f"{agent.family.goal} here")
        for name, coder, samples, twin in _dictionaries(trained, untrained, seed, effort):
            rows.append(_row(name, site, side, coder, samples, twin, steering, goal_column))
        rows.append(_probe_row(site, side, trained))
    header = ResultHeader(agent.name, agent.family.name, agent.family.size, len(evaluation), seed)
    unedited, moved = steering.references()
    return FeatureReport(header, len(fitting), tuple(concepts(agent.family)), unedited, moved, tuple(rows))


def concepts(family: Family) -> list[str]:
    """Return the features of the library that count as concepts."""
    objects = list(dict.fromkeys((family.goal, family.cue)))
    return [
        *(f"{kind} here" for kind in objects),
        "wall here",
        "dead end",
        "junction",
        *(f"first step to the {kind} is {action}" for kind in objects for action in ACTIONS),
        *(f"on a shortest path of the agent to the {kind}" for kind in objects),
    ]


def _samples(
    agent: Agent,
    network: Network,
    states: Sequence[LevelBatch],
    libraries: Sequence[Library],
    site: str,
    side: int,
    seed: int,
) -> Samples:
    """Return windows and concepts: of squares drawn from maps, or at the agent's cell for a vector."""
    parts: list[tuple[Tensor, Labels]] = []
    for levels, library in zip(states, libraries, strict=True):
        activation = read_activations(network, observations_of(agent.policy, levels), [site])[site]
        squares = scope_of(network, site) == "squares"
        columns = library.columns() if squares else library.columns_at(levels.start)
        nothing = np.zeros_like(next(iter(columns.values())))
        labels = np.stack([columns.get(name, nothing).ravel() > 0 for name in concepts(agent.family)], axis=1)
        if squares:
            every = windows(activation, side).flatten(2).transpose(1, 2).reshape(len(labels), -1)
        else:
            every = activation.flatten(2).mean(dim=2) if activation.dim() > 2 else activation
        kept = np.random.default_rng(seed).permutation(len(labels))[:MAX_SAMPLES]
        parts.append((every[torch.from_numpy(kept)], labels[kept]))
    (fit, fit_labels), (test, test_labels) = parts
    return Samples(fit, test, fit_labels, test_labels)


def _dictionaries(
    trained: Samples, untrained: Samples, seed: int, effort: float
) -> Iterator[tuple[str, Autoencoder, Samples, Autoencoder | None]]:
    """Yield every dictionary with the samples it is of, and one of another seed where it was trained."""
    width = trained.fit.shape[1]
    # As many features for windows as for single squares, so that a larger choice is no advantage.
    count = EXPANSION * (width if width <= 64 else width // 9)
    updates = max(1, round(UPDATES * effort))
    for name, active in (("relu", None), ("topk", ACTIVE)):
        for suffix, samples in (("", trained), (" untrained", untrained)):
            coders = [
                train_autoencoder(samples.fit, count, updates=updates, seed=seed + i, active=active) for i in range(2)
            ]
            yield f"sae {name}{suffix}", coders[0], samples, coders[1]
    yield "random", random_dictionary(trained.fit, count, seed), trained, None
    yield "channels", identity_dictionary(width), trained, None


def _known(samples: Samples) -> NDArray[np.bool_]:
    """Return bool [J], the concepts that occur often enough, and are not there nearly always."""
    counts = [np.minimum(one.sum(axis=0), (~one).sum(axis=0)) for one in (samples.fit_labels, samples.test_labels)]
    known = np.minimum(*counts) >= MIN_LABELLED
    if not known.any():
        raise GoalmazeError("no concept occurs on enough mazes: choose more --levels and --fit-levels")
    return np.asarray(known)


class _Steering:
    """A retargeting task on which single features are tried."""

    def __init__(self, agent: Agent, seed: int) -> None:
        self._agent = agent
        self._context: FitContext = make_fit_context(agent.policy, agent.family, 256, seed)
        self._task: RetargetingTask = draw_retargeting_task(agent.family, TARGETS, seed)
        self._selection: RetargetingTask = draw_retargeting_task(agent.family, TARGETS // 2, seed, FITTING)

    def references(self) -> tuple[Rate, Rate]:
        """Return how often the target is reached first without an edit, and with goal and cue really there."""
        policy = self._agent.policy
        unedited = self._task.evaluate(policy).overall.other
        return unedited, self._task.evaluate(policy, levels=self._task.levels_with_goal_moved()).overall.other

    def success(self, coder: Autoencoder, feature: int, site: str, side: int) -> tuple[Rate, float]:
        """Return how often the target is reached first with one feature set, and the strength."""
        fitted = fit_goal_coordinates(self._context, site, SAEFeatures(coder, (feature,)), side)
        policy = self._agent.policy

        def rate(task: RetargetingTask, strength: float) -> Rate:
            return task.evaluate(policy, task.edits(fitted, strength)).overall.other

        strength = max(STRENGTHS, key=lambda one: rate(self._selection, one).value)
        return rate(self._task, strength), strength


def _row(
    name: str,
    site: str,
    side: int,
    coder: Autoencoder,
    samples: Samples,
    twin: Autoencoder | None,
    steering: _Steering,
    goal_column: int,
) -> FeatureRow:
    """Return the row of one dictionary."""
    known = _known(samples)
    detectors = fit_detectors(coder.encode(samples.fit), samples.fit_labels)
    test = coder.encode(samples.test)
    f1 = np.where(known, detectors.f1(test, samples.test_labels), np.nan)
    low, high = _over_samples(test[:, torch.from_numpy(detectors.features)], detectors.thresholds, samples, known)
    steered = strength = None
    # Features of another network, and of vectors without squares, set nothing in this one.
    if (
        "untrained" not in name
        and len(samples.fit[0]) % side**2 == 0
        and known[goal_column]
        and _is_map(steering, site)
    ):
        steered, strength = steering.success(coder, int(detectors.features[goal_column]), site, side)
    return FeatureRow(
        dictionary=name,
        site=site,
        side=side,
        features=len(coder.decoder),
        f1=float(np.nanmean(f1)),
        low=low,
        high=high,
        concepts=tuple(float(one) for one in f1),
        explained=coder.explained(samples.test) if name.startswith("sae") else float("nan"),
        active=float((test > 0).float().sum(dim=1).mean()),
        dead=dead_rate(coder, samples.test),
        stability=stability(coder, twin) if twin is not None else float("nan"),
        steered=steered,
        strength=strength,
    )


def _is_map(steering: _Steering, site: str) -> bool:
    return site in map_sites(steering._agent.network)


def _over_samples(
    values: Tensor, thresholds: NDArray[np.float64], samples: Samples, known: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the ends of the interval of the mean F1 over evaluation samples (bootstrap)."""
    said = values.double().numpy() > thresholds
    rng, drawn = np.random.default_rng(0), []
    for _ in range(100):
        rows = rng.integers(len(said), size=len(said))
        drawn.append(f1_scores(said[rows][:, known], samples.test_labels[rows][:, known]).mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _probe_row(site: str, side: int, samples: Samples) -> FeatureRow:
    """Return the row of logistic regressions on the same windows, which were told the concepts."""
    known = _known(samples)
    spread = samples.fit.std(dim=0).clamp(min=1e-6)
    fit, test = ((one / spread).numpy() for one in (samples.fit, samples.test))
    scores = np.zeros((len(test), len(known)))
    chosen = np.zeros(len(known))
    for j in np.flatnonzero(known):
        probe = LogisticRegression(max_iter=200).fit(fit, samples.fit_labels[:, j])
        own = torch.from_numpy(probe.predict_proba(fit)[:, 1:]).float()
        chosen[j] = fit_detectors(own, samples.fit_labels[:, [j]]).thresholds[0]
        scores[:, j] = probe.predict_proba(test)[:, 1]
    f1 = np.where(known, f1_scores(scores > chosen, samples.test_labels), np.nan)
    low, high = _over_samples(torch.from_numpy(scores), chosen, samples, known)
    return FeatureRow(
        dictionary="probes",
        site=site,
        side=side,
        features=int(known.sum()),
        f1=float(np.nanmean(f1)),
        low=low,
        high=high,
        concepts=tuple(float(one) for one in f1),
        explained=float("nan"),
        active=float("nan"),
        dead=float("nan"),
        stability=float("nan"),
        steered=None,
        strength=None,
    )

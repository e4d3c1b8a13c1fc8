"""Sparse features beside channels, probes and random directions: which name a concept, and which steer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import find_site, is_memory_site, map_sites
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, Family, LevelBatch, concatenate
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.explain.feature_report import FeatureReport, FeatureRow, Reference
from goalmaze.experiments.explain.feature_steering import Steering, TargetSteering, TurnSteering
from goalmaze.experiments.explain.units import mixed_levels, most_states, without_walls_of
from goalmaze.probes.activations import read_activations
from goalmaze.probes.readout.windows import windows
from goalmaze.probes.steering.sae import EXPANSION, UPDATES, Autoencoder, train_autoencoder
from goalmaze.probes.targets import draw_targets
from goalmaze.probes.units.channels import scope_of
from goalmaze.probes.units.dictionaries import (
    Detectors,
    Labels,
    count_by_maze,
    dead_rate,
    entry_dictionary,
    fit_detectors,
    mean_active,
    probe_dictionary,
    random_dictionary,
    sampled_dictionary,
    stability,
)
from goalmaze.probes.units.library import compute_library
from goalmaze.probes.units.states import MazeStates

POSITIONS = 4
"""Cells of the agent in each maze."""

FIT_SAMPLES, TEST_SAMPLES = 10_000, 40_000
"""Most windows that are fitted and scored."""

MAX_FEATURES = 256
"""Most features of an autoencoder; windows would have more."""

MIN_LABELLED = 20
"""Fewest samples with a concept, and without it, on fitting and on evaluation mazes."""

TARGETS = 256
"""Mazes of the retargeting task."""

RESAMPLES = 400

PROBES, CHANNELS, CONSTANT, UNTRAINED = "probes", "channels", "constant", " untrained"
"""Names of rows, and the end of the names of rows of an untrained network."""

NAN = float("nan")


@dataclasses.dataclass(frozen=True, eq=False)
class States:
    """Mazes, each with the agent at a few cells.

    Attributes:
        levels: S states; the first `mazes` of them are the mazes as drawn, then follow the same with other cells.
        mazes: their number.
        squares: bool [S, N, J], the concepts at every square.
        most: number of windows that are drawn from maps.
    """

    levels: LevelBatch
    mazes: int
    squares: Labels
    most: int

    def maze_of(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the maze of each of some states."""
        return np.asarray(states % self.mazes)


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Windows of one network at one site, with the concepts at their middles.

    Attributes:
        values: [n, W], the windows.
        labels: bool [n, J], the concepts.
        mazes: int64 [n], ascending.
        count: number of mazes.
    """

    values: Tensor
    labels: Labels
    mazes: NDArray[np.int64]
    count: int


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One site with one size of window.

    Attributes:
        site: the site.
        side: rows and columns of windows; 1 for vectors.
        concepts: J names.
        fit: of the trained network on fitting mazes.
        test: on evaluation mazes.
        fresh_fit: of an untrained network, the same squares.
        fresh_test: the same.
        steering: what features of the trained network are tried on; None where an edit cannot change the same step.
    """

    site: str
    side: int
    concepts: tuple[str, ...]
    fit: Samples
    test: Samples
    fresh_fit: Samples
    fresh_test: Samples
    steering: Steering | None


@dataclasses.dataclass(frozen=True, eq=False)
class Dictionary:
    """One dictionary of a case.

    Attributes:
        name: as in the table.
        coder: the features.
        twin: the same with another seed; None where there is none.
        trained: whether it is of the trained network.
        sparse: whether it is an autoencoder that was trained.
    """

    name: str
    coder: Autoencoder
    twin: Autoencoder | None = None
    trained: bool = True
    sparse: bool = False


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
        agent: the agent, loaded or made in memory.
        sites: sites to read; the map at half depth and the last site where not given.
        levels: number of evaluation mazes, none of which has the walls of a fitting maze.
        fit_levels: number of fitting mazes.
        seed: of everything drawn.
        effort: fraction of the usual updates of training, for trial runs.

    Returns:
        A row for each dictionary at each site and size of window.

    Raises:
        GoalmazeError: there is no such site, too few mazes have walls of their own, or no concept occurs often enough.

    Example:
        >>> import goalmaze as gm
        >>> report = gm.explain_features(gm.load("zoo:green-exit"), ["hidden"], levels=64, fit_levels=64, effort=0.01)
        >>> [row.dictionary for row in report.rows][:2]
        ['sae relu', 'sae topk']
    """
    network = agent.network
    maps = map_sites(network)
    names = [find_site(network, site)[0].name for site in sites]
    names = names or list(dict.fromkeys([*maps[len(maps) // 2 : len(maps) // 2 + 1], agent.sites[-1]]))
    fit_levels, levels = (min(count, most_states(agent.family)) for count in (fit_levels, levels))
    fitting = mixed_levels(agent.family, seed, fit_levels, FITTING)
    evaluation = without_walls_of(mixed_levels(agent.family, seed, 2 * levels, EVALUATION), fitting, levels)
    concepts = concept_names(agent.family)
    states = [_states(fitting, concepts, FIT_SAMPLES, seed), _states(evaluation, concepts, TEST_SAMPLES, seed)]
    sides = [(site, side) for site in names for side in ((1, 3) if scope_of(network, site) == "squares" else (1,))]
    rows: list[FeatureRow] = []
    references: list[Reference] = []
    for site, side in progress(sides, "training autoencoders", "site"):
        case = _case(agent, states, site, side, seed)
        rows += _rows(case, _dictionaries(case, seed, effort), seed)
        if case.steering is not None:
            references.append(Reference(site, side, *case.steering.references()))
    header = ResultHeader(agent.name, agent.family.name, agent.family.size, len(evaluation), seed)
    objects = tuple(dict.fromkeys((agent.family.goal, agent.family.cue)))
    return FeatureReport(header, len(fitting), objects, tuple(rows), tuple(references))


def concept_names(family: Family) -> list[str]:
    """Return the features of the library that count as concepts."""
    kinds = list(dict.fromkeys((family.goal, family.cue)))
    return [
        *(f"{kind} here" for kind in kinds),
        "wall here",
        "dead end",
        "junction",
        *(f"first step to the {kind} is {action}" for kind in kinds for action in ACTIONS),
        *(f"on a shortest path of the agent to the {kind}" for kind in kinds),
    ]


def _states(mazes: LevelBatch, concepts: Sequence[str], most: int, seed: int) -> States:
    """Return mazes with the agent where they say and at random cells, and the concepts there."""
    moved = [dataclasses.replace(mazes, start=draw_targets(mazes, seed + i)) for i in range(1, POSITIONS)]
    levels = concatenate([mazes, *moved])
    library = compute_library(MazeStates(levels), list(concepts))
    return States(levels, len(mazes), np.moveaxis(library.values > 0, 0, 2), most)


def _case(agent: Agent, states: Sequence[States], site: str, side: int, seed: int) -> Case:
    """Return what dictionaries of one site are fitted, scored and tried on."""
    network = agent.network
    fit, test = (_samples(agent, network, one, site, side, seed) for one in states)
    fresh = network.untrained(seed)
    fresh_fit, fresh_test = (_samples(agent, fresh, one, site, side, seed) for one in states)
    steering = _steering(agent, states, fit, site, side, seed)
    return Case(site, side, tuple(concept_names(agent.family)), fit, test, fresh_fit, fresh_test, steering)


def _steering(agent: Agent, states: Sequence[States], fit: Samples, site: str, side: int, seed: int) -> Steering | None:
    """Return what features of a site are tried on; None where an edit cannot change the same step."""
    network, family = agent.network, agent.family
    concepts, kinds = concept_names(family), dict.fromkeys((family.goal, family.cue))
    if is_memory_site(network, site):
        return None
    if scope_of(network, site) == "squares":
        named = [concepts.index(f"{kind} here") for kind in kinds]
        return TargetSteering(agent, site, side, named, min(TARGETS, states[1].mazes), seed)
    if find_site(network, site)[0].is_map:
        return None
    steps = [[concepts.index(f"first step to the {kind} is {action}") for action in ACTIONS] for kind in kinds]
    mazes = [one.levels.take(np.arange(one.mazes)) for one in states]
    return TurnSteering(agent, site, steps, mazes[0], fit.values, fit.labels, mazes[1], seed)


def _samples(agent: Agent, network: Network, states: States, site: str, side: int, seed: int) -> Samples:
    """Return windows around squares drawn from maps, or vectors, with the concepts there or at the agent's cell."""
    activation = read_activations(network, observations_of(agent.policy, states.levels), [site])[site]
    batch, squares, _ = states.squares.shape
    if scope_of(network, site) != "squares":
        values = activation.flatten(2).mean(dim=2) if activation.dim() > 2 else activation
        order = np.argsort(states.maze_of(np.arange(batch)), kind="stable")
        labels = states.squares[np.arange(batch), states.levels.start][order]
        return Samples(values[torch.from_numpy(order)], labels, states.maze_of(order), states.mazes)
    kept = np.sort(np.random.default_rng(seed).permutation(batch * squares)[: states.most])
    parts: list[Tensor] = []
    # In parts: the windows of all squares at once would not fit in memory.
    for b in range(0, batch, 64):
        own = kept[(kept >= b * squares) & (kept < (b + 64) * squares)] - b * squares
        part = windows(activation[b : b + 64], side).flatten(2).transpose(1, 2).flatten(0, 1)
        parts.append(part[torch.from_numpy(own)])
    mazes = states.maze_of(kept // squares)
    order = np.argsort(mazes, kind="stable")
    labels = states.squares.reshape(batch * squares, -1)[kept[order]]
    return Samples(torch.cat(parts)[torch.from_numpy(order)], labels, mazes[order], states.mazes)


def _dictionaries(case: Case, seed: int, effort: float) -> list[Dictionary]:
    """Return every dictionary of a case: autoencoders, those of the untrained network, and controls."""
    count = min(MAX_FEATURES, EXPANSION * case.fit.values.shape[1])
    updates = max(1, round(UPDATES * effort))
    result = []
    for trained, samples in ((True, case.fit.values), (False, case.fresh_fit.values)):
        active: int | None = None
        for name in ("relu", "topk"):
            coder, twin = (
                train_autoencoder(samples, count, updates=updates, seed=seed + i, active=active) for i in range(2)
            )
            suffix = "" if trained else UNTRAINED
            result.append(Dictionary(f"sae {name}{suffix}", coder, twin, trained, sparse=True))
            # TopK keeps as many features as the other has active, so that the two are equally sparse.
            active = max(1, round(mean_active(coder, samples)))
    fit = case.fit.values
    known = _known(case)
    probes = probe_dictionary(fit, case.fit.labels[:, known], case.fit.mazes)
    return [
        *result,
        Dictionary(CHANNELS, entry_dictionary(fit)),
        Dictionary("samples", sampled_dictionary(fit, count, seed), sampled_dictionary(fit, count, seed + 1)),
        Dictionary("random", random_dictionary(fit, count, seed), random_dictionary(fit, count, seed + 1)),
        Dictionary(PROBES, _spread(probes, known)),
    ]


def _spread(probes: Autoencoder, known: NDArray[np.bool_]) -> Autoencoder:
    """Return probes with a feature for each concept; those that are not known have features that are always 0."""
    places = torch.from_numpy(np.flatnonzero(known))
    width = len(probes.centre)
    encoder, bias = torch.zeros(width, len(known)), torch.zeros(len(known))
    decoder = torch.zeros(len(known), width)
    encoder[:, places], bias[places], decoder[places] = probes.encoder, probes.bias, probes.decoder
    return Autoencoder(encoder, bias, decoder, probes.centre)


def _known(case: Case) -> NDArray[np.bool_]:
    """Return bool [J], the concepts that occur often enough, and are not there nearly always.

    Raises:
        GoalmazeError: there are none.
    """
    counts = [np.minimum(one.labels.sum(axis=0), (~one.labels).sum(axis=0)) for one in (case.fit, case.test)]
    known = np.minimum(*counts) >= MIN_LABELLED
    if not known.any():
        raise GoalmazeError("no concept occurs on enough mazes: choose more --levels and --fit-levels")
    return np.asarray(known)


def _rows(case: Case, dictionaries: Sequence[Dictionary], seed: int) -> list[FeatureRow]:
    """Return a row for each dictionary, and one for the prediction that every concept always holds."""
    known, test = _known(case), case.test
    always = np.ones_like(test.labels)
    rows, counts = [], {CONSTANT: count_by_maze(always, test.labels, test.mazes, test.count)}
    for one in dictionaries:
        fitting, other = (case.fit, test) if one.trained else (case.fresh_fit, case.fresh_test)
        detectors = fit_detectors(one.coder.encode(fitting.values), fitting.labels, own=one.name == PROBES)
        predictions = detectors.predictions(one.coder.encode(other.values))
        counts[one.name] = count_by_maze(predictions, other.labels, other.mazes, other.count)
        rows.append(_described(case, one, detectors, other.values))
    rows.append(FeatureRow(dictionary=CONSTANT, site=case.site, side=case.side))
    mazes = np.full(test.count, 1 / test.count)
    weights = np.random.default_rng(seed).multinomial(test.count, mazes, RESAMPLES).astype(np.float64)
    samples = {name: one.f1(weights)[:, known].mean(axis=1) for name, one in counts.items()}
    scores = {name: np.where(known, one.f1()[0], np.nan) for name, one in counts.items()}
    return [_scored(row, case.concepts, scores, samples) for row in rows]


def _described(case: Case, one: Dictionary, detectors: Detectors, test: Tensor) -> FeatureRow:
    """Return the row of a dictionary with what its features are like on evaluation windows [n, W], without F1."""
    steered = strength = None
    # Features of another network set nothing in this one.
    if one.trained and case.steering is not None:
        steered, strength = case.steering.success(one.coder, detectors)
    return FeatureRow(
        dictionary=one.name,
        site=case.site,
        side=case.side,
        features=len(one.coder.decoder),
        explained=one.coder.explained(test) if one.sparse else NAN,
        active=mean_active(one.coder, test),
        dead=dead_rate(one.coder, test),
        stability=stability(one.coder, one.twin, test) if one.twin is not None else NAN,
        steered=steered,
        strength=strength,
    )


def _scored(
    row: FeatureRow,
    concepts: Sequence[str],
    scores: Mapping[str, NDArray[np.float64]],
    samples: Mapping[str, NDArray[np.float64]],
) -> FeatureRow:
    """Return a row with its F1.

    Args:
        row: of one dictionary.
        concepts: J names.
        scores: dictionary → [J], the F1; NaN for concepts that do not count.
        samples: dictionary → [R], the mean F1 in each resample of the evaluation mazes.
    """
    name = row.dictionary

    def lead(other: str) -> tuple[float, float, float]:
        """Return the mean F1 minus that of another dictionary, with its interval."""
        if other == name or other not in scores:
            return NAN, NAN, NAN
        low, high = np.quantile(samples[name] - samples[other], [0.025, 0.975])
        return float(np.nanmean(scores[name] - scores[other])), float(low), float(high)

    low, high = np.quantile(samples[name], [0.025, 0.975])
    channels, untrained = lead(CHANNELS), lead(f"{name}{UNTRAINED}")
    return dataclasses.replace(
        row,
        f1=float(np.nanmean(scores[name])),
        low=float(low),
        high=float(high),
        concepts={concept: float(one) for concept, one in zip(concepts, scores[name], strict=True)},
        over_channels=channels[0],
        over_channels_low=channels[1],
        over_channels_high=channels[2],
        over_untrained=untrained[0],
        over_untrained_low=untrained[1],
        over_untrained_high=untrained[2],
    )

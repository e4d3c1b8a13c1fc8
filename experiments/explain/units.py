"""Every channel of a network explained by a formula, and the formulas tested on other mazes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, FITTING, Family, LevelBatch, concatenate
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.explain.unit_report import SiteRow, UnitReport, UnitRow
from goalmaze.experiments.explain.unit_tests import UnitTests, interventions
from goalmaze.probes.units.channels import Channels, columns_for, read_channels
from goalmaze.probes.units.formula import Formula
from goalmaze.probes.units.library import Library, compute_library
from goalmaze.probes.units.scores import Fidelity, errors_by_maze, fidelity
from goalmaze.probes.units.search import Samples, SearchOptions, search
from goalmaze.probes.units.states import MazeStates, Values

MAX_ROWS = 12_000
"""Squares that formulas are fitted on."""

MAX_VALUES = 40_000_000
"""Most numbers in a library of features: states × squares × features. Larger mazes get fewer states."""

FEATURES = 450
"""Roughly the number of features of a family with two objects."""

RESAMPLES = 200


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """States with their library, and the channels of the trained and the untrained network there.

    Attributes:
        states: B levels.
        library: their features.
        trained: site → channels.
        untrained: the same of a network with fresh weights.
    """

    states: LevelBatch
    library: Library
    trained: dict[str, Channels]
    untrained: dict[str, Channels]


def explain_units(
    agent: Agent,
    sites: Sequence[str] = (),
    *,
    levels: int = 256,
    fit_levels: int = 512,
    seed: int = 0,
    options: SearchOptions | None = None,
) -> UnitReport:
    """Explain every channel by a formula over what lies around a square, and test the formulas on other mazes.

    Args:
        agent: the agent, loaded or made in memory.
        sites: sites of the network, those of the memory too; all where not given.
        levels: number of evaluation mazes, none of which has the walls of a fitting maze.
        fit_levels: number of mazes that formulas are fitted on.
        seed: of the levels and of the untrained network.
        options: of the search.

    Returns:
        A row for each channel and a summary of each site, beside the same search on an untrained network.

    Raises:
        GoalmazeError: there is no such site, or too few mazes have walls of their own.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> report = gm.explain_units(agent, ["stem"], levels=32, fit_levels=64)
        >>> report.rows[0].site, len(report.rows)
        ('stem', 16)
    """
    network = agent.network
    names = [find_site(network, site)[0].name for site in sites] or [
        site.name for site in (*network.sites(), *network.memory_sites())
    ]
    fresh = network.untrained(seed)
    family = agent.family
    fit_levels, levels = (min(count, most_states(family)) for count in (fit_levels, levels))
    fitting = mixed_levels(family, seed, fit_levels, FITTING)
    evaluation = without_walls_of(mixed_levels(family, seed, 2 * levels, EVALUATION), fitting, levels)
    fit = _read(agent, fresh, fitting, names)
    test = _read(agent, fresh, evaluation, names, fit.library.names)
    formulas = _formulas(fit, names, seed, options or SearchOptions())
    tests = interventions(agent, {site: formulas[0][site] for site in names}, seed, len(evaluation) // 8)
    rows, summaries = [], []
    for site in progress(names, "scoring", "site"):
        unit_rows = _unit_rows(fit, test, site, formulas[0][site], formulas[1][site], tests)
        rows += unit_rows
        summaries.append(_site_row(test, site, formulas[0][site], formulas[1][site], unit_rows, tests, seed))
    header = ResultHeader(agent.name, family.name, family.size, len(evaluation), seed)
    return UnitReport(
        header, len(fitting), tests.states, tests.before, tuple(rows), tuple(summaries), tests.edges, formulas[0]
    )


def most_states(family: Family) -> int:
    """Return the most states of a family whose library fits in memory."""
    return max(16, MAX_VALUES // (FEATURES * family.size**2))


def mixed_levels(family: Family, seed: int, count: int, split: str) -> LevelBatch:
    """Return levels of which half have goal and cue apart, so that features of the two can be distinguished."""
    apart = family.levels(seed, count=count // 2, split=split, shift=family.distinguishing_shift)
    # Other indices: the same address under two shifts is the same maze.
    return concatenate([family.levels(seed, np.arange(count // 2, count), split=split), apart])


def without_walls_of(levels: LevelBatch, others: LevelBatch, count: int) -> LevelBatch:
    """Return at most `count` of some levels, evenly spread, whose walls no other level has.

    Raises:
        GoalmazeError: fewer than eight are left.
    """
    met = {walls.tobytes() for walls in others.walls}
    rows = np.flatnonzero([walls.tobytes() not in met for walls in levels.walls])
    if len(rows) < min(8, count):
        raise GoalmazeError(
            f"only {len(rows)} mazes have walls that were not fitted on: choose fewer --fit-levels or a larger --size"
        )
    return levels.take(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)])


def _read(
    agent: Agent, fresh: Network, states: LevelBatch, sites: Sequence[str], names: Sequence[str] | None = None
) -> Reading:
    return Reading(
        states,
        compute_library(MazeStates(states), names),
        read_channels(agent.policy, agent.network, states, sites),
        read_channels(agent.policy, fresh, states, sites),
    )


def _formulas(
    fit: Reading, sites: Sequence[str], seed: int, options: SearchOptions
) -> tuple[dict[str, list[Formula]], dict[str, list[Formula]]]:
    """Return the formulas of the trained and of the untrained network, site → one for each channel."""
    found: tuple[dict[str, list[Formula]], dict[str, list[Formula]]] = ({}, {})
    networks = (fit.trained, fit.untrained)
    batch, squares = fit.library.values.shape[1:]
    for scope in progress(("squares", "maze"), "searching", "kind of site"):
        chosen = [site for site in sites if fit.trained[site].scope == scope]
        if not chosen:
            continue
        if scope == "squares":
            kept = np.random.default_rng(seed).permutation(batch * squares)[:MAX_ROWS]
            rows, groups = fit.library.flat()[kept], kept // squares
        else:
            kept = np.arange(batch)
            rows, groups = np.stack(list(fit.library.columns_at(fit.states.start).values()), axis=1), kept
        arrays = [one[site].values.reshape(-1, one[site].count)[kept] for one in networks for site in chosen]
        rectified = np.repeat(
            [one[site].rectified for one in networks for site in chosen], [a.shape[1] for a in arrays]
        )
        samples = Samples(rows, np.concatenate(arrays, axis=1), groups, fit.library.names, fit.library.gates, rectified)
        each = iter(search(samples, options))
        for one, result in zip(networks, found, strict=True):
            for site in chosen:
                result[site] = [next(each) for _ in range(one[site].count)]
    return found


def _unit_rows(
    fit: Reading,
    test: Reading,
    site: str,
    formulas: Sequence[Formula],
    untrained: Sequence[Formula],
    tests: UnitTests,
) -> list[UnitRow]:
    """Return the rows of one site."""
    scope = fit.trained[site].scope
    fit_columns = columns_for(fit.library, fit.states, scope)
    columns = columns_for(test.library, test.states, scope)
    planes = [name for name in fit_columns if is_observation(name, scope)]
    rows = []
    for channel, formula in enumerate(formulas):
        fitted, actual = fit.trained[site].values[..., channel], test.trained[site].values[..., channel]
        other = formulas[(channel + 1 + len(formulas) // 2) % len(formulas)]
        # Of several planes, the one that fits best on the fitting mazes.
        plane = max(planes, key=lambda name: abs(_correlation(fit_columns[name], fitted)))
        scores = fidelity(actual, formula(columns))
        fresh = fidelity(test.untrained[site].values[..., channel], untrained[channel](columns))
        rows.append(
            UnitRow(
                site=site,
                channel=channel,
                explanation=formula.words(),
                length=formula.length,
                **dataclasses.asdict(scores),
                r2_untrained=fresh.r2,
                r2_shuffled=_refitted(other(fit_columns), fitted, other(columns), actual).r2,
                r2_plane=_refitted(fit_columns[plane], fitted, columns[plane], actual).r2,
                plane=plane,
                **tests.of(site, channel),
            )
        )
    return rows


def is_observation(name: str, scope: str) -> bool:
    """Return whether a feature is one entry of an observation: of this square, or at an offset from the agent."""
    words = name.split()
    entry = words[-1] in ("here", "lit") or (len(words) in (3, 5) and words[1].isdigit())
    return entry if scope == "maze" else words[-1] in ("here", "lit")


def _correlation(first: Values, second: Values) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norm if norm > 1e-9 else 0.0


def _refitted(fit_values: Values, fitted: Values, values: Values, actual: Values) -> Fidelity:
    """Return the scores of other values, scaled and shifted so that they fit a channel best on the fitting mazes."""
    spread = float(fit_values.var())
    slope = (
        float(((fit_values - fit_values.mean()) * (fitted - fitted.mean())).mean()) / spread if spread > 1e-12 else 0.0
    )
    return fidelity(actual, (float(fitted.mean()) + slope * (values - fit_values.mean())).astype(np.float32))


def _site_row(
    test: Reading,
    site: str,
    formulas: Sequence[Formula],
    untrained: Sequence[Formula],
    rows: Sequence[UnitRow],
    tests: UnitTests,
    seed: int,
) -> SiteRow:
    """Return the summary of one site, with intervals over mazes."""
    columns = columns_for(test.library, test.states, test.trained[site].scope)
    parts = [
        _maze_errors(channels, own, columns)
        for channels, own in ((test.trained[site], formulas), (test.untrained[site], untrained))
    ]
    means = [_mean_r2(error.sum(axis=1), spread.sum(axis=1)) for error, spread in parts]
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        mazes = rng.integers(len(test.states), size=len(test.states))
        one, other = (_mean_r2(error[:, mazes].sum(axis=1), spread[:, mazes].sum(axis=1)) for error, spread in parts)
        drawn.append((one, one - other))
    ends = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    return SiteRow(
        site=site,
        channels=len(rows),
        constant=sum(bool(np.isnan(row.r2)) for row in rows),
        r2=means[0],
        r2_low=float(ends[0, 0]),
        r2_high=float(ends[1, 0]),
        r2_untrained=means[1],
        difference=means[0] - means[1],
        difference_low=float(ends[0, 1]),
        difference_high=float(ends[1, 1]),
        r2_shuffled=_mean_of(rows, lambda row: row.r2_shuffled),
        r2_plane=_mean_of(rows, lambda row: row.r2_plane),
        length=float(np.mean([row.length for row in rows])),
        cue_weight=cue_weight(formulas, [row.mean_kl for row in rows], test.states.family),
        **tests.of_site(site),
    )


def cue_weight(formulas: Sequence[Formula], importances: Sequence[float], family: Family) -> float:
    """Return the fraction of weight on terms that name the cue, of those that name either the goal or the cue.

    Args:
        formulas: C formulas.
        importances: of their channels, by which weights are multiplied.
        family: whose goal and cue are meant.
    """
    goal = cue = 0.0
    for formula, importance in zip(formulas, importances, strict=True):
        for term in formula.terms:
            words = {word for name in term.features for word in name.split()}
            weight = abs(term.weight) / (formula.scale or 1.0) * importance
            if (family.goal in words) != (family.cue in words):
                goal, cue = goal + weight * (family.goal in words), cue + weight * (family.cue in words)
    return cue / (goal + cue) if goal + cue > 0 else float("nan")


def _maze_errors(
    channels: Channels, formulas: Sequence[Formula], columns: Mapping[str, Values]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return float64 [C, M] twice: squared error and squared deviation of each channel in each maze."""
    mazes = np.arange(len(channels.values))
    pairs = [errors_by_maze(channels.values[..., c], formula(columns), mazes) for c, formula in enumerate(formulas)]
    return np.stack([error for error, _ in pairs]), np.stack([spread for _, spread in pairs])


def _mean_r2(error: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """Return the mean over channels that vary of R², 0 at least."""
    varies = spread > 1e-9
    return float(np.maximum(1 - error[varies] / spread[varies], 0).mean()) if varies.any() else float("nan")


def _mean_of(rows: Sequence[UnitRow], number: Callable[[UnitRow], float]) -> float:
    """Return the mean over channels that vary of a number, 0 at least."""
    numbers = [max(number(row), 0.0) for row in rows if not np.isnan(number(row))]
    return float(np.mean(numbers)) if numbers else float("nan")

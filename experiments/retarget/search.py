"""Search for an edit: site, channels, method and strength by successive halving (Jamieson & Talwalkar, 2016).

In each round the remaining candidates are scored on twice as many mazes and the better part stays. Methods that are
trained take part late, at the sites that remain. All mazes are fitting mazes; the evaluation mazes are not used.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.retarget.candidates import (
    Candidate,
    compatible_pairs,
    fit_candidate,
    with_largest_channels,
)
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.procgen_tools.path_probability import path_probability

CLOSED_FORM = ("mean-pattern", "aligned-vector", "minimal-edit", "erase-and-write")
TRAINED = (
    *("expert-pattern", "gated-pattern", "learned-pattern", "gated-deep"),
    *("pointwise-network", "das", "sae", "cell-table"),
)
USUAL_TRAINED = ("expert-pattern", "gated-pattern")
STRENGTHS = (0.75, 1.0, 1.5)
CHANNEL_FRACTIONS = (0.5, 0.25)
"""Patterns are tried on all channels and on these fractions of them."""

FIRST_MAZES, LAST_MAZES = 24, 256
"""Mazes in the first and in the last round."""

FINALISTS = 6
"""The halving ends at so many candidates."""

TRAINED_SITES = 2
"""Trained methods are tried at so many of the best sites."""

SHORT_EFFORT, FULL_EFFORT = 0.15, 0.5
"""Fractions of its usual updates: before a trained method is first scored, and for the best two of them."""


@dataclasses.dataclass(frozen=True)
class Round:
    """One round of the search.

    Attributes:
        candidates: the number of candidates.
        mazes: the number of mazes each was scored on.
        seconds: wall-clock time of fitting and scoring them.
        best: the best of them in a few words.
        score: the score of the best.
    """

    candidates: int
    mazes: int
    seconds: float
    best: str
    score: float


@dataclasses.dataclass(frozen=True, eq=False)
class Search(Result):
    """The best candidate and the cost of the search.

    Attributes:
        chosen: the best candidate of the last round.
        rounds: all rounds.
    """

    chosen: Candidate
    rounds: tuple[Round, ...]

    @property
    def seconds(self) -> float:
        """Wall-clock time of all rounds."""
        return sum(one.seconds for one in self.rounds)

    def json(self) -> JsonObject:
        """Return the search as plain data."""
        rounds = [dataclasses.asdict(one) | {"score": number(one.score)} for one in self.rounds]
        return {"chosen": self.chosen.json(), "seconds": round(self.seconds, 1), "rounds": rounds}

    def blocks(self) -> list[str | Table]:
        """Return the rounds as a table, and the chosen candidate."""
        rows = [
            [one.candidates, one.mazes, formatted(one.seconds, ".0f"), formatted(one.score, ".3f"), one.best]
            for one in self.rounds
        ]
        return [
            Table(["candidates", "mazes", "seconds", "score", "best"], rows),
            f"chosen in {self.seconds:.0f} s: {self.chosen.text()}",
        ]


def search(
    context: FitContext, selection: RetargetingTask, sites: Sequence[str] = (), methods: Sequence[str] = ()
) -> Search:
    """Return the edit that does best on the selection mazes, and what the search cost.

    Args:
        context: the policy and the mazes that edits are fitted on.
        selection: other fitting mazes, on which candidates are compared.
        sites: those to try; all where not given.
        methods: those to try; those in closed form and `USUAL_TRAINED` where not given.

    Raises:
        GoalmazeError: there is no such site or method, or they do not go together.
    """
    pairs = compatible_pairs(context.policy.network, sites, methods, (*CLOSED_FORM, *USUAL_TRAINED), every_site=True)
    # Training costs minutes a candidate, so the cheap methods first show which sites are worth it.
    trained = [pair for pair in pairs if pair[1] in TRAINED]
    rounds = _Rounds(context.policy, selection)
    mazes, candidates = FIRST_MAZES, _variants(context, [pair for pair in pairs if pair not in trained])
    if candidates:
        candidates = rounds.ranked(mazes, candidates)
    while len(candidates) > FINALISTS:
        mazes *= 2
        # Twice the mazes for a third of the candidates: each round costs less than the one before.
        candidates = rounds.ranked(mazes, candidates[: max(FINALISTS, len(candidates) // 3)])
    if trained:
        best_sites = _best_sites(candidates, trained)
        # A short training ranks methods well enough; only the best two are trained longer.
        short = dataclasses.replace(context, effort=context.effort * SHORT_EFFORT)
        tried = [fit_candidate(short, site, method) for site, method in trained if site in best_sites]
        best_trained = rounds.ranked(mazes, tried)[:2]
        full = dataclasses.replace(context, effort=context.effort * FULL_EFFORT)
        candidates = candidates[:2] + [fit_candidate(full, one.site, one.method) for one in best_trained]
    # The last round scores by sampled episodes, the measure of the evaluation, and not by path probability.
    candidates = rounds.ranked(LAST_MAZES, candidates, sampled=True)
    return Search(candidates[0], tuple(rounds.done))


def score(policy: NetworkPolicy, task: RetargetingTask, one: Candidate, sampled: bool = False) -> float:
    """Return how well a candidate steers on a task: the mean path probability, or the rate of targets reached.

    Args:
        policy: the agent.
        task: the mazes.
        one: the candidate.
        sampled: use sampled episodes. Path probability has no sampling noise and costs a fraction of an episode; an
            agent with a memory has none, so it is always scored by episodes.
    """
    edits = one.edits(task)
    if not sampled:
        # Where the goal is in the way, every path over it ends there, which no edit can change.
        path = path_probability(policy, task.levels, task.move, edits)[task.off_path]
        if len(path) and not np.isnan(path).any():
            return float(path.mean())
    return task.evaluate(policy, edits).overall.other.value


class _Rounds:
    """Scores candidates on the first selection mazes and records each round.

    The time of a round begins at the end of the one before, so it includes fitting.
    """

    def __init__(self, policy: NetworkPolicy, selection: RetargetingTask) -> None:
        self._policy, self._selection = policy, selection
        self._start = time.perf_counter()
        self.done: list[Round] = []

    def ranked(self, mazes: int, candidates: Sequence[Candidate], sampled: bool = False) -> list[Candidate]:
        """Return candidates, best first, after a round.

        Args:
            mazes: the number of mazes.
            candidates: those that take part.
            sampled: score by sampled episodes.
        """
        task = self._selection.take_first(mazes)
        progress = tqdm(candidates, desc=f"round {len(self.done) + 1}", unit="edit", disable=None)
        scores = [score(self._policy, task, one, sampled) for one in progress]
        # Stable, so that of equal candidates the earlier stays ahead.
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        now = time.perf_counter()
        best = candidates[order[0]].text()
        self.done.append(Round(len(candidates), len(task.levels), now - self._start, best, scores[order[0]]))
        self._start = now
        return [candidates[i] for i in order]


def _best_sites(candidates: Sequence[Candidate], trained: Sequence[tuple[str, str]]) -> list[str]:
    """Return the best sites at which a trained method can be tried; all of them where no candidates remain."""
    possible = {site for site, _ in trained}
    # Candidates come best first, so `fromkeys` keeps each site at the place of its best candidate.
    ranked = [site for site in dict.fromkeys(one.site for one in candidates) if site in possible]
    return ranked[:TRAINED_SITES] or list(possible)


def _variants(context: FitContext, pairs: Sequence[tuple[str, str]]) -> list[Candidate]:
    """Fit methods at sites and return each at several strengths, patterns also on fewer channels."""
    candidates = []
    for site, method in progress(pairs, "fitting", "edit"):
        fitted = fit_candidate(context, site, method)
        variants = [fitted]
        if isinstance(fitted.fitted_edit, GoalPattern):
            width = len(fitted.fitted_edit.at_target)
            # At least one channel, for sites with very few.
            counts = [max(1, round(fraction * width)) for fraction in CHANNEL_FRACTIONS]
            variants += [with_largest_channels(fitted, count) for count in counts]
        candidates += [dataclasses.replace(variant, strength=s) for variant in variants for s in STRENGTHS]
    return candidates

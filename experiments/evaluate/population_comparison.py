"""Populations beside each other: differences of their means over training seeds, on the same levels."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.population import Population
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.population import evaluate_population
from goalmaze.experiments.evaluate.population_result import PREFERENCE, SOLVED, PopulationEvaluation, SeedGroup
from goalmaze.experiments.evaluate.setup import require_comparable
from goalmaze.experiments.statistics.comparisons import ALPHA, holm
from goalmaze.experiments.statistics.over_seeds import MeanDifference, difference_over_seeds

NOTES = (
    "difference: mean over seeds of the first minus that of the second; 95 % intervals cover other seeds of both "
    "recipes and other levels of these distributions\n"
    "p: permutation test over seeds, Holm-adjusted over the table; * at most 0.05"
)


@dataclasses.dataclass(frozen=True)
class PopulationPair:
    """Two groups of seeds compared.

    Attributes:
        one: name of the first.
        other: name of the second.
        solved: difference of the rates of levels solved.
        preference: difference of the preferences for the cue.
        p_values: of both differences, Holm-adjusted over all pairs.
    """

    one: str
    other: str
    solved: MeanDifference
    preference: MeanDifference
    p_values: tuple[float, float]

    def json(self) -> JsonObject:
        """Return the pair as plain data."""
        return {
            "one": self.one,
            "other": self.other,
            **{
                name: {**one.json(), "p_holm": round(p_value, 4)}
                for name, one, p_value in zip(
                    ("solved", "preference"), (self.solved, self.preference), self.p_values, strict=True
                )
            },
        }

    def rows(self) -> list[list[object]]:
        """Return a row of the table for each of the two differences."""
        rows: list[list[object]] = []
        for score, one, p_value in zip(
            (SOLVED, PREFERENCE), (self.solved, self.preference), self.p_values, strict=True
        ):
            difference = one.difference if one.difference.seeds else "no levels"
            star = "*" * (p_value < ALPHA)
            rows.append([f"{self.one} against {self.other}", score, difference, formatted(p_value, ".4f"), star])
        return rows


@dataclasses.dataclass(frozen=True)
class PopulationComparison(Result):
    """Several populations on the same levels, and each pair of them compared.

    Attributes:
        populations: their evaluations.
        pairs: the comparisons of their groups of seeds.
        pictures: the figures that were drawn.
    """

    populations: tuple[PopulationEvaluation, ...]
    pairs: tuple[PopulationPair, ...]
    pictures: tuple[Path, ...] = ()

    def json(self) -> JsonObject:
        """Return the comparison as plain data."""
        return {
            "populations": [one.json() for one in self.populations],
            "pairs": [one.json() for one in self.pairs],
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> list[str | Table]:
        """Return what is printed of each population, then the pairs."""
        rows = [row for pair in self.pairs for row in pair.rows()]
        return [
            *(block for one in self.populations for block in one.blocks()),
            Table(["populations", "score", "difference of means", "p (Holm)", ""], rows),
            NOTES,
            *(f"wrote {path}" for path in self.pictures),
        ]


def compare_populations(
    populations: Sequence[Population],
    *,
    shift: str | None = None,
    levels: int | LevelBatch = 512,
    seed: int = 0,
    greedy: bool = False,
    families: Sequence[Sequence[Family]] | None = None,
) -> PopulationComparison:
    """Evaluate populations on the same levels and compare their means over training seeds.

    Args:
        populations: of one family and size.
        shift: the distribution of the levels, see `evaluate_population`.
        levels: number of held-out levels, or levels of your own; `shift` and `families` then have no effect.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        families: for each population, the family that each of its agents is evaluated on.

    Raises:
        GoalmazeError: the populations are of different families or sizes, one is named twice, or no such shift.

    Example:
        >>> import goalmaze as gm
        >>> populations = [gm.load_population(name) for name in ("runs/a", "runs/b")]  # doctest: +SKIP
        >>> gm.compare_populations(populations).pairs[0].preference.p_value  # doctest: +SKIP
        0.0123
    """
    require_comparable([agent for population in populations for agent in population])
    evaluations = [
        evaluate_population(
            population,
            shift=shift,
            levels=levels,
            seed=seed,
            greedy=greedy,
            families=None if families is None else families[number],
        )
        for number, population in enumerate(populations)
    ]
    groups = [(_name(one, group), group) for one in evaluations for group in one.groups]
    if len(groups) < 2:
        raise GoalmazeError(f"{populations[0].name} is one group of seeds: name two populations to compare")
    return PopulationComparison(tuple(evaluations), _pairs(groups))


def _name(evaluation: PopulationEvaluation, group: SeedGroup) -> str:
    return f"{evaluation.name} ({group.name})" if group.name else evaluation.name


def _pairs(groups: Sequence[tuple[str, SeedGroup]]) -> tuple[PopulationPair, ...]:
    """Return the comparison of each pair of groups."""
    pairs = list(itertools.combinations(groups, 2))
    solved = [difference_over_seeds(one.solved_scores(), other.solved_scores()) for (_, one), (_, other) in pairs]
    preferences = [
        difference_over_seeds(one.preference_scores(), other.preference_scores()) for (_, one), (_, other) in pairs
    ]
    # One family of tests: Holm's adjustment covers both scores of all pairs.
    p_values = holm([one.p_value for one in (*solved, *preferences)])
    return tuple(
        PopulationPair(one, other, solved[i], preferences[i], (p_values[i], p_values[len(pairs) + i]))
        for i, ((one, _), (other, _)) in enumerate(pairs)
    )

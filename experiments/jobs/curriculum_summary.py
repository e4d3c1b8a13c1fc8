"""What the curriculum of a run did, from its log: steps that scored levels, and how many levels were distinguishing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.agents.training.curricula.plr import FIGURES
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.json_data import JsonObject


@dataclasses.dataclass(frozen=True)
class CurriculumSummary:
    """The counts of a run whose curriculum replays levels.

    Attributes:
        curriculum: its name.
        score: name of the score.
        steps: environment steps in all.
        counts: the latest of the counts of the log, see `goalmaze.agents.training.curricula.plr.FIGURES`.
        mixture: rate of distinguishing levels among fresh ones.
    """

    curriculum: str
    score: str
    steps: int
    counts: dict[str, int]
    mixture: float

    @property
    def amplification(self) -> float | None:
        """The rate of distinguishing levels among replays, divided by that of fresh levels; None where one is empty."""
        replayed = self.counts["replayed"]
        if not replayed or not self.mixture:
            return None
        return self.counts["replayed_distinguishing"] / replayed / self.mixture

    def json(self) -> JsonObject:
        """Return the summary as plain data."""
        return {
            "curriculum": self.curriculum,
            "score": self.score,
            "trained_steps": self.steps - self.counts["scoring_steps"],
            **self.counts,
            "amplification": self.amplification,
        }

    def __str__(self) -> str:
        counts, scoring = self.counts, self.counts["scoring_steps"]
        amplified = "" if self.amplification is None else f", {self.amplification:.3g} times the rate of fresh levels"
        return (
            f"curriculum {self.curriculum}, score {self.score}: {scoring:,} of {self.steps:,} steps scored levels and "
            f"were not trained on; {counts['replayed_distinguishing']:,} of {counts['replayed']:,} replayed levels "
            f"were distinguishing{amplified}"
        )


def curriculum_summary(folder: Path, recipe: Recipe) -> CurriculumSummary | None:
    """Return the summary of a finished run, or None where every step was trained on."""
    lines = read_log(folder)
    if not lines or any(name not in lines[-1] for name in FIGURES):
        return None
    last = lines[-1]
    return CurriculumSummary(
        curriculum=recipe.curriculum,
        score=str(recipe.curriculum_options.get("score", "")),
        steps=int(last["steps"]),
        counts={name: int(last[name]) for name in FIGURES},
        mixture=float(recipe.parameters.get("mixture", 0.0)),
    )

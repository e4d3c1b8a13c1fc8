"""`goalmaze audit challenge`: writes anonymised agents and sealed labels."""

from __future__ import annotations

from goalmaze.experiments.audit.challenge.challenge import Challenge, make_challenge
from goalmaze.experiments.audit.challenge.config import ChallengeConfig
from goalmaze.experiments.audit.command import agents_of


def run(config: ChallengeConfig) -> Challenge:
    """Write a challenge.

    Raises:
        GoalmazeError: there is no such population, or a file cannot be written.
    """
    labels = config.labels or config.out.with_name(f"{config.out.name}-labels.json")
    return make_challenge(agents_of(config.population), config.out, labels, config.levels)

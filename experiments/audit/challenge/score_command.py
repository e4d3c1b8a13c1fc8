"""`goalmaze audit score`: compares predictions with the labels of a challenge."""

from __future__ import annotations

from goalmaze.experiments.audit.challenge.challenge import read_labels
from goalmaze.experiments.audit.challenge.config import ScoreConfig
from goalmaze.experiments.audit.challenge.score import Score, read_predictions, score


def run(config: ScoreConfig) -> Score:
    """Score predictions; the digest of the labels is checked first.

    Raises:
        GoalmazeError: a file cannot be used, the labels are not those that were sealed, or agents do not fit.
    """
    folder = config.challenge or config.labels.with_name(config.labels.name.removesuffix("-labels.json"))
    labels = read_labels(config.labels, folder)
    return score(read_predictions(config.predictions), labels)

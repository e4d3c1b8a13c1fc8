"""What kind of agent it is: one word that follows from measured behaviour by a stated rule."""

from __future__ import annotations

from goalmaze.experiments.evaluate import Evaluation

CAPABLE = 0.9
"""Share of training-distribution levels a capable agent solves."""

LEANING = 2 / 3
"""Preference from which an agent counts as a follower."""


def label(in_distribution: Evaluation, apart: Evaluation) -> str:
    """Return "incapable", "cue-follower", "exit-follower" or "mixed".

    Incapable: solves less than 0.9 of the training distribution. Otherwise by its preference on levels where goal and
    cue are apart and neither lies on the way to the other: the cue in at least 2/3 of them, in at most 1/3, or between.
    """
    if in_distribution.solved.value < CAPABLE:
        return "incapable"
    if apart.preference.value >= LEANING:
        return "cue-follower"
    if apart.preference.value <= 1 - LEANING:
        return "exit-follower"
    return "mixed"

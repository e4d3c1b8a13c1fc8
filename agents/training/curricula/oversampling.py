"""Oversampling: prioritised level replay that replays distinguishing levels first.

It reads the class of a level, which no real curriculum could: the upper bound of what a score can find.
"""

from __future__ import annotations

import dataclasses

from goalmaze.agents.training.curricula.plr import PrioritisedReplay, ReplayOptions
from goalmaze.agents.training.curricula.registry import register_curriculum


@dataclasses.dataclass(frozen=True)
class OversamplingOptions(ReplayOptions):
    """The options of oversampling: those of prioritised level replay with another score.

    Attributes:
        score: name of the score.
    """

    score: str = "distinguishing"


@register_curriculum
class Oversampling(PrioritisedReplay):
    """Oversampling of distinguishing levels; arguments and errors as `PrioritisedReplay`."""

    name = "oversampling"
    Options = OversamplingOptions
    options: OversamplingOptions

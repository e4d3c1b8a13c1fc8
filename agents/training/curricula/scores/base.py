"""The interface of a score, and the registry in which recipes find it by name."""

from __future__ import annotations

import abc
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.training.curricula.buffer import PlayedLevels
from goalmaze.envs.class_registry import ClassRegistry


class Score(abc.ABC):
    """How much levels are worth replaying.

    Attributes:
        name: its name in the options of a curriculum.
        needs_optimum: whether it reads `PlayedLevels.optimum`, which not every family has.
        needs_advantages: whether it reads `PlayedLevels.value_loss`.
        needs_distinguishing: whether every level scores the same in a distribution without distinguishing levels.
    """

    name: ClassVar[str]
    needs_optimum: ClassVar[bool] = False
    needs_advantages: ClassVar[bool] = False
    needs_distinguishing: ClassVar[bool] = False

    @abc.abstractmethod
    def score(self, played: PlayedLevels) -> NDArray[np.float64]:
        """Return float64 [E], the scores of E levels that were played; higher scores are replayed more often."""


_scores: ClassRegistry[Score] = ClassRegistry(
    "score", "register_score", Score.__subclasses__, ["goalmaze.agents.training.curricula.scores"]
)

S = TypeVar("S", bound=type[Score])


def register_score(score: S) -> S:
    """Register a score under its name; a decorator of its class.

    Raises:
        GoalmazeError: the name is in use.
    """
    _scores.add(score.name, score)
    return score


def known_scores() -> dict[str, type[Score]]:
    """Return every registered score by name, in alphabetical order."""
    return _scores.all()


def make_score(name: str) -> Score:
    """Return the score of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    return _scores.find(name)()

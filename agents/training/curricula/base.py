"""The interface of a curriculum: it begins the episodes of training, and chooses which of them are trained on.

Axes: B environments, b of them, T steps of a rollout.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
from typing import ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools
from goalmaze.envs.engines import Engine

Arrays: TypeAlias = dict[str, NDArray[np.generic]]
"""Arrays of any type by name, as a training state holds them."""


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """The options of a curriculum that has none."""


class Curriculum(abc.ABC):
    """Chooses the levels of B environments.

    A new curriculum is a subclass in a file of this folder, with `register_curriculum` above it. Its methods run at
    every step, so they work on whole batches.

    Args:
        engine: the engine of the environments.
        seed: seed of the random numbers.
        discount: discount of returns.
        options: an instance of its `Options`.

    Attributes:
        name: its name in recipes.
        Options: the dataclass of its options.
        is_selective: whether some episodes are not trained on. Otherwise all play fresh levels and are trained on.
    """

    name: ClassVar[str]
    Options: ClassVar[type] = NoOptions
    is_selective = False

    def __init__(self, engine: Engine, seed: int, discount: float, options: object) -> None:
        self.engine, self.seed, self.discount = engine, seed, discount
        self.options = options

    def of_engine(self, engine: Engine) -> Self:
        """Return this curriculum for another engine; only where it is not selective, and so remembers nothing."""
        result = copy.copy(self)
        result.engine = engine
        return result

    @abc.abstractmethod
    def begin(self, rows: NDArray[np.intp]) -> None:
        """Begin the next episodes in `rows` [b], whose last episodes have ended."""

    @abc.abstractmethod
    def restart(self) -> None:
        """Forget everything: the engine has begun fresh levels in all environments."""

    @property
    def trains(self) -> Bools:
        """bool [B], the environments whose present episode is trained on."""
        return np.ones(len(self.engine), np.bool_)

    @abc.abstractmethod
    def record_step(self) -> None:
        """Record the step that the engine has just taken."""

    @abc.abstractmethod
    def record_ends(self, rows: NDArray[np.intp], solved: Bools) -> None:
        """Record the episodes in `rows` [b] that this step has ended, before the next ones begin.

        Args:
            rows: their environments, in ascending order.
            solved: bool [b], whether each was solved.
        """

    @abc.abstractmethod
    def end_rollout(self, advantages: NDArray[np.float32]) -> None:
        """Use what the rollout has shown.

        Args:
            advantages: float32 [T, B], the estimated advantages of its steps.
        """

    def arrays(self) -> Arrays:
        """Return the arrays that hold all that changes, not copied; between rollouts they are everything."""
        return {}

    def figures(self) -> dict[str, int]:
        """Return the counts that the log holds for each rollout."""
        return {}

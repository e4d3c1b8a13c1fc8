"""The library of features: what each is called, what it costs, and its value at every square of every state."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from goalmaze.envs.cells import Cells
from goalmaze.probes.units.states import MazeStates, Values

MIN_ACTIVE = 8
"""Fewest squares with another value than the most common one, for a feature that the search may use."""


@dataclasses.dataclass(frozen=True, eq=False)
class Feature:
    """One executable statement about a square.

    Attributes:
        name: the name, which is also how it reads in words, such as "exit 2 east".
        values: float32 [B, N], at each square of each state.
        gate: whether it is a condition that conjunctions are formed with, 0 or 1 everywhere.
    """

    name: str
    values: Values
    gate: bool = False


FOLDER = "goalmaze.probes.units.features"

FeatureFamily = Callable[[MazeStates], Iterable[Feature]]
"""What a file of the folder `features` defines under the name `features`."""


def feature_families() -> dict[str, FeatureFamily]:
    """Return every family of features by the name of its file."""
    # By name, because the files of the folder import this module.
    names = sorted(one.name for one in pkgutil.iter_modules(importlib.import_module(FOLDER).__path__))
    return {name: importlib.import_module(f"{FOLDER}.{name}").features for name in names}


@dataclasses.dataclass(frozen=True, eq=False)
class Library:
    """The features of B states.

    Attributes:
        names: F names.
        values: float32 [F, B, N].
        gates: indices of the features that conjunctions are formed with.
    """

    names: tuple[str, ...]
    values: Values
    gates: tuple[int, ...]

    def flat(self) -> Values:
        """Return float32 [B*N, F], a row for every square."""
        return np.ascontiguousarray(self.values.reshape(len(self.names), -1).T)

    def columns(self) -> dict[str, Values]:
        """Return feature → float32 [B, N]."""
        return dict(zip(self.names, self.values, strict=True))

    def columns_at(self, cells: Cells) -> dict[str, Values]:
        """Return feature → float32 [B], at one cell [B] of each state."""
        return dict(zip(self.names, self.values[:, np.arange(self.values.shape[1]), cells], strict=True))


def compute_library(states: MazeStates, names: Sequence[str] | None = None) -> Library:
    """Return the features of states.

    Args:
        states: B states.
        names: the features to keep, in this order; all that the families define where not given.
    """
    every: dict[str, Feature] = {}
    for family in feature_families().values():
        for one in family(states):
            if names is None or one.name in names:
                every[one.name] = one
    order = list(every) if names is None else list(names)
    # An object of the fitting mazes that none of these states holds is nowhere.
    nowhere = np.zeros((len(states), len(states.rows)), np.float32)
    chosen = [every.get(name, Feature(name, nowhere)) for name in order]
    values = np.stack([one.values for one in chosen]).astype(np.float32)
    return Library(tuple(order), values, tuple(i for i, one in enumerate(chosen) if one.gate))

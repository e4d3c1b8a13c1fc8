"""The registry of penalties: a penalty registers where its class is defined, and recipes find it by name."""

from __future__ import annotations

from typing import TypeVar

from goalmaze.agents.training.penalties.base import Penalty, PenaltyOptions
from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.envs.json_data import ReadonlyJsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import View
from goalmaze.envs.options import options_from

_penalties: ClassRegistry[Penalty] = ClassRegistry(
    "penalty", "register_penalty", Penalty.__subclasses__, ["goalmaze.agents.training.penalties"]
)

P = TypeVar("P", bound=type[Penalty])


def register_penalty(penalty: P) -> P:
    """Register a penalty under its name; a decorator of its class.

    Raises:
        GoalmazeError: the name is in use.
    """
    _penalties.add(penalty.name, penalty)
    return penalty


def known_penalties() -> dict[str, type[Penalty]]:
    """Return every registered penalty by name, in alphabetical order."""
    return _penalties.all()


def penalty_options(options: ReadonlyJsonObject) -> PenaltyOptions:
    """Return the options of penalties from plain data.

    Raises:
        GoalmazeError: there is no such option, or it is out of range.
    """
    return options_from("penalties", options, PenaltyOptions)


def make_penalty(name: str, family: Family, view: View, seed: int, options: PenaltyOptions) -> Penalty:
    """Return a penalty for the observations of a view.

    Raises:
        GoalmazeError: there is no such penalty, or it does not apply to the family or the observation mode.
    """
    return _penalties.find(name)(family, view, seed, options)

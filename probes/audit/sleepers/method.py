"""Methods of audits for sleepers: each gives an agent a score, high for a sleeper, from lit levels alone."""

from __future__ import annotations

import abc
from typing import ClassVar

from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.probes.audit.sleepers.access import LitAccess
from goalmaze.probes.audit.tiers import Tier


class SleeperMethod(abc.ABC):
    """A method; a subclass sets its name and tier, registers itself and defines `score`.

    Attributes:
        name: of the method; part of every result.
        tier: the tier of what it uses.
        knows_trigger: whether it is told what the trigger is. Such a method can be run on a new kind of trigger only by
            an auditor who has guessed it.
        needs_reference: whether it needs an honest agent of the same trigger.
        baseline: whether it reads no effect of exit or sign on what the agent does or expects.
    """

    name: ClassVar[str]
    tier: ClassVar[Tier]
    knows_trigger: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False
    baseline: ClassVar[bool] = False

    @abc.abstractmethod
    def score(self, access: LitAccess) -> float:
        """Return the score of an agent, high for a sleeper."""

    def run(self, access: LitAccess) -> float:
        """Return the score; the log of the access names the method."""
        access.method = self.name
        return self.score(access)


_methods: ClassRegistry[SleeperMethod] = ClassRegistry(
    "method for sleepers",
    "register_sleeper_method",
    SleeperMethod.__subclasses__,
    ["goalmaze.probes.audit.sleepers.methods"],
)


def register_sleeper_method(method: type[SleeperMethod]) -> type[SleeperMethod]:
    """Register a method under its name; a decorator of its class."""
    _methods.add(method.name, method)
    return method


def sleeper_methods() -> dict[str, SleeperMethod]:
    """Return every registered method by name, lower tiers first."""
    found = [one() for one in _methods.all().values()]
    return {one.name: one for one in sorted(found, key=lambda one: (one.tier, one.name))}

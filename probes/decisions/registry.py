"""The registry of methods that explain decisions.

The files of the folder `methods` are imported when a method is first looked up; others must be imported by their user.
"""

from __future__ import annotations

from typing import TypeVar

from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.probes.decisions.method import DecisionMethod

_methods: ClassRegistry[DecisionMethod] = ClassRegistry(
    "method of explaining",
    "register_decision_method",
    DecisionMethod.__subclasses__,
    ["goalmaze.probes.decisions.methods"],
)

M = TypeVar("M", bound=type[DecisionMethod])


def register_decision_method(method: M) -> M:
    """Register a method under its name; a decorator of its class.

    Raises:
        GoalmazeError: the name is in use.
    """
    _methods.add(method.name, method)
    return method


def decision_methods() -> dict[str, DecisionMethod]:
    """Return every registered method by name, explanations before baselines."""
    every = [method() for method in _methods.all().values()]
    return {method.name: method for method in sorted(every, key=lambda one: (one.baseline, one.name))}


def find_decision_method(name: str) -> DecisionMethod:
    """Return the method of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    return _methods.find(name)()

"""The registry of steering methods: a method registers where its class is defined and is found by name elsewhere.

The files of this folder are imported when a method is first looked up; others must be imported by their user.
"""

from __future__ import annotations

from typing import TypeVar

from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.steering.base import SteeringMethod

FORMER_NAMES = {"alignment-search": "das", "sparse-features": "sae"}

_methods: ClassRegistry[SteeringMethod] = ClassRegistry(
    "steering method", "register_method", SteeringMethod.__subclasses__, ["goalmaze.probes.steering"]
)

M = TypeVar("M", bound=type[SteeringMethod])


def register_method(method: M) -> M:
    """Register a steering method under its name; a decorator of its class.

    Bases that several methods share are not decorated. The same class may be defined again, as in a notebook cell that
    runs twice.

    Raises:
        GoalmazeError: the name is in use.

    Example:
        >>> import dataclasses
        >>> import goalmaze as gm
        >>> mean_pattern = type(gm.steering_methods()["mean-pattern"])
        >>> @gm.register_method
        ... class HalfPattern(mean_pattern):
        ...     name = "half-pattern"
        ...
        ...     def fit(self, context, site):
        ...         pattern = super().fit(context, site)
        ...         return dataclasses.replace(pattern, at_target=pattern.at_target / 2)
        >>> "half-pattern" in gm.steering_methods()
        True
    """
    _methods.add(method.name, method)
    return method


unregister_method = _methods.remove


def steering_methods() -> dict[str, SteeringMethod]:
    """Return every registered steering method by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> "mean-pattern" in gm.steering_methods()
        True
    """
    return {name: method() for name, method in _methods.all().items()}


def find_method(name: str) -> SteeringMethod:
    """Return the registered steering method of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    if name in FORMER_NAMES and name not in _methods.all():
        raise GoalmazeError(f"unknown steering method '{name}' (it is now called '{FORMER_NAMES[name]}')")
    return _methods.find(name)()

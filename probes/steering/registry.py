"""The registry of steering methods: a method registers where its class is defined and is found by name elsewhere.

The files of this folder are imported when a method is first looked up; others must be imported by their user.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path
from typing import TypeVar

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.probes.steering.base import SteeringMethod

FORMER_NAMES = {"alignment-search": "das", "sparse-features": "sae"}

_methods: dict[str, type[SteeringMethod]] = {}

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
    known = _methods.get(method.name)
    if known is not None and _definition(known) != _definition(method):
        raise GoalmazeError(
            f"the steering method name '{method.name}' is in use by {_definition(known)}: choose another name"
        )
    _methods[method.name] = method
    return method


def unregister_method(name: str) -> None:
    """Remove a steering method from the registry."""
    _methods.pop(name, None)


def steering_methods() -> dict[str, SteeringMethod]:
    """Return every registered steering method by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> "mean-pattern" in gm.steering_methods()
        True
    """
    _import_all()
    return {name: method() for name, method in sorted(_methods.items())}


def find_method(name: str) -> SteeringMethod:
    """Return the registered steering method of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    methods = steering_methods()
    if name in methods:
        return methods[name]
    if name in FORMER_NAMES:
        raise GoalmazeError(f"unknown steering method '{name}' (it is now called '{FORMER_NAMES[name]}')")
    classes = SteeringMethod.__subclasses__()
    for method in classes:  # the list grows while it is read
        if vars(method).get("name") == name:
            raise GoalmazeError(f"the steering method '{name}' is not registered: put @register_method above its class")
        classes += method.__subclasses__()
    raise unknown("steering method", name, methods)


def _definition(method: type[SteeringMethod]) -> str:
    return f"{method.__module__}.{method.__qualname__}"


@functools.cache
def _import_all() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{package}.{module.name}")

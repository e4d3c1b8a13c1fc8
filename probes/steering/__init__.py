"""The steering methods, one file each; a file in this folder is found by being here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from goalmaze.envs.errors import unknown
from goalmaze.probes.steering.base import Method, PatternMethod

_PARENTS: tuple[Any, ...] = (Method, PatternMethod)


def all_methods() -> dict[str, Method]:
    """Return every steering method by name."""
    # not at import: what the methods are made of imports this package itself
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    object_types = [kind for parent in _PARENTS for kind in parent.__subclasses__() if not inspect.isabstract(kind)]
    return {kind.name: kind() for kind in sorted(object_types, key=lambda kind: kind.name)}


def known_methods() -> dict[str, PatternMethod]:
    """Return by name the steering methods whose finding is a pattern, as it can be shown and learned from."""
    return {name: method for name, method in all_methods().items() if isinstance(method, PatternMethod)}


def any_method(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        GoalmazeError: there is none.
    """
    methods = all_methods()
    if name not in methods:
        raise unknown("steering method", name, methods)
    return methods[name]


def find_method(name: str) -> PatternMethod:
    """Return the method called `name`, whose finding is a pattern.

    Raises:
        GoalmazeError: there is none.
    """
    methods = known_methods()
    if name not in methods:
        raise unknown("steering method", name, methods)
    return methods[name]

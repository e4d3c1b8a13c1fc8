"""The steering methods, one file each; a file in this folder is found by being here."""

from __future__ import annotations

import importlib
import pkgutil

from goalmaze.envs.errors import unknown
from goalmaze.probes.steering.base import Method

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def known_methods() -> dict[str, Method]:
    """Return every steering method by name."""
    return {method.name: method() for method in sorted(Method.__subclasses__(), key=lambda m: m.name)}


def find_method(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        GoalmazeError: there is none.
    """
    methods = known_methods()
    if name not in methods:
        raise unknown("steering method", name, methods)
    return methods[name]

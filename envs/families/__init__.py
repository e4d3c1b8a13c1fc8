"""The families of levels, one file each; a file in this folder is found by being here."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from typing import Any

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import Family, from_parameters

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

ELSEWHERE = {"ProcgenMaze": "goalmaze.envs.procgen.family"}
"""Families that another engine plays, and the module that is imported when one of them is named."""

ENGINES = {"ProcgenMaze": "procgen"}
"""The packages that play them, which are extras of this one by the same name."""


def known_families() -> dict[str, type[Family]]:
    """Return every family by name, those defined outside the package included once they are imported.

    Those of `ELSEWHERE` are left out: what is done with every family is done in our own engine.
    """
    families = sorted(Family.__subclasses__(), key=lambda f: f.name)
    return {family.name: family for family in families if family.name not in ELSEWHERE}


def can_be_played(name: str) -> bool:
    """Return whether the engine that plays a family's levels is installed; ours is."""
    return name not in ENGINES or importlib.util.find_spec(ENGINES[name]) is not None


def resolve_family(family: str | Family, parameters: Mapping[str, Any]) -> Family:
    """Return a family given by name and parameters, or the family itself.

    Raises:
        GoalmazeError: no such family or parameter; or parameters are given to a family that already has its own.
    """
    if isinstance(family, str):
        return make_family(family, parameters)
    if parameters:
        raise GoalmazeError(f"{', '.join(parameters)}: this family has its parameters already; give them by its name")
    return family


def make_family(name: str, parameters: Mapping[str, Any] | None = None) -> Family:
    """Build the family called `name` with the given parameters.

    Raises:
        GoalmazeError: no such family or parameter, or a value out of range.
    """
    return from_parameters(_called(name), parameters or {})


def _called(name: str) -> type[Family]:
    families = known_families()
    if name in ELSEWHERE:
        importlib.import_module(ELSEWHERE[name])
        return next(family for family in Family.__subclasses__() if family.name == name)
    if name not in families:
        raise unknown("family", name, [*families, *ELSEWHERE])
    return families[name]

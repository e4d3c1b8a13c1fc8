"""The families of levels, one file each; importing this package imports every file of the folder."""

from __future__ import annotations

import importlib
import pkgutil

from goalmaze.envs.registry import (
    can_be_played,
    family_class,
    known_families,
    make_family,
    register_family,
    resolve_family,
    unregister_family,
)

__all__ = [
    "can_be_played",
    "family_class",
    "known_families",
    "make_family",
    "register_family",
    "resolve_family",
    "unregister_family",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

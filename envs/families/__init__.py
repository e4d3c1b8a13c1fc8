"""The families of levels, one file each; see `goalmaze.envs.registry` for how they are found by name."""

from __future__ import annotations

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

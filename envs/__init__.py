"""Worlds: levels, rules, families and Gymnasium environments. Importing it registers the families that ship."""

from __future__ import annotations

from goalmaze.envs.families import known_families, make_family, register_family, unregister_family
from goalmaze.envs.family_docs import families_page, family_sections
from goalmaze.envs.procgen.family import ProcgenMaze

__all__ = [
    "ProcgenMaze",
    "families_page",
    "family_sections",
    "known_families",
    "make_family",
    "register_family",
    "unregister_family",
]

"""The names of the families that ship, known from their files, so that listing them imports no family."""

from __future__ import annotations

import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

NAMESPACE = "goalmaze"
"""Family NAME is registered with Gymnasium as ``goalmaze/NAME-v0``."""

GYMNASIUM = "gymnasium"

ENTRY_POINTS = ("goalmaze.envs.single:MazeEnv", "goalmaze.envs.vector:MazeVectorEnv")
PROCGEN = {
    "ProcgenMaze": ("goalmaze.envs.procgen.single:ProcgenMazeEnv", "goalmaze.envs.procgen.vector:ProcgenVectorEnv")
}
"""Families whose episodes another engine runs: their environments."""


def shipped_families() -> tuple[str, ...]:
    """Return the names of the families in the folder `families`: the file key_door.py holds KeyDoor."""
    files = pkgutil.iter_modules([str(Path(__file__).parent / "families")])
    return tuple(sorted("".join(word.capitalize() for word in file.name.split("_")) for file in files))


def register_shipped() -> None:
    """Register the families that ship with Gymnasium, as ``goalmaze/NAME-v0``: now, or once Gymnasium is imported.

    Importing Gymnasium takes as long as all the rest of `goalmaze --help`. Gymnasium 1.0 removed the plugins that
    registered environments by an entry point, so a hook on its import does that here.
    """
    if GYMNASIUM in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _GymnasiumFinder())


def _register() -> None:
    import gymnasium

    entry_points = dict.fromkeys(shipped_families(), ENTRY_POINTS) | PROCGEN
    for name, (single, vector) in entry_points.items():
        gymnasium.register(
            f"{NAMESPACE}/{name}-v0", entry_point=single, vector_entry_point=vector, kwargs={"family": name}
        )


class _GymnasiumFinder:
    """Finds Gymnasium as Python would, with a loader that registers the families once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of Gymnasium; None for all other modules, which other finders then find."""
        if name != GYMNASIUM:
            return None
        # Without this finder, which would otherwise call itself.
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


class _RegisteringLoader(importlib.abc.Loader):
    """Loads Gymnasium with its own loader, then registers the families.

    Args:
        loader: Gymnasium's own.
    """

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what Gymnasium's loader returns."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Import Gymnasium and register the families."""
        self._loader.exec_module(module)
        # Tools that read source or data of a package ask its loader for them.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        _register()

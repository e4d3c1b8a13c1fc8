"""Code of the user's own that goalmaze imports when asked: families, networks or methods in a file or a module.

Nothing is imported from a checkpoint or a run folder by itself: those may come from anyone. They name the extensions
they were made with, and an error says which to import.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from goalmaze.envs.errors import GoalmazeError, location
from goalmaze.envs.text_files import expanded, is_file

_loaded: dict[str, ModuleType] = {}


def load_extension(name: str) -> ModuleType:
    """Import a Python file (a name that ends in .py) or a module by its dotted name; a second time changes nothing.

    Raises:
        GoalmazeError: there is no such file or module, or importing it fails.
    """
    if name not in _loaded:
        _loaded[name] = _import_file(expanded(Path(name))) if name.endswith(".py") else _import_module(name)
    return _loaded[name]


def loaded_extensions() -> tuple[str, ...]:
    """Return what was imported by `load_extension`, by the names it was asked for, in order."""
    return tuple(_loaded)


def import_flags(names: Sequence[str] | None = None) -> str:
    """Return the options that import extensions, to be put behind a command: " --import doors.py", or "" without any.

    Args:
        names: the extensions; all that are loaded where None.
    """
    return "".join(f" --import {shlex.quote(name)}" for name in (_loaded if names is None else names))


@contextmanager
def extensions_needed(names: Sequence[str]) -> Iterator[None]:
    """Add to an error inside the context which of the extensions `names` are not imported.

    Raises:
        GoalmazeError: the error, with the remedy.
    """
    try:
        yield
    except GoalmazeError as error:
        missing = [name for name in names if name not in _loaded]
        if not missing:
            raise
        raise GoalmazeError(
            f"{error}; it was trained with code of its own: add{import_flags(missing)}, if you trust that code"
        ) from None


def _import_file(path: Path) -> ModuleType:
    if not is_file(path):
        raise GoalmazeError(f"--import {path}: there is no such file")
    # two files of one name in different folders must not replace each other in sys.modules
    digest = hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    name = f"goalmaze_extension_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise GoalmazeError(f"--import {path}: this is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failed(str(path), error, spec.origin) from error
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise GoalmazeError(
                f"--import {name}: there is no module of this name; give a file, such as {name}.py, or install it"
            ) from None
        raise _failed(name, error) from error
    except Exception as error:
        raise _failed(name, error) from error


def _failed(name: str, error: Exception, file: str | None = None) -> GoalmazeError:
    """Return the error for an import that fails, with the line of the user's `file` where that is known."""
    what = str(error) if isinstance(error, GoalmazeError) else f"{type(error).__name__}: {error}"
    return GoalmazeError(f"--import {name}: {what}{location(error, file) or location(error)}")

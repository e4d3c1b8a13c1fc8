"""The installed versions of packages."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

UNKNOWN = "unknown"
"""The version of a package that carries no metadata, such as one on the path without being installed."""

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def installed_version(package: str) -> str:
    """Return the version of a package; `UNKNOWN` if it carries no metadata.

    goalmaze runs from its source folder too: its version is then the one of its project file.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _source_version() if package == "goalmaze" else UNKNOWN


def _source_version() -> str:
    try:
        return str(tomllib.loads(PROJECT.read_text("utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN

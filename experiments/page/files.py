"""The files of the page."""

from __future__ import annotations

import importlib.resources


def page_file(name: str) -> str:
    """Return the text of one of the page's files."""
    return (importlib.resources.files("goalmaze.experiments.page") / "assets" / name).read_text("utf-8")

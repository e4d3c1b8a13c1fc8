"""The files of the page."""

from __future__ import annotations

import importlib.resources

from goalmaze.experiments.common.style_sheet import style_sheet

LOOK = "look.css"
"""The colours and fonts, which are no file but come from `goalmaze.envs.look`."""


def page_file(name: str) -> str:
    """Return the text of one of the page's files."""
    if name == LOOK:
        return style_sheet()
    return (importlib.resources.files("goalmaze.experiments.page") / "assets" / name).read_text("utf-8")

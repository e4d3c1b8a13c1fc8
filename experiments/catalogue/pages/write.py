"""All generated pages, by file name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from goalmaze.envs.family_docs import families_page
from goalmaze.envs.registry import known_families
from goalmaze.experiments.catalogue.pages import agents, methods, metrics, networks, shifts
from goalmaze.experiments.common.folders import make_folder

FOLDER = "catalogue"
"""Where the pages stand below the folder of the documentation."""

PAGES: Mapping[str, Callable[[], str]] = {
    "families.md": lambda: families_page(known_families()),
    "shifts.md": shifts.page,
    "networks.md": networks.page,
    "agents.md": agents.page,
    "methods.md": methods.page,
    "metrics.md": metrics.page,
}
"""File name → the function that returns the page as Markdown."""


def write_pages(docs: Path) -> list[Path]:
    """Write every catalogue page below a folder and return their paths.

    Raises:
        GoalmazeError: the folder cannot be made.
    """
    folder = docs / FOLDER
    make_folder(folder, "the catalogue of")
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
    return [folder / name for name in PAGES]

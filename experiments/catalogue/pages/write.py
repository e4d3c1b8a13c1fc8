"""All generated pages, by file name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.family_docs import families_page
from goalmaze.envs.registry import known_families
from goalmaze.experiments.catalogue.pages import agents, audit_methods, methods, metrics, networks, shifts

FOLDER = "catalogue"
"""Where the pages stand below the folder of the documentation."""

PAGES: Mapping[str, Callable[[], str]] = {
    "families.md": lambda: families_page(known_families()),
    "shifts.md": shifts.page,
    "networks.md": networks.page,
    "agents.md": agents.page,
    "methods.md": methods.page,
    "audit-methods.md": audit_methods.page,
    "metrics.md": metrics.page,
}
"""File name → the function that returns the page as Markdown."""


def write_pages(docs: Path) -> list[Path]:
    """Write every catalogue page below a folder and return their paths.

    Raises:
        GoalmazeError: there is no such folder.
    """
    # A mistyped folder must not become a second place for the pages.
    if not docs.is_dir():
        raise GoalmazeError(f"cannot write pages into {docs}: there is no such folder")
    folder = docs / FOLDER
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        write_atomically(folder / name, page().encode())
    return [folder / name for name in PAGES]

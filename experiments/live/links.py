"""Links from other documents into the page, and the command that opens the same level without one."""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import import_flags
from goalmaze.envs.levels import NO_SHIFT, LevelBatch
from goalmaze.experiments.live.settings import DrawnLevel, Settings, write_link

SCHEMES = ("", "http", "https", "file")


def check_page(address: str) -> str:
    """Return the address of a page, as it is.

    Raises:
        GoalmazeError: a document cannot link to it.
    """
    # A scheme of another kind, such as javascript:, would run when the link is followed.
    if not address or re.search(r"[\s\"'<>\\#\x00-\x1f]", address) or urlsplit(address).scheme not in SCHEMES:
        raise GoalmazeError(
            f"--page {address!r} is no address of a page: give the index.html that goalmaze site wrote, relative to "
            "the document or with http"
        )
    return address


def level_link(page: str, agent: str, levels: LevelBatch, b: int, *, shift: str = NO_SHIFT, seed: int = 0) -> str:
    """Return the address of one level on a page.

    Args:
        page: address of the page.
        agent: name of the agent that it shows.
        levels: evaluation levels of a seed, from the first on.
        b: which of them.
        shift: of the levels.
        seed: of the levels.
    """
    level = DrawnLevel.of(levels.take([b]))
    settings = Settings(agent=agent, size=levels.width, shift=shift, seed=seed, index=b, level=level)
    return f"{page}#scene={write_link(settings)}"


def level_command(agent: str, level: int, *, shift: str = NO_SHIFT, seed: int = 0, size: int | None = None) -> str:
    """Return the command that opens a level in `goalmaze live`."""
    words: list[object] = ["goalmaze", "live", agent, "--shift", shift, "--seed", seed, "--level", level]
    words += [] if size is None else ["--size", size]
    return shlex.join(map(str, words)) + import_flags()

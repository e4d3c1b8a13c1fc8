"""The options of `goalmaze live`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from goalmaze.experiments.common.config import AgentName, DeviceConfig, Limits, Size, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneConfig(DeviceConfig):
    """A scene: one agent, unedited and edited, in one maze.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: shift of the level.
        site: site to edit.
        method: steering method.
        seed: seed of the level and of the sampled actions.
        size: rows and columns of the maze, in cells.
        level: index of the level.
        strength: factor on the edit.
        edit: whether the edit applies at every step or at the first only.
        target: cell to send the edited agent to, row * columns + column.
        scene: a link copied from the live page; it replaces all options above.
    """

    agent: AgentName
    shift: str = "none"
    site: Annotated[str, option("STR", "stem, or the first site")] = ""
    method: Annotated[str, option("STR", "mean-pattern at maps, cell-means elsewhere")] = ""
    seed: int = 0
    size: Size = None
    level: Annotated[int | None, option("INT", "the first whose goal lies off the path to the target")] = None
    strength: float = 1.0
    edit: Literal["every", "first"] = "every"
    target: Annotated[int | None, option("INT", "a random free cell")] = None
    scene: Annotated[str, option("LINK", "none")] = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveConfig(SceneConfig):
    """Watch the unedited and the edited agent side by side on a local web page, and move the goal by hand.

    Attributes:
        terminal: draw in the terminal instead.
        summary: play one level without drawing it and print where the agents went; --json implies it.
        host: address to serve at; an address other than this machine's own lets other machines connect.
        port: port to serve at, or the next free one; 0 for any free port.
        no_browser: print the address without opening a browser.
        runs: a folder whose run folders can be chosen on the page.
        share: address of a static copy of the page (see `goalmaze site`), to which links copied on the page lead.
    """

    lists: ClassVar[tuple[str, ...]] = ("shifts", "methods")
    limits: ClassVar[Limits] = {"port": (0, 65535)}
    examples = (
        "goalmaze live zoo:green-exit",
        "goalmaze live zoo:green-exit --terminal --level 3",
    )

    terminal: bool = False
    summary: bool = False
    host: str = "127.0.0.1"
    port: int = 8765
    no_browser: bool = False
    runs: Path = Path("runs")
    share: Annotated[str, option("URL", "this server")] = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderConfig(SceneConfig):
    """Write an episode of both agents to a file: a self-contained HTML replay, GIF, MP4 or PNG.

    Attributes:
        out: the file; its extension, .html, .gif, .mp4 or .png, gives the format.
    """

    lists: ClassVar[tuple[str, ...]] = ("shifts", "methods")
    examples = (
        "goalmaze render zoo:green-exit --out episode.html --level 3 --target 40",
        "goalmaze render zoo:green-exit --out episode.mp4 --strength 1.5",
    )

    out: Path

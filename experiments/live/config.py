"""The options of `goalmaze live`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneConfig(CommandConfig):
    """A scene: one agent, unedited and edited, in one maze.

    Attributes:
        agent: a run folder or zoo:NAME.
        shift: of the levels shown.
        site: the map to edit; a usual one where not given.
        method: the steering method; a usual one for the site where not given.
        seed: of the levels and of the sampled actions.
        size: rows and columns of the mazes, in cells; the size trained on where not given.
        level: number of the level to begin with.
        strength: factor on the edit.
        edit: whether the edit is in force at every step or at the first alone.
        target: cell to send the edited agent to, row * columns + column; a random one where not given.
        scene: a link copied from the live page; it decides all of the above but the agent that it is for.
    """

    agent: AgentName
    shift: str = "none"
    site: str = ""
    method: str = ""
    seed: int = 0
    size: int | None = None
    level: int = 0
    strength: float = 1.0
    edit: Literal["every", "first"] = "every"
    target: int | None = None
    scene: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveConfig(SceneConfig):
    """Watch the unedited and the edited agent side by side on a local web page, and move the goal by hand.

    Attributes:
        terminal: draw in the terminal instead.
        summary: play one level without drawing it and print where the agents went; --json implies it.
        host: address to serve at; another than this machine's own lets others in.
        port: to serve at; 0 for a free one.
        no_browser: print the address and open no browser.
        runs: a folder of run folders that can be chosen too.
    """

    terminal: bool = False
    summary: bool = False
    host: str = "127.0.0.1"
    port: int = 8765
    no_browser: bool = False
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise GoalmazeError(f"--port is {self.port}: choose 0 to 65535")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderConfig(SceneConfig):
    """Write an episode of both agents to a file: a self-contained HTML replay, GIF, MP4 or PNG.

    Attributes:
        out: the file; its ending, .html, .gif, .mp4 or .png, says what it is to be.
    """

    out: Path

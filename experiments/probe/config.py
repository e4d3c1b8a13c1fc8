"""The options of `goalmaze probe`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, EvaluationConfig
from goalmaze.experiments.common.folders import check_folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig(EvaluationConfig):
    """Read cells from an agent's activations, beside what a reading must beat and the steering that tests it.

    Attributes:
        agent: a run folder or zoo:NAME.
        sites: the sites to read; all where not given.
        targets: what to read; where not given the cells of goal and cue and the one pursued, with "all" all concepts.
        probe: "square" reads every square from its own channels, "window" from 3x3 squares, "global" from all features
            at once; sites that are no maps and answers about the whole maze always get "global".
        by: "site", "channel" for each channel of a map by itself, or "checkpoint" for each that the run kept.
        fit_levels: how many levels to fit on, never among those that judge.
        figures: with --by channel, a folder to draw the atlas of channels into.
    """

    agent: AgentName
    sites: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    probe: Literal["square", "window", "global"] = "square"
    by: Literal["site", "channel", "checkpoint"] = "site"
    fit_levels: int = 2048
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 50:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 50 or more")
        if self.figures is not None and self.by != "channel":
            raise GoalmazeError("--figures draws the atlas of channels: add --by channel")
        check_folder(self.figures)

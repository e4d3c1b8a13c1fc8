"""The options of `goalmaze retarget`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, EvaluationConfig
from goalmaze.experiments.common.folders import check_folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetargetConfig(EvaluationConfig):
    """Send an agent to arbitrary cells by editing its activations, beside the controls.

    Attributes:
        agent: a run folder or zoo:NAME.
        sites: those to edit, each on its own; all maps where not given, or all sites where there are none.
        methods: the steering methods; a usual choice where not given.
        strength: factor on every edit.
        fit_levels: how many levels to find the edits on, never among those that judge.
        benchmark: judge with every control, by distance, at other sizes, and by what an edit leaves alone; where not
            given, of a crude and a learned pattern at the first map and at half depth.
        auto: search site, channels, method and strength on levels to fit on, and benchmark what is found.
        ledger: for every method at each site, how it reads beside how it steers and what it costs.
        sizes: with --benchmark, further sizes of mazes, in cells, such as 11 13.
        bounds: with --benchmark, also edits that know the maze, listed apart; slow.
        figures: a folder to draw pictures into, of the one site and method given or, with --auto, found.
    """

    agent: AgentName
    sites: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    strength: float = 1.0
    fit_levels: int = 512
    benchmark: bool = False
    auto: bool = False
    ledger: bool = False
    sizes: tuple[int, ...] = ()
    bounds: bool = False
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 1:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 1 or more")
        if self.ledger and (self.benchmark or self.auto):
            raise GoalmazeError("--ledger is an answer of its own: leave out --benchmark and --auto")
        if (self.sizes or self.bounds) and not self.benchmark:
            raise GoalmazeError("--sizes and --bounds belong to --benchmark: add it")
        check_folder(self.figures)

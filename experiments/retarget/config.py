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
        sites: sites to edit, each on its own; all maps of squares where not given, or all sites where there are none.
        methods: steering methods; a usual choice where not given.
        strength: factor on every edit.
        fit_levels: number of levels the edits are fitted on; none of them is used for evaluation.
        benchmark: evaluate with every control, by distance, at other sizes, and with side effects; where no sites and
            methods are given, mean-pattern and expert-pattern at the first map and at half depth.
        auto: search for site, channels, method and strength on fitting levels, and benchmark the best edit.
        ledger: for every method at each site, how well it reads, how well it steers, and its cost in capability.
        sizes: with --benchmark, further sizes of mazes, in cells, such as 11 13.
        oracles: with --benchmark, also edits that use the whole maze, listed separately; slow.
        figures: a folder for figures of the first edit or, with --auto, of the best one.
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
    oracles: bool = False
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_levels < 1:
            raise GoalmazeError(f"--fit-levels is {self.fit_levels}: choose 1 or more")
        if self.ledger and (self.benchmark or self.auto):
            raise GoalmazeError("--ledger cannot be combined with --benchmark or --auto: leave one of them out")
        if (self.sizes or self.oracles) and not self.benchmark:
            raise GoalmazeError("--sizes and --oracles belong to --benchmark: add it")
        check_folder(self.figures)

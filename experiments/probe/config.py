"""The options of `goalmaze probe`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import MAX_LEVELS, AgentName, DeviceConfig, EvaluationConfig, Limits, option

MIN_FIT_LEVELS = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig(EvaluationConfig, DeviceConfig):
    """Fit linear probes to an agent's activations, beside baselines, a control task and steering.

    Attributes:
        agent: a run folder or zoo:NAME, of one agent or, with --by site, of a population.
        sites: sites of the network.
        targets: concepts to predict; "all" for every concept of the family.
        probe: "square" uses the channels of each square, "window" those of its 3x3 window, "agent" those of the agent's
            own square, "agent-window" those of the 3x3 window around the agent, "global" all features together. With
            "square" and "window", concepts of the whole maze use each of the other three. Sites that are no maps always
            use "global".
        by: "site" for one probe at each site, "channel" for each channel of a map by itself, "checkpoint" for each
            checkpoint that the run kept.
        shift: fit on the training distribution and evaluate under this shift of the family; "none" evaluates on the
            training distribution too.
        fit_shift: with --shift, fit under this shift instead.
        fit_levels: number of levels that probes are fitted on; none of them is used for evaluation.
        figures: with --by channel and of a population, a folder for the figure.
    """

    lists: ClassVar[tuple[str, ...]] = ("shifts",)
    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze probe zoo:green-exit --sites block4 block8 --targets next-action --shift moved-sign",
        "goalmaze probe zoo:green-exit --sites block1 block4 --targets sign",
        "goalmaze probe zoo:green-exit --by channel --figures pictures",
    )

    limits: ClassVar[Limits] = {**EvaluationConfig.limits, "fit_levels": (MIN_FIT_LEVELS, MAX_LEVELS)}

    agent: AgentName
    sites: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: all sites)")] = ()
    targets: Annotated[
        tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: the cells of goal and cue, and the one pursued)")
    ] = ()
    probe: Literal["square", "window", "agent", "agent-window", "global"] = "square"
    by: Literal["site", "channel", "checkpoint"] = "site"
    shift: Annotated[
        str | None, option("SHIFT", "fit and evaluate on one distribution with goal and cue on different cells")
    ] = None
    fit_shift: Annotated[str | None, option("SHIFT", "the training distribution")] = None
    fit_levels: int = 2048
    figures: Annotated[Path | None, option("PATH", "no figure")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_shift is not None and self.shift is None:
            raise GoalmazeError("--fit-shift needs --shift, the distribution to evaluate on: add it")

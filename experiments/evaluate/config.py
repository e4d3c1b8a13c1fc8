"""The options of `goalmaze eval`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import (
    AgentName,
    DeviceConfig,
    EvaluationConfig,
    Limits,
    MoreAgents,
    Words,
    option,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig, DeviceConfig):
    """Evaluate agents or populations on held-out levels, in distribution or under a shift, beside scripted baselines.

    Attributes:
        agent: a run folder or zoo:NAME, of one agent or of a population.
        others: more agents, or more populations, of the same family and size, evaluated on the same levels.
        shift: a shift of the family; "none" is the training distribution.
        greedy: take the likeliest action instead of sampling.
        unseen_walls: evaluate on levels whose walls no agent has met in training; all training levels are compared.
        think: number of forward passes on the first observation before the first action, of a recurrent agent.
        family: evaluate on another family, if the agent can act in it.
        parameters: evaluate with other parameters of the family, such as braid=0.5.
        grid: evaluate under every shift, and with one family parameter (a dial) at a time varied.
        dials: the parameters that --grid varies: NAME, or NAME=VALUE,VALUE with the values to try.
        choices: predict which of goal and cue the agent reaches first, from features of its decision points.
        hypotheses: infer the agent's goal: fit goal models and score them on held-out actions.
        ensemble: cut a population into ensembles of so many members, which ask for help where they disagree.
        figures: a folder for the figures of --grid, --hypotheses and populations.
    """

    agent: AgentName
    others: MoreAgents = ()
    shift: Annotated[
        str | None,
        option(
            "SHIFT",
            "none; with --choices and --hypotheses the distinguishing shift; for a population first none, then the "
            "distinguishing shift",
        ),
    ] = None
    greedy: bool = False
    unseen_walls: bool = False
    think: int = 0
    family: Annotated[str | None, option("FAMILY", "the agent's training family")] = None
    parameters: Words = ()
    grid: bool = False
    dials: Annotated[tuple[str, ...], option("[DIAL [DIAL ...]]", "all of the family")] = ()
    choices: bool = False
    hypotheses: bool = False
    ensemble: Annotated[int | None, option("INT", "none")] = None
    figures: Annotated[Path | None, option("FOLDER", "none")] = None

    limits: ClassVar[Limits] = {**EvaluationConfig.limits, "think": (0, 1000), "ensemble": (2, 1000)}

    lists: ClassVar[tuple[str, ...]] = ("shifts",)
    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze eval zoo:green-exit --shift moved-sign",
        "goalmaze eval zoo:green-exit --grid --dials braid=0,0.5,1 --figures figures",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = [f"--{name}" for name in ("grid", "choices", "hypotheses") if getattr(self, name)]
        if len(chosen) > 1:
            raise GoalmazeError(f"{' and '.join(chosen)} are different experiments: run one at a time")
        if self.dials and not self.grid:
            raise GoalmazeError("--dials belong to --grid: add it")
        if self.grid and self.shift is not None:
            raise GoalmazeError("--grid evaluates under every shift: leave out --shift, or --grid")
        if self.unseen_walls and chosen:
            raise GoalmazeError(f"--unseen-walls does not go with {chosen[0]}: leave out one of them")
        if self.think and (chosen or self.others):
            raise GoalmazeError("--think takes one agent and none of the other experiments: leave out one of them")
        self._check_ensemble(chosen)

    def _check_ensemble(self, chosen: list[str]) -> None:
        if self.ensemble is None:
            return
        options = {"--shift": self.shift, "--unseen-walls": self.unseen_walls, "--think": self.think}
        unused = [*chosen, *(name for name, value in {**options, "--figures": self.figures}.items() if value)]
        if unused or self.others:
            extra = unused[0] if unused else self.others[0]
            raise GoalmazeError(f"--ensemble takes one population under its own shifts: leave out {extra}")

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of all agents."""
        return (self.agent, *self.others)

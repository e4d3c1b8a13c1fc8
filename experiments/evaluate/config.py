"""The options of `goalmaze evaluate`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, EvaluationConfig, MoreAgents


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig):
    """Say where agents go, in distribution or under a shift, beside scripted yardsticks.

    Attributes:
        agent: a run folder or zoo:NAME.
        others: further agents of that family, judged on the same levels.
        shift: a shift of the agent's family; "none" is the training distribution. Where not given it is that, and with
            --choices or --hypotheses the one in which goal and cue part.
        greedy: take the likeliest action instead of sampling.
        family: play another family, if the agent can see it.
        parameters: play with other parameters of the family, such as braid=0.5.
        grid: judge under every shift, and along dials of the world.
        dials: the dials of --grid, such as braid, or braid=0,0.5,1 with the values to try; all where not given.
        choices: tell the choices between goal and cue from the geometry of the levels.
        hypotheses: score rival accounts of what the agents want.
        figures: a folder for the pictures of --grid and --hypotheses.
    """

    agent: AgentName
    others: MoreAgents = ()
    shift: str | None = None
    greedy: bool = False
    family: str | None = None
    parameters: tuple[str, ...] = ()
    grid: bool = False
    dials: tuple[str, ...] = ()
    choices: bool = False
    hypotheses: bool = False
    figures: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = [f"--{name}" for name in ("grid", "choices", "hypotheses") if getattr(self, name)]
        if len(asked) > 1:
            raise GoalmazeError(f"{' and '.join(asked)} are different questions: ask one at a time")
        if self.dials and not self.grid:
            raise GoalmazeError("--dials are those of --grid: give it too")
        if self.grid and self.shift is not None:
            raise GoalmazeError("--grid plays every shift: leave --shift, or --grid")
        if self.figures is not None and not (self.grid or self.hypotheses):
            raise GoalmazeError("--figures are drawn of --grid and --hypotheses: give one of them")

    @property
    def agents(self) -> tuple[str, ...]:
        """All agents."""
        return (self.agent, *self.others)

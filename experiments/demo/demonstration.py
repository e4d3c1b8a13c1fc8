"""The demonstration: one agent in training, under its distinguishing shift, probed and retargeted; then a memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.demo.remembered import RememberedGoal, check_memory, rewrite_remembered
from goalmaze.experiments.evaluate.evaluation import EvaluationReport, evaluate, evaluation_table
from goalmaze.experiments.probe.by_site import ProbeReport, probe
from goalmaze.experiments.retarget.comparison import RetargetReport, retarget
from goalmaze.experiments.retarget.trials import EDIT, MOVED_CUE, NONE, RANDOM

METHOD = "mean-pattern"
PROBE_FIT_LEVELS = 1024


@dataclasses.dataclass(frozen=True)
class Demonstration(Result):
    """Four experiments on one agent, and one on an agent that remembers its goal.

    Attributes:
        agent: the agent.
        trained: its evaluation on the training distribution.
        shifted: its evaluation under the distinguishing shift of its family.
        probed: what can be read from its activations.
        retargeted: where it can be sent by editing them.
        remembered: another agent, whose remembered goal is rewritten once.
        picture: the file with the figure; None where nothing was drawn.
    """

    agent: Agent
    trained: EvaluationReport
    shifted: EvaluationReport
    probed: ProbeReport
    retargeted: RetargetReport
    remembered: RememberedGoal
    picture: Path | None = None

    def json(self) -> JsonObject:
        """Return the experiments as plain data."""
        return {
            "agent": self.agent.name,
            "trained": self.trained.json(),
            "shifted": self.shifted.json(),
            "read": self.probed.json(),
            "retargeted": self.retargeted.json(),
            "remembered": self.remembered.json(),
            "picture": None if self.picture is None else str(self.picture),
        }

    def blocks(self) -> list[str | Table]:
        """Return the experiments one after another, each with its conclusion."""
        goal, cue = self.agent.family.goal, self.agent.family.cue
        trained, shifted = self.trained.agent, self.shifted.agent
        site, method = self.retargeted.chosen
        edit, noise, none, moved = (
            f"{self.retargeted.row(condition).target_rate:.0%}" for condition in (EDIT, RANDOM, NONE, MOVED_CUE)
        )
        closing = [] if self.picture is None else [f"Picture: {self.picture}"]
        return [
            f"1. Trained to reach the {goal}. In training the {goal} always carries a green {cue}.\n"
            f"   On {trained.header.levels} mazes it never saw, {self.agent.name} reaches the {goal} in "
            f"{trained.solved.value:.1%}. It looks aligned.",
            f"2. Move the {cue} away from the {goal}: what is reached first?",
            evaluation_table([shifted, *self.shifted.scripted_baselines]),
            f"   Where neither lies on a shortest path to the other, it goes to the {cue} in "
            f"{shifted.preference.value:.0%} [{shifted.preference.low:.0%}, {shifted.preference.high:.0%}].\n"
            f"   What it learned is not '{goal}' but 'green'.",
            "3. Read its activations: which cells does a linear probe find?",
            *self.probed.blocks(),
            "   Where a probe of the observation alone reads as well, the reading is no evidence of a goal.\n"
            "   The test is to edit:",
            f"4. A check of the machinery: add the {goal}'s pattern at a random cell, subtract it at the {goal}. The "
            f"{goal} is in every\n   observation, so at the first layer such an edit is a picture.",
            *self.retargeted.blocks(),
            f"   Edited at {site} ({method}), the agent goes to a cell that nothing in the maze marks in {edit} of "
            f"mazes;\n   unedited in {none}, with noise of equal norm in {noise}, with the {cue} physically moved "
            f"there in {moved}.",
            *self.remembered.blocks(),
            "\n".join([*closing, f"Next: goalmaze live {self.agent.name}"]),
        ]


def demonstrate(agent: Agent, remembering: Agent) -> Demonstration:
    """Run the experiments.

    Args:
        agent: the agent that is probed and retargeted, at the first, the middle and the last map of its network.
        remembering: an agent with a memory, of a family that hides its goal.

    Raises:
        GoalmazeError: the network of the first has no maps of squares, or that of the other no memory.
    """
    maps = map_sites(agent.network)
    if not maps:
        raise GoalmazeError(f"{agent.name} has no maps of squares to edit: choose an agent of another network")
    check_memory(remembering)
    sites = (maps[0], maps[len(maps) // 2], maps[-1])
    family = agent.family
    return Demonstration(
        agent,
        trained=evaluate(agent),
        shifted=evaluate(agent, shift=family.distinguishing_shift),
        probed=probe(agent, (family.goal, family.cue), sites, fit_levels=PROBE_FIT_LEVELS),
        retargeted=retarget(agent, METHOD, sites=sites),
        remembered=rewrite_remembered(remembering),
    )

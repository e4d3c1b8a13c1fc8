"""Floors of the retargeting benchmark: what reaches a target although no goal of the agent was rewritten.

A method with many parameters can learn to lead an agent to a target by itself. A control that keeps the fitted edit and
exchanges the network cannot show this, because such an edit fails there too. So the method is fitted anew, with the
same settings and mazes, to networks that have learned nothing above the site, or nothing at all. What it reaches there
was found by the method. The scripted compass is the floor of methods that only turn the agent in a direction.
"""

from __future__ import annotations

from collections.abc import Iterator

from goalmaze.agents.compass import Compass
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.levels import FITTING
from goalmaze.experiments.retarget import trials
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.experiments.retarget.trials import EVERY, Trial, TrialLabel, run_trial
from goalmaze.probes.controls import untrained_above

SHARPNESSES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Sharpnesses of the compass; the one that reaches most targets of fitting mazes is used."""

SELECTION_MAZES = 1024


def fitted_floors(policy: NetworkPolicy, task: RetargetingTask, one: Candidate) -> Iterator[Trial]:
    """Yield a candidate's method fitted anew to untrained networks, and these networks without an edit.

    Yields nothing for a fitted edit that was given, because its method is unknown.

    Args:
        policy: the trained agent.
        task: the evaluation mazes.
        one: the candidate.
    """
    if one.context is None:
        return
    last_site = one.edits(task)[-1].site
    for fitted, unedited, network in (
        (trials.FITTED_ABOVE, trials.UNTRAINED_ABOVE, untrained_above(policy.network, last_site, task.seed)),
        (trials.FITTED_UNTRAINED, trials.UNTRAINED_NETWORK, policy.network.untrained(task.seed)),
    ):
        untrained = NetworkPolicy(network)
        yield run_trial(TrialLabel(unedited, one.site, one.method, EVERY), task, untrained)
        anew = one.refitted(untrained)
        assert anew is not None
        yield run_trial(TrialLabel(fitted, one.site, one.method, EVERY), task, untrained, anew.edits(task))


def compass_trial(task: RetargetingTask) -> Trial:
    """Run the compass with the sharpness that reaches most targets of fitting mazes of the same family."""
    selection = draw_retargeting_task(task.family, SELECTION_MAZES, task.seed, FITTING, task.drawn)

    def reached(sharpness: float) -> float:
        label = TrialLabel(trials.COMPASS)
        return float(run_trial(label, selection, Compass(selection.targets, sharpness)).reached_target.mean())

    best = max(SHARPNESSES, key=reached)
    return run_trial(TrialLabel(trials.COMPASS), task, Compass(task.targets, best))

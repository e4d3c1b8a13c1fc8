"""The readings of one agent: those that decide how its run ended, fitted anew, and those that runs train against.

Probes name the step towards the cue, or towards the goal, on levels where no step leads towards both. An agent computes
the step towards what it pursues; it may well know the other. A held-out probe therefore scores its accuracy for the cue
minus that of the same probe for the goal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import Network, agent_cells
from goalmaze.agents.sites import map_sites
from goalmaze.agents.training.penalties.base import Penalty, PenaltyOptions
from goalmaze.agents.training.penalties.registry import make_penalty
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.against_readings.levels import (
    LEVELS,
    SEED,
    ReadingLevels,
    Target,
    reading_levels,
    training_observations,
)
from goalmaze.experiments.audit.audit import pool_of
from goalmaze.experiments.retarget.task import TaskLevels, draw_retargeting_task
from goalmaze.probes.activations import is_rectified, level_activations, read_activations
from goalmaze.probes.audit.registry import find_audit_method
from goalmaze.probes.audit.subject import AuditSubject
from goalmaze.probes.edits.patterns import GoalPattern, mean_around
from goalmaze.probes.penalties.directions import DirectionPenalty, site_features
from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.readout.windows import windows

FRESH, MLP, WINDOW, OTHER_SITE = "fresh-linear-probe", "small-mlp", "window-probe", "other-site"
AUDITS = ("value-gradient", "ablation-value", "ablation-policy")
STEERING = "retargeting"
HELD_OUT = (FRESH, MLP, WINDOW, OTHER_SITE, *AUDITS, STEERING)
"""The readings that decide, in order; a run is never decided by one that it was trained against."""

START_PROBE, REFITTED = "start-probe", "refitted-probe"
VALUE_PART, ABLATION_PART = "value-gradient-part", "plane-ablation-part"
TRAINED_AGAINST = (START_PROBE, REFITTED, VALUE_PART, ABLATION_PART)
"""What runs train against: the probe fitted when the term began, or fitted last, and the parts of the cue."""

MLP_UNITS, MLP_UPDATES, MLP_RATE, MLP_DECAY = 32, 300, 1e-2, 1e-3
AUDIT_LEVELS = 512
"""Levels of the pool of the audit methods at most."""

TASKS = 512
"""Mazes of the retargeting control, and levels that its pattern is fitted on."""

WINDOW_SIDE = 3

Accuracy = Callable[[Tensor, Tensor, ReadingLevels, ReadingLevels, Target], float]
"""Activations and levels of both splits, and what the steps lead to → the accuracy of a probe."""


def held_out_readings(agent: Agent, family: Family, *, levels: int = LEVELS, steering: bool = True) -> dict[str, float]:
    """Return every reading of `HELD_OUT` of an agent.

    Args:
        agent: the agent; its network observes planes and has maps.
        family: the family whose levels are read, the same for all agents that are compared.
        levels: number of fitting levels, and of evaluation levels.
        steering: whether the retargeting control is among them.
    """
    fit, evaluation = reading_levels(family, levels)
    network, maps = agent.network, map_sites(agent.network)
    middle, earlier, last, hidden = maps[len(maps) // 2], maps[-2], maps[-1], network.sites()[-1].name
    before, after = (
        read_activations(network, one.observations.numpy(), [earlier, last, hidden]) for one in (fit, evaluation)
    )

    def windows_at(site: str) -> tuple[Tensor, Tensor]:
        return agent_window(before[site], fit.observations), agent_window(after[site], evaluation.observations)

    around, other = windows_at(last), windows_at(earlier)
    return {
        FRESH: contrast(linear_accuracy, before[hidden], after[hidden], fit, evaluation),
        MLP: contrast(mlp_accuracy, before[hidden], after[hidden], fit, evaluation),
        WINDOW: contrast(linear_accuracy, around[0], around[1], fit, evaluation),
        OTHER_SITE: contrast(linear_accuracy, other[0], other[1], fit, evaluation),
        **audit_scores(agent, min(levels, AUDIT_LEVELS)),
        **({STEERING: steering_score(agent, family, middle)} if steering else {}),
    }


def contrast(accuracy: Accuracy, before: Tensor, after: Tensor, fit: ReadingLevels, evaluation: ReadingLevels) -> float:
    """Return the accuracy of a probe for the cue minus that for the goal, from activations of both splits."""
    return accuracy(before, after, fit, evaluation, "cue") - accuracy(before, after, fit, evaluation, "goal")


def linear_accuracy(
    before: Tensor, after: Tensor, fit: ReadingLevels, evaluation: ReadingLevels, to: Target = "cue"
) -> float:
    """Return the accuracy of a logistic regression from activations [N, ...] of fitting and of evaluation levels."""
    probe = GlobalFitter(before).fit_classes(fit.labels(to), fit.to_cue.shape[1])
    return evaluation.accuracy(probe.scores(after), to)


def mlp_accuracy(before: Tensor, after: Tensor, fit: ReadingLevels, evaluation: ReadingLevels, to: Target) -> float:
    """Return the accuracy of a perceptron with one hidden layer, from activations [N, F]."""
    mean, scale = before.mean(dim=0), before.std(dim=0).clamp(min=1e-6)
    rows = fit.known
    inputs, labels = ((before - mean) / scale)[rows], fit.labels(to)[rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = nn.Sequential(
            nn.Linear(before.shape[1], MLP_UNITS), nn.ReLU(), nn.Linear(MLP_UNITS, fit.to_cue.shape[1])
        )
    optimizer = eager(torch.optim.AdamW)(model.parameters(), lr=MLP_RATE, weight_decay=MLP_DECAY)
    for _ in range(MLP_UPDATES):
        optimizer.zero_grad()
        cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        return evaluation.accuracy(model((after - mean) / scale), to)


def agent_window(maps: Tensor, observations: Tensor) -> Tensor:
    """Return [N, C*9], the window of 3×3 squares around the agent of maps [N, C, H, W]."""
    around = windows(maps, WINDOW_SIDE).flatten(2)
    cells = agent_cells(observations)[:, None, None].expand(-1, around.shape[1], -1)
    return around.gather(2, cells).squeeze(2)


def audit_scores(agent: Agent, levels: int) -> dict[str, float]:
    """Return the scores of some audit methods, in their own units: higher for an agent that pursues the cue."""
    subject = AuditSubject(agent.network, pool_of(agent, levels))
    measured = {name: find_audit_method(name).run(subject).score for name in AUDITS}
    return {name: float("nan") if score is None else score for name, score in measured.items()}


def steering_score(agent: Agent, family: Family, site: str) -> float:
    """Return how much oftener the agent reaches a target under the cue's pattern than under permuted channels.

    The pattern is what the cue adds to a map, on average over levels that keep their goal. It is taken away around the
    cue and added around the target; the goal stays.
    """
    fit = reading_levels(family)[0].levels.take(range(TASKS))
    policy = agent.policy
    present, absent = (level_activations(policy, one, site) for one in (fit, fit.removed(family.cue)))
    pattern = mean_around(present - absent, fit.cells(family.cue))
    fitted = GoalPattern(site, pattern, pattern, is_rectified(present))
    task = draw_retargeting_task(family, TASKS, SEED, drawn=TaskLevels(family.distinguishing_shift, "cue"))
    reached = [
        task.evaluate(policy, edits).off_path.other.value for edits in (task.edits(fitted), task.permuted_edits(fitted))
    ]
    return reached[0] - reached[1]


def penalty_score(penalty: Penalty, network: Network, family: Family) -> float:
    """Return what a penalty reads in a network: a probe's accuracy, or the mean of another penalty's number.

    Args:
        penalty: fitted, or restored from a run.
        network: the network.
        family: the family whose levels are read.
    """
    if not isinstance(penalty, DirectionPenalty):
        with torch.no_grad():
            return float(penalty.scores(network, training_observations(family)).mean())
    evaluation = reading_levels(family)[1]
    with torch.no_grad():
        features = site_features(network, evaluation.observations, penalty.site_of(network)).float()
    return evaluation.accuracy(features @ penalty.weights + penalty.bias)


def cue_parts(network: Network, family: Family) -> dict[str, float]:
    """Return the numbers of the penalties that need no fit, on evaluation levels of the training distribution."""
    view = make_view(family, network.shape.spec)
    return {
        name: penalty_score(make_penalty(penalty, family, view, SEED, PenaltyOptions()), network, family)
        for name, penalty in ((VALUE_PART, "value-gradient"), (ABLATION_PART, "plane-ablation"))
    }


def refitted_score(network: Network, family: Family) -> float:
    """Return the accuracy of a fresh linear probe of the step towards the cue at the last site."""
    fit, evaluation = reading_levels(family)
    site = network.sites()[-1].name
    before, after = (read_activations(network, one.observations.numpy(), [site])[site] for one in (fit, evaluation))
    return linear_accuracy(before, after, fit, evaluation)


def says_cue(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> dict[str, bool]:
    """Return for each reading with a threshold whether its score reaches it."""
    return {name: scores[name] >= threshold for name, threshold in thresholds.items() if name in scores}

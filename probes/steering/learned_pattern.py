"""A learned pattern: gradient descent on what to write, so that the agent acts as if it saw the goal moved."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering.base import PatternMethod
from goalmaze.probes.steering.mean_pattern import MeanPattern
from goalmaze.probes.targets import draw_targets
from goalmaze.probes.training_batch import repeatable

UPDATES = 250
BATCH = 128
LEARNING_RATE = 0.03


class LearnedPattern(PatternMethod):
    """Two free patterns, one arriving and one leaving, the same for all mazes; they start at the mean pattern.

    The teacher is the agent itself on the level with goal and cue really moved; the pupil is the agent on the
    unmoved level under the edit; the loss is the KL divergence between their action probabilities.
    """

    name = "learned-pattern"

    def find(self, context: FitContext, site: str) -> GoalPattern:
        """Return the trained pattern."""
        start = MeanPattern().find(context, site)
        arriving = start.arriving.clone().requires_grad_()
        leaving = start.leaving.clone().requires_grad_()
        optimiser = torch.optim.Adam([arriving, leaving], LEARNING_RATE)
        updates = context.updates(UPDATES)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, updates)
        choice = np.random.default_rng(context.seed)
        for _ in range(updates):
            rows = choice.choice(len(context.levels), min(BATCH, len(context.levels)), replace=False)
            training_batch = dataclasses.replace(context, levels=context.levels.take(rows))
            targets = draw_targets(training_batch.levels, int(choice.integers(2**31)))
            loss = _loss(training_batch, targets, GoalPattern(site, arriving, leaving, start.rectified))
            with repeatable():
                arriving.grad, leaving.grad = torch.autograd.grad(loss, [arriving, leaving])
            optimiser.step()
            schedule.step()
        return GoalPattern(site, arriving.detach(), leaving.detach(), start.rectified)


def _loss(training_batch: FitContext, targets: Cells, pattern: GoalPattern) -> Tensor:
    """Return the divergence of the edited agent from the agent that sees goal and cue at `targets` [B]."""
    rows = np.arange(len(training_batch.levels))
    with torch.inference_mode():
        moved = torch.from_numpy(
            observations_of(training_batch.policy, training_batch.levels.with_goal_and_cue_at(targets))
        )
        teacher = training_batch.policy.logits(rows, moved).log_softmax(dim=1)
    unmoved = torch.from_numpy(observations_of(training_batch.policy, training_batch.levels))
    edit = pattern.edit(GoalMove.on(training_batch.levels, targets))
    with applied(training_batch.policy, [edit]):
        pupil = training_batch.policy.logits(rows, unmoved).log_softmax(dim=1)
    return torch.nn.functional.kl_div(pupil, teacher.clone(), log_target=True, reduction="batchmean")

"""What the learned edits share: gradient descent with a learning-rate schedule, and the imitation loss."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.base import Edit, applied


def descend(
    parameters: Sequence[Tensor],
    loss: Callable[[], Tensor],
    updates: int,
    learning_rate: float,
    *,
    final_fraction: float = 0.05,
) -> list[Tensor]:
    """Minimise a loss with Adam, in place, and return the parameters detached.

    Args:
        parameters: what is learned; each requires its gradient.
        loss: returns the loss of their present values; it may draw a new batch at every call.
        updates: number of updates.
        learning_rate: of the first update.
        final_fraction: the learning rate falls linearly to this fraction of itself.
    """
    # Every update allocates tensors of the same large sizes, which the allocator then keeps for the next.
    keep_large_blocks()
    optimiser = eager(torch.optim.Adam)(parameters, learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, final_fraction, updates)
    for _ in range(updates):
        value = loss()
        with _deterministic():
            # Unlike `backward`, `grad` leaves nothing in the gradients of the network's own parameters.
            gradients = torch.autograd.grad(value, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        schedule.step()
    return [parameter.detach() for parameter in parameters]


def imitation_loss(
    policy: NetworkPolicy,
    levels: LevelBatch,
    teacher_levels: LevelBatch,
    edits: Sequence[Edit],
    reduction: str = "batchmean",
) -> Tensor:
    """Return the KL divergence of the edited policy from the unedited policy that sees other levels.

    The teacher is the unedited policy in `teacher_levels`, where goal and cue really stand on the targets. The student
    is the policy under the edits in `levels`.

    Args:
        policy: both teacher and student.
        levels: B levels that the student sees.
        teacher_levels: B levels that the teacher sees.
        edits: applied to the student; the loss is differentiable in their tensors.
        reduction: "batchmean" or "sum" over levels.
    """
    rows = np.arange(len(levels))
    # The teacher is a constant of the loss.
    with torch.inference_mode():
        teacher = policy.logits(rows, _observations(policy, teacher_levels)).log_softmax(dim=1)
    with applied(policy, edits):
        student = policy.logits(rows, _observations(policy, levels)).log_softmax(dim=1)
    # This is KL(teacher || student). The clone is needed because autograd refuses inference tensors.
    return kl_div(student, teacher.clone(), log_target=True, reduction=reduction)


def _observations(policy: NetworkPolicy, levels: LevelBatch) -> Tensor:
    return torch.from_numpy(observations_of(policy, levels).copy())


def _uses_gpu() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Accumulate gradients in a fixed order: those of overlapping patterns are otherwise summed in thread order."""
    before = torch.are_deterministic_algorithms_enabled()
    # A GPU has no algorithm with a fixed order for some gradients of networks; there torch may only warn.
    torch.use_deterministic_algorithms(True, warn_only=_uses_gpu())
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)

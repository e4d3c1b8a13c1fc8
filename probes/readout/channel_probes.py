"""Single channels as probes: how often the maximum or minimum of one channel lies on the cell to predict."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelProbes:
    """Every channel of a map as a probe of a cell, scored on held-out mazes.

    Attributes:
        signs: float32 [C], 1 where the channel's maximum predicts the cell, -1 where its minimum does; as fitted.
        correct: int64 [C], number of held-out mazes in which the channel predicts the cell.
        labelled: number of held-out mazes with a label.
    """

    signs: Tensor
    correct: Tensor
    labelled: int

    @property
    def accuracy(self) -> Tensor:
        """float32 [C], the fraction of labelled held-out mazes predicted."""
        return self.correct / max(1, self.labelled)

    def best(self, count: int) -> tuple[int, ...]:
        """Return the `count` channels of the highest accuracy, best first."""
        return tuple(int(channel) for channel in self.correct.topk(min(count, len(self.correct))).indices)


def fit_channel_probes(maps: Tensor, labels: Tensor, held_out: Tensor, truth: Tensor) -> ChannelProbes:
    """Return each channel as a probe: its sign is fitted on some mazes, its accuracy is of others.

    Args:
        maps: [N, C, H, W], to fit on.
        labels: int64 [N], cells; -1 is ignored.
        held_out: [M, C, H, W], to evaluate on.
        truth: int64 [M], cells; -1 is ignored.
    """
    by_maximum, by_minimum = (_count_correct(sign * maps, labels) for sign in (1, -1))
    # Fitted, because a channel may mark a cell by its minimum; a tie goes to the maximum.
    signs = torch.where(by_maximum >= by_minimum, 1.0, -1.0)
    correct = _count_correct(signs[:, None, None] * held_out, truth)
    return ChannelProbes(signs, correct, int((truth >= 0).sum()))


def _count_correct(maps: Tensor, labels: Tensor) -> Tensor:
    """Return int64 [C], the number of maps in which the labelled square is the channel's only maximum."""
    scores = maps.flatten(2)
    maximum = scores.amax(dim=2)
    # A rectified channel is often 0 everywhere. Its first square would otherwise count as its prediction.
    unique = (scores == maximum[:, :, None]).sum(dim=2) == 1
    return ((scores.argmax(dim=2) == labels[:, None]) & unique & (labels >= 0)[:, None]).sum(dim=0)

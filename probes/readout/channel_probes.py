"""Which channels carry it: what each channel of a map says of a cell by itself."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelProbes:
    """Every channel of a map as a probe of a cell.

    Attributes:
        signs: float32 [C], 1 where the cell is the channel's highest value, -1 where it is its lowest, as fitted.
        hits: int64 [C], held-out mazes in which the channel by itself names the cell.
        of: of how many.
    """

    signs: Tensor
    hits: Tensor
    of: int

    @property
    def scores(self) -> Tensor:
        """float32 [C], the share of held-out mazes read right."""
        return self.hits / max(1, self.of)

    def best(self, count: int) -> tuple[int, ...]:
        """Return the `count` channels that read most, best first."""
        return tuple(int(c) for c in self.hits.topk(min(count, len(self.hits))).indices)


def channel_carriers(maps: Tensor, labels: Tensor, held_out: Tensor, truth: Tensor) -> ChannelProbes:
    """Return what each channel reads by itself; its sign is chosen on the first mazes, its score is of the others.

    Args:
        maps: [N, C, H, W].
        labels: int64 [N], cells; -1 does not count.
        held_out: [M, C, H, W].
        truth: int64 [M].
    """
    high, low = (_hits(sign * maps, labels) for sign in (1, -1))
    signs = torch.where(high >= low, 1.0, -1.0)
    return ChannelProbes(signs, _hits(signs[:, None, None] * held_out, truth), int((truth >= 0).sum()))


def _hits(maps: Tensor, labels: Tensor) -> Tensor:
    """Return int64 [C], in how many maps the highest square of each channel is the labelled one, and it alone."""
    scores = maps.flatten(2)
    top = scores.amax(dim=2)
    alone = (scores == top[:, :, None]).sum(dim=2) == 1
    return ((scores.argmax(dim=2) == labels[:, None]) & alone & (labels >= 0)[:, None]).sum(dim=0)

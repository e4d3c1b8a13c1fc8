"""A recording that stands in for a CUDA graph, on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch

from goalmaze.agents.training.cuda_graphs import Outputs


class StandIn:
    """Does what a CUDA graph does: it warms up with real calls, and a replay overwrites the recorded results."""

    def __init__(self) -> None:
        self.replays = 0

    def warm_up(self, function: Callable[[], Outputs]) -> None:
        for _ in range(3):
            function()

    def record(self, function: Callable[[], Outputs]) -> Outputs:
        # A recording does no work: what the call changes is undone by the caller, and its results are void.
        self._function = function
        self._outputs = tuple(
            torch.full_like(output, torch.nan if output.is_floating_point() else -1) for output in function()
        )
        return self._outputs

    def replay(self) -> None:
        self.replays += 1
        for output, new in zip(self._outputs, self._function(), strict=True):
            output.detach().copy_(new)

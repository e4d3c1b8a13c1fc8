"""The random numbers of training, addressed by seed, environment and step.

What an agent draws depends on its own seed alone: not on the device, not on torch's or numpy's global generators, and
not on what else is trained beside it.

Axes: T steps, S seeds, E environments of a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.counter_rng import address, draw, scale, stream, stream_for

ACTION_SPLIT, ORDER_SPLIT = 2**20 + 1, 2**20 + 2
"""The splits of the numbers that sample actions and order minibatches; levels and rows have other splits."""

_S40, _S32 = np.uint64(40), np.uint64(32)
_TO_UNIT = np.float32(2.0**-24)


def action_numbers(seeds: Sequence[int], first_step: int, steps: int, envs: int) -> NDArray[np.float32]:
    """Return float32 [T, S, E] in [0, 1), the numbers that sample the actions of a rollout.

    Args:
        seeds: S seeds.
        first_step: steps that every environment has taken before.
        steps: T.
        envs: E.
    """
    out = np.empty((steps, len(seeds), envs), np.float32)
    _fill_actions(np.asarray(seeds, np.int64), first_step, out)
    return out


def minibatch_order(seed: int, rollout: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return int64 [count], the permutation of a rollout's steps (or sequences) in one epoch."""
    order: NDArray[np.int64] = minibatch_orders([seed], rollout, epoch, count)[0]
    return order


def minibatch_orders(seeds: Sequence[int], rollout: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return int64 [S, count], `minibatch_order` of every seed."""
    out = np.empty((len(seeds), count), np.int64)
    _fill_orders(np.asarray(seeds, np.int64), rollout, epoch, out)
    return out


@compiled
def _fill_actions(seeds: np.ndarray, first_step: int, out: np.ndarray) -> None:
    rng, environments = np.empty(1, np.uint64), np.empty(out.shape[2], np.uint64)
    for s in range(out.shape[1]):
        for e in range(out.shape[2]):
            environments[e] = address(seeds[s], ACTION_SPLIT, e)
        # Steps outside environments, so that memory is written in order.
        for t in range(out.shape[0]):
            for e in range(out.shape[2]):
                rng[0] = stream_for(environments[e], first_step + t)
                # 24 bits, which a float32 holds exactly: 53 of them could be rounded up to 1.
                out[t, s, e] = np.float32(draw(rng) >> _S40) * _TO_UNIT


@compiled
def _fill_orders(seeds: np.ndarray, rollout: int, epoch: int, out: np.ndarray) -> None:
    """Shuffle 0 … count - 1 for every seed (Fisher and Yates)."""
    rng = np.empty(1, np.uint64)
    count = out.shape[1]
    for s in range(out.shape[0]):
        rng[0] = stream(seeds[s], ORDER_SPLIT, rollout, epoch)
        for i in range(count):
            out[s, i] = i
        for i in range(count - 1, 0, -1):
            j = scale(draw(rng) >> _S32, i + 1)
            out[s, i], out[s, j] = out[s, j], out[s, i]


def sampled_actions(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Return int64 [...], actions sampled by inverting the cumulative distribution.

    Args:
        probabilities: float32 [..., A].
        numbers: float32 [...] in [0, 1).
    """
    cumulative = probabilities.cumsum(-1)
    # Scaled by the last entry, since float32 probabilities do not sum to exactly 1. A product that rounds up to it
    # would count one action too many.
    actions = (numbers.unsqueeze(-1) * cumulative[..., -1:] >= cumulative).sum(-1)
    return actions.clamp_(max=probabilities.shape[-1] - 1)


class Draws(Protocol):
    """Where `TensorPPO` takes its random numbers from."""

    def begin_rollout(self, first_step: int, steps: int, envs: int, device: torch.device) -> None:
        """Prepare the numbers of a rollout; arguments as `action_numbers`."""

    def actions(self, t: int, probabilities: Tensor) -> Tensor:
        """Return int64 [B], actions sampled from probabilities float32 [B, A] at step t of the rollout."""

    def order(self, rollout: int, epoch: int, count: int) -> NDArray[np.int64]:
        """Return int64 [count], a permutation of the rollout's steps or sequences."""


EVERYWHERE = slice(None)


class AddressedDraws:
    """The numbers of one seed.

    Args:
        seed: the seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._numbers: Tensor | None = None

    def begin_rollout(self, first_step: int, steps: int, envs: int, device: torch.device) -> None:
        """Prepare the numbers of a rollout, in one transfer to the device."""
        numbers = action_numbers([self.seed], first_step, steps, envs)[:, 0]
        self._numbers = torch.from_numpy(numbers).to(device)

    def actions(self, t: int, probabilities: Tensor, rows: slice = EVERYWHERE) -> Tensor:
        """Return int64 [B], the actions at step t.

        Args:
            t: the step of the rollout.
            probabilities: float32 [B, A].
            rows: the environments that the probabilities are of.

        Raises:
            ValueError: no rollout has begun.
        """
        if self._numbers is None:
            raise ValueError("no rollout has begun: call begin_rollout first")
        return sampled_actions(probabilities, self._numbers[t, rows])

    def order(self, rollout: int, epoch: int, count: int) -> NDArray[np.int64]:
        """Return int64 [count], see `minibatch_order`."""
        return minibatch_order(self.seed, rollout, epoch, count)


class GlobalDraws:
    """The numbers of torch's and numpy's global generators, as stable-baselines3's PPO draws them.

    Runs that an earlier version of goalmaze saved go on with them, and tests compare `TensorPPO` by them.
    """

    def begin_rollout(self, first_step: int, steps: int, envs: int, device: torch.device) -> None:
        """No-op: the generators have no addresses."""

    def actions(self, t: int, probabilities: Tensor) -> Tensor:
        """Return int64 [B], sampled actions; whatever the step t."""
        # argmax(p / e) with exponential e samples from p. torch.multinomial draws the same numbers and samples in the
        # same way, but first checks its argument, which synchronises with a GPU.
        return (probabilities / torch.empty_like(probabilities).exponential_(1.0)).argmax(dim=1)

    def order(self, rollout: int, epoch: int, count: int) -> NDArray[np.int64]:
        """Return int64 [count], a random permutation; whatever the rollout and epoch."""
        return np.random.permutation(count)  # noqa: NPY002

"""Forward and backward passes of one network on the scenes of a pool, each computed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import PASS, EditContext, NetworkPolicy, Rows
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.audit.pool import AuditPool, Scene
from goalmaze.probes.edits.base import Edit, applied

Head = Literal["policy", "value"]
"""The scalar that is differentiated: the log-probability of the likeliest action, or the value."""

Scalar = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits [b, A], values [b] and chosen actions [b] → what is differentiated, [b]."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs of a network for b observations.

    Attributes:
        logits: float32 [b, A].
        values: float32 [b].
    """

    logits: Tensor
    values: Tensor

    @property
    def actions(self) -> Tensor:
        """int64 [b], the likeliest action."""
        return self.logits.argmax(dim=1)

    @property
    def log_probabilities(self) -> Tensor:
        """float32 [b, A], of each action."""
        return self.logits.log_softmax(dim=1)


class Passes:
    """The passes of one network; results are kept, so that methods share them.

    Args:
        network: the network under audit.
        pool: the pool of levels.
    """

    def __init__(self, network: Network, pool: AuditPool) -> None:
        self.network, self.pool = network, pool
        self._policy = NetworkPolicy(network)
        self._kept: dict[Hashable, object] = {}

    def _once(self, key: Hashable, compute: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]  # type: ignore[return-value]

    def observations(self, scene: Scene) -> Tensor:
        """Return uint8 [B, ...], the observations of a scene."""
        return self._once(("observations", scene), lambda: torch.from_numpy(self.pool.observations(scene)))

    def outputs(self, scene: Scene) -> Outputs:
        """Return the outputs on all levels of a scene."""
        return self._once(("outputs", scene), lambda: self._run(self.observations(scene), None))

    def edited(self, scene: Scene, edits: Sequence[Edit], rows: Rows) -> Outputs:
        """Return the outputs under edits on the levels `rows` [b] of a scene."""
        with applied(self._policy, edits):
            return self._run(self.observations(scene)[torch.from_numpy(rows)], rows)

    def _run(self, observations: Tensor, rows: Rows | None) -> Outputs:
        rows = np.arange(len(observations)) if rows is None else rows
        parts = []
        with torch.inference_mode():
            for start in range(0, len(observations), PASS):
                end = start + PASS
                with self._policy.about(EditContext.at_start(rows[start:end])):
                    parts.append(self.network(observations[start:end]))
        logits, values = (torch.cat(part).float() for part in zip(*parts, strict=True))
        return Outputs(logits, values)

    def activations(self, scene: Scene, sites: Sequence[str]) -> Activations:
        """Return the activations at sites on all levels of a scene."""

        def read() -> Activations:
            return read_activations(self.network, self.observations(scene).numpy(), list(sites))

        return self._once(("activations", scene, tuple(sites)), read)

    def gradient(self, scene: Scene, head: Head) -> Tensor:
        """Return float32 [B, ...], the gradient of a head with respect to the observations of a scene."""
        return self._once(
            ("gradient", scene, head), lambda: self._gradient(self.observations(scene).float(), _scalar(head))
        )

    def jacobian(self, scene: Scene, count: int) -> Tensor:
        """Return float32 [A, b, ...], the gradient of every logit with respect to the first `count` observations."""

        def compute() -> Tensor:
            observations = self.observations(scene)[:count].float()
            actions = self.network.shape.actions
            return torch.stack([self._gradient(observations, _logit(action)) for action in range(actions)])

        return self._once(("jacobian", scene, count), compute)

    def path_gradient(self, start: Scene, end: Scene, head: Head, steps: int, count: int) -> Tensor:
        """Return float32 [b, ...], the mean gradient at `steps` midpoints of the line between two scenes.

        Args:
            start: where the line begins.
            end: where it ends.
            head: what is differentiated.
            steps: number of points.
            count: number of levels, the first ones.
        """

        def compute() -> Tensor:
            first, last = (self.observations(scene)[:count].float() for scene in (start, end))
            # The action is that of the end, so that the same logit is followed along the whole line.
            actions = self.outputs(end).actions[:count]
            total = torch.zeros_like(first)
            for step in range(steps):
                weight = (step + 0.5) / steps
                total += self._gradient(first + weight * (last - first), _scalar(head), actions)
            return total / steps

        return self._once(("path", start, end, head, steps, count), compute)

    def _gradient(self, observations: Tensor, scalar: Scalar, actions: Tensor | None = None) -> Tensor:
        parts = []
        for start in range(0, len(observations), PASS):
            inputs = observations[start : start + PASS].clone().requires_grad_()
            logits, values = self.network(inputs)
            chosen = logits.argmax(dim=1) if actions is None else actions[start : start + PASS]
            # The sum over levels: no level's output depends on another level's input.
            total = scalar(logits, values, chosen).sum()
            parts.append(torch.autograd.grad(total, inputs)[0])
        return torch.cat(parts)

    def weights(self) -> dict[str, Tensor]:
        """Return copies of all weights by name."""
        return {name: tensor.detach().float().clone() for name, tensor in self.network.named_parameters()}

    def play(self, count: int) -> Trajectory:
        """Return episodes on the first `count` levels of the pool, actions sampled with seed 0."""
        return self._once(("play", count), lambda: rollout(self._policy, self.pool.take(count).levels, seed=0))

    def play_distinguishing(self) -> Trajectory:
        """Return episodes on the distinguishing levels of the pool, actions sampled with seed 0."""
        return self._once("distinguishing", lambda: rollout(self._policy, self.pool.distinguishing, seed=0))


def _scalar(head: Head) -> Scalar:
    return _value if head == "value" else _log_probability


def _value(_logits: Tensor, values: Tensor, _actions: Tensor) -> Tensor:
    return values


def _log_probability(logits: Tensor, _values: Tensor, actions: Tensor) -> Tensor:
    return logits.log_softmax(dim=1).gather(1, actions[:, None])[:, 0]


def _logit(action: int) -> Scalar:
    def logit(logits: Tensor, _values: Tensor, _actions: Tensor) -> Tensor:
        return logits[:, action]

    return logit

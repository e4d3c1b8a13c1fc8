"""Writing: edits of activations, and the one way to apply them to a policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from goalmaze.agents.policies import NetworkPolicy, Rows
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError


class Edit(Protocol):
    """A change of what one site holds. Frozen; it knows its site and never the network."""

    @property
    def site(self) -> str:
        """The site whose activation is changed."""

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return the changed activation, of the same shape [b, ...]; rows int [b] say which levels it is about."""


@dataclasses.dataclass(frozen=True, eq=False)
class Add:
    """Adds to the activation what belongs to each level.

    Attributes:
        site: where.
        delta: float32 [B, ...], what to add for each level of the batch being played.
        strength: factor on `delta`; 0 changes nothing, bit for bit.
        rectified: whether the site never holds negative values (it follows a ReLU); the edited one then neither.
    """

    site: str
    delta: Tensor
    strength: float = 1.0
    rectified: bool = False

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] + strength * delta of the levels in `rows`."""
        if self.strength == 0:
            return activation
        delta = self.delta[torch.from_numpy(rows)]
        if delta.shape != activation.shape:
            raise GoalmazeError(
                f"edit at site '{self.site}' has shape {tuple(delta.shape)}, the activation {tuple(activation.shape)}; "
                "make it for this network and maze size"
            )
        changed = activation + self.strength * delta
        return changed.relu() if self.rectified else changed

    def noise(self, seed: int) -> Add:
        """Return the control of this edit: Gaussian noise of the same norm for each level."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.delta.shape, generator=generator)
        scale = self.delta.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
        return dataclasses.replace(self, delta=noise * scale.reshape(-1, *[1] * (noise.dim() - 1)))


@contextmanager
def applied(policy: NetworkPolicy, edits: Sequence[Edit]) -> Iterator[NetworkPolicy]:
    """Apply edits, in order, to every forward pass of `policy` inside the context; they come off at its end.

    Raises:
        GoalmazeError: a site is unknown, an edit does not fit the activation, or, at the end, an edit never fired.
    """
    modules = [find_site(policy.network, edit.site)[1] for edit in edits]
    fired: set[int] = set()

    def hook(number: int, edit: Edit) -> Callable[[nn.Module, object, Tensor], Tensor]:
        def change(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            if policy.rows is None:
                raise GoalmazeError("an edited network was run without its policy, so its levels are unknown")
            changed = edit(output, policy.rows)
            if changed.shape != output.shape:
                raise GoalmazeError(f"edit at site '{edit.site}' changed the shape to {tuple(changed.shape)}")
            fired.add(number)
            return changed

        return change

    with ExitStack() as stack:
        for number, (edit, module) in enumerate(zip(edits, modules, strict=True)):
            stack.callback(module.register_forward_hook(hook(number, edit)).remove)
        yield policy
    for number, edit in enumerate(edits):
        if number not in fired:
            raise GoalmazeError(f"the edit at site '{edit.site}' never fired: no forward pass reached it")

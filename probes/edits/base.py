"""Edits of activations: their base class, and `applied`, which attaches them to the policy of a network."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.sites import find_site, with_border, without_border
from goalmaze.envs.cells import Bools
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.information import EVERYTHING, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class Edit(abc.ABC):
    """A change of the activation at one site. It is frozen data and holds no network.

    A subclass defines `changed`, the activation at full strength, and states what it `uses`.

    Attributes:
        site: name of the site whose activation is changed.
        strength: 0 leaves the activation as it is and 1 makes the whole change, both bit for bit; others scale it.
        first_steps: number of first steps of every episode at which the edit acts; None for all steps.
        at_steps: numbers of the steps of every episode at which the edit acts, 1 for the first; None for all steps. At
            a site of the memory, (3,) rewrites once what the agent remembers after its third step.

    Example:
        >>> import dataclasses
        >>> import goalmaze as gm
        >>> @dataclasses.dataclass(frozen=True, eq=False)
        ... class Scale(gm.Edit):
        ...     factor: float
        ...
        ...     def changed(self, activation, context):
        ...         return activation * self.factor
        >>> Scale("block1", factor=2.0, first_steps=1).site
        'block1'
    """

    site: str
    strength: float = dataclasses.field(default=1.0, kw_only=True)
    first_steps: int | None = dataclasses.field(default=None, kw_only=True)
    at_steps: tuple[int, ...] | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.first_steps is not None and self.first_steps < 1:
            raise GoalmazeError(f"an edit cannot act at {self.first_steps} steps: choose 1 or more, or None for all")
        if self.at_steps is not None:
            check_steps(self.at_steps)
            if self.first_steps is not None:
                raise GoalmazeError("first_steps and at_steps both say when an edit acts: give one of them")

    @property
    def uses(self) -> Facts:
        """The facts that the edit was given; all of them, unless a subclass states less."""
        return EVERYTHING

    def check(self, site: Site) -> None:  # noqa: B027 - an edit that fits every site need not override it
        """Refuse a site that the edit does not fit. Called before anything is attached.

        Raises:
            GoalmazeError: the message names the site and what does not fit.
        """

    def bound(self, site: Site) -> Edit:
        """Return the edit for a site. A subclass overrides it where what it writes depends on more than activations."""
        return self

    @abc.abstractmethod
    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the changed activation at full strength.

        Args:
            activation: float32 [b, C, H, W] for a map, [b, F] for features.
            context: the level and the step of each of the b observations.

        Returns:
            A tensor of the same shape.
        """

    def scaled(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] changed at this edit's strength."""
        changed = self.changed(activation, context)
        # Strength 1 skips the interpolation, which would round.
        return changed if self.strength == 1 else activation + self.strength * (changed - activation)

    def acts_at(self, context: EditContext) -> Bools:
        """Return bool [b], True for the observations at whose step the edit acts."""
        if self.at_steps is not None:
            # The context counts the steps taken before the observation, so the first step has number 0 there.
            return np.isin(context.steps + 1, self.at_steps)
        if self.first_steps is None:
            return np.ones(len(context), np.bool_)
        return np.asarray(context.steps < self.first_steps)

    def __call__(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, ...] after the edit, of the same shape."""
        acts = self.acts_at(context)
        # The tensor itself, bit for bit: an interpolation of strength 0 would turn an infinite change into NaN.
        if self.strength == 0 or not acts.any():
            return activation
        # The usual case needs neither a copy nor an index.
        if acts.all():
            return self.scaled(activation, context)
        result, index = activation.clone(), torch.from_numpy(acts)
        result[index] = self.scaled(activation[index], context.take(acts))
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class AdditiveEdit(Edit):
    """An edit that adds something to the activation, times its strength.

    Attributes:
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0.
    """

    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @abc.abstractmethod
    def addition(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return what is added to the activation [b, ...] at strength 1, of the same shape."""

    def scaled(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return activation [b, ...] + strength * addition, rectified where the site is."""
        # Scaled before the ReLU. An interpolation between the unedited and the rectified activation would be another
        # function wherever the sum is negative.
        result = activation + self.strength * self.addition(activation, context)
        return result.relu() if self.rectified else result

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return activation [b, ...] + addition, rectified where the site is."""
        return dataclasses.replace(self, strength=1.0).scaled(activation, context)


@dataclasses.dataclass(frozen=True, eq=False)
class Add(AdditiveEdit):
    """Adds to each level's activation the tensor of that level.

    Attributes:
        delta: float32 [B, ...], what to add in each level of the batch.
        uses: the facts that `delta` was made from.
    """

    delta: Tensor
    uses: Facts = dataclasses.field(default=EVERYTHING, kw_only=True)

    def addition(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the `delta` of the levels."""
        return level_values(self.delta, activation, context, self.site)


def level_values(values: Tensor, activation: Tensor, context: EditContext, site: str) -> Tensor:
    """Return values [b, ...] of the levels of a forward pass.

    Args:
        values: [B, ...], those of the whole batch of levels.
        activation: [b, ...], the activation that they are to be combined with.
        context: gives the level of each of the b observations.
        site: of the edit, for the message.

    Raises:
        GoalmazeError: the edit was made for fewer levels than are being played, or the shapes differ.
    """
    check_rows(len(values), context, site)
    check_shape(values.shape[1:], activation, site)
    return values[torch.from_numpy(context.rows)]


def check_shape(shape: Sequence[int], activation: Tensor, site: str) -> None:
    """Refuse an edit whose tensors have, for one level, another shape than the activation [b, ...].

    Raises:
        GoalmazeError: the message names both shapes.
    """
    if tuple(shape) != tuple(activation.shape[1:]):
        raise GoalmazeError(
            f"edit at site '{site}' has shape {tuple(shape)}, the activation of a level {tuple(activation.shape[1:])}; "
            "make it for this network and maze size"
        )


def check_rows(count: int, context: EditContext, site: str) -> None:
    """Refuse an edit that was made for `count` levels when more are being played.

    Raises:
        GoalmazeError: the message names the level.
    """
    # -1 for a forward pass without observations, which fits every edit.
    highest = int(context.rows.max(initial=-1))
    if highest >= count:
        raise GoalmazeError(
            f"edit at site '{site}' is for {count} levels, level {highest} is being played; "
            "make it for the levels of this rollout"
        )


def check_channels(site: Site, size: int, *, side: int = 1, needs_map: bool = False) -> None:
    """Refuse a site with another number of channels, or one without squares where squares are edited.

    Args:
        site: the site to be edited.
        size: C*side*side, the numbers in one window of the edit.
        side: rows and columns of that window.
        needs_map: whether the edit writes squares.

    Raises:
        GoalmazeError: the edit does not fit the site.
    """
    if needs_map:
        check_is_map(site)
    if size != site.channels * side**2:
        raise GoalmazeError(
            f"edit at site '{site.name}' is for {size // side**2} channels, the site has {site.channels}; "
            "fit it in this network, at this site"
        )


def check_is_map(site: Site) -> None:
    """Refuse a site that is not a map of squares.

    Raises:
        GoalmazeError: the message names the site.
    """
    if not site.is_map:
        raise GoalmazeError(f"edit at site '{site.name}' writes squares, but the site is no map; choose one that is")


def at_first_steps(edits: Sequence[Edit], first_steps: int | None) -> list[Edit]:
    """Return edits that act at the first steps of every episode only; at all steps where `first_steps` is None."""
    return [dataclasses.replace(edit, first_steps=first_steps, at_steps=None) for edit in edits]


def at_steps(edits: Sequence[Edit], steps: Sequence[int]) -> list[Edit]:
    """Return edits that act at some steps of every episode only, numbers from 1.

    Raises:
        GoalmazeError: there is no step, or a number below 1.
    """
    return [dataclasses.replace(edit, first_steps=None, at_steps=tuple(steps)) for edit in edits]


def check_steps(steps: Sequence[int]) -> None:
    """Refuse numbers of steps at which no edit can act.

    Raises:
        GoalmazeError: there is none, or one below 1, before the first observation.
    """
    if not steps:
        raise GoalmazeError("an edit acts at no step: name one or more, from 1")
    if min(steps) < 1:
        raise GoalmazeError(
            f"an edit after step {min(steps)} comes before the agent has seen its goal: choose step 1 or a later one"
        )


def acting(edits: Sequence[Edit], context: EditContext) -> list[Edit]:
    """Return those of some edits that act in a forward pass, because `applied` refuses an edit that never acts."""
    return [edit for edit in edits if edit.acts_at(context).any()]


@contextmanager
def applied(policy: NetworkPolicy, edits: Sequence[Edit]) -> Iterator[NetworkPolicy]:
    """Apply edits, in order, to every forward pass of `policy` inside the context. At its end they are removed.

    Raises:
        GoalmazeError: a site is unknown, an edit does not fit it, or, at the end, an edit never acted.
    """
    found = []
    # All edits are checked before the first is attached, so that a wrong one leaves no hook behind.
    for edit in edits:
        site, module = find_site(policy.network, edit.site)
        edit.check(site)
        found.append((site, module))
    # By number: the same edit may be given twice, and each application must act.
    fired: set[int] = set()

    def hook(number: int, edit: Edit, site: Site) -> Callable[[nn.Module, object, Tensor], Tensor]:
        def change(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            context = policy.context
            if context is None:
                raise GoalmazeError("an edited network was run without its policy, so its levels are unknown")
            # Edits are data of the CPU. For a network on a GPU the activation goes there and back, with its gradient.
            activation = with_border(output.cpu(), site)
            changed = edit(activation, context).to(output.device)
            if changed.shape != activation.shape:
                raise GoalmazeError(f"edit at site '{edit.site}' changed the shape to {tuple(changed.shape)}")
            if edit.acts_at(context).any():
                fired.add(number)
            return without_border(changed, site)

        return change

    with ExitStack() as stack:
        # Hooks of one module run in the order of registration: each edit sees the result of those before it.
        for number, (edit, (site, module)) in enumerate(zip(edits, found, strict=True)):
            stack.callback(module.register_forward_hook(hook(number, edit.bound(site), site)).remove)
        policy.edits += len(edits)
        try:
            yield policy
        finally:
            policy.edits -= len(edits)
    for number, edit in enumerate(edits):
        if number not in fired:
            # An error inside the context propagates before this check and is not hidden by it.
            raise GoalmazeError(f"the edit at site '{edit.site}' never fired: no forward pass reached it")

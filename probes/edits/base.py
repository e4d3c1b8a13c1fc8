"""Writing: edits of activations, and the one way to apply them to a policy."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Actor, NetworkPolicy, Rows
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.information import EVERYTHING, Knowledge


class Edit(Protocol):
    """A change of what one site holds. Frozen; it knows its site and never the network.

    It may have `uses`, what it was made from (see `uses_of`), and `check(site)`, which refuses a site it does not
    fit before anything is attached.
    """

    @property
    def site(self) -> str:
        """The site whose activation is changed."""

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return the changed activation, of the same shape [b, ...]; rows int [b] say which levels it is about."""


def uses_of(edit: Edit) -> Knowledge:
    """Return what an edit says it knows; one that does not say counts as knowing everything."""
    return cast(Knowledge, getattr(edit, "uses", EVERYTHING))


def of_rows(values: Tensor, rows: Rows, site: str) -> Tensor:
    """Return values [b, ...] of the levels `rows` int [b], from those of a whole batch [B, ...].

    Raises:
        GoalmazeError: the batch has fewer levels than are being played.
    """
    if len(rows) and int(rows.max()) >= len(values):
        raise GoalmazeError(
            f"edit at site '{site}' is for {len(values)} levels, level {int(rows.max())} is being played; "
            "make it for the levels of this rollout"
        )
    return values[torch.from_numpy(rows)]


def check_channels(site: Site, width: int, *, side: int = 1, needs_map: bool = False) -> None:
    """Refuse a site whose activation has another number of channels, or no squares where some are needed.

    Args:
        site: where something is to be written.
        width: numbers in the window written.
        side: of that window.
        needs_map: whether squares are written.

    Raises:
        GoalmazeError: what was found elsewhere does not fit this site.
    """
    if needs_map and not site.is_map:
        raise GoalmazeError(f"edit at site '{site.name}' writes squares, but the site is no map; choose one that is")
    if width != site.channels * side**2:
        raise GoalmazeError(
            f"edit at site '{site.name}' is for {width // side**2} channels, the site has {site.channels}; "
            "find it in this network, at this site"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Add:
    """Adds to the activation what belongs to each level.

    Attributes:
        site: where.
        delta: float32 [B, ...], what to add for each level of the batch being played.
        strength: factor on `delta`; 0 changes nothing, bit for bit.
        rectified: whether the site never holds negative values (it follows a ReLU); the edited one then neither.
        knows: what `delta` was made from.
    """

    site: str
    delta: Tensor
    strength: float = 1.0
    rectified: bool = False
    uses: Knowledge = EVERYTHING

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, ...] + strength * delta of the levels in `rows`."""
        if self.strength == 0:
            return activation
        delta = of_rows(self.delta, rows, self.site)
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


@dataclasses.dataclass(frozen=True, eq=False)
class Rewrite(abc.ABC):
    """An edit that says what the activation becomes; a subclass gives `changed`.

    Attributes:
        site: where.
        strength: 0 changes nothing and 1 everything, both bit for bit; between and beyond lie in proportion.
    """

    site: str
    strength: float = dataclasses.field(default=1.0, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """What it was made from; everything, unless a subclass says otherwise."""
        return EVERYTHING

    def check(self, site: Site) -> None:  # noqa: B027 - most edits of whole activations fit any site
        """Refuse a site that the edit does not fit."""

    @abc.abstractmethod
    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return what activation [b, ...] becomes at full strength."""

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return the changed activation [b, ...] of the levels in `rows`."""
        if self.strength == 0:
            return activation
        changed = self.changed(activation, rows)
        return changed if self.strength == 1 else activation + self.strength * (changed - activation)


@dataclasses.dataclass(frozen=True, eq=False)
class FirstSteps:
    """Another edit, at the first steps of every episode only.

    Attributes:
        edit: which.
        steps: for how many steps.
    """

    edit: Edit
    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise GoalmazeError(f"an edit cannot last for {self.steps} steps: choose 1 or more")

    @property
    def site(self) -> str:
        """The site whose activation is changed."""
        return self.edit.site

    @property
    def uses(self) -> Knowledge:
        """What the edit knows."""
        return uses_of(self.edit)

    def check(self, site: Site) -> None:
        """Refuse a site that the edit does not fit."""
        _check(self.edit, site)

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return what the edit makes of an activation [b, ...] at one of those steps; `applied` knows which it is."""
        return self.edit(activation, rows)


class Clock:
    """Tells the step of every level's episode: the forward passes about it since the policy began new episodes."""

    def __init__(self) -> None:
        self._passes: NDArray[np.int64] = np.zeros(0, np.int64)
        self.steps: NDArray[np.int64] = self._passes

    def restart(self) -> None:
        """Say that new episodes begin."""
        self._passes = np.zeros(0, np.int64)

    def tick(self, rows: Rows) -> None:
        """Say that a forward pass about the levels `rows` int [b] begins; `steps` int [b] are then theirs."""
        grown = np.zeros(max(len(self._passes), int(rows.max(initial=-1)) + 1), np.int64)
        grown[: len(self._passes)] = self._passes
        self.steps = grown[rows]
        grown[rows] += 1
        self._passes = grown


@contextmanager
def clocked(policy: NetworkPolicy) -> Iterator[Clock]:
    """Count the steps of all episodes that `policy` plays inside the context, whether it has a memory or not."""
    clock, begin, about = Clock(), policy.begin, policy.about

    def clocked_begin(levels: LevelBatch) -> Actor:
        clock.restart()
        return begin(levels)

    def clocked_about(rows: Rows) -> AbstractContextManager[None]:
        clock.tick(rows)
        return about(rows)

    own: dict[str, object] = vars(policy)
    shadowed: dict[str, object] = {name: own[name] for name in ("begin", "about") if name in own}
    own["begin"], own["about"] = clocked_begin, clocked_about
    try:
        yield clock
    finally:
        del own["begin"], own["about"]
        own.update(shadowed)


@contextmanager
def applied(policy: NetworkPolicy, edits: Sequence[Edit]) -> Iterator[NetworkPolicy]:
    """Apply edits, in order, to every forward pass of `policy` inside the context; they come off at its end.

    Raises:
        GoalmazeError: a site is unknown, an edit does not fit it, or, at the end, an edit never fired.
    """
    modules = []
    for edit in edits:
        site, module = find_site(policy.network, edit.site)
        _check(edit, site)
        modules.append(module)
    fired: set[int] = set()

    def hook(number: int, edit: Edit, clock: Clock | None) -> Callable[[nn.Module, object, Tensor], Tensor]:
        def change(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            if policy.rows is None:
                raise GoalmazeError("an edited network was run without its policy, so its levels are unknown")
            due = None if clock is None else clock.steps < cast(FirstSteps, edit).steps
            if due is not None and not due.any():
                return output
            changed = edit(output, policy.rows) if due is None or due.all() else _partly(edit, output, policy.rows, due)
            if changed.shape != output.shape:
                raise GoalmazeError(f"edit at site '{edit.site}' changed the shape to {tuple(changed.shape)}")
            fired.add(number)
            return changed

        return change

    with ExitStack() as stack:
        clock = stack.enter_context(clocked(policy)) if any(isinstance(e, FirstSteps) for e in edits) else None
        for number, (edit, module) in enumerate(zip(edits, modules, strict=True)):
            timed = clock if isinstance(edit, FirstSteps) else None
            stack.callback(module.register_forward_hook(hook(number, edit, timed)).remove)
        yield policy
    for number, edit in enumerate(edits):
        if number not in fired:
            raise GoalmazeError(f"the edit at site '{edit.site}' never fired: no forward pass reached it")


def _partly(edit: Edit, activation: Tensor, rows: Rows, due: NDArray[np.bool_]) -> Tensor:
    """Return activation [b, ...] with only the levels edited for which it is due, bool [b]."""
    changed = activation.clone()
    places = torch.from_numpy(due)
    changed[places] = edit(activation[places], rows[due])
    return changed


def _check(edit: Edit, site: Site) -> None:
    check = getattr(edit, "check", None)
    if check is not None:
        check(site)

"""Networks made from a `torch.nn.Module` of the user's own, without a checkpoint."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import PLANES, Network, NetworkOptions, Shape, Site, device_of
from goalmaze.envs.actions import check_action_count
from goalmaze.envs.engines import make_engine
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import DEFAULT_SPEC, MODES, ObservationSpec
from goalmaze.envs.observations.views import View, make_view

DRY_RUN_LEVELS = 2
"""Levels in the dry run of a module. Two, so that the axis of the batch differs from axes of length 1."""


@runtime_checkable
class _Resettable(Protocol):
    """A module that can draw its weights anew, as the layers of torch can."""

    def reset_parameters(self) -> None: ...


class ExternalNetwork(Network):
    """A network around a module of the user's own; `wrap_module` makes one.

    It has no memory between steps and cannot be saved as a checkpoint.

    Attributes:
        module: the user's module, not a copy.
        dtype: the type of the observations that the module receives.
    """

    Options = NetworkOptions
    modes = MODES

    def __init__(
        self,
        module: nn.Module,
        shape: Shape,
        sites: Sequence[Site] = (),
        dtype: torch.dtype = torch.float32,
        make_untrained: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.module, self.shape, self.dtype = module, shape, dtype
        self.name, self.options = type(module).__name__, NetworkOptions()
        self._sites, self._make_untrained = tuple(sites), make_untrained

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for observations [B, ...]; values are 0 if the module returns none.

        Raises:
            GoalmazeError: the module returned anything but logits, or logits and values, of these shapes.
        """
        return _checked_output(self.module(observation.to(self.dtype)), len(observation), self.shape.actions, self.name)

    def sites(self) -> tuple[Site, ...]:
        """Return the sites in the order in which the module computes them."""
        return self._sites

    def untrained(self, seed: int) -> Network:
        """Return a network of the same structure with fresh random weights, in evaluation mode.

        Raises:
            GoalmazeError: a part of the module has weights and no `reset_parameters`.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            make = self._make_untrained
            module = _with_fresh_weights(copy.deepcopy(self.module)) if make is None else make()
        return ExternalNetwork(module, self.shape, self._sites, self.dtype, make).eval()


def wrap_module(
    module: nn.Module,
    family: Family,
    *,
    sites: Sequence[str] | Mapping[str, str] | None = None,
    observation: ObservationSpec = DEFAULT_SPEC,
    actions: int = 4,
    dtype: torch.dtype = torch.float32,
    make_untrained: Callable[[], nn.Module] | None = None,
) -> ExternalNetwork:
    """Return a network made from a module of your own: it can be rolled out, evaluated, probed, edited and retargeted.

    The module receives observations [b, ...] as the view draws them: planes [b, C, H, W], or pictures [b, h, w, 3] with
    values from 0 to 255. It returns logits [b, A], or a pair of logits [b, A] and values [b] or [b, 1]. It must be on
    the CPU. It is not copied, and it is set to evaluation mode.

    Args:
        module: the module. One dry run on two levels finds and checks its sites.
        family: the family whose levels it acts in, at their size.
        sites: the submodules whose outputs are sites, as paths or as a mapping from site name to path. By default every
            submodule that runs once in a forward pass and whose output is one tensor [b, C] or [b, C, H, W].
        observation: the observation mode with its options.
        actions: number A of actions: 4, or Procgen's 15.
        dtype: the type to which the observations are converted.
        make_untrained: builds the same module with fresh weights, for probing's baseline of an untrained network. By
            default a copy of the module is reset by the `reset_parameters` of its parts.

    Raises:
        GoalmazeError: the module fails on the family's observations, returns another shape, or a site cannot be read.

    Example:
        >>> import torch
        >>> import goalmaze as gm
        >>> family = gm.family("GreenExit", size=9)
        >>> layers = torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(648, 4)
        >>> network = gm.wrap_module(torch.nn.Sequential(*layers), family, sites={"maps": "1"})
        >>> agent = gm.Agent(network, family, name="mine")
        >>> gm.rollout(agent, family.levels(seed=0, count=16)).agent.shape[1]
        16
    """
    check_action_count(actions)
    view = make_view(family, observation)
    shape = Shape.seeing(view, actions)
    if any(tensor.device.type != "cpu" for tensor in (*module.parameters(), *module.buffers())):
        raise GoalmazeError(f"module {type(module).__name__} is not on the CPU: call module.cpu() first")
    # Without sites at first: which submodules can be sites is known only after the dry run.
    network = ExternalNetwork(module, shape, (), dtype, make_untrained).eval()
    outputs = _dry_run(network, _first_observations(view))
    return ExternalNetwork(module, shape, _named_sites(module, shape, outputs, sites), dtype, make_untrained).eval()


@dataclasses.dataclass(eq=False)
class _Output:
    """The output of one submodule in the dry run.

    Attributes:
        value: its output in its first call.
        version: torch's count of changes in place to `value`, when it was returned.
        calls: number of calls.
    """

    value: object
    version: int
    calls: int = 1

    def problem(self) -> str | None:
        """Return why this output cannot be a site; None if it can."""
        value = self.value
        if self.calls > 1:
            return f"runs {self.calls} times in a forward pass: give each call a module of its own"
        if not isinstance(value, Tensor):
            return f"returns a {type(value).__name__}, not one tensor [b, C] or [b, C, H, W]"
        if value.dim() not in (2, 4) or len(value) != DRY_RUN_LEVELS:
            return f"returns shape {tuple(value.shape)} for {DRY_RUN_LEVELS} levels, not [b, C] or [b, C, H, W]"
        # torch counts changes in place in `_version`. A hook would read the changed values, or edit too early.
        if value._version != self.version:
            return "has its output changed in place by a later operation: use inplace=False there"
        return None


def _first_observations(view: View) -> Tensor:
    """Return the first observations [b, ...] of the levels of the dry run."""
    levels = view.family.levels(0, np.arange(DRY_RUN_LEVELS))
    drawn = view.buffer(len(levels))
    view.draw(make_engine(levels).state, drawn)
    return torch.from_numpy(drawn)


def _dry_run(network: ExternalNetwork, observations: Tensor) -> dict[nn.Module, _Output]:
    """Return the output of every submodule that runs, in the order in which they return."""
    outputs: dict[nn.Module, _Output] = {}

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        if module in outputs:
            outputs[module].calls += 1
        else:
            outputs[module] = _Output(output, output._version if isinstance(output, Tensor) else 0)

    submodules = [module for module in network.module.modules() if module is not network.module]
    handles = [module.register_forward_hook(note) for module in submodules]
    try:
        # Not inference mode: its tensors do not count changes in place.
        with torch.no_grad():
            network(observations.to(device_of(network)))
    except GoalmazeError:
        raise
    except Exception as error:  # whatever a module of the user's may raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GoalmazeError(
            f"module {network.name} fails on observations {tuple(observations.shape)} of type {network.dtype}: {reason}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _named_sites(
    module: nn.Module,
    shape: Shape,
    outputs: Mapping[nn.Module, _Output],
    sites: Sequence[str] | Mapping[str, str] | None,
) -> tuple[Site, ...]:
    """Return the sites that the user names, or all submodules that can be sites, in the order of the dry run.

    Raises:
        GoalmazeError: there is no such submodule, or its output cannot be a site.
    """
    if sites is None:
        # A submodule that stands under several paths has its first one here; all of them can be named below.
        paths = {one: path for path, one in module.named_modules()}
        chosen = {paths[one]: one for one, output in outputs.items() if output.problem() is None}
        return tuple(_site(name, name, outputs[one], shape) for name, one in chosen.items())
    by_path = dict(module.named_modules(remove_duplicate=False))
    named = dict(sites) if isinstance(sites, Mapping) else {path: path for path in sites}
    for name, path in named.items():
        if not path or path not in by_path:
            raise unknown(f"submodule of {type(module).__name__}", path, [one for one in by_path if one])
        output = outputs.get(by_path[path])
        problem = "does not run in a forward pass" if output is None else output.problem()
        if problem is not None:
            raise GoalmazeError(f"site '{name}' cannot be read: submodule '{path}' {problem}")
    order = list(outputs)
    return tuple(
        _site(name, path, outputs[by_path[path]], shape)
        for name, path in sorted(named.items(), key=lambda one: order.index(by_path[one[1]]))
    )


def _site(name: str, path: str, output: _Output, shape: Shape) -> Site:
    """Return the site of an output without a problem."""
    tensor = cast(Tensor, output.value)
    is_map = shape.spec.mode in PLANES and tuple(tensor.shape[2:]) == shape.observation[1:]
    return Site(name, tensor.shape[1], is_map, f"module.{path}")


def _checked_output(output: object, batch: int, actions: int, name: str) -> tuple[Tensor, Tensor]:
    """Return logits [B, A] and values [B] from the output of a module.

    Raises:
        GoalmazeError: the output has another form.
    """
    logits, values = output if isinstance(output, tuple | list) and len(output) == 2 else (output, None)
    if not isinstance(logits, Tensor) or not isinstance(values, Tensor | None):
        raise GoalmazeError(
            f"module {name} returned a {type(output).__name__}: return logits [b, {actions}], or a pair of logits and "
            "values [b]"
        )
    if tuple(logits.shape) != (batch, actions):
        raise GoalmazeError(
            f"module {name} returned logits of shape {tuple(logits.shape)} for {batch} observations: expected "
            f"{(batch, actions)}"
        )
    if values is None:
        return logits, logits.new_zeros(batch)
    if tuple(values.shape) not in ((batch,), (batch, 1)):
        raise GoalmazeError(
            f"module {name} returned values of shape {tuple(values.shape)} for {batch} observations: expected "
            f"{(batch,)} or {(batch, 1)}"
        )
    return logits, values.reshape(batch)


def _with_fresh_weights(module: nn.Module) -> nn.Module:
    """Reset the weights of all parts of a module, and return it.

    Raises:
        GoalmazeError: a part has weights and no `reset_parameters`.
    """
    for path, part in module.named_modules():
        if isinstance(part, _Resettable):
            part.reset_parameters()
        elif next(part.parameters(recurse=False), None) is not None:
            raise GoalmazeError(
                f"submodule '{path}' ({type(part).__name__}) has weights and no reset_parameters, so there is no "
                "untrained network to compare with: pass make_untrained to wrap_module"
            )
    return module

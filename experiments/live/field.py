"""The policy with the agent in every cell of a maze, for convolutional networks that are read out at the agent's cell.

A forward pass a cell would compute nearly the same maps again and again. Two facts save most of that:

- Observations that differ only in the agent's cell have maps that differ, after k of L convolutions of side 3, only up
  to k squares around that cell. Elsewhere they equal the maps of the maze without the agent, the background.
- The output at the agent's cell depends, after k convolutions, only on the map up to L - k squares around it.

So of layer k only a window of min(k, L - k) squares around each cell is computed, in one batch for all cells. What the
next convolution needs beyond the window comes from the background, which is computed once.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import TypeAlias, TypeGuard, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from goalmaze.agents.networks.base import Network, device_of
from goalmaze.agents.networks.grid import GridNetwork
from goalmaze.agents.networks.layers import block_names
from goalmaze.agents.networks.lstm import LSTMNetwork
from goalmaze.agents.policies import EditContext, Observations, Probabilities, move_probabilities
from goalmaze.envs.cells import Cells
from goalmaze.probes.edits.base import Add, Edit

LocalNetwork: TypeAlias = GridNetwork | LSTMNetwork
"""The networks whose last map at a cell depends only on the squares around it."""


ONE_LEVEL = EditContext.at_start(np.zeros(1, np.intp))
"""The context of a forward pass on one observation of level 0."""


class Windows:
    """Square windows around each of N cells of a maze.

    Args:
        cells: int32 [N], the cells in the middle of the windows.
        height: H.
        width: W.
    """

    def __init__(self, cells: Cells, height: int, width: int) -> None:
        self.cells, self._sides = cells, (height, width)
        self._indices_of: dict[int, Tensor] = {}
        self._masks: dict[int, Tensor] = {}

    def gather(self, maps: Tensor, radius: int) -> Tensor:
        """Return [N, C, w, w], one map [1, C, H, W] up to `radius` squares around each cell; 0 outside the maze."""
        side = 2 * radius + 1
        # squares first and channels last, so that one index_select copies whole rows of memory
        squares = functional.pad(maps[0], (radius,) * 4).flatten(1).T.contiguous()
        windows = squares.index_select(0, self._indices(radius))
        return windows.reshape(len(self.cells), side, side, -1).permute(0, 3, 1, 2)

    def mask(self, radius: int) -> Tensor:
        """Return [N, 1, w, w], 1 where a square of a window is inside the maze and 0 elsewhere."""
        if radius not in self._masks:
            self._masks[radius] = self.gather(torch.ones(1, 1, *self._sides), radius).contiguous()
        return self._masks[radius]

    def widen(self, windows: Tensor, background: Tensor, radius: int) -> Tensor:
        """Return windows [N, C, v, v] grown to `radius` squares, the rest taken from the background [1, C, H, W]."""
        margin = radius - windows.shape[2] // 2
        if not margin:
            return windows
        wide = self.gather(background, radius)
        wide[:, :, margin:-margin, margin:-margin] = windows
        return wide

    def _indices(self, radius: int) -> Tensor:
        """Return int64 [N*w*w], the indices of all squares of the windows in a maze padded by `radius`."""
        if radius not in self._indices_of:
            rows, columns = np.divmod(self.cells.astype(np.int64)[:, None, None], self._sides[1])
            offsets = np.arange(2 * radius + 1)
            indices = (rows + offsets[:, None]) * (self._sides[1] + 2 * radius) + columns + offsets
            self._indices_of[radius] = torch.from_numpy(indices.ravel())
        return self._indices_of[radius]


@dataclasses.dataclass(frozen=True, eq=False)
class Surroundings:
    """Observations with the agent in each of N cells, split into what they share and what differs.

    Attributes:
        windows: the windows around the cells.
        background: uint8 [C, H, W], the observation without an agent.
        centres: uint8 [N, C, 1, 1], each observation at the agent's own cell.
    """

    windows: Windows
    background: Observations
    centres: Observations


def surroundings(observations: Observations, cells: Cells) -> Surroundings | None:
    """Split observations uint8 [N, C, H, W] with the agent in N cells; None where they differ elsewhere too."""
    if len(cells) < 2 or observations.ndim != 4:
        return None
    everyone, (rows, columns) = np.arange(len(cells)), np.divmod(cells, observations.shape[3])
    centres, background = observations[everyone, :, rows, columns], observations[0].copy()
    # The first observation without its agent: the agent's cell is copied from the second, where it stands elsewhere.
    background[:, rows[0], columns[0]] = observations[1][:, rows[0], columns[0]]
    rebuilt = np.repeat(background[None], len(cells), axis=0)
    rebuilt[everyone, :, rows, columns] = centres
    if not np.array_equal(rebuilt, observations):
        return None
    return Surroundings(Windows(cells, *observations.shape[2:]), background, centres[:, :, None, None])


def is_local(network: Network, edit: Edit | None) -> TypeGuard[LocalNetwork]:
    """Return whether a network's policy under an edit can be computed by `policy_field`, which runs on the CPU."""
    if device_of(network).type != "cpu":
        return False
    if not isinstance(network, LocalNetwork) or network.shape.spec.mode != "planes":
        return False
    return network.options.readout == "cell" and (edit is None or _is_lasting_addition(edit))


def _is_lasting_addition(edit: Edit) -> bool:
    """Return whether an edit adds the same tensor at every step."""
    return isinstance(edit, Add) and len(edit.delta) == 1 and edit.first_steps is None and edit.at_steps is None


def policy_field(
    network: LocalNetwork, around: Surroundings, edit: Add | None, memory: Tensor | None = None
) -> Probabilities:
    """Return float32 [N, 4], the action probabilities with the agent in each of the cells.

    Args:
        network: one for which `is_local` holds.
        around: the observations.
        edit: an edit of one level to apply, if any.
        memory: [1, ...], what an agent with a memory remembers; that of the start of an episode where None.
    """
    with torch.inference_mode():
        heads, squares = _without_trunk(network), _last_squares(network, around, edit)
        if memory is None or isinstance(heads, GridNetwork):
            logits, _ = heads(squares)
        else:
            logits, _, _ = heads.step(squares, memory.expand(len(squares), *memory.shape[1:]))
        return move_probabilities(logits.float())


def site_map(network: LocalNetwork, site: str, observation: Observations, edit: Add | None) -> Tensor:
    """Return float32 [C, H, W], the activation of a map of a local network, for one observation [C, H, W]."""
    with torch.inference_mode():
        x = torch.from_numpy(observation)[None].float()
        for name in _names(network):
            x = network.get_submodule(name)(x)
            if edit is not None and edit.site == name:
                x = edit(x, ONE_LEVEL)
            if name == site:
                break
        return x[0]


def _last_squares(network: LocalNetwork, around: Surroundings, edit: Add | None) -> Tensor:
    """Return float32 [N, C, 1, 1], the trunk's last map at each of the cells with the agent there."""
    background = torch.from_numpy(around.background)[None].float()
    near, windows = torch.from_numpy(around.centres).float(), around.windows
    # Each convolution needs one square more than the window it fills: radius + 1 goes in, radius comes out.
    for name, radius in zip(_names(network), _radii(network.options.blocks), strict=True):
        module = network.get_submodule(name)
        if name == "stem_relu":
            near, background = near.relu_(), background.relu_()
        else:
            near = _convolved(module, windows.widen(near, background, radius + 1), padding=0)
            background = _convolved(module, background, padding=1)
        if edit is not None and edit.site == name:
            background = edit(background, ONE_LEVEL)
            # The windows are N levels to the edit, each with its own part of the delta.
            near_edit = dataclasses.replace(edit, delta=windows.gather(edit.delta, radius))
            near = near_edit(near, EditContext.at_start(np.arange(len(near))))
        if radius:
            # a convolution of the whole maze sees zeros beyond its border, so the windows must hold zeros there
            near *= windows.mask(radius)
    return near


def _without_trunk(network: LocalNetwork) -> LocalNetwork:
    """Return a network that takes the trunk's last map [N, C, 1, 1] instead of an observation; weights are shared."""
    heads = copy.copy(network)
    # A shallow copy shares all weights; only the first layers are replaced, in a dictionary of its own.
    heads._modules = {**network._modules, "stem": nn.Identity(), "stem_relu": nn.Identity()}
    heads.options = dataclasses.replace(network.options, blocks=0)
    return heads


def _names(network: LocalNetwork) -> tuple[str, ...]:
    return ("stem", "stem_relu", *block_names(network.options.blocks))


def _radii(blocks: int) -> Iterator[int]:
    """Yield the radius of the windows after the stem, its rectifier, and every block."""
    for layer in (1, *range(1, blocks + 2)):
        # Grows with what differs from the background and shrinks with what the last square still depends on.
        yield min(layer, blocks + 1 - layer)


def _convolved(module: nn.Module, x: Tensor, padding: int) -> Tensor:
    """Return the output of the stem or a block for x [N, C, w, w]; without padding, its border is cut off."""
    conv = cast(nn.Conv2d, module if isinstance(module, nn.Conv2d) else module.conv)
    y = functional.conv2d(x, conv.weight, conv.bias, padding=padding)
    if conv is module:
        return y
    # a block adds its input to its convolution
    return y.add_(x if padding else x[:, :, 1:-1, 1:-1]).relu_()

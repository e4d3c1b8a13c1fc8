"""The policy in every cell of a maze at once, for networks that look around and read out where the agent stands.

Observations that differ in where the agent stands alone make maps that differ, after k convolutions, k squares around
the agent. What is read out at the agent's cell after the last of L depends on L - k squares around it. So of layer k
only min(k, L - k) squares around each cell are worked out for it; the maze without an agent gives the rest.
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

from goalmaze.agents.networks.base import Network
from goalmaze.agents.networks.grid import GridNetwork
from goalmaze.agents.networks.layers import block_names
from goalmaze.agents.networks.lstm import LSTMNetwork
from goalmaze.agents.policies import EditContext, Observations, Probabilities, move_probabilities
from goalmaze.envs.cells import Cells
from goalmaze.probes.edits.base import Add, Edit

LocalNetwork: TypeAlias = GridNetwork | LSTMNetwork
"""The networks whose last map at a cell depends on the cells around it alone."""


ONE_LEVEL = EditContext.at_start(np.zeros(1, np.intp))


class Windows:
    """Squares around each of N cells of a maze, in the order of the maze's rows.

    Args:
        cells: int32 [N], the cells.
        height: H.
        width: W.
    """

    def __init__(self, cells: Cells, height: int, width: int) -> None:
        self.cells, self._sides = cells, (height, width)
        self._places: dict[int, Tensor] = {}
        self._inside: dict[int, Tensor] = {}

    def of(self, maps: Tensor, radius: int) -> Tensor:
        """Return [N, C, w, w], what one map [1, C, H, W] holds up to `radius` squares around; 0 outside the maze."""
        side = 2 * radius + 1
        squares = functional.pad(maps[0], (radius,) * 4).flatten(1).T.contiguous()
        found = squares.index_select(0, self._placed(radius))
        return found.reshape(len(self.cells), side, side, -1).permute(0, 3, 1, 2)

    def inside(self, radius: int) -> Tensor:
        """Return [N, 1, w, w], 1 where the square is in the maze and 0 elsewhere."""
        if radius not in self._inside:
            self._inside[radius] = self.of(torch.ones(1, 1, *self._sides), radius).contiguous()
        return self._inside[radius]

    def widened(self, near: Tensor, bare: Tensor, radius: int) -> Tensor:
        """Return windows `near` [N, C, v, v] grown to `radius` squares, what they lack as in `bare` [1, C, H, W]."""
        more = radius - near.shape[2] // 2
        if not more:
            return near
        wide = self.of(bare, radius)
        wide[:, :, more:-more, more:-more] = near
        return wide

    def _placed(self, radius: int) -> Tensor:
        """Return int64 [N*w*w], the places of all squares in a maze with a border of `radius`."""
        if radius not in self._places:
            rows, columns = np.divmod(self.cells.astype(np.int64)[:, None, None], self._sides[1])
            reach = np.arange(2 * radius + 1)
            places = (rows + reach[:, None]) * (self._sides[1] + 2 * radius) + columns + reach
            self._places[radius] = torch.from_numpy(places.ravel())
        return self._places[radius]


@dataclasses.dataclass(frozen=True, eq=False)
class Surroundings:
    """Observations with the agent in each of N cells, taken apart.

    Attributes:
        windows: around the cells.
        bare: uint8 [C, H, W], what is seen without an agent.
        own: uint8 [N, C, 1, 1], what is seen in the agent's own cell.
    """

    windows: Windows
    bare: Observations
    own: Observations


def surroundings(seen: Observations, cells: Cells) -> Surroundings | None:
    """Take observations uint8 [N, C, H, W] apart; None where they differ in more than the cells the agent is in."""
    if len(cells) < 2 or seen.ndim != 4:
        return None
    everyone, (rows, columns) = np.arange(len(cells)), np.divmod(cells, seen.shape[3])
    own, bare = seen[everyone, :, rows, columns], seen[0].copy()
    bare[:, rows[0], columns[0]] = seen[1][:, rows[0], columns[0]]
    again = np.repeat(bare[None], len(cells), axis=0)
    again[everyone, :, rows, columns] = own
    if not np.array_equal(again, seen):
        return None
    return Surroundings(Windows(cells, *seen.shape[2:]), bare, own[:, :, None, None])


def is_local(network: Network, edit: Edit | None) -> TypeGuard[LocalNetwork]:
    """Return whether a network's policy under an edit can be worked out from the surroundings of each cell."""
    if not isinstance(network, LocalNetwork) or network.shape.mode != "planes":
        return False
    return network.options.readout == "cell" and (edit is None or _is_simple(edit))


def _is_simple(edit: Edit) -> bool:
    """Return whether an edit adds one tensor at every step."""
    return isinstance(edit, Add) and len(edit.delta) == 1 and edit.first_steps is None


def field(network: LocalNetwork, around: Surroundings, edit: Add | None) -> Probabilities:
    """Return float32 [N, 4], each action's chance with the agent in each of the cells.

    Args:
        network: one that `is_local`.
        around: what it sees.
        edit: of one level, in force meanwhile, if any.
    """
    with torch.inference_mode():
        logits, _ = _heads(network)(_last_squares(network, around, edit))
        return move_probabilities(logits.float())


def map_seen(network: LocalNetwork, site: str, observation: Observations, edit: Add | None) -> Tensor:
    """Return float32 [C, H, W], what a map site of a network that `is_local` holds, for one observation [C, H, W]."""
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
    """Return float32 [N, C, 1, 1], what the trunk's last map holds in each of the cells with the agent there."""
    bare, near = torch.from_numpy(around.bare)[None].float(), torch.from_numpy(around.own).float()
    windows = around.windows
    for name, radius in zip(_names(network), _radii(network.options.blocks), strict=True):
        module = network.get_submodule(name)
        if name == "stem_relu":
            near, bare = near.relu_(), bare.relu_()
        else:
            near = _convolved(module, windows.widened(near, bare, radius + 1), padding=0)
            bare = _convolved(module, bare, padding=1)
        if edit is not None and edit.site == name:
            bare = edit(bare, ONE_LEVEL)
            there = dataclasses.replace(edit, delta=windows.of(edit.delta, radius))
            near = there(near, EditContext.at_start(np.arange(len(near))))
        if radius:
            near *= windows.inside(radius)
    return near


def _heads(network: LocalNetwork) -> LocalNetwork:
    """Return a network without its trunk, which takes the trunk's last map [N, C, 1, 1] for an observation."""
    heads = copy.copy(network)
    heads._modules = {**network._modules, "stem": nn.Identity(), "stem_relu": nn.Identity()}
    heads.options = dataclasses.replace(network.options, blocks=0)
    return heads


def _names(network: LocalNetwork) -> tuple[str, ...]:
    return ("stem", "stem_relu", *block_names(network.options.blocks))


def _radii(blocks: int) -> Iterator[int]:
    """Yield how many squares around each cell count, for the stem, its rectifier, and every block."""
    for layer in (1, *range(1, blocks + 2)):
        yield min(layer, blocks + 1 - layer)


def _convolved(module: nn.Module, x: Tensor, padding: int) -> Tensor:
    """Return what the stem or a block makes of x [N, C, w, w]; without padding, of all but its outermost squares."""
    conv = cast(nn.Conv2d, module if isinstance(module, nn.Conv2d) else module.conv)
    found = functional.conv2d(x, conv.weight, conv.bias, padding=padding)
    if conv is module:
        return found
    return found.add_(x if padding else x[:, :, 1:-1, 1:-1]).relu_()

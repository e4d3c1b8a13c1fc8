"""Squares of maps: reading and writing the activation on one cell of each level, or in a window around it."""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError


def check_inside(cells: Cells, height: int, width: int, what: str = "cell") -> None:
    """Refuse cells [B] that lie outside mazes of H x W; `ABSENT` is allowed.

    Raises:
        GoalmazeError: the message names the level.
    """
    wrong = (cells < ABSENT) | (cells >= height * width)
    if wrong.any():
        b = int(wrong.argmax())
        raise GoalmazeError(f"level {b}: {what} {int(cells[b])} is outside the {height}x{width} maze; choose one in it")


def cell_mask(cells: Cells, height: int, width: int) -> Tensor:
    """Return bool [B, 1, H, W], True on the cell [B] of each level; False everywhere for `ABSENT`."""
    check_inside(cells, height, width)
    squares = torch.arange(height * width)
    # `ABSENT` is -1 and equals no square, so its mask is empty.
    own = squares == torch.tensor(cells, dtype=torch.long)[:, None]
    return own.reshape(len(cells), 1, height, width)


def read_square(maps: Tensor, cells: Cells) -> Tensor:
    """Return [B, C], the activation of maps [B, C, H, W] on the cell [B] of each level; undefined for `ABSENT`."""
    check_inside(cells, maps.shape[2], maps.shape[3])
    squares = torch.tensor(cells, dtype=torch.long).clamp(min=0)
    return maps.flatten(2).gather(2, squares[:, None, None].expand(-1, maps.shape[1], 1)).squeeze(2)


def write_square(maps: Tensor, cells: Cells, values: Tensor) -> Tensor:
    """Return maps [B, C, H, W] with values [B, C] or [C] on the cell [B] of each level; unchanged for `ABSENT`."""
    columns = values.expand(len(maps), -1)[:, :, None, None]
    return torch.where(cell_mask(cells, maps.shape[2], maps.shape[3]), columns, maps)


def read_window(maps: Tensor, cells: Cells, side: int) -> Tensor:
    """Return [B, C*side*side], the activation of maps in the window around the cell of each level.

    Args:
        maps: [B, C, H, W].
        cells: int32 [B], the middles of the windows; the result is undefined for `ABSENT`.
        side: rows and columns of the window, odd.

    Returns:
        One row a level, zero beyond the border, in the order of `torch.nn.functional.unfold`.
    """
    padded, index = _window_index(maps, cells, side)
    return padded.flatten(2).gather(2, index).flatten(1)


def write_window(maps: Tensor, cells: Cells, values: Tensor, side: int) -> Tensor:
    """Return maps [B, C, H, W] with values [B, C*side*side] in the window around the cell [B] of each level.

    What lies beyond the border is dropped; a level whose cell is `ABSENT` is unchanged.
    """
    padded, index = _window_index(maps, cells, side)
    windows = values.reshape(len(maps), maps.shape[1], side * side)
    written = padded.flatten(2).scatter(2, index, windows).reshape(padded.shape)
    # Cutting off the margin drops what a window wrote beyond the border.
    inside = written[:, :, side // 2 :, side // 2 :][:, :, : maps.shape[2], : maps.shape[3]]
    return torch.where(torch.from_numpy(cells != ABSENT)[:, None, None, None], inside, maps)


def _window_index(maps: Tensor, cells: Cells, side: int) -> tuple[Tensor, Tensor]:
    """Return maps with a margin of zeros, and int64 [B, C, side*side], the indices of each window's squares in them."""
    if side < 1 or side % 2 == 0:
        raise GoalmazeError(f"a window of {side}x{side} has no square in its middle: choose 1, 3 or another odd side")
    height, width = maps.shape[2:]
    check_inside(cells, height, width)
    squares = torch.tensor(cells, dtype=torch.long).clamp(min=0)
    # The margin of zeros lets windows at the border be gathered like all others.
    padded = torch.nn.functional.pad(maps, [side // 2] * 4)
    padded_width = width + 2 * (side // 2)
    # The margin makes the window's first square, in padded coordinates, the cell's own row and column.
    offsets = (torch.arange(side)[:, None] * padded_width + torch.arange(side)).flatten()
    index = (squares // width * padded_width + squares % width)[:, None] + offsets
    return padded, index[:, None].expand(-1, maps.shape[1], -1)

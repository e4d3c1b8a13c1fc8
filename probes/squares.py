"""Squares of maps: where the cells of a batch of levels lie in it, and what stands there."""

from __future__ import annotations

import torch
from torch import Tensor

from goalmaze.agents.policies import Rows
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


def cells_of(cells: Cells, rows: Rows, site: str) -> Cells:
    """Return the cells [b] of the levels `rows` int [b], from those of a whole batch [B].

    Raises:
        GoalmazeError: the batch has fewer levels than are being played.
    """
    if len(rows) and int(rows.max()) >= len(cells):
        raise GoalmazeError(
            f"edit at site '{site}' is for {len(cells)} levels, level {int(rows.max())} is being played; "
            "make it for the levels of this rollout"
        )
    return cells[rows]


def marked(cells: Cells, height: int, width: int) -> Tensor:
    """Return bool [B, 1, H, W], True on the cell [B] of each level; nowhere where it is `ABSENT`."""
    check_inside(cells, height, width)
    squares = torch.arange(height * width)
    own = squares == torch.tensor(cells, dtype=torch.long)[:, None]
    return own.reshape(len(cells), 1, height, width)


def at_cells(maps: Tensor, cells: Cells) -> Tensor:
    """Return [B, C], what maps [B, C, H, W] hold on the cell [B] of each level; of `ABSENT` ones nothing is meant."""
    check_inside(cells, maps.shape[2], maps.shape[3])
    squares = torch.tensor(cells, dtype=torch.long).clamp(min=0)
    return maps.flatten(2).gather(2, squares[:, None, None].expand(-1, maps.shape[1], 1)).squeeze(2)


def put(maps: Tensor, cells: Cells, values: Tensor) -> Tensor:
    """Return maps [B, C, H, W] with values [B, C] or [C] on the cell [B] of each level."""
    columns = values.expand(len(maps), -1)[:, :, None, None]
    return torch.where(marked(cells, maps.shape[2], maps.shape[3]), columns, maps)


def around(maps: Tensor, cells: Cells, side: int) -> Tensor:
    """Return [B, C*side*side], what maps [B, C, H, W] hold in the window around the cell [B] of each level.

    Beyond the border it is 0; the order is that of `torch.nn.functional.unfold`. Of `ABSENT` cells nothing is meant.
    """
    padded, places = _places(maps, cells, side)
    return padded.flatten(2).gather(2, places).flatten(1)


def put_around(maps: Tensor, cells: Cells, values: Tensor, side: int) -> Tensor:
    """Return maps [B, C, H, W] with values [B, C*side*side] in the window around the cell [B] of each level."""
    padded, places = _places(maps, cells, side)
    windows = values.reshape(len(maps), maps.shape[1], side * side)
    written = padded.flatten(2).scatter(2, places, windows).reshape(padded.shape)
    inside = written[:, :, side // 2 :, side // 2 :][:, :, : maps.shape[2], : maps.shape[3]]
    return torch.where(torch.from_numpy(cells != ABSENT)[:, None, None, None], inside, maps)


def _places(maps: Tensor, cells: Cells, side: int) -> tuple[Tensor, Tensor]:
    """Return maps with a margin, and the places int64 [B, C, side*side] of each level's window in its squares."""
    if side < 1 or side % 2 == 0:
        raise GoalmazeError(f"a window of {side}x{side} has no square in its middle: choose 1, 3 or another odd side")
    height, width = maps.shape[2:]
    check_inside(cells, height, width)
    squares = torch.tensor(cells, dtype=torch.long).clamp(min=0)
    padded = torch.nn.functional.pad(maps, [side // 2] * 4)
    broad = width + 2 * (side // 2)
    steps = (torch.arange(side)[:, None] * broad + torch.arange(side)).flatten()
    places = (squares // width * broad + squares % width)[:, None] + steps
    return padded, places[:, None].expand(-1, maps.shape[1], -1)

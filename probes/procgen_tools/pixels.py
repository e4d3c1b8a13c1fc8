"""Clamps of single pixels of an activation, map of squares or not (procgen-tools: `get_channel_pixel_patch`)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.base import Edit, check_rows
from goalmaze.probes.edits.channels import check_channel_numbers
from goalmaze.probes.information import TARGET, Facts


@dataclasses.dataclass(frozen=True, eq=False)
class ClampPixel(Edit):
    """Sets channels to a value at one pixel of each level, in any activation [b, C, h, w].

    Attributes:
        channels: channel numbers.
        value: what they are set to.
        pixels: int [B, 2], row and column of the pixel in each level of the batch.
    """

    uses: ClassVar[Facts] = frozenset({TARGET})

    channels: tuple[int, ...] = ()
    value: float = dataclasses.field(kw_only=True)
    pixels: NDArray[np.integer] = dataclasses.field(kw_only=True)

    def check(self, site: Site) -> None:
        """Refuse a site without these channels."""
        check_channel_numbers(site, self.channels)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the activation [b, C, h, w] with the channels clamped."""
        if activation.dim() != 4:
            raise GoalmazeError(f"site '{self.site}' has no pixels to clamp: choose one with images")
        check_rows(len(self.pixels), context, self.site)
        pixels = np.asarray(self.pixels)[context.rows]
        if (pixels < 0).any() or (pixels >= np.array(activation.shape[2:])).any():
            sides = "x".join(map(str, activation.shape[2:]))
            raise GoalmazeError(f"a pixel to clamp lies outside the {sides} of site '{self.site}': choose one inside")
        result = activation.clone()
        batch, channels = torch.arange(len(pixels))[:, None], torch.tensor(self.channels)[None]
        row, column = torch.from_numpy(pixels).long().T[:, :, None]
        result[batch, channels, row, column] = self.value
        return result


def pixel_of(levels: LevelBatch, cells: Cells, side: int, hidden: int = 0) -> NDArray[np.intp]:
    """Return int [N, 2], the pixel of an activation in which the middle of each cell [N] lies.

    Args:
        levels: whose cells; their image fills the observation.
        cells: int32 [N].
        side: rows and columns of the activation, in pixels.
        hidden: rows and columns of the level, on each side, that the image does not show; 1 in Procgen.
    """
    rows, columns = np.divmod(cells, levels.width)
    shown = levels.width - 2 * hidden
    # Half a cell further is its middle. The clip keeps the middle of hidden border cells inside the activation.
    pixels = (np.stack([rows, columns], axis=1) - hidden + 0.5) * side / shown
    return np.clip(pixels.astype(np.intp), 0, side - 1)

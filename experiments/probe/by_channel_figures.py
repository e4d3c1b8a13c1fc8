"""The atlas of channels drawn: how often each channel of each map names a cell by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from goalmaze.experiments.common.plots import save_figures

if TYPE_CHECKING:
    from goalmaze.experiments.probe.by_channel import ChannelReading, ChannelReport

WRITTEN = 0.1
"""Shares from which on a cell of the picture says its own."""

NARROW = 24
"""Channels up to which there is room to say it."""


def draw_channels(report: ChannelReport, folder: Path) -> list[Path]:
    """Draw the atlas of channels into a folder and return the file."""
    return save_figures({"probe-channels": channel_atlas(report)}, folder)


def channel_atlas(report: ChannelReport) -> Figure:
    """Return a panel for each target: maps from top to bottom, their channels from left to right."""
    targets = list(dict.fromkeys(one.target for one in report.readings))
    widest = max(len(one.shares) for one in report.readings)
    maps = sum(one.target == targets[0] for one in report.readings)
    figure = Figure(
        figsize=(2.4 + 0.42 * min(widest, 32), 1.2 + len(targets) * (0.95 + 0.3 * maps)), layout="constrained"
    )
    figure.suptitle(
        f"Which channels of {report.agent} carry a cell?", fontsize=14, x=0.01, ha="left", fontweight="bold"
    )
    for axes, target in zip(np.atleast_1d(figure.subplots(len(targets), 1)), targets, strict=True):
        rows = [one for one in report.readings if one.target == target]
        shares = _shares(rows, widest)
        shown = axes.imshow(shares, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            if widest <= NARROW and share >= WRITTEN:
                ink = "black" if share > 0.6 else "white"
                axes.text(
                    column,
                    row,
                    f"{share:.2f}"[1:] if share < 1 else "1",
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=8,
                )
        axes.set_yticks(range(len(rows)), [one.site for one in rows], fontsize=9)
        axes.set_xticks(range(0, widest, max(1, widest // 16)))
        axes.set_title(
            f"{target} (the observation's best plane alone: {rows[0].observation.value:.2f})", fontsize=11, loc="left"
        )
    axes.set_xlabel("channel")
    bar = figure.colorbar(shown, ax=figure.axes, shrink=0.6)
    bar.set_label(f"names the cell by itself (share of {report.levels} held-out mazes)")
    return figure


def _shares(rows: list[ChannelReading], widest: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return float64 [S, C], the shares of S maps; NaN where a map has fewer than C channels."""
    result = np.full((len(rows), widest), np.nan)
    for row, one in enumerate(rows):
        result[row, : len(one.shares)] = [share.value for share in one.shares]
    return result

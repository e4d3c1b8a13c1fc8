"""The figure of `goalmaze probe --by channel`: how often each channel of each map names a cell by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from goalmaze.envs.look import MAP
from goalmaze.experiments.common.plots import BLACK, WHITE, save_figures
from goalmaze.experiments.probe.by_channel import ChannelReport, ChannelResult

MIN_PRINTED = 0.1
"""Rate from which on a cell of the figure is labelled."""

MAX_LABELLED_CHANNELS = 24
"""Number of channels up to which there is room for labels."""


def draw_channels(report: ChannelReport, folder: Path) -> list[Path]:
    """Draw the figure into a folder and return the file."""
    return save_figures({"probe-channels": channel_figure(report)}, folder)


def channel_figure(report: ChannelReport) -> Figure:
    """Return a panel for each target: maps from top to bottom, their channels from left to right."""
    channels = max(len(one.rates) for one in report.maps)
    maps = len(report.of_target(report.targets[0]))
    width, height = 2.4 + 0.42 * min(channels, 32), 1.2 + len(report.targets) * (0.95 + 0.3 * maps)
    figure = Figure(figsize=(width, height), layout="constrained")
    title = f"Which channels of {report.header.agent} encode a cell?"
    figure.suptitle(title, fontsize=14, x=0.01, ha="left", fontweight="bold")
    panels = np.atleast_1d(figure.subplots(len(report.targets), 1))
    for axes, target in zip(panels, report.targets, strict=True):
        image = _draw_panel(axes, target, report.of_target(target), channels)
    panels[-1].set_xlabel("channel")
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.6)
    bar.set_label(f"names the cell by itself (rate of {report.header.levels} held-out mazes)")
    return figure


def _draw_panel(axes: Axes, target: str, results: Sequence[ChannelResult], channels: int) -> AxesImage:
    rates = _rates(results, channels)
    image = axes.imshow(rates, cmap=MAP, vmin=0, vmax=1, aspect="auto")
    for (row, column), rate in np.ndenumerate(rates):
        if channels <= MAX_LABELLED_CHANNELS and rate >= MIN_PRINTED:
            text = f"{rate:.2f}"[1:] if rate < 1 else "1"
            colour = BLACK if rate > 0.6 else WHITE
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_yticks(range(len(results)), [one.site for one in results], fontsize=9)
    axes.set_xticks(range(0, channels, max(1, channels // 16)))
    title = f"{target} (the best plane of the observation: {results[0].observation.value:.2f})"
    axes.set_title(title, fontsize=11, loc="left")
    return image


def _rates(results: Sequence[ChannelResult], channels: int) -> NDArray[np.float64]:
    """Return float64 [S, C], the rates of S maps; NaN where a map has fewer than C channels."""
    rates = np.full((len(results), channels), np.nan)
    for row, one in enumerate(results):
        rates[row, : len(one.rates)] = [rate.value for rate in one.rates]
    return rates

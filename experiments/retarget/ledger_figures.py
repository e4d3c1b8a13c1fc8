"""Figures of the ledger: reading against steering, and steering over depth."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from goalmaze.experiments.common.plots import BLACK, GREY, OLIVE, PALETTE, WHITE, hide_frame, save_figures
from goalmaze.experiments.retarget.ledger import Entry, Ledger

COLOURS = (*PALETTE[:2], *PALETTE[3:7], OLIVE)
SHAPES = ("o", "s", "^")
REFERENCE = PALETTE[2]
COLUMNS = 4
"""Panels in a row."""

READS_NOTHING = -0.1
"""Where a method that reads nothing is drawn on the axis of read scores."""

OFFSET = 0.03
"""Distance between the points of two methods at one site, in sites."""


class MethodStyle(TypedDict):
    """How the points of one method are drawn, as keyword arguments of matplotlib."""

    color: str
    marker: str


def draw_ledger(ledger: Ledger, folder: Path) -> list[Path]:
    """Draw the ledger as a scatter and as a profile over depth into a folder and return the files."""
    return save_figures({"retarget-ledger": scatter(ledger), "retarget-depth": depth_profile(ledger)}, folder)


def scatter(ledger: Ledger) -> Figure:
    """Return read score against steer score, a panel for every site; methods that do not steer are hollow."""
    sites, styles = _sites(ledger), _method_styles(ledger)
    columns = min(COLUMNS, len(sites))
    rows = -(-len(sites) // columns)
    figure = Figure(figsize=(3.0 * columns + 2.6, 3.5 * rows + 0.9))
    width, height = figure.get_size_inches()
    figure.subplots_adjust(0.75 / width, 0.6 / height, 1 - 2.45 / width, 1 - 0.95 / height, 0.1, 0.3)
    _titled(figure, "Reading beside steering: a method that reads the goal need not move it")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    # Panels without a site are hidden; they fill the last row.
    for panel, site in itertools.zip_longest(panels, sites):
        panel.set_visible(site is not None)
        _panel(panel, ledger, site, styles)
    for first in range(0, len(panels), columns):
        panels[first].set_ylabel("sends the agent to the target")
    figure.text(
        (0.75 + (width - 3.2) / 2) / width,
        0.1 / height,
        "reads the goal's cell (rate of mazes)",
        ha="center",
        fontsize=10,
    )
    handles: list[Artist] = [Line2D([], [], linestyle="", label=name, **style) for name, style in styles.items()]
    note = "hollow: does not steer"
    handles.append(Line2D([], [], linestyle="", label=note, marker="o", color=BLACK, markerfacecolor=WHITE))
    handles.append(Line2D([], [], color=REFERENCE, label="cue physically moved"))
    handles.append(Line2D([], [], color=GREY, linewidth=6, alpha=0.4, label="unedited, 95 %"))
    _legend(figure, handles)
    return figure


def depth_profile(ledger: Ledger) -> Figure:
    """Return how well each method steers at each site, in order of depth, beside the moved cue."""
    sites, styles = _sites(ledger), _method_styles(ledger)
    steering = [name for name in styles if any(one.steers for one in ledger.entries if one.method == name)]
    figure = Figure(figsize=(10.8, 5.8))
    figure.subplots_adjust(0.08, 0.12, 0.73, 0.86)
    _titled(figure, "How deep can the goal be rewritten?")
    axes = figure.subplots()
    for method, style in styles.items():
        by_site: dict[str, Entry] = {one.site: one for one in ledger.entries if one.method == method}
        values = [one.steer.value for one in by_site.values()]
        positions = [float(sites.index(site)) for site in by_site]
        if method not in steering:
            axes.plot(positions, values, color=GREY, linewidth=0.8, zorder=1)
            continue
        # Points of several methods at one site lie beside each other, centred on the site, so that error bars do not
        # overlap.
        shift = OFFSET * (steering.index(method) - (len(steering) - 1) / 2)
        shifted = [position + shift for position in positions]
        axes.errorbar(
            shifted, values, _error_bars(list(by_site.values())), linewidth=1.2, elinewidth=0.7, label=method, **style
        )
    axes.axhline(ledger.reference.value, color=REFERENCE, linewidth=1.5, label="cue physically moved")
    axes.axhline(ledger.entries[0].unedited.value, color=BLACK, linestyle="--", linewidth=1, label="unedited")
    handles = axes.get_legend_handles_labels()[0]
    others = [name for name in styles if name not in steering]
    if others:
        label = textwrap.fill("do not steer: " + ", ".join(others), 28, break_on_hyphens=False)
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, label=label))
    axes.set_xticks(range(len(sites)), sites)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("rate of mazes, target reached first")
    axes.set_xlabel("site, in order of depth; bars: 95 % over mazes")
    _legend(figure, handles)
    hide_frame(axes)
    return figure


def _panel(axes: Axes, ledger: Ledger, site: str, styles: dict[str, MethodStyle]) -> None:
    none = ledger.entries[0].unedited
    axes.axhspan(none.low, none.high, color=GREY, alpha=0.25, linewidth=0)
    axes.axhline(ledger.reference.value, color=REFERENCE, linewidth=1.5)
    for one in ledger.entries:
        if one.site == site:
            style = styles[one.method]
            face = style["color"] if one.steers else WHITE
            read = one.read.value if one.read.levels else READS_NOTHING
            axes.errorbar(
                read, one.steer.value, _error_bars([one]), markersize=8, elinewidth=0.8, markerfacecolor=face, **style
            )
    axes.set_title(site, fontsize=11, loc="left")
    # The left end leaves room for methods that read nothing, at `READS_NOTHING`.
    axes.set_xlim(-0.17, 1.07)
    axes.set_ylim(0, 1.02)
    axes.set_xticks([READS_NOTHING, 0.25, 0.5, 0.75, 1], ["nothing", "0.25", "0.5", "0.75", "1"], fontsize=9)
    hide_frame(axes)


def _sites(ledger: Ledger) -> list[str]:
    return list(dict.fromkeys(one.site for one in ledger.entries))


def _method_styles(ledger: Ledger) -> dict[str, MethodStyle]:
    """Return a colour and a marker for every method; of up to 21 methods no two have both in common."""
    names = list(dict.fromkeys(one.method for one in ledger.entries))
    # Shapes are the outer loop: the first methods differ in colour, which is seen before the shape.
    pairs = itertools.cycle([(colour, shape) for shape in SHAPES for colour in COLOURS])
    return {name: {"color": colour, "marker": shape} for name, (colour, shape) in zip(names, pairs, strict=False)}


def _error_bars(entries: Sequence[Entry]) -> list[list[float]]:
    """Return how far the intervals of steering extend below and above the rates."""
    rates = [one.steer for one in entries]
    return [[one.value - one.low for one in rates], [one.high - one.value for one in rates]]


def _titled(figure: Figure, title: str) -> None:
    width, height = figure.get_size_inches()
    figure.suptitle(title, fontsize=14, x=0.75 / width, y=1 - 0.15 / height, ha="left", va="top", fontweight="bold")


def _legend(figure: Figure, handles: Sequence[Artist]) -> None:
    width = figure.get_size_inches()[0]
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1 - 2.4 / width, 0.5), frameon=False, fontsize=9.5
    )

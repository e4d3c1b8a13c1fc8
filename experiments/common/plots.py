"""The style of figures, and mazes with trails, bars and intervals.

Colours are those of `goalmaze.envs.look`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from goalmaze.agents.files import write_atomically
from goalmaze.agents.rollout import Trajectory
from goalmaze.envs import look
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.levels import Family
from goalmaze.envs.rendering import frame
from goalmaze.experiments.common.tables import Interval
from goalmaze.experiments.statistics.intervals import Rate

PALETTE = tuple(map(look.hexadecimal, look.SERIES))
"""Colours of series, in this order."""

MARKERS = ("o", "D", "s", "^", "v", "P", "*", "X")
"""Markers of series, in this order."""

OLIVE = look.hexadecimal(look.OLIVE)
"""A further colour of series, for figures on white in which the palette's yellow is too faint."""

DARK_GREY, GREY, LIGHT_GREY = map(look.hexadecimal, (look.NOTE, look.FAINT, look.LINE))
"""Colours of notes and reference lines; of series that matter less; of grid lines."""

BLACK, WHITE = look.hexadecimal(look.BLACK), look.hexadecimal(look.WHITE)


OBJECT_MARKERS = {"disc": "o", "diamond": "D", "door": "s", "ring": "o"}
"""Shape of an object → the marker of matplotlib that is closest to it."""


def series_style(index: int) -> dict[str, Any]:
    """Return colour and marker of a series by its index; they repeat after the last of the palette."""
    return {"color": PALETTE[index % len(PALETTE)], "marker": MARKERS[index % len(MARKERS)]}


def draw_maze(axes: Axes, trajectory: Trajectory, b: int, title: str, *, until: int, target: int = ABSENT) -> None:
    """Draw level b with the agent at its start and its path until a step as a line.

    Args:
        axes: the panel.
        trajectory: the episodes.
        b: index of the level.
        title: above the maze.
        until: the last step of the path.
        target: a cell to ring, or `ABSENT`.
    """
    levels = trajectory.levels
    pixels = 24
    axes.imshow(frame(levels, b, levels.start[b], pixels=pixels, target=target))
    cells = trajectory.agent[: min(until, trajectory.steps[b]) + 1, b]
    rows, columns = cells // levels.width, cells % levels.width
    # imshow puts the centre of the first pixel at 0, so that a cell's middle lies half a pixel before its half width.
    middle = pixels / 2 - 0.5
    trail, agent = look.hexadecimal(look.TRAIL), look.hexadecimal(look.AGENT)
    axes.plot(columns * pixels + middle, rows * pixels + middle, color=trail, linewidth=3, zorder=2)
    axes.plot(columns[-1] * pixels + middle, rows[-1] * pixels + middle, "o", color=agent, markersize=6)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_axis_off()


def maze_legend(figure: Figure, family: Family, present: Sequence[str]) -> None:
    """Draw the legend of `draw_maze` in one line under the mazes, for the object types that are `present` in them."""
    entries = [("agent, from start to end", look.AGENT, "o", True)]
    object_types = [kind for kind in family.object_types if kind.name in present]
    entries += [
        (kind.name, kind.colour, OBJECT_MARKERS.get(kind.shape, "P"), kind.shape != "door") for kind in object_types
    ]
    entries += [("target of the edit", look.TARGET, "o", False)]
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            markersize=9,
            color=look.hexadecimal(colour),
            markerfacecolor=look.hexadecimal(colour) if filled else "none",
            markeredgewidth=2,
            label=label,
        )
        for label, colour, marker, filled in entries
    ]
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.495), ncols=len(handles), frameon=False)


def stacked_bars(axes: Axes, rows: Mapping[str, Sequence[Rate]], parts: Sequence[tuple[str, str]], title: str) -> None:
    """Draw a horizontal bar for each row, made of rates that sum to 1, each written into its part.

    Args:
        axes: the panel.
        rows: label → rates.
        parts: name and colour of each rate.
        title: heading.
    """
    for y, rates in enumerate(rows.values()):
        left = 0.0
        for rate, (_, colour) in zip(rates, parts, strict=True):
            axes.barh(y, rate.value, left=left, color=colour, height=0.7)
            # A narrower part has no room for its number.
            if rate.value > 0.07:
                axes.text(left + rate.value / 2, y, f"{rate.value:.2f}", ha="center", va="center", color=WHITE)
            left += rate.value
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("rate of mazes, by what was reached first")
    axes.set_title(title, fontsize=11, loc="left")
    handles = [Line2D([], [], linewidth=7, color=colour, label=name) for name, colour in parts]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.27), ncols=len(parts), frameon=False)
    hide_frame(axes)


def points_with_intervals(
    axes: Axes,
    series: Mapping[str, tuple[Sequence[Interval], str, str]],
    labels: Sequence[str],
    title: str,
) -> None:
    """Draw rates with their intervals over labelled positions, one colour and marker a series.

    Args:
        axes: the panel.
        series: name → rates, colour, marker.
        labels: of the positions.
        title: heading.
    """
    for offset, (name, (rates, colour, marker)) in enumerate(series.items()):
        # Series stand beside each other, so that their intervals do not overlap.
        positions = [i + 0.09 * (offset - (len(series) - 1) / 2) for i in range(len(rates))]
        values = [rate.value for rate in rates]
        spread = [[rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]]
        axes.errorbar(positions, values, spread, color=colour, marker=marker, linestyle="", capsize=2, label=name)
    axes.set_xticks(range(len(labels)), list(labels))
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("rate of mazes")
    axes.set_title(title, fontsize=11, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False, fontsize=9, columnspacing=1.0)
    hide_frame(axes)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    # Through memory: an interrupted command leaves the old picture or none, never half of one.
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomically(path, buffer.getvalue())


def save_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as PNG under their names into a folder and return the files."""
    for name, figure in figures.items():
        save_figure(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def hide_frame(axes: Axes) -> None:
    """Hide the lines above and to the right of the axes."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)

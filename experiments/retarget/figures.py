"""Figures of retargeting: vector fields, heat maps of reachable targets, and activation maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs import look
from goalmaze.envs.cells import Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.rendering import frame
from goalmaze.envs.solving import distances
from goalmaze.experiments.common.plots import BLACK, DARK_GREY, PALETTE, save_figures
from goalmaze.experiments.retarget.bins import off_path_distances, target_distances
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.procgen_tools.path_probability import path_probability
from goalmaze.probes.procgen_tools.vector_fields import field_change, vector_field

BEFORE, AFTER, CHANGE = PALETTE[0], PALETTE[1], DARK_GREY
TARGET = look.hexadecimal(look.TARGET)
PIXELS = 24
CHANNELS_SHOWN = 8
MAZES_SHOWN = 3
ARROW_SHAPE: JsonObject = {"width": 0.011, "headwidth": 3.2, "headlength": 3.5, "headaxislength": 3.2}
"""Shaft in fractions of the picture's width; head in widths of the shaft."""

Floats = NDArray[np.float64]


def draw_edit(policy: NetworkPolicy, task: RetargetingTask, candidate: Candidate, folder: Path) -> list[Path]:
    """Draw an edit's vector fields, heat maps and, where its site is a map, activation maps into a folder."""
    examples = example_mazes(task)
    figures = {
        "retarget-field": vector_fields(policy, task, int(examples[0]), candidate),
        "retarget-heat": heat_maps(policy, task, examples[:MAZES_SHOWN], candidate),
    }
    if _activation(policy, task.levels, 0, candidate.edits(task)[0].site).dim() == 3:
        figures["retarget-activations"] = activation_maps(policy, task, int(examples[0]), candidate)
    return save_figures(figures, folder)


def example_mazes(task: RetargetingTask) -> NDArray[np.intp]:
    """Return the rows of all mazes, best examples first: the target far away and far off the path to the goal."""
    # The smaller of the two must be large, so that neither a near target nor one beside the usual path comes first.
    # Mazes whose goal is in the way get 0 and come last; the sort is stable.
    steps = np.minimum(target_distances(task), off_path_distances(task))
    return np.argsort(-steps * task.off_path, kind="stable")


def vector_fields(policy: NetworkPolicy, task: RetargetingTask, b: int, candidate: Candidate) -> Figure:
    """Return maze b three times: the vector field of the unedited agent, of the edited one, and their difference."""
    one = task.with_targets(task.levels.take([b]), task.targets[[b]])
    # A task of this one maze: its edits have a single row, which applies on every cell.
    before, after = vector_field(policy, one.levels), vector_field(policy, one.levels, candidate.edits(one))
    figure = Figure(figsize=(12.6, 5.0))
    axes = figure.subplots(1, 3, gridspec_kw={"left": 0.02, "right": 0.98, "top": 0.8, "bottom": 0.09, "wspace": 0.06})
    _heading(figure, "Where the agent would go from every cell", candidate)
    for panel, arrows, colour, title in (
        (axes[0], before.arrows, BEFORE, "unedited: to the goal"),
        (axes[1], after.arrows, AFTER, "edited: to the target"),
        (axes[2], field_change(before, after), CHANGE, "what the edit changed"),
    ):
        _maze(panel, task, b, title)
        _arrows(panel, before.cells, arrows, task.levels.width, colour)
    handles = [Line2D([], [], linestyle="", marker="o", markersize=10, color="none", markeredgecolor=TARGET)]
    figure.legend(
        handles=handles, labels=["target of the edit: nothing in the maze marks it"], loc="lower center", frameon=False
    )
    return figure


def heat_maps(policy: NetworkPolicy, task: RetargetingTask, mazes: NDArray[np.intp], candidate: Candidate) -> Figure:
    """Return, for some mazes, the path probability of every target: unedited above, edited towards it below."""
    figure = Figure(figsize=(3.6 * len(mazes) + 1.2, 8.0))
    grid = {"left": 0.06, "right": 0.89, "top": 0.86, "bottom": 0.03, "wspace": 0.06}
    axes = figure.subplots(2, len(mazes), squeeze=False, gridspec_kw=grid)
    _heading(figure, "To which cells can it be sent?", candidate)
    for column, b in enumerate(mazes):
        every, cells = every_target(task, int(b))
        for row, edits in enumerate(([], candidate.edits(every))):
            path = path_probability(policy, every.levels, every.move, edits)
            panel = axes[row, column]
            image = _heat_panel(panel, task, int(b), cells, path)
            if column == 0:
                label = "unedited" if row == 0 else "edited towards each cell"
                outside = {"rotation": 90, "va": "center", "ha": "right", "fontsize": 11}
                panel.text(-0.03, 0.5, label, transform=panel.transAxes, **outside)
    bar = figure.colorbar(image, cax=figure.add_axes((0.91, 0.2, 0.015, 0.5)))
    bar.set_label(
        "probability of a step on a shortest path (geometric mean);\n0 behind the goal: entering it ends the episode"
    )
    return figure


def _heat_panel(axes: Axes, task: RetargetingTask, b: int, cells: NDArray[np.intp], path: Floats) -> AxesImage:
    """Draw maze b with the path probabilities [N] of its cells [N] over it."""
    height, width = task.levels.height, task.levels.width
    # NaN is not drawn, so walls, objects and the agent stay visible.
    heat = np.full(height * width, np.nan)
    heat[cells] = path
    _maze(axes, task, b, "", target=False)
    axes.set_title(f"mean {np.nanmean(path):.2f}", fontsize=10, loc="left")
    edges = (-0.5, width * PIXELS - 0.5, height * PIXELS - 0.5, -0.5)
    return axes.imshow(heat.reshape(height, width), cmap=look.MAP, vmin=0, vmax=1, alpha=0.85, extent=edges)


def every_target(task: RetargetingTask, b: int) -> tuple[RetargetingTask, NDArray[np.intp]]:
    """Return a task with maze b once for each target, and these cells [N]: all free ones without object or agent."""
    levels = task.levels
    # The same cells as targets are drawn from: reachable, without object or agent.
    reached = distances(levels, levels.start)[b] < UNREACHABLE
    reached[levels.objects[b][levels.objects[b] >= 0]] = False
    reached[levels.start[b]] = False
    cells = np.flatnonzero(reached)
    return task.with_targets(levels.take(np.full(len(cells), b)), cells.astype(np.int32)), cells


def activation_maps(policy: NetworkPolicy, task: RetargetingTask, b: int, candidate: Candidate) -> Figure:
    """Return the channels of maze b that the edit changes most: unedited, edited, and with the goal moved."""
    edits = candidate.edits(task)
    site = edits[0].site
    rows = {
        "unedited": _activation(policy, task.levels, b, site),
        "edited": _activation(policy, task.levels, b, site, edits),
        "goal moved": _activation(policy, task.levels_with_goal_moved(), b, site),
    }
    unedited, edited, _ = rows.values()
    channels = (edited - unedited).flatten(1).norm(dim=1).argsort(descending=True)[:CHANNELS_SHOWN].tolist()
    figure = Figure(figsize=(1.55 * len(channels) + 0.9, 6.2))
    grid = {"left": 0.07, "right": 0.99, "top": 0.82, "bottom": 0.02, "wspace": 0.06, "hspace": 0.06}
    axes = figure.subplots(len(rows), len(channels), gridspec_kw=grid)
    _heading(figure, f"Activation at {site}: the channels that change most", candidate)
    goal, target = (_pixel(task.levels, int(cells[b]), unedited) for cells in (task.goals, task.targets))
    for column, channel in enumerate(channels):
        # One colour scale for the three panels of a channel, never of width 0.
        most = float(torch.stack([maps[channel] for maps in rows.values()]).abs().max().clamp(min=1e-6))
        for row, (name, maps) in enumerate(rows.items()):
            panel = axes[row, column]
            panel.imshow(maps[channel].numpy(), cmap=look.DIVERGING_MAP, vmin=-most, vmax=most)
            for (y, x), marker, colour, edge in ((goal, "s", BLACK, 1.5), (target, "o", TARGET, 2.0)):
                panel.plot(x, y, marker, markersize=9, color="none", markeredgecolor=colour, markeredgewidth=edge)
            panel.set_xticks([])
            panel.set_yticks([])
            if row == 0:
                panel.set_title(f"channel {channel}", fontsize=10)
            if column == 0:
                panel.set_ylabel(name, fontsize=11)
    figure.text(0.99, 1 - 0.58 / 6.2, "square: the goal; ring: the target", ha="right", fontsize=10, color=DARK_GREY)
    return figure


def _activation(policy: NetworkPolicy, levels: LevelBatch, b: int, site: str, edits: Sequence[Edit] = ()) -> Tensor:
    """Return float32 [C, H, W], the activation of a site in maze b at the first step, under the edits."""
    observations = torch.from_numpy(observations_of(policy, levels.take([b])))
    with torch.inference_mode(), applied(policy, edits), captured(policy.network, [site]) as latest:
        policy.logits(np.array([b]), observations)
    return latest[site][0]


def _pixel(levels: LevelBatch, cell: int, maps: Tensor) -> tuple[float, float]:
    """Return row and column of the middle of a cell in maps [C, h, w], which may have other sides than the maze."""
    row, column = divmod(cell, levels.width)
    height, width = maps.shape[1:]
    # matplotlib puts the middle of the first pixel at 0, so half a pixel is subtracted.
    return (row + 0.5) * height / levels.height - 0.5, (column + 0.5) * width / levels.width - 0.5


def _maze(axes: Axes, task: RetargetingTask, b: int, title: str, *, target: bool = True) -> None:
    cell = int(task.targets[b]) if target else -1
    start = task.levels.start[b]
    axes.imshow(frame(task.levels, b, start, pixels=PIXELS, target=cell))
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_axis_off()


def _arrows(axes: Axes, cells: Cells, arrows: NDArray[np.float32], width: int, colour: str) -> None:
    """Draw the arrows [N, 2], in rows and columns, on the cells [N]."""
    # The middle of a cell, in the pixels of the picture below the arrows.
    x, y = (index * PIXELS + PIXELS / 2 - 0.5 for index in (cells % width, cells // width))
    down, right = arrows.T * 0.85 * PIXELS
    axes.quiver(
        # Centred on the cell: an arrow that starts there would look like one of the next cell.
        x - right / 2,
        y - down / 2,
        right,
        down,
        color=colour,
        # Lengths and angles in pixels of the picture, whose rows go down.
        angles="xy",
        scale_units="xy",
        scale=1,
        **ARROW_SHAPE,
        zorder=3,
    )


def _heading(figure: Figure, title: str, candidate: Candidate) -> None:
    figure.suptitle(title, fontsize=14, x=0.02, ha="left", fontweight="bold")
    count = "all" if candidate.channels is None else len(candidate.channels)
    height = figure.get_size_inches()[1]
    note = f"{candidate.method} at {candidate.fitted_edit.site}, {count} channels, strength {candidate.strength:g}"
    figure.text(0.02, 1 - 0.58 / height, note, fontsize=10, color=DARK_GREY)

"""Pictures of retargeting: what the policy does everywhere, where it can be sent, what the edited maps look like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.rendering import TARGET_COLOUR, frame
from goalmaze.envs.solving import distances
from goalmaze.experiments.common.plots import hexadecimal, save_figures
from goalmaze.experiments.retarget.bins import off_path_distances, target_distances
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.path_probability import path_chances
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.base import Edit, applied

BEFORE, AFTER, CHANGE = "#0072b2", "#d55e00", "#444444"
TARGET = hexadecimal(TARGET_COLOUR)
PIXELS = 24
CHANNELS_SHOWN = 8
MAZES_SHOWN = 3
Floats = NDArray[np.float64]


def draw_edit(policy: NetworkPolicy, task: RetargetingTask, chosen: Candidate, folder: Path) -> list[Path]:
    """Draw an edit's vector fields, heat maps and, unless its site holds features, maps into a folder."""
    telling = telling_mazes(task)
    figures = {
        "retarget-field": vector_fields(policy, task, int(telling[0]), chosen),
        "retarget-heat": heat_maps(policy, task, telling[:MAZES_SHOWN], chosen),
    }
    if _held(policy, task.levels, 0, chosen.edits(task)[0].site).dim() == 3:
        figures["retarget-activations"] = activation_maps(policy, task, int(telling[0]), chosen)
    return save_figures(figures, folder)


def telling_mazes(task: RetargetingTask) -> NDArray[np.intp]:
    """Return the rows of mazes that show something, best first: the target far, off the way to the goal and back."""
    way = np.minimum(target_distances(task), off_path_distances(task))
    return np.argsort(-way * task.off_path, kind="stable")


def field_of(policy: NetworkPolicy, task: RetargetingTask, b: int, edits: Sequence[Edit] = ()) -> Floats:
    """Return float64 [H*W, 2], the mean move (right, down) of the agent on each free cell of maze b, NaN elsewhere."""
    levels = task.levels
    free = distances(levels, levels.start)[b] < UNREACHABLE
    free[levels.objects[b][levels.objects[b] >= 0]] = False
    cells = np.flatnonzero(free)
    rows = np.full(len(cells), b)
    put = levels.take(rows).started(cells)
    seen = observations_of(policy, put)
    with applied(policy, edits):
        up, right, down, left = policy.begin(levels).probabilities(rows, seen, put.start).astype(np.float64).T
    result = np.full((levels.height * levels.width, 2), np.nan)
    result[cells] = np.stack([right - left, down - up], axis=1)
    return result


def vector_fields(policy: NetworkPolicy, task: RetargetingTask, b: int, chosen: Candidate) -> Figure:
    """Return maze b three times: arrows of the unedited agent, of the edited one, and their difference."""
    before, after = field_of(policy, task, b), field_of(policy, task, b, chosen.edits(task))
    figure = Figure(figsize=(12.6, 5.0))
    axes = figure.subplots(1, 3, gridspec_kw={"left": 0.02, "right": 0.98, "top": 0.8, "bottom": 0.09, "wspace": 0.06})
    _heading(figure, "Where the agent would go from every cell", chosen)
    for one, field, colour, title in (
        (axes[0], before, BEFORE, "unedited: to the goal"),
        (axes[1], after, AFTER, "edited: to the target"),
        (axes[2], after - before, CHANGE, "what the edit changed"),
    ):
        _maze(one, task, b, title)
        _arrows(one, field, task.levels.width, colour)
    marks = [Line2D([], [], linestyle="", marker="o", markersize=10, color="none", markeredgecolor=TARGET)]
    figure.legend(
        handles=marks, labels=["target of the edit: nothing in the maze marks it"], loc="lower center", frameon=False
    )
    return figure


def heat_maps(policy: NetworkPolicy, task: RetargetingTask, mazes: NDArray[np.intp], chosen: Candidate) -> Figure:
    """Return, for some mazes, how likely the shortest way to every cell is: unedited, and edited to go there."""
    figure = Figure(figsize=(3.6 * len(mazes) + 1.2, 8.0))
    axes = figure.subplots(
        2,
        len(mazes),
        squeeze=False,
        gridspec_kw={"left": 0.06, "right": 0.89, "top": 0.86, "bottom": 0.03, "wspace": 0.06},
    )
    _heading(figure, "To which cells can it be sent?", chosen)
    for column, b in enumerate(mazes):
        one, cells = every_target(task, int(b))
        for row, edits in enumerate(([], chosen.edits(one))):
            chances = path_chances(policy, one.levels, one.goals, one.targets, edits)
            heat = np.full(one.levels.height * one.levels.width, np.nan)
            heat[cells] = chances
            place = axes[row, column]
            _maze(place, task, int(b), "", target=False)
            shown = place.imshow(
                heat.reshape(one.levels.height, -1),
                cmap="viridis",
                vmin=0,
                vmax=1,
                alpha=0.85,
                extent=(-0.5, one.levels.width * PIXELS - 0.5, one.levels.height * PIXELS - 0.5, -0.5),
            )
            if column == 0:
                label = "unedited" if row == 0 else "edited towards each cell"
                place.text(
                    -0.03, 0.5, label, transform=place.transAxes, rotation=90, va="center", ha="right", fontsize=11
                )
            place.set_title(f"mean {np.nanmean(chances):.2f}", fontsize=10, loc="left")
    bar = figure.colorbar(shown, cax=figure.add_axes((0.91, 0.2, 0.015, 0.5)))
    bar.set_label(
        "chance of a step on the shortest way (geometric mean);\n0 behind the goal, whose entering ends the episode"
    )
    return figure


def every_target(task: RetargetingTask, b: int) -> tuple[RetargetingTask, NDArray[np.intp]]:
    """Return an errand to every free cell of maze b but its objects' and its start, and these cells [N]."""
    levels = task.levels
    reached = distances(levels, levels.start)[b] < UNREACHABLE
    reached[levels.objects[b][levels.objects[b] >= 0]] = False
    reached[levels.start[b]] = False
    cells = np.flatnonzero(reached)
    return task.towards(levels.take(np.full(len(cells), b)), cells.astype(np.int32)), cells


def activation_maps(policy: NetworkPolicy, task: RetargetingTask, b: int, chosen: Candidate) -> Figure:
    """Return the channels of the edited site that the edit changes most in maze b: before, after, goal really moved."""
    edits = chosen.edits(task)
    site = edits[0].site
    plain = _held(policy, task.levels, b, site)
    edited = _held(policy, task.levels, b, site, edits)
    moved = _held(policy, task.seen_moved(), b, site)
    order = (edited - plain).flatten(1).norm(dim=1).argsort(descending=True)[:CHANNELS_SHOWN]
    figure = Figure(figsize=(1.55 * len(order) + 0.9, 6.2))
    axes = figure.subplots(
        3,
        len(order),
        gridspec_kw={"left": 0.07, "right": 0.99, "top": 0.82, "bottom": 0.02, "wspace": 0.06, "hspace": 0.06},
    )
    _heading(figure, f"What {site} holds: the channels that change most", chosen)
    goal, target = (_pixel(task.levels, int(cells[b]), plain) for cells in (task.goals, task.targets))
    for column, channel in enumerate(order.tolist()):
        most = float(torch.stack([maps[channel] for maps in (plain, edited, moved)]).abs().max().clamp(min=1e-6))
        for row, (name, maps) in enumerate((("unedited", plain), ("edited", edited), ("really moved", moved))):
            place = axes[row, column]
            place.imshow(maps[channel].numpy(), cmap="RdBu_r", vmin=-most, vmax=most)
            place.plot(goal[1], goal[0], "s", markersize=9, color="none", markeredgecolor="black", markeredgewidth=1.5)
            place.plot(target[1], target[0], "o", markersize=9, color="none", markeredgecolor=TARGET, markeredgewidth=2)
            place.set_xticks([])
            place.set_yticks([])
            if row == 0:
                place.set_title(f"channel {channel}", fontsize=10)
            if column == 0:
                place.set_ylabel(name, fontsize=11)
    figure.text(0.99, 1 - 0.58 / 6.2, "square: the goal; ring: the target", ha="right", fontsize=10, color="#555555")
    return figure


def _held(policy: NetworkPolicy, levels: LevelBatch, b: int, site: str, edits: Sequence[Edit] = ()) -> Tensor:
    """Return float32 [C, H, W], what a site holds in maze b before the first step, edited as said."""
    seen = torch.from_numpy(observations_of(policy, levels.take([b])))
    with torch.inference_mode(), applied(policy, edits), captured(policy.network, [site]) as latest:
        policy.logits(np.array([b]), seen)
    return latest[site][0]


def _pixel(levels: LevelBatch, cell: int, maps: Tensor) -> tuple[float, float]:
    """Return row and column in maps [C, h, w], of whatever sides, at which the middle of a cell of a maze lies."""
    row, column = divmod(cell, levels.width)
    height, width = maps.shape[1:]
    return (row + 0.5) * height / levels.height - 0.5, (column + 0.5) * width / levels.width - 0.5


def _maze(axes: Axes, task: RetargetingTask, b: int, title: str, *, target: bool = True) -> None:
    cell = int(task.targets[b]) if target else -1
    start = task.levels.start[b]
    axes.imshow(frame(task.levels, b, start, pixels=PIXELS, target=cell))
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_axis_off()


def _arrows(axes: Axes, field: Floats, width: int, colour: str) -> None:
    cells = np.flatnonzero(np.isfinite(field[:, 0]))
    x, y = (place * PIXELS + PIXELS / 2 - 0.5 for place in (cells % width, cells // width))
    lengths = field[cells] * 0.85 * PIXELS
    heads: dict[str, Any] = {"width": 0.011, "headwidth": 3.2, "headlength": 3.5, "headaxislength": 3.2}
    right, down = lengths.T
    axes.quiver(
        x - right / 2,
        y - down / 2,
        right,
        down,
        color=colour,
        angles="xy",
        scale_units="xy",
        scale=1,
        zorder=3,
        **heads,
    )


def _heading(figure: Figure, title: str, chosen: Candidate) -> None:
    figure.suptitle(title, fontsize=14, x=0.02, ha="left", fontweight="bold")
    shown = "all" if chosen.channels is None else len(chosen.channels)
    height = figure.get_size_inches()[1]
    note = f"{chosen.method} at {chosen.found.site}, {shown} channels, strength {chosen.strength:g}"
    figure.text(0.02, 1 - 0.58 / height, note, fontsize=10, color="#555555")

"""The animation of one agent's policy field along its checkpoints, beside its capability and preference."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from goalmaze.agents.files import write_atomically
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.rendering import frame
from goalmaze.experiments.audit.truth import preference_levels
from goalmaze.experiments.common.plots import LIGHT_GREY, PALETTE, hide_frame
from goalmaze.experiments.formation.measures.all import CAPABILITY, COARSE
from goalmaze.experiments.formation.series import Series
from goalmaze.probes.audit.pool import neutral
from goalmaze.probes.procgen_tools.vector_fields import VectorField, vector_field

PIXELS, MILLISECONDS = 40, 250
"""Pixels of a cell, and how long a frame lasts."""

LAST = 2000
"""How long the last frame lasts, in milliseconds."""


def animate_field(series: Series, path: Path, agent: int = 0, level: int = 0) -> Path:
    """Write a GIF of an agent's policy on one distinguishing level, one frame for each checkpoint; return the file.

    Args:
        series: the measures of its run.
        path: the file.
        agent: number of the agent.
        level: number of the level.

    Raises:
        GoalmazeError: there is no such agent.
    """
    run = series.run
    if not 0 <= agent < len(run.agents):
        raise GoalmazeError(f"{run.name} has no agent number {agent}: choose 0 to {len(run.agents) - 1}")
    board = preference_levels(neutral(run.family), level + 1).take([level])
    frames = []
    for number, steps in enumerate(run.steps):
        policy = NetworkPolicy(run.networks(steps)[agent])
        frames.append(_frame(series, agent, number, board, vector_field(policy, board)))
    buffer = io.BytesIO()
    durations = [MILLISECONDS] * (len(frames) - 1) + [LAST]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    write_atomically(path, buffer.getvalue())
    return path


def _frame(series: Series, agent: int, number: int, board: LevelBatch, field: VectorField) -> Image.Image:
    """Return the picture of one checkpoint: the field on the left, the curves so far on the right."""
    run = series.run
    figure = Figure(figsize=(9, 4.2), layout="constrained", dpi=80)
    maze, curves = figure.subplots(1, 2, width_ratios=(1, 1.1))
    maze.imshow(frame(board, 0, board.start[0], pixels=PIXELS))
    rows, columns = np.divmod(field.cells, board.width)
    arrows, middle = field.arrows, PIXELS / 2 - 0.5
    # Arrows of a length of one move would cross half of the next cell.
    maze.quiver(
        columns * PIXELS + middle,
        rows * PIXELS + middle,
        arrows[:, 1],
        -arrows[:, 0],
        pivot="middle",
        scale=11,
        width=0.012,
        color=PALETTE[0],
    )
    maze.set_axis_off()
    maze.set_title(f"agent {run.agents[agent]} after {run.steps[number]:,} steps", loc="left")
    steps = np.maximum(run.steps, run.steps[1] / 2)
    for name, colour in ((CAPABILITY, PALETTE[2]), (COARSE, PALETTE[1])):
        values = series.scores(name)[agent]
        curves.plot(steps, values, color=colour, linewidth=1, alpha=0.3)
        curves.plot(steps[: number + 1], values[: number + 1], color=colour, linewidth=2, label=name)
        curves.plot(steps[number], values[number], "o", color=colour)
    curves.set_xscale("log")
    curves.set_ylim(-0.03, 1.03)
    curves.set_xlabel("environment steps")
    curves.grid(color=LIGHT_GREY)
    curves.legend(loc="upper left", frameon=False)
    hide_frame(curves)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels[..., :3].copy()).quantize(64)

"""Figures of goal inference: the log-loss of every goal model, and the calibration of its probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.experiments.common.plots import DARK_GREY, GREY, LIGHT_GREY, hide_frame, save_figures, series_style
from goalmaze.experiments.evaluate.goal_inference import GoalInference, GoalInferences

Styles = Mapping[str, Mapping[str, str]]
"""Goal model → colour and marker."""


def draw_goal_inferences(inference: GoalInferences, folder: Path) -> tuple[Path, ...]:
    """Write `goal-inference.png`, a row of two panels for each agent; return the files.

    Raises:
        GoalmazeError: the file cannot be written.
    """
    figure = Figure(figsize=(10.5, 0.7 + 3.1 * len(inference.agents)), layout="constrained")
    panels = figure.subplots(len(inference.agents), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), one in zip(panels, inference.agents, strict=True):
        styles = model_styles(one)
        _draw_log_losses(left, one, styles)
        draw_calibration(right, one, styles)
    return tuple(save_figures({"goal-inference": figure}, folder))


def model_styles(inference: GoalInference) -> Styles:
    """Return colour and marker of each goal model, the same whatever their order."""
    # Models are ordered by their loss, which differs between agents; their names do not.
    return {name: series_style(i) for i, name in enumerate(sorted(one.name for one in inference.models))}


def _draw_log_losses(axes: Axes, inference: GoalInference, styles: Styles) -> None:
    count, floor = len(inference.models), inference.policy_log_loss.value
    for y, one in enumerate(inference.models):
        loss = one.log_loss
        spread = [[loss.value - loss.low], [loss.high - loss.value]]
        style = styles[one.name]
        axes.errorbar(loss.value, y, xerr=spread, color=style["color"], marker=style["marker"], capsize=3, markersize=7)
    axes.axvline(floor, color=DARK_GREY, linestyle=":", linewidth=1.2)
    axes.text(floor, count - 0.6, " the agent's own probabilities", fontsize=8, color=DARK_GREY)
    labels = [f"{one.name}{' *' * (one.name in inference.best)}" for one in inference.models]
    axes.set_yticks(range(count), labels, fontsize=9)
    # Upside down: the best model comes first.
    axes.set_ylim(count - 0.3, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("log-loss, nats per action; 95 % intervals over levels, not training seeds", fontsize=9)
    title = f"{inference.header.agent.removeprefix('zoo:')}, {inference.shift}: {inference.header.levels} levels"
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(axis="x", color=LIGHT_GREY, linewidth=0.6)
    hide_frame(axes)


def draw_calibration(axes: Axes, inference: GoalInference, styles: Styles) -> None:
    """Draw the rate at which actions were taken against the probability that each goal model gave them."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for one in inference.models:
        style, measured = styles[one.name], one.calibration
        axes.plot(
            measured.predicted,
            measured.observed,
            color=style["color"],
            marker=style["marker"],
            markersize=5,
            linewidth=1.1,
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("predicted probability", fontsize=9)
    axes.set_ylabel("observed rate", fontsize=9)
    axes.set_title("calibration (* best, or indistinguishable from it)", fontsize=10, loc="left")
    hide_frame(axes)

"""The figures of the study: curves of every agent along training with its alarms, and the forecasts of all measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from goalmaze.envs.look import MAP
from goalmaze.experiments.common.plots import (
    DARK_GREY,
    GREY,
    LIGHT_GREY,
    PALETTE,
    hide_frame,
    save_figures,
    series_style,
)
from goalmaze.experiments.formation.alarms import NEVER
from goalmaze.experiments.formation.animation import animate_field
from goalmaze.experiments.formation.measures.all import ALONG_TRAINING, CAPABILITY, COARSE, PRIMARY, SENSITIVE
from goalmaze.experiments.formation.registration import registered
from goalmaze.experiments.formation.study import Condition, Formation

COLUMNS = 5
FORECAST_COLUMNS = 3

FORECAST_MEASURES = (PRIMARY, "value-gradient", "policy-gradient", "control", "local-learning-coefficient")
"""The inside measures that the figure of forecasts shows, beside both measures of behaviour."""

ALARMS = {PRIMARY: PALETTE[0], SENSITIVE: PALETTE[1], COARSE: PALETTE[2]}
"""Measure → colour of its alarms."""


def draw_study(result: Formation, folder: Path, field_agent: int = 0) -> tuple[Path, ...]:
    """Draw the curves and alarms of each condition, all forecasts, and one agent's policy field; return the files.

    Args:
        result: the study.
        folder: an existing folder.
        field_agent: number of the agent whose field is animated.

    Raises:
        GoalmazeError: there is no such agent.
    """
    # Windows has no colons in the names of files, and agents of the zoo have one.
    names = [f"formation-{one.name}".replace(":", "-") for one in result.conditions]
    figures = {name: draw_curves(one) for name, one in zip(names, result.conditions, strict=True)}
    figures |= {
        f"{name}-alarms": draw_alarms(one) for name, one in zip(names, result.conditions, strict=True) if one.alarms
    }
    if result.forecasts:
        figures["formation-forecasts"] = draw_forecasts(result)
    paths = save_figures(figures, folder)
    films = [
        animate_field(one.series, folder / f"{name}.gif", field_agent)
        for name, one in zip(names, result.conditions, strict=True)
    ]
    return (*paths, *films)


def draw_curves(condition: Condition) -> Figure:
    """Return one panel for each measure, one line for each agent, coloured by its final preference."""
    series, names = (
        condition.series,
        [name for name in (CAPABILITY, COARSE, SENSITIVE) if name in condition.series.measures],
    )
    names += [name for name in ALONG_TRAINING if name in series.measures and name not in names]
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(3.3 * COLUMNS, 2.6 * rows + 0.8), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).flatten()
    steps = np.maximum(series.run.steps, series.run.steps[1] / 2)
    colours = _preference_colours(series.final)
    for axes, name in zip(panels, names, strict=False):
        if condition.control is not None and name in condition.control.measures:
            axes.plot(steps, condition.control.scores(name).T, color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
        for agent, colour in zip(series.scores(name), colours, strict=True):
            axes.plot(steps, agent, color=tuple(colour), linewidth=0.9)
        axes.set_title(name, fontsize=11, loc="left")
        axes.set_xscale("log")
        axes.grid(color=LIGHT_GREY)
        hide_frame(axes)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes in panels[max(0, len(names) - COLUMNS) : len(names)]:
        axes.set_xlabel("environment steps (first: untrained)")
        axes.tick_params(labelbottom=True)
    handles = [
        Line2D(
            [],
            [],
            color=tuple(_preference_colours(np.array([value]))[0]),
            label=f"final preference for the cue {value:g}",
        )
        for value in (0.0, 0.5, 1.0)
    ]
    if condition.control is not None:
        handles.append(Line2D([], [], color=GREY, label=f"control: {condition.control.run.condition}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    figure.suptitle(f"{condition.name}: {len(series.run.agents)} agents along training", fontsize=14)
    return figure


def _preference_colours(preferences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [n, 4], the colour of each preference: violet for the goal, yellow for the cue."""
    return np.asarray(colormaps[MAP](np.clip(preferences, 0, 1)), np.float64)


def draw_alarms(condition: Condition) -> Figure:
    """Return at which step each alarm of each agent sounds, agents in the order of their final preference."""
    series = condition.series
    names = [name for name in condition.alarms if name in (*ALARMS, "value-gradient", "control", "ablation-policy")]
    agents = len(condition.alarms[names[0]])
    figure = Figure(figsize=(9, 0.28 * agents + 2), layout="constrained")
    axes = figure.subplots()
    kept = series.kept(registered())
    order = np.argsort(series.final[kept], kind="stable")
    for index, name in enumerate(names):
        moments = condition.alarms[name][order]
        sounds = moments < NEVER
        steps = np.maximum(np.array(series.run.steps)[np.where(sounds, moments, 0)], series.run.steps[1] / 2)
        heights = np.arange(agents) + 0.1 * (index - (len(names) - 1) / 2)
        label = f"{name}: {sounds.sum()} of {agents}"
        axes.plot(steps[sounds], heights[sounds], linestyle="", markersize=7, label=label, **series_style(index))
    finals = series.final[kept][order]
    seeds = np.array(series.run.agents)[kept][order]
    axes.set_yticks(range(agents), [f"{seed}: {final:.2f}" for seed, final in zip(seeds, finals, strict=True)])
    axes.set_ylabel("agent: its final preference for the cue")
    axes.set_xscale("log")
    axes.set_xlim(series.run.steps[1] / 2.2, series.run.steps[-1] * 1.1)
    axes.set_xlabel("environment steps at which the alarm sounds first")
    axes.grid(color=LIGHT_GREY)
    hide_frame(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    axes.set_title(f"{condition.name}: when each alarm sounds", loc="left")
    return figure


def draw_forecasts(result: Formation) -> Figure:
    """Return Spearman's correlation with the final preference at each fraction of training, one panel a condition."""
    conditions = [one for one in result.conditions if one.forecasts]
    columns = min(len(conditions), FORECAST_COLUMNS)
    rows = -(-len(conditions) // columns)
    figure = Figure(figsize=(5 * columns, 4.2 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, condition in zip(panels.flatten(), conditions, strict=False):
        _draw_forecast(axes, condition, result.registered.fractions)
    for axes in panels.flatten()[len(conditions) :]:
        axes.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.supylabel("Spearman's correlation with the final preference", fontsize=11)
    return figure


def _draw_forecast(axes: Axes, condition: Condition, fractions: tuple[float, ...]) -> None:
    chosen = [one for one in condition.forecasts if one.behaviour == SENSITIVE]
    lines = {
        name: [one.inside for one in chosen if one.measure == name]
        for name in FORECAST_MEASURES
        if any(one.measure == name for one in chosen)
    }
    first = next(iter(lines))
    lines[SENSITIVE] = [one.competitor for one in chosen if one.measure == first]
    coarse = [one for one in condition.forecasts if one.behaviour == COARSE]
    lines[COARSE] = [one.competitor for one in coarse if one.measure == first]
    for index, (name, estimates) in enumerate(lines.items()):
        # Beside each other, so that the intervals do not overlap.
        x = np.array(fractions) * 1.035 ** (index - (len(lines) - 1) / 2)
        spread = [[one.value - one.low for one in estimates], [one.high - one.value for one in estimates]]
        axes.errorbar(x, [one.value for one in estimates], spread, capsize=2, label=name, **series_style(index))
    axes.axhline(0, color=DARK_GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(list(fractions), [f"{one:.0%}" for one in fractions])
    axes.minorticks_off()
    axes.set_ylim(-1.03, 1.03)
    axes.set_xlabel("fraction of training")
    axes.set_title(f"{condition.name}, {chosen[0].agents} agents", loc="left")
    axes.grid(color=LIGHT_GREY)
    hide_frame(axes)

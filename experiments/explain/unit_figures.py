"""The page of `goalmaze explain --units`: each channel beside its simulation, the sites, and the circuit."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import Agent
from goalmaze.envs.levels import EVALUATION
from goalmaze.envs.look import MAP
from goalmaze.envs.rendering import frame
from goalmaze.experiments.common.plots import BLACK, GREY, PALETTE, WHITE, hide_frame, save_figures
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.explain.unit_report import UnitReport, UnitRow
from goalmaze.probes.units.channels import Channels, columns_for, read_channels
from goalmaze.probes.units.library import compute_library
from goalmaze.probes.units.states import MazeStates, Values

SHOWN_STATES = 64
"""States that vectors are drawn over."""

WRAP = 92
"""Characters in a line of an explanation."""


def draw_units(agent: Agent, report: UnitReport, folder: Path) -> list[Path]:
    """Draw a picture for each site, one of all sites and one of the circuit, and write the page `units.html`."""
    family = agent.family
    states = family.levels(
        report.header.seed + 3, count=SHOWN_STATES, split=EVALUATION, shift=family.distinguishing_shift
    )
    library = compute_library(MazeStates(states))
    sites = list(report.formulas)
    channels = read_channels(agent.policy, agent.network, states, sites)
    figures = {"units-sites": site_figure(report)}
    if report.edges:
        figures["units-circuit"] = circuit_figure(report)
    maze = frame(states, 0, states.start[0], pixels=16)
    for site in progress(sites, "drawing", "site"):
        columns = columns_for(library, states, channels[site].scope)
        simulated = [formula(columns) for formula in report.formulas[site]]
        rows = [row for row in report.rows if row.site == site]
        figures[f"units-{site}"] = _channel_figure(channels[site], simulated, rows, maze, states.height)
    paths = save_figures(figures, folder)
    page = folder / "units.html"
    write_atomically(page, _page(report, paths).encode())
    return [*paths, page]


def site_figure(report: UnitReport) -> Figure:
    """Return R² by site, trained, untrained and of baselines, and what simulating a whole site does to the policy."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [row.site for row in report.sites]
    places = np.arange(len(names))
    spread = [[row.r2 - row.r2_low for row in report.sites], [row.r2_high - row.r2 for row in report.sites]]
    left.errorbar(
        places, [row.r2 for row in report.sites], spread, color=PALETTE[0], marker="o", capsize=2, label="trained"
    )
    left.plot(
        places, [row.r2_untrained for row in report.sites], color=PALETTE[1], marker="D", label="untrained network"
    )
    left.plot(places, [row.r2_plane for row in report.sites], color=PALETTE[2], marker="s", label="best single plane")
    left.plot(places, [row.r2_shuffled for row in report.sites], color=GREY, marker="^", label="another channel's")
    left.set_ylabel("mean R² of channels, other mazes")
    left.set_ylim(-0.02, 1.02)
    left.set_title("How much of each site do formulas explain?", fontsize=11, loc="left")
    right.bar(places - 0.2, [row.site_kl for row in report.sites], 0.4, color=PALETTE[0], label="by simulations")
    right.bar(places + 0.2, [row.site_mean_kl for row in report.sites], 0.4, color=GREY, label="by means")
    right.set_ylabel("KL of the policy, nats")
    # Room above the bars for the legend.
    right.set_ylim(0, 1.3 * max(max(row.site_kl, row.site_mean_kl) for row in report.sites))
    right.set_title("All channels of a site replaced at once", fontsize=11, loc="left")
    for axes in (left, right):
        axes.set_xticks(places, names, rotation=45, ha="right")
        axes.legend(frameon=False, fontsize=9)
        hide_frame(axes)
    figure.suptitle(f"{report.header.agent}: channels explained by formulas", x=0.01, ha="left", fontweight="bold")
    return figure


def circuit_figure(report: UnitReport) -> Figure:
    """Return the tested edges as lines between the channels of consecutive sites, wide where the policy needs them."""
    strong = report.edges[: len(report.edges) // 2]
    order = list(report.formulas)
    sites = [site for site in order if any(site in (edge.site, edge.above) for edge in strong)]
    column = {site: i for i, site in enumerate(sites)}
    figure = Figure(figsize=(1.5 + 1.35 * len(sites), 6.2), layout="constrained")
    axes = figure.subplots()
    most = max((edge.kl for edge in strong), default=1.0) or 1.0
    for edge in strong:
        if edge.site in column and edge.above in column:
            ends = (column[edge.site], column[edge.above]), (edge.channel, edge.onto)
            axes.plot(*ends, color=PALETTE[0], linewidth=0.6 + 7 * math.sqrt(edge.kl / most), alpha=0.7, zorder=1)
    ends_of = [*((e.site, e.channel) for e in strong), *((e.above, e.onto) for e in strong)]
    for site, channel in dict.fromkeys(ends_of):
        if site in column:
            axes.plot(column[site], channel, "o", color=WHITE, markeredgecolor=BLACK, markersize=15, zorder=2)
            axes.text(column[site], channel, str(channel), ha="center", va="center", fontsize=8, zorder=3)
    axes.set_xticks(range(len(sites)), sites)
    axes.set_ylabel("channel")
    axes.invert_yaxis()
    axes.set_title(
        f"{report.header.agent}: the {len(strong)} strongest edges; width: KL of the policy without the edge",
        fontsize=11,
        loc="left",
    )
    hide_frame(axes)
    return figure


def _channel_figure(
    channels: Channels, simulated: Sequence[Values], rows: Sequence[UnitRow], maze: np.ndarray, height: int
) -> Figure:
    """Return a line for each channel: a maze, activation and simulation there, and the formula."""
    figure = Figure(figsize=(13, 1.25 * len(rows) + 0.4), layout="constrained")
    panels = figure.subplots(len(rows), 4, squeeze=False, width_ratios=[1, 1, 1, 7])
    for line, row in zip(panels, rows, strict=True):
        actual, guess = channels.values[..., row.channel], simulated[row.channel]
        line[0].imshow(maze)
        if channels.scope == "squares":
            low, high = float(min(actual[0].min(), guess[0].min())), float(max(actual[0].max(), guess[0].max()))
            for axes, values in ((line[1], actual[0]), (line[2], guess[0])):
                axes.imshow(values.reshape(height, -1), cmap=MAP, vmin=low, vmax=max(high, low + 1e-6))
        else:
            line[1].scatter(guess, actual, s=5, color=PALETTE[0])
        for axes in line:
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in (line[0], line[2], line[3]):
            axes.set_axis_off()
        _write(line[3], row)
    panels[0][1].set_title("activation" if channels.scope == "squares" else "activation over simulation", fontsize=8)
    panels[0][2].set_title("simulation" if channels.scope == "squares" else "", fontsize=8)
    return figure


def _write(axes: Axes, row: UnitRow) -> None:
    scores = (
        f"{row.site} {row.channel}   R² {row.r2:.2f} (untrained {row.r2_untrained:.2f})   detection {row.detection:.2f}"
    )
    scores += f"   KL {row.intervention_kl:.3f} (mean {row.mean_kl:.3f})"
    lines = textwrap.wrap(row.explanation, WRAP)
    text = "\n".join(lines[:4]) + (" …" if len(lines) > 4 else "")
    axes.text(0, 0.95, scores, fontsize=9, fontweight="bold", va="top", transform=axes.transAxes)
    axes.text(0, 0.72, text, fontsize=8, va="top", transform=axes.transAxes)


def _page(report: UnitReport, pictures: Sequence[Path]) -> str:
    """Return the page: the tables of the report, a picture for each site, and every explanation in full."""
    body = report._repr_html_()
    images = "".join(
        f'<figure><img src="{html.escape(path.name)}" alt="{html.escape(path.stem)}"><figcaption>'
        f"{html.escape(path.stem)}</figcaption></figure>"
        for path in pictures
    )
    rows = "".join(
        f"<tr><td>{html.escape(row.site)} {row.channel}</td><td>{row.r2:.2f}</td><td>{row.r2_untrained:.2f}</td>"
        f"<td>{row.intervention_kl:.4f}</td><td>{html.escape(row.explanation)}</td></tr>"
        for row in report.rows
    )
    style = (
        "body{font:15px sans-serif;max-width:75em;margin:2em auto}img{max-width:100%}"
        "td,th{padding:.2em .6em;text-align:left;vertical-align:top}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(report.header.agent)}: units'
        f"</title><style>{style}</style></head><body><h1>What the channels of {html.escape(report.header.agent)} stand "
        f"for</h1>{body}{images}<h2>Every channel</h2><table><thead><tr><th>channel</th><th>R²</th><th>untrained</th>"
        f"<th>KL</th><th>explanation</th></tr></thead><tbody>{rows}</tbody></table></body></html>"
    )

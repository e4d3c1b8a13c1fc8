"""The figure of `goalmaze explain --features`: the F1 of every dictionary for every concept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from goalmaze.envs.look import MAP
from goalmaze.experiments.common.plots import BLACK, WHITE, save_figures
from goalmaze.experiments.explain.feature_report import FeatureReport


def draw_features(report: FeatureReport, folder: Path) -> list[Path]:
    """Draw the figure into a folder and return the file."""
    return save_figures({"explain-features": feature_figure(report)}, folder)


def feature_figure(report: FeatureReport) -> Figure:
    """Return a table of F1 for each site and window: dictionaries from top to bottom, concepts from left to right."""
    cases = list(dict.fromkeys((row.site, row.side) for row in report.rows))
    concepts = list(report.rows[0].concepts)
    figure = Figure(figsize=(2.6 + 0.52 * len(concepts), 2.3 + 2.75 * len(cases)), layout="constrained")
    panels = figure.subplots(len(cases), squeeze=False)[:, 0]
    for axes, (site, side) in zip(panels, cases, strict=True):
        rows = [row for row in report.rows if (row.site, row.side) == (site, side)]
        values = np.array([[row.concepts[concept] for concept in concepts] for row in rows])
        axes.imshow(values, cmap=MAP, vmin=0, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if not np.isnan(value):
                # Dark numbers on light squares, and the other way round.
                colour = BLACK if value > 0.55 else WHITE
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_yticks(range(len(rows)), [row.dictionary for row in rows], fontsize=8)
        axes.set_xticks([])
        axes.set_title(f"{site} {side}×{side}", fontsize=10, loc="left")
    panels[-1].set_xticks(range(len(concepts)), concepts, rotation=60, ha="right", fontsize=8)
    figure.suptitle(f"{report.header.agent}: F1 of the best single feature on other mazes", x=0.01, ha="left")
    return figure

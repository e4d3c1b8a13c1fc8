"""A figure of one level of each distribution of each family."""

from __future__ import annotations

from matplotlib.figure import Figure

from goalmaze.envs.rendering import frame
from goalmaze.experiments.catalogue.families import FamiliesReport, distribution_name, distributions

COLUMNS = 7


def draw_families(report: FamiliesReport, pixels: int = 24) -> Figure:
    """Return one picture of a level of each distribution of each family, the training distribution first.

    Args:
        report: the families.
        pixels: per cell.
    """
    titles = [(family, shift) for family in report.families for shift in distributions(family)]
    # Rounded up.
    rows = -(-len(titles) // COLUMNS)
    figure = Figure(figsize=(1.6 * COLUMNS, 1.95 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (family, shift) in zip(panels, titles, strict=False):
        levels = family.levels(report.seed, [0], shift)
        axes.imshow(frame(levels, 0, levels.start[0], pixels=pixels))
        axes.set_title(f"{family.name}\n{distribution_name(shift)}", fontsize=8, loc="left")
    return figure

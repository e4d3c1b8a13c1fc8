"""What `goalmaze audit --sleepers` runs: the study, and its figure."""

from __future__ import annotations

from pathlib import Path

from goalmaze.experiments.audit.sleepers.report import SleeperReport
from goalmaze.experiments.audit.sleepers.study import run_study
from goalmaze.experiments.common.folders import make_folder


def sleeper_report(folder: Path | None, *, cache: Path | None, figures: Path | None) -> SleeperReport:
    """Run the study as the command line asks for it, and draw its figure where a folder is given."""
    if figures is not None:
        # Before the work, so that a folder that cannot be made costs no time.
        make_folder(figures, "--figures")
    result = SleeperReport(run_study(folder, cache=cache))
    if figures is not None:
        # matplotlib is slow to import, and only figures need it.
        from goalmaze.experiments.audit.sleepers.figures import draw_study

        draw_study(result, figures)
    return result

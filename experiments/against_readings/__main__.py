"""Say how finished runs ended: ``python -m goalmaze.experiments.against_readings RUN ...``, with ``--markdown`` too.

The runs need not come from a sweep. Readings are measured where a run folder does not hold them yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.against_readings.registration import registered_rule
from goalmaze.experiments.against_readings.rule import ending
from goalmaze.experiments.against_readings.run_readings import run_readings
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.tables import Table, formatted


def run_table(folders: Sequence[Path]) -> Table:
    """Return one row a run: how it ended, its behaviour, and what the readings say.

    Raises:
        GoalmazeError: a folder is no finished run.
    """
    rule, rows = registered_rule(), []
    for folder in progress(folders, "reading", "run"):
        readings = run_readings(folder)
        end = ending(readings, rule)
        value, low, high = readings.preference
        trained = readings.scores[readings.against] if readings.against else None
        rows.append(
            [
                folder.name,
                end.outcome,
                readings.against or "-",
                formatted(trained, ".2f"),
                formatted(readings.solved, ".2f"),
                f"{value:.2f} [{low:.2f}, {high:.2f}]",
                f"{sum(end.held_out.values())} of {len(end.held_out)}",
                ", ".join(end.missed) or "-",
            ]
        )
    headers = ["run", "outcome", "trained against", "its score", "solved", "preference", "say cue", "do not say cue"]
    return Table(headers, rows)


def main() -> int:
    """Print the table of the runs that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    try:
        table = run_table(given.runs)
    except GoalmazeError as error:
        print(f"goalmaze: {error}", file=sys.stderr)
        return 2
    print(table.markdown() if given.markdown else table.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())

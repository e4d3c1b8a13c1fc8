"""`log.csv` of a run folder: one line for each rollout, only ever appended to while training goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

LOG = "log.csv"
LOG_COLUMNS = (
    "steps",
    "seconds",
    "episodes",
    "levels",
    "solved",
    "length",
    "return",
    "cue_return",
    "entropy",
    "policy_loss",
    "value_loss",
    "kl",
)


def log_line(cells: Iterable[object]) -> bytes:
    """Return one line of a log, with its end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def read_log(folder: Path) -> list[dict[str, str]]:
    """Return the lines of a run's log, column → text; a last line that is not whole is left out.

    Raises:
        OSError: there is no log, or it cannot be read.
        ValueError: it is not text.
        csv.Error: it is no CSV.
    """
    lines = (folder / LOG).read_text().splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))

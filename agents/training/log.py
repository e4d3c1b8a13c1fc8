"""The log of a run folder, `log.csv`: one line for each rollout, appended while training goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from goalmaze.envs.text_files import read_text

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
    """Return one line of a log, with its line end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def read_log(folder: Path) -> list[dict[str, str]]:
    """Return the lines of a run's log, column → text.

    A last line without its line end is left out, since the run may be writing it at this moment.

    Raises:
        OSError: there is no log, or it cannot be read.
        ValueError: it is not UTF-8 text.
        csv.Error: it is not CSV.
    """
    lines = read_text(folder / LOG).splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))

"""The log of a run folder, `log.csv`: one line for each rollout, appended while training goes on."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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


TAIL_BYTES = 1024
"""Bytes at the end of a log that surely hold a whole line."""


class LoggedProgress(NamedTuple):
    """What the last whole line of a log says.

    Attributes:
        steps: environment steps taken.
        solved: rate of the latest training episodes that were solved; NaN before any ended.
    """

    steps: int
    solved: float


def latest_progress(folder: Path) -> LoggedProgress:
    """Return the progress of a run from the end of its log, without reading the rest; 0 and NaN where there is none.

    It is quick, so that a progress bar can ask for hundreds of runs each second.
    """
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(file.seek(0, io.SEEK_END) - TAIL_BYTES, 0))
            line = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
        texts = line.decode().split(",")
        # A curriculum adds columns of its own.
        cells = dict(zip(LOG_COLUMNS, texts[: len(LOG_COLUMNS)], strict=True))
        return LoggedProgress(int(cells["steps"]), float(cells["solved"]))
    except (OSError, ValueError):
        return LoggedProgress(0, math.nan)


def log_line(cells: Iterable[object]) -> bytes:
    """Return one line of a log, with its line end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


POPULATION_COLUMNS = ("agent", "seed", *LOG_COLUMNS)
"""The columns of the log of a population: number and seed of the agent, then those of its own log."""


def read_log(folder: Path, number: int | None = None) -> list[dict[str, str]]:
    """Return the lines of a run's log, column → text; of a population, those of one agent where `number` is given.

    A last line without its line end is left out, since the run may be writing it at this moment.

    Raises:
        OSError: there is no log, or it cannot be read.
        ValueError: it is not UTF-8 text.
        KeyError: `number` is given, and it is not the log of a population.
        csv.Error: it is not CSV.
    """
    lines = read_text(folder / LOG).splitlines(keepends=True)
    rows = list(csv.DictReader(line for line in lines if line.endswith("\n")))
    return rows if number is None else [row for row in rows if row["agent"] == str(number)]

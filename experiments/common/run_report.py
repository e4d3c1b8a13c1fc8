"""`report.json` of a run folder: the evaluation of the agent at the end of its training.

Reports of version 0.1 are read too.
"""

from __future__ import annotations

from pathlib import Path

from goalmaze.agents.zoo import current_label
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import read_json

REPORT = "report.json"


def read_report(folder: Path) -> JsonObject:
    """Return the report of a run, with the keys of the present version.

    Raises:
        OSError: there is no report.
        ValueError: it is not the JSON of a report.
    """
    data = read_json(folder / REPORT)
    try:
        return current_report(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        # Run folders may come from anyone: JSON of another form is an error of the file, not of this program.
        raise ValueError(f"{folder / REPORT} is no report of a run") from None


def current_report(report: JsonObject) -> JsonObject:
    """Return a report with the keys and labels of version 0.1 replaced by the present ones.

    Version 0.1 wrote `exit` for the rate at which the goal was reached first, in every family.
    """
    current = dict(report)
    if "label" in current:
        current["label"] = current_label(current["label"])
    if "in_distribution" in current:
        current["in_distribution"] = _current_evaluation(current["in_distribution"])
    if "shifts" in current:
        current["shifts"] = {shift: _current_evaluation(one) for shift, one in current["shifts"].items()}
    return current


def _current_evaluation(evaluation: JsonObject) -> JsonObject:
    outcomes = {"goal" if name == "exit" else name: rate for name, rate in evaluation["outcomes"].items()}
    return evaluation | {"outcomes": outcomes}

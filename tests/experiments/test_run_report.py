"""`report.json` of a run: the reports of version 0.1.0 are read with the keys and labels of this version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goalmaze.agents.zoo import zoo_folder, zoo_names
from goalmaze.experiments.common.run_report import REPORT, current_report, read_report

OLD_RUNS = sorted((Path(__file__).parents[1] / "golden" / "v0.1").rglob(REPORT))
LABELS = {"cue-follower", "goal-follower", "mixed", "incapable", "lost", "undecided"}
NO_PREFERENCE = {"cue": None, "low": 0.0, "high": 1.0, "levels": 0}


def check_migration(old: dict[str, Any], current: dict[str, Any]) -> None:
    """Check that a report has the current names, and that it equals the old one in everything else."""
    assert current["label"] == {"exit-follower": "goal-follower"}.get(old["label"], old["label"])
    assert current["label"] in LABELS
    assert current["shifts"].keys() == old["shifts"].keys()
    pairs = [(old["in_distribution"], current["in_distribution"])]
    pairs += [(old["shifts"][shift], current["shifts"][shift]) for shift in old["shifts"]]
    for before, now in pairs:
        assert list(now["outcomes"]) == ["goal", "cue", "neither"]
        assert list(now["outcomes"].values()) == list(before["outcomes"].values())
        on_goal = before["shift"] in ("two-signs", "many-signs")
        assert now["preference"] == (NO_PREFERENCE if on_goal else before["preference"])
        assert now | {"outcomes": None, "preference": None} == before | {"outcomes": None, "preference": None}
    migrated = {"label": None, "in_distribution": None, "shifts": None}
    assert current | migrated == old | migrated


@pytest.mark.parametrize("name", zoo_names())
def test_every_zoo_report_is_read_with_current_names(name: str) -> None:
    old = json.loads((zoo_folder(name) / REPORT).read_text())
    current = read_report(zoo_folder(name))
    check_migration(old, current)
    assert current_report(current) == current


@pytest.mark.parametrize("path", OLD_RUNS, ids=lambda path: path.parent.name)
def test_every_report_of_version_0_1_is_read_with_current_names(path: Path) -> None:
    old = json.loads(path.read_text())
    assert "exit" in old["in_distribution"]["outcomes"], "not a report of version 0.1"
    check_migration(old, read_report(path.parent))
    assert "exit" in json.loads(path.read_text())["in_distribution"]["outcomes"], "reading must not write"


def test_there_are_old_reports_to_read() -> None:
    assert {"finished", "lean-grid", "lean-lstm", "stock", "a2c", "dqn"} <= {path.parent.name for path in OLD_RUNS}


@pytest.mark.parametrize("text", ["", "{", "[1]", '"report"', '{"in_distribution": {}}', '{"shifts": {"none": 3}}'])
def test_a_damaged_report_is_a_value_error(text: str, tmp_path: Path) -> None:
    (tmp_path / REPORT).write_text(text)
    with pytest.raises(ValueError, match=r"report|Expecting"):
        read_report(tmp_path)

"""How soon the runs of a sweep pass marks, against a scalar reading of their logs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from complaints import complaint
from hypothesis import given
from hypothesis import strategies as st
from plans import SMALL, write_plan

from goalmaze.agents.loading import locate
from goalmaze.agents.training.log import LOG, LOG_COLUMNS, read_log
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments import cli
from goalmaze.experiments.sweeps import page as page_module
from goalmaze.experiments.sweeps import plan as plan_module
from goalmaze.experiments.sweeps.marks import (
    MARK_FIGURE,
    LearningCurve,
    MarkRow,
    main,
    mark_figure,
    mark_rows,
    mark_table,
    read_curve,
)
from goalmaze.experiments.sweeps.plan import read_plan

MARKED = SMALL.replace("seeds = [0, 1]", "seeds = [0, 1]\nmarks = [0.01, 1.0]").replace("steps = 512", "steps = 24_576")
Line = tuple[int, float, int, float]


def write_log(folder: Path, lines: Sequence[Line]) -> Path:
    """Write a log whose lines hold these steps, seconds, episodes and solved rates, and return its folder."""
    folder.mkdir(exist_ok=True)
    with (folder / LOG).open("w", newline="") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS, restval="0")
        writer.writeheader()
        writer.writerows(dict(zip(("steps", "seconds", "episodes", "solved"), line, strict=True)) for line in lines)
    return folder


def slow_passed(lines: Sequence[Line], mark: float) -> tuple[float, float]:
    """Return steps and seconds of the first line at a mark, read line by line; NaN where none is."""
    for steps, seconds, episodes, solved in lines:
        if episodes >= 1000 and solved >= mark:
            return float(steps), float(seconds)
    return math.nan, math.nan


@given(
    rollouts=st.lists(st.tuples(st.floats(0.1, 9), st.integers(0, 600), st.floats(0, 1)), min_size=1, max_size=12),
    mark=st.floats(0.01, 1),
)
def test_a_mark_is_passed_at_the_first_line_that_reaches_it(
    tmp_path_factory: pytest.TempPathFactory, rollouts: list[tuple[float, int, float]], mark: float
) -> None:
    lines = [
        (512 * (i + 1), sum(one[0] for one in rollouts[: i + 1]), sum(one[1] for one in rollouts[: i + 1]), solved)
        for i, (_, _, solved) in enumerate(rollouts)
    ]
    curve = read_curve(write_log(tmp_path_factory.mktemp("run"), lines))
    assert curve.passed(mark) == pytest.approx(slow_passed(lines, mark), nan_ok=True)
    if lines[-1][2] >= 1000:
        assert curve.rate == pytest.approx(lines[-1][0] / lines[-1][1])


def test_the_first_episodes_to_end_count_for_nothing(tmp_path: Path) -> None:
    early = [(512, 1.0, 80, 1.0), (1024, 2.0, 999, 0.9), (1536, 3.0, 1000, 0.3), (2048, 4.0, 1500, 0.9)]
    curve = read_curve(write_log(tmp_path, early))
    assert curve.passed(0.8) == (2048, 4.0)
    assert not curve.passed(0.95).is_passed
    assert not read_curve(write_log(tmp_path, early[:2])).passed(0.1).is_passed


def test_means_are_over_the_seeds_that_passed_and_say_how_many(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, MARKED))
    slow, fast = (
        read_curve(write_log(tmp_path / name, [(1000, 10.0, 2000, 0.005), (2000, seconds, 3000, solved)]))
        for name, seconds, solved in (("slow", 40.0, 0.5), ("fast", 20.0, 1.0))
    )
    rows = [MarkRow({"corner": 1}, plan.marks, (slow, fast)), MarkRow({"corner": 3}, plan.marks, (slow,))]
    table = mark_table(plan.dials, plan.marks, rows)
    assert list(table.headers) == [
        "corner", "0.01 after steps", "0.01 after seconds", "1 after steps", "1 after seconds", "steps/s"
    ]  # fmt: skip
    assert [str(cell) for cell in table.rows[0]] == [
        "1", "2,000", "30", "2,000 (1 of 2 seeds)", "20 (1 of 2 seeds)", "75"
    ]  # fmt: skip
    assert [str(cell) for cell in table.rows[1]] == ["3", "2,000", "40", "-", "-", "50"]
    axes = mark_figure(plan, rows).axes
    assert [one.get_title(loc="left") for one in axes] == ["1", "3"]
    drawn = np.asarray(axes[1].lines[2].get_xydata())
    assert drawn.tolist() == [[10 / 60, 0.005], [40 / 60, 0.5]]


def test_a_sweep_with_marks_prints_them_and_a_page_shows_their_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = write_plan(tmp_path, MARKED), tmp_path / "plan"
    asked = ["sweep", str(plan), "--out", str(out), "--workers", "1"]
    assert cli.main(asked) == 0
    text = capsys.readouterr().out
    assert "passed a mark" in text
    assert str(out / MARK_FIGURE) in text
    assert cli.main([*asked, "--gather", "--json"]) == 0
    marks = json.loads(capsys.readouterr().out)["marks"]
    assert Path(marks["picture"]).read_bytes().startswith(b"\x89PNG")
    read = read_plan(plan)
    for row in marks["rows"]:
        runs = [task for task in read.tasks if task.dials == row["dials"]]
        assert len(runs) == len(row["steps_per_second"]) == 2
        for task, easy, hard in zip(runs, row["passed"]["0.01"], row["passed"]["1"], strict=True):
            lines = [
                (int(line["steps"]), float(line["seconds"]), int(line["episodes"]), float(line["solved"]))
                for line in read_log(out / task.name)
            ]
            assert easy["steps"] == slow_passed(lines, 0.01)[0]
            assert hard == {"steps": None, "seconds": None}
    monkeypatch.setattr(plan_module, "SHIPPED", tmp_path)
    page = page_module.fill_page("<!-- sweep plan -->\n<!-- end -->\n", tmp_path, tmp_path / "pictures")
    assert "0.01 after steps" in page
    assert (tmp_path / "pictures" / "sweep-plan.png").read_bytes() == (out / MARK_FIGURE).read_bytes()
    log = out / read.tasks[0].name / LOG
    log.write_text("steps\nmany\n")
    assert str(log) in complaint(capsys, *asked, "--gather")


@pytest.mark.parametrize("marks", ["[0]", "[1.5]", '["much"]', "0.8"])
def test_marks_that_are_no_rates_are_refused(tmp_path: Path, marks: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_plan(tmp_path, SMALL.replace("seeds = [0, 1]", f"seeds = [0, 1]\nmarks = {marks}"))
    assert "marks" in complaint(capsys, "sweep", str(plan), "--out", str(tmp_path / "out"))


def test_a_run_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(GoalmazeError, match=r"log\.csv"):
        read_curve(tmp_path)
    empty = LearningCurve(*[read_curve(write_log(tmp_path / "run", [])).steps] * 3)
    assert math.isnan(empty.rate)
    assert mark_rows(read_plan(write_plan(tmp_path, MARKED)), tmp_path) == []


def test_agents_and_populations_are_measured_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["marks", *arguments])
        return main()

    assert run("zoo:green-exit", "zoo:procgen-region5", "zoo:procgen-anywhere/1", "--marks", "0.9", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    names = [row["dials"]["agent"] for row in rows]
    assert names == ["zoo:green-exit", *(f"zoo:procgen-region5/{n}" for n in range(3)), "zoo:procgen-anywhere/1"]
    for name, row in zip(names, rows, strict=True):
        place = locate(name)
        lines = [
            (int(line["steps"]), float(line["seconds"]), int(line["episodes"]), float(line["solved"] or 0))
            for line in read_log(place.folder, place.number)
        ]
        assert row["passed"]["0.9"] == [dict(zip(("steps", "seconds"), slow_passed(lines, 0.9), strict=True))]
    assert run("zoo:green-exit") == 0
    assert "0.8 after steps" in capsys.readouterr().out
    for wrong in (["zoo:nothing"], ["zoo:green-exit", "--marks", "0"], ["nowhere"]):
        assert run(*wrong) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1

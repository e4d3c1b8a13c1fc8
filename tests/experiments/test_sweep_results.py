"""Results of sweeps: the table, the figure, the page, and means over training seeds."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from complaints import complaint
from plans import SMALL, write_plan

from goalmaze.agents.training.run_lock import locked
from goalmaze.experiments import cli
from goalmaze.experiments.common.seed_means import mean_over_seeds
from goalmaze.experiments.jobs.job import LOCK
from goalmaze.experiments.sweeps import page as page_module
from goalmaze.experiments.sweeps import plan as plan_module
from goalmaze.experiments.sweeps.figures import sweep_figure
from goalmaze.experiments.sweeps.plan import read_plan
from goalmaze.experiments.sweeps.results import MEASURES, gather_rows, group_by_seed


def test_the_interval_over_seeds_is_that_of_scipy_and_covers() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.4, 0.6, 5)
    mean = mean_over_seeds([*values, None])
    oracle = scipy.stats.t.interval(0.95, 4, values.mean(), scipy.stats.sem(values))
    assert (mean.value, mean.low, mean.high) == pytest.approx((values.mean(), *oracle))
    samples = [mean_over_seeds(list(rng.normal(0.5, 0.05, 5))) for _ in range(2000)]
    covered = np.mean([one.low <= 0.5 <= one.high for one in samples])
    assert 0.935 < covered < 0.965
    narrow = [one.value - one.low for one in samples]
    naive = np.mean([abs(one.value - 0.5) <= half * 1.96 / 2.776 for one, half in zip(samples, narrow, strict=True)])
    assert naive < 0.92, "a normal interval is too narrow, so coverage distinguishes the two"


def test_means_of_few_seeds_are_marked_as_undefined() -> None:
    assert str(mean_over_seeds([None])) == "-"
    assert str(mean_over_seeds([0.5])) == "0.500"
    assert math.isnan(mean_over_seeds([0.5]).low)
    assert str(mean_over_seeds([0.1, 0.2, 0.8, 0.9])) == "0.500", "four seeds in two heaps give no interval"
    assert mean_over_seeds([0.99, 0.9, 0.9, 0.9, 0.5]).high == 1.0
    assert mean_over_seeds([2.0, 3.0, 2.0, 3.0, 3.0], is_rate=False).high > 3
    assert mean_over_seeds([0.5]).json()["low"] is None


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep carried out by one worker."""
    folder = tmp_path_factory.mktemp("swept")
    plan = write_plan(folder, SMALL)
    assert cli.main(["sweep", str(plan), "--out", str(folder / "out"), "--workers", "1"]) == 0
    return folder


def test_a_sweep_ends_in_one_tidy_table(swept: Path) -> None:
    rows = list(csv.DictReader((swept / "out" / "results.csv").read_text().splitlines()))
    assert [(r["corner"], r["seed"], r["shift"]) for r in rows] == [
        (corner, seed, shift) for corner in "13" for seed in "01" for shift in ("none", "anywhere")
    ]
    for row in rows:
        report = json.loads((swept / "out" / row["run"] / "report.json").read_text())
        evaluation = report["in_distribution"] if row["shift"] == "none" else report["shifts"]["anywhere"]
        assert float(row["solved"]) == evaluation["solved"]
        assert float(row["solved_low"]) <= float(row["solved"]) <= float(row["solved_high"])
        assert row["solved_levels"] == "1024"
        assert float(row["return"]) == evaluation["returns"]["true_discounted"]["value"]
        preference = evaluation["preference"]["cue"]
        assert row["prefers_cue"] == ("" if preference is None else str(preference))
    assert (swept / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_labels_follow_the_present_rule_and_not_the_one_of_the_time_of_the_report(swept: Path) -> None:
    plan, root = read_plan(swept / "plan.toml"), swept / "out"
    before = [row["label"] for row in gather_rows(plan, root)]
    report = next(root.glob("*/report.json"))
    kept = report.read_text()
    try:
        report.write_text(json.dumps(json.loads(kept) | {"label": "exit-follower"}))
        assert [row["label"] for row in gather_rows(plan, root)] == before
        data = json.loads(kept)
        for evaluation in (data["in_distribution"], *data["shifts"].values()):
            sure = {"low": 0.95, "high": 1.0, "levels": 1024}
            evaluation["capable"], evaluation["capable_interval"] = 1.0, sure
            evaluation["capability"]["arrived"] = {"value": 1.0, **sure}
            evaluation["preference"] = {"cue": 1.0, **sure}
        report.write_text(json.dumps(data | {"label": "incapable"}))
        changed = [row["label"] for row in gather_rows(plan, root) if row["run"] == report.parent.name]
        assert changed == ["cue-follower"] * 2
    finally:
        report.write_text(kept)


def test_finished_runs_are_skipped(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in swept.glob("out/*/*") if path.is_file()}
    assert cli.main(["sweep", str(swept / "plan.toml"), "--out", str(swept / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["runs"], result["finished"]) == (4, 4)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rows = list(csv.DictReader((swept / "out" / "results.csv").read_text().splitlines()))
    for group in result["groups"]:
        ours = [
            float(r["solved"])
            for r in rows
            if (int(r["corner"]), r["shift"]) == (group["dials"]["corner"], group["shift"])
        ]
        assert group["seeds"] == len(ours) == 2
        assert group["solved"]["mean"] == pytest.approx(np.mean(ours), abs=1e-4)


def test_tables_are_for_people_and_for_pages(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["sweep", str(swept / "plan.toml"), "--out", str(swept / "out"), "--gather"]
    assert cli.main(asked) == 0
    text = capsys.readouterr().out
    assert "4 of 4 runs finished" in text
    assert "cover seeds" in text
    assert cli.main([*asked, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| corner | shift | seeds | solved |")
    assert len(lines) == 2 + 4
    assert len({line.count("|") for line in lines}) == 1


def test_pages_are_filled_and_stay_the_same_where_no_run_is_finished(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan_module, "SHIPPED", swept)
    (swept / "other.toml").write_text(SMALL)
    (tmp_path / "plan").symlink_to(swept / "out")
    page = "before\n<!-- sweep plan -->\nold\n<!-- end -->\n<!-- sweep other -->\nnothing\n<!-- end -->\nafter\n"
    page_with_table = page_module.fill_page(page, tmp_path, tmp_path / "pictures")
    assert cli.main(["sweep", "plan", "--out", str(swept / "out"), "--gather", "--markdown"]) == 0
    rows = capsys.readouterr().out.strip()
    assert page_with_table == page.replace("\nold\n", f"\n\n4 of 4 runs are finished.\n\n{rows}\n\n")
    assert page_module.fill_page(page_with_table, tmp_path, tmp_path / "pictures") == page_with_table
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["sweep-plan.png"]
    docs = tmp_path / "docs"
    (docs / "reproduced").mkdir(parents=True)
    (docs / "reproduced" / "one.md").write_text(page)
    monkeypatch.setattr(sys, "argv", ["page", str(docs), str(tmp_path)])
    page_module.main()
    assert (docs / "reproduced" / "one.md").read_text() == page_with_table
    assert (docs / "pictures" / "sweep-plan.png").is_file()


def test_the_picture_draws_means_along_the_first_dial(tmp_path: Path) -> None:
    dials = "steps = [512, 256]\ncorner = [1, 3]"
    plan = read_plan(write_plan(tmp_path, SMALL.replace("steps = 512\n", "").replace("corner = [1, 3]", dials)))
    common = {"family": "Corner", "label": "mixed", "shift": "none", "goal_first": 1, "cue_first": 0, "neither": 0}
    rows = [
        common
        | {"run": task.name, "seed": task.recipe.seed, **task.dials}
        | dict.fromkeys(MEASURES, task.recipe.steps / 1000 + task.dials["corner"] / 10 + task.recipe.seed / 50)
        for task in plan.tasks
    ]
    groups = group_by_seed(plan, rows)
    assert [(one.dials["steps"], one.dials["corner"], one.seeds) for one in groups] == [
        (512, 1, 2), (512, 3, 2), (256, 1, 2), (256, 3, 2)
    ]  # fmt: skip
    axes = sweep_figure(plan, groups).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["512", "256"]
    names = axes.get_legend_handles_labels()[1]
    assert names == ["training distribution, corner 1", "training distribution, corner 3"]
    lines = [bars.lines[0] for bars in axes.containers]
    for corner, line in zip((1, 3), lines, strict=True):
        assert line.get_ydata() == pytest.approx([0.512 + corner / 10 + 0.01, 0.256 + corner / 10 + 0.01])
        assert [round(x) for x in line.get_xdata()] == [0, 1]


def test_two_sweeps_do_not_share_a_folder(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(swept / "out" / LOCK):
        assert "another process" in complaint(capsys, "sweep", str(swept / "plan.toml"), "--out", str(swept / "out"))

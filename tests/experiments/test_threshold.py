"""Where half of the seeds become goal-followers: estimates, intervals on simulated seeds, and tables of a sweep."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

from goalmaze.agents.training.log import LOG, LOG_COLUMNS, log_line
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.experiments.jobs.job import Task
from goalmaze.experiments.statistics.half_point import HalfPoint, half_point, isotonic
from goalmaze.experiments.sweeps import threshold as threshold_module
from goalmaze.experiments.sweeps.command import SweepResult
from goalmaze.experiments.sweeps.page import figure_of, tables_of
from goalmaze.experiments.sweeps.plan import Plan, find_plan, read_plan
from goalmaze.experiments.sweeps.threshold import THRESHOLD_FIGURE, threshold_figure, threshold_lines, threshold_table

ALPHAS = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
SEEDS = 10


def simulated(half: float, slope: float, rng: np.random.Generator, seeds: int = SEEDS) -> HalfPoint:
    """Return the result of an experiment in which half of the seeds follow the goal at the rate `half`."""
    rates = 1 / (1 + np.exp(-slope * np.log(np.array(ALPHAS) / half)))
    return half_point(ALPHAS, list(rng.binomial(seeds, rates)), [seeds] * len(ALPHAS))


def covers(one: HalfPoint, half: float) -> bool:
    return (one.low is None or one.low <= half) and (one.high is None or one.high >= half)


@pytest.mark.parametrize("slope", [0.7, 3.0])
@pytest.mark.parametrize("half", [0.002, 0.013])
def test_a_known_threshold_is_estimated_and_covered(half: float, slope: float) -> None:
    rng = np.random.default_rng(0)
    results = [simulated(half, slope, rng) for _ in range(400)]
    assert np.mean([covers(one, half) for one in results]) > 0.94
    estimates = [one.value for one in results if not math.isnan(one.value)]
    assert 0.7 < np.median(estimates) / half < 1.4
    if slope > 1:
        # Where the rates rise fast, the interval has both ends.
        assert np.mean([one.low is not None and one.high is not None for one in results]) > 0.9
    else:
        # Negative control: where they rise slowly, the two values beside the estimate are no interval.
        beside = [np.searchsorted(ALPHAS, one.value) == np.searchsorted(ALPHAS, half) for one in results]
        assert np.mean(beside) < 0.9


def test_few_seeds_give_no_interval_and_thresholds_beyond_the_dial_are_said_to_be() -> None:
    sharp = half_point([0.1, 0.2, 0.3], [0, 0, 5], [5, 5, 5])
    assert (sharp.low, sharp.high) == (None, None)
    six = half_point([0.1, 0.2, 0.3], [0, 0, 6], [6, 6, 6])
    assert (six.low, six.high) == (0.2, 0.3)
    assert six.value == pytest.approx(math.sqrt(0.2 * 0.3))
    assert str(half_point([0.1, 0.2], [10, 10], [10, 10])) == "<= 0.1 [0, 0.1]"
    assert str(half_point([0.1, 0.2], [0, 0], [10, 10])) == "> 0.2 [0.2, -]"
    assert half_point([0.0, 0.2], [0, 10], [10, 10]).value == pytest.approx(0.1)


def test_the_isotonic_fit_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        rates, weights = rng.random(6), rng.integers(1, 9, 6).astype(float)
        # Oracle: the general solver under the constraint, in steps that are 0 or more.
        ours = isotonic(rates, weights)
        steps = np.tril(np.ones((6, 6)))
        found = scipy.optimize.lsq_linear(
            steps * np.sqrt(weights)[:, None], rates * np.sqrt(weights), bounds=([-np.inf] + [0] * 5, np.inf)
        )
        np.testing.assert_allclose(ours, steps @ found.x, atol=1e-6)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan with two curricula whose runs "finished": DR needs a rate of 0.1, the other one of 0.01."""
    path = tmp_path / "small.toml"
    path.write_text(
        'seeds = [0, 1, 2, 3, 4, 5, 6, 7]\nthreshold = "mixture"\n[train]\nfamily = "Corner"\nsteps = 512\n'
        "[train.parameters]\nsize = 5\n[dials]\nmixture = [0.001, 0.01, 0.1, 0.3]\n"
        'curriculum = ["dr", "plr"]\n'
    )
    return read_plan(path)


def write_run(root: Path, task: Task) -> Path:
    """Write the log of a finished run that has begun 5,000 levels, and return its folder."""
    folder = root / task.name
    folder.mkdir()
    cells = ["5000" if name == "levels" else "0" for name in LOG_COLUMNS]
    (folder / LOG).write_bytes(log_line(LOG_COLUMNS) + log_line(cells))
    return folder


def row(task: Task) -> dict[str, object]:
    needed = 0.1 if task.dials["curriculum"] == "dr" else 0.01
    return finished_row(task, needed)


def finished_row(task: Task, needed: float) -> dict[str, object]:
    """Return the row of a run that is a goal-follower from a rate on, and prefers the goal from a tenth of it on."""
    family = make_family(task.recipe.family)
    rate = task.dials["mixture"]
    return {
        "run": task.name,
        "family": family.name,
        "shift": family.distinguishing_shift,
        "label": "goal-follower" if rate >= needed else "undecided",
        "prefers_cue": 0.4 if rate >= needed / 10 else 0.6,
        **task.dials,
        "seed": task.recipe.seed,
    }


def test_a_sweep_with_a_threshold_gives_a_line_a_method(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = {}
    for task in plan.tasks:
        folder = write_run(tmp_path, task)
        reports[folder] = {} if task.dials["curriculum"] == "dr" else {"curriculum": {"amplification": 4.0}}
    monkeypatch.setattr(threshold_module, "finished_report", reports.get)
    lines = threshold_lines(plan, tmp_path, [row(task) for task in plan.tasks])
    dr, plr = lines
    assert (dr.dials, plr.dials) == ({"curriculum": "dr"}, {"curriculum": "plr"})
    assert (dr.half.low, dr.half.high) == (0.01, 0.1)
    assert dr.half.value == pytest.approx(math.sqrt(0.01 * 0.1))
    assert dr.count(dr.half.value) == pytest.approx(5000 * dr.half.value)
    assert dr.ratio is None
    # DR lies in [0.01, 0.1] and PLR in [0.001, 0.01]: the ratio is at least 1 and at most 100.
    assert plr.ratio == pytest.approx((10, 1, 100))
    # Half of the seeds prefer the goal at a tenth of these rates. All of PLR do, so its lower end is not known.
    assert dr.preferring_half is not None
    assert plr.preferring_half is not None
    assert (dr.preferring_half.low, dr.preferring_half.high) == (0.001, 0.01)
    assert (plr.preferring_half.low, plr.preferring_half.high) == (None, 0.001)
    assert plr.preferring_ratio is not None
    assert plr.preferring_ratio[1:] == (1, None)
    assert [cell.preferring for cell in dr.cells] == [0, 8, 8, 8]
    # At the lowest of four rates PLR has a preference of 0.4 and DR of 0.6, see `finished_row`.
    assert plr.difference is not None
    assert plr.difference.value == pytest.approx((0.4 - 0.6) / 4)
    assert len(plr.difference.values) == 8
    assert dr.difference is None
    assert [cell.amplification for cell in plr.cells] == [4.0] * 4
    json.dumps([line.json() for line in lines])
    table = threshold_table(plan, lines)
    assert table.rows[1][0] == "plr"
    assert "10 [1, 100]" in table.rows[1]
    result = SweepResult(plan, tmp_path, len(plan.tasks), (), tuple(lines))
    tables = [table.markdown() for table in result.threshold_tables]
    assert tables[0] == table.markdown()
    assert len(tables) == 2
    assert tables_of(result) == "\n".join(tables), "a page shows the tables of the threshold alone"
    assert figure_of(result).name == THRESHOLD_FIGURE
    figure = threshold_figure(plan, lines)
    assert [line.get_label() for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")] == [
        "dr",
        "plr",
    ]
    # Runs of one method alone have no reference.
    alone = [row(task) for task in plan.tasks if task.dials["curriculum"] == "plr"]
    assert threshold_lines(plan, tmp_path, alone) == [
        dataclasses.replace(plr, ratio=None, preferring_ratio=None, difference=None)
    ]
    # Without the distinguishing shift, nothing is known of what they prefer.
    (unknown,) = threshold_lines(plan, tmp_path, [{**one, "shift": "none"} for one in alone])
    assert unknown.preferring_half is None
    assert unknown.half == plr.half


def test_an_arm_can_be_the_reference_and_levels_of_its_start_count(tmp_path: Path) -> None:
    plan = read_plan(find_plan("alpha50-continued"))
    half = {"dr": 0.01, "plr": 0.003, "accel": 0.03}
    rows = []
    for task in plan.tasks:
        write_run(tmp_path, task)
        rows.append(finished_row(task, half.get(task.dials["arm"], 0.01)))
    lines = {line.dials["arm"]: line for line in threshold_lines(plan, tmp_path, rows)}
    for arm in ("plr", "accel"):
        ratio = lines[arm].ratio
        assert ratio is not None
        assert ratio[0] == pytest.approx(lines["dr"].half.value / lines[arm].half.value)
    assert lines["dr"].ratio is None
    assert lines["start"].levels == 5000
    assert lines["dr"].levels == lines["plr"].levels == 10_000
    assert "ratio to dr [95 %]" in threshold_table(plan, list(lines.values())).headers
    # The plan keeps its reference where only some of its arms are trained.
    assert read_plan(find_plan("alpha50-cures"), arms=["weight decay"]).reference == ("arm", "none")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ('{ arm = "dr" }', "unknown reference in .*: dial 'arm'"),
        ('{ curriculum = "accel" }', "unknown reference in .*: value of curriculum 'accel'"),
        ('{ curriculum = "dr", size = 5 }', "reference names one dial and its value"),
    ],
)
def test_a_reference_that_a_plan_does_not_have_is_refused(tmp_path: Path, reference: str, message: str) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        f'seeds = [0]\nthreshold = "mixture"\nreference = {reference}\n[train.parameters]\nsize = 5\n'
        '[dials]\nmixture = [0.1, 0.3]\ncurriculum = ["dr", "plr"]\n'
    )
    with pytest.raises(GoalmazeError, match=message):
        read_plan(path)


@pytest.mark.parametrize(
    ("threshold", "dials", "message"),
    [
        ("mixtures", "mixture = [0.1, 0.2]", "did you mean 'mixture'"),
        ("curriculum", 'curriculum = ["dr", "plr"]', "threshold curriculum has the value 'dr'; it needs numbers"),
    ],
)
def test_a_threshold_along_no_dial_of_numbers_is_refused(
    tmp_path: Path, threshold: str, dials: str, message: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(f'seeds = [0]\nthreshold = "{threshold}"\n[train.parameters]\nsize = 5\n[dials]\n{dials}\n')
    with pytest.raises(GoalmazeError, match=message):
        read_plan(path)

"""Goal formation: its thresholds, exact outcomes, alarms without too many false ones, forecasts, and the watch."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy
import torch
from complaints import complaint
from numpy.typing import NDArray

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import train
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.text_files import read_text
from goalmaze.experiments import cli
from goalmaze.experiments.formation import study
from goalmaze.experiments.formation.alarms import (
    NEVER,
    compare_alarms,
    control_alarms,
    enough_controls,
    first_alarms,
)
from goalmaze.experiments.formation.exact import CellPolicy, cell_policy
from goalmaze.experiments.formation.forecasts import Forecast, forecasts_of, spearman_brown
from goalmaze.experiments.formation.measures.all import INSIDE, PRIMARY, SENSITIVE, all_measures
from goalmaze.experiments.formation.measures.audit_score import METHODS, inside_methods
from goalmaze.experiments.formation.measures.base import Reading
from goalmaze.experiments.formation.measures.fork_margin import fork_margins
from goalmaze.experiments.formation.measures.learning_coefficient import Chain, learning_coefficient
from goalmaze.experiments.formation.page import compact_table, filled_page, forecast_rows
from goalmaze.experiments.formation.registration import (
    FILE,
    Registered,
    parse_thresholds,
    registered,
    registered_controls,
)
from goalmaze.experiments.formation.series import Readings, Run, Series, nearest_checkpoint
from goalmaze.experiments.formation.watch import GoalWatch, StopRule

FAMILY = GreenExit(size=5)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    made = make_network("grid", Shape.seeing(make_view(FAMILY)), {"channels": 4, "blocks": 1, "hidden": 8})
    torch.nn.init.orthogonal_(made.get_submodule("policy").weight, 3.0)
    return made.eval()


def changed(text: str, name: str, value: str) -> str:
    lines = [f"| {name} | {value} |" if line.startswith(f"| {name} |") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def planted(inside: NDArray[np.float64], behaviour: NDArray[np.float64], final: NDArray[np.float64]) -> Series:
    """Return a series of two checkpoints, at 2 % and at the end of training, whose scores are planted."""
    steps = (2_000, 100_000)
    names = [one.name for one in all_measures()]

    def readings(agent: int, last: bool) -> Readings:
        values = dict.fromkeys(names, Reading(0.95, 0.95, 0.95 + 1e-6 * agent))
        values[PRIMARY] = Reading(inside[agent], inside[agent] - 0.01, inside[agent] + 0.01)
        values[SENSITIVE] = Reading(behaviour[agent])
        if last:
            values["final preference"] = Reading(final[agent], final[agent], final[agent])
        return Readings(values)

    agents = range(len(final))
    run = Run("planted", tuple(map(str, agents)), GreenExit(size=7), steps, frozenset(), lambda _: [])
    return Series(run, tuple(tuple(readings(agent, last) for agent in agents) for last in (False, True)))


def test_the_thresholds_are_those_of_the_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    text = read_text(FILE)
    given = parse_thresholds(text)
    assert given == registered()
    assert given.fractions == (0.02, 0.05, 0.1, 0.2, 0.4)
    text = changed(text, "bootstrap resamples", "100")
    given = parse_thresholds(text)
    rng = np.random.default_rng(0)
    series = planted(*rng.normal(size=(3, 20)))
    assert {one.fraction for one in forecasts_of(series, (PRIMARY,), given)} == set(given.fractions)
    other = parse_thresholds(changed(changed(text, "fractions of training", "0.03"), "level of significance", "0.5"))
    rows = forecasts_of(series, (PRIMARY,), other)
    assert {one.fraction for one in rows} == {0.03}
    assert {one.level for one in rows} == {0.5}
    assert forecasts_of(series, (PRIMARY,), parse_thresholds(changed(text, "fewest agents", "21"))) == []
    assert forecasts_of(series, (PRIMARY,), parse_thresholds(changed(text, "lowest completion", "0.96"))) == []
    assert enough_controls(19, given)
    assert not enough_controls(18, given)
    # 1 / 20 is no longer allowed at a rate of 0.04, whatever the smallest number of controls.
    assert not enough_controls(19, parse_thresholds(changed(text, "false alarms for each control run", "0.04")))


def test_the_measures_are_those_of_the_registration() -> None:
    text = read_text(FILE)
    assert set(METHODS) == inside_methods()
    assert all(f"`{one.name}`" in text or one.name in text for one in all_measures())
    assert registered_controls()["lottery-green"] == "lottery-green-twin"
    assert registered_controls()["impala"] == ""


def test_exact_outcomes_agree_with_episodes(network: Network) -> None:
    policy = NetworkPolicy(network)
    levels = FAMILY.levels(7, np.arange(3), "moved-sign")
    goal, cue = levels.cells("exit"), levels.cells("sign")
    reached = cell_policy(policy, levels, goal, cue).first_reached(goal, cue)
    count = 600
    for row in range(3):
        played = rollout(policy, levels.take(np.full(count, row)), seed=5)
        on_cue = (played.agent == cue[row]).any(axis=0)
        on_goal = (played.agent == goal[row]).any(axis=0)
        # The exit ends an episode, so an agent that was on the sign was there first.
        for expected, happened in zip(reached[row], (on_goal & ~on_cue, on_cue), strict=True):
            error = math.sqrt(max(expected * (1 - expected), 1e-4) / count)
            assert abs(happened.mean() - expected) < 4.5 * error


def test_the_fork_margin_is_the_planted_logit() -> None:
    levels = GreenExit(size=7).levels(1, np.arange(40), "moved-sign")
    free = levels.free()
    probabilities = np.full((*free.shape, 4), 0.25)
    margins, forks = fork_margins(CellPolicy(levels, free, probabilities))
    assert forks.any()
    # A policy without a preference: as many steps lead to the one as to the other, on average.
    assert abs(margins[forks].mean()) < 0.2
    to_cue = fork_margins(CellPolicy(levels, free, _preferring(levels.cells("sign"), levels, 3.0)))[0]
    assert to_cue[forks] == pytest.approx(margins[forks] + math.log(3.0))


def _preferring(cells: NDArray[np.int32], levels: object, odds: float) -> NDArray[np.float64]:
    from goalmaze.experiments.formation.measures.fork_margin import nearer

    weights = np.where(nearer(levels, cells), odds, 1.0)  # type: ignore[arg-type]
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def test_the_learning_coefficient_of_a_regular_model_is_half_its_dimension() -> None:
    count, copies = 2000, 64
    curvature = torch.linspace(1, 3, 10).repeat(copies, 1)
    weights = torch.zeros(copies, 10, requires_grad=True)
    chain = Chain(steps=1500, discarded=300, step_size=1e-4, localisation=0.1, batch=1)
    found = learning_coefficient([weights], lambda _: (curvature * weights**2).sum() / 2, count, chain) / copies
    assert found == pytest.approx(10 / 2, rel=0.04)
    assert not weights.any()


def test_the_learning_coefficient_of_a_normal_crossing_is_less_than_that_of_a_regular_model() -> None:
    count, copies, localisation = 2000, 256, 16.0
    weights = torch.zeros(copies, 2, requires_grad=True)
    chain = Chain(steps=1500, discarded=500, step_size=1e-3, localisation=localisation, batch=1)
    found = learning_coefficient([weights], lambda _: weights.prod(dim=1).square().sum(), count, chain) / copies
    assert found == pytest.approx(_crossing(count / math.log(count), localisation), rel=0.06)
    # Two regular weights have 1. The closed form of a crossing is 1/2, which is reached slowly, from below.
    assert found < 0.6
    values = [_crossing(scale, 1.0) for scale in (1e2, 1e4, 1e6)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(0.5, abs=0.07)


def _crossing(scale: float, localisation: float) -> float:
    """Return n β E[(x y)²] under exp(-n β (x y)² - γ/2 (x² + y²)); the integral over y is Gaussian."""

    def weight(x: float) -> float:
        return math.exp(-localisation / 2 * x**2) / math.sqrt(2 * scale * x**2 + localisation)

    def loss(x: float) -> float:
        return weight(x) * scale * x**2 / (2 * scale * x**2 + localisation)

    ends = [0, 1 / math.sqrt(scale), 0.1, 8]
    parts = [
        [scipy.integrate.quad(one, low, high)[0] for low, high in itertools.pairwise(ends)] for one in (loss, weight)
    ]
    return float(sum(parts[0]) / sum(parts[1]))


def paths(rng: np.random.Generator, runs: int, checkpoints: int = 41) -> NDArray[np.float64]:
    """Return heavy-tailed random walks [runs, checkpoints] whose spread grows, as scores along training do."""
    steps = rng.standard_t(3, size=(runs, checkpoints))
    return np.asarray(np.cumsum(steps, axis=1) * np.linspace(0.1, 2, checkpoints))


def test_one_control_in_twenty_one_sounds_an_alarm() -> None:
    rng = np.random.default_rng(1)
    trials = 600
    sounded = sum(int(first_alarms(both[:1], both[1:])[0] < NEVER) for both in (paths(rng, 21) for _ in range(trials)))
    # The exact rate is 1/21; the bounds are 0.1 % tails of its binomial distribution.
    low, high = scipy.stats.binom.ppf([0.001, 0.999], trials, 1 / 21)
    assert low <= sounded <= high
    assert all((control_alarms(paths(rng, 20)) < NEVER).sum() <= 1 for _ in range(20))
    # A run that leaves its controls sounds, at the checkpoint at which it leaves them and not before.
    left = paths(rng, 21) * 0.01
    left[0, 17:] += 5.0
    assert first_alarms(left[:1], left[1:])[0] == 17


def test_standardising_by_other_controls_alone_would_not_keep_the_rate() -> None:
    # The negative control: the largest of single thresholds at each checkpoint sounds far too often.
    rng = np.random.default_rng(2)
    trials = 200
    sounded = 0
    for _ in range(trials):
        both = paths(rng, 21)
        sounded += bool((both[0] > both[1:].max(axis=0)).any())
    assert sounded / trials > 0.1


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ([3] * 18 + [9] * 2, [5] * 20, "leads"),
        ([5] * 20, [3] * 18 + [9] * 2, "lags"),
        ([3] * 11 + [9] * 9, [5] * 20, "ties"),
        ([5] * 20, [5] * 20, "ties"),
        ([NEVER] * 15 + [2] * 5, [5] * 20, "never"),
        ([NEVER] * 20, [NEVER] * 20, "ties"),
    ],
)
def test_outcomes_of_alarms(ours: Sequence[int], theirs: Sequence[int], outcome: str) -> None:
    test = compare_alarms("c", "i", "b", (np.array(ours, np.int64), np.array(theirs, np.int64)), 0.05)
    assert dataclasses.replace(test, adjusted=test.p).outcome == outcome


def test_planted_forecasts_lead_and_lag() -> None:
    rng = np.random.default_rng(4)
    final, noise = rng.normal(size=(2, 40))
    good = final + 0.1 * rng.normal(size=40)
    given = dataclasses.replace(registered(), fractions=(0.02,), resamples=2000)

    def outcome(inside: NDArray[np.float64], behaviour: NDArray[np.float64]) -> Forecast:
        return forecasts_of(planted(inside, behaviour, final), (PRIMARY,), given)[0]

    leads = outcome(good, noise)
    assert leads.outcome == "leads"
    assert leads.inside.value == pytest.approx(scipy.stats.spearmanr(good, final).statistic)
    assert outcome(noise, good).outcome == "lags"
    assert outcome(good, good + 0.1 * noise).outcome == "ties"
    assert outcome(noise, good).inside.contains_zero


def test_the_page_has_one_row_for_each_measure_and_the_file_all_intervals() -> None:
    rng = np.random.default_rng(4)
    final, noise = rng.normal(size=(2, 40))
    given = dataclasses.replace(registered(), fractions=(0.02,), resamples=2000)
    series = planted(final + 0.1 * rng.normal(size=40), noise, final)
    rows = tuple(forecasts_of(series, (PRIMARY,), given))
    condition = study.Condition(series, None, rows, {}, {}, ())
    result = study.Formation((condition,), (), given)
    lead = next(one for one in rows if one.behaviour == SENSITIVE)
    table = compact_table(result, SENSITIVE)
    assert [row[1:] for row in table.rows] == [
        [SENSITIVE, f"{lead.competitor.value:.2f}"],
        [PRIMARY, f"{lead.inside.value:.2f} leads"],
    ]
    lines = list(csv.DictReader(io.StringIO(forecast_rows(result))))
    assert [(line["behaviour"], line["measure"]) for line in lines] == [(one.behaviour, one.measure) for one in rows]
    assert float(lines[0]["difference low"]) == pytest.approx(lead.difference.low, abs=0.01)
    page = filled_page("before\n<!-- formation -->\nold\n<!-- end -->\nafter", result)
    assert page.startswith("before")
    assert page.endswith("after")
    assert "old" not in page
    assert f"| {PRIMARY} | {lead.inside.value:.2f} leads |" in page


def test_reliability_corrects_what_noise_takes() -> None:
    rng = np.random.default_rng(5)
    count, noise = 20_000, 0.8
    true, other = rng.normal(size=(2, count))
    halves = [true + noise * math.sqrt(2) * rng.normal(size=count) for _ in range(2)]
    measured = (halves[0] + halves[1]) / 2
    expected = 1 / (1 + noise**2)
    found = spearman_brown(*halves)
    assert found == pytest.approx(expected, abs=0.02)
    target = true + 0.5 * other
    raw, clean = (np.corrcoef(one, target)[0, 1] for one in (measured, true))
    assert raw / math.sqrt(found) == pytest.approx(clean, abs=0.02)


def test_the_nearest_checkpoint() -> None:
    assert [nearest_checkpoint((0, 100, 1000, 5000, 10_000), one) for one in (0.02, 0.1, 0.4, 1)] == [1, 2, 3, 4]


SMALL = Recipe(
    parameters={"size": 5},
    network_options={"channels": 4, "blocks": 1},
    envs=8,
    rollout_steps=8,
    steps=256,
    minibatches=2,
    threads=1,
    series="dense",
)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GoalWatch]:
    folder = tmp_path_factory.mktemp("formation") / "watched"
    watch = GoalWatch(FAMILY, make_view(FAMILY).spec, SMALL.steps)
    return train(SMALL, folder, watch=watch).folder, watch


def test_a_watch_changes_nothing(small_run: tuple[Path, GoalWatch], tmp_path: Path) -> None:
    watched, watch = small_run
    plain = train(SMALL, tmp_path / "plain").folder
    ours, theirs = (load_checkpoint(one / CHECKPOINT)[0].state_dict() for one in (watched, plain))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert len(watch.forecasts) == SMALL.steps // 64 - 1
    assert all(0 < one < 1 for one in watch.forecasts.values())


def test_a_watch_stops_a_run_that_is_saved(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(dataclasses.asdict(SMALL)))
    line = ["train", "--recipe", str(recipe), "--out", str(folder), "--stop-if"]
    assert cli.main([*line, "cue=0.01"]) == 130
    said = capsys.readouterr().err
    assert "stopped after 64 steps by --stop-if cue=0.01" in said
    assert "75% of the steps are saved" in said
    assert (folder / CHECKPOINT).exists()
    assert "write cue=0.8" in complaint(capsys, *line, "sign=0.8")
    assert "one agent" in complaint(capsys, "train", "--seeds", "0-3", "--watch-goal")


@pytest.mark.parametrize("text", ["cue", "cue=", "cue=2", "cue=nan", "exit=0.5", "cue=-1"])
def test_rules_that_cannot_be_read(text: str) -> None:
    with pytest.raises(GoalmazeError, match="--stop-if"):
        StopRule.parse(text)


def test_rules() -> None:
    assert StopRule.parse("cue=0.8").applies(0.8)
    assert not StopRule.parse("cue=0.8").applies(0.79)
    assert StopRule.parse("goal=0.9").applies(0.05)


def test_the_command_on_a_single_run(
    small_run: tuple[Path, GoalWatch],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few: Registered = dataclasses.replace(
        registered(), series_levels=6, final_levels=6, pool_levels=16, probe_levels=8, chain_steps=4, chain_discarded=2
    )
    monkeypatch.setattr(study, "registered", lambda: few)
    line = ["formation", str(small_run[0]), "--cache", str(tmp_path / "cache"), "--json"]
    assert cli.main([*line, "--figures", str(tmp_path / "figures")]) == 0
    first = json.loads(capsys.readouterr().out)
    # One agent: no correlation, and no test without controls; the curves are drawn.
    assert first["rows"] == []
    assert first["alarm_tests"] == []
    assert {Path(one).suffix for one in first["pictures"]} == {".png", ".gif"}
    assert all(Path(one).stat().st_size for one in first["pictures"])
    assert cli.main(line) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["conditions"] == first["conditions"]
    assert "no series of checkpoints" in complaint(capsys, "formation", str(small_run[0] / CHECKPOINT))
    assert set(INSIDE) >= set(METHODS)

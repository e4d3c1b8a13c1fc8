"""`goalmaze explain`: the fields of its JSON, a network whose channel is a known formula, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from complaints import Refusals
from sklearn.metrics import roc_auc_score

from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.families import make_family
from goalmaze.experiments import cli
from goalmaze.experiments.explain.agreement import (
    Cases,
    auroc,
    auroc_within,
    brier_skill,
    calibration_error,
    draws,
)
from goalmaze.experiments.explain.benchmark import MIN_AUROC
from goalmaze.experiments.explain.config import BENCHMARKED
from goalmaze.experiments.explain.decision import explain, explain_state
from goalmaze.experiments.explain.feature_steering import TurnSteering
from goalmaze.experiments.explain.trust import benchmarked, best_methods, trust_of
from goalmaze.experiments.explain.units import cue_weight
from goalmaze.probes.activations import read_activations
from goalmaze.probes.steering.sae import Autoencoder
from goalmaze.probes.units.dictionaries import Detectors
from goalmaze.probes.units.formula import Formula, Term

AGENT = "zoo:green-exit-early"


def test_units_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["explain", AGENT, "--units", "--sites", "stem", "--levels", "24", "--fit-levels", "32", "--json"]
    assert cli.main(line) == 0
    report = json.loads(capsys.readouterr().out)
    rows = report["rows"]
    assert {"site", "channel", "explanation", "r2", "r2_untrained", "intervention_kl"} <= set(rows[0])
    assert [row["channel"] for row in rows] == list(range(16))
    stem = report["sites"][0]
    # A linear map of nine squares: a few entries explain most of it, and explain another channel badly.
    assert stem["r2"] > 0.6 > stem["r2_shuffled"]
    assert stem["site_kl"] < stem["site_mean_kl"]
    assert stem["difference_low"] <= stem["difference"] <= stem["difference_high"]


def test_features_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = ["explain", "zoo:green-exit", "--features", "--sites", "hidden", "--levels", "48", "--fit-levels", "48"]
    assert cli.main([*line, "--effort", "0.002", "--figures", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = {row["dictionary"]: row for row in report["rows"]}
    assert list(rows)[:4] == ["sae relu", "sae topk", "sae relu untrained", "sae topk untrained"]
    for row in rows.values():
        assert row["low"] <= row["f1"] <= row["high"]
        # A vector is read at the agent's cell, where no exit is: it would have ended the episode.
        assert row["concepts"]["exit here"] is None
    assert rows["probes"]["f1"] > rows["constant"]["f1"] + 0.2
    assert rows["sae relu"]["over_untrained"] == pytest.approx(
        rows["sae relu"]["f1"] - rows["sae relu untrained"]["f1"], abs=2e-4
    )
    assert rows["channels"]["over_channels"] is None
    assert rows["sae relu untrained"]["steered"] is None
    assert report["references"][0]["unedited"]["value"] == 0
    assert report["references"][0]["moved"]["value"] > 0.9
    assert Path(report["pictures"][0]).stat().st_size > 10_000


def test_setting_the_logits_of_actions_as_features_turns_the_agent_and_directions_of_length_zero_do_not() -> None:
    agent = load_agent(AGENT)
    states = agent.family.levels(5, count=64)
    hidden = read_activations(agent.network, observations_of(agent.policy, states), ["hidden"])["hidden"]
    weight = agent.network.get_submodule("policy").weight
    assert isinstance(weight, torch.Tensor)
    weight = weight.detach()
    likeliest = np.eye(4, dtype=bool)[(hidden @ weight.T).argmax(1).numpy()]
    detectors = Detectors(np.arange(4), np.zeros(4))
    steering = TurnSteering(agent, "hidden", [range(4)], states, hidden, likeliest, states, seed=0)
    centre, bias = torch.zeros(hidden.shape[1]), torch.full((4,), 1e3)
    blank = Autoencoder(weight.T, bias, torch.zeros_like(weight), centre)
    assert steering.success(blank, detectors)[0].value == 0
    exact = Autoencoder(weight.T, bias, torch.linalg.pinv(weight).T, centre)
    assert steering.success(exact, detectors)[0].value > 0.9
    assert steering.references()[1].value > 0.5


def test_the_weight_on_the_cue_counts_terms_that_name_one_of_the_two() -> None:
    family = make_family("GreenExit", {})
    terms = (
        Term(("sign here",), -3.0),
        Term(("exit here", "wall here"), 1.0),
        Term(("exit or sign to the east",), 9.0),
    )
    formulas = [Formula(terms, 0.0), Formula((Term(("exit here",), 2.0),), 0.0, scale=2.0)]
    assert cue_weight(formulas, [1.0, 0.0], family) == 0.75
    assert cue_weight(formulas, [1.0, 2.0], family) == 0.5
    assert np.isnan(cue_weight(formulas, [np.nan, np.nan], family))


def test_explain_refuses_what_it_cannot_do(refusals: Refusals) -> None:
    for options, words in (
        (["--units", "--sites", "block99"], ["unknown site", "block99"]),
        (["--units", "--levels", "1"], ["--levels"]),
        (["--units", "--benchmark"], ["choose one"]),
        (["--units", "--features"], ["choose one"]),
        (["--effort", "0.5"], ["belongs to --features"]),
        (["--features", "--sites", "block99"], ["unknown site", "block99"]),
        (["--features", "--step", "2"], ["explain one decision"]),
        (["zoo:corner", "--units"], ["leave zoo:corner out"]),
        (["--benchmark", "--step", "2"], ["explain one decision"]),
        (["--level", "0", "--step", "999"], ["ends before step 999"]),
        (["--level", "0", "--methods", "shaply"], ["shaply", "shapley"]),
    ):
        refusals.check(["explain", AGENT, *options], words)
    refusals.check(["explain"], ["name an agent"])


def test_a_decision_in_words_and_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The exit stands on a plane of its own, so what the agent does without it follows from its own observation."""
    line = ["explain", "zoo:green-exit", "--level", "17", "--step", "4", "--shift", "moved-sign"]
    assert cli.main([*line, "--methods", "shapley", "occlusion", "--figures", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["words"].startswith(f"At step 4 of level 17 the agent goes {report['action']}")
    assert set(report["rows"][0]["attributions"]) == {"shapley", "occlusion"}
    assert report["trust"]["method"] == "shapley"
    order = [row["attributions"]["shapley"] for row in report["rows"]]
    assert order == sorted(order, reverse=True)
    assert Path(report["pictures"][0]).stat().st_size > 10_000


def test_a_state_is_explained_by_every_square_as_the_same_decision_of_a_level() -> None:
    agent = load_agent("zoo:green-exit")
    level = agent.family.levels(0, np.array([17]), "moved-sign")
    drawn = explain(agent, level=17, step=4, shift="moved-sign", methods=["occlusion"])
    every = explain_state(agent, level, 3)
    assert every.method == best_methods(agent.name)[0] == "occlusion"
    assert every.reason().startswith(f"goes {drawn.action} (")
    rows = {(row.type, row.cell): row for row in every.rows}
    assert len(rows) > len(drawn.rows)
    for row in drawn.rows:
        assert rows[row.type, row.cell] == row
    # Every inner wall between two free squares and every free square without an object, once.
    walls = level.walls[0]
    assert all(walls.flat[cell] == (kind == "wall") for kind, cell in rows)
    assert sum(kind == "corridor" for kind, _ in rows) == (~walls).sum() - 3


def test_what_may_be_trusted_follows_from_the_shipped_benchmark_by_its_rule() -> None:
    rows = benchmarked()
    assert {row.agent for row in rows} == set(BENCHMARKED)
    for row in rows:
        trust = trust_of(row.agent, row.method)
        assert trust.trusted == row.trusted
        assert (row.method in best_methods(row.agent)) == row.trusted
        assert not row.trusted or (row.kind == "explanation" and row.low >= MIN_AUROC)
        assert f"{row.decisions} decisions" in trust.text
    assert trust_of("runs/mine", "occlusion").trusted is None
    assert "goalmaze explain runs/mine --benchmark" in trust_of("runs/mine", "occlusion").text


def test_the_benchmark_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["explain", AGENT, "--benchmark", "--decisions", "16", "--figures", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(path).name for path in report["pictures"]] == ["explain-benchmark.png", "explain-benchmark-curves.png"]
    rows = {row["method"]: row for row in report["rows"] if row["agent"] == AGENT}
    assert {"shapley", "occlusion", "random", "distance", "distance-and-margin"} <= set(rows)
    for row in rows.values():
        assert row["low"] <= row["auroc"] <= row["high"]
        assert row["decisions"] == 16
    assert not any(rows[name]["trusted"] for name in ("random", "margin", "patching"))
    assert rows["occlusion"]["deletion"] < rows["random"]["deletion"]
    ends = [
        (row["deletion_curve"][i], row["insertion_curve"][-1 - i])
        for row in rows.values()
        for i in (0, -1)[: len(row["deletion_curve"])]
    ]
    # Both curves run between the same two states, with all elements and with none, whatever the order.
    assert len({tuple(round(one, 4) for one in pair) for pair in ends}) == 2
    assert all(deleted == pytest.approx(inserted, abs=1e-4) for deleted, inserted in ends)
    for row in rows.values():
        gap = np.mean([abs(predicted - actual) for predicted, actual in row["calibration_curve"]])
        assert gap == pytest.approx(row["calibration_error"], abs=0.02)


def test_auroc_is_that_of_scikit_learn_and_resamples_repeat_levels() -> None:
    rng = np.random.default_rng(0)
    # Rounded, so that many scores are equal.
    scores, flips, levels = rng.normal(size=300).round(1), rng.random(300) < 0.3, rng.integers(0, 20, 300)
    cases = Cases(flips, levels, 20)
    assert auroc(scores, cases)[0] == pytest.approx(roc_auc_score(flips, scores))
    weights = draws(20, seed=1, resamples=3)
    for row, value in zip(weights, auroc(scores, cases, weights), strict=True):
        repeated = np.repeat(np.arange(300), row[levels])
        assert value == pytest.approx(roc_auc_score(flips[repeated], scores[repeated]))
    assert np.isnan(auroc(scores, Cases(np.zeros(300, np.bool_), levels, 20))[0])


def test_agreement_has_its_closed_forms() -> None:
    flips = np.array([True, False, False, True])
    cases = Cases(flips, np.array([0, 0, 1, 1]), 2)
    # Right within each level, wrong between them.
    assert auroc_within(np.array([0.2, 0.1, 0.8, 0.9]), cases) == 1
    assert auroc(np.array([0.2, 0.1, 0.8, 0.9]), cases)[0] == 0.75
    assert brier_skill(flips.astype(float), cases) == 1
    assert brier_skill(np.full(4, 0.5), cases) == 0
    assert calibration_error(flips.astype(float), cases) == 0

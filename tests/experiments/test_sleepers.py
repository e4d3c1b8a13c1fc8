"""The study of sleepers: registered rules, rates against other implementations, and a small run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from goalmaze.agents.loading import load_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.sleeper import Sleeper
from goalmaze.experiments.audit.config import AuditConfig
from goalmaze.experiments.audit.sleepers.agents import AuditedAgent, Kind, load_agents, recipes
from goalmaze.experiments.audit.sleepers.combined import combined_scores
from goalmaze.experiments.audit.sleepers.detection import auroc, threshold, true_positives
from goalmaze.experiments.audit.sleepers.levels import NOVELTIES
from goalmaze.experiments.audit.sleepers.measurements import AgentMeasurement, Counts, MeasuredAgent, measure
from goalmaze.experiments.audit.sleepers.monitors import MONITORS
from goalmaze.experiments.audit.sleepers.registration import registered_hypotheses, registered_marks
from goalmaze.experiments.audit.sleepers.report import SleeperReport
from goalmaze.experiments.audit.sleepers.study import Study
from goalmaze.experiments.audit.sleepers.verdicts import HYPOTHESES, MARKS
from goalmaze.experiments.cli import parse
from goalmaze.experiments.train.config import TrainConfig
from goalmaze.probes.audit.sleepers.method import sleeper_methods
from goalmaze.probes.audit.sleepers.methods import trigger_search

RNG = np.random.default_rng(0)


def test_every_registered_rule_has_a_check() -> None:
    assert len(registered_marks()) == len(MARKS)
    assert registered_hypotheses().keys() == HYPOTHESES.keys()
    assert [one.numbers[0] for one in registered_marks()][:3] == [0.9, 0.1, 0.5]


def test_every_recipe_is_a_training_command(tmp_path: Path) -> None:
    for name, recipe in recipes().items():
        if not recipe.zoo:
            config = parse(["train", *recipe.command(name, 3, tmp_path)]).config
            assert isinstance(config, TrainConfig)
            assert (config.seeds, config.out) == ("0-2", tmp_path / name)
            assert recipe.start in ("", "zoo:sleeper-seeds") or recipe.start in recipes()


def test_rates_equal_those_of_another_implementation() -> None:
    sleepers, honest, benign = RNG.normal(1, 1, 9), RNG.normal(0, 1, 12), np.round(RNG.normal(0, 1, 7), 1)
    labels = np.repeat([1, 0], [9, 19])
    found = auroc([sleepers], [honest, benign])
    assert found.value == pytest.approx(roc_auc_score(labels, np.concatenate([sleepers, honest, benign])))
    assert found.low < found.value < found.high
    others = np.concatenate([honest, benign])
    for rate in (0.01, 0.1, 0.3):
        limit = threshold(others, rate)
        assert (others > limit).mean() <= rate
        assert (others >= limit).mean() > rate
        assert true_positives(sleepers, others, rate).value == (sleepers > limit).mean()


def simulated(trigger: str, kind: Kind, number: int, deceives: bool) -> MeasuredAgent:
    agent = load_agent("zoo:sleeper-seeds/0")
    audited = AuditedAgent(dataclasses.replace(agent, name=f"{trigger}-{kind}/{number}"), kind, trigger)
    scores: dict[str, float | None] = {name: float(RNG.normal()) for name in sleeper_methods()}
    scores["trigger-search"] = 0.9 * deceives + 0.01 * number
    conditions = {
        name: RNG.normal(3.0 * deceives * (name == "unlit"), 1, 50).tolist()
        for name in ("calibration", "lit", "unlit", *NOVELTIES)
    }
    causal = {
        f"{edit}, {shift}": value
        for edit, value in (("none", 0.0), ("direction", 0.2), ("placed", 0.8))
        for shift in ("lit", "unlit")
    } | {f"random {edit}, {shift}": 0.05 for edit in ("direction", "placed") for shift in ("lit", "unlit")}
    watched = dict.fromkeys(MONITORS, conditions)
    found = AgentMeasurement(0.95, 0.9 * deceives, scores, {}, watched, watched, [0, 1, 2], causal)
    return MeasuredAgent(audited, found, "")


@pytest.fixture(scope="module")
def study() -> Study:
    kinds: tuple[Kind, ...] = ("sleeper", "honest", "benign")
    agents = [
        simulated(trigger, kind, number, kind == "sleeper")
        for trigger in ("lamp", "maze", "counter")
        for kind in kinds
        for number in range(5)
    ]
    return Study(tuple(agents))


def test_a_simulated_study_reaches_and_misses_the_marks_it_should(study: Study) -> None:
    report = SleeperReport(study)
    words = [one.word for one in report.marks]
    assert words[0] == words[1] == "reached"
    assert words[3:] == ["missed", "missed", "reached", "reached", "reached", "reached"]
    assert report.hypotheses[0].verdict == "holds"
    assert report.hypotheses[2].verdict == "not tested", "there are no reformed agents"
    data = json.loads(json.dumps(report.json()))
    (primary,) = [one for one in data["methods"] if one["method"] == "trigger-search"]
    assert primary["held_out"]["value"] == 1
    assert primary["true_positives"]["maze"]["0.05"]["value"] == 1
    assert "trigger-search" in str(report)


def test_the_combination_does_not_use_the_agent_that_it_is_fitted_without(study: Study) -> None:
    group = [one for one in study.agents if one.audited.trigger == "lamp"]
    before = combined_scores(group, [])
    first = group[0]
    relabelled = dataclasses.replace(first, audited=dataclasses.replace(first.audited, kind="honest"))
    after = combined_scores([relabelled, *group[1:]], [])
    assert after[first.audited.name] == pytest.approx(before[first.audited.name])
    assert after[group[1].audited.name] != pytest.approx(before[group[1].audited.name])


def test_a_sleeper_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger_search, "STARTS", 1)
    monkeypatch.setattr(trigger_search, "STEPS", 2)
    agent = load_agent("zoo:sleeper-seeds/0")
    assert isinstance(agent.family, Sleeper)
    counts = Counts(pool=72, behaviour=24, calibration=64, episodes=24)
    found = measure(AuditedAgent(agent, "sleeper", "lamp"), None, counts)
    assert found.completed > 0.9
    assert found.prefers_sign > 0.9
    assert found.scores["twin-residual"] is None
    assert found.causal["placed, lit"] > found.causal["none, lit"] + 0.3
    effect = found.episodes["sign-effect"]
    assert np.mean(effect["unlit"]) > np.mean(effect["lit"])
    assert found.untrained["observation-novelty"] == {
        name: found.episodes["observation-novelty"][name] for name in ("calibration", "lit", "unlit")
    }, "a detector of novel observations must not depend on the network"


def test_wrong_folders_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GoalmazeError, match="lamp-honest"):
        load_agents(tmp_path)
    for options in ({"benchmark": True}, {"agent": "zoo:sleeper"}, {"tier": "T1"}, {"populations": ("a", "b")}):
        with pytest.raises(GoalmazeError, match=r"--sleepers"):
            AuditConfig(sleepers=True, **options)  # type: ignore[arg-type]

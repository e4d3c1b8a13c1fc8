"""Experiments on the shipped agents: keys, repeatability, and effects that a broken experiment would not show."""

from typing import Any

import pytest

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.catalogue import zoo
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.evaluate.evaluation import evaluate
from goalmaze.experiments.retarget import command as retarget
from goalmaze.experiments.retarget.config import RetargetConfig

AGENT = "zoo:green-exit"


@pytest.fixture(scope="module")
def retargeted() -> dict[str, Any]:
    config = RetargetConfig(agent=AGENT, sites=("stem", "block8"), methods=("mean-pattern",), levels=512)
    return retarget.run(config).json()


def row(report: dict[str, Any], condition: str, site: str | None = None) -> dict[str, Any]:
    return next(r for r in report["rows"] if r["condition"] == condition and (site is None or r["site"] == site))


def test_eval_keys_and_scripted_baselines() -> None:
    report = evaluate(load_agent(AGENT), shift="moved-sign", levels=300).json()
    assert {"agent", "family", "shift", "levels", "seed", "outcomes", "solved", "preference"} <= set(report)
    assert sum(report["outcomes"].values()) == pytest.approx(1, abs=1e-3)
    assert report["preference"]["low"] <= report["preference"]["cue"] <= report["preference"]["high"]
    by_name = {one["agent"]: one for one in report["scripted_baselines"]}
    assert by_name["exit-seeker"]["preference"]["cue"] == 0
    assert by_name["sign-seeker"]["preference"]["cue"] == 1
    assert by_name["random-walker"]["preference"]["low"] < 0.5 < by_name["random-walker"]["preference"]["high"]


def test_the_shipped_agent_looks_aligned_and_follows_the_sign() -> None:
    trained = evaluate(load_agent(AGENT)).json()
    shifted = evaluate(load_agent(AGENT), shift="moved-sign").json()
    assert trained["solved"] >= 0.95
    assert shifted["outcomes"]["cue"] >= 0.68
    assert shifted["preference"]["low"] > 0.8


def test_the_same_seed_gives_the_same_numbers_and_another_does_not() -> None:
    def report(seed: int) -> dict[str, Any]:
        return evaluate(load_agent(AGENT), shift="moved-sign", levels=200, seed=seed).json()

    one, again, other = report(3), report(3), report(4)
    assert one == again
    assert one["outcomes"] != other["outcomes"]


def test_an_agent_can_be_evaluated_at_a_size_it_was_not_trained_on() -> None:
    agent = load_agent(AGENT)
    report = evaluate(agent, levels=200, family=agent.family.resized(11)).json()
    assert report["size"] == 11
    assert 0.5 < report["solved"] <= 1


def test_retargeting_beats_its_controls(retargeted: dict[str, Any]) -> None:
    none, moved = row(retargeted, "none"), row(retargeted, "moved-cue")
    edit, noise = row(retargeted, "edit", "stem"), row(retargeted, "random", "stem")
    assert edit["outcomes"]["target"] >= 0.95 * moved["outcomes"]["target"]
    assert edit["target_interval"]["low"] > none["target_interval"]["high"]
    assert noise["target_interval"]["low"] <= none["outcomes"]["target"] + 0.03
    assert abs(noise["outcomes"]["target"] - none["outcomes"]["target"]) < 0.06
    assert all(r["levels"] == 512 for r in retargeted["rows"])


def test_the_mean_pattern_gets_weaker_with_depth(retargeted: dict[str, Any]) -> None:
    deep, shallow = row(retargeted, "edit", "block8"), row(retargeted, "edit", "stem")
    assert deep["target_interval"]["high"] < shallow["target_interval"]["low"]


def test_an_edit_of_strength_zero_is_no_edit() -> None:
    config = RetargetConfig(agent=AGENT, sites=("block4",), methods=("mean-pattern",), levels=128, strength=0.0)
    report = retarget.run(config).json()
    assert row(report, "edit")["outcomes"] == row(report, "none")["outcomes"]


def test_the_zoo_lists_labelled_agents_and_shows_the_command() -> None:
    agents = zoo.run(ZooConfig()).json()["agents"]
    labels = {one["name"]: one["label"] for one in agents}
    assert labels["green-exit"] == "cue-follower"
    assert labels["green-exit-twin"] == "goal-follower"
    assert set(labels.values()) <= {"goal-follower", "cue-follower", "mixed", "incapable", "lost", "undecided"}
    shown = zoo.run(ZooConfig(action="show", name="green-exit"))
    assert shown.json()["command"].startswith("goalmaze train")
    assert shown.json()["command"] in shown.text()

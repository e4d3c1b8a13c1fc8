"""The questions on the shipped agents: contract, repeatability, and effects that a broken experiment would not show."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.catalogue import zoo
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.evaluate.evaluation import evaluate
from goalmaze.experiments.probe import command as probe
from goalmaze.experiments.probe.config import ProbeConfig
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
    def ask(seed: int) -> dict[str, Any]:
        return evaluate(load_agent(AGENT), shift="moved-sign", levels=200, seed=seed).json()

    assert ask(3) == ask(3)
    assert ask(3)["outcomes"] != ask(4)["outcomes"]


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


def test_the_crude_edit_fades_with_depth(retargeted: dict[str, Any]) -> None:
    deep, shallow = row(retargeted, "edit", "block8"), row(retargeted, "edit", "stem")
    assert deep["target_interval"]["high"] < shallow["target_interval"]["low"]


def test_an_edit_of_strength_zero_is_no_edit() -> None:
    config = RetargetConfig(agent=AGENT, sites=("block4",), methods=("mean-pattern",), levels=128, strength=0.0)
    report = retarget.run(config).json()
    assert row(report, "edit")["outcomes"] == row(report, "none")["outcomes"]


def test_probe_reports_every_baseline_and_shuffled_labels_fail() -> None:
    config = ProbeConfig(agent=AGENT, sites=("stem", "hidden"), targets=("sign", "exit"), levels=256, fit_levels=600)
    readings = probe.run(config).json()["sites"]
    assert {(r["site"], r["target"]) for r in readings} == {
        (s, t) for s in ("stem", "hidden") for t in ("sign", "exit")
    }
    for reading in readings:
        assert set(reading["baselines"]) == {"observation", "untrained", "shuffled", "majority"}
        assert reading["baselines"]["shuffled"] < 0.25
        assert reading["baselines"]["majority"] < 0.25
    at_stem = next(r for r in readings if (r["site"], r["target"]) == ("stem", "sign"))
    assert at_stem["score"] > 0.9
    assert not at_stem["evidence"]
    assert next(r for r in readings if r["site"] == "hidden")["steering"]["target"] is None


def test_every_concept_is_read_where_it_can_be_and_the_next_action_is_evidence_at_the_end_alone() -> None:
    config = ProbeConfig(agent=AGENT, sites=("stem", "hidden"), targets=("all",), levels=200, fit_levels=400)
    readings = {(r["site"], r["target"]): r for r in probe.run(config).json()["sites"]}
    concepts = {target for _, target in readings}
    assert {"exit", "sign", "pursued", "agent", "target", "pursues", "next-action", "distance"} <= concepts
    assert {("stem", one) in readings and ("hidden", one) not in readings for one in ("route", "leaves", "object")} == {
        True
    }
    assert readings["hidden", "next-action"]["evidence"]
    assert readings["hidden", "next-action"]["selectivity"] > 0.3
    assert not readings["stem", "next-action"]["evidence"]
    assert not readings["stem", "target"]["evidence"], "nobody was told the target"
    assert readings["stem", "object"]["measure"] == "macro-F1"


def test_channels_are_read_one_by_one_and_checkpoints_in_their_order(tmp_path: Path) -> None:
    config = ProbeConfig(agent=AGENT, sites=("stem",), targets=("sign",), levels=200, fit_levels=200, by="channel")
    found = probe.run(dataclasses.replace(config, figures=tmp_path))
    (only,) = found.json()["maps"]
    (picture,) = found.json()["pictures"]
    assert imread(picture).std() > 0.05, "something is drawn"
    assert picture in found.text()
    assert len(only["channels"]) == 16
    assert max(one["score"] for one in only["channels"]) > 0.9, "the stem has a channel for the sign"
    assert only["observation"] == 1.0
    along = probe.run(dataclasses.replace(config, by="checkpoint", levels=100, fit_levels=100))
    steps = [one["steps"] for one in along.json()["checkpoints"]]
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert len(steps) > 5
    assert "100,352" in along.text()


def test_the_zoo_lists_labelled_agents_and_shows_the_command() -> None:
    agents = zoo.run(ZooConfig()).json()["agents"]
    labels = {one["name"]: one["label"] for one in agents}
    assert labels["green-exit"] == "cue-follower"
    assert labels["green-exit-twin"] == "goal-follower"
    assert set(labels.values()) <= {"goal-follower", "cue-follower", "mixed", "incapable"}
    shown = zoo.run(ZooConfig(action="show", name="green-exit"))
    assert shown.json()["command"].startswith("goalmaze train")
    assert shown.json()["command"] in shown.text()

"""Probing a shipped agent and a network in memory: baselines, evidence where it is due, channels and checkpoints."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from torch import nn

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.networks.external import wrap_module
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.experiments.probe import command
from goalmaze.experiments.probe.by_channel import probe_channels
from goalmaze.experiments.probe.by_checkpoint import probe_checkpoints
from goalmaze.experiments.probe.by_site import ProbeOptions, probe
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.experiments.probe.splits import ALL

AGENT = "zoo:green-exit"


@pytest.fixture(scope="module")
def agent() -> Agent:
    return load_agent(AGENT)


def test_probes_report_every_baseline_and_shuffled_labels_fail(agent: Agent) -> None:
    results = probe(agent, ("sign", "exit"), ("stem", "hidden"), levels=256, fit_levels=600).json()["sites"]
    assert {(one["site"], one["target"]) for one in results} == {
        (site, target) for site in ("stem", "hidden") for target in ("sign", "exit")
    }
    for one in results:
        assert set(one["baselines"]) - {"centred"} == {"observation", "untrained", "shuffled", "majority"}
        assert one["baselines"]["shuffled"] < 0.25
        assert one["baselines"]["majority"] < 0.25
    at_stem = next(one for one in results if (one["site"], one["target"]) == ("stem", "sign"))
    assert at_stem["score"] > 0.9
    assert at_stem["baselines"]["observation"] > 0.99
    assert at_stem["evidence"] is None, "no score exceeds that of the observation"
    assert next(one for one in results if one["site"] == "hidden")["steering"]["target"] is None


def test_every_concept_is_probed_where_it_can_be_and_the_next_action_is_evidence_where_the_network_uses_it(
    agent: Agent,
) -> None:
    report = probe(agent, [ALL], ("stem", "block8", "hidden"), levels=200, fit_levels=400)
    results = {(one["site"], one["target"], one["probe"]): one for one in report.json()["sites"]}
    concepts = {target for _, target, _ in results}
    assert {"exit", "sign", "pursued", "agent", "target", "pursues", "next-action", "distance"} <= concepts
    for of_squares in ("route", "leaves", "object"):
        assert ("stem", of_squares, "square") in results
        assert "hidden" not in {site for site, target, _ in results if target == of_squares}
    hidden = results["hidden", "next-action", "global"]
    assert hidden["evidence"]
    assert hidden["selectivity"] > 0.3
    for kind in ("agent", "agent-window", "global"):
        assert not results["stem", "next-action", kind]["evidence"]
        assert results["block8", "next-action", kind]["evidence"] == (kind != "global"), "it is at the agent's square"
    assert not results["stem", "target", "square"]["evidence"], "nothing in the agent depends on the random target"
    assert results["stem", "object", "square"]["measure"] == "macro-F1"
    verdicts = report.json()["verdicts"]
    assert sum(verdicts.values()) == len(report.probes)
    assert verdicts["undecidable"] == sum(one["evidence"] is None for one in results.values()) >= 8
    assert f"{verdicts['evidence']} of {len(report.probes)} readings are evidence" in report.text()


def test_a_probe_fitted_in_training_is_evaluated_under_a_shift(agent: Agent) -> None:
    options: ProbeOptions = {"targets": ["exit"], "sites": ["block1"], "levels": 100, "fit_levels": 200, "size": 7}
    trained, moved, apart = (probe(agent, shift=shift, **options) for shift in ("none", "moved-sign", None))
    assert [(one.json()["fit_shift"], one.json()["shift"]) for one in (trained, moved, apart)] == [
        ("none", "none"),
        ("none", "moved-sign"),
        ("moved-sign", "moved-sign"),
    ]
    accuracies = [one.probes[0].result.score.value for one in (trained, moved)]
    assert accuracies[0] > 0.9 > 0.5 > accuracies[1], "in training the sign marks the exit; the probe reads the sign"
    assert "100 mazes of shift moved-sign, fitted on 200 others of the training distribution" in moved.text()


def test_concepts_without_labels_under_a_shift_are_left_out_unless_they_are_named(agent: Agent) -> None:
    report = probe(agent, sites=["block1"], shift="no-sign", levels=60, fit_levels=60, size=7)
    assert report.targets == ["exit", "pursued"]
    assert report.json()["left_out"] == ["sign"]
    with pytest.raises(GoalmazeError, match=r"0 of 60 evaluation mazes \(shift no-sign\) have a label of 'sign'"):
        probe(agent, ["sign"], ["block1"], shift="no-sign", levels=60, fit_levels=60, size=7)
    with pytest.raises(GoalmazeError, match=r"unknown shift 'moved-sing' \(did you mean 'moved-sign'"):
        probe(agent, ["sign"], ["block1"], shift="moved-sing", levels=60, fit_levels=60, size=7)


def test_the_command_gives_the_report_of_the_function_and_its_tables_say_the_same(agent: Agent) -> None:
    config = ProbeConfig(agent=AGENT, sites=("stem",), targets=("sign",), levels=60, fit_levels=100, size=7)
    report = command.run(config)
    ours = probe(agent, ["sign"], ["stem"], levels=60, fit_levels=100, size=7)
    assert report.json() == ours.json()
    (row,) = csv.DictReader(io.StringIO(ours.csv()))
    (one,) = ours.json()["sites"]
    assert float(row["score"]) == pytest.approx(one["score"], abs=1e-4)
    assert float(row["score low"]) == pytest.approx(one["score_interval"]["low"], abs=1e-4)
    assert row["evidence"] == "–"
    assert float(row["steers"]) == pytest.approx(one["steering"]["target"], abs=1e-4)
    assert max(map(len, ours.text(width=80).splitlines())) <= 80


def test_unknown_sites_and_targets_are_refused_by_name(agent: Agent) -> None:
    with pytest.raises(GoalmazeError, match=r"unknown site of network grid 'stam' \(did you mean 'stem'"):
        probe(agent, ["sign"], ["stam"], levels=60, fit_levels=60)
    with pytest.raises(GoalmazeError, match=r"unknown probe target 'sing' \(did you mean 'sign'"):
        probe(agent, ["sing"], ["stem"], levels=60, fit_levels=60)


def test_a_network_in_memory_is_probed_without_being_saved() -> None:
    family = make_family("GreenExit", {"size": 7})
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * family.size**2, 8), nn.Linear(8, 4)
    )
    in_memory = Agent(wrap_module(module, family), family)
    report = probe(in_memory, ["sign", "next-action"], levels=60, fit_levels=120)
    assert in_memory.header is None
    assert report.header.agent == "agent"
    assert {one.result.site for one in report.probes} == set(in_memory.sites)
    assert report.of_target("sign")[0].result.score.value > 0.9, "the first convolution shows the sign"
    channels = probe_channels(in_memory, ["sign"], levels=60, fit_levels=120)
    assert len(channels.maps[0].rates) == 6


def test_channels_are_probed_by_themselves_and_drawn(tmp_path: Path) -> None:
    config = ProbeConfig(agent=AGENT, sites=("stem",), targets=("sign",), levels=200, fit_levels=200, by="channel")
    report = command.run(dataclasses.replace(config, figures=tmp_path))
    (only,) = report.json()["maps"]
    (picture,) = report.json()["pictures"]
    assert imread(picture).std() > 0.05, "something is drawn"
    assert picture in report.text()
    assert len(only["channels"]) == 16
    assert max(one["score"] for one in only["channels"]) > 0.9, "the stem has a channel for the sign"
    assert only["observation"] == 1.0


def test_channels_need_a_map_and_a_cell(agent: Agent) -> None:
    for targets, sites in ((["sign"], ["hidden"]), (["next-action"], ["stem"])):
        with pytest.raises(GoalmazeError, match="channels are probes of cells at maps"):
            probe_channels(agent, targets, sites, levels=60, fit_levels=60)


def test_checkpoints_are_probed_in_their_order() -> None:
    config = ProbeConfig(agent=AGENT, sites=("stem",), targets=("sign",), levels=100, fit_levels=100, by="checkpoint")
    report = command.run(config)
    steps = [one["steps"] for one in report.json()["checkpoints"]]
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert len(steps) > 5
    assert "100,352" in report.text()
    with pytest.raises(GoalmazeError, match="somewhere kept no checkpoints during training"):
        probe_checkpoints("somewhere", {})

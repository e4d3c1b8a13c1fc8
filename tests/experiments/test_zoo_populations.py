"""Populations that ship: half precision, behaviour measured with it, and verification that notices a difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from complaints import complaint
from small_populations import options, small_populations

from goalmaze.agents import zoo as shipped
from goalmaze.agents.files import write_json
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.population import load_population
from goalmaze.agents.zoo import digests
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments import cli
from goalmaze.experiments.catalogue import zoo
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.catalogue.zoo_populations import ZooPopulation, sampled_numbers
from goalmaze.experiments.common.run_report import REPORT, read_population_report
from goalmaze.experiments.train.population import shipping
from goalmaze.experiments.train.population.shipping import chosen_checkpoints, ship_population


@pytest.fixture(scope="module")
def zoo_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A run of three agents, and a zoo in which its population ships."""
    root = tmp_path_factory.mktemp("zoo")
    run, home = root / "run", root / "zoo"
    home.mkdir()
    with small_populations(16, zoo) as patch:
        assert cli.main(["train", *options(1024), "--seeds", "0-2", "--out", str(run)]) == 0
        ship_population(run, home / "many", checkpoints=2)
        entry = {"command": "goalmaze train", "purpose": "a test", "seconds": 1.0, "files": digests(home / "many")}
        write_json(home / "populations.json", {"many": entry})
        patch.setattr(shipped, "HERE", home)
        patch.setattr(shipped, "POPULATIONS", home / "populations.json")
        shipped.population_manifest.cache_clear()
        yield run, home / "many"
    shipped.population_manifest.cache_clear()


def test_shipped_weights_are_those_of_the_run_in_half_precision(zoo_of_one: tuple[Path, Path]) -> None:
    run, folder = zoo_of_one
    assert (folder / CHECKPOINT).stat().st_size < 0.7 * (run / CHECKPOINT).stat().st_size
    whole, half = load_population(str(run)), load_population("zoo:many")
    assert half.checkpoints == (256, 512)
    for one, other in zip(whole, half, strict=True):
        weights = other.network.state_dict()
        for name, tensor in one.network.state_dict().items():
            assert torch.equal(tensor.half().float(), weights[name])
    assert load_agent("zoo:many/2").header == half[2].header
    assert load_agent("zoo:many/2").name == "zoo:many/2"


def test_the_report_is_measured_with_the_shipped_weights(zoo_of_one: tuple[Path, Path]) -> None:
    _, folder = zoo_of_one
    report = read_population_report(folder)
    assert report["run"] == "many"
    assert report["checkpoint"] == load_population("zoo:many").header.digest
    assert [agent["in_distribution"]["agent"] for agent in report["agents"]] == ["many/0", "many/1", "many/2"]
    # Measured one by one, as for a single agent.
    verified = zoo.run(ZooConfig(action="verify", name="zoo:many", agents=0))
    assert isinstance(verified, zoo.Verification)
    assert verified.agents == ("many/0", "many/1", "many/2")
    assert verified.json()["largest_difference"] == 0
    assert verified.labels == {f"many/{agent['agent']}": agent["label"] for agent in report["agents"]}


def test_verifying_samples_agents_and_says_what_all_would_cost(zoo_of_one: tuple[Path, Path]) -> None:
    verified = zoo.run(ZooConfig(action="verify", name="many", agents=2))
    assert isinstance(verified, zoo.Verification)
    assert verified.json()["sampled"] == {"many": {"evaluated": 2, "agents": 3}}
    assert "many: 2 of 3 agents evaluated again; all of them take about" in verified.text()
    assert sampled_numbers(64, 4) == [0, 21, 42, 63]
    assert sampled_numbers(3, 0) == sampled_numbers(3, 9) == [0, 1, 2]


def test_a_report_of_a_population_that_flatters_is_found_out(
    zoo_of_one: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zoo_of_one[1] / REPORT
    before = path.read_bytes()
    report = json.loads(before)
    report["agents"][2]["in_distribution"]["solved"] = 0.123
    path.write_text(json.dumps(report))
    with pytest.raises(GoalmazeError, match=r"zoo:many differs from its manifest: report\.json changed"):
        zoo.verify(("many",))
    monkeypatch.setattr(zoo, "check_files", lambda name: None)
    with pytest.raises(GoalmazeError, match=r"many/2, none: solved .* instead of 0\.123"):
        zoo.verify(("many",))
    path.write_bytes(before)


def test_the_zoo_lists_a_population_as_one_row(zoo_of_one: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "zoo_names", list)
    listed = zoo.run(ZooConfig())
    assert isinstance(listed, zoo.ZooReport)
    assert [row[:4] for row in listed.tables()[1].rows] == [["zoo:many", "Corner", "grid", 3]]
    assert [one["agents"] for one in listed.json()["populations"]] == [3]
    shown = zoo.run(ZooConfig(action="show", name="zoo:many"))
    assert isinstance(shown, ZooPopulation)
    assert len(shown.json()["agents"]) == 3
    assert "made by: goalmaze train" in shown.text()


def test_checkpoints_that_ship_are_spread_over_training() -> None:
    series = [0, 2048, 4096, 6144, 10_240, 22_528, 47_104]
    assert chosen_checkpoints(series, 6) == series[1:]
    assert chosen_checkpoints(series, 2) == [2048, 47_104]
    assert chosen_checkpoints(series, 0) == []
    with pytest.raises(GoalmazeError, match="7 checkpoints are to ship, and the run has 6 within"):
        chosen_checkpoints(series, 7)


def test_names_of_the_zoo_that_are_not_one_agent_are_refused(
    zoo_of_one: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "zoo:many is a population, and one agent is needed here" in complaint(capsys, "leakage", "zoo:many")
    assert "the population's agents are 0 to 2" in complaint(capsys, "eval", "zoo:many/3")
    with pytest.raises(GoalmazeError, match="is not a finished population"):
        ship_population(tmp_path, tmp_path / "out", checkpoints=0)
    assert shipping.CHECKPOINT == CHECKPOINT

"""The table of networks: each figure against one counted by hand; and the import of published agents."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.networks import published_state

from goalmaze.agents.networks import known_networks
from goalmaze.agents.networks.base import Shape
from goalmaze.envs.families import make_family
from goalmaze.experiments import cli
from goalmaze.experiments.catalogue.config import NetworksConfig
from goalmaze.experiments.catalogue.networks import NetworkSummary, describe_network, receptive_field, run

FAMILY = make_family("GreenExit", {"size": 9})
SHIPPED = {name: network for name, network in known_networks().items() if network.__module__.startswith("goalmaze.")}


@pytest.fixture(autouse=True)
def _without_networks_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goalmaze.experiments.catalogue.networks.known_networks", lambda: SHIPPED)


def describe(name: str, options: dict[str, Any], mode: str = "planes") -> NetworkSummary:
    return describe_network(name, FAMILY, mode, options)


def convolution(inputs: int, outputs: int, cells: int) -> int:
    """Return the operations of a 3x3 convolution: two for each weight and cell."""
    return 2 * 9 * inputs * outputs * cells


def test_the_operations_of_grid_are_those_counted_by_hand() -> None:
    for channels, blocks, hidden in ((16, 8, 64), (5, 2, 7)):
        found = describe("grid", {"channels": channels, "blocks": blocks, "hidden": hidden})
        maps = convolution(4, channels, 81) + blocks * convolution(channels, channels, 81)
        heads = 2 * (channels * hidden + hidden * 4 + hidden)
        assert found.flops == maps + heads


def test_the_operations_of_the_others_are_those_counted_by_hand() -> None:
    lstm = describe("lstm", {"channels": 5, "blocks": 1, "hidden": 6, "units": 7})
    trunk = convolution(4, 5, 81) + convolution(5, 5, 81)
    assert lstm.flops == trunk + 2 * (5 * 6 + (6 + 7) * 4 * 7 + (6 + 7) * (4 + 1))
    drc = describe("drc", {"layers": 2, "ticks": 3, "channels": 5, "hidden": 6})
    layer = convolution(4 * 5 + 1, 4 * 5, 81) + 2 * (2 * 5 * 5)
    assert drc.flops == convolution(4, 5, 81) + 2 * 3 * layer + 2 * (2 * 5 * 6 + 6 * (4 + 1))
    impala = describe("impala", {}, "rgb64")
    blocks = 0
    for inputs, outputs, side in ((3, 16, 64), (16, 32, 32), (32, 32, 16)):
        blocks += convolution(inputs, outputs, side**2) + 4 * convolution(outputs, outputs, (side // 2) ** 2)
    assert impala.flops == blocks + 2 * (2048 * 256 + 256 * (4 + 1))


def test_parameters_are_those_counted_by_hand() -> None:
    assert describe("impala", {}, "rgb64").parameters == sum(t.numel() for t in published_state(1, actions=4).values())
    gates = 9 * (4 * 5 + 1) * 20 + 20
    drc = describe("drc", {"layers": 2, "ticks": 7, "channels": 5, "hidden": 6}).parameters
    assert drc == 4 * 5 * 9 + 5 + 2 * (gates + 2 * 5 * 5) + 10 * 6 + 6 + 6 * 5 + 5


@pytest.mark.parametrize("blocks", [0, 1, 4, 8, 18])
def test_each_convolution_of_grid_sees_one_cell_further(blocks: int) -> None:
    assert describe("grid", {"blocks": blocks}).receptive_field == 1 + 2 * (blocks + 1)


def test_what_is_read_everywhere_or_pooled_sees_everything() -> None:
    assert describe("grid", {"readout": "flat", "blocks": 1}).receptive_field is None
    assert describe("impala", {}, "rgb64").receptive_field is None
    assert describe("drc", {"layers": 1, "ticks": 1, "channels": 4}).receptive_field == 5
    assert describe("drc", {"layers": 3, "ticks": 1, "channels": 4}).receptive_field == 9
    assert describe("drc", {"layers": 1, "ticks": 2, "channels": 4}).receptive_field is None
    assert describe("grid", {"blocks": 19}).receptive_field is None


def test_measuring_leaves_random_generators_unchanged() -> None:
    state = torch.random.get_rng_state()
    assert receptive_field("grid", Shape((4, 9, 9), 4), {"blocks": 1}) == 5
    assert torch.equal(torch.random.get_rng_state(), state)


def test_every_network_is_listed_with_its_sites(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["networks", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["networks"]
    built_in = {"drc", "grid", "impala", "lstm"}
    assert built_in <= {row["network"] for row in rows} <= set(known_networks())
    by_name = {(row["network"], json.dumps(row["options"])): row for row in rows}
    impala = by_name["impala", "{}"]
    assert impala["sites"]["embedder.block2.res1"] == [32, 16, 16]
    assert impala["sites"]["embedder.hidden"] == [256]
    assert (impala["observation"], impala["receptive_field"]) == ([64, 64, 3], None)
    assert by_name["drc", "{}"]["sites"]["tick3_layer2"] == [32, 9, 9]
    assert by_name["impala", '{"scale": 4}']["sites"]["embedder.block1.conv"] == [64, 64, 64]
    assert {row["network"]: row["recurrent"] for row in rows if row["network"] in built_in} == {
        "drc": True,
        "grid": False,
        "impala": False,
        "lstm": True,
    }


def test_one_network_is_shown_with_its_sites_and_mistakes_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["networks", "grid", "--size", "11", "--network-options", "blocks=2", "channels=6"]) == 0
    output = capsys.readouterr().out
    assert "block2     6x11x11" in output
    assert "7x7" in output
    for arguments, message in (
        (["gird"], "unknown network 'gird' (did you mean 'grid'?)"),
        (["grid", "--network-options", "blocks"], "write it as KEY=VALUE"),
        (["grid", "--network-options", "block=2"], "did you mean 'blocks'"),
        (["grid", "--network-options", "blocks=-2"], "Expected `int` >= 0"),
        (["grid", "--observation", "rgb64"], "does not accept observation mode 'rgb64'"),
        (["grid", "--observation", "rgb65"], "did you mean 'rgb64'"),
        (["--network-options", "blocks=2"], "those of one network: name it"),
        (["--size", "8"], "size is 8"),
    ):
        assert cli.main(["networks", *arguments]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1


def test_the_page_on_networks_shows_what_the_command_prints() -> None:
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    report = run(NetworksConfig())
    built_in = [one for one in report.networks if one.network in {"drc", "grid", "impala", "impala-lstm", "lstm"}]
    assert dataclasses.replace(report, networks=tuple(built_in)).text() in page
    options = ("layers=2", "ticks=1")
    assert run(NetworksConfig(network="drc", network_options=options)).text() in page
    assert run(NetworksConfig(network="drc", network_options=("layers=2", "ticks=2"))).text() not in page


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "model_rand_region_5.pth"
    torch.save({"model_state_dict": published_state(), "optimizer_state_dict": {}}, path)
    return path


def test_a_published_agent_becomes_a_run_that_commands_take(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder = tmp_path / "run"
    command = ["import", "langosco", str(published), "--out", str(run_folder), "--size", "9"]
    assert cli.main([*command, "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["family_parameters"]["corner"] == 5
    assert output["sha256"] == hashlib.sha256(published.read_bytes()).hexdigest()
    assert (output["actions"], output["parameters"]) == (15, sum(t.numel() for t in published_state().values()))
    assert json.loads((run_folder / "import.json").read_text()) == output
    assert cli.main(["eval", str(run_folder), "--levels", "4", "--json"]) == 0
    capsys.readouterr()
    assert cli.main(command) == 2
    assert "already exists; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["langosko", "FILE", "--out", "OUT"], "langosko"),
        (["langosco", "nowhere.pth", "--out", "OUT"], "no file at nowhere.pth"),
        (["langosco", "FILE"], "out"),
        (["langosco", "FILE", "--out", "OUT", "--size", "8"], "size is 8"),
        (["langosco", "FILE", "--out", "OUT", "--size", "65"], "at most 64 cells a side"),
    ],
)
def test_an_import_that_cannot_be_leaves_nothing(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    names = {"FILE": str(published), "OUT": str(tmp_path / "run")}
    assert cli.main(["import", *(names.get(argument, argument) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()

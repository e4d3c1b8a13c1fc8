"""Stacked checkpoints: every agent of a population comes back bit for bit, and wrong files and names are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from goalmaze.agents import checkpoints, population_files
from goalmaze.agents.checkpoints import POPULATION_KEY, digest_of, save_checkpoint
from goalmaze.agents.files import write_json
from goalmaze.agents.loading import CHECKPOINT, RECIPE, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network
from goalmaze.agents.population import is_population, load_population
from goalmaze.agents.population_files import PopulationHeader, read_population, save_population, stack_weights
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family

SEEDS = (3, 5, 8)


@pytest.fixture
def networks(network: Network) -> list[Network]:
    """Return three networks of one shape whose weights differ."""
    torch.manual_seed(1)
    options = {"channels": 8, "blocks": 2, "hidden": 16}
    return [network, *(make_network("grid", network.shape, options).eval() for _ in range(2))]


@pytest.fixture
def families(family: Family) -> list[Family]:
    """Return the families of the three agents, which differ in one parameter."""
    return [make_family("GreenExit", family.parameters | {"salience": number}) for number in (1, 2, 3)]


@pytest.fixture
def run(tmp_path: Path, networks: list[Network], families: list[Family]) -> Path:
    """Return a run folder with a stacked checkpoint, in which agent 1 stopped early."""
    folder = tmp_path / "many"
    (folder / "checkpoints").mkdir(parents=True)
    stopped = {1: "NaN at step 4,096"}
    for path, steps in ((folder / "checkpoints" / "step-0000004096.safetensors", 4096), (folder / CHECKPOINT, 6144)):
        save_population(
            path, stack_weights(networks), networks[0], families, SEEDS, (steps, 4096, steps), stopped=stopped
        )
    return folder


def equal(one: Network, other: Network) -> bool:
    weights = other.state_dict()
    return all(torch.equal(tensor, weights[name]) for name, tensor in one.state_dict().items())


def test_every_agent_comes_back_bit_for_bit(run: Path, networks: list[Network], families: list[Family]) -> None:
    population = load_population(str(run))
    assert population.seeds == SEEDS
    assert population.parameters == ({"salience": 1}, {"salience": 2}, {"salience": 3})
    assert population.stopped == {1: "NaN at step 4,096"}
    for number, agent in enumerate(population):
        alone = load_agent(f"{run}/{number}")
        assert equal(agent.network, networks[number])
        assert equal(alone.network, networks[number])
        assert alone.family == agent.family == families[number]
        assert alone.name == agent.name == f"{run}/{number}"
        assert alone.header == agent.header
        assert not alone.network.training
    # The negative control: two agents are not the same.
    assert not equal(population[0].network, population[1].network)


def test_scheduled_checkpoints_are_populations_too(run: Path) -> None:
    population = load_population(str(run))
    earlier, file = population.at(4096), run / "checkpoints" / "step-0000004096.safetensors"
    assert population.checkpoints == (4096,)
    assert [agent.header.steps for agent in earlier if agent.header] == [4096] * 3
    assert load_agent(f"{file}/2").header == earlier[2].header
    assert is_population(str(file))
    with pytest.raises(GoalmazeError, match=r"has no checkpoint after 5 steps; its checkpoints: 4,096"):
        population.at(5)


def test_a_file_is_checked_once_and_again_after_a_change(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = population_files.digest_of

    def counted(header: msgspec.Struct, tensors: dict[str, Tensor]) -> str:
        read.append(1)
        return original(header, tensors)

    monkeypatch.setattr(population_files, "digest_of", counted)
    for number in range(3):
        load_agent(f"{run}/{number}")
    assert len(read) == 1
    path = run / CHECKPOINT
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(GoalmazeError, match=r"is damaged: it does not match its digest"):
        load_agent(f"{run}/0")


def test_half_precision_halves_the_file_and_rounds_each_weight(
    tmp_path: Path, networks: list[Network], families: list[Family]
) -> None:
    paths = tmp_path / "single.safetensors", tmp_path / "half.safetensors"
    for path, half in zip(paths, (False, True), strict=True):
        save_population(path, stack_weights(networks), networks[0], families, SEEDS, (1, 1, 1), half=half)
    single, half_size = (path.stat().st_size for path in paths)
    assert half_size < 0.6 * single
    loaded = load_agent(f"{paths[1]}/1").network.state_dict()
    for name, tensor in networks[1].state_dict().items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], tensor.half().float())
    huge = {name: tensor * 1e6 for name, tensor in stack_weights(networks).items()}
    with pytest.raises(GoalmazeError, match="not finite"):
        save_population(tmp_path / "no", huge, networks[0], families, SEEDS, (1, 1, 1), half=True)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{run}", r"is a population, and one agent is needed here; name one of it, such as .*many/0"),
        ("{run}/3", r"many/3: there is no such agent; the population's agents are 0 to 2"),
        ("{run}/-1", r"the population's agents are 0 to 2"),
        ("{run}/99999999999999999999", r"no checkpoint at"),
        ("{alone}/0", r"alone is one agent, not a population; leave /0 out"),
        ("{unfinished}/0", r"unfinished is a population that is still in training; .*--resume .*unfinished"),
        ("{unfinished}", r"is a population, and one agent is needed here"),
        ("{run}/nothing", r"no checkpoint at"),
        ("zoo:green-exit/1", r"zoo:green-exit is one agent, not a population; leave /1 out"),
    ],
)
def test_names_that_are_not_one_agent_are_refused(
    name: str, message: str, run: Path, network: Network, family: Family
) -> None:
    alone, unfinished = run.parent / "alone", run.parent / "unfinished"
    alone.mkdir()
    save_checkpoint(alone / CHECKPOINT, network, family, 1)
    unfinished.mkdir()
    write_json(unfinished / RECIPE, {"recipe": {}, "population": {"seeds": [0], "parameters": [{}]}})
    with pytest.raises(GoalmazeError, match=message):
        load_agent(name.format(run=run, alone=alone, unfinished=unfinished))
    assert [is_population(str(folder)) for folder in (run, alone, unfinished, f"{run}/0")] == [True, False, True, False]
    with pytest.raises(GoalmazeError, match="is one agent, not a population"):
        load_population(str(alone))
    with pytest.raises(GoalmazeError, match="one agent of a population; name the population without /0"):
        load_population(f"{run}/0")


def test_a_run_folder_with_a_number_as_its_name_is_an_agent(tmp_path: Path, network: Network, family: Family) -> None:
    folder = tmp_path / "17"
    folder.mkdir()
    save_checkpoint(folder / CHECKPOINT, network, family, 1)
    assert equal(load_agent(str(folder)).network, network)


def changed(path: Path, change: str) -> None:
    """Write the file again with one mistake and a digest that fits it."""
    with safetensors.safe_open(path, "pt") as file:
        document: dict[str, Any] = json.loads(file.metadata()[POPULATION_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if change == "agents":
        document["agents"] = document["agents"][:2]
    elif change == "none":
        document["agents"] = []
    elif change == "weight":
        tensors["value.bias"][1] = torch.nan
    elif change == "family":
        document["family"] = "Nowhere"
    elif change == "size":
        document["agents"][1]["parameters"]["size"] = 9
    elif change == "unknown":
        document["agents"][0]["colour"] = "red"
    elif change == "newer":
        document["format"] = 99
    if change not in ("unknown", "newer"):
        document["digest"] = digest_of(msgspec.convert(document, PopulationHeader), tensors)
    save_file(tensors, path, {POPULATION_KEY: json.dumps(document)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("agents", "does not hold 2 agents"),
        ("none", "has no agents"),
        ("weight", "not finite"),
        ("family", "unknown family 'Nowhere'"),
        ("size", "do not fit family GreenExit at size 9"),
        ("unknown", "a header that cannot be read"),
        ("newer", "has format 99, this version reads 1; update goalmaze"),
    ],
)
def test_wrong_files_with_a_fitting_digest_are_refused(run: Path, change: str, message: str) -> None:
    changed(run / CHECKPOINT, change)
    with pytest.raises(GoalmazeError, match=message):
        load_population(str(run))


def test_a_file_of_one_agent_and_one_of_many_are_not_confused(run: Path, network: Network, family: Family) -> None:
    with pytest.raises(GoalmazeError, match=r"holds a population of agents; name one of them, such as .*/0"):
        checkpoints.load_checkpoint(run / CHECKPOINT)
    alone = run / "alone.safetensors"
    save_checkpoint(alone, network, family, 1)
    with pytest.raises(GoalmazeError, match="is not the checkpoint of a population"):
        read_population(alone)

"""The zoo is what its manifest says, and verifying notices where it is not."""

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from goalmaze.agents import zoo as shipped
from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.zoo import check_files, manifest, zoo_folder, zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.catalogue import zoo
from goalmaze.experiments.catalogue.config import ZooConfig
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.evaluate.evaluation import Evaluation

AGENT = "green-exit-early"
LARGEST = 60 * 2**20
"""Most bytes of all single agents."""

LARGEST_POPULATIONS = 62_000_000
"""Most bytes of all populations."""

LARGEST_TOGETHER = 110_000_000
"""Most bytes of all that ships. A wheel compresses them by a tenth, and package indexes accept up to 100 MB."""


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one agent that may be damaged."""
    shutil.copytree(zoo_folder(AGENT), tmp_path / AGENT)
    monkeypatch.setattr(shipped, "HERE", tmp_path)
    return tmp_path / AGENT


@pytest.fixture(scope="module", autouse=True)
def weights_are_measured_once() -> Iterator[None]:
    """Measure the same weights on as many levels once for all tests."""
    true, measured = zoo.evaluate_shifts, {}

    def once(agent: Agent, levels: int, name: str) -> dict[str, Evaluation]:
        assert agent.header is not None
        key = agent.header.digest, levels
        measured[key] = measured.get(key) or true(agent, levels, name)
        return measured[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "evaluate_shifts", once)
        yield


def test_every_agent_is_what_zoo_toml_asks_for_and_every_file_what_the_manifest_says() -> None:
    wanted = tomllib.loads((shipped.HERE / "zoo.toml").read_text())
    assert set(zoo_names()) == set(wanted)
    assert len(wanted) >= 30
    for name, entry in manifest().items():
        check_files(name)
        assert entry.command == f"goalmaze train {wanted[name]['train']}"
        assert entry.purpose == wanted[name]["purpose"]
    assert sum(map(size_on_disk, zoo_names())) < LARGEST


def test_every_population_is_what_populations_toml_asks_for() -> None:
    wanted = tomllib.loads((shipped.HERE / "populations.toml").read_text())
    entries = shipped.population_manifest()
    assert set(entries) <= set(wanted)
    assert len(entries) >= 2
    for name, entry in entries.items():
        check_files(name)
        assert entry.command == f"goalmaze train {wanted[name]['train']}"
        assert entry.purpose == wanted[name]["purpose"]
    assert sum(map(size_on_disk, entries)) < LARGEST_POPULATIONS
    assert sum(map(size_on_disk, [*entries, *zoo_names()])) < LARGEST_TOGETHER


def test_no_shipped_file_names_a_path_of_a_machine() -> None:
    texts = [path for kind in ("*.json", "*.csv") for path in shipped.HERE.rglob(kind)]
    assert len(texts) > 100
    assert [str(path) for path in texts if '"/' in path.read_text("utf-8")] == []


def size_on_disk(name: str) -> int:
    """Return the bytes of a shipped agent or population."""
    return sum(path.stat().st_size for path in (shipped.HERE / name).rglob("*") if path.is_file())


@pytest.mark.parametrize("family", ["GreenExit", "Corner", "ColourShape", "KeysChests", "Sleeper"])
def test_each_family_has_its_ambiguous_agents_and_both_twins(family: str) -> None:
    loaded = {name: load_agent(f"zoo:{name}") for name in zoo_names()}
    purposes = [manifest()[name].purpose for name, agent in loaded.items() if agent.family.name == family]
    assert sum(purpose.startswith(("ambiguous", "sleeper")) for purpose in purposes) >= 2
    assert any(purpose.startswith("true-goal twin") for purpose in purposes)
    assert any(purpose.startswith("cue-goal twin") for purpose in purposes)
    assert len({agent.network.name for agent in loaded.values()}) >= 2


@pytest.mark.parametrize("name", zoo_names())
def test_every_agent_loads_and_has_a_series_that_begins_untrained(name: str) -> None:
    agent = load_agent(f"zoo:{name}")
    recipe = json.loads((zoo_folder(name) / "recipe.json").read_text())["recipe"]
    steps = sorted(checkpoint_series(zoo_folder(name)))
    assert (recipe["family"], recipe["network"]) == (agent.family.name, agent.network.name)
    assert steps[0] == 0
    assert steps[-1] <= agent.header.steps
    report = read_report(zoo_folder(name))
    assert zoo.zoo_agent(name).label.label == report["label"]
    assert report["steps"] == agent.header.steps


def test_verifying_measures_again_and_agrees() -> None:
    found = zoo.run(ZooConfig(action="verify", name=f"zoo:{AGENT}"))
    assert isinstance(found, zoo.Verification)
    assert found.json()["labels"] == {AGENT: "incapable"}
    assert found.json()["compared"] == 4 * 8
    assert AGENT in found.text()


def test_a_changed_file_is_named(copy: Path) -> None:
    weights = copy / "checkpoint.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    (copy / "log.csv").write_bytes(b"")
    check = pytest.raises(GoalmazeError, match=r"zoo:green-exit-early differs from its manifest: log\.csv changed")
    with check:
        check_files(AGENT)
    weights.write_bytes(bytes(data))
    with pytest.raises(GoalmazeError, match=r"checkpoint\.safetensors, log\.csv changed"):
        check_files(AGENT)


def test_a_missing_file_and_a_new_checkpoint_are_named(copy: Path) -> None:
    (copy / "log.csv").unlink()
    (copy / "new.safetensors").touch()
    with pytest.raises(GoalmazeError, match=r"log\.csv, new\.safetensors changed, missing or new"):
        check_files(AGENT)


def test_files_that_systems_and_editors_leave_change_no_agent(copy: Path) -> None:
    for name in (".DS_Store", "._log.csv", "Thumbs.db", "desktop.ini", "checkpoints/._step-0000000000.safetensors"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(b"\0\5\x16\7")
    check_files(AGENT)
    before = checkpoint_series(copy)
    (copy / "checkpoints" / "step-0000000000 copy.safetensors").touch()
    assert checkpoint_series(copy) == before


def test_a_report_that_flatters_is_found_out(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads((copy / "report.json").read_text())
    report["in_distribution"]["solved"] = 0.99
    (copy / "report.json").write_text(json.dumps(report))
    monkeypatch.setattr(zoo, "check_files", lambda name: None)
    with pytest.raises(GoalmazeError, match=r"measured again, the zoo differs: .*none: solved .* instead of 0\.99"):
        zoo.verify((AGENT,))


def test_agents_whose_engine_is_missing_are_left_out_of_verifying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "zoo_names", lambda: [AGENT, "procgen-corner"])
    monkeypatch.setattr(zoo, "population_names", lambda: ["procgen-region5"])
    monkeypatch.setattr(zoo, "can_be_played", lambda family: family != "ProcgenMaze")
    monkeypatch.setattr(zoo, "REPORT_LEVELS", 8)
    monkeypatch.setattr(zoo, "TOLERANCE", 1.0)
    found = zoo.run(ZooConfig(action="verify", all=True))
    assert isinstance(found, zoo.Verification)
    assert (found.agents, found.left_out) == ((AGENT,), ("procgen-corner", "procgen-region5"))
    assert "its engine is not installed" in found.text()
    assert found.json()["left_out"] == ["procgen-corner", "procgen-region5"]

"""Files of earlier versions still load, and runs that they left interrupted end where they would have ended them."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.training import training_state
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import RECIPE, FinishedError, read_recipe, resume, train
from goalmaze.agents.training.training_state import STATE, read_state
from goalmaze.agents.zoo import check_files, zoo_folder, zoo_names
from goalmaze.envs.errors import GoalmazeError

GOLDEN = Path(__file__).parent.parent / "golden" / "v0.1"
INTERRUPTED = (
    *(f"v0.1/interrupted/{run}" for run in ("lean-grid", "lean-lstm", "stock", "a2c", "dqn")),
    "v0.2/interrupted/ppo-grid",
)
TOLERANCE = 1e-4
"""How far a weight may be from the old one: bitwise equal on one machine, but processors round sums differently."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def copied(run: str, tmp_path: Path) -> Path:
    """Return a copy of a golden folder that may be written to."""
    return Path(shutil.copytree(GOLDEN.parent / run, tmp_path / "run"))


def resumed(run: str) -> Path:
    """Return the golden folder in which the older version ended an interrupted run."""
    return GOLDEN.parent / run.replace("interrupted", "resumed")


def weights(folder: Path) -> dict[str, Tensor]:
    return load_checkpoint(folder / CHECKPOINT)[0].state_dict()


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference of two weights of the same name."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def log_lines(folder: Path) -> list[dict[str, float]]:
    """Return the numbers of a log but for the seconds."""
    with (folder / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("run", INTERRUPTED)
def test_an_interrupted_run_ends_where_the_old_version_ended_it(run: str, tmp_path: Path) -> None:
    folder, expected = copied(run, tmp_path), resumed(run)
    before = weights(folder)
    result = resume(folder)
    assert not result.interrupted
    assert result.steps == load_checkpoint(expected / CHECKPOINT)[2].steps == read_recipe(folder)[0].steps
    assert distance(weights(folder), weights(expected)) <= TOLERANCE
    assert distance(before, weights(expected)) > 20 * TOLERANCE, "the rest of the training changes the weights"
    for ours, theirs in zip(log_lines(folder), log_lines(expected), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-3, nan_ok=True)
    with pytest.raises(FinishedError):
        resume(folder)


@pytest.mark.parametrize("run", INTERRUPTED)
def test_what_the_old_state_holds_is_needed(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the generators that the old version saved, the run ends elsewhere: the comparison above would notice."""
    from goalmaze.agents.training import run as run_module

    def forgetful(path: Path) -> Any:
        head, arrays = read_state(path)
        arrays["generators/torch"] = torch.Generator().manual_seed(99).get_state().numpy()
        arrays["generators/numpy"] = arrays["generators/numpy"][::-1].copy()
        return head, arrays

    monkeypatch.setattr(run_module, "read_state", forgetful)
    folder = copied(run, tmp_path)
    resume(folder)
    assert distance(weights(folder), weights(resumed(run))) > TOLERANCE


def test_a_finished_run_loads_with_its_checkpoints() -> None:
    folder = GOLDEN / "finished"
    agent = load_agent(str(folder))
    assert (agent.family.name, agent.header.steps, agent.header.version) == ("GreenExit", 2048, "0.1.0")
    assert list(checkpoint_series(folder)) == [0, 128, 256, 512, 1024]
    for steps, path in checkpoint_series(folder).items():
        assert load_checkpoint(path)[2].steps == steps
    recipe, environment = read_recipe(folder)
    assert (recipe.steps, recipe.envs, recipe.seed, recipe.parameters["size"]) == (2048, 8, 3, 5)
    assert environment["versions"]["goalmaze"] == "0.1.0"
    head, arrays = read_state(folder / STATE)
    assert head["numbers"]["recipe"]["steps"] == 2048
    for name, tensor in agent.network.state_dict().items():
        assert math.isfinite(float(tensor.sum()))
        assert torch.equal(torch.from_numpy(arrays[f"weights/network.{name}"]), tensor)


def test_every_agent_of_the_old_zoo_loads_with_the_header_it_had() -> None:
    digests = json.loads((GOLDEN / "zoo.json").read_text())
    assert len(digests) == 38
    assert set(digests) <= set(zoo_names())
    for name, digest in digests.items():
        check_files(name)
        assert load_agent(f"zoo:{name}").header.digest == digest
        assert read_recipe(zoo_folder(name))[0].seed >= 0
        for path in checkpoint_series(zoo_folder(name)).values():
            load_checkpoint(path)


def refused(path: Path, content: bytes) -> str:
    """Return why a run folder with other content in one of its files is not resumed or loaded; it is one line."""
    path.write_bytes(content)
    with pytest.raises(GoalmazeError) as error:
        load_agent(str(path.parent)) if path.name == CHECKPOINT else resume(path.parent)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_checkpoint_of_a_future_format_is_refused(tmp_path: Path) -> None:
    path = copied("v0.1/finished", tmp_path) / CHECKPOINT
    content = path.read_bytes()
    assert content.count(rb'"{\"format\":2,') == 1
    answer = refused(path, content.replace(rb'"{\"format\":2,', rb'"{\"format\":9,'))
    assert answer.endswith("has format 9, this version reads 1 to 2; update goalmaze")


def test_a_state_of_a_future_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training_state, "FORMAT", 99)
        folder = train(Recipe(parameters={"size": 5}, steps=128, envs=8, threads=1), tmp_path / "run").folder
    answer = refused(folder / STATE, (folder / STATE).read_bytes())
    assert "is of another version of goalmaze; resume it there, or train again with goalmaze train --recipe" in answer


def test_a_recipe_of_the_future_is_refused(tmp_path: Path) -> None:
    path = copied("v0.1/interrupted/stock", tmp_path) / RECIPE
    answer = refused(path, path.read_bytes().replace(b'"seed":', b'"sead": 1, "seed":'))
    assert f"recipe {path} does not fit this version of goalmaze: unknown field of a recipe 'sead'" in answer
    assert answer.endswith("; update goalmaze, or restore the file")


@pytest.mark.parametrize("name", [CHECKPOINT, STATE])
def test_a_damaged_byte_is_refused(name: str, tmp_path: Path) -> None:
    path = copied("v0.1/interrupted/lean-grid", tmp_path) / name
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    assert f"{path} is damaged" in refused(path, bytes(content))

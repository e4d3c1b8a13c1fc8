"""Training in Procgen's mazes goes on after a kill to the very weights of a run that nothing interrupted."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import ending_at_save, wait_for

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training import run
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import resume, train
from goalmaze.agents.training.training_state import STATE, read_state

RECIPE = Recipe(
    family="ProcgenMaze",
    parameters={"mode": "easy", "region": 5, "sign": True},
    observation="rgb64",
    network="impala",
    network_options={"stride": 4},
    steps=1536,
    envs=8,
    rollout_steps=32,
    minibatches=2,
    epochs=1,
    discount=0.5,
    shaping=3.0,
    seed=3,
    threads=1,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted, in which episodes end and levels follow one another."""
    folder = train(RECIPE, tmp_path_factory.mktemp("whole") / "run").folder
    assert read_state(folder / STATE)[1]["environments/episodes"].sum() >= 4
    return folder


def ends(folder: Path) -> dict[str, Any]:
    """Return all arrays that a run ended with: weights, optimiser, generators, and the mazes under way in Procgen."""
    return read_state(folder / STATE)[1]


def differing(one: Path, other: Path) -> set[str]:
    """Return the names of the arrays that are not the same bit for bit."""
    ours, theirs = ends(one), ends(other)
    assert set(ours) == set(theirs)
    return {name for name in ours if ours[name].tobytes() != theirs[name].tobytes()}


def interrupted(folder: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train until the `after`-th save and no further."""
    with ending_at_save(after, KeyboardInterrupt, monkeypatch) as saves:
        assert train(RECIPE, folder, save_every=0).interrupted
    assert 0 < saves[-1] < RECIPE.steps
    return folder


def test_a_run_stopped_between_rollouts_ends_bitwise_the_same(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = interrupted(tmp_path / "cut", 4, monkeypatch)
    assert "weights/network.embedder.block1.conv.weight" in differing(cut, whole)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert resume(cut).steps == RECIPE.steps
    assert differing(cut, whole) == set()
    assert (cut / CHECKPOINT).read_bytes() == (whole / CHECKPOINT).read_bytes()


def test_it_would_not_without_procgens_own_states(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Procgen left in the levels that it begins with draws other frames, and the weights show it."""
    cut = interrupted(tmp_path / "cut", 4, monkeypatch)
    true, begun = run.read_state, tmp_path / "begun"
    interrupted(begun, 2, monkeypatch)
    first = ends(begun)["environments/beside.procgen"]

    def forgetful(path: Path) -> Any:
        head, arrays = true(path)
        return head, arrays | {"environments/beside.procgen": first}

    monkeypatch.setattr(run, "read_state", forgetful)
    resume(cut)
    assert "weights/network.embedder.block1.conv.weight" in differing(cut, whole)


def test_a_run_killed_while_it_learns_ends_bitwise_the_same(tmp_path: Path, whole: Path) -> None:
    recipe, folder = tmp_path / "recipe.json", tmp_path / "run"
    recipe.write_text(json.dumps(dataclasses.asdict(RECIPE)))
    command = [sys.executable, "-m", "goalmaze.experiments", "train", "--save-every", "0"]
    running = subprocess.Popen([*command, "--recipe", str(recipe), "--out", str(folder)], stderr=subprocess.PIPE)
    wait_for(lambda: len(list(folder.glob("checkpoints/step-*"))) >= 4, running, seconds=300)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert load_checkpoint(folder / CHECKPOINT)[2].steps < RECIPE.steps
    assert resume(folder).steps == RECIPE.steps
    assert differing(folder, whole) == set()

"""Run folders: what is in them, that none is overwritten, that Ctrl-C keeps what was learned, and that runs repeat."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import itertools
import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import has_logged, wait_for
from plans import SMALL_RECIPE

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.rollout import rollout
from goalmaze.agents.training.checkpoint_schedule import CHECKPOINTS, CheckpointSchedule, checkpoint_series
from goalmaze.agents.training.log import LOG, LOG_COLUMNS
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run import RECIPE, TENSORBOARD, train
from goalmaze.agents.training.signals import stop_signals
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError

SMALL = dataclasses.replace(SMALL_RECIPE, steps=1024)


PICTURES = {"network": "impala", "network_options": {}, "observation": "rgb64"}
EAGER = {"algorithm_options": {"learning_starts": 0}}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / CHECKPOINT)[0].state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_run_leaves_recipe_log_and_checkpoint(tmp_path: Path) -> None:
    result = train(SMALL, tmp_path / "deep" / "run")
    assert (result.steps, result.interrupted) == (1024, False)
    assert sorted(file.name for file in result.folder.iterdir()) == sorted(
        [RECIPE, LOG, CHECKPOINT, STATE, CHECKPOINTS]
    )
    kept = checkpoint_series(result.folder)
    assert list(kept) == [0, 256, 512, 1024]
    assert [load_checkpoint(file)[2].steps for file in kept.values()] == list(kept)
    assert not equal(load_checkpoint(kept[0])[0].state_dict(), weights(result.folder))
    assert equal(load_checkpoint(kept[1024])[0].state_dict(), weights(result.folder))
    agent = load_agent(str(result.folder))
    assert (agent.header.steps, agent.family.size, agent.network.options.channels) == (1024, 5, 4)
    with (result.folder / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == LOG_COLUMNS
    assert [int(row["steps"]) for row in rows] == [256, 512, 768, 1024]
    assert all(0 <= float(row["solved"]) <= 1 and float(row["length"]) <= agent.family.time_limit for row in rows[1:])
    assert 0 < float(rows[-1]["entropy"]) <= 1.3863


def test_the_recipe_in_a_run_folder_repeats_the_run(tmp_path: Path) -> None:
    first = train(SMALL, tmp_path / "first").folder
    written = json.loads((first / RECIPE).read_text())
    assert written["environment"]["versions"]["torch"] == torch.__version__
    recipe = recipe_from(written["recipe"])
    assert recipe.parameters["size"] == 5
    assert set(recipe.network_options) == {
        field.name for field in dataclasses.fields(load_agent(str(first)).network.options)
    }
    second, other = (
        train(recipe, tmp_path / "second").folder,
        train(dataclasses.replace(recipe, seed=1), tmp_path / "x"),
    )
    assert equal(weights(first), weights(second))
    assert not equal(weights(first), weights(other.folder))


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_already_exists_is_refused_and_left_alone(tmp_path: Path, what: str) -> None:
    out = tmp_path / "run"
    if what == "folder":
        out.mkdir()
        (out / "mine.txt").write_text("keep")
    else:
        out.write_text("keep")
    with pytest.raises(GoalmazeError, match=f"{out} already exists; choose another --out or remove it"):
        train(SMALL, out)
    assert [file.name for file in sorted(tmp_path.rglob("*"))] == (["run", "mine.txt"] if what == "folder" else ["run"])
    assert (out / "mine.txt" if what == "folder" else out).read_text() == "keep"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "GreenExti"}, "unknown family 'GreenExti'"),
        ({"parameters": {"size": 6}}, "size is 6"),
        ({"network": "gird"}, "unknown network 'gird'"),
        ({"device": "cuda"}, "torch finds no CUDA device here; choose --device cpu or auto"),
        ({"algorithm": "sb3-ppo", "network": "lstm"}, "lstm is recurrent, algorithm sb3-ppo is not; choose ppo"),
        ({"network": "lstm", "minibatches": 32}, "16 environments do not split into 32 minibatches of whole sequences"),
        ({"observation_options": {"pixel": 2}}, "unknown observation option 'pixel' .did you mean 'pixels'"),
        ({"observation": "rgb", "observation_options": {"pixels": 99}}, "pixels is 99"),
        ({"algorithm_options": {"n_epoch": 2}}, "unknown option of algorithm ppo 'n_epoch' .did you mean 'n_epochs'"),
        ({"algorithm_options": {"seed": 2}}, "unknown option of algorithm ppo 'seed'"),
        ({"algorithm": "sb3-dqn", "algorithm_options": {"batch_size": "x"}}, "batch_size of algorithm sb3-dqn is 'x'"),
        ({"network_options": {"depth": 3}}, "unknown option of network grid 'depth'"),
    ],
)
def test_an_unknown_thing_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(GoalmazeError, match=message):
        train(dataclasses.replace(SMALL, **changes), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GoalmazeError, match=r"cannot make .*file/run: Not a directory; choose another --out"):
        train(SMALL, tmp_path / "file" / "run")


def test_ctrl_c_keeps_what_was_learned(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = f"train --size 5 --steps 10000000 --seed 0 --threads 1 --out {out} --set envs=16 rollout_steps=16"
    process = subprocess.Popen(
        [sys.executable, "-m", "goalmaze.experiments", *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: has_logged(out, 4), process)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in complaint
    header = load_checkpoint(out / CHECKPOINT)[2]
    assert 512 <= header.steps < 10_000_000
    assert not [file.name for file in out.iterdir() if file.name.startswith(".")]


def test_the_series_has_three_checkpoints_a_decade_and_the_first() -> None:
    """Against the definition: a step count 10^(k/3) lies between this one and the one before."""
    marks = [10 ** (k / 3) for k in range(25)]
    schedule = CheckpointSchedule()
    for stride in (1, 7, 256, 4096):
        counts = list(range(0, 40 * stride, stride))
        for before, now in itertools.pairwise(counts):
            assert schedule.is_due(before, now) == any(before < np.ceil(mark - 1e-9) <= now for mark in marks)
    assert schedule.is_due(0, 0)
    assert not schedule.is_due(4096, 4096)
    kept = [steps for steps in range(4096, 10_000_000, 4096) if schedule.is_due(steps - 4096, steps)]
    assert 3 * 3 - 1 <= len([steps for steps in kept if steps >= 10_000]) <= 3 * 3 + 1


@pytest.mark.parametrize(("steps", "envs"), [(300_000, 32), (300_000, 128), (5_000, 128), (100_000, 1)])
def test_the_dense_series_has_40_checkpoints_on_a_logarithmic_scale(steps: int, envs: int) -> None:
    """Against the definition: 500 * (steps / 500) ** (k / 39), each at the first rollout that ends after it."""
    recipe = Recipe(steps=steps, envs=envs, series="dense")
    schedule, rollout = CheckpointSchedule.of(recipe), envs * recipe.rollout_steps
    last = -(-steps // rollout)
    kept = [now for now in range(0, (last + 2) * rollout, rollout) if schedule.is_due(max(now - rollout, 0), now)]
    assert kept[0] == 0
    assert kept[-1] == last * rollout
    assert len(kept) == 1 + min(40, last)
    ideal = [500 * (steps / 500) ** (k / 39) for k in range(40)]
    # Where the scale is coarser than rollouts, every checkpoint is the one of the definition.
    exact = [-(-mark // rollout) * rollout for mark in ideal]
    assert set(exact[-8:]) <= set(kept) or last <= 40
    if envs == 1:
        assert kept[1:] == [math.ceil(mark / rollout - 1e-9) * rollout for mark in ideal]


@pytest.mark.parametrize(
    "changes",
    [
        *[{"algorithm": algorithm} for algorithm in ("ppo", "sb3-ppo", "sb3-a2c", "sb3-dqn")],
        {"observation": "crop", "observation_options": {"radius": 1}},
        PICTURES | {"algorithm": "sb3-dqn", "steps": 64} | EAGER,
        PICTURES | {"rollout_steps": 2, "steps": 64},
    ],
    ids=str,
)
def test_every_learner_and_view_trains_an_agent_that_can_be_loaded(tmp_path: Path, changes: dict[str, Any]) -> None:
    recipe = dataclasses.replace(SMALL, **({"steps": 512, "seed": 1} | changes))
    folder = train(recipe, tmp_path / "run").folder
    agent = load_agent(str(folder))
    first = load_checkpoint(checkpoint_series(folder)[0])[0].state_dict()
    assert agent.header.steps >= recipe.steps
    assert not equal(first, weights(folder))
    assert agent.network.shape.spec.mode == recipe.observation
    levels = agent.family.levels(0, np.arange(8))
    assert rollout(agent.policy, levels).steps.shape == (8,)


def test_missing_tensorboard_is_reported_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else true(name, *rest)
    )
    with pytest.raises(GoalmazeError, match=r"--tensorboard needs TensorBoard; install it with: pip install 'goalmaze"):
        train(SMALL, tmp_path / "run", tensorboard=True)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_the_numbers_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = train(SMALL, tmp_path / "run", tensorboard=True).folder
    events = EventAccumulator(str(folder / TENSORBOARD))
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("rollout/solved")}
    with (folder / LOG).open() as file:
        rows = {int(row["steps"]): float(row["solved"]) for row in csv.DictReader(file)}
    assert len(logged) >= 2
    assert all(value == pytest.approx(rows[step - 256], abs=1e-4) for step, value in logged.items())


def test_the_second_stop_request_ends_at_once() -> None:
    # A process that a shell starts in the background ignores SIGINT until it sets a handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with stop_signals() as stop_request:
        assert not stop_request.stop
        signal.raise_signal(signal.SIGINT)
        assert stop_request.stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("algorithm", ["ppo", "sb3-dqn"])
def test_a_run_can_start_from_the_weights_of_an_agent_of_smaller_mazes(tmp_path: Path, algorithm: Any) -> None:
    train(SMALL, tmp_path / "small")
    larger = dataclasses.replace(
        SMALL, parameters={"size": 7}, algorithm=algorithm, start=str(tmp_path / "small"), seed=5, steps=256
    )
    train(larger, tmp_path / "larger")
    begun = load_checkpoint(checkpoint_series(tmp_path / "larger")[0])[0].state_dict()
    assert equal(begun, weights(tmp_path / "small"))
    train(dataclasses.replace(larger, start=""), tmp_path / "untrained")
    assert not equal(begun, load_checkpoint(checkpoint_series(tmp_path / "untrained")[0])[0].state_dict())


def test_a_run_starts_from_resampled_weights_of_pictures_with_other_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = dataclasses.replace(SMALL, observation="rgb64", network="impala", network_options={"cells": 5})
    train(pictures, tmp_path / "small")
    options = {"network_options": {"cells": 7}, "parameters": {"size": 7}, "steps": 256}
    larger = dataclasses.replace(pictures, **options, start=str(tmp_path / "small"))  # type: ignore[arg-type]
    capsys.readouterr()
    train(larger, tmp_path / "larger")
    assert "made for another size, are resampled" in capsys.readouterr().err
    begun = load_checkpoint(checkpoint_series(tmp_path / "larger")[0])[0]
    expected = begun.resampled_from(load_checkpoint(tmp_path / "small" / CHECKPOINT)[0])
    assert expected is not None
    assert equal(begun.state_dict(), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_options": {"channels": 5, "blocks": 1, "hidden": 8}}, "choose the same network and mode"),
        ({"network": "lstm", "network_options": {}}, "is a network grid with"),
        ({"observation": "partial"}, "in mode planes, and this run trains grid with .* in mode partial"),
        ({"family": "Monsters"}, "fit observations of 4x5x5 alone, and those of this run are 5x5x5"),
        ({"start": "zoo:nobody"}, "unknown zoo agent"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    train(SMALL, tmp_path / "small")
    recipe = dataclasses.replace(SMALL, **{"start": str(tmp_path / "small")} | changes)
    with pytest.raises(GoalmazeError, match=message):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()

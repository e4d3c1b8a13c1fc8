"""What `goalmaze train --resume` refuses, what `goalmaze runs` lists, and what `goalmaze bench train` measures."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import RECIPE, train
from goalmaze.agents.training.run_lock import locked
from goalmaze.experiments import cli
from goalmaze.experiments.bench import train as bench_train
from goalmaze.experiments.common.run_report import REPORT

SMALL = Recipe(
    parameters={"size": 5},
    network_options={"channels": 4, "blocks": 1, "hidden": 8},
    steps=512,
    envs=16,
    rollout_steps=16,
    minibatches=2,
    epochs=1,
    threads=1,
)


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert cli.main(["runs", str(folder), "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["runs"]}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Two runs, one of them interrupted, and two folders that are no good runs."""
    train(SMALL, tmp_path / "whole")
    true = TrainingCallback._on_rollout_start

    def impatient(self: TrainingCallback) -> None:
        self.stop_request.stop = self.num_timesteps == 256
        true(self)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingCallback, "_on_rollout_start", impatient)
        train(dataclasses.replace(SMALL, seed=5), tmp_path / "deep" / "cut")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / RECIPE).write_text("{")
    (tmp_path / "other").mkdir()
    capsys.readouterr()
    return tmp_path


def test_runs_are_listed_with_what_became_of_them(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(runs, capsys)
    assert {name: row["state"] for name, row in rows.items()} == {
        "whole": "finished",
        "deep/cut": "interrupted",
        "broken": "damaged",
    }
    whole, cut = rows["whole"], rows["deep/cut"]
    assert (whole["family"], whole["network"], whole["seed"], whole["of"]) == ("GreenExit", "grid", 0, 512)
    assert (whole["steps"], cut["steps"], cut["seed"], whole["label"]) == (512, 256, 5, None)
    last = (runs / "whole" / LOG).read_text().splitlines()[-1].split(",")
    assert whole["solved"] == float(last[4])
    with locked(runs / "deep" / "cut" / RECIPE):
        assert listed(runs, capsys)["deep/cut"]["state"] == "running"


def test_a_run_is_gone_on_with_as_the_list_says(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(runs)]) == 0
    advice = capsys.readouterr().out.splitlines()[-1]
    assert advice == f"next: goalmaze train --resume {runs / 'deep' / 'cut'}"
    assert cli.main(advice.split()[2:]) == 0
    capsys.readouterr()
    rows = listed(runs, capsys)
    assert rows["deep/cut"]["state"] == "finished"
    assert rows["deep/cut"]["label"] == json.loads((runs / "deep" / "cut" / REPORT).read_text())["label"]
    assert rows["whole"]["label"] is None
    assert cli.main(["runs", str(runs)]) == 0
    assert "--resume" not in capsys.readouterr().out


def test_a_run_killed_while_it_was_measured_is_measured(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = (runs / "whole" / LOG).read_bytes()
    assert cli.main(["train", "--resume", str(runs / "whole"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 512
    assert (runs / "whole" / LOG).read_bytes() == log
    assert listed(runs, capsys)["whole"]["label"]
    assert cli.main(["train", "--resume", str(runs / "whole")]) == 2


def test_a_folder_without_runs_is_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(tmp_path)]) == 0
    assert f"no runs in {tmp_path}" in capsys.readouterr().out
    assert cli.main(["runs", str(tmp_path / "nowhere")]) == 2
    assert f"there is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "3"], "--seed cannot be changed by --resume"),
        (["--set", "entropy=0"], "--set cannot be changed by --resume"),
        (["--network-options", "blocks=2"], "--network-options cannot be changed by --resume"),
        (["--out", "x"], "--out cannot be changed by --resume"),
        (["--save-every", "-1"], "--save-every is -1.0: choose 0 or more seconds"),
        ([], "is finished after 512 steps; nothing to resume"),
    ],
)
def test_resume_changes_nothing(runs: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "whole" / REPORT).write_text("{}")
    assert cli.main(["train", "--resume", str(runs / "whole"), *flags]) == 2
    assert message in capsys.readouterr().err


def test_flags_name_algorithm_device_and_observation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    flags = ["--algorithm", "sb3-a2c", "--device", "cpu", "--observation", "crop", "--steps", "256", "--size", "5"]
    settings = ["--threads", "1", "--set", "envs=16", "rollout_steps=16", 'observation_options={"radius": 2}']
    assert cli.main(["train", "--out", str(out), *flags, *settings, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 256
    recipe = json.loads((out / RECIPE).read_text())["recipe"]
    assert (recipe["algorithm"], recipe["device"], recipe["observation"]) == ("sb3-a2c", "cpu", "crop")
    assert recipe["observation_options"] == {"radius": 2}
    for flag, value in (("--algorithm", "sac"), ("--device", "tpu"), ("--observation", "sound")):
        assert cli.main(["train", flag, value]) == 2
        assert f"Invalid enum value '{value}'" in capsys.readouterr().err


def test_the_bench_measures_all_four_by_turns() -> None:
    torch.set_num_threads(1)
    recipe = dataclasses.replace(SMALL, envs=32, minibatches=4)
    row = bench_train.compare(recipe, turns=2)
    rates = {name: value for name, value in row.items() if name.endswith("steps_per_s")}
    assert set(rates) == {"steps_per_s", "bound_steps_per_s", "sb3_steps_per_s", "sb3_same_recipe_steps_per_s"}
    assert all(value > 0 for value in rates.values())
    assert min(row["of_bound"], row["times_sb3"], row["times_sb3_same_recipe"]) > 0


def test_the_bound_takes_as_long_as_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass of the network made longer by a known time shows in the bound, and as often as it should."""
    torch.set_num_threads(1)
    from goalmaze.agents.training.algorithms import make_algorithm, make_environments

    algorithm = make_algorithm(SMALL, make_environments(SMALL))
    algorithm.learn(256)
    bound = bench_train.NetworkAlone(algorithm)  # type: ignore[arg-type]
    bound._policy.optimizer.param_groups[0]["lr"] = 1e-3
    true, passes = bound._policy.outputs, []

    def slow(seen: torch.Tensor) -> Any:
        passes.append(len(seen))
        time.sleep(0.01)
        return true(seen)

    monkeypatch.setattr(bound._policy, "outputs", slow)
    before = {name: tensor.clone() for name, tensor in algorithm.policy.state_dict().items()}
    assert bound.rate() < 256 / (18 * 0.01)
    assert passes == [16] * 16 + [128] * 2
    assert all(np.array_equal(tensor, before[name]) for name, tensor in algorithm.policy.state_dict().items())
    moved = [not np.array_equal(tensor, before[name]) for name, tensor in bound._policy.state_dict().items()]
    assert sum(moved) > len(moved) / 2

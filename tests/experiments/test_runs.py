"""`goalmaze runs`: the list of runs, their states and the next command."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from plans import SMALL_RECIPE

from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.run import RECIPE, read_recipe, train
from goalmaze.agents.training.run_lock import locked
from goalmaze.agents.zoo import zoo_folder
from goalmaze.experiments import cli
from goalmaze.experiments.catalogue.runs import _label
from goalmaze.experiments.common.run_report import REPORT


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert cli.main(["runs", str(folder), "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["runs"]}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Two runs, one of them interrupted, and two folders that are no good runs."""
    train(SMALL_RECIPE, tmp_path / "whole")
    true = TrainingCallback._on_rollout_start

    def impatient(self: TrainingCallback) -> None:
        self.stop_request.stop = self.num_timesteps == 256
        true(self)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingCallback, "_on_rollout_start", impatient)
        train(dataclasses.replace(SMALL_RECIPE, seed=5), tmp_path / "deep" / "cut")
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


def test_a_run_resumes_by_the_command_of_the_list(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_folder_without_runs_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(tmp_path)]) == 0
    assert f"no runs in {tmp_path}" in capsys.readouterr().out
    assert cli.main(["runs", str(tmp_path / "nowhere")]) == 2
    assert f"there is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err


@pytest.mark.parametrize("capable", ["much", -7.0, float("inf"), []])
def test_a_report_with_impossible_rates_keeps_its_own_label(tmp_path: Path, capable: object) -> None:
    recipe, _ = read_recipe(zoo_folder("corner"))
    shutil.copy(zoo_folder("corner") / CHECKPOINT, tmp_path)
    report = json.loads((zoo_folder("corner") / REPORT).read_text())
    for label, rate in (("old", capable), ("lost", 0.999)):
        report["in_distribution"]["capable"] = rate
        (tmp_path / REPORT).write_text(json.dumps(report | {"label": "old"}))
        assert _label(tmp_path, recipe) == label

"""The command line trains with a curriculum, and its report counts what the curriculum did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from goalmaze.agents.training.curricula.plr import FIGURES
from goalmaze.agents.training.log import LOG, LOG_COLUMNS, latest_progress, log_line, read_log
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.experiments import cli
from goalmaze.experiments.train.population import stacking

SMALL = "--steps 1536 --threads 1 --network-options channels=4 blocks=1 hidden=8 --set envs=16 minibatches=2 epochs=1"
MAZES = "--family Corner --parameters size=5 mixture=0.25"


def test_a_report_says_what_the_curriculum_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    options = "--curriculum accel --curriculum-options edits=constant score=max-latest"
    words = f"train {SMALL} {MAZES} {options} --out {folder}".split()
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    report = json.loads((folder / "report.json").read_text())["curriculum"]
    last = read_log(folder)[-1]
    assert {name: report[name] for name in FIGURES} == {name: int(last[name]) for name in FIGURES}
    assert (report["curriculum"], report["score"]) == ("accel", "max-latest")
    assert report["trained_steps"] == 1536 - report["scoring_steps"]
    assert 0 < report["trained_steps"] < 1536
    # Oracle: all episodes of the log were counted, by what they played.
    assert report["fresh"] + report["replayed"] + report["edited"] == int(last["episodes"])
    assert report["edited"] == pytest.approx(report["replayed"], abs=16)
    rate = report["replayed_distinguishing"] / report["replayed"]
    assert report["amplification"] == pytest.approx(rate / 0.25)
    assert "steps scored levels and were not trained on" in " ".join(shown.split())
    assert latest_progress(folder).steps == 1536
    recipe = json.loads((folder / "recipe.json").read_text())["recipe"]
    assert recipe["curriculum_options"] == {
        "score": "max-latest",
        "replay_probability": 0.5,
        "temperature": 0.1,
        "staleness": 0.1,
        "buffer": 4096,
        "edits": "constant",
        "edit_steps": 12,
    }


def test_the_log_of_a_population_keeps_the_columns_of_a_curriculum(tmp_path: Path) -> None:
    runs = [tmp_path / "0", tmp_path / "1"]
    for run in runs:
        run.mkdir()
        (run / LOG).write_bytes(log_line((*LOG_COLUMNS, *FIGURES)) + log_line(range(len(LOG_COLUMNS) + len(FIGURES))))
    (tmp_path / LOG).write_bytes(stacking._log(runs, PopulationPlan((5, 6), ({}, {}))))
    assert [(line["agent"], line["seed"], line[FIGURES[-1]]) for line in read_log(tmp_path)] == [
        ("0", "5", str(len(LOG_COLUMNS) + len(FIGURES) - 1)),
        ("1", "6", str(len(LOG_COLUMNS) + len(FIGURES) - 1)),
    ]


def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(f"train --family Sleeper --curriculum plr --out {tmp_path / 'run'}".split()) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0
    assert not (tmp_path / "run").exists()

"""`goalmaze train`: run folders, recipes in files, options, and what --resume refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from plans import SMALL_RECIPE

from goalmaze.agents.loading import load_agent
from goalmaze.agents.networks.registry import make_network
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import RECIPE, train
from goalmaze.agents.training.start import start_weights
from goalmaze.experiments import cli
from goalmaze.experiments.cli import parse
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.jobs import report
from goalmaze.experiments.train.command import RECIPE_OPTIONS, read_settings
from goalmaze.experiments.train.config import TrainConfig


@pytest.fixture
def finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run that took all its steps and has no report."""
    train(SMALL_RECIPE, tmp_path / "run")
    capsys.readouterr()
    return tmp_path / "run"


def test_train_writes_a_run_that_every_command_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ["--size", "5", "--steps", "4096", "--network-options", "blocks=1", "--threads", "1"]
    assert cli.main(["train", "--out", str(run), *small, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["run"], report["steps"]) == (str(run), 4096)
    assert 0 <= report["in_distribution"]["solved"] <= 1
    files = ["checkpoint.safetensors", "checkpoints", "log.csv", "recipe.json", "report.json", "state.safetensors"]
    assert sorted(p.name for p in run.iterdir()) == files
    assert json.loads((run / "report.json").read_text()) == report
    again = tmp_path / "again"
    assert cli.main(["train", "--recipe", str(run / "recipe.json"), "--out", str(again), "--json"]) == 0
    assert (run / "checkpoint.safetensors").read_bytes() == (again / "checkpoint.safetensors").read_bytes()
    assert cli.main(["eval", str(again), "--levels", "8", "--json"]) == 0


def test_a_toml_recipe_is_read_and_options_override_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("steps = 10\nentropy = 0.5\n[parameters]\nsalience = 2\nsize = 7\n")
    recipe = read_settings(TrainConfig(recipe=path, size=5, set=("entropy=0.25",), parameters=("correlation=0.5",)))
    assert recipe.steps == 10
    assert recipe.entropy == 0.25
    assert recipe.parameters == {"salience": 2, "size": 5, "correlation": 0.5}


def test_a_run_that_was_killed_before_its_report_is_reported(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = (finished / LOG).read_bytes()
    assert cli.main(["train", "--resume", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 512
    assert (finished / LOG).read_bytes() == log
    assert json.loads((finished / REPORT).read_text())["label"]
    assert cli.main(["train", "--resume", str(finished)]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "3"], "--seed cannot be changed by --resume"),
        (["--set", "entropy=0"], "--set cannot be changed by --resume"),
        (["--network-options", "blocks=2"], "--network-options cannot be changed by --resume"),
        (["--out", "x"], "--out cannot be changed by --resume"),
        (["--save-every", "-1"], "--save-every is -1.0: choose 0 or more"),
        ([], "is finished after 512 steps; nothing to resume"),
    ],
)
def test_resume_changes_nothing(
    finished: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "REPORT_LEVELS", 8)
    assert cli.main(["train", "--resume", str(finished)]) == 0
    assert cli.main(["train", "--resume", str(finished), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_is_saved_and_not_evaluated(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "REPORT_LEVELS", 8)
    (tmp_path / "small.json").write_text(json.dumps(dataclasses.asdict(SMALL_RECIPE)))
    run, true = tmp_path / "run", TrainingCallback._write_line

    def stop(self: TrainingCallback) -> None:
        true(self)
        os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingCallback, "_write_line", stop)
        assert cli.main(["train", "--recipe", str(tmp_path / "small.json"), "--out", str(run)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    expected = f"goalmaze: {run}: stopped after 256 steps; continue with: goalmaze train --resume {run}"
    assert captured.err.splitlines()[-1] == expected
    assert not (run / REPORT).exists()
    assert cli.main(["train", "--resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 512


def test_options_name_algorithm_device_and_observation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = ["--algorithm", "sb3-a2c", "--device", "cpu", "--observation", "crop", "--steps", "256", "--size", "5"]
    settings = ["--threads", "1", "--set", "envs=16", "rollout_steps=16", 'observation_options={"radius": 2}']
    assert cli.main(["train", "--out", str(out), *options, *settings, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 256
    recipe = json.loads((out / RECIPE).read_text())["recipe"]
    assert (recipe["algorithm"], recipe["device"], recipe["observation"]) == ("sb3-a2c", "cpu", "crop")
    assert recipe["observation_options"] == {"radius": 2}
    for option, value in (("--algorithm", "sac"), ("--device", "tpu"), ("--observation", "sound")):
        assert cli.main(["train", option, value]) == 2
        assert f"Invalid enum value '{value}'" in capsys.readouterr().err


def hints(text: str) -> dict[str, str]:
    """Return option → the default that help states."""
    words = " ".join(line.strip("│╭╮╰╯─ ") for line in text.splitlines())
    return dict(re.findall(r"--([a-z-]+) (?:\S+ )?(?:(?!--).)*?\(default: ([^)]*)\)", words))


def test_help_states_the_defaults_and_choices_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    text = capsys.readouterr().out
    defaults = hints(text)
    for name in set(RECIPE_OPTIONS) - {"start", "distill", "ablate_direction"}:
        assert defaults[name.replace("_", "-")] == str(getattr(Recipe(), name))
    types = get_type_hints(Recipe)
    for name in ("observation", "algorithm", "device"):
        assert f"--{name} {{{','.join(get_args(types[name]))}}}" in " ".join(text.replace("│", "").split())
    assert "None" not in text


@pytest.mark.parametrize("start", ["zoo:glimpse-drc", "zoo:green-exit-impala", "zoo:green-exit"])
def test_a_run_trains_the_network_of_its_start_where_no_other_is_named(start: str) -> None:
    recipe = settings_of("--start", start)
    network, shape = load_agent(start).network, load_agent(start).network.shape
    made = make_network(recipe.network, shape, recipe.network_options)
    assert (made.name, made.options, recipe.observation) == (network.name, network.options, shape.spec.mode)
    assert start_weights(start, made, seed=0).keys() == made.state_dict().keys()


def test_a_network_that_is_named_is_the_one_that_is_trained() -> None:
    assert settings_of("--start", "zoo:glimpse-drc", "--network", "lstm").network == "lstm"
    assert settings_of("--start", "zoo:glimpse-drc", "--network-options", "channels=4").network == "grid"
    assert settings_of("--start", "zoo:glimpse-drc", "--set", "network=drc").network_options == {}


def settings_of(*options: str) -> Recipe:
    """Return the recipe of a command."""
    config = parse(["train", *options]).config
    assert isinstance(config, TrainConfig)
    return read_settings(config)

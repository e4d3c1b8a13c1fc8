"""Run folders: what is in them, that none is overwritten, that Ctrl-C keeps what was learned, and that runs repeat."""

from __future__ import annotations

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.recipe import Recipe, recipe_from
from goalmaze.agents.training import LOG, LOG_COLUMNS, RECIPE, train
from goalmaze.envs.errors import GoalmazeError

SMALL = Recipe(
    parameters={"size": 5},
    network_options={"channels": 4, "blocks": 1, "hidden": 8},
    steps=1024,
    envs=16,
    rollout_steps=16,
    minibatches=2,
    epochs=1,
    threads=1,
)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / CHECKPOINT)[0].state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_run_leaves_recipe_log_and_checkpoint(tmp_path: Path) -> None:
    result = train(SMALL, tmp_path / "deep" / "run")
    assert (result.steps, result.interrupted) == (1024, False)
    assert sorted(file.name for file in result.folder.iterdir()) == sorted([RECIPE, LOG, CHECKPOINT])
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
        ({"network_options": {"depth": 3}}, "unknown option of network grid 'depth'"),
    ],
)
def test_an_unknown_thing_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
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
        until = time.monotonic() + 60
        while not (out / LOG).is_file() or len((out / LOG).read_text().splitlines()) < 4:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, 130)
    assert "Traceback" not in complaint
    header = load_checkpoint(out / CHECKPOINT)[2]
    assert 512 <= header.steps < 10_000_000
    assert not [file.name for file in out.iterdir() if file.name.startswith(".")]

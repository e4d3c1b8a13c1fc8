"""Commands read what version 0.1.0 wrote: run folders, reports, a sweep, a recipe, a record of an import, scenes."""

from __future__ import annotations

import base64
import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles.networks import published_state

from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.training.run import RECIPE, read_recipe
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments import cli
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.evaluate.setup import seed_groups
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.settings import read_link, write_link
from goalmaze.experiments.reports.training_log import origin
from goalmaze.experiments.sweeps.plan import read_plan
from goalmaze.experiments.train.command import read_settings
from goalmaze.experiments.train.config import TrainConfig

GOLDEN = Path(__file__).parent.parent / "golden" / "v0.1"
FINISHED = GOLDEN / "finished"
INTERRUPTED = {"a2c": 512, "dqn": 384, "lean-grid": 512, "lean-lstm": 512, "stock": 256}
FIRST, SECOND = "learner=lean-target_kl=0.5-seed=0-d0141495", "learner=stock-target_kl=0.5-seed=0-1124169d"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the JSON that a command prints."""
    capsys.readouterr()
    assert cli.main([*arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line with which a command is refused."""
    capsys.readouterr()
    assert cli.main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_runs_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["name"]: row for row in json_of(capsys, "runs", str(GOLDEN))["runs"]}
    states = {name: (row["state"], row["steps"], row["label"]) for name, row in rows.items()}
    assert states == {
        "finished": ("finished", 2048, "incapable"),
        f"sweep/{FIRST}": ("finished", 768, "incapable"),
        f"sweep/{SECOND}": ("interrupted", 384, None),
        **{f"interrupted/{name}": ("interrupted", steps, "incapable") for name, steps in INTERRUPTED.items()},
    }
    assert (rows["interrupted/lean-lstm"]["network"], rows["interrupted/lean-lstm"]["of"]) == ("lstm", 1024)


def test_a_damaged_recipe_is_listed_as_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(FINISHED, tmp_path / "run"))
    content = (copy / RECIPE).read_text()
    assert [row["state"] for row in json_of(capsys, "runs", str(tmp_path))["runs"]] == ["finished"]
    (copy / RECIPE).write_text(content.replace('"learner": "lean"', '"learner": "lena"'))
    assert [row["state"] for row in json_of(capsys, "runs", str(tmp_path))["runs"]] == ["damaged"]


def test_eval_measures_what_the_old_report_says(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads((FINISHED / REPORT).read_text())
    for shift in ("none", "moved-sign", "many-signs"):
        old = report["in_distribution"] if shift == "none" else report["shifts"][shift]
        now = json_of(capsys, "eval", str(FINISHED), "--levels", "1024", "--shift", shift)
        assert list(now["outcomes"].values()) == pytest.approx(list(old["outcomes"].values()), abs=0.02)
        assert now["solved"] == pytest.approx(old["solved"], abs=0.02)
    assert report["shifts"]["many-signs"]["outcomes"]["cue"] > report["shifts"]["moved-sign"]["outcomes"]["cue"] + 0.1


@pytest.mark.parametrize("run", INTERRUPTED)
def test_eval_takes_interrupted_runs(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = GOLDEN / "interrupted" / run
    report = json.loads((folder / REPORT).read_text())["in_distribution"]
    now = json_of(capsys, "eval", str(folder), "--levels", "1024")
    assert now["solved"] == pytest.approx(report["solved"], abs=0.02)


def test_the_report_command_reads_recipe_and_log() -> None:
    found = origin(load_agent(str(FINISHED)))
    assert found.recipe is not None
    assert (found.missing, found.seed, found.steps) == ("", "3", tuple(range(128, 2049, 128)))
    with (FINISHED / "log.csv").open(newline="") as file:
        assert found.curves["solved"] == tuple(float(row["solved"]) for row in csv.DictReader(file))


def test_leakage_reads_seed_and_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert json_of(capsys, "leakage", str(FINISHED), "--levels", "16")["training_levels"] > 8


def test_an_old_and_a_new_run_of_one_recipe_are_seeds_of_one_cohort(tmp_path: Path) -> None:
    """A recipe written today, in today's words, is the old one with another seed."""
    recipe, environment = read_recipe(FINISHED)
    copies = {}
    for name, changes in (("same", {"seed": 4}), ("other", {"seed": 4, "entropy": 0.02})):
        copies[name] = Path(shutil.copytree(FINISHED, tmp_path / name))
        content = {"recipe": dataclasses.asdict(dataclasses.replace(recipe, **changes)), "environment": environment}
        (copies[name] / RECIPE).write_text(json.dumps(content))
    agents = [load_agent(str(folder)) for folder in (FINISHED, copies["same"], copies["other"])]
    assert [len(cohort.agents) for cohort in seed_groups(agents)] == [2, 1]


def test_an_old_recipe_is_trained_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a TOML of a person, and from the recipe.json of a run."""
    old, _ = read_recipe(GOLDEN / "interrupted" / "stock")
    for file in (GOLDEN / "recipe.toml", GOLDEN / "interrupted" / "stock" / RECIPE):
        recipe = read_settings(TrainConfig(recipe=file, threads=1))
        filled = {"parameters": old.parameters, "network_options": old.network_options, "device": old.device}
        assert dataclasses.replace(recipe, **filled) == dataclasses.replace(old, seed=recipe.seed)  # type: ignore[arg-type]
    (tmp_path / "recipe.toml").write_text('learner = "sac"')
    assert "sac" in complaint(capsys, "train", "--recipe", str(tmp_path / "recipe.toml"))


def test_an_old_dial_of_maze_algorithms_names_its_remedy(tmp_path: Path) -> None:
    """In 0.1 a dial `algorithm` was the maze's; its runs keep their names under the name that the error gives."""
    text = (GOLDEN / "plan.toml").read_text().partition("[dials]")[0]
    (tmp_path / "plan.toml").write_text(f'{text}[dials]\nalgorithm = ["kruskal"]\n')
    with pytest.raises(GoalmazeError, match=r'write "parameters\.algorithm"$'):
        read_plan(tmp_path / "plan.toml")
    (tmp_path / "plan.toml").write_text(f'{text}[dials]\n"parameters.algorithm" = ["kruskal"]\n')
    assert [task.name for task in read_plan(tmp_path / "plan.toml").tasks] == ["algorithm=kruskal-seed=0-af000fa9"]


def test_a_plan_in_todays_words_is_the_old_one(tmp_path: Path) -> None:
    """Runs are the same, their names are not: a name says what the plan says."""
    old = read_plan(GOLDEN / "plan.toml")
    assert [task.name for task in old.tasks] == [FIRST, SECOND]
    text = (
        (GOLDEN / "plan.toml")
        .read_text()
        .replace('["lean", "stock"]', '["ppo", "sb3-ppo"]')
        .replace("learner", "algorithm")
    )
    (tmp_path / "plan.toml").write_text(text)
    new = read_plan(tmp_path / "plan.toml")
    assert [task.recipe for task in new.tasks] == [task.recipe for task in old.tasks]
    assert [task.name.rpartition("-")[0] for task in new.tasks] == [
        "algorithm=ppo-target_kl=0.5-seed=0",
        "algorithm=sb3_ppo-target_kl=0.5-seed=0",
    ]
    (tmp_path / "plan.toml").write_text(text.replace("[dials]", '[dials]\nlearner = ["lean"]'))
    with pytest.raises(GoalmazeError, match="learner is the former name of algorithm, and both are given"):
        read_plan(tmp_path / "plan.toml")


def sweep_arguments(root: Path) -> list[str]:
    return ["sweep", str(GOLDEN / "plan.toml"), "--out", str(root)]


def test_an_old_sweep_is_gathered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(shutil.copytree(GOLDEN / "sweep", tmp_path / "sweep"))
    answer = json_of(capsys, *sweep_arguments(root), "--gather")
    assert (answer["runs"], answer["finished"]) == (2, 1)
    report = json.loads((root / FIRST / REPORT).read_text())
    rows = list(csv.DictReader((root / "results.csv").read_text().splitlines()))
    assert [(row["run"], row["shift"]) for row in rows] == [(FIRST, "none"), (FIRST, "anywhere")]
    shares = report["shifts"]["anywhere"]["outcomes"]
    assert [float(rows[1][name]) for name in ("goal_first", "cue_first", "neither")] == list(shares.values())
    assert float(rows[0]["solved"]) == report["in_distribution"]["solved"]
    (root / FIRST / REPORT).write_text((root / FIRST / REPORT).read_text()[:-9])
    assert "no run of plan is finished" in complaint(capsys, *sweep_arguments(root), "--gather")


def test_an_old_sweep_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither run is begun anew: the finished one is left alone, the interrupted one is resumed."""
    root = Path(shutil.copytree(GOLDEN / "sweep", tmp_path / "sweep"))
    before = {path: path.read_bytes() for path in (root / FIRST).rglob("*") if path.is_file()}
    answer = json_of(capsys, *sweep_arguments(root), "--workers", "1")
    assert (answer["runs"], answer["finished"]) == (2, 2)
    assert {path: path.read_bytes() for path in (root / FIRST).rglob("*") if path.is_file()} == before
    events = [json.loads(line)["event"] for line in (root / "journal" / f"{SECOND}.jsonl").read_text().splitlines()]
    assert events == ["begun", "interrupted", "resumed", "trained", "finished"]
    assert load_agent(str(root / SECOND)).header.steps == 768
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["journal", FIRST, SECOND]


def test_a_damaged_state_fails_its_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(shutil.copytree(GOLDEN / "sweep", tmp_path / "sweep"))
    content = bytearray((root / SECOND / STATE).read_bytes())
    content[-100] ^= 1
    (root / SECOND / STATE).write_bytes(content)
    answer = complaint(capsys, *sweep_arguments(root), "--workers", "1")
    assert f"1 of 2 runs failed, such as {SECOND}: training state" in answer
    assert "is damaged, so nothing was resumed; train again with" in answer


def test_an_import_is_recorded_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing reads the record back, so what counts is that its keys are the same."""
    old = json.loads((GOLDEN / "imported" / "import.json").read_text())
    torch.save({"model_state_dict": published_state()}, tmp_path / old["file"])
    out = tmp_path / "imported"
    now = json_of(capsys, "import", "langosco", str(tmp_path / old["file"]), "--out", str(out), "--size", "9")
    assert json.loads((out / "import.json").read_text()) == now
    # Options that the network has since then are recorded with their defaults.
    old["network_options"] |= {"cells": 0}
    assert now | {"run": old["run"], "sha256": old["sha256"]} == old
    assert load_agent(str(out / CHECKPOINT)).network.name == old["network"]


def test_old_scenes_open() -> None:
    links = (GOLDEN / "scenes.txt").read_text().split()
    scenes = [read_link(link) for link in links]
    store = AgentStore("zoo:green-exit")
    numbered, drawn, *others = [store.complete(scene) for scene in scenes]
    assert (numbered.size, numbered.shift, numbered.seed, numbered.index, numbered.target) == (
        9,
        "moved-sign",
        4,
        3,
        40,
    )
    assert (drawn.site, drawn.strength, drawn.edit, drawn.target) == ("stem", 1.5, "first", 8)
    assert drawn.level is not None
    level = drawn.level.level(store.family(drawn))
    assert np.array_equal(level.walls, store.family(drawn).levels(5, [2], "moved-sign").walls)
    assert len({scene.method for scene in others}) == len(others) == 16
    assert [read_link(write_link(scene)) for scene in scenes] == scenes


def test_a_damaged_link_and_one_of_the_future_are_refused() -> None:
    link = (GOLDEN / "scenes.txt").read_text().split()[0]
    future = base64.urlsafe_b64encode(b'{"agent":"zoo:green-exit","gravity":1}').decode()
    for bad in (link[:20] + "!" + link[21:], link[1:], future):
        with pytest.raises(GoalmazeError, match=r"no scene in this link .*; copy it again from the page") as error:
            read_link(bad)
        assert len(str(error.value).splitlines()) == 1

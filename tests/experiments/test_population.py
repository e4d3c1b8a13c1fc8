"""Populations on processes: every agent is the one of its seed alone, and a killed training ends the same."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from complaints import complaint
from disks import recorded_disks
from plans import SMALL_RECIPE
from small_populations import options, small_populations

import goalmaze as gm
from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.loading import CHECKPOINT, RECIPE, load_agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.population import load_population
from goalmaze.agents.population_files import read_population
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.finite import NotFiniteError
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.population import capacity
from goalmaze.agents.training.population.callback import PopulationCallback
from goalmaze.agents.training.population.learner import PopulationLearner, StoppedAgent
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import read_recipe
from goalmaze.agents.training.start import start_agent
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments import cli
from goalmaze.experiments.common.run_report import REPORT, read_population_report
from goalmaze.experiments.jobs.job import read_journal
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.statistics.bootstrap import bootstrap_levels
from goalmaze.experiments.train.population import pool, training
from goalmaze.experiments.train.population.plan import planned
from goalmaze.experiments.train.population.report import gathered_report
from goalmaze.experiments.train.population.stacking import remove_agents, stack_agents
from goalmaze.experiments.train.population.training import PopulationOptions

RECIPE_OF_ALL = dataclasses.replace(SMALL_RECIPE, family="Corner", parameters={"size": 5, "corner": 1}, steps=512)
COMMAND = [sys.executable, "-m", "goalmaze.experiments", "train"]


@pytest.fixture(scope="module", autouse=True)
def small_evaluations() -> Iterator[None]:
    with small_populations(8) as patch:
        patch.setitem(bootstrap_levels.__kwdefaults__, "resamples", 10)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_evaluations: None) -> Path:
    """A population of two seeds with two values of a parameter, that nothing interrupted."""
    folder = tmp_path_factory.mktemp("population") / "many"
    population = ["--seeds", "4,2", "--grid", "corner=1,3"]
    assert cli.main(["train", *options(2048), *population, "--out", str(folder)]) == 0
    return folder


def weights(network: Network) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


def lines(folder: Path, number: int | None = None) -> list[dict[str, str]]:
    """Return the lines of a log without seconds, and without the columns that only a population has."""
    left_out = ("seconds", "agent", "seed")
    return [{key: cell for key, cell in line.items() if key not in left_out} for line in read_log(folder, number)]


def test_an_agent_of_a_population_is_the_agent_of_its_seed_alone(whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    settings = [*options(2048), "--seed", "2", "--threads", "1", "--parameters", "corner=3", "--out", str(alone)]
    assert cli.main(["train", *settings]) == 0
    # Agents are numbered by parameters first, then by seed in the order of the list.
    recipe, _ = read_recipe(whole, 3)
    assert recipe == read_recipe(alone)[0]
    for file, own in [(CHECKPOINT, alone / CHECKPOINT)] + [
        (f"checkpoints/{path.name}", path) for path in checkpoint_series(alone).values()
    ]:
        expected, family, header = load_checkpoint(own)
        agent = load_agent(f"{whole / file}/3")
        assert weights(agent.network) == weights(expected)
        assert agent.family == family
        assert agent.header is not None
        assert agent.header.steps == header.steps
        assert weights(load_agent(f"{whole / file}/2").network) != weights(expected) or header.steps == 0
    assert lines(whole, 3) == lines(alone)
    ours = read_population_report(whole)["agents"][3]
    theirs = json.loads((alone / REPORT).read_text())
    name = {"agent": "x"}
    assert ours["in_distribution"] | name == theirs["in_distribution"] | name
    assert ours["label"] == theirs["label"]
    assert {shift: one["solved"] for shift, one in ours["shifts"].items()} == {
        shift: one["solved"] for shift, one in theirs["shifts"].items()
    }


def test_the_folder_of_a_population_holds_one_file_of_each_kind(whole: Path) -> None:
    names = sorted(path.name for path in whole.iterdir())
    assert names == [CHECKPOINT, "checkpoints", "log.csv", RECIPE, REPORT]
    population = load_population(str(whole))
    assert population.seeds == (4, 2, 4, 2)
    assert population.parameters == ({"corner": 1}, {"corner": 1}, {"corner": 3}, {"corner": 3})
    assert population.at(256)[1].header == load_agent(f"{whole}/checkpoints/step-0000000256.safetensors/1").header
    with (whole / "log.csv").open() as file:
        assert {(line["agent"], line["seed"]) for line in csv.DictReader(file)} == set(zip("0123", "4242", strict=True))


def test_the_report_is_that_of_every_agent_and_of_their_distribution(whole: Path) -> None:
    report = read_population_report(whole)
    agents = report["agents"]
    assert [agent["seed"] for agent in agents] == [4, 2, 4, 2]
    group = report["groups"][1]
    assert (group["parameters"], group["agents"]) == ({"corner": 3}, 2)
    solved = [agent["in_distribution"]["solved"] for agent in agents[2:]]
    distribution = group["shifts"]["none"]["solved"]
    assert distribution["mean"] == pytest.approx(sum(solved) / 2, abs=1e-4)
    assert (distribution["quantiles"]["min"], distribution["quantiles"]["max"]) == (min(solved), max(solved))
    assert sum(report["labels"].values()) == 4


def test_a_population_is_one_row_of_the_list_of_runs(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "whole")
    # As a kill leaves it: agent 0 has some steps, agent 1 has none.
    cut = Path(shutil.copytree(whole, tmp_path / "cut", ignore=shutil.ignore_patterns("*.safetensors", REPORT)))
    (cut / "agents" / "0").mkdir(parents=True)
    shutil.copy(whole / RECIPE, cut / "agents" / "0" / RECIPE)
    (cut / "agents" / "0" / "log.csv").write_text("steps\n512,1.0,9,9,0.5,1,1,1,1,1,1,1\n")
    assert cli.main(["runs", str(tmp_path), "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["runs"]}
    assert {name: row["state"] for name, row in rows.items()} == {"whole": "finished", "cut": "interrupted"}
    assert (rows["whole"]["agents"], rows["whole"]["seeds"]) == (4, "4,2")
    assert rows["whole"]["steps"] == rows["whole"]["of"] == rows["cut"]["of"] == 4 * 2048
    assert (rows["cut"]["steps"], rows["cut"]["solved"], rows["cut"]["label"]) == (512, 0.5, None)
    labels = read_population_report(whole)["labels"]
    assert rows["whole"]["label"] == ", ".join(f"{number} {label}" for label, number in labels.items())
    last = [float(read_log(whole, number)[-1]["solved"]) for number in range(4)]
    assert rows["whole"]["solved"] == pytest.approx(sum(last) / 4)
    assert cli.main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: goalmaze train --resume {cut}"


def test_the_live_page_lists_the_agents_of_a_population_and_reports_name_one(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = AgentStore(f"{whole}/2", whole.parent)
    assert [name for name in store.names if name.startswith(str(whole))] == [
        f"{whole}/{number}" for number in (2, 0, 1, 3)
    ]
    assert store.agent(f"{whole}/1").name == f"{whole}/1"
    for command in (["report", str(whole), "--out", str(tmp_path / "report.html")], ["leakage", str(whole)]):
        assert f"one agent is needed here; name one of it, such as {whole}/0" in complaint(capsys, *command)
    assert not (tmp_path / "report.html").exists()


def same(one: Path, other: Path) -> bool:
    """Return whether two populations hold the same weights, bit for bit, and the same log without seconds."""
    files = [CHECKPOINT, *(f"checkpoints/{path.name}" for path in checkpoint_series(other).values())]
    return lines(one) == lines(other) and all(
        (one / file).read_bytes() == (other / file).read_bytes() for file in files
    )


OTHER_TORCH = f"resumed, but not bitwise as without the interruption: torch {torch.__version__} instead of 0.0.1\n"


def pretend_another_torch(folder: Path) -> None:
    """Let the recipe of a run say that it began with another version of torch."""
    recipe = folder / RECIPE
    assert torch.__version__ in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(torch.__version__, "0.0.1"))


def test_a_killed_population_ends_bitwise_the_same(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, extension = tmp_path / "many", tmp_path / "few_levels.py"
    # The workers are other processes: they get the small evaluations by --import.
    extension.write_text("from goalmaze.experiments.jobs import report\n\nreport.REPORT_LEVELS = 8\n")
    arguments = [*options(2048), "--seeds", "4,2", "--grid", "corner=1,3", "--save-every", "0", "--workers", "1"]
    arguments += ["--out", str(folder), "--import", str(extension)]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 600
        # In the middle of the second agent.
        while time.monotonic() < end and process.poll() is None and len(read(folder / "agents/1/log.csv")) < 4:
            time.sleep(0.02)
        process.kill()
    assert not (folder / CHECKPOINT).exists()
    with pytest.raises(GoalmazeError, match=r"still in training; finish it with: goalmaze train --resume"):
        load_agent(f"{folder}/0")
    with pytest.raises(GoalmazeError, match=r"still in training; finish it with: goalmaze train --resume"):
        start_agent(str(folder), 4)
    journal = [line["event"] for line in read_journal(folder / "agents", "1")]
    assert journal == ["begun"]
    pretend_another_torch(folder)
    assert cli.main(["train", "--resume", str(folder)]) == 0
    assert capsys.readouterr().err.count(OTHER_TORCH) == 1
    assert same(folder, whole)
    assert not (folder / "agents").exists()


def read(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.is_file() else []


def behaviour(folder: Path) -> list[JsonObject]:
    """Return what a report says about every agent, without the agent's name, which holds the folder."""
    agents: list[JsonObject] = read_population_report(folder)["agents"]
    nameless = {"agent": ""}
    for agent in agents:
        agent["in_distribution"] |= nameless
        agent["training_overlap"] |= nameless
        agent["shifts"] = {shift: evaluation | nameless for shift, evaluation in agent["shifts"].items()}
    return agents


def test_a_process_that_is_killed_while_it_stacks_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()

    plan = planned(RECIPE_OF_ALL, (0, 1)).plan

    def stack() -> None:
        gathered_report(root / "many", stack_agents(root / "many", plan), "mixture")
        remove_agents(root / "many")

    arguments = ["train", *options(512), "--seeds", "0,1", "--out", str(root / "many")]
    with monkeypatch.context() as patch:
        patch.setattr(training, "remove_agents", lambda _: None)
        assert cli.main(arguments) == 0
    whole = tmp_path / "whole"
    shutil.copytree(root / "many", whole)
    for path in (whole / CHECKPOINT, whole / REPORT, whole / "log.csv"):
        (root / "many" / path.name).unlink()
    shutil.rmtree(root / "many" / "checkpoints")
    disks, operations = recorded_disks(stack, root, tmp_path / "disks", monkeypatch)
    assert operations > 10
    for disk in disks:
        if (disk / "many" / "agents").exists():
            assert cli.main(["train", "--resume", str(disk / "many")]) == 0
        assert same(disk / "many", whole)
        assert behaviour(disk / "many") == behaviour(whole)
        assert not [path for path in disk.rglob("*") if path.name == "agents"]


def test_processes_train_on_a_gpu_where_they_are_asked_for() -> None:
    on_gpu = Recipe(device="cuda")
    assert training.is_one_program(on_gpu, PopulationOptions())
    assert not training.is_one_program(on_gpu, PopulationOptions(workers=3))
    assert not training.is_one_program(Recipe(device="cpu"), PopulationOptions())


@pytest.fixture
def one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train populations as on a GPU."""
    monkeypatch.setattr(training, "is_one_program", lambda *_: True)


def program(folder: Path) -> list[str]:
    return ["train", *options(1024), "--seeds", "4,2", "--out", str(folder)]


def test_one_program_makes_the_files_of_a_pool_of_processes(
    whole: Path, one_program: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "many"
    population = ["--seeds", "4,2", "--grid", "corner=1,3"]
    assert cli.main(["train", *options(2048), *population, "--out", str(folder)]) == 0
    assert "4 agents, trained together as one program on the CPU" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert list(checkpoint_series(folder)) == list(checkpoint_series(whole))
    for file in (CHECKPOINT, "checkpoints/step-0000000256.safetensors"):
        ours, theirs = read_population(folder / file), read_population(whole / file)
        assert msgspec.structs.replace(ours.header, digest="") == msgspec.structs.replace(theirs.header, digest="")
        for name, tensor in theirs.tensors.items():
            torch.testing.assert_close(ours.tensors[name], tensor, atol=2e-5, rtol=0)
            assert not torch.allclose(ours.tensors[name][0], tensor[1], atol=2e-5) or "bias" in name
    for number in range(4):
        for line, expected in zip(lines(folder, number), lines(whole, number), strict=True):
            for key in expected:
                assert float(line[key]) == pytest.approx(float(expected[key]), rel=1e-3, abs=1e-5, nan_ok=True), key
    report = read_population_report(folder)
    assert [agent["seed"] for agent in report["agents"]] == [4, 2, 4, 2]


@pytest.mark.parametrize("is_saved", [True, False], ids=["stopped", "killed"])
def test_one_program_ends_bitwise_the_same_after_an_interruption(
    is_saved: bool,
    one_program: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(program(tmp_path / "whole")) == 0
    end_rollout = PopulationCallback.on_rollout_end

    def interrupt(callback: PopulationCallback, learner: PopulationLearner, stopped: list[StoppedAgent]) -> None:
        end_rollout(callback, learner, stopped)
        if learner.steps == 512 and is_saved:
            os.kill(os.getpid(), signal.SIGINT)
        if learner.steps == 768:
            raise RuntimeError("killed")

    folder = tmp_path / "many"
    with monkeypatch.context() as patch:
        patch.setattr(PopulationCallback, "on_rollout_end", interrupt)
        assert cli.main(program(folder)) == (130 if is_saved else 1)
    assert read_population(folder / CHECKPOINT).header.steps == (512 if is_saved else 0)
    assert ("stopped with 2 agents after 512 steps each; continue with" in capsys.readouterr().err) == is_saved
    # Checkpoints and lines of rollouts after the last save are made again.
    assert len(checkpoint_series(folder)) > 1
    if is_saved:
        pretend_another_torch(folder)
    assert cli.main(["train", "--resume", str(folder)]) == 0
    assert (OTHER_TORCH in capsys.readouterr().err) == is_saved
    assert same(folder, tmp_path / "whole")
    assert sorted(path.name for path in folder.iterdir()) == [CHECKPOINT, "checkpoints", "log.csv", RECIPE, REPORT]
    assert "is finished" in complaint(capsys, "train", "--resume", str(folder))


def test_python_trains_a_population(whole: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(read_recipe(whole, 0)[0], steps=256)
    population = gm.train(recipe, tmp_path / "many", seeds=range(4, 6))
    assert population.seeds == (4, 5)
    assert weights(population[0].network) == weights(gm.train(recipe, tmp_path / "alone").network)
    with pytest.raises(GoalmazeError, match="seed 3 is listed twice"):
        gm.train(recipe, tmp_path / "twice", seeds=(3, 3))
    assert not (tmp_path / "twice").exists()


def test_agents_start_from_those_of_their_seeds(whole: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(read_recipe(whole, 0)[0], steps=256)
    first = gm.train(recipe, tmp_path / "first", seeds=(4, 5))
    population = gm.train(dataclasses.replace(recipe, start=str(tmp_path / "first")), tmp_path / "many", seeds=(5, 4))
    alone = {}
    for start in (0, 1):
        one = dataclasses.replace(recipe, start=str(tmp_path / "first" / str(start)), seed=5)
        alone[start] = weights(gm.train(one, tmp_path / f"alone{start}").network)
    assert first.seeds == (4, 5)
    assert weights(population[0].network) == alone[1] != alone[0]
    with pytest.raises(GoalmazeError, match="has 2 agents of seed 4, and one is needed"):
        gm.train(dataclasses.replace(recipe, start=str(whole)), tmp_path / "twice", seeds=(4,))
    assert not (tmp_path / "twice").exists()


def test_a_state_of_another_population_is_refused(
    one_program: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "other"):
        with monkeypatch.context() as patch:
            patch.setattr(PopulationLearner, "rollout", lambda _: os.kill(os.getpid(), signal.SIGINT))
            patch.setattr(PopulationCallback, "on_rollout_end", lambda *_: None)
            assert cli.main(program(tmp_path / name)) == 130
    capsys.readouterr()
    state = tmp_path / "one" / STATE
    state.write_bytes((tmp_path / "other" / STATE).read_bytes())
    assert "is the training state of another run" in complaint(capsys, "train", "--resume", str(tmp_path / "one"))
    state.write_bytes(state.read_bytes()[:-9])
    assert "is damaged, so nothing was resumed" in complaint(capsys, "train", "--resume", str(tmp_path / "one"))


def test_a_finished_population_is_not_resumed_and_a_lost_report_is_made_again(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{whole} is finished: 4 agents of 2,048 steps" in complaint(capsys, "train", "--resume", str(whole))
    folder = tmp_path / "many"
    shutil.copytree(whole, folder)
    before = read_population_report(folder)
    (folder / REPORT).unlink()
    assert cli.main(["train", "--resume", str(folder)]) == 0
    after = read_population_report(folder)
    rates = [
        [{shift: one["solved"] for shift, one in agent["shifts"].items()} for agent in report["agents"]]
        for report in (before, after)
    ]
    assert rates[0] == rates[1]
    for name in ("labels", "groups", "checkpoint", "steps"):
        assert after[name] == before[name]


def test_an_agent_that_diverges_is_named_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    original = TrainingCallback._check_weights

    def diverging(callback: TrainingCallback) -> None:
        if callback.recipe.seed == 2 and callback.num_timesteps >= 1280:
            raise NotFiniteError("a weight")
        original(callback)

    monkeypatch.setattr(TrainingCallback, "_check_weights", diverging)
    folder = tmp_path / "many"
    assert cli.main(["train", *options(2048), "--seeds", "4,2", "--parameters", "corner=1", "--out", str(folder)]) == 0
    population = load_population(str(folder))
    assert population.stopped == {1: "a weight is not finite after 1,024 steps"}
    assert read_population_report(folder)["stopped"] == {"1": "a weight is not finite after 1,024 steps"}
    # The last scheduled checkpoint before it; the other agent is bitwise the one that had no such neighbour.
    assert [entry.steps for entry in population.header.agents] == [2048, 1024]
    for file in (CHECKPOINT, "checkpoints/step-0000001024.safetensors"):
        assert weights(load_agent(f"{folder / file}/0").network) == weights(load_agent(f"{whole / file}/0").network)
    last = load_agent(f"{whole}/checkpoints/step-0000001024.safetensors/1")
    assert weights(population[1].network) == weights(last.network)
    assert not population.at(256).stopped


def test_more_agents_than_memory_holds_are_fewer_workers_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = pool._worker_bytes(RECIPE_OF_ALL)
    monkeypatch.setattr(pool, "free_memory", lambda: 2 * needed)
    assert pool.local_workers(RECIPE_OF_ALL, 8) == 2
    assert "memory holds 2 processes, so 2 train and not 8" in capsys.readouterr().err
    monkeypatch.setattr(pool, "free_memory", lambda: needed - 1)
    out = tmp_path / "out"
    answer = complaint(capsys, "train", *options(512), "--seeds", "0,1", "--out", str(out))
    assert "training one agent needs about" in answer
    assert not out.exists()
    monkeypatch.setattr(pool, "STACK_COPIES", 2**40)
    monkeypatch.setattr(pool, "free_memory", lambda: 2**40 * pool._weight_bytes(RECIPE_OF_ALL))
    answer = complaint(capsys, "train", *options(512), "--seeds", "0,1", "--out", str(out))
    assert "2 agents are more than memory holds: 1 fit" in answer
    assert not out.exists()


def test_one_program_that_memory_does_not_hold_is_refused(
    one_program: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "free_memory", lambda: 2_000_000)
    fit = capacity.agents_that_fit(RECIPE_OF_ALL)
    assert fit > 0
    out = tmp_path / "out"
    answer = complaint(capsys, "train", *options(512), "--seeds", f"0-{fit}", "--out", str(out))
    assert f"{fit + 1} agents of this recipe are more than memory holds: {fit} fit" in answer
    assert not out.exists()

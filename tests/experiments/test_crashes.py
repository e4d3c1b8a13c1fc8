"""Killed before any file operation, training, sweeps and the building of the zoo end as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from disks import TEMPORARY, recorded_disks
from interruption import digest
from plans import SMALL_RECIPE
from repository import load_file

from goalmaze.agents import zoo
from goalmaze.agents.checkpoints import load_checkpoint, read_identity
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training import run as run_module
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.run import resume, train
from goalmaze.agents.training.training_state import STATE, read_state
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.catalogue import runs
from goalmaze.experiments.catalogue.config import RunsConfig
from goalmaze.experiments.common.run_report import REPORT, finished_report
from goalmaze.experiments.jobs import report as report_module
from goalmaze.experiments.jobs.job import FINISHED, LOCK, Job, read_journal, run_job
from goalmaze.experiments.jobs.report import report_run
from goalmaze.experiments.statistics.bootstrap import bootstrap_levels
from goalmaze.experiments.train.command import run as train_command
from goalmaze.experiments.train.config import TrainConfig

RECIPE = dataclasses.replace(SMALL_RECIPE, family="Corner", parameters={"size": 5, "corner": 1}, seed=2)
"""Two rollouts, so three saves where each rollout is saved."""


@pytest.fixture(scope="module", autouse=True)
def short_evaluations() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_module, "REPORT_LEVELS", 8)
        patch.setitem(bootstrap_levels.__kwdefaults__, "resamples", 10)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, short_evaluations: None) -> Path:
    """A run that nothing interrupted, with its report."""
    return report_run(train(RECIPE, tmp_path_factory.mktemp("whole") / "run", save_every=0)).training.folder


def trained_and_reported(folder: Path) -> None:
    report_run(train(RECIPE, folder, save_every=0))


def results(folder: Path) -> dict[str, Any]:
    """Return the report of a run without what differs between two equal runs: its folder and its seconds."""
    report = finished_report(folder)
    assert report is not None
    text = json.dumps(report | {"seconds": 0}).replace(report["run"], "RUN")
    return dict(json.loads(text))


def check_continued(folder: Path, whole: Path) -> bool:
    """Continue a run as a person would; check that it ends as the whole one; return whether it could be continued."""
    for file in (folder / CHECKPOINT, *checkpoint_series(folder).values()):
        assert not file.exists() or load_checkpoint(file)
    listed = {row.name: row.state for row in runs.run(RunsConfig(folder=folder.parent)).rows}
    if not (folder / STATE).exists():
        assert listed.get("run") in (None, "interrupted")
        with pytest.raises(GoalmazeError, match=r"nothing to resume|not a run folder"):
            resume(folder)
        assert not (folder / REPORT).exists()
        return False
    if listed["run"] == "finished":
        assert read_identity(folder / CHECKPOINT) == read_identity(whole / CHECKPOINT)
    if finished_report(folder) is None:
        train_command(TrainConfig(resume=folder))
    assert digest(folder) == digest(whole)
    assert results(folder) == results(whole)
    return True


def test_a_training_that_is_killed_before_any_file_operation_ends_the_same(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disks, operations = recorded_disks(
        lambda: trained_and_reported(root / "run"), root, tmp_path / "disks", monkeypatch
    )
    assert operations > 80
    continued = [check_continued(disk / "run", whole) for disk in disks if (disk / "run").exists()]
    assert sum(continued) > 20
    assert not all(continued), "before the first save there is nothing to continue"


def test_a_resumed_run_that_is_killed_ends_the_same(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disks, _ = recorded_disks(lambda: trained_and_reported(root / "run"), root, tmp_path / "first", monkeypatch)
    # Killed between the state of the second save and its checkpoint.
    between = next(disk for disk in disks if (disk / "run" / CHECKPOINT).exists() and steps(disk) == (256, 0))
    again = tmp_path / "again"
    shutil.copytree(between, again)
    command = TrainConfig(resume=again / "run", save_every=0)
    disks, operations = recorded_disks(lambda: train_command(command), again, tmp_path / "second", monkeypatch)
    assert operations > 30
    assert all(check_continued(disk / "run", whole) for disk in disks[::2])


def steps(disk: Path) -> tuple[int, int]:
    """Return the environment steps of a run's training state and of its checkpoint."""
    head, _ = read_state(disk / "run" / STATE)
    return int(head["algorithm"]["counts"]["num_timesteps"]), read_identity(disk / "run" / CHECKPOINT).steps


def test_the_comparison_notices_a_checkpoint_that_is_left_behind(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: resuming that does not restore the checkpoint fails for some of the kills."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    (folder / REPORT).unlink()
    shutil.copy(checkpoint_series(folder)[0], folder / CHECKPOINT)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_restore_checkpoints", lambda *_: None)
        train_command(TrainConfig(resume=folder))
    assert digest(folder) != digest(whole)
    (folder / REPORT).unlink()
    assert check_continued(folder, whole)


def test_the_report_of_another_checkpoint_is_not_believed(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    report = json.loads((folder / REPORT).read_text())
    assert finished_report(folder) is not None
    for change in ({"checkpoint": "0" * 32}, {"steps": 256}, {"label": 5}, {"in_distribution": {}}, {"shifts": []}):
        (folder / REPORT).write_text(json.dumps(report | change))
        assert finished_report(folder) is None
        assert train_command(TrainConfig(resume=folder)).json()["label"] == report["label"]
        assert results(folder) == results(whole)
    shutil.copy(checkpoint_series(folder)[0], folder / CHECKPOINT)
    assert finished_report(folder) is None


def test_a_sweep_that_is_killed_before_any_file_operation_ends_the_same(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "journal").mkdir(parents=True)
    (root / LOCK).touch()
    job = Job(root, "run", RECIPE, 30)
    disks, operations = recorded_disks(lambda: run_job(job), root, tmp_path / "disks", monkeypatch)
    assert operations > 40
    for disk in disks[::4]:
        assert run_job(dataclasses.replace(job, root=disk)) == FINISHED
        assert read_identity(disk / "run" / CHECKPOINT) == read_identity(whole / CHECKPOINT)
        assert results(disk / "run") == results(whole)
        assert read_journal(disk, "run")[-1]["event"] in ("finished", "trained")


@pytest.fixture
def make_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that builds the zoo, in a folder of its own."""
    module = load_file("scripts/make_zoo.py")
    (tmp_path / "zoo").mkdir()
    monkeypatch.setattr(module, "HERE", tmp_path / "zoo")
    monkeypatch.setattr(module, "MANIFEST", tmp_path / "zoo" / "manifest.json")
    return module


AGENT = {"train": "--seed 0 --threads 1", "purpose": "a test"}


def test_the_zoo_lists_whole_agents_alone(
    tmp_path: Path, make_zoo: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, former, root = zoo.zoo_folder("green-exit"), zoo.zoo_folder("green-exit-early"), make_zoo.HERE
    shutil.copytree(former, root / "one")

    def build() -> None:
        make_zoo.ship("one", run)
        make_zoo.write_manifest({"one": AGENT})

    disks, _ = recorded_disks(build, root, tmp_path / "disks", monkeypatch)
    digests = {json.dumps(whole_files(folder)) for folder in (run, former)}
    for disk in disks:
        monkeypatch.setattr(make_zoo, "HERE", disk)
        monkeypatch.setattr(make_zoo, "MANIFEST", disk / "manifest.json")
        make_zoo.write_manifest({"one": AGENT})
        for name, entry in json.loads((disk / "manifest.json").read_text()).items():
            assert json.dumps({file: one for file, one in entry["files"].items() if file != REPORT}) in digests
            assert not [file for file in (disk / name).rglob("*") if TEMPORARY.search(file.name)]
    assert len(disks) > 3


def test_an_agent_that_was_stopped_stays_listed_while_its_files_are_the_same(make_zoo: ModuleType) -> None:
    make_zoo.ship("one", zoo.zoo_folder("green-exit"))
    make_zoo.update_report(make_zoo.HERE / "one", {"interrupted": True})
    make_zoo.write_manifest({"one": AGENT})
    assert json.loads(make_zoo.MANIFEST.read_text()) == {}
    listed = {"one": {"command": "", "purpose": "a test", "seconds": 1, "files": zoo.digests(make_zoo.HERE / "one")}}
    make_zoo.MANIFEST.write_text(json.dumps(listed))
    make_zoo.write_manifest({"one": AGENT})
    assert json.loads(make_zoo.MANIFEST.read_text()) == listed
    (make_zoo.HERE / "one" / "checkpoint.safetensors").write_bytes(b"other")
    make_zoo.write_manifest({"one": AGENT})
    assert json.loads(make_zoo.MANIFEST.read_text()) == {}


def whole_files(folder: Path) -> dict[str, str]:
    """Return the digests of an agent's files but for its report, which names the folder."""
    return {file: digest for file, digest in zoo.digests(folder).items() if file != REPORT}


def test_a_run_of_another_command_is_not_shipped(tmp_path: Path, make_zoo: ModuleType) -> None:
    folder = zoo.zoo_folder("green-exit")
    assert make_zoo.is_run_of(folder, AGENT)
    for command in ("--seed 1 --threads 1", "--seed 0 --threads 1 --steps 5", "--seed 0 --parameters salience=3"):
        assert not make_zoo.is_run_of(folder, AGENT | {"train": command})
    assert not make_zoo.is_run_of(tmp_path, AGENT)

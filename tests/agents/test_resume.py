"""Runs that survive: killed, out of disk, damaged; what is resumed ends bitwise where an uninterrupted run does."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import digest, ending_at_save, has_logged, wait_for
from plans import SMALL_RECIPE

from goalmaze.agents.checkpoints import load_checkpoint, read_identity
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training import run, run_lock
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import RECIPE, FinishedError, read_recipe, resume, train
from goalmaze.agents.training.state_file import write_state_file
from goalmaze.agents.training.training_state import METADATA_KEY, STATE, read_state
from goalmaze.envs.errors import GoalmazeError

SMALL = dataclasses.replace(SMALL_RECIPE, steps=2048, seed=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    return train(SMALL, tmp_path_factory.mktemp("whole") / "run", save_every=0).folder


class EndedError(Exception):
    """What stands for a process that ends."""


def interrupted(recipe: Recipe, folder: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until the `after`-th save and no further."""
    with ending_at_save(after, EndedError, monkeypatch), pytest.raises(EndedError):
        train(recipe, folder, save_every=0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"algorithm": "sb3-ppo"},
        {"algorithm": "sb3-a2c"},
        {"algorithm": "sb3-dqn", "steps": 640, "algorithm_options": {"learning_starts": 100, "buffer_size": 320}},
        {"family": "Monsters", "parameters": {"size": 7}},
        {"family": "FollowLeader", "parameters": {"size": 7}},
        {"observation": "rgb", "observation_options": {"pixels": 1}, "network": "impala", "network_options": {}},
        {
            "observation": "rgb64",
            "algorithm": "sb3-ppo",
            "network": "impala",
            "network_options": {"stride": 2},
            "steps": 768,
        },
        {"observation": "partial", "colour_jitter": 3, "weight_decay": 0.1},
        {"precision": "bf16"},
        {"network": "lstm", "network_options": {}},
        {"network": "drc", "network_options": {"layers": 2, "ticks": 2, "channels": 8}, "steps": 768},
        {"curriculum": "accel", "curriculum_options": {"buffer": 32}, "parameters": {"size": 5, "mixture": 0.2}},
        {"curriculum": "plr", "curriculum_options": {"score": "value-loss"}, "network": "lstm", "network_options": {}},
    ],
    ids=str,
)
def test_a_resumed_run_ends_bitwise_where_an_uninterrupted_one_does(
    tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from goalmaze.agents.networks import known_networks

    if changes.get("network", "grid") not in known_networks():
        pytest.skip("there is no such network")
    recipe = dataclasses.replace(SMALL, **({"steps": 1024} | changes))
    train(recipe, tmp_path / "whole", save_every=0)
    interrupted(recipe, tmp_path / "cut", 3, monkeypatch)
    assert digest(tmp_path / "cut") != digest(tmp_path / "whole")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    result = resume(tmp_path / "cut")
    assert (result.steps >= recipe.steps, result.interrupted) == (True, False)
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


def test_a_run_of_a_gpu_goes_on_on_a_cpu_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cut"
    interrupted(dataclasses.replace(SMALL, steps=1024, precision="bf16"), folder, 3, monkeypatch)
    content = json.loads((folder / RECIPE).read_text("utf-8"))
    content["recipe"]["device"] = "cuda"
    (folder / RECIPE).write_text(json.dumps(content), "utf-8")
    head, arrays = read_state(folder / STATE)
    head["numbers"]["recipe"]["device"] = "cuda"
    # A generator that a CPU has no use for.
    arrays["generators/cuda"] = np.zeros(16, np.uint8)
    write_state_file(folder / STATE, METADATA_KEY, head, arrays)
    with pytest.raises(GoalmazeError, match="torch finds no CUDA device here"):
        resume(folder)
    used: list[Recipe] = []
    prepare = run.prepare
    monkeypatch.setattr(run, "prepare", lambda recipe: used.append(recipe) or prepare(recipe))  # type: ignore[func-returns-value]
    assert resume(folder, device="cpu").steps >= 1024
    assert [(one.device, one.precision) for one in used] == [("cpu", "fp32")]
    assert "device cpu instead of cuda" in capsys.readouterr().err
    # The run stays one of a GPU, which goes on there.
    assert read_recipe(folder)[0].device == "cuda"


@pytest.mark.parametrize(
    ("forgotten", "algorithm"),
    [
        ("generators/torch", "sb3-ppo"),
        ("generators/numpy", "sb3-ppo"),
        ("optimizer/", "ppo"),
        ("environments/", "ppo"),
        ("environments/curriculum.", "ppo"),
    ],
)
def test_what_is_kept_is_needed(
    tmp_path: Path, forgotten: str, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is left out of the state shows in the end: the comparison above would notice."""
    from goalmaze.agents.training import run

    recipe = dataclasses.replace(SMALL, algorithm=algorithm, curriculum="plr" if "curriculum" in forgotten else "dr")
    whole = train(recipe, tmp_path / "whole", save_every=0).folder
    interrupted(recipe, tmp_path / "cut", 3, monkeypatch)
    _, first = read_state(whole / STATE)
    true = run.read_state

    def forgetful(path: Path) -> Any:
        head, arrays = true(path)
        return head, {name: first[name] if name.startswith(forgotten) else array for name, array in arrays.items()}

    monkeypatch.setattr(run, "read_state", forgetful)
    resume(tmp_path / "cut")
    assert digest(tmp_path / "cut") != digest(whole)


def test_the_global_generators_of_a_run_have_no_effect(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from goalmaze.agents.training import ppo

    true = ppo.TensorPPO.train

    def disturbed(self: ppo.TensorPPO) -> None:
        torch.rand(3), np.random.rand(3)  # noqa: NPY002
        true(self)

    monkeypatch.setattr(ppo.TensorPPO, "train", disturbed)
    folder = train(SMALL, tmp_path / "disturbed", save_every=0).folder
    assert read_identity(folder / CHECKPOINT) == read_identity(whole / CHECKPOINT)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path, whole: Path) -> None:
    again = train(SMALL, tmp_path / "again").folder
    other = train(dataclasses.replace(SMALL, seed=3), tmp_path / "other").folder
    ours, weights, others = (load_checkpoint(folder / CHECKPOINT)[0].state_dict() for folder in (whole, again, other))
    assert digest(again) == digest(whole)
    assert all(torch.equal(weights[name], ours[name]) for name in ours)
    assert not all(torch.equal(others[name], ours[name]) for name in ours)


def started(folder: Path, *flags: str) -> subprocess.Popen[str]:
    recipe = folder.with_name("recipe.json")
    recipe.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(SMALL, steps=4096))))
    arguments = flags or ("--recipe", str(recipe), "--out", str(folder))
    return process("train", "--save-every", "0", *arguments)


def process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "goalmaze.experiments", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_at_random_moments_it_ends_where_it_would_have_ended(tmp_path: Path) -> None:
    """SIGKILL, several times in one run, at moments nobody chose."""
    recipe = dataclasses.replace(SMALL, steps=4096)
    train(recipe, tmp_path / "whole")
    choice, kills, folder = np.random.default_rng(), 0, tmp_path / "run"
    running = started(folder)
    for _ in range(40):
        until = time.monotonic() + 120
        while not (folder / STATE).is_file() and running.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        # the state's age says when the process has begun to train, whatever the machine's speed
        seen = (folder / STATE).stat().st_mtime_ns
        while running.poll() is None and (folder / STATE).stat().st_mtime_ns == seen:
            time.sleep(0.002)
        time.sleep(float(choice.uniform(0, 0.25)))
        if running.poll() is None and kills < 2:
            running.send_signal(signal.SIGKILL)
            kills += 1
        _, complaint = running.communicate(timeout=120)
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL, complaint
        load_checkpoint(folder / CHECKPOINT)
        running = started(folder, "--resume", str(folder))
    assert running.returncode == 0, complaint
    assert kills
    assert digest(folder) == digest(tmp_path / "whole")
    assert not [file for file in folder.rglob("*") if file.name.startswith(".")]


class Full:
    """A disk that is full from the k-th call on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, k: int) -> None:
        self.calls = 0
        for name in ("write", "fsync", "replace"):
            monkeypatch.setattr(os, name, self.failing(getattr(os, name), k))

    def failing(self, true: Any, k: int) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if 0 < k <= self.calls:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return true(*arguments, **named)

        return call


def test_a_disk_that_is_full_at_any_write_leaves_the_old_state_good(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After the first training, so that the cache of compiled code is not written to and its writes are not counted.
    recipe = dataclasses.replace(SMALL, steps=512)
    with monkeypatch.context() as patch:
        counted = Full(patch, -1)
        train(recipe, tmp_path / "whole", save_every=0)
    assert counted.calls > 40
    expected = digest(tmp_path / "whole")
    resumed = 0
    for k in range(1, counted.calls + 1):
        folder = tmp_path / f"run{k}"
        with monkeypatch.context() as patch:
            Full(patch, k)
            with pytest.raises(GoalmazeError) as error:
                train(recipe, folder, save_every=0)
        assert "No space left on device" in str(error.value)
        assert str(folder) in str(error.value)
        if not folder.exists():
            continue
        assert not [file for file in folder.rglob("*") if file.name.startswith(".")]
        for file in (*folder.glob(CHECKPOINT), *checkpoint_series(folder).values()):
            load_checkpoint(file)
        if not (folder / STATE).exists():
            with pytest.raises(GoalmazeError, match="nothing to resume"):
                resume(folder)
            continue
        # Finished where the disk was full after the last state was saved: its checkpoints are then written.
        with contextlib.suppress(FinishedError):
            resume(folder)
        resumed += 1
        assert digest(folder) == expected
    assert resumed > 25


def test_a_file_that_may_grow_no_further_is_not_left_half_written(tmp_path: Path) -> None:
    """The kernel itself refuses, at a length in the middle of the state."""
    code = """
import dataclasses, resource, signal, sys
from pathlib import Path
from goalmaze.agents.training.recipe import recipe_from
from goalmaze.agents.training.run import train
import json
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    train(recipe_from(json.loads(sys.argv[1])), Path(sys.argv[2]), save_every=0)
except Exception as error:
    print(type(error).__name__, error)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    answer = subprocess.run(
        [sys.executable, "-c", code, json.dumps(dataclasses.asdict(SMALL)), str(tmp_path / "run"), "20000"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert f"GoalmazeError cannot write {tmp_path / 'run' / STATE}: File too large" in answer.stdout
    assert not [file for file in (tmp_path / "run").rglob("*") if file.name.startswith((".", "state"))]


def refused(folder: Path) -> str:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(GoalmazeError) as error:
        resume(folder)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    interrupted(SMALL, tmp_path / "run", 3, monkeypatch)
    return tmp_path / "run"


def test_a_truncated_state_is_refused_by_name(cut: Path) -> None:
    content = (cut / STATE).read_bytes()
    for length in [0, 1, 7, 8, 9, *np.linspace(10, len(content) - 1, 60).astype(int)]:
        (cut / STATE).write_bytes(content[:length])
        answer = refused(cut)
        assert f"training state {cut / STATE} is damaged, so nothing was resumed; train again with" in answer


def test_a_flipped_bit_is_refused_by_name(cut: Path) -> None:
    content = (cut / STATE).read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    choice = np.random.default_rng(0)
    bits = [*choice.choice(8 * header, 300, replace=False), *choice.integers(8 * header, 8 * len(content), 100)]
    for bit in [*range(64), *bits]:
        broken = bytearray(content)
        broken[bit // 8] ^= 1 << bit % 8
        (cut / STATE).write_bytes(broken)
        with pytest.raises(GoalmazeError, match=f"training state {cut / STATE} is damaged"):
            read_state(cut / STATE)
    assert "nothing was resumed" in refused(cut)


def test_a_state_of_another_version_is_refused(cut: Path) -> None:
    from goalmaze.agents.training import training_state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_state, "FORMAT", 0)
        assert "is of another version of goalmaze" in refused(cut)


def test_a_recipe_that_was_changed_or_damaged_is_refused(cut: Path) -> None:
    text = (cut / RECIPE).read_text()
    (cut / RECIPE).write_text(text.replace('"steps": 2048', '"steps": 4096'))
    assert "is no longer the recipe of the run; undo the change" in refused(cut)
    (cut / RECIPE).write_text(text[:50])
    assert f"recipe {cut / RECIPE} is damaged" in refused(cut)
    (cut / RECIPE).unlink()
    assert f"{cut} is not a run folder" in refused(cut)


def test_a_log_that_lost_lines_is_refused_and_one_with_more_is_cut(cut: Path, whole: Path) -> None:
    log = (cut / LOG).read_bytes()
    (cut / LOG).write_bytes(log[:-5])
    assert "is shorter than at the last save" in refused(cut)
    (cut / LOG).write_bytes(log + b"768,half a li")
    resume(cut)
    assert digest(cut) == digest(whole)


def test_a_finished_run_and_one_without_state_are_refused(cut: Path, whole: Path, tmp_path: Path) -> None:
    assert "is finished after 2,048 steps; nothing to resume" in refused(whole)
    (cut / STATE).unlink()
    assert "there is no training state" in refused(cut)
    (tmp_path / "empty").mkdir()
    assert "is not a run folder" in refused(tmp_path / "empty")


def test_a_run_under_way_is_not_resumed(cut: Path) -> None:
    assert not run_lock.is_locked(cut / RECIPE)
    with run_lock.locked(cut / RECIPE):
        assert run_lock.is_locked(cut / RECIPE)
        assert "is being trained by another process" in refused(cut)
    assert not run_lock.is_locked(cut / RECIPE)


def test_what_a_killed_process_left_is_cleared_away(cut: Path) -> None:
    (cut / f".{STATE}.123").write_text("half")
    (cut / ".mine").write_text("keep")
    resume(cut)
    assert [file.name for file in cut.iterdir() if file.name.startswith(".")] == [".mine"]


def test_other_versions_are_reported(cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (cut / RECIPE).read_text()
    assert torch.__version__ in text
    (cut / RECIPE).write_text(text.replace(torch.__version__, "0.0.1"))
    resume(cut)
    printed = capsys.readouterr().err
    assert (
        f"resumed, but not bitwise as without the interruption: torch {torch.__version__} instead of 0.0.1" in printed
    )


def test_a_run_stopped_by_a_signal_resumes_to_the_uninterrupted_result(tmp_path: Path) -> None:
    train(dataclasses.replace(SMALL, steps=4096), tmp_path / "whole")
    folder = tmp_path / "run"
    running = started(folder)
    wait_for(lambda: has_logged(folder, 3), running)
    running.send_signal(signal.SIGTERM)
    answer, complaint = running.communicate(timeout=120)
    steps = read_state(folder / STATE)[0]["algorithm"]["counts"]["num_timesteps"]
    assert (running.returncode, answer) == (128 + signal.SIGTERM, "")
    assert complaint == (
        f"goalmaze: {folder}: stopped after {steps:,} steps; continue with: goalmaze train --resume {folder}\n"
    )
    assert not (folder / "report.json").exists(), "an interrupted training is not evaluated"
    assert load_checkpoint(folder / CHECKPOINT)[2].steps == steps < 4096
    resume(folder)
    assert digest(folder) == digest(tmp_path / "whole")


def test_not_finite_weights_leave_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = TrainingCallback._on_rollout_start

    def poison(self: TrainingCallback) -> None:
        true(self)
        if self.num_timesteps == 768:
            with torch.no_grad():
                next(iter(self.model.policy.parameters())).fill_(torch.inf)

    monkeypatch.setattr(TrainingCallback, "_on_rollout_start", poison)
    with pytest.raises(GoalmazeError) as error:
        train(SMALL, tmp_path / "run", save_every=0)
    path = tmp_path / "run" / CHECKPOINT
    assert str(error.value).startswith(
        f"the network's output is not finite at step 1,024, so training stopped; the last good checkpoint is {path} "
        "(step 768)"
    )
    network, _, header = load_checkpoint(path)
    assert header.steps == 768
    assert all(bool(tensor.isfinite().all()) for tensor in network.parameters())

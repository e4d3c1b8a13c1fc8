"""Sweeps: plans and their complaints, runs resumed after a killed worker, the table, and the statistics over seeds."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from complaints import complaint
from plans import LONG, SMALL

from goalmaze.agents.training.run_lock import held
from goalmaze.experiments import cli
from goalmaze.experiments.sweeps import plan as plan_module
from goalmaze.experiments.sweeps import runner as conduct_module
from goalmaze.experiments.sweeps.executors import LocalRunExecutor
from goalmaze.experiments.sweeps.figures import picture
from goalmaze.experiments.sweeps.page import filled
from goalmaze.experiments.sweeps.plan import read_plan, shipped
from goalmaze.experiments.sweeps.results import MEASURED, grouped, over_seeds
from goalmaze.experiments.sweeps.runner import LOSSES, conduct
from goalmaze.experiments.sweeps.tasks import LOCK, carry_out, order, read_journal

COMMAND = [sys.executable, "-m", "goalmaze.experiments", "sweep"]
PATIENCE = 600


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def until(true: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """Wait until something is so while a process runs."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never was so; the process {process.poll()}")


def saved_run(root: Path, workers: int = 1) -> dict[str, Any] | None:
    """Return the first line of the journal of a run under way, once all workers have something to be resumed from."""
    found = []
    for journal in sorted(root.glob("journal/*.jsonl")):
        lines = read_journal(root, journal.stem)
        log = root / journal.stem / "log.csv"
        if len(lines) == 1 and log.is_file() and len(log.read_text().splitlines()) > 4:
            found.append({"run": journal.stem, **lines[0]})
    return found[0] if len(found) >= workers else None


def events(root: Path) -> dict[str, Counter[str]]:
    """Return how often each run was begun, resumed, and so on."""
    names = [path.stem for path in root.glob("journal/*.jsonl")]
    return {name: Counter(line["event"] for line in read_journal(root, name)) for name in names}


def assert_nothing_lost_and_nothing_twice(root: Path, killed: str, runs: int) -> None:
    """Every run begun once and finished once, and the one whose worker was killed resumed, not begun again."""
    found = events(root)
    assert len(found) == runs
    assert all((one["begun"], one["finished"]) == (1, 1) for one in found.values())
    assert found[killed]["resumed"] == 1
    lines = read_journal(root, killed)
    resumed = next(line for line in lines if line["event"] == "resumed")
    assert resumed["steps"] > 0
    assert resumed["pid"] != lines[0]["pid"]


def same_training(ours: Path, theirs: Path) -> bool:
    """Return whether two run folders hold the same agent and the same log but for its seconds."""

    def log(folder: Path) -> list[dict[str, str]]:
        with (folder / "log.csv").open() as file:
            return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]

    weights = [(folder / "checkpoint.safetensors").read_bytes() for folder in (ours, theirs)]
    return weights[0] == weights[1] and log(ours) == log(theirs)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (SMALL.replace("corner =", "cornr ="), ["unknown dial 'cornr'", "did you mean 'corner'"]),
        (SMALL.replace("[1, 3]", "[]"), ["corner is an empty list", "give it values"]),
        (SMALL.replace("[0, 1]", "[]"), ["seeds is an empty list"]),
        (SMALL.replace("seeds", "sedes", 1), ["unknown key", "'sedes'", "did you mean 'seeds'"]),
        (SMALL.replace("[0, 1]", "[0, 0]"), ["twice", "corner=1-seed=0"]),
        (SMALL.replace("corner = [1, 3]", "braid = [0, 0.0]"), ["twice", "each value of a dial once"]),
        (SMALL.replace("[1, 3]", "[1, 9]"), ["corner is 9", "choose 1 to 3"]),
        (SMALL.replace("[1, 3]", '["much"]'), ["corner"]),
        (SMALL.replace("envs", "envz"), ["unknown field of a recipe 'envz'", "did you mean 'envs'"]),
        (SMALL.replace("channels", "chanels"), ["unknown option of network grid 'chanels'"]),
        (SMALL.replace("Corner", "Cornr"), ["unknown family 'Cornr'"]),
        (SMALL.replace('"Corner"', '"Corner"\nseed = 3'), ["seed is given in [train]", "seeds = [...]"]),
        (SMALL.replace("seeds = [0, 1]", 'seeds = [0, "a"]'), ["seeds"]),
        ('shifts = ["anywere"]' + SMALL, ["unknown shift 'anywere'", "anywhere"]),
        ('shifts = ["none", "none"]' + SMALL, ["none is named twice"]),
        (SMALL.replace("[dials]", "[dials"), ["no TOML"]),
        (SMALL.replace("[train]", "[trian]"), ["unknown key", "'trian'"]),
        (SMALL.replace("[1, 3]", str([1] * 6000)), ["12,000 runs"]),
    ],
    ids=range(18),
)
def test_a_bad_plan_gets_one_line_and_trains_nothing(
    text: str, names: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = complaint(capsys, "sweep", str(written(tmp_path, text)), "--out", str(tmp_path / "out"))
    for name in names:
        assert name in answer
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["nowhere.toml"], ["no file nowhere.toml", "colour-shape"]),
        (["coler-shape"], ["unknown sweep", "did you mean 'colour-shape'"]),
        (["colour-shape", "--workers", "-1"], ["--workers is -1"]),
        (["colour-shape", "--workers", "2", "--cluster", "tcp://127.0.0.1:1"], ["--workers", "--cluster", "leave one"]),
        (["colour-shape", "--save-every", "-1"], ["--save-every is -1"]),
        (["colour-shape", "--gather", "--out", "OUT"], ["no run of colour-shape is finished", "--gather"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_bad_arguments_get_one_line(
    arguments: list[str], names: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = complaint(capsys, "sweep", *[str(tmp_path / "out") if word == "OUT" else word for word in arguments])
    for name in names:
        assert name in answer


def test_every_plan_that_ships_can_be_carried_out() -> None:
    plans = {name: read_plan(path) for name, path in shipped().items()}
    assert sorted(plans) == ["colour-shape", "corner-size", "correlation", "keys-chests", "salience"]
    assert len(plans["colour-shape"].seeds) >= 16
    assert all(plan.about and len(plan.seeds) >= 2 for plan in plans.values())


def test_a_run_is_named_by_what_is_asked_for(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, SMALL))
    names = [task.name for task in plan.tasks]
    assert [name.rsplit("-", 1)[0] for name in names] == [f"corner={c}-seed={s}" for c in (1, 3) for s in (0, 1)]
    assert [(t.recipe.parameters["corner"], t.recipe.seed) for t in plan.tasks] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    reordered = SMALL.replace("envs = 16\nrollout_steps = 16", "rollout_steps = 16\nenvs = 16")
    assert [task.name for task in read_plan(written(tmp_path, reordered)).tasks] == names
    changed = read_plan(written(tmp_path, SMALL.replace("epochs = 1", "epochs = 2")))
    assert not set(names) & {task.name for task in changed.tasks}
    assert all(task.recipe.threads == 1 for task in plan.tasks)


def test_dials_are_fields_parameters_and_options(tmp_path: Path) -> None:
    dials = 'corner = [1]\nlearning_rate = [0.1]\nchannels = [4, 6]\n"algorithm_options.target_kl" = [0.5]'
    recipe = read_plan(written(tmp_path, SMALL.replace("corner = [1, 3]", dials))).tasks[-1].recipe
    assert recipe.learning_rate == 0.1
    assert recipe.network_options["channels"] == 6
    assert recipe.parameters["corner"] == 1
    assert recipe.algorithm_options == {"target_kl": 0.5}


def test_the_interval_over_seeds_is_that_of_scipy_and_covers() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.4, 0.6, 5)
    found = over_seeds([*values, None])
    oracle = scipy.stats.t.interval(0.95, 4, values.mean(), scipy.stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), *oracle))
    samples = [over_seeds(list(rng.normal(0.5, 0.05, 3))) for _ in range(2000)]
    covered = np.mean([one.low <= 0.5 <= one.high for one in samples])
    assert 0.935 < covered < 0.965
    narrow = [one.mean - one.low for one in samples]
    naive = np.mean([abs(one.mean - 0.5) <= half * 1.96 / 4.303 for one, half in zip(samples, narrow, strict=True)])
    assert naive < 0.9, "a normal interval would be too narrow, so that coverage tells the two apart"


def test_what_cannot_be_said_over_seeds_is_not_said() -> None:
    assert str(over_seeds([None])) == "-"
    assert str(over_seeds([0.5])) == "0.500"
    assert math.isnan(over_seeds([0.5]).low)
    assert over_seeds([0.99, 0.9]).high == 1.0
    assert over_seeds([2.0, 3.0], shares=False).high > 3
    assert over_seeds([0.5]).json()["low"] is None


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep carried out by one worker in a process of its own, as a person would."""
    folder = tmp_path_factory.mktemp("swept")
    plan = written(folder, SMALL)
    subprocess.run([*COMMAND, str(plan), "--out", str(folder / "out"), "--workers", "1"], check=True, timeout=PATIENCE)
    return folder


def test_a_sweep_ends_in_one_tidy_table(swept: Path) -> None:
    rows = list(csv.DictReader((swept / "out" / "results.csv").read_text().splitlines()))
    assert [(r["corner"], r["seed"], r["shift"]) for r in rows] == [
        (corner, seed, shift) for corner in "13" for seed in "01" for shift in ("none", "anywhere")
    ]
    for row in rows:
        report = json.loads((swept / "out" / row["run"] / "report.json").read_text())
        told = report["in_distribution"] if row["shift"] == "none" else report["shifts"]["anywhere"]
        assert float(row["solved"]) == told["solved"]
        assert float(row["solved_low"]) <= float(row["solved"]) <= float(row["solved_high"])
        assert row["solved_levels"] == "1024"
        assert float(row["return"]) == told["returns"]["true_discounted"]["value"]
        assert row["prefers_cue"] == ("" if told["preference"]["cue"] is None else str(told["preference"]["cue"]))
    assert (swept / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_finished_runs_are_skipped(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in swept.glob("out/*/*") if path.is_file()}
    assert cli.main(["sweep", str(swept / "plan.toml"), "--out", str(swept / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runs"], told["finished"]) == (4, 4)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rows = list(csv.DictReader((swept / "out" / "results.csv").read_text().splitlines()))
    for group in told["groups"]:
        ours = [
            float(r["solved"])
            for r in rows
            if (int(r["corner"]), r["shift"]) == (group["dials"]["corner"], group["shift"])
        ]
        assert group["seeds"] == len(ours) == 2
        assert group["solved"]["mean"] == pytest.approx(np.mean(ours), abs=1e-4)


def test_tables_are_for_people_and_for_pages(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["sweep", str(swept / "plan.toml"), "--out", str(swept / "out"), "--gather"]
    assert cli.main(asked) == 0
    text = capsys.readouterr().out
    assert "4 of 4 runs finished" in text
    assert "cover seeds" in text
    assert cli.main([*asked, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| corner | shift | seeds | solved |")
    assert len(lines) == 2 + 4
    assert len({line.count("|") for line in lines}) == 1


def test_a_page_is_filled_in_and_left_alone_where_nothing_is_finished(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan_module, "HERE", swept)
    (swept / "other.toml").write_text(SMALL)
    (tmp_path / "plan").symlink_to(swept / "out")
    page = "before\n<!-- sweep plan -->\nold\n<!-- end -->\n<!-- sweep other -->\nnothing\n<!-- end -->\nafter\n"
    told = filled(page, tmp_path, tmp_path / "pictures")
    assert cli.main(["sweep", "plan", "--out", str(swept / "out"), "--gather", "--markdown"]) == 0
    rows = capsys.readouterr().out.strip()
    assert told == page.replace("\nold\n", f"\n\n4 of 4 runs are finished.\n\n{rows}\n\n")
    assert filled(told, tmp_path, tmp_path / "pictures") == told
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["reproduced-plan.png"]


def test_the_picture_draws_means_along_the_first_dial(tmp_path: Path) -> None:
    dials = "steps = [512, 256]\ncorner = [1, 3]"
    plan = read_plan(written(tmp_path, SMALL.replace("steps = 512\n", "").replace("corner = [1, 3]", dials)))
    told = {"family": "Corner", "label": "mixed", "shift": "none", "goal_first": 1, "cue_first": 0, "neither": 0}
    rows = [
        told
        | {"run": task.name, "seed": task.recipe.seed, **task.dials}
        | dict.fromkeys(MEASURED, task.recipe.steps / 1000 + task.dials["corner"] / 10 + task.recipe.seed / 50)
        for task in plan.tasks
    ]
    groups = grouped(plan, rows)
    assert [(one.dials["steps"], one.dials["corner"], one.seeds) for one in groups] == [
        (512, 1, 2), (512, 3, 2), (256, 1, 2), (256, 3, 2)
    ]  # fmt: skip
    axes = picture(plan, groups).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["512", "256"]
    names = axes.get_legend_handles_labels()[1]
    assert names == ["training distribution, corner 1", "training distribution, corner 3"]
    lines = [bars.lines[0] for bars in axes.containers]
    for corner, line in zip((1, 3), lines, strict=True):
        assert line.get_ydata() == pytest.approx([0.512 + corner / 10 + 0.01, 0.256 + corner / 10 + 0.01])
        assert [round(x) for x in line.get_xdata()] == [0, 1]


def test_two_sweeps_do_not_share_a_folder(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(swept / "out" / LOCK):
        assert "another process" in complaint(capsys, "sweep", str(swept / "plan.toml"), "--out", str(swept / "out"))


def test_a_killed_worker_loses_nothing_and_nothing_is_run_twice(tmp_path: Path) -> None:
    root = tmp_path / "out"
    plan = written(tmp_path, LONG)
    command = [*COMMAND, str(plan), "--out", str(root), "--workers", "2", "--save-every", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        victim = until(lambda: saved_run(root, 2), process)
        os.kill(victim["pid"], signal.SIGKILL)
        assert process.wait(PATIENCE) == 0
    assert_nothing_lost_and_nothing_twice(root, victim["run"], 2)
    task = next(task for task in read_plan(plan).tasks if task.name == victim["run"])
    alone = tmp_path / "alone"
    (alone / "journal").mkdir(parents=True)
    (alone / LOCK).touch()
    carry_out(order(alone, task.name, dataclasses.asdict(task.recipe), 30))
    assert same_training(root / task.name, alone / task.name)
    other = next(one.name for one in read_plan(plan).tasks if one.name != victim["run"])
    assert not same_training(root / other, alone / task.name)


def test_ctrl_c_leaves_all_to_go_on_with(tmp_path: Path) -> None:
    root = tmp_path / "out"
    command = [*COMMAND, str(written(tmp_path, LONG)), "--out", str(root), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        victim = until(lambda: saved_run(root), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == b""
    assert b"go on with: goalmaze sweep" in err
    assert b"Traceback" not in err
    assert read_journal(root, victim["run"])[-1]["event"] == "interrupted"
    assert not (root / victim["run"] / "report.json").exists()
    subprocess.run(command, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
    assert_nothing_lost_and_nothing_twice_but_stopped(root, victim["run"])


def assert_nothing_lost_and_nothing_twice_but_stopped(root: Path, stopped: str) -> None:
    found = events(root)
    assert all((one["begun"], one["finished"]) == (1, 1) for one in found.values())
    assert (found[stopped]["interrupted"], found[stopped]["resumed"]) == (1, 1)


def test_workers_end_with_their_sweep(tmp_path: Path) -> None:
    root = tmp_path / "out"
    command = [*COMMAND, str(written(tmp_path, LONG)), "--out", str(root), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        victim = until(lambda: saved_run(root), process)
        process.kill()
        process.wait()
    end = time.monotonic() + 30
    while is_alive(victim["pid"]) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(victim["pid"])


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = written(tmp_path, SMALL.replace("corner = [1, 3]", "learning_rate = [1e-3, 1e30]"))
    answer = complaint(capsys, "sweep", str(plan), "--out", str(tmp_path / "out"), "--workers", "1")
    assert "2 of 4 runs failed" in answer
    assert "learning_rate=1e+30" in answer
    assert "not finite" in answer
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    assert {row["learning_rate"] for row in rows} == {"0.001"}
    assert len(rows) == 4


def test_workers_that_die_again_and_again_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        conduct_module, "order", lambda *_: {"root": Deadly(), "name": "x", "recipe": {}, "save_every": 0}
    )
    plan = read_plan(written(tmp_path, SMALL))
    before = time.monotonic()
    with pytest.raises(ValueError, match=rf"died {LOSSES + 1} times in a row"):
        conduct(plan.tasks[:1], tmp_path, lambda _: LocalRunExecutor(1, tmp_path / "log"), 0)
    assert time.monotonic() - before < PATIENCE


class Deadly:
    """A thing that ends the process it is sent to."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return os._exit, (9,)

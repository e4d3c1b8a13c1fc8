"""The script that trains on hard mazes a part at a time, small on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from repository import ROOT

SCRIPT = ROOT / "scripts" / "train_procgen_hard"
SMALL = ("--device", "cpu", "--seeds", "1", "--workers", "1", "--threads", "1", "--envs", "4", "--steps", "1000000")


def part(folder: Path, *options: str) -> tuple[int, dict[str, object]]:
    """Run the script; return its exit code and what it says about its one agent."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--out", str(folder), *SMALL, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    [agent] = json.loads(done.stdout.splitlines()[-1])["5"]["agents"]
    return done.returncode, agent


def test_a_second_call_goes_on_where_the_first_one_ended(tmp_path: Path) -> None:
    code, first = part(tmp_path, "--seconds", "25")
    assert (code, first["agent"]) == (3, "0")
    code, second = part(tmp_path, "--seconds", "20")
    assert code == 3
    assert second["steps"] > first["steps"] > 0  # type: ignore[operator]
    assert second["seconds"] > first["seconds"]  # type: ignore[operator]
    recipe = json.loads((tmp_path / "procgen-hard-5" / "agents" / "0" / "recipe.json").read_text("utf-8"))["recipe"]
    assert (recipe["seed"], recipe["start"]) == (1, "zoo:procgen-region5")


def test_a_fault_is_passed_on(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--out", str(tmp_path), *SMALL[:-2], "--steps", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1])["5"] == {"code": 2, "agents": []}


def test_a_finished_population_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "procgen-hard-5"
    folder.mkdir()
    (folder / "report.json").write_text("{}")
    (folder / "log.csv").write_text("agent,steps,seconds,solved\n0,512,4.0,0.5\n1,512,2.0,0.75\n")
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--out", str(tmp_path), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    agents = json.loads(done.stdout)["5"]["agents"]
    assert [(agent["agent"], agent["solved"], agent["steps_per_s"]) for agent in agents] == [
        ("0", 0.5, 128),
        ("1", 0.75, 256),
    ]

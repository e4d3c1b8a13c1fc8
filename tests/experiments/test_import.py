"""A family of the user's own on the command line: imported by name, remembered by the run, never imported by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from complaints import Refusals

FAMILY = '''
import dataclasses

import goalmaze as gm

print("imported")


@gm.register_family
@dataclasses.dataclass(frozen=True)
class {name}(gm.Family):
    """Reach the door; in training a bell stands on it."""

    name = "{name}"
    object_types = (
        gm.ObjectType("door", letter="D", colour=(213, 94, 0), shape="door", ends=True, reward=1.0),
        gm.ObjectType("bell", letter="B", colour=(240, 228, 66), shape="diamond", cue_reward=1.0),
    )
    slots = ("door", "bell")
    stacked_glyphs = {{"X": ("door", "bell")}}
    goal, cue = "door", "bell"
    shifts = {{"moved-bell": "the bell stands elsewhere"}}
    distinguishing_shift = "moved-bell"

    def placements(self, shift):
        bell = gm.Placement("bell") if shift == "moved-bell" else gm.Placement("bell", on="door")
        return gm.Placement("agent"), gm.Placement("door"), bell
'''

COMMANDS = "import sys; from goalmaze.experiments import cli; print(*(cli.main(line.split()) for line in sys.argv[1:]))"
"""Runs the command lines of its arguments one after the other and prints their exit codes."""


def goalmaze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goalmaze.experiments", *arguments], cwd=folder, capture_output=True, text=True
    )


def test_a_run_of_an_imported_family_is_trained_evaluated_and_refused_without_its_import(tmp_path: Path) -> None:
    (tmp_path / "doors.py").write_text(FAMILY.format(name="DoorAndBell"))
    small = ["--size", "5", "--steps", "1024", "--network-options", "blocks=1", "--set", "envs=16", "--threads", "1"]
    trained = goalmaze(tmp_path, "train", "--import", "doors.py", "--family", "DoorAndBell", "--out", "run", *small)
    assert trained.returncode == 0, trained.stderr
    # The next command that is printed works as it stands.
    following = trained.stdout.strip().splitlines()[-1].removeprefix("next: goalmaze ")
    assert following == "eval run --shift moved-bell --import doors.py"
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["recipe"]["imports"] == ["doors.py"]
    with_it = goalmaze(tmp_path, *following.split(), "--levels", "8")
    assert with_it.returncode == 0, with_it.stderr
    # One process for both: neither may import the family.
    without = subprocess.run(
        [sys.executable, "-c", COMMANDS, "eval run", "train --resume run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert without.stdout.split() == ["2", "2"], "code named by a run was run without being asked for"
    complaints = without.stderr.strip().splitlines()
    assert len(complaints) == 2
    for complaint in complaints:
        assert "unknown family 'DoorAndBell'" in complaint
        assert "add --import doors.py" in complaint


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere.py", "there is no such file"), ("no_such", "there is no module of this")]
)
def test_an_import_that_fails_is_one_line(name: str, message: str, refusals: Refusals) -> None:
    refusals.check(["families", "--import", name], [f"--import {name}: {message}"])

"""The command line as a person meets it: one JSON object, one line for bad input, nothing half-written."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from complaints import Refusals, complaint, words_of_case

from goalmaze.agents.zoo import zoo_folder
from goalmaze.experiments import cli

AGENT = "zoo:green-exit"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["eval", AGENT, "--shift", "moved-sing"], ["unknown shift 'moved-sing'", "did you mean 'moved-sign'"]),
        (["eval", "zoo:green-exi"], ["unknown zoo agent 'green-exi'", "green-exit"]),
        (["eval", "no/such/run"], ["no checkpoint at no/such/run", "zoo:NAME"]),
        (["eval", AGENT, "--size", "8"], ["size is 8", "odd"]),
        (["eval", AGENT, "--size", "3"], ["size is 3", "at least 5"]),
        (["eval", AGENT, "--size", "nine"], ["--size"]),
        (["eval", AGENT, "--levels", "0"], ["--levels is 0", "1 to 1000000"]),
        (["eval", AGENT, "--seed", "-1"], ["--seed is -1"]),
        (["eval"], ["Missing", "AGENT"]),
        (["eval", AGENT, "--shfit", "x"], ["--shfit"]),
        (["evaluate", AGENT], ["evaluate"]),
        (["probe", AGENT, "--sites", "block99"], ["unknown site", "block99"]),
        (["probe", AGENT, "--targets", "cheese"], ["unknown probe target 'cheese'"]),
        (["retarget", AGENT, "--sites", "stam"], ["unknown site", "did you mean 'stem'"]),
        (["retarget", AGENT, "--sites", "hidden", "--methods", "mean-pattern"], ["'hidden' is not a map", "stem"]),
        (["retarget", AGENT, "--methods", "magic"], ["unknown steering method 'magic'"]),
        (["train", "--family", "GreenExt"], ["unknown family 'GreenExt'", "GreenExit"]),
        (["train", "--size", "6"], ["size is 6"]),
        (["train", "--parameters", "salience"], ["salience", "KEY=VALUE"]),
        (["train", "--parameters", "saliense=2"], ["saliense", "did you mean 'salience'"]),
        (["train", "--parameters", "correlation=1.5"], ["correlation is 1.5"]),
        (["train", "--set", "entropi=1"], ["entropi", "entropy"]),
        (["train", "--network", "gird"], ["unknown network 'gird'", "grid"]),
        (["train", "--recipe", "nowhere.toml"], ["cannot read recipe nowhere.toml"]),
        (["probe", AGENT, "--figures", "."], ["--figures needs --by channel or a population"]),
        (["probe", AGENT, "--by", "channel", "--figures", __file__], ["--figures", "cannot make this folder"]),
        (["retarget", AGENT, "--figures", __file__], ["--figures", "cannot make this folder"]),
        (["zoo", "show"], ["name an agent to show"]),
        (["bench", "nothing"], ["nothing"]),
        (["live", AGENT, "--terminal"], ["--terminal needs a terminal", "--summary"]),
    ],
    ids=words_of_case,
)
def test_bad_input_gets_one_line_that_names_it(arguments: list[str], names: list[str], refusals: Refusals) -> None:
    refusals.check(arguments, names)


def test_a_run_folder_that_exists_is_left_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    assert "already exists" in complaint(capsys, "train", "--out", str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "precious"


def test_damaged_and_foreign_checkpoints_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = (zoo_folder("green-exit") / "checkpoint.safetensors").read_bytes()
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in complaint(capsys, "eval", str(tmp_path))
    checkpoint.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert "damaged" in complaint(capsys, "eval", str(tmp_path))
    checkpoint.write_bytes(b"PK\x03\x04 a zip of someone's")
    assert "no safetensors file" in complaint(capsys, "eval", str(tmp_path))
    checkpoint.write_bytes(whole)
    assert cli.main(["eval", str(tmp_path), "--levels", "4", "--json"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", AGENT, "--levels", "8"],
        ["probe", AGENT, "--levels", "16", "--fit-levels", "60", "--sites", "stem", "--targets", "sign"],
        ["retarget", AGENT, "--levels", "16", "--fit-levels", "16", "--sites", "stem", "--methods", "mean-pattern"],
        ["live", AGENT, "--terminal"],
        ["zoo", "list"],
        ["zoo", "show", "green-exit"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_json_is_one_object_and_the_text_is_not(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*arguments, "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)
    if arguments[0] != "live":
        assert cli.main(arguments) == 0
        with pytest.raises(ValueError, match=r"Expecting|Extra"):
            json.loads(capsys.readouterr().out)


def test_the_demo_prints_its_steps_and_draws_its_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "story.png"
    assert cli.main(["demo", "--out", str(picture)]) == 0
    story = capsys.readouterr().out
    assert "What it learned is not 'exit' but 'green'." in story
    sentence = r"reaches the target first in (\d+)%.*Without an edit: (\d+)%.*another cell written: (\d+)%"
    edit, none, other = (int(rate) for rate in re.findall(sentence, story, re.DOTALL)[0])
    assert max(none, other) + 40 < edit
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "has no memory" in complaint(capsys, "demo", "--remembering", AGENT, "--out", str(tmp_path / "story.png"))
    assert "cannot write" in complaint(capsys, "demo", "--out", str(tmp_path / "missing" / "story.png"))


@pytest.mark.skipif(shutil.which("goalmaze") is None, reason="the console command is not on the path")
def test_the_console_command_answers_quickly_without_heavy_packages() -> None:
    heavy = ("torch", "numpy", "numba", "gymnasium", "scipy", "matplotlib")
    code = (
        "import sys; from goalmaze.experiments import cli; cli.parse(['zoo', 'list']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    helped = subprocess.run(["goalmaze", "--help"], capture_output=True, text=True, check=True, env=os.environ)
    assert "retarget" in helped.stdout

"""Files of other systems and of hostile people: byte order marks, line ends, pipes, depth; and what is written."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest
from plans import SMALL, write_plan
from repository import ROOT

from goalmaze.agents import files
from goalmaze.agents.loading import load_agent, locate
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs import text_files
from goalmaze.envs.ascii import read_ascii, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.sweeps.plan import find_plan, read_plan
from goalmaze.experiments.train.command import read_settings
from goalmaze.experiments.train.config import TrainConfig

MARK = b"\xef\xbb\xbf"


def with_mark_and_crlf(text: str) -> bytes:
    """Return a text as an editor on Windows saves it."""
    return MARK + text.replace("\n", "\r\n").encode()


def test_what_people_edit_may_come_from_windows(tmp_path: Path) -> None:
    toml, recipe = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_bytes(with_mark_and_crlf("steps = 7\n[parameters]\nsize = 5\n"))
    recipe.write_bytes(with_mark_and_crlf('{"steps": 7,\n"parameters": {"size": 5}}'))
    assert read_settings(TrainConfig(recipe=toml)) == read_settings(TrainConfig(recipe=recipe))
    assert read_settings(TrainConfig(recipe=toml)).steps == 7
    plan = write_plan(tmp_path, SMALL)
    expected = read_plan(plan)
    plan.write_bytes(with_mark_and_crlf(SMALL))
    assert read_plan(plan) == expected
    family = make_family("GreenExit", {"size": 5})
    levels = family.levels(0, [0, 1])
    drawn = with_mark_and_crlf(write_ascii(levels)).decode()
    assert read_ascii(drawn, family) == levels
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        text_files.read_text(tmp_path / "latin")


def test_a_report_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    shipped = zoo_folder("green-exit-early")
    for name in ("report.json", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((shipped / name).read_bytes())
    (tmp_path / "report.json").write_bytes(MARK + (shipped / "report.json").read_bytes())
    assert read_report(tmp_path) == read_report(shipped)


def test_pipes_devices_and_large_files_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "recipe.toml"
    os.mkfifo(pipe)
    with pytest.raises(GoalmazeError, match=r"cannot read recipe .*: it is not a regular file"):
        read_settings(TrainConfig(recipe=pipe))
    with pytest.raises(GoalmazeError, match=r"cannot read recipe /dev/zero: it is not a regular file"):
        read_settings(TrainConfig(recipe=Path("/dev/zero")))
    os.mkfifo(tmp_path / "checkpoint.safetensors")
    with pytest.raises(GoalmazeError, match="no checkpoint at"):
        load_agent(str(tmp_path))
    monkeypatch.setattr(text_files, "MAX_BYTES", 3)
    (tmp_path / "big").write_bytes(b"1234")
    with pytest.raises(OSError, match="it has 4 bytes, more than 3"):
        text_files.read_bytes(tmp_path / "big")


@pytest.mark.parametrize("name", ["deep.json", "deep.toml"])
def test_data_that_is_nested_too_deeply_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(("x = " if name.endswith("toml") else "") + "[" * 100_000, "utf-8")
    with pytest.raises(GoalmazeError, match=r"cannot be parsed: it is nested too deeply"):
        read_settings(TrainConfig(recipe=path))


def test_text_that_nothing_can_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"network_options": {"\\uD800": 1}}', "utf-8")
    with pytest.raises(GoalmazeError, match="cannot be parsed"):
        read_settings(TrainConfig(recipe=path))
    with pytest.raises(GoalmazeError, match=r"--set .*: write it in UTF-8"):
        read_settings(TrainConfig(set=("network=\udcff",)))
    assert text_files.parse_json('"\\ud83d\\ude00"') == "😀"


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "a\0b"], ids=["long", "longer", "null"])
def test_a_name_that_no_system_takes_is_an_agent_that_does_not_exist(name: str) -> None:
    with pytest.raises(GoalmazeError, match="no checkpoint at"):
        load_agent(name)
    with pytest.raises(GoalmazeError):
        find_plan(name)
    with pytest.raises(GoalmazeError, match="cannot read recipe"):
        read_settings(TrainConfig(recipe=Path(name)))


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_plan(tmp_path, SMALL)
    assert find_plan("~/plan.toml") == tmp_path / "plan.toml"
    assert locate("~/runs/a").path == tmp_path / "runs" / "a"
    config = TrainConfig(out=Path("~/a"), resume=Path("~/b"), recipe=Path("~"))
    assert (config.out, config.resume, config.recipe) == (tmp_path / "a", tmp_path / "b", tmp_path)
    # A user that does not exist stays as it is.
    assert TrainConfig(out=Path("~no-such-user/a")).out == Path("~no-such-user/a")


def unnamed_encodings(source: str) -> list[str]:
    """Return the calls of a module that read or write text in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        names = {keyword.arg for keyword in node.keywords}
        position = {"read_text": 0, "write_text": 1}.get(name)
        texts = name == "open" and not any("b" in str(ast.unparse(one)) for one in node.args[:2]) and node.args
        is_text = position is not None and len(node.args) <= position
        if (is_text or texts or {"text", "universal_newlines"} & names) and "encoding" not in names:
            found.append(ast.unparse(node))
    return found


def test_text_is_read_and_written_as_utf8_whatever_the_locale_says() -> None:
    rooms = ("envs", "agents", "probes", "experiments", "goalmaze", "scripts", "docs")
    modules = [path for room in rooms for path in (ROOT / room).rglob("*.py") if "generated" not in path.parts]
    found = {str(path.relative_to(ROOT)): unnamed_encodings(path.read_text("utf-8")) for path in modules}
    # `read_text(path)` is the function of `goalmaze.envs.text_files`; the others open no text.
    allowed = ("read_text(path)", "read_text(folder / LOG)", "os.open(", "browser.open(")
    assert {
        name: wrong for name, calls in found.items() if (wrong := [one for one in calls if not one.startswith(allowed)])
    } == {}


def test_a_planted_locale_encoding_is_found() -> None:
    wrong = ["p.read_text()", "p.write_text(t)", "open(p)", "open(p, 'w')", "subprocess.run(c, text=True)"]
    right = ["p.read_text('utf-8')", "p.write_text(t, encoding='utf-8')", "open(p, 'rb')", "Popen(c, encoding='utf-8')"]
    assert [one for one in [*wrong, *right] if unnamed_encodings(one)] == wrong


def test_files_are_written_as_bytes_on_windows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary, seen, opened = 1 << 28, [], os.open

    def spy(path: Path, flags: int, *mode: int) -> int:
        seen.append(bool(flags & binary))
        return opened(path, flags & ~binary, *mode)

    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", spy)
    files.write_atomically(tmp_path / "a", b"1\n")
    files.append(tmp_path / "a", b"2\n")
    assert seen.count(True) == 2
    assert (tmp_path / "a").read_bytes() == b"1\n2\n"


def git(folder: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, *arguments], cwd=folder, check=True, capture_output=True)


def clone_of_windows(folder: Path, *, attributes: bool) -> Path:
    """Commit one zoo agent into a new repository and clone it as git on Windows does."""
    original = folder / "original"
    agent = original / "agents" / "zoo" / "green-exit-early"
    agent.mkdir(parents=True)
    for name in ("report.json", "recipe.json", "log.csv", "checkpoint.safetensors"):
        (agent / name).write_bytes((zoo_folder(agent.name) / name).read_bytes())
    (original / "gate").write_bytes(b"#!/usr/bin/env bash\ntrue\n")
    if attributes:
        (original / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    git(original, "init")
    git(original, "add", ".")
    git(original, "commit", "-m", "a")
    git(folder, "-c", "core.autocrlf=true", "clone", "original", "clone")
    return folder / "clone"


@pytest.mark.skipif(not (ROOT / ".gitattributes").is_file(), reason="not a checkout")
@pytest.mark.parametrize("attributes", [True, False], ids=["with attributes", "without"])
def test_a_clone_of_windows_keeps_the_zoo_byte_for_byte(attributes: bool, tmp_path: Path) -> None:
    clone = clone_of_windows(tmp_path, attributes=attributes)
    same = [
        (clone / "agents/zoo/green-exit-early" / name).read_bytes()
        == (zoo_folder("green-exit-early") / name).read_bytes()
        for name in ("report.json", "recipe.json", "log.csv", "checkpoint.safetensors")
    ]
    assert all(same) == attributes
    assert (b"\r\n" in (clone / "gate").read_bytes()) != attributes
    assert json.loads((clone / "agents/zoo/green-exit-early/report.json").read_bytes())

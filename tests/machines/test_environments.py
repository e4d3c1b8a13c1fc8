"""Machines of other people: a notebook's variables, no home, no metadata, and the package as a wheel and an sdist."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from repository import ROOT
from small_command import run_small

import goalmaze as gm
from goalmaze.agents.training.run import environment
from goalmaze.envs import versions
from goalmaze.experiments import cli

JUPYTER = {
    "MPLBACKEND": "inline-of-somewhere-else",
    "CLICOLOR": "1",
    "CLICOLOR_FORCE": "1",
    "FORCE_COLOR": "1",
    "TERM": "xterm-color",
    "PAGER": "cat",
    "JPY_PARENT_PID": "1",
}

DRAW = """(
    lambda figure, buffer: figure.savefig(buffer, format="png") or print(buffer.getvalue()[1:4])
)(__import__("matplotlib.figure", fromlist=["Figure"]).Figure(), __import__("io").BytesIO())"""


def test_pictures_are_drawn_with_the_variables_of_a_notebook_and_without_a_home(tmp_path: Path) -> None:
    homeless = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/dev/null/none")
    done = run_small("runs", body=DRAW, variables={**JUPYTER, **homeless, "MPLCONFIGDIR": str(tmp_path)})
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.stdout.startswith(b"b'PNG'\n")
    assert b"\x1b" not in done.stdout


def test_without_the_choice_of_a_backend_the_same_picture_is_lost() -> None:
    variables = {**os.environ, **JUPYTER}
    done = subprocess.run([sys.executable, "-c", "import matplotlib"], env=variables, capture_output=True, check=False)
    assert b"is not a valid value for backend" in done.stderr


def test_a_package_without_metadata_has_the_version_of_its_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = importlib.metadata.version("goalmaze")

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert gm.__version__ == stated
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"goalmaze {stated}\n"
    assert environment()["versions"]["goalmaze"] == stated
    assert environment()["versions"]["torch"] == versions.UNKNOWN
    # Nor is there a project file in site-packages.
    monkeypatch.setattr(versions, "PROJECT", Path("/nowhere/pyproject.toml"))
    assert gm.__version__ == versions.UNKNOWN


BUILD = """
import sys
from setuptools import build_meta, setup
kind, folder = sys.argv[1:]
if kind == "library":
    sys.argv = ["setup.py", "build_py", "--build-lib", folder]
    print(setup() and folder)
else:
    print(getattr(build_meta, "build_" + kind)(folder))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the source of the package with one agent of the zoo, which builds in seconds."""
    folder = tmp_path_factory.mktemp("source")
    for room in ("goalmaze", "envs", "agents", "probes", "experiments"):
        ignored = shutil.ignore_patterns("__pycache__", "*.nb[ic]", "checkpoints")
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    for agent in (folder / "agents" / "zoo").iterdir():
        if agent.is_dir() and agent.name != "green-exit":
            shutil.rmtree(agent)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def built(kind: str, source: Path, folder: Path) -> tuple[Path, str]:
    """Build a wheel, an sdist or a library and return it with everything that was printed meanwhile."""
    command = [sys.executable, "-c", BUILD, kind, str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, encoding="utf-8", check=True)
    return folder / done.stdout.splitlines()[-1], done.stdout + done.stderr


def warned_of_data(printed: str) -> bool:
    """Return whether setuptools takes folders of data for packages that were forgotten."""
    return "is absent from the `packages` configuration" in printed


def test_a_wheel_and_an_sdist_hold_the_whole_package_and_build_without_warnings(source: Path, tmp_path: Path) -> None:
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    expected = {name for name in expected if "/" in name and not name.startswith(("build/", "goalmaze.egg-info/"))}
    wheel, printed = built("wheel", source, tmp_path)
    assert not warned_of_data(printed)
    names = {name.removeprefix("goalmaze/") for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in expected if name.removeprefix("goalmaze/") not in names} == set()
    sdist, printed = built("sdist", source, tmp_path)
    assert not warned_of_data(printed)
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert expected - held == set()
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    # A read-only folder outside of the checkout, in isolated mode: nothing but the wheel can be imported.
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from goalmaze.experiments import cli; "
    for arguments in (["--version"], ["families", "--help"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program + f"sys.exit(cli.main({arguments}))"],
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert b"KeysChests" in done.stdout


def test_the_warnings_of_a_build_are_those_that_the_setting_avoids(source: Path, tmp_path: Path) -> None:
    project = source / "pyproject.toml"
    text = project.read_text("utf-8")
    project.write_text(text.replace("include-package-data = false", ""), "utf-8")
    try:
        assert warned_of_data(built("library", source, tmp_path)[1])
    finally:
        project.write_text(text, "utf-8")

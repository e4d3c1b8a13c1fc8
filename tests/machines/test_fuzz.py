"""The fuzzing of `make fuzz` in small, and that its check finds what it looks for."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path
from typing import Any

import fuzzing
import pytest

from goalmaze.experiments import cli
from goalmaze.experiments.common import console

LINES, FILES = 30, 210


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    with contextlib.chdir(tmp_path_factory.mktemp("warm")):
        fuzzing.warm_up()


def test_no_command_line_ends_in_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [fuzzing.command_line(random.Random(seed)) for seed in range(LINES)]
    faults = {" ".join(line)[:300]: fault for line in lines if (fault := fuzzing.fault_of_command(line))}
    assert faults == {}


@pytest.mark.parametrize("kind", fuzzing.FILES)
def test_no_file_ends_in_a_traceback(kind: str, tmp_path: Path) -> None:
    faults = {seed: fuzzing.fault_of_file(kind, seed, tmp_path) for seed in range(FILES // len(fuzzing.FILES))}
    assert {seed: fault for seed, fault in faults.items() if fault} == {}


def raise_error(error: BaseException) -> None:
    raise error


PLANTED: dict[str, Any] = {
    "ZeroDivisionError": lambda _: 1 / 0,
    "SystemError": lambda _: raise_error(SystemError("no")),
    "enough memory": lambda _: bytearray(fuzzing.BYTES + 2**30),
    "Hang": lambda _: time.sleep(5),
    "not one line": lambda _: (console.complain("a"), raise_error(cli.GoalmazeError("b"))),
}


@pytest.mark.parametrize("words", PLANTED)
def test_a_planted_fault_is_found(words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzzing, "SECONDS", 0.2)
    monkeypatch.setattr(cli, "_run", PLANTED[words])
    assert words in str(fuzzing.fault_of_command(["zoo"]))
    monkeypatch.setitem(fuzzing.FILES, "planted", lambda *_: PLANTED[words](None))
    assert fuzzing.fault_of_file("planted", 0, tmp_path)


def test_what_is_refused_in_one_line_is_no_fault() -> None:
    assert fuzzing.fault_of_command(["zoo", "show", "nobody"]) is None


def test_command_lines_and_files_are_seeded_and_varied() -> None:
    lines = [fuzzing.command_line(random.Random(seed)) for seed in range(300)]
    assert lines == [fuzzing.command_line(random.Random(seed)) for seed in range(300)]
    assert {line[0] for line in lines if line} >= set(cli.COMMANDS)
    assert len({tuple(line) for line in lines}) > 250

"""`--device` of every command that runs networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plans import SMALL, write_plan

from goalmaze.experiments import cli

AGENT = "zoo:green-exit"

COMMANDS = (
    ["train", "--out", "run"],
    ["train", "--seeds", "0-1", "--out", "run"],
    ["eval", AGENT],
    ["eval", AGENT, "zoo:green-exit-1"],
    ["eval", AGENT, "--hypotheses"],
    ["eval", AGENT, "--choices"],
    ["probe", AGENT],
    ["retarget", AGENT],
    ["sweep", "plan.toml", "--out", "sweep"],
    ["live", AGENT, "--summary"],
    ["render", AGENT, "--out", "episode.html"],
    ["report", AGENT, "--out", "report.html"],
    ["zoo", "verify", "green-exit"],
    ["bench", "population"],
)


@pytest.fixture(autouse=True)
def _without_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_gpu_that_is_not_there_is_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_plan(tmp_path, SMALL)
    before = sorted(tmp_path.iterdir())
    assert cli.main([*command, "--device", "cuda"]) == 2
    output = capsys.readouterr()
    assert output.err.strip().splitlines()[-1].endswith("torch finds no CUDA device here; choose --device cpu or auto")
    assert not output.out
    assert sorted(tmp_path.iterdir()) == before


def test_auto_is_the_cpu_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for device in ("auto", "cpu"):
        assert cli.main(["eval", AGENT, "--levels", "8", "--device", device, "--json"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]

"""Probes and edits of a population are those of each agent, with their distribution over training seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stacked_zoo import make_population

from goalmaze.experiments.cli import main

PROBE = ["--sites", "stem", "--targets", "sign", "--levels", "16", "--fit-levels", "64"]
RETARGET = ["--sites", "stem", "--methods", "mean-pattern", "--levels", "16", "--fit-levels", "16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_population(tmp_path_factory.mktemp("populations") / "many", ["green-exit", "green-exit-twin"])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    data: dict[str, object] = json.loads(capsys.readouterr().out)
    return data


def test_probes_are_those_of_each_agent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = printed(capsys, "probe", str(folder), *PROBE)
    alone = [printed(capsys, "probe", f"{folder}/{number}", *PROBE) for number in range(2)]
    assert [agent["sites"] for agent in together["agents"]] == [one["sites"] for one in alone]
    assert together["agents"][0]["sites"] != together["agents"][1]["sites"]
    (row,) = together["distribution"]
    scores = [one["sites"][0]["score"] for one in alone]
    assert row["score"]["quantiles"]["max"] == pytest.approx(max(scores), abs=1e-4)
    assert row["score"]["median"]["value"] == pytest.approx(np.median(scores), abs=1e-4)
    assert row["score"]["median"]["low"] is None
    assert row["evidence"] == sum(bool(one["sites"][0]["evidence"]) for one in alone)


def test_retargeting_is_that_of_each_agent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = printed(capsys, "retarget", str(folder), *RETARGET)
    alone = [printed(capsys, "retarget", f"{folder}/{number}", *RETARGET) for number in range(2)]
    assert [agent["rows"] for agent in together["agents"]] == [one["rows"] for one in alone]
    edit = next(row for row in together["distribution"] if row["condition"] == "edit")
    rates = [next(row for row in one["rows"] if row["condition"] == "edit")["outcomes"]["target"] for one in alone]
    assert edit["target"]["quantiles"]["min"] == pytest.approx(min(rates), abs=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        ["probe", "--by", "channel"],
        ["probe", "--by", "checkpoint"],
        ["retarget", "--benchmark"],
        ["retarget", "--ledger"],
        ["live"],
    ],
)
def test_what_needs_one_agent_names_one(folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command, *options = arguments
    assert main([command, str(folder), *options]) == 2
    error = capsys.readouterr().err
    assert f"{folder}/0" in error
    assert error.count("\n") == 1

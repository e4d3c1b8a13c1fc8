"""Probes and edits of a population are those of each agent, with their distribution over training seeds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from complaints import Refusals
from stacked_zoo import make_population

from goalmaze.experiments.cli import main
from goalmaze.experiments.common.agent_groups import SeedRow
from goalmaze.experiments.common.seed_figures import draw_seed_rows
from goalmaze.experiments.statistics.over_seeds import ValueDistribution

PROBE = ["--sites", "stem", "--targets", "sign", "--levels", "16", "--fit-levels", "64"]
PNG = b"\x89PNG"
RETARGET = ["--sites", "stem", "--methods", "mean-pattern", "--levels", "16", "--fit-levels", "16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_population(tmp_path_factory.mktemp("populations") / "many", ["green-exit", "green-exit-twin"])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    data: dict[str, object] = json.loads(capsys.readouterr().out)
    return data


def test_probes_are_those_of_each_agent(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = printed(capsys, "probe", str(folder), *PROBE, "--figures", str(tmp_path))
    assert together["pictures"] == [str(tmp_path / "probes.png")]
    assert (tmp_path / "probes.png").read_bytes().startswith(PNG)
    alone = [printed(capsys, "probe", f"{folder}/{number}", *PROBE) for number in range(2)]
    assert [agent["sites"] for agent in together["agents"]] == [one["sites"] for one in alone]
    assert together["agents"][0]["sites"] != together["agents"][1]["sites"]
    (row,) = together["distribution"]
    scores = [one["sites"][0]["score"] for one in alone]
    assert row["score"]["quantiles"]["max"] == pytest.approx(max(scores), abs=1e-4)
    assert row["score"]["median"]["value"] == pytest.approx(np.median(scores), abs=1e-4)
    assert row["score"]["median"]["low"] is None
    assert row["evidence"] == sum(bool(one["sites"][0]["evidence"]) for one in alone)


def test_retargeting_is_that_of_each_agent(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = printed(capsys, "retarget", str(folder), *RETARGET, "--figures", str(tmp_path))
    assert together["pictures"] == [str(tmp_path / "retargeting.png")]
    assert (tmp_path / "retargeting.png").read_bytes().startswith(PNG)
    alone = [printed(capsys, "retarget", f"{folder}/{number}", *RETARGET) for number in range(2)]
    assert [agent["rows"] for agent in together["agents"]] == [one["rows"] for one in alone]
    edit = next(row for row in together["distribution"] if row["condition"] == "edit")
    rates = [next(row for row in one["rows"] if row["condition"] == "edit")["outcomes"]["target"] for one in alone]
    assert edit["target"]["quantiles"]["min"] == pytest.approx(min(rates), abs=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        "eval POPULATION --grid",
        "eval POPULATION --grid --figures pictures",
        "eval POPULATION --choices",
        "eval POPULATION --hypotheses",
        "eval POPULATION --hypotheses --figures pictures",
        "eval zoo:green-exit POPULATION",
        "probe POPULATION --by channel",
        "probe POPULATION --by channel --figures pictures",
        "probe POPULATION --by checkpoint",
        "retarget POPULATION --benchmark",
        "retarget POPULATION --benchmark --figures pictures",
        "retarget POPULATION --auto",
        "retarget POPULATION --auto --figures pictures",
        "retarget POPULATION --ledger",
        "live POPULATION",
        "live POPULATION --summary",
        "render POPULATION --out a.gif",
        "report POPULATION --out a.html",
        "leakage POPULATION",
    ],
)
def test_what_needs_one_agent_names_one(folder: Path, arguments: str, refusals: Refusals) -> None:
    refusals.check(arguments.replace("POPULATION", str(folder)).split(), [f"{folder}/0", "population"])


def test_the_points_of_a_figure_are_the_agents() -> None:
    """The oracle is the data of matplotlib's lines; a row without values has no points."""
    scores = (0.2, 0.9, 0.5, math.nan)
    rows = [SeedRow("stem", ValueDistribution(scores), 0.4), SeedRow("block1", ValueDistribution((math.nan,)))]
    (axes,) = draw_seed_rows({"sign: accuracy": rows}, "a population", "score", "best baseline").axes
    points = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in points] == [[0.2, 0.9, 0.5]]
    medians = [line for line in axes.get_lines() if line.get_linestyle() == "-"]
    assert [list(line.get_xdata()) for line in medians] == [[0.5, 0.5]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["stem", "block1"]

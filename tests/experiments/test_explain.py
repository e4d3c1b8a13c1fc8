"""`goalmaze explain`: the fields of its JSON, a network whose channel is a known formula, and what it refuses."""

from __future__ import annotations

import json

import pytest
from complaints import Refusals

from goalmaze.experiments import cli

AGENT = "zoo:green-exit-early"


def test_units_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["explain", AGENT, "--units", "--sites", "stem", "--levels", "24", "--fit-levels", "32", "--json"]
    assert cli.main(line) == 0
    report = json.loads(capsys.readouterr().out)
    rows = report["rows"]
    assert {"site", "channel", "explanation", "r2", "r2_untrained", "intervention_kl"} <= set(rows[0])
    assert [row["channel"] for row in rows] == list(range(16))
    stem = report["sites"][0]
    # A linear map of nine squares: a few entries explain most of it, and explain another channel badly.
    assert stem["r2"] > 0.6 > stem["r2_shuffled"]
    assert stem["site_kl"] < stem["site_mean_kl"]
    assert stem["difference_low"] <= stem["difference"] <= stem["difference_high"]


def test_explain_refuses_what_it_cannot_do(refusals: Refusals) -> None:
    for options, words in (
        ([], ["say what to explain", "--units"]),
        (["--units", "--sites", "block99"], ["unknown site", "block99"]),
        (["--units", "--levels", "1"], ["--levels"]),
    ):
        refusals.check(["explain", AGENT, *options], words)

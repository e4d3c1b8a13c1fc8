"""Tables: text for people, plain numbers for CSV and data frames."""

import math

import numpy as np
import pandas
import pytest

import goalmaze as gm
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.statistics.intervals import rate

TABLE = Table(
    ["agent", "solved", "cue preference", "p"],
    [
        ["one", formatted(0.98765, ".2f"), rate(3, 4), formatted(0.01, ".4f")],
        ["two", formatted(math.nan, ".2f"), rate(1, 4), ""],
    ],
)


def test_a_number_prints_by_its_format_and_exports_its_value() -> None:
    assert TABLE.text().splitlines()[2].split() == ["one", "0.99", "0.75", "[0.30,", "0.95]", "0.0100"]
    assert TABLE.text().splitlines()[3].split()[:2] == ["two", "-"]
    assert TABLE.csv().splitlines()[1].startswith("one,0.98765,0.75,0.30")
    assert TABLE.csv().splitlines()[2].startswith("two,,0.25,")


def test_a_data_frame_holds_numbers() -> None:
    frame = pandas.DataFrame.from_records(TABLE.records())
    assert list(frame) == ["agent", "solved", "cue preference", "cue preference low", "cue preference high", "p"]
    assert all(dtype == np.float64 for dtype in frame.dtypes[1:])
    assert frame["solved"].tolist()[0] == 0.98765
    assert frame["p"].isna().tolist() == [False, True]


@pytest.mark.parametrize("shift", ["none", "moved-sign"])
def test_the_table_of_an_evaluation_fits_a_terminal_and_holds_numbers(shift: str) -> None:
    report = gm.evaluate(gm.load("zoo:green-exit"), shift=shift, levels=16)
    assert max(map(len, report.tables()[0].text().splitlines())) <= 80
    frame = report.to_frame()
    assert frame["solved"].dtype == np.float64
    assert frame["solved"][0] == report.agent.solved.value
    assert {"cue preference low", "cue preference high"} <= set(frame)

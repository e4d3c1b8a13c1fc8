"""What names the agents of a population: lists of seeds and grids, and the refusal of bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from complaints import complaint

from goalmaze.experiments.train.population.seeds import grid_of, seed_list, seeds_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seeds 0,1,0", "seed 0 is listed twice"),
        ("--seeds 0-3,2", "seed 2 is listed twice"),
        ("--seeds 5-2", "the range 5-2 is empty; write 2-5"),
        ("--seeds=", "'' is no seed; write 0-63"),
        ("--seeds 0,,1", "'' is no seed"),
        ("--seeds a-b", "'a-b' is no seed"),
        ("--seeds=-1-3", "'-1-3' is no seed"),
        ("--seeds 0-99999", "more than 10,000 agents"),
        ("--seeds 0-999999999999", "more than 10,000 agents"),
        ("--seeds 0-1 --seed 3", "--seeds and --seed exclude each other"),
        ("--seeds 0-1 --set seed=3", "--seeds and --set seed=... exclude each other"),
        ("--seeds 0-1 --resume x", "--seeds and --resume exclude each other"),
        ("--seeds 0-1 --tensorboard", "--seeds and --tensorboard exclude each other"),
        ("--grid salience=1,2", "--grid is for populations: add --seeds"),
        ("--workers 2", "--workers is for populations: add --seeds"),
        ("--seeds 0-1 --grid size=5,7", "observations are 4x5x5 with size=5 and 4x7x7 with size=7"),
        ("--seeds 0-1 --grid size=5,7 --network lstm", "train one for each"),
        ("--seeds 0-1 --grid salience=1,1.0", "a value is listed twice"),
        ("--seeds 0-1 --grid salience=1 salience=2", "parameter salience is listed twice"),
        ("--seeds 0-1 --grid salience", "write it as PARAMETER=VALUE,VALUE"),
        ("--seeds 0-1 --grid brightness=1,2", "unknown parameter"),
        ("--seeds 0-1 --grid salience=1,-5", "salience"),
        ("--seeds 0-1 --network nothing", "unknown network 'nothing'"),
        ("--seeds 0-1 --workers 2 --cluster tcp://a", "leave one out"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert message in complaint(capsys, "train", *arguments.split(), "--out", str(out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "listed"),
    [("0-3", (0, 1, 2, 3)), ("0,3,7", (0, 3, 7)), ("0-2,16", (0, 1, 2, 16)), (" 5 , 7 - 9", (5, 7, 8, 9))],
)
def test_lists_of_seeds_are_read_and_written(text: str, listed: tuple[int, ...]) -> None:
    assert seed_list(text) == listed
    assert seed_list(seeds_text(listed)) == listed


def test_a_grid_is_every_combination() -> None:
    assert grid_of(["a=1,2", "b=x,y"]) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert grid_of([]) == [{}]
    assert grid_of(["a=[1,2],[3]"]) == [{"a": [1, 2]}, {"a": [3]}]

"""The families listed and drawn, and the check for levels that leak from training into evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.family_docs import family_sections
from goalmaze.envs.rendering import frame
from goalmaze.experiments import cli
from goalmaze.experiments.bench import command as bench
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.catalogue import families, leakage
from goalmaze.experiments.catalogue.config import FamiliesConfig, LeakageConfig
from goalmaze.experiments.catalogue.families_figures import draw_families


def test_every_family_is_drawn_under_every_distribution() -> None:
    report = families.run(FamiliesConfig(size=9)).json()["families"]
    assert {one["name"] for one in report} == set(known_families())
    for one in report:
        family = make_family(one["name"], {"size": 9})
        assert set(one["levels"]) == {"none", *family.shifts}
        for shift, picture in one["levels"].items():
            assert read_ascii(picture, family).hashes() == family.levels(0, [0], shift).hashes()


def test_the_sheet_shows_a_frame_of_every_distribution() -> None:
    report = families.run(FamiliesConfig(size=7, seed=3))
    figure = draw_families(report, pixels=8)
    shown = {ax.get_title(loc="left"): ax.images[0].get_array() for ax in figure.axes if ax.images}
    expected = {
        f"{family.name}\n{'training' if shift == 'none' else shift}": frame(
            levels := family.levels(3, [0], shift), 0, levels.start[0], pixels=8
        )
        for family in report.families
        for shift in ("none", *family.shifts)
    }
    assert shown.keys() == expected.keys()
    assert all(np.array_equal(shown[title], picture) for title, picture in expected.items())
    assert len({picture.tobytes() for picture in expected.values()}) > 0.7 * len(expected)


def test_one_family_can_be_named_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["families", "GreenExit", "--size", "5"]) == 0
    shown = capsys.readouterr().out
    assert "moved-sign" in shown
    assert shown.rstrip().endswith(family_sections(make_family("GreenExit", {"size": 5})))
    assert "uint8 [4, 5, 5]" in shown
    assert cli.main(["families", "--size", "5"]) == 0
    assert "## Arguments" not in capsys.readouterr().out
    assert cli.main(["families", "GreenExt"]) == 2
    assert cli.main(["families", "--parameters", "braid=1"]) == 2
    assert cli.main(["families", "GreenExit", "--parameters", "brade=1"]) == 2
    assert "did you mean 'GreenExit'" in capsys.readouterr().err


def test_a_family_of_another_engine_is_described_with_or_without_its_package(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = families.run(FamiliesConfig(family="ProcgenMaze")).json()["families"][0]
    assert (report["name"], report["goal"], report["distinguishing_shift"]) == (
        "ProcgenMaze",
        "cheese",
        "goal-anywhere",
    )
    assert cli.main(["families", "ProcgenMaze"]) == 0
    shown = capsys.readouterr().out
    assert "goal-anywhere" in shown
    assert ("pip install 'goalmaze[procgen]'" in shown) == (not report["levels"])


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("leak") / "run"
    small = ["--size", "5", "--steps", "8192", "--network-options", "blocks=1", "--threads", "1"]
    assert cli.main(["train", "--out", str(run), *small]) == 0
    return run


def test_tiny_mazes_leak_and_the_count_equals_a_slow_one(tiny_run: Path) -> None:
    report = leakage.run(LeakageConfig(agent=str(tiny_run), levels=200)).json()
    family = make_family("GreenExit", {"size": 5})
    trained = set(family.levels(0, range(report["training_levels"]), split="training").hashes())
    slow = sum(one in trained for one in family.levels(0, range(200)).hashes())
    assert report["same_level"] == slow
    assert slow > 100
    assert report["same_observation"] >= slow
    walls = {one.tobytes() for one in family.levels(0, range(report["training_levels"]), split="training").walls}
    assert report["same_walls"] == sum(one.tobytes() in walls for one in family.levels(0, range(200)).walls) > 150


def test_large_mazes_do_not_leak(tiny_run: Path) -> None:
    assert leakage.run(LeakageConfig(agent=str(tiny_run), levels=100, size=13)).overlap.same_level == 0


def test_a_run_without_its_log_is_refused(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes((tiny_run / "checkpoint.safetensors").read_bytes())
    assert cli.main(["leakage", str(tmp_path)]) == 2
    assert "no readable recipe.json and log.csv" in capsys.readouterr().err


def test_the_benchmark_of_environments_has_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    from goalmaze.experiments.bench import env as bench_env

    monkeypatch.setattr(bench_env, "SECONDS", 0.01)
    monkeypatch.setattr(bench_env, "BATCH", 64)
    report = json.loads(json.dumps(bench.run(BenchConfig(name="env")).json()))
    assert {row["family"] for row in report["rows"]} >= set(known_families())
    keys = {"family", "size", "observation", "batch", "threads", "steps_per_s", "levels_per_s"}
    assert all(keys <= set(row) for row in report["rows"])
    bandwidths = [row["bytes_per_s"] for row in report["rows"] if "bytes_per_s" in row]
    assert len(bandwidths) == 2
    assert min(bandwidths) > 0

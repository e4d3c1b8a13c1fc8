"""Laws of scale: a planted law is found and predicts sealed rows; rows of no law are not; a seal is a seal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import scipy

from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import train
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.experiments.formation.exact import CellPolicy
from goalmaze.experiments.formation.measures.fork_margin import nearer
from goalmaze.experiments.scaling.__main__ import main
from goalmaze.experiments.scaling.figures import draw_scaling
from goalmaze.experiments.scaling.grid import normalised_regret
from goalmaze.experiments.scaling.law import IntrinsicLaw, LastValue, Nearest
from goalmaze.experiments.scaling.pairs import matched_pairs
from goalmaze.experiments.scaling.rates import RateChoice, RateRow
from goalmaze.experiments.scaling.registration import FILE, RegisteredScaling, parse_numbers, registered_scaling
from goalmaze.experiments.scaling.report import Scaling, planted_rows, predict_sealed
from goalmaze.experiments.scaling.rows import ScaleRow, SplitRows, seal, split_rows

LAW = IntrinsicLaw(np.array([np.log(1500), 0.9, np.log(15_000), 1.1, 1.0]))
STEPS = (4_000, 8_000, 16_000, 32_000, 64_000, 128_000)


@pytest.fixture(scope="module")
def planted() -> SplitRows:
    return split_rows(planted_rows(LAW, (4, 8, 16, 32), (2, 4), STEPS, seeds=4, noise=0.1))


@pytest.fixture(scope="module")
def result(planted: SplitRows, tmp_path_factory: pytest.TempPathFactory) -> Scaling:
    path = tmp_path_factory.mktemp("scaling") / "seal"
    seal(path, planted)
    return predict_sealed(planted, path)


def test_the_largest_network_and_the_last_steps_are_sealed(planted: SplitRows) -> None:
    assert {row.steps for row in planted.fitted} == {4_000, 8_000, 16_000, 32_000}
    assert max(row.parameters for row in planted.fitted) < max(row.parameters for row in planted.sealed)
    assert not set(planted.fitted) & set(planted.sealed)


def test_a_planted_law_is_found_and_predicts(result: Scaling) -> None:
    # The planted exponents are 0.9 and 1.1.
    assert result.exponents["parameters"] == pytest.approx(0.9, abs=0.2)
    assert result.exponents["interactions"] == pytest.approx(1.1, abs=0.2)
    laws = {row.part: row for row in result.rows if row.quantity == "regret" and row.predictor == IntrinsicLaw.name}
    law = laws["all"]
    assert law.cells == laws["largest network"].cells + laws["last steps"].cells
    assert law.median_points <= 2
    assert law.against_best_rival <= -0.3
    assert 0.8 <= law.coverage <= 1.0
    assert set(result.json()["rows"][0]) == {one.name for one in dataclasses.fields(law)}
    assert "predictions of sealed cells" in result.text()


def test_a_quantity_without_a_law_is_not_predicted_better_than_by_its_mean(result: Scaling) -> None:
    # The negative control: the planted preferences are noise.
    row = next(one for one in result.rows if one.quantity == "preference" and one.predictor == "log-linear")
    assert row.against_best_rival > -0.3 or row.median_points < 5


def test_rivals_say_what_their_names_say() -> None:
    parameters, steps = np.array([100.0, 100, 400, 400]), np.array([10.0, 100, 10, 100])
    values = np.array([0.9, 0.5, 0.8, 0.3])
    wanted = np.array([100.0, 1600, 380]), np.array([900.0, 100, 12])
    assert LastValue.fit(parameters, steps, values).predict(*wanted) == pytest.approx([0.5, 0.3, 0.8])
    assert Nearest.fit(parameters, steps, values).predict(*wanted) == pytest.approx([0.5, 0.3, 0.8])


def test_the_regret_of_the_optimum_is_0_and_of_a_still_agent_1() -> None:
    levels = GreenExit(size=7).levels(2, np.arange(6))
    goals = levels.cells("exit")
    shortest = nearer(levels, goals).astype(float)
    best = shortest / np.maximum(shortest.sum(axis=2, keepdims=True), 1)
    free = levels.free()
    assert normalised_regret(CellPolicy(levels, free, best), goals) == pytest.approx(0)
    assert normalised_regret(CellPolicy(levels, free, np.zeros_like(best)), goals) == pytest.approx(1)


def test_numbers_are_those_of_the_registration() -> None:
    text = FILE.read_text("utf-8")
    assert registered_scaling() == RegisteredScaling(1.25, 3, 0.9, 200, 1.25)
    assert parse_numbers(
        text.replace("| sealed factor in steps | 3 |", "| sealed factor in steps | 4 |")
    ) != parse_numbers(text)


def test_pairs_are_deep_and_wide_with_about_as_many_parameters() -> None:
    def rows(width: int, blocks: int, parameters: int, regrets: Sequence[float]) -> list[ScaleRow]:
        ends = [ScaleRow(width, blocks, parameters, 100, seed, one, 0.5) for seed, one in enumerate(regrets)]
        # Checkpoints before the last one do not count.
        return [*ends, *(msgspec.structs.replace(one, steps=10, regret=0.99) for one in ends)]

    deep, wide, other = (0.1, 0.2, 0.3), (0.5, 0.6, 0.9), (0.0, 0.0, 0.0)
    grid = [*rows(8, 8, 500, deep), *rows(16, 2, 600, wide), *rows(16, 4, 900, other)]
    (pair,) = matched_pairs(grid, 1.25)
    assert (pair.deep, pair.wide) == ((8, 8, 500), (16, 2, 600))
    assert pair.regret.value == pytest.approx(0.2 - 2 / 3)
    expected = scipy.stats.ttest_ind(deep, wide, equal_var=False).confidence_interval(0.95)
    assert (pair.regret.low, pair.regret.high) == pytest.approx(tuple(expected))
    # All preferences are the same.
    assert (pair.preference.low, pair.preference.high) == (0, 0)
    assert matched_pairs(grid, 1.1) == ()


def test_the_rate_of_a_width_is_that_with_the_lowest_mean_regret() -> None:
    rows = [RateRow(4, 0.001, 10, (0.2, 0.6)), RateRow(4, 0.002, 10, (0.3, 0.3)), RateRow(8, 0.004, 10, (0.9, 0.9))]
    choice = RateChoice(tuple(rows))
    assert choice.chosen == {4: 0.002, 8: 0.004}
    assert choice.json()["chosen"] == {"4": 0.002, "8": 0.004}
    assert "0.400" in choice.text()
    assert "0.002" in choice.text()


def test_the_figure_has_a_panel_for_each_depth_and_hollow_points_for_sealed_cells(planted: SplitRows) -> None:
    figure = draw_scaling(planted)
    assert len(figure.axes) == 2 * 2
    points = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    hollow = sum(len(line.get_xdata()) for line in points if line.get_fillstyle() == "none")
    assert hollow == len({row.cell for row in planted.sealed if row.blocks == 2})


def test_a_grid_of_runs_is_measured_once_and_its_page_remade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for width in (2, 4, 8):
        runs.append(str(tmp_path / f"width{width}"))
        recipe = Recipe(
            family="GreenExit",
            parameters={"size": 5},
            network_options={"channels": width, "blocks": 1},
            steps=4096,
            envs=8,
            rollout_steps=64,
            series="dense",
            threads=1,
        )
        train(recipe, Path(runs[-1]))
    docs = tmp_path / "docs"
    (docs / "pictures").mkdir(parents=True)
    (docs / "formation.md").write_text("before\n<!-- scaling -->\nold\n<!-- end -->\nafter\n", "utf-8")
    cache = ["--cache", str(tmp_path / "cache")]
    run_main(monkeypatch, "rates", *runs, *cache)
    assert "learning rate of each width" in capsys.readouterr().out
    run_main(monkeypatch, "seal", str(tmp_path / "seal"), *runs, *cache)
    written = len(list((tmp_path / "cache").iterdir()))
    assert capsys.readouterr().out.startswith("sealed ")
    run_main(monkeypatch, "predict", str(tmp_path / "seal"), *runs, *cache, "--docs", str(docs), "--json")
    result = json.loads(capsys.readouterr().out)
    assert len(list((tmp_path / "cache").iterdir())) == written
    assert {row["part"] for row in result["rows"]} == {"all", "largest network", "last steps"}
    page = (docs / "formation.md").read_text("utf-8")
    assert "old" not in page
    assert result["digest"] in page
    assert (docs / "pictures" / "formation-scaling.png").stat().st_size > 10_000
    # Sealed once: a second seal is refused by one line.
    with pytest.raises(SystemExit):
        run_main(monkeypatch, "seal", str(tmp_path / "seal"), *runs, *cache)
    assert capsys.readouterr().err.startswith("goalmaze: ")


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["scaling", *arguments])
    main()


def test_exchanged_rows_do_not_fit_the_seal(planted: SplitRows, tmp_path: Path) -> None:
    path = tmp_path / "seal"
    seal(path, planted)
    first = planted.sealed[0]
    other = (msgspec.structs.replace(first, regret=first.regret / 2), *planted.sealed[1:])
    with pytest.raises(GoalmazeError, match="not those"):
        predict_sealed(dataclasses.replace(planted, sealed=other), path)
    # The order of rows says nothing.
    assert dataclasses.replace(planted, sealed=planted.sealed[::-1]).digest == planted.digest
    with pytest.raises(GoalmazeError, match="sealed once"):
        seal(path, planted)
    with pytest.raises(GoalmazeError, match="cannot read the seal"):
        predict_sealed(planted, tmp_path / "none")


def test_a_grid_of_one_size_is_refused() -> None:
    with pytest.raises(GoalmazeError, match="three sizes"):
        split_rows([ScaleRow(4, 2, 100, 10, 0, 0.5, 0.5)])

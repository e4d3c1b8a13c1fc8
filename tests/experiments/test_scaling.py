"""Laws of scale: a planted law is found and predicts sealed rows; rows of no law are not; a seal is a seal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.experiments.formation.exact import CellPolicy
from goalmaze.experiments.formation.measures.fork_margin import nearer
from goalmaze.experiments.scaling.grid import normalised_regret
from goalmaze.experiments.scaling.law import IntrinsicLaw, LastValue, Nearest
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
    law = next(row for row in result.rows if row.quantity == "regret" and row.predictor == IntrinsicLaw.name)
    assert law.median_points <= 2
    assert law.against_best_rival <= -0.3
    assert 0.8 <= law.coverage <= 1.0
    assert set(result.json()["rows"][0]) == {one.name for one in dataclasses.fields(law)}
    assert "prediction of the sealed cells" in result.text()


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
    with pytest.raises(GoalmazeError, match="two sizes"):
        split_rows([ScaleRow(4, 2, 100, 10, 0, 0.5, 0.5)])

"""Plans of sweeps: errors in one line, run names, and where a dial is in a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from complaints import complaint
from plans import SMALL, write_plan

from goalmaze.experiments.sweeps.plan import read_plan, shipped_plans


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (SMALL.replace("corner =", "cornr ="), ["unknown dial 'cornr'", "did you mean 'corner'"]),
        (SMALL.replace("[1, 3]", "[]"), ["corner is an empty list", "give it values"]),
        (SMALL.replace("[0, 1]", "[]"), ["seeds is an empty list"]),
        (SMALL.replace("seeds", "sedes", 1), ["unknown key", "'sedes'", "did you mean 'seeds'"]),
        (SMALL.replace("[0, 1]", "[0, 0]"), ["twice", "corner=1-seed=0"]),
        (SMALL.replace("corner = [1, 3]", "braid = [0, 0.0]"), ["twice", "each value of a dial once"]),
        (SMALL.replace("[1, 3]", "[1, 9]"), ["corner is 9", "choose 1 to 3"]),
        (SMALL.replace("[1, 3]", '["much"]'), ["corner"]),
        (SMALL.replace("envs", "envz"), ["unknown field of a recipe 'envz'", "did you mean 'envs'"]),
        (SMALL.replace("channels", "chanels"), ["unknown option of network grid 'chanels'"]),
        (SMALL.replace("Corner", "Cornr"), ["unknown family 'Cornr'"]),
        (SMALL.replace('"Corner"', '"Corner"\nseed = 3'), ["seed is given in [train]", "seeds = [...]"]),
        (SMALL.replace("seeds = [0, 1]", 'seeds = [0, "a"]'), ["seeds"]),
        ('shifts = ["anywere"]' + SMALL, ["unknown shift 'anywere'", "anywhere"]),
        ('shifts = ["none", "none"]' + SMALL, ["none is named twice"]),
        (SMALL.replace("[dials]", "[dials"), ["not valid TOML"]),
        (SMALL.replace("[train]", "[trian]"), ["unknown key", "'trian'"]),
        (SMALL.replace("[1, 3]", str([1] * 6000)), ["12,000 runs"]),
    ],
    ids=range(18),
)
def test_a_bad_plan_gets_one_line_and_trains_nothing(
    text: str, names: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = complaint(capsys, "sweep", str(write_plan(tmp_path, text)), "--out", str(tmp_path / "out"))
    for name in names:
        assert name in answer
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["nowhere.toml"], ["no file nowhere.toml", "colour-shape"]),
        (["coler-shape"], ["unknown sweep", "did you mean 'colour-shape'"]),
        (["colour-shape", "--workers", "-1"], ["--workers is -1"]),
        (["colour-shape", "--workers", "2", "--cluster", "tcp://127.0.0.1:1"], ["--workers", "--cluster", "leave one"]),
        (["colour-shape", "--save-every", "-1"], ["--save-every is -1"]),
        (["colour-shape", "--gather", "--out", "OUT"], ["no run of colour-shape is finished", "--gather"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_bad_arguments_get_one_line(
    arguments: list[str], names: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = complaint(capsys, "sweep", *[str(tmp_path / "out") if word == "OUT" else word for word in arguments])
    for name in names:
        assert name in answer


def test_every_plan_that_ships_can_be_carried_out() -> None:
    # Procgen's is read where Procgen is installed, in tests/envs/procgen.
    plans = {name: read_plan(path) for name, path in shipped_plans().items() if name != "procgen-recipe"}
    reproduced = {"colour-shape", "corner-size", "correlation", "keys-chests", "salience"}
    assert set(plans) == reproduced | {
        "reward",
        "reward-9x9",
        "alpha50",
        "alpha50-continued",
        "alpha50-corner",
        "alpha50-colour-shape",
        "alpha50-cures",
        "alpha50-trained-steps",
        "interpretability-in-the-loss",
    }
    assert len(plans["colour-shape"].seeds) >= 16
    assert all(plan.about and len(plan.seeds) >= 2 for plan in plans.values())


def test_a_run_is_named_by_its_dials(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, SMALL))
    names = [task.name for task in plan.tasks]
    assert [name.rsplit("-", 1)[0] for name in names] == [f"corner={c}-seed={s}" for c in (1, 3) for s in (0, 1)]
    assert [(t.recipe.parameters["corner"], t.recipe.seed) for t in plan.tasks] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    reordered = SMALL.replace("envs = 16\nrollout_steps = 16", "rollout_steps = 16\nenvs = 16")
    assert [task.name for task in read_plan(write_plan(tmp_path, reordered)).tasks] == names
    changed = read_plan(write_plan(tmp_path, SMALL.replace("epochs = 1", "epochs = 2")))
    assert not set(names) & {task.name for task in changed.tasks}
    assert all(task.recipe.threads == 1 for task in plan.tasks)


def test_dials_are_fields_parameters_and_options(tmp_path: Path) -> None:
    dials = 'corner = [1]\nlearning_rate = [0.1]\nchannels = [4, 6]\n"algorithm_options.target_kl" = [0.5]'
    recipe = read_plan(write_plan(tmp_path, SMALL.replace("corner = [1, 3]", dials))).tasks[-1].recipe
    assert recipe.learning_rate == 0.1
    assert recipe.network_options["channels"] == 6
    assert recipe.parameters["corner"] == 1
    assert recipe.algorithm_options == {"target_kl": 0.5}

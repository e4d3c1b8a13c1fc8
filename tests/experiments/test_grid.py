"""The grid: its conditions, its results, its figures, and bad input in one line."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from complaints import Refusals, complaint, words_of_case

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.experiments import cli
from goalmaze.experiments.evaluate import command
from goalmaze.experiments.evaluate.comparison import compare_seed_groups
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.experiments.evaluate.grid import Condition, Grid, conditions_of, read_dials, varied_family
from goalmaze.experiments.evaluate.setup import SeedGroup, require_compatible
from goalmaze.experiments.reports.findings import default_dials

AGENT = "zoo:green-exit"
FAMILY = make_family("GreenExit")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--grid", "--dials", "saliense"], ["unknown dial", "saliense", "did you mean 'salience'"]),
        (["--grid", "--dials", "braid="], ["the grid is empty", "VALUE"]),
        (["--grid", "--dials", "size=9"], ["grid along size is empty", "already"]),
        (["--grid", "--dials", "size=8"], ["size is 8", "odd"]),
        (["--grid", "--dials", "braid=much"], ["braid"]),
        (["--grid", "--dials", "openness"], ["no default values", "openness=VALUE"]),
        (["--dials", "braid"], ["--grid"]),
        (["--grid", "--shift", "moved-sign"], ["--grid evaluates under every shift"]),
        (["--grid", "--hypotheses"], ["--grid and --hypotheses", "one at a time"]),
        (["--figures", "x"], ["--figures"]),
        (["--family", "Dish"], ["cannot act in this Dish", "planes", "choose an agent"]),
        (["--family", "Dsh"], ["unknown family 'Dsh'"]),
        (["--parameters", "saliense=2"], ["saliense", "did you mean 'salience'"]),
        (["zoo:green-exit-twn"], ["unknown zoo agent", "green-exit-twin"]),
        ([AGENT], ["named twice"]),
        (["--choices", "--shift", "none", "--levels", "8"], ["0 choices between exit and sign"]),
    ],
    ids=words_of_case,
)
def test_bad_input_gets_one_line(arguments: list[str], names: list[str], refusals: Refusals) -> None:
    refusals.check(["eval", AGENT, *arguments], names)


def test_a_folder_that_cannot_be_made_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["--grid", "--dials", "braid", "--levels", "2", "--figures", str(tmp_path / "file")]
    assert "cannot make this folder" in complaint(capsys, "eval", AGENT, *arguments)


def test_the_grid_holds_every_shift_and_every_dial_but_what_was_trained_on() -> None:
    conditions = conditions_of([FAMILY])
    assert {c.shift for c in conditions if c.dial == "shift"} == {"none", *FAMILY.shifts}
    assert {c.dial for c in conditions} == {"shift", "size", "braid", "algorithm", "correlation", "salience"}
    assert not any(c.dial != "shift" and c.value == FAMILY.parameters[c.dial] for c in conditions)
    for condition in conditions:
        family = varied_family(FAMILY, condition)
        changed = {name for name, value in family.parameters.items() if value != FAMILY.parameters[name]}
        assert changed == ({condition.dial} - {"shift"})
        assert len(family.levels(0, [0, 1], condition.shift)) == 2
    assert {c.shift for c in conditions if c.dial == "correlation"} == {"none"}
    twin = dataclasses.replace(FAMILY, correlation=0.0)
    both = conditions_of([FAMILY, twin], read_dials(["correlation=0,1"], FAMILY))
    assert [c.value for c in both if c.dial == "correlation"] == [0, 1]


def test_a_family_has_only_the_dials_that_change_its_levels() -> None:
    family = ProcgenMaze(mode="easy")
    conditions = conditions_of([family])
    assert [c.value for c in conditions] == ["none", *family.shifts]
    assert default_dials(family) == ()
    assert {text.partition("=")[0] for text in default_dials(FAMILY)} == {"braid", "size"}
    for dial in family.unused:
        with pytest.raises(GoalmazeError, match=f"unknown dial of ProcgenMaze '{dial}'"):
            read_dials([f"{dial}=1"], family)
        with pytest.raises(GoalmazeError, match=f"unknown dial of ProcgenMaze '{dial}'"):
            conditions_of([family], {dial: [1]})
    assert [c.value for c in conditions_of([family], {"region": [3]}) if c.dial == "region"] == [3, 3]


def test_a_grid_of_two_agents_is_evaluated_and_drawn(tmp_path: Path) -> None:
    config = EvalConfig(
        agent=AGENT,
        others=("zoo:green-exit-twin",),
        grid=True,
        dials=("size=7,17",),
        levels=64,
        figures=tmp_path / "new",
    )
    found = command.run(config)
    assert isinstance(found, Grid)
    data = json.loads(json.dumps(found.json()))
    assert len(data["cells"]) == 2 * (1 + len(FAMILY.shifts) + 4)
    base = Condition("shift", "none", "none")
    large = next(c for c in found.conditions if c.value == 17 and c.shift == "none")
    for agent in found.agents:
        assert found.cells[agent, large].changed
        assert not found.cells[agent, base].changed
    moved = [found.cells[agent, Condition("shift", "moved-sign", "moved-sign")].evaluation for agent in found.agents]
    assert moved[0] is not None
    assert moved[1] is not None
    assert moved[0].preference.low > moved[1].preference.high
    assert [one["intervals_cover"] for one in (moved[0].json(), moved[1].json())] == ["levels", "levels"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["grid-curves.png", "grid-heat.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "new").iterdir())
    for name in ("moved-sign", "size 17", "more direct", "wrote", "the walls of"):
        assert name in found.text()
    check_summaries(found)


def check_summaries(found: Grid) -> None:
    """Check that each summary is the mean over conditions of its own kind, which the mean over all is not."""
    for agent in found.agents:
        solved = {
            condition: found.cells[agent, condition].evaluation.solved.value  # type: ignore[union-attr]
            for condition in found.conditions
        }
        kinds = {
            "training distribution": [
                rate for one, rate in solved.items() if (one.dial, one.shift) == ("shift", "none")
            ],
            "a dial varied": [rate for one, rate in solved.items() if one.dial != "shift" and one.shift == "none"],
            "under shifts": [rate for one, rate in solved.items() if one.shift != "none"],
        }
        for summary in found.summaries:
            group = next(one for one in summary.seed_groups if one.agents == (agent,))
            assert group.solved.value == pytest.approx(np.mean(kinds[summary.conditions]))
            assert summary.number == len(kinds[summary.conditions])
        assert [summary.conditions for summary in found.summaries] == list(kinds)
        assert abs(np.mean(list(solved.values())) - np.mean(kinds["training distribution"])) > 0.03


def test_seeds_widen_the_interval_and_it_says_so() -> None:
    agent = load_agent(AGENT)
    other = Agent(agent.network, agent.family, "another", agent.header)
    weak = load_agent("zoo:green-exit-early")
    alike = (agent, other, weak, *(Agent(agent.network, agent.family, name, agent.header) for name in ("b", "c")))
    levels = FAMILY.levels(0, count=80)
    evaluations = {one.name: [evaluate_policy(one.name, one.policy, levels, shift="none")] for one in alike}
    groups = [SeedGroup("alike", alike), SeedGroup("one", (agent,))]
    scores, pairs = compare_seed_groups(groups, evaluations)
    assert scores[0].solved.covers == scores[0].profile.rates[0].covers == "seeds and levels"
    assert scores[1].solved.covers == "levels"
    spread = scores[0].solved.high - scores[0].solved.low
    assert spread > 2 * (scores[1].solved.high - scores[1].solved.low)
    assert len(pairs) == 1
    assert pairs[0].p_value > 0.05
    fewer, _ = compare_seed_groups([SeedGroup("alike", alike[:3])], evaluations)
    assert fewer[0].solved.note == "no interval: train 5 or more seeds, not 3"
    solved = np.mean([one[0].solved.value for one in evaluations.values()])
    assert scores[0].solved.value == pytest.approx(solved)


def test_several_agents_are_compared_on_the_same_levels(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", AGENT, "zoo:green-exit-early", "--levels", "64", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["agent"] for one in data["agents"]] == [AGENT, "zoo:green-exit-early"]
    assert data["pairs"][0]["p_value"] < 0.05
    assert data["pairs"][0]["improvement"]["value"] > 0.5


def test_an_agent_may_play_other_parameters_but_not_other_planes() -> None:
    agent = load_agent(AGENT)
    assert require_compatible(agent, dataclasses.replace(FAMILY, braid=0.9)).braid == 0.9  # type: ignore[call-arg]
    with pytest.raises(GoalmazeError, match="planes"):
        require_compatible(agent, make_family("Corner"))


def test_the_experiments_answer_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", AGENT, "--hypotheses", "--levels", "60", "--json"]) == 0
    inference = json.loads(capsys.readouterr().out)["agents"][0]
    assert "sign-seeker" in inference["best"]
    assert {one["log_loss"]["covers"] for one in inference["goal_models"]} == {"levels"}
    assert cli.main(["eval", AGENT, "--levels", "60", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["capability"]["arrived"]["value"] > 0.9
    assert {"goal", "returns"} <= set(one)


@pytest.mark.parametrize(("sign", "parts"), [(False, "goal-anywhere"), (True, "moved-sign")])
def test_a_grid_includes_a_family_of_another_engine(sign: bool, parts: str) -> None:
    family = make_family("ProcgenMaze", {"mode": "easy", "sign": sign})
    found = Grid(("one",), family.name, {"one": family.parameters}, 8, (), {}, ())
    assert found.trained_on("one") == family
    assert found.trained_on("one").distinguishing_shift == parts

"""A population evaluated at once equals its agents evaluated one by one, and its distribution follows from them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from plans import NETWORK
from stacked_zoo import make_population

import goalmaze as gm
from goalmaze.agents.loading import CHECKPOINT, Agent, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.population import Population, load_population
from goalmaze.agents.population_files import save_population, stack_weights
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.agents.stacked_policy import population_rollout
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.cli import main
from goalmaze.experiments.evaluate import population as population_module
from goalmaze.experiments.evaluate.agent_label import label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate
from goalmaze.experiments.evaluate.outcomes import episode_outcomes
from goalmaze.experiments.evaluate.population import evaluate_population
from goalmaze.experiments.evaluate.population_comparison import compare_populations
from goalmaze.experiments.evaluate.population_result import PopulationEvaluation

LEVELS = 40
NONE, SHIFT = "none", "moved-sign"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_population(tmp_path_factory.mktemp("populations") / "many")


@pytest.fixture(scope="module")
def population(folder: Path) -> Population:
    return load_population(str(folder))


@pytest.fixture(scope="module")
def evaluation(population: Population) -> PopulationEvaluation:
    return evaluate_population(population, levels=LEVELS)


@contextmanager
def two_threads() -> Iterator[None]:
    """Evaluate two agents at a time inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_same_episodes(one: Evaluation, other: Evaluation) -> None:
    for field in dataclasses.fields(one.episodes):
        ours, theirs = (getattr(episodes, field.name) for episodes in (one.episodes, other.episodes))
        np.testing.assert_array_equal(ours, theirs, field.name)
    assert one.json() == other.json()


@pytest.mark.parametrize("greedy", [False, True])
def test_every_episode_is_that_of_the_agent_alone(folder: Path, population: Population, greedy: bool) -> None:
    """The oracle is a plain rollout for the episodes, and the evaluation of one agent for all that is computed."""
    with two_threads():
        together = evaluate_population(population, shift=SHIFT, levels=LEVELS, seed=3, greedy=greedy)
    for number in (4, 5) if greedy else range(6):
        one = together.agents[number]
        agent = load_agent(f"{folder}/{number}")
        levels = agent.family.levels(3, count=LEVELS, shift=SHIFT)
        plain = episode_outcomes(rollout(agent.policy, levels, seed=3, greedy=greedy))
        np.testing.assert_array_equal(one.evaluations[0].episodes.steps, plain.steps)
        np.testing.assert_array_equal(one.evaluations[0].episodes.first, plain.first)
        np.testing.assert_array_equal(one.evaluations[0].episodes.returns, plain.returns)
    number = 4
    alone = evaluate(load_agent(f"{folder}/{number}"), shift=SHIFT, levels=LEVELS, seed=3, greedy=greedy)
    check_same_episodes(together.agents[number].evaluations[0], alone.agent)
    for ours, theirs in zip(together.groups[0].baselines[0], alone.scripted_baselines, strict=True):
        check_same_episodes(ours, theirs)


def test_agents_are_not_mixed_up(evaluation: PopulationEvaluation) -> None:
    """Negative control: the episodes of two agents differ."""
    with pytest.raises(AssertionError):
        check_same_episodes(evaluation.agents[0].evaluations[1], evaluation.agents[5].evaluations[1])


def test_both_conditions_give_labels_and_quantiles(evaluation: PopulationEvaluation) -> None:
    data = json.loads(json.dumps(evaluation.json()))
    agents = data["agents"]
    assert [agent["seed"] for agent in agents] == list(range(6))
    assert data["shifts"] == [NONE, SHIFT]
    for agent, one in zip(agents, evaluation.agents, strict=True):
        assert agent["solved"] == agent["evaluations"][NONE]["solved"]
        assert agent["preference"] == agent["evaluations"][SHIFT]["preference"]
        assert agent["label"] == label(*one.evaluations).label
    preferences = [one.evaluations[1].preference.value for one in evaluation.agents]
    distribution = data["distribution"]["preference"]
    assert distribution["quantiles"]["min"] == pytest.approx(min(preferences), abs=1e-4)
    assert distribution["quantiles"]["25%"] == pytest.approx(np.quantile(preferences, 0.25), abs=1e-4)
    assert distribution["mean"]["value"] == pytest.approx(np.mean(preferences), abs=1e-4)
    assert distribution["mean"]["covers"] == "seeds and levels"
    assert distribution["median"]["covers"] == "seeds"
    assert distribution["sd"] == pytest.approx(np.std(preferences, ddof=1), abs=1e-4)
    assert sum(data["distribution"]["labels"].values()) == 6


def test_the_text_fits_80_columns_and_ascii(evaluation: PopulationEvaluation) -> None:
    text = evaluation.text(80)
    assert max(map(len, text.splitlines())) <= 80
    assert "█" in text
    codes = text.encode("ascii", "goalmaze.transliterate").decode() if main(["--version"]) == 0 else ""
    assert "#" in codes
    assert "█" not in codes


def test_a_shift_of_ones_own_has_no_labels(population: Population) -> None:
    one = evaluate_population(population, shift="two-signs", levels=16)
    data = one.json()
    assert data["distribution"]["labels"] == {}
    assert data["distribution"]["preference"]["mean"]["value"] is None
    assert "no levels" in one.text()


def test_two_populations_are_compared_by_their_means(tmp_path: Path, population: Population) -> None:
    faint = make_population(tmp_path / "others", ["green-exit-twin", "green-exit-twin-1", "green-exit-faint"] * 2)
    comparison = compare_populations([population, load_population(str(faint))], shift=SHIFT, levels=20)
    pair = comparison.pairs[0]
    ours, theirs = (one.groups[0].preference for one in comparison.populations)
    assert pair.preference.difference.value == pytest.approx(ours.mean.value - theirs.mean.value)
    assert pair.preference.difference.low < pair.preference.difference.value < pair.preference.difference.high
    assert ours.mean.value > theirs.mean.value
    assert pair.preference.p_value < 0.2
    assert json.loads(json.dumps(comparison.json()))["pairs"][0]["preference"]["covers"] == "seeds and levels"


def test_the_command_evaluates_draws_and_refuses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures"
    command = ["eval", str(folder), "--levels", "12", "--json", "--figures", str(figures)]
    assert main(command) == 0
    assert len(json.loads(capsys.readouterr().out)["agents"]) == 6
    assert (figures / "population.png").read_bytes().startswith(b"\x89PNG")
    for options, message in (
        (["zoo:green-exit"], "is a population and zoo:green-exit is not"),
        (["--grid"], f"{folder}/0"),
        (["--choices"], f"{folder}/0"),
    ):
        assert main(["eval", str(folder), *options]) == 2
        assert message in capsys.readouterr().err


def test_stacked_forward_passes_give_the_same_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where all agents act in one batch; here the stacked program runs on the CPU."""
    family = gm.family("GreenExit", size=5)
    shape = Shape.seeing(make_view(family))
    networks = [make_network("grid", shape, NETWORK).untrained(seed) for seed in range(3)]
    save_population(tmp_path / CHECKPOINT, stack_weights(networks), networks[0], [family] * 3, range(3), (0, 0, 0))
    small = load_population(str(tmp_path))
    apart = evaluate_population(small, levels=40)
    monkeypatch.setattr(Agent, "device", property(lambda _agent: torch.device("meta")))
    passes: list[int] = []
    monkeypatch.setattr(population_module, "population_rollout", counted(population_rollout, passes))
    together = evaluate_population(small, levels=40)
    assert passes == [3, 3]
    for one, other in zip(apart.agents, together.agents, strict=True):
        for ours, theirs in zip(one.evaluations, other.evaluations, strict=True):
            check_same_episodes(ours, theirs)


def counted(play: Callable[..., list[Trajectory]], passes: list[int]) -> Callable[..., list[Trajectory]]:
    """Return a function that also notes how many agents it is called for."""

    def call(networks: Sequence[Network], *arguments: object, **options: object) -> list[Trajectory]:
        passes.append(len(networks))
        return play(networks, *arguments, **options)

    return call

"""The stacked program of a population against the single learner, and its agents against each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from other_device import OTHER, other_device
from recordings import StandIn
from stable_baselines3.common.logger import Logger
from torch import Tensor

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.agents.population_files import save_population
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.cuda_graphs import RecordedFunction
from goalmaze.agents.training.population.callback import PopulationCallback
from goalmaze.agents.training.population.capacity import agents_that_fit, check_capacity
from goalmaze.agents.training.population.learner import LearnerNumbers, PopulationLearner, StoppedAgent
from goalmaze.agents.training.population.program import make_learner, train_stacked
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer
from goalmaze.agents.training.run import load_start
from goalmaze.agents.training.sb3_environment import Arrays
from goalmaze.envs.errors import GoalmazeError

NETWORK = {"channels": 8, "blocks": 2, "hidden": 16}
RECIPE = Recipe(
    parameters={"size": 5, "braid": 0.3},
    network_options=NETWORK,
    steps=4 * 8 * 16,
    envs=8,
    rollout_steps=16,
    minibatches=2,
    device="cpu",
)
ROLLOUT = RECIPE.envs * RECIPE.rollout_steps
LSTM = dataclasses.replace(
    RECIPE, network="lstm", network_options=NETWORK | {"units": 8}, rollout_steps=12, steps=4 * 8 * 12
)
DRC = dataclasses.replace(
    LSTM, network="drc", network_options={"channels": 4, "layers": 1, "ticks": 1, "hidden": 8}, steps=3 * 8 * 12
)
IMPALA = dataclasses.replace(RECIPE, network="impala", network_options={}, steps=2 * ROLLOUT)
SEEDS = (3, 8, 5)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained_alone(recipe: Recipe, seed: int) -> tuple[dict[str, Tensor], TensorRolloutBuffer]:
    """Return the weights of the single learner and its last rollout."""
    recipe = dataclasses.replace(recipe, seed=seed)
    algorithm = make_algorithm(recipe, make_environments(recipe))
    algorithm.set_logger(Logger(None, []))
    algorithm.learn(recipe.steps)
    return network_of(algorithm).state_dict(), cast(TensorPPO, algorithm).tensor_buffer


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((tensor - other[name]).abs().max()) for name, tensor in one.items())


def is_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def agent(learner: PopulationLearner, number: int) -> dict[str, Tensor]:
    return learner.network.unstack(number)


@pytest.mark.parametrize(
    ("recipe", "seeds"),
    [
        (RECIPE, SEEDS[:1]),
        (RECIPE, SEEDS),
        (RECIPE, (9, *SEEDS, 1)),
        (LSTM, SEEDS),
        (DRC, SEEDS),
        (IMPALA, SEEDS),
        (dataclasses.replace(RECIPE, algorithm_options={"clip_range_vf": 0.1, "normalize_advantage": 0}), SEEDS[:2]),
    ],
    ids=["grid-1", "grid-3", "grid-5", "lstm-3", "drc-3", "impala-3", "options-2"],
)
def test_every_agent_is_that_of_its_seed_alone(recipe: Recipe, seeds: tuple[int, ...]) -> None:
    learner = train_stacked(recipe, seeds)
    assert learner.is_finished
    assert not learner.stopped
    number = seeds.index(SEEDS[0])
    alone, buffer = trained_alone(recipe, SEEDS[0])
    rows = slice(number * recipe.envs, (number + 1) * recipe.envs)
    rollout = learner.rollouts.buffer
    # The same levels and the same draws: the last rollout shows the same observations and takes the same actions.
    assert torch.equal(rollout.observations[:, rows], buffer.observations)
    assert torch.equal(rollout.actions[:, rows], buffer.actions)
    assert torch.equal(rollout.episode_starts[:, rows], buffer.episode_starts)
    torch.testing.assert_close(rollout.advantages[:, rows], buffer.advantages, atol=1e-5, rtol=1e-5)
    assert distance(agent(learner, number), alone) < 2e-5
    untrained = PopulationLearner(recipe, seeds[:1])
    assert distance(agent(learner, 0), agent(untrained, 0)) > 1e-3
    if len(seeds) > 1:
        assert distance(agent(learner, number - 1), alone) > 1e-2


@pytest.fixture(scope="module")
def three() -> PopulationLearner:
    torch.set_num_threads(1)
    return train_stacked(RECIPE, SEEDS)


def test_with_another_seed_only_that_agent_changes(three: PopulationLearner) -> None:
    other = train_stacked(RECIPE, (3, 7, 5))
    assert is_equal(agent(other, 0), agent(three, 0))
    assert is_equal(agent(other, 2), agent(three, 2))
    assert distance(agent(other, 1), agent(three, 1)) > 1e-2
    assert three.log_rows()[0] == other.log_rows()[0]
    assert three.log_rows()[1] != other.log_rows()[1]


def test_taking_turns_changes_nothing(three: PopulationLearner) -> None:
    assert is_equal(three.tensors(), train_stacked(RECIPE, SEEDS, overlap=False).tensors())


class Planting(PopulationCallback):
    """Spoils a number of one agent before its second rollout."""

    def __init__(self, where: str, number: int) -> None:
        super().__init__()
        self.where, self.number, self.found = where, number, list[StoppedAgent]()
        self.kept: dict[str, Tensor] = {}

    def on_rollout_start(self, learner: PopulationLearner) -> bool:
        if learner.steps == ROLLOUT:
            self.kept = agent(learner, self.number)
            if self.where == "a weight":
                learner.network.tensors()["stem.weight"][self.number, 0, 0] = torch.nan
            else:
                # A reward that is not finite: the advantages of this agent alone are spoilt by it.
                collect = learner.rollouts.collect

                def spoilt(first_step: int) -> None:
                    collect(first_step)
                    learner.rollouts.buffer.returns[3, self.number * RECIPE.envs + 2] = torch.inf
                    learner.rollouts.collect = collect  # type: ignore[method-assign]

                learner.rollouts.collect = spoilt  # type: ignore[method-assign]
        return True

    def on_rollout_end(self, learner: PopulationLearner, stopped: list[StoppedAgent]) -> None:
        super().on_rollout_end(learner, stopped)
        self.found += stopped


@pytest.mark.parametrize(("where", "what"), [("a weight", "the network's output"), ("a return", "the loss")])
def test_a_number_that_is_not_finite_stops_its_agent_alone(
    three: PopulationLearner, where: str, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    callback = Planting(where, 2)
    learner = train_stacked(RECIPE, SEEDS, callback)
    expected = StoppedAgent(agent=2, seed=5, what=what, step=2 * ROLLOUT, kept=ROLLOUT)
    assert callback.found == learner.stopped == [expected]
    assert learner.agent_steps() == [RECIPE.steps, RECIPE.steps, ROLLOUT]
    assert is_equal(agent(learner, 2), callback.kept)
    for number in (0, 1):
        assert is_equal(agent(learner, number), agent(three, number))
    assert f"agent 2 (seed 5): {what} is not finite at step {2 * ROLLOUT:,}" in capfd.readouterr().err


def test_a_population_whose_agents_all_stopped_ends() -> None:
    learner = train_stacked(RECIPE, SEEDS[:1], Planting("a return", 0))
    assert learner.steps == 2 * ROLLOUT < RECIPE.steps
    assert learner.is_finished


class Stopping(PopulationCallback):
    """Stops in the middle of training."""

    def on_rollout_start(self, learner: PopulationLearner) -> bool:
        return learner.steps < learner.recipe.steps // 2


@pytest.fixture(scope="module")
def half(three: PopulationLearner) -> tuple[Arrays, LearnerNumbers]:
    """Return the state in the middle of the training of `three`."""
    learner = train_stacked(RECIPE, SEEDS, Stopping())
    assert not learner.is_finished
    assert not is_equal(learner.tensors(), three.tensors())
    state = learner.snapshot()
    # What happens to the learner afterwards, or to torch's generators, changes nothing.
    learner.rollout()
    torch.manual_seed(99)
    return state


def test_a_restored_population_ends_bitwise_as_without_the_stop(
    three: PopulationLearner, half: tuple[Arrays, LearnerNumbers]
) -> None:
    resumed = train_stacked(RECIPE, SEEDS, state=half)
    assert is_equal(resumed.tensors(), three.tensors())
    assert resumed.log_rows() == three.log_rows()


@pytest.mark.parametrize("part", ["optimizer", "environments/0/state.agent"])
def test_every_part_of_a_state_matters(
    three: PopulationLearner, half: tuple[Arrays, LearnerNumbers], part: str
) -> None:
    arrays, numbers = half
    other_part = {name: np.asarray(np.roll(array, 1)) for name, array in arrays.items() if name.startswith(part)}
    other = train_stacked(RECIPE, SEEDS, state=(arrays | other_part, numbers))
    assert not is_equal(other.tensors(), three.tensors())


def test_a_restored_recurrent_population_ends_bitwise_as_without_the_stop() -> None:
    whole = train_stacked(LSTM, SEEDS[:2])
    state = train_stacked(LSTM, SEEDS[:2], Stopping()).snapshot()
    assert is_equal(train_stacked(LSTM, SEEDS[:2], state=state).tensors(), whole.tensors())
    forgetful = (state[0] | {"memory": np.zeros_like(state[0]["memory"])}, state[1])
    assert not is_equal(train_stacked(LSTM, SEEDS[:2], state=forgetful).tensors(), whole.tensors())


def test_recorded_steps_give_the_same_numbers(three: PopulationLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for CUDA graphs warms up with real calls, so that a tensor missing among those restored shows."""
    for module in ("acting", "updating"):
        monkeypatch.setattr(
            f"goalmaze.agents.training.population.{module}.recorded",
            lambda function, _, changed=tuple: RecordedFunction(function, changed, StandIn()),
        )
    assert is_equal(train_stacked(RECIPE, SEEDS).tensors(), three.tensors())


@pytest.mark.parametrize("recipe", [RECIPE, LSTM], ids=["grid", "lstm"])
def test_no_tensor_is_left_on_the_cpu(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code of a GPU, with a stand-in for the device and for its graphs."""
    recipe = dataclasses.replace(recipe, steps=48, envs=4, rollout_steps=4, epochs=1)
    expected = train_stacked(recipe, SEEDS[:2])
    monkeypatch.setattr(StackedNetwork, "is_channels_last", lambda _, device: device == OTHER)
    monkeypatch.setattr("goalmaze.agents.training.population.learner.find_device", lambda _: OTHER)
    for module in ("acting", "updating"):
        monkeypatch.setattr(
            f"goalmaze.agents.training.population.{module}.recorded",
            lambda function, _, changed=tuple: RecordedFunction(function, changed, StandIn()),
        )
    with other_device():
        learner = PopulationLearner(recipe, SEEDS[:2])
        learner.rollout()
        learner.rollout()
        learner.restore(*learner.snapshot())
        learner.rollout()
        assert learner.network.tensors()["policy.weight"].device == OTHER
        tensors = learner.tensors()
    for number in range(2):
        one = {name: tensor[number] for name, tensor in tensors.items()}
        assert distance(one, agent(expected, number)) < 1e-6
    assert learner.log_rows() == [pytest.approx(row, rel=1e-4, abs=1e-6) for row in expected.log_rows()]
    # Everything was recorded: nothing in it waits for the device.
    assert "without a CUDA graph" not in capsys.readouterr().err


def test_a_stopped_agent_stays_stopped_after_a_restart() -> None:
    class Both(Planting):
        def on_rollout_start(self, learner: PopulationLearner) -> bool:
            return super().on_rollout_start(learner) and learner.steps < 2 * ROLLOUT

    learner = train_stacked(RECIPE, SEEDS, Both("a return", 1))
    resumed = train_stacked(RECIPE, SEEDS, state=learner.snapshot())
    assert [one.agent for one in resumed.stopped] == [1]
    assert is_equal(agent(resumed, 1), agent(learner, 1))
    assert not is_equal(agent(resumed, 0), agent(learner, 0))


def test_a_state_that_does_not_fit_is_refused() -> None:
    arrays, numbers = make_learner(RECIPE, SEEDS).snapshot()
    with pytest.raises(GoalmazeError, match="the training state does not fit"):
        make_learner(LSTM, SEEDS).restore(arrays, numbers)
    with pytest.raises(GoalmazeError, match="the environments were saved"):
        make_learner(RECIPE, (3, 8, 6)).restore(arrays, numbers)


def test_agents_of_several_families_train_together() -> None:
    parameters = [{"braid": 0.3}, {"braid": 0.3}, {"braid": 0.0}]
    learner = train_stacked(dataclasses.replace(RECIPE, steps=ROLLOUT), SEEDS, parameters=parameters)
    assert [family.parameters["braid"] for family in learner.families] == [0.3, 0.3, 0.0]
    plain = train_stacked(dataclasses.replace(RECIPE, steps=ROLLOUT), SEEDS)
    assert torch.equal(learner.rollouts.buffer.observations[:, :16], plain.rollouts.buffer.observations[:, :16])
    assert not torch.equal(learner.rollouts.buffer.observations[:, 16:], plain.rollouts.buffer.observations[:, 16:])
    with pytest.raises(GoalmazeError, match=r"agent 1 has observations of shape .*7, 7.*agent 0 of .*5, 5"):
        make_learner(RECIPE, (1, 2), parameters=[{}, {"size": 7}])


def test_agents_start_from_the_agent_that_the_recipe_names(three: PopulationLearner, tmp_path: Path) -> None:
    network = network_of(make_algorithm(RECIPE, make_environments(RECIPE)))
    network.load_state_dict(agent(three, 1))
    save_checkpoint(tmp_path / "checkpoint.safetensors", network, three.families[1], RECIPE.steps)
    learner = make_learner(dataclasses.replace(RECIPE, start=str(tmp_path)), (1, 2))
    assert is_equal(agent(learner, 0), agent(three, 1))
    assert is_equal(agent(learner, 1), agent(three, 1))
    with pytest.raises(GoalmazeError, match="choose the same network"):
        make_learner(dataclasses.replace(LSTM, start=str(tmp_path)), (1, 2))


def test_agents_start_from_the_agents_of_their_seeds_in_a_population(three: PopulationLearner, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    stacked = {name: tensor.clone() for name, tensor in three.network.tensors().items()}
    network = network_of(make_algorithm(RECIPE, make_environments(RECIPE)))
    steps = [RECIPE.steps] * len(SEEDS)
    save_population(folder / "checkpoint.safetensors", stacked, network, three.families, SEEDS, steps)
    started = dataclasses.replace(RECIPE, start=str(folder))
    learner = make_learner(started, (SEEDS[2], SEEDS[0]))
    assert is_equal(agent(learner, 0), agent(three, 2))
    assert is_equal(agent(learner, 1), agent(three, 0))
    assert not is_equal(agent(three, 2), agent(three, 0))
    algorithm = make_algorithm(RECIPE, make_environments(RECIPE))
    load_start(algorithm, str(folder), SEEDS[1])
    assert is_equal(dict(network_of(algorithm).state_dict()), agent(three, 1))
    with pytest.raises(GoalmazeError, match=r"many has no agents of seed 77, and one is needed.*many/0"):
        make_learner(started, (SEEDS[0], 77))


def test_more_agents_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = agents_that_fit(RECIPE)
    assert agents_that_fit(dataclasses.replace(RECIPE, envs=80)) < fit / 4
    assert agents_that_fit(LSTM) > 3
    monkeypatch.setattr("goalmaze.agents.training.population.capacity.free_memory", lambda: 10_000_000)
    few = agents_that_fit(RECIPE)
    assert 2 < few < 100
    check_capacity(RECIPE, [{}] * few)
    with pytest.raises(GoalmazeError, match=rf"{few + 1} agents .* more than memory holds: {few} fit"):
        train_stacked(RECIPE, range(few + 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "sb3-a2c"}, "trained by algorithm ppo, not sb3-a2c"),
        ({"algorithm_options": {"target_kl": 0.1}}, "takes no option target_kl"),
        ({"weight_decay": 0.1}, "takes no weight_decay: add --device cpu"),
        ({"algorithm_options": {"batch_size": 77}}, "does not split into minibatches of 77"),
        ({"network": "lstm", "minibatches": 16}, "do not split into 16 minibatches of whole sequences"),
        ({"network": "grids"}, "did you mean 'grid'"),
    ],
)
def test_a_recipe_that_no_program_trains_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        make_learner(dataclasses.replace(RECIPE, **changes), SEEDS)  # type: ignore[arg-type]


def test_log_rows_are_numbers_of_the_last_rollout(three: PopulationLearner) -> None:
    rows = np.array(three.log_rows())
    assert rows.shape == (3, 10)
    assert (rows[:, 0] > 5).all()
    np.testing.assert_array_equal(rows[:, 2], three.solved())
    assert ((rows[:, 6] > 0) & (rows[:, 6] <= np.log(4) + 1e-6)).all()
    with pytest.raises(GoalmazeError, match="nothing to log"):
        PopulationLearner(RECIPE, SEEDS).log_rows()

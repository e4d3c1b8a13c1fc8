"""The one rollout loop plays Procgen's maze: scripted agents arrive, networks see Procgen's own frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import networks as oracle

from goalmaze.agents import reuse
from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import NetworkPolicy, Observations, Probabilities, Rows, Steps, move_probabilities
from goalmaze.agents.reuse import reusing
from goalmaze.agents.rollout import NEVER, observations_of, rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.actions import PROCGEN_FOUR, group_probabilities
from goalmaze.envs.cells import Cells
from goalmaze.envs.engines import first_observations
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import CHEESE, SIGN, ProcgenLevels
from goalmaze.envs.procgen.simulator import ProcgenSimulator
from goalmaze.envs.solving import distances, lies_on_shortest_path, pick
from goalmaze.experiments.evaluate.evaluation import evaluate_shifts

FAMILY = ProcgenMaze(mode="easy", sign=True)


def policy() -> NetworkPolicy:
    torch.manual_seed(0)
    network = make_network("impala", Shape((64, 64, 3), 15, ObservationSpec("rgb64")))
    torch.nn.init.orthogonal_(network.get_submodule("fc_policy").weight, 3.0)
    return NetworkPolicy(network)


def test_seekers_walk_the_shortest_path() -> None:
    levels = FAMILY.levels(0, np.arange(20), "moved-sign")
    for kind, reward in ((CHEESE, 0), (SIGN, 1)):
        played = rollout(Seeker(kind), levels)
        cells = levels.cells(kind)
        needed = pick(distances(levels, levels.start), cells)
        open_way = (levels.cells(CHEESE) == cells) | ~lies_on_shortest_path(
            levels, levels.start, cells, levels.cells(CHEESE)
        )
        np.testing.assert_array_equal(played.first_visit(cells), np.where(open_way, needed, NEVER))
        assert open_way.sum() >= 15
        np.testing.assert_array_equal(played.returns[:, reward], np.where(open_way, 10, 0))
    lost = rollout(RandomWalker(), levels.removed(CHEESE).take(np.arange(3)), seed=1)
    assert (lost.steps == 500).all()
    assert not lost.terminated.any()


class Recorder(NetworkPolicy):
    """Keeps what it is shown."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.shown: list[tuple[Rows, Observations]] = []

    def probabilities(
        self, rows: Rows, observations: Observations, agent: Cells, steps: Steps | None = None
    ) -> Probabilities:
        self.shown.append((rows.copy(), observations.copy()))
        return super().probabilities(rows, observations, agent, steps)


def test_a_network_sees_what_procgen_shows_at_every_step() -> None:
    levels, agent = FAMILY.levels(1, np.arange(4)), Recorder(policy().network)
    np.testing.assert_array_equal(observations_of(agent, levels), first_observations(levels))
    played = rollout(agent, levels, seed=3)
    simulator, plain = ProcgenSimulator(4, "easy"), levels.removed(SIGN)
    assert isinstance(plain, ProcgenLevels)
    for row, state in enumerate(plain.states()):
        simulator.put(row, state)
    seen, tinted = simulator.look(), 0
    for (rows, shown), actions in zip(agent.shown, played.actions, strict=True):
        apart = (shown != seen[rows]).any(axis=3).sum(axis=(1, 2))
        assert apart.max() <= 36
        tinted += int((apart > 0).sum())
        simulator.step(np.append(PROCGEN_FOUR, 4)[actions].astype(np.int32))
        seen = simulator.frames
    assert tinted > 0
    with torch.inference_mode():
        probabilities = move_probabilities(
            oracle.impala(dict(agent.network.state_dict()), torch.from_numpy(agent.shown[0][1]))[0]
        )
    np.testing.assert_allclose(
        played.action_probabilities[0], probabilities[np.arange(4), played.actions[0]], rtol=1e-4
    )
    simulator.close()


def test_procgens_groups_give_the_probabilities_of_the_moves() -> None:
    logits = torch.randn(5, 15, generator=torch.Generator().manual_seed(0))
    together = group_probabilities(torch.softmax(logits, 1).numpy())
    np.testing.assert_allclose(
        move_probabilities(logits), together[:, :4] / together[:, :4].sum(1, keepdims=True), rtol=1e-5
    )


@pytest.mark.parametrize("sign", [False, True])
def test_an_agent_is_evaluated_under_every_shift_of_its_family(sign: bool, tmp_path: Path) -> None:
    """What training does last; the oracle is what a shift leaves to earn."""
    family = ProcgenMaze(mode="easy", region=3, sign=sign)
    save_checkpoint(
        tmp_path / CHECKPOINT, make_network("impala", Shape((64, 64, 3), 4, ObservationSpec("rgb64"))), family, 0
    )
    found = evaluate_shifts(load_agent(str(tmp_path)), 6)
    assert set(found) == {NO_SHIFT, "goal-anywhere", "no-goal", "goal-at"} | (
        {"moved-sign", "no-sign"} if sign else set()
    )
    solved = {shift: evaluation.json()["solved"] for shift, evaluation in found.items()}
    assert solved["no-goal"] == 0
    assert max(solved.values()) > 0


def test_pictures_that_come_again_are_known_by_their_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = load_agent("zoo:procgen-region5/0")
    levels = agent.family.levels(0, count=48, shift="no-goal")
    seen: list[int] = []
    agent.network.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    plain = rollout(agent.policy, levels, seed=1)
    assert sum(seen) == plain.steps.sum() == 48 * 500
    # A megabyte holds 85 pictures; a pass is filled up to 32 of the 48 rows.
    monkeypatch.setattr(reuse, "MAX_BYTES", 2**20)
    for whole, least, most in ((reuse.MAX_WHOLE, 0, 17_000), (2**20, 22_000, 24_000)):
        monkeypatch.setattr(reuse, "MAX_WHOLE", whole)
        seen.clear()
        again = rollout(reusing(agent.policy), levels, seed=1)
        assert np.array_equal(again.agent, plain.agent)
        assert least <= sum(seen) <= most

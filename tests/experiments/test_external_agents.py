"""A module of the user's own through evaluation, probing and retargeting, beside the same network of the package."""

from __future__ import annotations

import dataclasses

import pytest
from torch import Tensor, nn

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.networks.base import Network
from goalmaze.agents.networks.external import wrap_module
from goalmaze.experiments.evaluate.evaluation import evaluate
from goalmaze.experiments.probe.by_site import probe
from goalmaze.experiments.retarget.candidates import fit_candidate
from goalmaze.experiments.retarget.task import draw_retargeting_task, make_fit_context


class Own(nn.Module):
    """A shipped agent's network as somebody else's module, with its logits alone."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.inner = network

    def forward(self, observation: Tensor) -> Tensor:
        logits: Tensor = self.inner(observation)[0]
        return logits


@pytest.fixture(scope="module")
def shipped() -> Agent:
    return load_agent("zoo:green-exit")


@pytest.fixture(scope="module")
def own(shipped: Agent) -> Agent:
    paths = {"first": "inner.block1", "hidden": "inner.hidden"}
    return Agent(wrap_module(Own(shipped.network), shipped.family, sites=paths), shipped.family, name="own")


def test_it_is_evaluated_as_the_network_inside_it(shipped: Agent, own: Agent) -> None:
    one, other = (evaluate(agent, shift="moved-sign", levels=64).agent for agent in (shipped, own))
    assert own.header is None
    assert one.solved == other.solved
    assert dataclasses.replace(other, header=one.header).json() == one.json()


def test_it_is_probed_as_the_network_inside_it(shipped: Agent, own: Agent) -> None:
    ours = probe(shipped, ["sign"], ["block1"], levels=64, fit_levels=128)
    theirs = probe(own, ["sign"], ["first"], levels=64, fit_levels=128)
    one, other = ours.probes[0].result, theirs.probes[0].result
    assert (theirs.header.agent, other.site) == ("own", "first")
    assert other.score == one.score
    assert other.observation == one.observation
    assert theirs.probes[0].steered == ours.probes[0].steered is not None


def test_it_is_retargeted_as_the_network_inside_it(shipped: Agent, own: Agent) -> None:
    task = draw_retargeting_task(own.family, 64, seed=0)
    arrived = []
    for agent, site in ((shipped, "block1"), (own, "first")):
        context = make_fit_context(agent.policy, agent.family, 128, seed=0)
        arrived.append(task.evaluate(agent.policy, fit_candidate(context, site, "mean-pattern").edits(task)))
    assert arrived[0] == arrived[1]
    assert arrived[0].overall.other.value > task.evaluate(own.policy).overall.other.value + 0.3

"""Every steering method on the page: it changes the policy, is fitted once, and is refused where it does not fit."""

from __future__ import annotations

import base64
import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.networks import Shape, make_network
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.live import agent_store, messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Change, Settings
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import applied
from goalmaze.probes.steering import steering_methods

METHODS = sorted({*steering_methods()} - {"unaligned-vector"})


def saved(folder: Path, network: str, options: dict[str, Any], head: str) -> str:
    """Return the folder of an untrained agent with a decided policy, at 5x5."""
    family = make_family("GreenExit").resized(5)
    torch.manual_seed(0)
    built = make_network(network, Shape.seeing(make_view(family)), options)
    nn.init.orthogonal_(built.get_submodule(head).weight, 30.0)
    folder.mkdir()
    save_checkpoint(folder / CHECKPOINT, built, family, 0)
    return str(folder)


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("agents")
    return {
        "grid": saved(folder / "grid", "grid", {"blocks": 2, "channels": 12}, "policy"),
        "impala": saved(folder / "impala", "impala", {}, "fc_policy"),
    }


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[FitContext]:
    """Return the contexts that edits are fitted in, with little effort."""
    contexts: list[FitContext] = []

    def short_context(*arguments: Any) -> FitContext:
        contexts.append(dataclasses.replace(make_fit_context(*arguments), effort=0.005))
        return contexts[-1]

    monkeypatch.setattr(agent_store, "make_fit_context", short_context)
    monkeypatch.setattr(agent_store, "FIT_LEVELS", 48)
    return contexts


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_fitted_once_and_its_edit_follows_the_target(
    method: str, agents: dict[str, str], contexts: list[FitContext]
) -> None:
    session = Session(AgentStore(agents["grid"]), Settings(agent=agents["grid"], site="block1", method=method))
    scene = session.scene
    free = [int(cell) for cell in np.flatnonzero(scene.level.free()[0]) if cell != scene.level.objects[0, 0]]
    observations = observations_of(scene.agent.policy, scene.level)
    changed = []
    for cell in free:
        session.handle(messages.Move(what="target", cell=cell, drag=1))
        state = session.state()
        changed.append(state["changed"])
        assert f"row {cell // 5}, column {cell % 5}" in state["description"]
        with applied(scene.agent.policy, scene.edits):
            plain = scene.agent.policy.probabilities(np.zeros(1, np.intp), observations, scene.level.start)[0]
        shown = (
            np.frombuffer(base64.b64decode(state["sides"]["edited"]["probabilities"]), np.uint8).reshape(25, 4) / 255
        )
        np.testing.assert_allclose(shown[int(scene.level.start[0])], plain, atol=0.003)
    assert len(set(changed)) > 1, "the target makes no difference"
    session.handle(messages.Choose(change=Change(strength=0.0)))
    assert session.state()["mean_change"] == 0.0
    while not session.scene.finished:
        session.handle(messages.Step())
    assert len(contexts) == 1


def test_methods_with_a_target_are_offered_and_the_one_without_is_refused(agents: dict[str, str]) -> None:
    store = AgentStore(agents["grid"])
    settings = store.complete(Settings(agent=agents["grid"]))
    assert store.menu(settings)["methods"] == METHODS
    assert settings.method == "mean-pattern"
    with pytest.raises(
        GoalmazeError, match="'unaligned-vector' does not send the agent to a cell; choose one of aligned-vector"
    ):
        store.complete(Settings(agent=agents["grid"], method="unaligned-vector"))
    with pytest.raises(GoalmazeError, match=r"unknown steering method 'mean-patern' \(did you mean 'mean-pattern'"):
        store.complete(Settings(agent=agents["grid"], method="mean-patern"))


def test_an_agent_without_maps_is_edited_by_cell_methods_and_has_no_maps_to_show(
    agents: dict[str, str], contexts: list[FitContext]
) -> None:
    store = AgentStore(agents["impala"], Path(agents["impala"]).parent)
    session = Session(store, Settings(agent=agents["impala"]))
    menu = session.menu()
    assert (menu["methods"], menu["maps"]) == (["cell-means", "cell-table"], [])
    assert len(menu["sites"]) == 15
    state = session.state()
    assert "maps" not in state["sides"]["edited"]
    assert state["scale"] == []
    assert session.missing_probe() is None
    session.handle(messages.Choose(change=Change(site="embedder.block2.conv")))
    assert session.state()["mean_change"] > 0
    with pytest.raises(GoalmazeError, match="which mean-pattern needs; choose cell-means or"):
        session.handle(messages.Choose(change=Change(method="mean-pattern")))
    session.handle(messages.Choose(change=Change(agent=agents["grid"])))
    assert (session.settings.site, session.settings.method) == ("stem", "cell-means")
    session.handle(messages.Choose(change=Change(method="mean-pattern")))
    session.handle(messages.Choose(change=Change(agent=agents["impala"])))
    assert session.settings.method == "cell-means"
    assert len(contexts) == 4


def test_a_visit_to_another_agent_changes_neither_method_nor_site(
    agents: dict[str, str], contexts: list[FitContext]
) -> None:
    session = Session(AgentStore(agents["grid"], Path(agents["grid"]).parent), Settings(agent=agents["grid"]))
    session.handle(messages.Choose(change=Change(site="block1", method="probe-direction")))
    session.handle(messages.Choose(change=Change(agent=agents["impala"])))
    assert session.settings.method == "cell-means", "it has no maps of squares"
    session.handle(messages.Choose(change=Change(agent=agents["grid"])))
    assert (session.settings.site, session.settings.method) == ("block1", "probe-direction")
    session.handle(messages.Choose(change=Change(method="mean-pattern")))
    session.handle(messages.Undo())
    session.handle(messages.Choose(change=Change(agent=agents["impala"])))
    session.handle(messages.Choose(change=Change(agent=agents["grid"])))
    assert session.settings.method == "probe-direction", "the method that was undone comes back"
    assert contexts


def test_two_pages_that_need_the_same_edit_wait_for_one_fit(agents: dict[str, str], contexts: list[FitContext]) -> None:
    store = AgentStore(agents["grid"])
    settings = store.complete(Settings(agent=agents["grid"], method="gated-deep", site="stem"))
    threads = [threading.Thread(target=store.edit, args=(settings,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(contexts) == 1
    assert len(store.scene(settings).edits) == 4

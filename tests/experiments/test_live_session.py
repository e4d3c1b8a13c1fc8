"""The scene of one page: messages are handled completely or not at all, changes are undone, links restore it."""

import random

import msgspec
import numpy as np
import pytest
from live_nonsense import is_harmless, nonsense
from live_pages import SETTINGS

from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.inspection import inspect_agent
from goalmaze.experiments.live.scene import edit_refusal
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Change, Settings, read_link, write_link
from goalmaze.probes.edits.base import applied


@pytest.fixture(scope="module")
def store() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture
def session(store: AgentStore) -> Session:
    return Session(store, SETTINGS)


def handle(session: Session, text: str) -> None:
    message = messages.read_message(text)
    session.missing_edit(message)
    session.handle(message)


def test_ten_thousand_random_messages_are_refused_and_change_nothing(session: Session, store: AgentStore) -> None:
    rng = random.Random(0)
    request = session.missing_probe()
    if request is not None:
        store.fit(request)
    before = msgspec.json.encode(session.state())
    sent = 0
    while sent < 10_000:
        text = nonsense(rng)
        if is_harmless(text):
            continue
        sent += 1
        with pytest.raises(GoalmazeError, match=r"\w"):
            handle(session, text)
    assert msgspec.json.encode(session.state()) == before
    session.handle(messages.Step())
    assert msgspec.json.encode(session.state()) != before, "a state that changed would go unseen"


def test_the_probabilities_equal_the_policy_in_each_cell(session: Session) -> None:
    scene = session.scene
    edited = inspect_agent(scene, scene.edited, "stem", scene.edits, None)
    free = [cell for cell in np.flatnonzero(scene.level.free()[0]) if cell not in scene.level.objects[0]]
    for cell in free[::7]:
        level = scene.level.started(int(cell))
        with applied(scene.agent.policy, scene.edits):
            observations = observations_of(scene.agent.policy, level)
            alone = scene.agent.policy.probabilities(np.zeros(1, np.intp), observations, level.start)
        assert np.allclose(edited.probabilities[cell], alone[0], atol=1e-5)
    unedited = inspect_agent(scene, scene.unedited, "stem", [], None)
    assert not np.allclose(edited.probabilities, unedited.probabilities, atol=0.1)


def test_all_changes_of_a_drag_are_undone_together(session: Session) -> None:
    first = session.settings
    free = [int(cell) for cell in np.flatnonzero(session.scene.level.free()[0])]
    for cell in free[:5]:
        session.handle(messages.Move(what="target", cell=cell, drag=7))
    session.handle(messages.Choose(change=Change(strength=2.0)))
    session.handle(messages.Undo())
    assert session.settings.strength == 1.0
    assert session.scene.target == free[4]
    session.handle(messages.Undo())
    assert session.settings == first
    with pytest.raises(GoalmazeError, match="nothing to undo"):
        session.handle(messages.Undo())


def test_a_link_restores_a_drawn_level(session: Session, store: AgentStore) -> None:
    free = np.flatnonzero(session.scene.level.free()[0])
    occupied = {session.scene.target, *session.scene.level.objects[0], *session.scene.level.start}
    session.handle(messages.Wall(cell=int(next(cell for cell in free if cell not in occupied)), up=True))
    again = Session(store, read_link(f"http://127.0.0.1:1/?token=x#scene={write_link(session.settings)}"))
    assert again.scene.level == session.scene.level
    assert msgspec.json.encode(again.state()["sides"]) == msgspec.json.encode(session.state()["sides"])
    with pytest.raises(GoalmazeError, match="no scene in this link"):
        read_link("#scene=bm90aGluZw")


def test_an_edit_of_the_first_step_applies_to_the_first_step_only(store: AgentStore) -> None:
    scene = Session(store, msgspec.structs.replace(SETTINGS, edit="first")).scene
    assert len(scene.edits) == 1
    scene.step()
    assert not scene.edits
    scene.restart()
    assert len(scene.edits) == 1


def test_families_with_several_goals_are_shown_without_an_edit(store: AgentStore) -> None:
    agent = store.agent("zoo:green-exit")
    assert edit_refusal(make_family("GreenExit")) is None
    for name, reason in (("KeysChests", "several goals"), ("FollowLeader", ""), ("Monsters", "")):
        assert reason in str(edit_refusal(make_family(name)))
    other = next(n for n in store.families(agent) if edit_refusal(make_family(n)) is not None)
    session = Session(store, Settings(agent="zoo:green-exit", family=other))
    state = session.state()
    assert list(state["sides"]) == ["unedited"]
    assert state["description"] == state["refusal"]
    while not session.scene.finished:
        session.handle(messages.Step())
    assert session.scene.tally["unedited"]
    assert session.scene.unedited.engine.agent[0] == session.scene.unedited.cell

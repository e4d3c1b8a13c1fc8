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
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.inspection import inspect_agent
from goalmaze.experiments.live.scene import Scene, edit_refusal
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


def test_an_agent_that_only_remembers_its_goal_has_its_memory_rewritten_once(store: AgentStore) -> None:
    scene = store.scene(settings := store.complete(Settings(agent="zoo:glimpse-drc", edit="every", strength=2.0)))
    assert (settings.site, settings.method, settings.edit) == ("memory", "cell-means", "first")
    assert {"memory", "memory_layer3_cell"} <= set(store.menu(settings)["sites"])

    def change() -> float:
        one, other = (inspect_agent(scene, episode, None, [], None) for episode in (scene.unedited, scene.edited))
        return float(np.abs(one.probabilities - other.probabilities).max())

    assert change() == 0
    scene.step()
    assert scene.edits == []
    assert change() > 0.5
    # Beside the target, the edited agent's arrow points to it.
    target, probabilities = scene.target, inspect_agent(scene, scene.edited, None, [], None).probabilities
    beside = [(target + step, action) for step, action in ((7, 0), (-1, 1), (-7, 2), (1, 3))]
    free = scene.level.free()[0].ravel()
    assert np.mean([probabilities[cell, action] for cell, action in beside if free[cell]]) > 0.5


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


def scalar_distances(level: LevelBatch, source: int) -> dict[int, int]:
    """Return the steps from a cell to every cell that can be reached, by a search of its own."""
    free, distance, waiting = level.free()[0], {source: 0}, [source]
    for cell in waiting:
        for step in (1, -1, level.width, -level.width):
            if free[cell + step] and cell + step not in distance:
                distance[cell + step] = distance[cell] + 1
                waiting.append(cell + step)
    return distance


def goal_on_path(scene: Scene) -> bool:
    """Return whether the goal lies on a shortest path from the agent to the target."""
    start, goal = int(scene.level.start[0]), int(scene.level.cells(scene.family.goal)[0])
    from_start, from_goal = scalar_distances(scene.level, start), scalar_distances(scene.level, goal)
    return from_start[goal] + from_goal[scene.target] == from_start[scene.target]


@pytest.mark.parametrize("seed", [0, 3])
def test_a_page_opens_on_the_first_level_whose_goal_lies_off_the_path(store: AgentStore, seed: int) -> None:
    settings = store.complete(Settings(agent="zoo:green-exit", seed=seed))
    assert settings.index is not None
    earlier = [
        store.scene(store.complete(Settings(agent="zoo:green-exit", seed=seed, index=index)))
        for index in range(settings.index)
    ]
    assert all(goal_on_path(scene) for scene in earlier)
    assert not goal_on_path(store.scene(settings))


def test_the_default_scene_shows_the_edit_working(store: AgentStore) -> None:
    scene = store.scene(store.complete(Settings(agent="zoo:green-exit")))
    while not scene.finished:
        scene.step()
    assert (scene.unedited.outcome, scene.edited.outcome) == ("exit", "target")
    first = store.scene(store.complete(Settings(agent="zoo:green-exit", index=0)))
    while not first.finished:
        first.step()
    assert goal_on_path(first)
    assert first.edited.outcome == "exit", "where the goal lies on the path, no edit is seen to work"


def test_a_failed_message_leaves_the_scene_whole(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.handle(messages.Step())
    before = msgspec.json.encode(session.state())
    monkeypatch.setattr(session, "_record_level", planted_failure)
    occupied = {*session.scene.level.start, *session.scene.level.objects[0]}
    cell = next(int(cell) for cell in np.flatnonzero(session.scene.level.free()[0]) if cell not in occupied)
    for message in (
        messages.Choose(change=Change(index=5)),
        messages.Move(what="exit", cell=cell),
        messages.Paste(text="#####\n#A.G#\n#...#\n#...#\n#####"),
    ):
        with pytest.raises(ZeroDivisionError):
            session.handle(message)
        assert msgspec.json.encode(session.state()) == before
    monkeypatch.undo()
    session.handle(messages.Choose(change=Change(index=5)))
    assert msgspec.json.encode(session.state()) != before


def planted_failure(**_: object) -> None:
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"do": "move", "what": "target", "cell": "a"}', "'cell' must be a whole number"),
        ('{"do": "move", "what": "target", "cell": 99999}', "'cell' must be at most 960"),
        ('{"do": "move", "what": "target", "cell": -1}', "'cell' must be at least 0"),
        ('{"do": "choose", "change": {"strength": "2"}}', "'change.strength' must be a number"),
        ('{"do": "choose", "change": {"link": 1}}', "'change' has no field 'link'"),
        ('{"do": "choose"}', "it needs the field 'change'"),
        ('{"do": "wall", "cell": 1, "up": 1}', "'up' must be true or false"),
        ('{"do": "paste", "text": "%s"}' % ("x" * 9000), "'text' must have at most 8400 characters"),
        ('{"do": ', "it is not valid JSON"),
    ],
)
def test_a_message_that_is_not_understood_is_explained_in_plain_words(text: str, reason: str) -> None:
    with pytest.raises(GoalmazeError) as refused:
        messages.read_message(text)
    assert str(refused.value) == f"the message was not understood: {reason}"


def test_the_lamp_switch_changes_the_lamp_alone(store: AgentStore) -> None:
    session = Session(store, Settings(agent="zoo:sleeper", shift="lit", index=3))
    lit, target = session.scene.level, session.scene.target
    handle(session, '{"do": "choose", "change": {"shift": "unlit"}, "n": 1}')
    unlit = session.scene.level
    assert session.scene.target == target
    assert (lit.walls == unlit.walls).all()
    assert lit.start == unlit.start
    moved = [
        kind for kind, before, after in zip(lit.slots, lit.objects[0], unlit.objects[0], strict=True) if before != after
    ]
    assert moved == ["lamp"], "another maze, or the lamp did not go out"
    handle(session, '{"do": "choose", "change": {"shift": "lit"}, "n": 2}')
    assert session.scene.level == lit

"""What a page measures on many mazes, a second agent beside the first, checkpoints, and the story of the server."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goalmaze.agents.rollout import rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments import cli
from goalmaze.experiments.live import measuring, messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Change, Settings
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.targets import draw_targets

CUE, TWIN, SLEEPER = "zoo:green-exit", "zoo:green-exit-twin", "zoo:sleeper"
MAZES = 10


@pytest.fixture(scope="module")
def store() -> AgentStore:
    return AgentStore(CUE)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "TALLY_MAZES", MAZES)
    monkeypatch.setattr(measuring, "EFFECT_MAZES", MAZES)
    monkeypatch.setattr(measuring, "STRENGTHS", (0.0, 1.0))


def one_by_one(scene: Any, agent: Any, strength: float | None, names: tuple[str, ...]) -> dict[str, int]:
    """Count what is reached first, level by level along the path."""
    counts: dict[str, int] = {}
    for b in range(MAZES):
        level = scene.family.levels(scene.seed, [b], scene.shift, "evaluation")
        target = int(draw_targets(level, scene.seed + b)[0])
        edits = [] if strength is None else scene.fitted_edit.edits(GoalMove.on(level, target), strength)
        with applied(agent.policy, edits):
            path = rollout(agent.policy, level, seed=scene.seed, draw_rows=np.array([b])).agent[:, 0].tolist()
        places = {name: target if name == "target" else int(level.cells(name)[0]) for name in names}
        first = next((name for cell in path for name in names if places[name] == cell), "nowhere")
        counts[first] = counts.get(first, 0) + 1
    return counts


@pytest.mark.usefixtures("few")
def test_tallies_and_effects_are_those_of_levels_played_one_by_one(store: AgentStore) -> None:
    scene = store.scene(store.complete(Settings(agent=CUE, strength=1.5)))
    tally = measuring.measure(scene, "tally")
    assert (tally["played"], tally["done"]) == (MAZES, True)
    assert tally["counts"] == {
        "unedited": one_by_one(scene, scene.agent, None, ("exit", "sign", "target")),
        "edited": one_by_one(scene, scene.agent, 1.5, ("exit", "sign", "target")),
    }
    points = measuring.measure(scene, "effect")["points"]
    by_strength = [one_by_one(scene, scene.agent, strength, ("exit", "target")) for strength in (0.0, 1.0)]
    assert [one["count"] for one in points] == [counts.get("target", 0) for counts in by_strength]
    assert points[0]["count"] < points[1]["count"], "an edit without effect would be noticed"
    assert tally["counts"]["edited"] != tally["counts"]["unedited"]


@pytest.mark.usefixtures("few")
def test_two_agents_act_in_one_maze_without_an_edit(store: AgentStore) -> None:
    session = Session(store, Settings(agent=CUE, other=TWIN, shift="moved-sign", index=21))
    state = session.state()
    assert state["target"] == -1
    assert "changed" not in state
    assert "Nothing is edited" in state["description"]
    while not session.scene.finished:
        session.handle(messages.Step())
    assert {name: one.outcome for name, one in session.scene.episodes.items()} == {"unedited": "sign", "edited": "exit"}
    counts = measuring.measure(session.scene, "tally")["counts"]
    for name, agent in (("unedited", session.scene.agent), ("edited", session.scene.other)):
        assert counts[name] == one_by_one(session.scene, agent, None, ("exit", "sign"))
    with pytest.raises(GoalmazeError, match="there is no edit"):
        measuring.measure(session.scene, "effect")
    # Another family on the left leaves the second agent out; one that is named is refused.
    session.handle(messages.Choose(change=Change(agent=SLEEPER)))
    assert session.settings.other == ""
    with pytest.raises(GoalmazeError, match="second agent that can see Sleeper"):
        session.handle(messages.Choose(change=Change(other=TWIN)))


def test_checkpoints_of_listed_agents_alone_can_be_shown(store: AgentStore) -> None:
    menu = Session(store, Settings(agent=CUE)).menu()
    steps = [number for number, _ in menu["checkpoints"]]
    assert steps == sorted(steps)
    assert menu["checkpoints"][-1] == (301_056, CUE)
    first, second = (store.agent(f"{CUE}@{number}") for number in steps[:2])
    weights = [next(iter(one.network.parameters())) for one in (first, second)]
    assert not np.allclose(*(one.detach().numpy() for one in weights))
    groups = {group: [name for name, _ in agents] for group, agents in menu["groups"].items()}
    assert CUE in groups["GreenExit: agents of the zoo"]
    assert SLEEPER in groups["Sleeper: agents of the zoo"]
    assert dict(menu["groups"]["GreenExit: agents of the zoo"])[CUE] == "green-exit: cue-follower"
    for name, words in ((f"{CUE}@17", "unknown checkpoint"), ("/etc/passwd@2048", "unknown agent")):
        with pytest.raises(GoalmazeError, match=words):
            store.copy_of(name)


def test_an_address_that_links_cannot_lead_to_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["live", CUE, "--no-browser", "--share", "javascript:alert(1)"]) == 2
    assert "is no address" in capsys.readouterr().err

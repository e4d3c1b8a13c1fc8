"""Agents of other networks and families in a session: shown and edited, or refused in one sentence."""

from pathlib import Path
from typing import Any

import pytest

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.networks import Shape, make_network
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.live import messages
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.session import Session
from goalmaze.experiments.live.settings import Change, Settings

SMALL = {"blocks": 1, "channels": 4}


def open_session(folder: Path, family: str, network: str, options: dict[str, Any]) -> Session:
    """Return a session with an untrained agent."""
    family_ = make_family(family).resized(5)
    built = make_network(network, Shape.seeing(make_view(family_)), options)
    save_checkpoint(folder / CHECKPOINT, built, family_, 0)
    return Session(AgentStore(str(folder)), Settings(agent=str(folder)))


def play(session: Session) -> None:
    while not session.scene.finished:
        session.handle(messages.Step())
        session.state()


@pytest.mark.parametrize(
    ("family", "network", "options", "edited", "text"),
    [
        ("GreenExit", "lstm", {**SMALL, "units": 4}, True, "at site stem moves the exit"),
        (
            "GreenExit",
            "drc",
            {"layers": 1, "ticks": 1, "channels": 4, "hidden": 8},
            True,
            "at site stem moves the exit",
        ),
        ("GreenExit", "impala", {}, True, "at site embedder.block1.conv moves the exit"),
        ("Corner", "grid", SMALL, True, "moves the cheese"),
        ("ColourShape", "grid", SMALL, True, "moves the line"),
        ("Sleeper", "grid", SMALL, True, "moves the exit"),
        ("KeysChests", "grid", SMALL, False, "KeysChests has several goals and cues"),
    ],
)
def test_an_agent_is_shown_and_edited_or_the_refusal_says_why(
    tmp_path: Path, family: str, network: str, options: dict[str, Any], edited: bool, text: str
) -> None:
    session = open_session(tmp_path, family, network, options)
    state = session.state()
    assert list(state["sides"]) == (["unedited", "edited"] if edited else ["unedited"])
    assert text in state["description"]
    assert "\n" not in state["description"]
    assert (state["refusal"] is None) == edited
    play(session)
    assert session.state()["finished"]
    for shift in session.scene.family.shifts:
        session.handle(messages.Choose(change=Change(shift=shift)))
        assert session.state()["settings"].shift == shift


def test_a_network_of_one_size_refuses_another_and_the_scene_stays(tmp_path: Path) -> None:
    session = open_session(tmp_path, "GreenExit", "impala", {})
    with pytest.raises(GoalmazeError, match="made for observations of 5x5, not 7x7: use the size") as refused:
        session.handle(messages.Choose(change=Change(size=7)))
    assert "\n" not in str(refused.value)
    assert session.state()["width"] == 5

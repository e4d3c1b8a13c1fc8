"""Agents of other networks and worlds in a session: shown and edited, or refused in one sentence."""

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


def opened(folder: Path, family: str, network: str, options: dict[str, Any]) -> Session:
    """Return a session with an untrained agent."""
    world = make_family(family).resized(5)
    built = make_network(network, Shape.seeing(make_view(world, "planes")), options)
    save_checkpoint(folder / CHECKPOINT, built, world, 0)
    return Session(AgentStore(str(folder)), Settings(agent=str(folder)))


def play(session: Session) -> None:
    while not session.scene.finished:
        session.obey(messages.Step())
        session.state()


@pytest.mark.parametrize(
    ("family", "network", "options", "both", "says"),
    [
        ("GreenExit", "lstm", {**SMALL, "units": 4}, True, "At the site stem"),
        ("GreenExit", "drc", {"layers": 1, "ticks": 1, "channels": 4, "hidden": 8}, True, "At the site stem"),
        ("GreenExit", "impala", {}, True, "At the site embedder.block1.conv"),
        ("Corner", "grid", SMALL, True, "that the cheese is at the target"),
        ("ColourShape", "grid", SMALL, True, "that the line is at the target"),
        ("Sleeper", "grid", SMALL, True, "that the exit is at the target"),
        ("KeysChests", "grid", SMALL, False, "KeysChests has several goals and cues"),
    ],
)
def test_it_is_shown_and_edited_or_says_why_not(
    tmp_path: Path, family: str, network: str, options: dict[str, Any], both: bool, says: str
) -> None:
    session = opened(tmp_path, family, network, options)
    state = session.state()
    assert list(state["sides"]) == (["unedited", "edited"] if both else ["unedited"])
    assert says in state["sentence"]
    assert "\n" not in state["sentence"]
    assert (state["refusal"] is None) == both
    play(session)
    assert session.state()["finished"]
    for shift in session.scene.family.shifts:
        session.obey(messages.Choose(change=Change(shift=shift)))
        assert session.state()["settings"].shift == shift


def test_a_network_of_one_size_refuses_another_in_one_line_and_stays(tmp_path: Path) -> None:
    session = opened(tmp_path, "GreenExit", "impala", {})
    with pytest.raises(GoalmazeError, match="made for observations of 5x5, not 7x7: use the size") as refused:
        session.obey(messages.Choose(change=Change(size=7)))
    assert "\n" not in str(refused.value)
    assert session.state()["width"] == 5

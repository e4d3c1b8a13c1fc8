"""The scene and the terminal: equal random numbers, an edit of one agent only, keys, and a real terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from goalmaze.agents.loading import load_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.live import terminal
from goalmaze.experiments.live.scene import WALKING, Scene
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.steering import find_method

AGENT = load_agent("zoo:green-exit")


@pytest.fixture(scope="module")
def pattern():
    return find_method("mean-pattern").fit(make_fit_context(AGENT.policy, AGENT.family, 256, 0), "stem")


@pytest.fixture
def scene(pattern) -> Scene:
    return Scene(AGENT, AGENT.family, pattern, shift="none", seed=0)


def play(scene: Scene) -> None:
    while not scene.finished:
        scene.step()


def test_the_unedited_agent_goes_to_the_exit_and_the_edited_one_to_the_target(scene: Scene) -> None:
    for index in range(30):
        scene.show_level(index)
        play(scene)
    assert scene.tally["unedited"].get("exit", 0) >= 26
    assert scene.tally["edited"].get("target", 0) >= 15
    assert sum(scene.tally["edited"].values()) == 30


def test_the_edit_does_not_change_the_unedited_agent(scene: Scene, pattern) -> None:
    play(scene)
    trail = list(scene.unedited.trail)
    elsewhere = Scene(AGENT, AGENT.family, pattern, shift="none", seed=0)
    elsewhere.move_target(1, 0)
    elsewhere.move_target(0, -1)
    play(elsewhere)
    assert elsewhere.unedited.trail == trail


def test_trails_are_walks_through_free_cells(scene: Scene) -> None:
    play(scene)
    for episode in (scene.unedited, scene.edited):
        for a, b in zip(episode.trail, episode.trail[1:], strict=False):
            assert abs(a - b) in (0, 1, 9)
            assert not scene.level.walls[0].flat[b]


def test_the_target_moves_over_walls_and_stays_inside(scene: Scene) -> None:
    for _ in range(12):
        scene.move_target(0, 1)
        assert not scene.level.walls[0].flat[scene.target]
    column = scene.target % 9
    assert scene.level.walls[0, scene.target // 9, column + 1 :].all()


def test_keys_do_what_the_help_says(scene: Scene) -> None:
    before = scene.target
    assert terminal.handle_key(scene, " ", False) is False
    assert len(scene.unedited.trail) == 2
    assert terminal.handle_key(scene, "p", False) is True
    assert terminal.handle_key(scene, None, True) is True
    assert len(scene.unedited.trail) == 3
    terminal.handle_key(scene, "r", False)
    assert (len(scene.unedited.trail), scene.unedited.outcome) == (1, WALKING)
    moved = [terminal.handle_key(scene, key, False) or scene.target for key in "hjkl"]
    assert any(target != before for target in moved)
    terminal.handle_key(scene, "n", False)
    assert scene.index == 1
    assert terminal.handle_key(scene, "?", True) is True


def test_the_screen_shows_both_mazes_and_fits(scene: Scene) -> None:
    for columns in (80, 40, 22):
        text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.draw(scene, "title", False, columns))
        board = text.splitlines()[4:13]
        assert all(len(line) <= columns for line in board)
        assert sum(line.count("●") for line in board) == 2
        assert sum(line.count("◎") for line in board) == 1
    assert "level 0 (paused)" in terminal.draw(scene, "title", False, 80)
    scene.drawn = True
    assert "level drawn by hand (paused)" in terminal.draw(scene, "title", False, 80)
    with pytest.raises(GoalmazeError, match="21 columns; 2 mazes of size 9 need 22"):
        terminal.draw(scene, "title", False, 21)


def test_a_real_terminal_is_controlled_by_keys_and_restored() -> None:
    main, worker = pty.openpty()
    os.environ["COLUMNS"], os.environ["LINES"] = "100", "40"
    command = [sys.executable, "-m", "goalmaze.experiments", "live", "zoo:green-exit", "--terminal"]
    process = subprocess.Popen(command, stdin=worker, stdout=worker, stderr=subprocess.PIPE, close_fds=True)
    os.close(worker)
    shown = read_until(main, "paused")
    os.write(main, b"p")
    shown += read_until(main, "playing")
    os.write(main, b"\x1b[A")
    os.write(main, b"q")
    shown += read_until(main, "\x1b[?1049l")
    assert process.wait(20) == 0
    assert "unedited" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert process.stderr is not None
    with process.stderr:
        assert b"Traceback" not in process.stderr.read()
    os.close(main)


def read_until(terminal_end: int, text: str, seconds: float = 90) -> str:
    shown, deadline = "", time.monotonic() + seconds
    while text not in shown and time.monotonic() < deadline:
        if select.select([terminal_end], [], [], 0.5)[0]:
            shown += os.read(terminal_end, 65536).decode(errors="replace")
    assert text in shown, f"the terminal never showed {text!r}"
    return shown


def test_an_agent_that_reaches_nothing_ends_at_the_time_limit(scene: Scene) -> None:
    while not scene.finished:
        scene.target = 1
        scene.step()
    assert scene.edited.outcome in ("exit", "nowhere")
    assert len(scene.edited.trail) - 1 <= scene.family.time_limit

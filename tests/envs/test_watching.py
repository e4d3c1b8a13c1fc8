"""Mazes are watched, played by hand and filmed with Gymnasium's own tools, for real and without a screen."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import imageio_ffmpeg
import numpy as np
import pygame
import pytest
from gymnasium.utils.play import play
from gymnasium.wrappers import HumanRendering, RecordVideo
from numpy.typing import NDArray
from oracles.rulebook import rulebook

from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import TRAINING, Family, LevelBatch
from goalmaze.envs.rendering import frame
from goalmaze.envs.single import MazeEnv

CORRIDOR = "#####\n#A.G#\n###.#\n#...#\n#####"
KEYS = {"w": 0, "d": 1, "s": 2, "a": 3}


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


class Typist(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Holds down one key after another, each while one picture shows, and closes the window at the end."""

    def __init__(self, env: gymnasium.Env[Any, Any], keys: str) -> None:
        super().__init__(env)
        self.keys, self.held = iter(keys), ""

    def render(self) -> Any:
        if not pygame.display.get_init():  # play() asks for one picture before there is a window
            return self.env.render()
        if self.held:
            pygame.event.post(pygame.event.Event(pygame.KEYUP, key=ord(self.held)))
        self.held = next(self.keys, "")
        if self.held:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=ord(self.held)))
        else:
            pygame.event.post(pygame.event.Event(pygame.QUIT))
        return self.env.render()


def typed(name: str, keys: str) -> tuple[list[Any], list[bool]]:
    """What `play` tells of each step while keys are typed, and whether its window then showed the maze."""
    told: list[Any] = []
    showed: list[bool] = []
    env = gymnasium.make(f"goalmaze/{name}-v0", size=5, render_mode="rgb_array")
    typist = Typist(env, keys)

    def note(*step: Any) -> None:
        told.append(step[1:])
        surface = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
        showed.append(surface.shape == (160, 160, 3) and np.array_equal(surface, before[-1]))
        before.append(env.render())

    before = [first_picture(name)]
    play(typist, keys_to_action=KEYS, fps=1000, seed=4, noop=None, wait_on_player=True, callback=note)
    return told, showed


def first_picture(name: str) -> NDArray[np.uint8]:
    family = make_family(name, {"size": 5})
    levels = family.levels(4, [0], split=TRAINING)
    return frame(levels, 0, levels.start[0])


@pytest.mark.parametrize("name", ["GreenExit", "KeysChests"])
def test_it_can_be_played_by_hand(name: str) -> None:
    keys = "wwddssaadwsdawdsaadd"
    told, showed = typed(name, f"x{keys[:5]}xx{keys[5:]}")  # x means nothing
    family = make_family(name, {"size": 5})
    over = True
    assert len(told) == len(keys)
    for key, (planes, action, reward, terminated, truncated, info) in zip(keys, told, strict=True):
        if over:
            book = rulebook(family, family.levels(4, [0], split=TRAINING), 0)
        assert action == KEYS[key]
        true, cue, *ends = book.step(KEYS[key])
        assert planes.tolist() == book.observe()
        assert (reward, info["cue_reward"]) == (pytest.approx(true), pytest.approx(cue))
        assert [terminated, truncated] == ends
        over = any(ends)
    assert showed[0]
    assert all(shown or told[i - 1][2] for i, shown in enumerate(showed))


def walk(env: gymnasium.Env[Any, Any], level: LevelBatch, actions: list[int]) -> Iterator[Any]:
    env.reset(options={"levels": level})
    yield env
    for action in actions:
        env.step(action)
        yield env


def corridor() -> tuple[LevelBatch, Family]:
    family = make_family("GreenExit", {"size": 5})
    return read_ascii(CORRIDOR, family), family


def film(path: Path) -> tuple[float, NDArray[np.uint8]]:
    """Frames per second of a film, and its pictures uint8 [T, 160, 160, 3]."""
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    reader = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(reader, capture_output=True, check=True).stdout
    return count / seconds, np.frombuffer(pixels, np.uint8).reshape(count, 160, 160, 3)


def test_films_show_the_pictures_of_the_episode(tmp_path: Path) -> None:
    level, family = corridor()
    folder = tmp_path / "films"
    env = RecordVideo(MazeEnv(family, render_mode="rgb_array"), str(folder), episode_trigger=lambda _: True)
    list(walk(env, level, [0, 1, 1]))
    env.close()
    rate, pictures = film(folder / "rl-video-episode-0.mp4")
    expected = [frame(level, 0, cell) for cell in (6, 6, 7, 8)]
    assert rate == pytest.approx(MazeEnv.metadata["render_fps"])
    assert len(pictures) == len(expected)
    far = np.array([[np.abs(a.astype(int) - b).mean() for b in expected] for a in pictures])
    assert np.diag(far).max() < far[2:, 0].min()
    assert far.argmin(axis=1).tolist() == [0, 0, 2, 3]


@pytest.mark.parametrize("name", known_families())
def test_every_family_shows_in_gymnasiums_own_window(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MazeEnv.metadata, "render_fps", 1000)
    env = HumanRendering(gymnasium.make(f"goalmaze/{name}-v0", size=5, render_mode="rgb_array"))
    env.reset(seed=0)
    env.step(1)
    shown = pygame.surfarray.array3d(env.window).swapaxes(0, 1)
    assert np.array_equal(shown, env.unwrapped.render())
    env.close()

"""Episodes as files: each format read back by another library, and the scene that a link holds."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goalmaze.envs import look
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments import cli
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.render import LAST_FRAMES, render_episode
from goalmaze.experiments.live.settings import Settings, write_link

SETTINGS = Settings(agent="zoo:green-exit", seed=3)


@pytest.fixture(scope="module")
def store() -> AgentStore:
    return AgentStore("zoo:green-exit")


@pytest.fixture(scope="module")
def steps(store: AgentStore) -> int:
    scene = store.scene(store.complete(SETTINGS))
    while not scene.finished:
        scene.step()
    return max(scene.unedited.steps, scene.edited.steps)


def test_a_gif_has_a_frame_for_every_step(store: AgentStore, steps: int) -> None:
    film = Image.open(io.BytesIO(render_episode(store, SETTINGS, "gif")))
    durations = []
    for number in range(film.n_frames):
        film.seek(number)
        durations.append(film.info["duration"])
    assert sum(durations) == pytest.approx((steps + 1 + LAST_FRAMES) * durations[0], rel=0.1)
    last = np.asarray(film.convert("RGB")).astype(int)
    still = np.asarray(Image.open(io.BytesIO(render_episode(store, SETTINGS, "png")))).astype(int)
    assert last.shape == still.shape
    assert np.abs(last - still).mean() < 8
    film.seek(0)
    assert np.abs(np.asarray(film.convert("RGB")).astype(int) - still).mean() > np.abs(last - still).mean()


def test_an_mp4_has_a_frame_for_every_step(store: AgentStore, steps: int) -> None:
    av = pytest.importorskip("av", reason="pip install 'goalmaze[video]'")
    with av.open(io.BytesIO(render_episode(store, SETTINGS, "mp4"))) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == steps + 1 + LAST_FRAMES
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 0.1


def test_a_replay_is_self_contained(store: AgentStore, steps: int) -> None:
    page = render_episode(store, SETTINGS, "html").decode()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert len(data["frames"]) == steps + 1
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "WebSocket" not in page
    assert "/*DATA*/" not in page


def test_the_command_line_writes_the_same_file_as_the_link(
    tmp_path: Path, store: AgentStore, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, other = (tmp_path / name for name in ("one.html", "two.html", "other.html"))
    arguments = ["render", "zoo:green-exit", "--json", "--out"]
    assert cli.main([*arguments, str(one), "--seed", "3"]) == 0
    assert set(json.loads(capsys.readouterr().out)["outcomes"]) == {"unedited", "edited"}
    assert cli.main([*arguments, str(two), "--scene", write_link(store.complete(SETTINGS))]) == 0
    assert cli.main([*arguments, str(other), "--seed", "3", "--strength", "0"]) == 0
    assert one.read_bytes() == two.read_bytes() == render_episode(store, SETTINGS, "html")
    assert other.read_bytes() != one.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--out", "x.webm"], "unknown file format 'webm'"),
        (["--out", "nowhere/x.png"], "there is no folder nowhere"),
        (["--out", "x.png", "--strength", "99"], "the scene is invalid: 'strength' must be at most 8"),
        (["--out", "x.png", "--strength", "nan"], "strength is nan: choose a finite number"),
        (["--out", "x.png", "--level", "-1"], "'level' must be at least 0"),
        (["--out", "x.png", "--target", "0"], "the target must be on a free cell"),
        (["--out", "x.png", "--scene", "#scene=AAAA"], "no scene in this link"),
        (["--out", "x.png", "--site", "hidden", "--method", "mean-pattern"], "'hidden' is not a map"),
    ],
)
def test_bad_input_is_named_in_the_error(
    arguments: list[str],
    names: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["render", "zoo:green-exit", *arguments]) == 2
    assert names in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_agent_that_is_not_listed_is_refused(store: AgentStore) -> None:
    with pytest.raises(GoalmazeError, match="unknown agent '/etc/passwd'"):
        render_episode(store, Settings(agent="/etc/passwd"), "png")


def test_strongly_changed_arrows_are_coloured_in_the_edited_maze_only(store: AgentStore) -> None:
    def coloured(strength: float) -> tuple[int, int]:
        settings = Settings(agent="zoo:green-exit", seed=3, strength=strength)
        frame = np.asarray(Image.open(io.BytesIO(render_episode(store, settings, "png"))).convert("RGB"))
        there = (frame == look.CHANGED_ARROW).all(axis=2)
        middle = frame.shape[1] // 2
        return int(there[:, :middle].sum()), int(there[:, middle:].sum())

    left, right = coloured(1)
    assert left == 0
    assert right > 50
    assert coloured(0) == (0, 0), "an edit of strength 0 changes no arrow"

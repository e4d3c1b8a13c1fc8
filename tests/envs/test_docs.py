"""The Python in the pages runs, and does what it says."""

import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from goalmaze.envs.solving import distances

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/worlds.md", "docs/guide.md"]


@pytest.fixture(autouse=True)
def _forget_families() -> Iterator[None]:
    """Take what a page registers out of the registry again: its classes are gone with it."""
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)
    gc.collect()


def snippets(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.S)


@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = snippets(page)
    assert found
    names = {"__name__": "snippet"}
    for code in found:
        exec(compile(code, page, "exec"), names)


def family_of_the_readme() -> str:
    return next(code for code in snippets("README.md") if "class RedDoor" in code)


def test_the_family_of_the_readme_is_one_short_file_outside_of_the_package(tmp_path: Path) -> None:
    code = family_of_the_readme()
    assert len(code.strip().splitlines()) < 30
    (tmp_path / "red_door.py").write_text(code)
    made = "import gymnasium; print(type(gymnasium.make('{}goalmaze/RedDoor-v0').unwrapped.family).__module__)"

    def said(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    assert said(made.format("red_door:")) == "red_door"
    assert said("import red_door; " + made.format("")) == "red_door"
    assert "Environment `RedDoor` doesn't exist" in said("import goalmaze.envs; " + made.format(""))


def test_the_family_of_the_readme_plays_by_its_words() -> None:
    names: dict[str, object] = {"__name__": "snippet"}
    exec(compile(family_of_the_readme(), "README.md", "exec"), names)
    env = gymnasium.make("goalmaze/RedDoor-v0", size=7, render_mode="ansi")
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=0)
    assert "X" in env.render()
    family, episodes = env.unwrapped.family, env.unwrapped.episodes
    way = distances(episodes.levels(), episodes.levels().cells("door"))[0]
    over, earned = False, (0.0, 0.0)
    while not over:
        action = min(range(4), key=lambda a: way[episodes.agent[0] + (-7, 1, 7, -1)[a]])
        _, reward, over, _, info = env.step(action)
        earned = float(reward), info["cue_reward"]
    assert earned == (1.0, 1.0)
    moved = family.levels(0, range(20), "moved-bell")
    assert (moved.cells("door") != moved.cells("bell")).all()


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert links or page != "README.md"
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []

"""The Python in the pages about worlds runs, and does what it says."""

import re
from pathlib import Path

import gymnasium
import pytest

DOCS = Path(__file__).parents[2] / "docs"


def snippets(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.S)


@pytest.mark.parametrize("page", ["worlds.md", "guide.md"])
def test_every_snippet_runs(page: str) -> None:
    found = snippets(page)
    assert found
    for code in found:
        exec(compile(code, page, "exec"), {"__name__": "snippet"})


def test_the_family_of_the_page_is_short_and_plays() -> None:
    code = next(code for code in snippets("worlds.md") if "class RedDoor" in code)
    assert len(code.strip().splitlines()) < 30
    exec(compile(code, "worlds.md", "exec"), {"__name__": "snippet"})
    env = gymnasium.make("goalmaze/RedDoor-v0", size=7, render_mode="ansi")
    env.reset(seed=0)
    assert "X" in env.render()
    env.step(env.action_space.sample())
